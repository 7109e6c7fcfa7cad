"""Stored and reflected XSS: every column that holds text holds attacks, every page shows them.

The browser is told to ignore the CSP, so what holds here is the escaping alone; that the CSP stands
behind it, test_every_page.py shows.
"""

import itertools
import json
import os
import re

import pytest
from django.apps import apps
from django.db import connection, models

from reviews.models import Item, ItemKind, ItemVersion, Job, Person, PolicyVersion, content_hash
from tests import walking
from tests.conftest import wait_until
from tests.payloads import MARK, PAYLOADS
from tests.test_access import ROUTES, World

IS_EXHAUSTIVE = os.environ.get("PROOF") == "all"  # or only pages that are asked by a form

# Written by the program itself and never shown, or read by it: a hash, a name in its own code.
OURS = {
    *("digest", "hash", "fingerprint", "split_group", "content_hash", "token", "verb"),
    *("target_type", "target_id", "password", "username", "body", "encoder", "sha256"),
    *("language", "time_zone"),  # of a person; an item's language is attacked below
}
LISTEN = """window.hits = []; window.hit = (mark) => hits.push(String(mark));
for (const name of ['alert', 'confirm', 'prompt']) window[name] = hit;"""
# What none of our templates makes, or makes with a value of its own only.
ALIVE = """() => {
  const found = [];
  const tell = (one, why) => found.push(`${why}: ${one.outerHTML.slice(0, 120)}`);
  const foreign = 'iframe, object, embed, base, style, portal, marquee, math, frameset, ' +
    'template:not(#span-row)';
  const addresses = ['href', 'src', 'action', 'formaction', 'xlink:href', 'data', 'poster',
    'background', 'ping'];
  const walk = (root) => {
    for (const one of root.querySelectorAll('*')) {
      if (one.shadowRoot) walk(one.shadowRoot);
      if (one.matches(foreign)) tell(one, 'element');
      if (one.localName === 'script' && !(one.src ?? '').startsWith(`${location.origin}/static/`))
        tell(one, 'script');
      if (one.localName === 'meta' && one.httpEquiv) tell(one, 'meta');
      for (const { name, value } of one.attributes) {
        if (/^on|^style$|^srcdoc$|zxq/i.test(name)) tell(one, name);
        if (/^(data-)?hx-/i.test(name) && /^(\\/?zxq|js:|javascript:)/i.test(value))
          tell(one, name);
        if (/^(data-)?hx-(on|vals-js|ext)/i.test(name)) tell(one, name);
        if (name === 'hx-swap-oob' && !one.id.startsWith('_')) tell(one, name);
        if (addresses.includes(name)
            && /^[\\x00-\\x20]*(javascript|vbscript|data|\\/\\/zxq)/i.test(value)) tell(one, name);
        if (addresses.includes(name) && !['', location.host].includes(
            new URL(value, location.href).host)) tell(one, 'leaves us');
      }
    }
  };
  walk(document);
  return found;
}"""

SEND = "HTMLFormElement.prototype.submit.call(document.querySelector('form[data-ready]'))"


@pytest.fixture
def hostile(live_app):
    """One of everything, and then attacks wherever text is kept."""
    world = World()
    attack = itertools.cycle(PAYLOADS)
    with connection.cursor() as cursor:
        # Decisions and their like refuse to be edited: for this test they were written so.
        cursor.execute("SET session_replication_role = replica")
        for model in apps.get_models():
            if model._meta.app_label in ("reviews", "mlhooks"):
                _poison(model, attack)
        _poison_content(world, attack)
        cursor.execute("SET session_replication_role = DEFAULT")
    return world


def _poison(model, attack):
    fields = [
        field
        for field in model._meta.concrete_fields
        if isinstance(field, models.CharField | models.TextField)
        and not isinstance(field, models.SlugField)
        and not field.choices
        and field.name not in OURS
    ]
    for number, row in enumerate(model.objects.all() if fields else ()):
        for field in fields:
            setattr(row, field.name, _fitting(field, attack, number))
        model.objects.filter(pk=row.pk).update(
            **{field.name: getattr(row, field.name) for field in fields}
        )


