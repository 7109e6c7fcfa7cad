"""Search: what is found, what is kept from whom, what a question may be; page and API."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from reviews import decisions, erasure, intake, search, search_entries
from reviews.errors import Forbidden, Invalid
from reviews.models import Item, SearchEntry

from .conftest import wait_until
from .factories import (
    claimed_job,
    make_account,
    make_item,
    make_job,
    make_kind,
    make_platform,
    make_policy,
    make_queue,
)
from .people import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def platform():
    return make_platform()


@pytest.fixture
def kind(platform):
    return make_kind(platform=platform)


@pytest.fixture
def lena(platform):
    return make_person("lena", platform=platform)


@pytest.fixture
def rosa(platform):
    return make_person("rosa", platform=platform)


def indexed(**kw):
    item = make_item(**kw)
    search_entries.index_items([item.pk])
    return item


def found(text, *, by, **filters):
    question = search.understand(text, filters, by=by)
    return [hit.item for hit in search.find(question, by=by).hits]


def decided(kind, reviewer, *, verdict="violating", queue=None, **kw):
    item = make_item(platform=kind.platform, kind=kind, **kw)
    policy = make_policy(platform=kind.platform, slug=f"policy-{item.pk}")
    queue = queue or make_queue(platform=kind.platform, policies=[policy], members=[reviewer])
    job = claimed_job(reviewer, queue=queue, item=item)
    slugs = [policy.slug] if verdict == "violating" else []
    decisions.record_review(
        job.pk, job.claim_token, by=reviewer, verdict=verdict, policy_slugs=slugs
    )
    search_entries.index_items([item.pk])
    return item


# What is found


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("You won a FREE prize", "free"),
        ("You won a free prize", "prize free"),
        ("You won a free prize", '"free prize"'),
        ("Scammers everywhere", "scam*"),
        ("Scammers everywhere", "s* everywhere"),
        ("Scammers everywhere", "s*"),
        ("Crème brûlée", "creme BRULEE"),
        ("今日は日本語を勉強します", "日本語"),
        ("今日は日本語を勉強します", "語"),
        ("ซื้อขายออนไลน์", "ออนไลน์"),
        ("مرحبا بالعالم", "العالم*"),
        ("see https://evil.example/win", "evil.example"),
        ("see https://evil.example/win", "https://evil.example/win"),
        ("note: read this", "note: read"),
        ("o'neil's", "o'neil's"),
    ],
)
def test_an_item_is_found_by_its_words(kind, lena, text, asked):
    item = indexed(text=text, platform=kind.platform, kind=kind)
    expected = [] if asked == "العالم*" else [item]
    assert found(asked, by=lena) == expected


@pytest.mark.parametrize(
    "asked", ["nothing", '"prize free"', "free -prize", "fre", "free s*", "free -p*"]
)
def test_an_item_is_not_found_by_what_it_does_not_say(kind, lena, asked):
    indexed(text="You won a free prize", platform=kind.platform, kind=kind)
    assert found(asked, by=lena) == []


def test_an_id_is_found_pasted_whole_or_as_it_begins(kind, lena):
    item = indexed(external_id="Post-2026-00417", platform=kind.platform, kind=kind)
    indexed(external_id="post-2027", platform=kind.platform, kind=kind)
    for asked in ("Post-2026-00417", "post-2026", "id:post-2026-00417", 'id:"POST-2026-00417"'):
        assert found(asked, by=lena) == [item], asked


def test_an_item_is_found_by_its_account(kind, lena):
    account = make_account(platform=kind.platform, external_id="u-9", name="Maria Ö")
    item = indexed(account=account, platform=kind.platform, kind=kind)
    indexed(platform=kind.platform, kind=kind)
    assert found("account:u-9", by=lena) == [item]
    assert found('account:"maria ö"', by=lena) == [item]
    assert found("", account="Maria Ö", by=lena) == [item]


def test_an_item_is_found_by_how_it_was_decided(kind, lena, rosa):
    bad = decided(kind, rosa, text="bad")
    good = decided(kind, rosa, verdict="clean", text="good")
    waiting = indexed(text="waiting", platform=kind.platform, kind=kind)
    assert found("decision:violating", by=lena) == [bad]
    assert found("-decision:violating", by=lena) == [waiting, good]
    assert found("decision:none", by=lena) == found("state:open", by=lena) == [waiting]
    assert found("state:decided", by=lena) == [good, bad]
    policy = bad.decisions.get().policy_versions.get().policy
    assert found(f"policy:{policy.slug}", by=lena) == [bad]
    assert found("", policy=policy.name, by=lena) == [bad]


def test_an_undone_decision_is_none(kind, lena, rosa):
    item = decided(kind, rosa)
    decisions.undo(item.decisions.get(), by=rosa)
    search_entries.index_items([item.pk])
    assert found("decision:none", by=lena) == [item]
    assert found("decision:violating", by=lena) == []


def test_an_item_is_found_by_queue_kind_language_and_day(kind, lena):
    day = timezone.now() - timedelta(days=40)
    item = make_item(platform=kind.platform, kind=kind, language="pt-BR", submitted_at=day)
    job = make_job(item=item, queue=make_queue(platform=kind.platform))
    other = indexed(platform=kind.platform, kind=kind, language="de")
    search_entries.index_items([item.pk])
    assert found(f"queue:{job.queue.slug}", by=lena) == [item]
    assert found(f'kind:"{kind.name}"', by=lena) == [other, item]
    assert found("language:pt", by=lena) == [item]
    assert found(f"until:{day.date()}", by=lena) == [item]
    assert found(f"from:{timezone.localdate()}", by=lena) == [other]


def test_the_newest_come_first_and_pages_are_told_apart_by_key(kind, lena):
    at = timezone.now() - timedelta(days=1)
    items = [
        indexed(text="spam", platform=kind.platform, kind=kind, submitted_at=at) for _ in range(7)
    ]
    question = search.understand("spam", {}, by=lena)
    seen, after = [], ""
    while True:
        page = search.find(question, by=lena, after=after, limit=3)
        seen += [hit.item for hit in page.hits]
        after = page.next_key
        if not after:
            break
    assert seen == items[::-1]


def test_what_is_rare_is_found_behind_the_newest(kind, lena, monkeypatch):
    monkeypatch.setattr(search, "NEWEST", 2)
    needle = indexed(text="needle", platform=kind.platform, kind=kind)
    for _ in range(5):
        indexed(text="hay", platform=kind.platform, kind=kind)
    assert found("needle", by=lena) == [needle]


# What is kept from whom


def test_nothing_of_another_platform_is_found(kind, lena):
    indexed(text="secret")
    assert found("secret", by=lena) == []


def test_who_has_no_role_may_not_search(platform):
    otto = make_person("otto", platform=platform)
    with pytest.raises(Forbidden):
        search.find(search.Question([], [], None, None, False, False), by=otto)


def test_an_erased_item_is_gone_at_once_and_stays_gone(kind, lena):
    item = indexed(text="secret", platform=kind.platform, kind=kind)
    erasure.erase_item(item, by=None, reason="asked for")
    assert found("secret", by=lena) == []
    search_entries.index_items([item.pk])
    assert not SearchEntry.objects.exists()


def test_a_decision_hidden_from_whoever_may_get_the_item_is_neither_shown_nor_asked_for(
    kind, lena, rosa
):
    item = decided(kind, rosa, text="again")
    blind_queue = make_queue(platform=kind.platform, blind=["history"])
    make_job(item=item, queue=blind_queue)
    remy = make_person("remy", platform=kind.platform)
    policy = item.decisions.get().policy_versions.get().policy
    for asked in (
        "decision:violating",
        "-decision:clean",
        "state:decided",
        f"policy:{policy.slug}",
    ):
        assert found(asked, by=remy) == [], asked
        assert found(asked, by=lena) == [item], asked
    (hit,) = search.find(search.understand("again", {}, by=remy), by=remy).hits
    assert hit.decision is None
    page = client_of(remy).get(reverse("reviews:search"), {"q": "again"}).content.decode()
    assert policy.name not in page.partition('<ol class="hits"')[2]


def test_a_hidden_author_is_neither_shown_nor_asked_for(kind, lena, rosa):
    account = make_account(platform=kind.platform, external_id="u-77", name="Secret Name")
    item = make_item(text="hello", account=account, platform=kind.platform, kind=kind)
    make_job(item=item, queue=make_queue(platform=kind.platform, blind=["author"]))
    search_entries.index_items([item.pk])
    assert found("account:u-77", by=rosa) == []
    assert found("account:u-77", by=lena) == [item]
    page = client_of(rosa).get(reverse("reviews:search"), {"q": "hello"}).content.decode()
    assert "Secret Name" not in page and "u-77" not in page


def test_a_page_is_filled_past_what_is_kept_from_her(kind, rosa):
    open_one = decided(kind, rosa, text="x")
    for _ in range(4):
        hidden = decided(kind, rosa, text="x")
        make_job(item=hidden, queue=make_queue(platform=kind.platform, blind=["history"]))
    question = search.understand("decision:violating", {}, by=rosa)
    page = search.find(question, by=rosa, limit=1)
    assert [hit.item for hit in page.hits] == [open_one]
    assert page.next_key == ""


# What a question may be


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("polcy:spam", "Did you mean “policy:”?"),
        ("policy:spma", "Did you mean “spam”?"),
        ("queue:zzzzzz", "There is nothing called “zzzzzz” here."),
        ("decision:bad", "There is nothing called “bad” here."),
        ("state:maybe", "open or decided"),
        ("from:yesterday", "2026-03-31"),
        ("from:2026-13-41", "2026-03-31"),
        ("from:2026-02-02 until:2026-02-01", "before the first"),
        ('say "hello', "never closed"),
        ("a " * 30, "at most 20"),
        ("a" * 501, "at most 500"),
        ('account:""', "Say what"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_in_words(lena, platform, asked, told):
    make_policy(platform=platform, slug="spam")
    with pytest.raises(Invalid, match=told.replace("?", r"\?")):
        search.understand(asked, {}, by=lena)


@pytest.mark.parametrize("asked", ["'", "\\", "a\\'b", ":*", "&|!<->()", "\x00", "=p1", "%s", "🙂"])
def test_no_sign_breaks_the_query(kind, lena, asked):
    indexed(text="words", platform=kind.platform, kind=kind)
    assert found(f"{asked} word", by=lena) == []


def test_a_page_of_another_search_is_refused(lena):
    question = search.understand("a", {}, by=lena)
    for after in ("x", "2026-01-01~1", "2026-01-01T00:00:00+00:00~x", "~"):
        with pytest.raises(Invalid):
            search.find(question, by=lena, after=after)


# The index


@pytest.mark.django_db(transaction=True)
def test_the_sweep_finds_what_was_added_and_what_was_moved():
    platform = make_platform()
    kind = make_kind(platform=platform, slug="post")
    make_queue(platform=platform)
    lena = make_person("lena", platform=platform)
    row = {"kind": "post", "external_id": "a-1", "content": {"body": "first words"}}
    intake.submit_items(platform, [row], by=None)
    item = Item.objects.get()
    _sweep_until(lambda: found("first", by=lena) == [item])
    intake.submit_items(platform, [{**row, "content": {"body": "second words"}}], by=None)
    _sweep_until(lambda: found("second", by=lena) == [item])
    assert found("first", by=lena) == []
    queue = make_queue(platform=kind.platform)
    item.jobs.update(queue=queue)
    search_entries.mark_items([item.pk])
    _sweep_until(lambda: found(f"queue:{queue.slug}", by=lena) == [item])
    assert search_entries.index_due() == 0


def _sweep_until(is_found):
    """What is there at one call is known to be whole by a later one: not before whoever writes at
    this moment, in any database of the server, is done."""

    def look() -> bool:
        search_entries.index_due()
        return is_found()

    wait_until(look, seconds=60)


def test_writing_an_entry_twice_changes_nothing(kind):
    item = indexed(text="words", platform=kind.platform, kind=kind)
    before = SearchEntry.objects.get()
    search_entries.index_items([item.pk, item.pk])
    assert SearchEntry.objects.get().terms == before.terms


# Page and API


def client_of(person):
    client = Client()
    client.force_login(person)
    return client


def test_the_page_shows_hits_marked_and_escaped(kind, lena):
    indexed(text="<b>free</b> prize", platform=kind.platform, kind=kind)
    text = client_of(lena).get(reverse("reviews:search"), {"q": "free"}).content.decode()
    assert "&lt;b&gt;<mark>free</mark>&lt;/b&gt; prize" in text


def test_text_that_arrives_covered_is_covered_among_the_hits(kind, lena, rosa):
    policy = make_policy(platform=kind.platform, slug="adult", name="Adult", covers_text=True)
    other = make_policy(platform=kind.platform, slug="spam")
    queue = make_queue(platform=kind.platform, policies=[policy, other], members=[rosa])
    for title, risk in (("Bare facts", 0.9), ("Plain facts", 0.01)):
        item = indexed(
            platform=kind.platform, kind=kind, title=title, text="prize", risks={"adult": risk}
        )
        make_job(queue=queue, item=item)
    page = client_of(lena).get(reverse("reviews:search"), {"q": "prize"}).content.decode()
    (cover,) = re.findall(r'<details class="veil">.*?</details>', page, re.DOTALL)
    assert "Bare facts" in cover and "prize</mark>" in cover and "Adult" in cover
    outside = page.replace(cover, "")
    assert "Bare facts" not in outside and "Plain facts" in outside


def test_the_page_says_what_is_wrong_beside_the_field_and_keeps_the_question(lena):
    answer = client_of(lena).get(reverse("reviews:search"), {"q": "polcy:x", "from": "soon"})
    assert answer.status_code == 422
    text = answer.content.decode()
    assert 'id="q-error"' in text and 'value="polcy:x"' in text and 'value="soon"' in text


def test_a_page_costs_as_many_queries_with_20_hits_as_with_2(kind, lena):
    client = client_of(lena)

    def queries():
        with CaptureQueriesContext(connection) as caught:
            client.get(reverse("reviews:search"), {"q": "spam"})
        return len(caught)

    for _ in range(2):
        indexed(text="spam", platform=kind.platform, kind=kind)
    client.get(reverse("reviews:search"), {"q": "spam"})
    few = queries()
    for _ in range(18):
        indexed(text="spam", platform=kind.platform, kind=kind)
    assert queries() == few


def test_the_api_gives_items_snippets_and_the_next_page(kind, lena):
    items = [indexed(text="free prize", platform=kind.platform, kind=kind) for _ in range(3)]
    url = reverse("reviews_api:item-search")
    first = client_of(lena).get(url, {"q": "prize", "limit": 2}).json()
    assert [one["id"] for one in first["results"]] == [items[2].pk, items[1].pk]
    assert {"text": "prize", "hit": True} in first["results"][0]["snippet"]
    rest = client_of(lena).get(url, {"q": "prize", "after": first["next_after"]}).json()
    assert [one["id"] for one in rest["results"]] == [items[0].pk]
    assert rest["next_after"] == ""


def test_the_api_refuses_a_bad_question_with_the_reason(lena):
    answer = client_of(lena).get(reverse("reviews_api:item-search"), {"q": "polcy:x"})
    assert answer.status_code == 422
    assert "Did you mean" in answer.content.decode()