def _fitting(field, attack, number):
    """An attack as long as the column takes; several where it takes them."""
    most = field.max_length
    if most is None:
        return "\n".join(itertools.islice(attack, 40))
    if most < 24:
        return ["<", '"', "'"][number % 3] if most == 1 else '"><b zxq>'
    tail = f" {number}"  # where rows must differ
    fits = next(one for one in attack if len(one) + len(tail) <= most)
    return fits + tail


def _poison_content(world, attack):
    several = ["\n".join(PAYLOADS[at::4]) for at in range(4)]
    fields = [
        {"name": "subject", "label": next(attack), "type": "string", "role": "title"},
        {"name": "body", "label": next(attack), "type": "text", "role": "text"},
        {"name": "quoted", "label": next(attack), "type": "text", "role": ""},
        {"name": "picture", "label": next(attack), "type": "image", "role": "image"},
        {"name": "film", "label": next(attack), "type": "video", "role": "video"},
        {"name": "link", "label": next(attack), "type": "url", "role": "url"},
        {"name": "who", "label": next(attack), "type": "string", "role": "author"},
        {"name": "parent", "label": next(attack), "type": "string", "role": "parent"},
        {"name": "written", "label": next(attack), "type": "datetime", "role": "date"},
        {"name": "likes", "label": next(attack), "type": "number", "role": "number"},
        {"name": "more", "label": next(attack), "type": "key-value", "role": "key-value"},
    ]
    ItemKind.objects.update(fields=fields, layout=[])
    content = {
        "subject": next(attack),
        "body": several[0],
        "quoted": several[1],
        "picture": f"https://zxq.example/{next(attack)}",
        "film": f"javascript:hit('{MARK}')",
        "link": f"javascript:hit('{MARK}')",
        "who": next(attack),
        "parent": next(attack),
        "written": next(attack),
        "likes": next(attack),
        "more": {one: one for one in PAYLOADS[2::4]},
        next(attack): {"deep": [PAYLOADS[3::4]]},
    }
    for version in ItemVersion.objects.all():
        version.content = {**content, "number": f"{version.pk} {next(attack)}"}
        version.content_hash = content_hash(version.content)
        version.save()
    Item.objects.update(language='en"><b zxq>')
    PolicyVersion.objects.update(examples=PAYLOADS[::2], counter_examples=PAYLOADS[1::2])
    for name, person in world.people.items():
        if name != "remy":  # she is in addresses
            person.username = f"{name}\"><img src=zxq onerror=hit('zxq')>"
            person.save()
    assert Person.objects.filter(username__contains=MARK).count() > 3


@pytest.fixture
def browser(new_page):
    """A page without a CSP, that hears what runs; and what it asked other hosts for."""
    page = new_page(bypass_csp=True, reduced_motion="reduce")
    page.add_init_script(LISTEN)
    page.on("dialog", lambda dialog: dialog.dismiss())
    return page


def alive(page, where):
    """What came alive on the page as it stands."""
    found = page.evaluate(ALIVE) + [f"ran: {one}" for one in page.evaluate("hits")]
    return [f"{where}: {one}" for one in found]


def test_no_attack_comes_alive_on_any_page(hostile, live_app, browser, sign_in):
    found, shown, strange = [], {}, []
    browser.on(
        "request",
        lambda request: request.url.startswith(live_app) or strange.append(request.url),
    )
    for stop, _ in walking.walk(hostile, browser, live_app, sign_in, fragments=True):
        browser.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
        shown[stop.route] = browser.locator("body").inner_text().count(MARK)
        found += alive(browser, stop.route)
    assert not found, "\n".join(found)
    assert strange == []
    # They were there to be seen: on all but a few pages, and all of them on the desk.
    assert sum(1 for count in shown.values() if count) > 50, shown
    assert shown["reviews:review"] > 200


def test_no_attack_in_an_address_comes_alive(hostile, live_app, browser, sign_in):
    found, attack = [], itertools.cycle(PAYLOADS)
    for stop, text in walking.walk(hostile, browser, live_app, sign_in):
        if not IS_EXHAUSTIVE and not re.search(r'<form (?![^>]*method="post")', text):
            continue
        names = set(re.findall(r'name="(\w+)"|[?&](\w+)=', text))
        names = {one or other for one, other in names}
        names |= {"q", "lane", "state", "next", "page", "before", "sort", "format_"}
        words = {name: next(attack) for name in sorted(names)}
        script = "(words) => new URLSearchParams(words).toString()"
        query = browser.evaluate(script, words)
        browser.goto(f"{live_app}{stop.url}{'&' if '?' in stop.url else '?'}{query}")
        found += alive(browser, f"{stop.route}?{','.join(names)}")
    assert not found, "\n".join(found)


def test_no_attack_in_a_refused_form_comes_alive(hostile, live_app, browser, sign_in):
    """Every form that answers on its own page, sent with attacks in all its fields."""
    found, sent, who = [], 0, None
    for stop in walking.stops(hostile):
        if "POST" not in ROUTES.get(stop.route, {}) or not stop.route.startswith("reviews:"):
            continue
        if stop.name not in ROUTES[stop.route]["POST"]:
            continue
        if stop.name != who:
            who = stop.name
            sign_in(browser, hostile.people[who])
        browser.goto(live_app + stop.url)
        is_sent = browser.evaluate(
            """(attacks) => {
              const form = [...document.querySelectorAll('main form[method=post]')].find(
                (one) => one.querySelector('input[type=text], input:not([type]), textarea'));
              if (!form) return false;
              let at = 0;
              for (const one of form.querySelectorAll(
                  'input[type=text], input[type=number], input:not([type]), textarea')) {
                one.type = one.localName === 'textarea' ? undefined : 'text';
                one.value = attacks[at++ % attacks.length];
              }
              for (const name of form.getAttributeNames())
                if (name.startsWith('hx-')) form.removeAttribute(name);
              form.noValidate = true;
              form.dataset.ready = '';
              return true;
            }""",
            [one for one in PAYLOADS if len(one) < 60],
        )
        if not is_sent:
            continue
        with browser.expect_navigation():
            browser.evaluate(SEND)
        sent += 1
        found += alive(browser, f"POST {stop.route}")
    assert not found, "\n".join(found)
    assert sent > 8


def test_what_is_not_escaped_would_be_heard(live_app, chromium):
    """The alarm itself: the same texts, put into a page as they are."""
    page = chromium.new_page(bypass_csp=True)
    page.add_init_script(LISTEN)
    # What would lead away from the page gets no answer, and the page stays.
    page.route("**zxq**", lambda route: route.fulfill(status=204))
    page.goto(f"{live_app}/accounts/login/")
    heard = silent = 0
    for attack in PAYLOADS:
        page.evaluate("hits.length = 0")
        raw = '(text) => { document.body.innerHTML = `<p title="${text}">${text}`; }'
        page.evaluate(raw, attack)
        if page.evaluate(ALIVE) or page.evaluate("hits"):
            heard += 1
        else:
            silent += 1
    page.close()
    assert heard > 200, (heard, silent)


def test_a_line_of_a_megabyte_is_read_and_decided(live_app, page, sign_in):
    world = World()
    line = "x" * 1_000_000
    version = world.job.item.current_version
    ItemVersion.objects.filter(pk=version.pk).update(content={"body": line})
    sign_in(page, world.people["rosa"])
    page.goto(f"{live_app}/review/{world.queue.slug}/")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert len(page.content()) < 200_000, "what is beyond the first part is asked for"
    _decide_clean(page, world)


@pytest.mark.parametrize(
    "content", [["not", "an", "object"], {"body": {"an": ["object"]}, "mood": 3}, "bare", 7, {}]
)
def test_an_item_that_breaks_its_kind_is_shown_raw_and_decided(live_app, page, sign_in, content):
    world = World()
    version = world.job.item.current_version
    ItemVersion.objects.filter(pk=version.pk).update(content=content)
    sign_in(page, world.people["rosa"])
    page.goto(f"{live_app}/review/{world.queue.slug}/")
    if content:
        words = page.locator("#_item").inner_text()
        leaf = {list: "object", dict: "object", str: "bare", int: "7"}[type(content)]
        assert leaf in words, json.dumps(content)
    _decide_clean(page, world)


def _decide_clean(page, world):
    job = page.locator("#_job").get_attribute("data-job")
    page.get_by_label("Nothing here breaks a rule").check()
    page.get_by_role("button", name="Decide and go on").click()
    page.wait_for_function(
        "(before) => document.getElementById('_job').dataset.job !== before", arg=job
    )
    # What comes next is shown before the answer has arrived.
    wait_until(lambda: Job.objects.get(pk=world.job.pk).state == "done")
