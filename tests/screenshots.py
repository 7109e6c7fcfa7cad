"""Every page as a picture, to be looked at: `make screenshots` writes var/screenshots/*.png.

Not part of the suite. Wide and narrow, light and dark, full and empty, a dozen in high contrast.
`make screenshots PICTURES="models model" LOOKS="wide-light"` takes only these.
"""

from datetime import timedelta

import pytest
from django.utils import timezone

from reviews import claims, media_work, planning, replays
from reviews.demo import board_loading, loading
from reviews.models import Item, Job, Medium, Person, Queue
from tests import past
from tests.factories import (
    make_account,
    make_action,
    make_item,
    make_job,
    make_platform,
    make_policy,
    make_queue,
)
from tests.people import CAST, make_person
from tests.pictures import LOOKS, Camera
from tests.screenshots_day import Day
from tests.screenshots_texts import TEXTS

SHOTS = {
    "rosa": {
        "home": "/",
        "decisions": "/decisions/",
        "notifications": "/notifications/",
        "notification-choices": "/you/notifications/",
        "consultation": "consultation",
        "question": "question",
        "questions": "/questions/?state=all",
        "question-new": "/questions/new/?policy=spam",
        "item-notes": "noted item",
        "review": "/review/spam-and-scams/",
        "review-canned": "/review/spam-and-scams/",
        "review-strongest": "/review/spam-and-scams/",
        "review-empty": "/review/adult/",
        "review-blocks": "/review/posts/",
        "review-shortage": "/review/press/",
        "item": "first item",
        "policy": "/policies/phishing/",
        "policies": "/policies/",
        "you": "/you/",
        "own-keys": "/you/keys/",
        "own-filters": "/you/filters/",
        "own-wellness": "/you/wellness/",
        "own-break": "/you/break/",
        "password": "/accounts/password/change/",
        "second-factor": "/accounts/2fa/",
        "sign-out": "/accounts/logout/",
        "not-here": "/no/such/page/",
        "forbidden": "/audit/",
    },
    "ada": {
        "home-admin": "/",
        "setup": "/setup/",
        "person": "/setup/people/rosa/",
        "person-new": "/setup/people/new/",
    },
    "lena": {
        "home-lead": "/",
        "decisions-lead": "/decisions/",
        "enforcements-all": "/enforcements/?state=all",
        "item-text": "text",
        "item-reports": "reports",
        "job-assign": "/queues/spam-and-scams/jobs/change/?verb=assign&all=1",
        "setup-action-new": "/setup/actions/new/",
        "wellness": "/wellness/",
        "setup-limits": "/setup/wellness/harbour/",
        "setup-queues": "/setup/queues/",
        "setup-queue": "/setup/queues/spam-and-scams/",
        "setup-queue-new": "/setup/queues/new/",
        "setup-actions": "/setup/actions/",
        "setup-action": "/setup/actions/strike/",
        "people": "/setup/people/",
        "queues": "/queues/",
        "queue": "/queues/spam-and-scams/",
        "queue-lane": "/queues/press/?lane=adjudication",
        "review-lane": "/review/press/?lane=adjudication",
        "review-lane-empty": "/review/spam-and-scams/?lane=appeal",
        "enforcements": "/enforcements/",
        "override": "decision",
        "item-decided": "decided item",
        "jobs": "/queues/spam-and-scams/jobs/",
        "jobs-wrong": "/queues/spam-and-scams/jobs/?least=2&account=nobody",
        "jobs-none": "/queues/spam-and-scams/jobs/?language=fi",
        "job-move": "/queues/spam-and-scams/jobs/change/?verb=move&all=1",
        "job-raise": "/queues/spam-and-scams/jobs/change/?verb=raise&all=1&lane=risk",
        "operations": "/queues/spam-and-scams/operations/",
        "operations-none": "/queues/adult/operations/",
        "clusters": "/clusters/",
        "cluster": "largest cluster",
        "cluster-operation": "answered cluster",
        "item-why": "open item",
        "reporters": "/reporters/",
        "draws": "/draws/?empty=1",
        "draw": "draw",
        "sample": "/queues/spam-and-scams/draw/",
        "routing": "/setup/routing/",
        "routing-history": "/setup/routing/harbour/",
        "routing-draft": "/setup/routing/harbour/draft/",
        "routing-rule-new": "/setup/routing/harbour/draft/new/",
        "routing-rule": "/setup/routing/harbour/draft/1/",
        "routing-publish": "/setup/routing/harbour/publish/",
        "routing-version": "/setup/routing/harbour/versions/1/",
        "dry-run": "dry run",
        "setup-kinds": "/setup/kinds/",
        "setup-kind": "/setup/kinds/forum-post/",
        "setup-kind-new": "/setup/kinds/new/",
        "item-blocks": "post",
        "search": "/search/",
        "search-found": "/search/?q=account+-invoice",
        "search-filtered": "/search/?q=%22your+account%22&policy=spam",
        "search-wrong": "/search/?q=polcy:spam",
        "search-none": "/search/?q=qqqq",
    },
    "remy": {"home-asked": "/", "notifications-few": "/notifications/?unread=1"},
    "paul": {
        "home-owner": "/",
        "questions-open": "/questions/",
        "question-to-answer": "open question",
        "setup-policies": "/setup/policies/",
        "setup-policy": "/setup/policies/spam/",
        "setup-policy-version": "/setup/policies/spam/versions/3/",
        "setup-policy-version-new": "/setup/policies/spam/version/",
        "setup-policy-new": "/setup/policies/new/",
        "setup-relabelling": "/setup/policies/spam/relabelling/",
        "setup-relabelling-empty": "/setup/policies/adult/relabelling/",
    },
    "abel": {"home-auditor": "/", "audit": "/audit/", "item-audit": "decided item"},
    "mila": {"home-engineer": "/"},
    "otto": {"home-no-role": "/"},
    "": {"sign-in": "/accounts/login/"},
}


# What is pressed before the picture is taken.
KEYS = {"review": "1", "review-canned": "1i", "review-strongest": "y"}
# A dozen that are also taken in high contrast.
IN_CONTRAST = (
    "home",
    "home-lead",
    "queues",
    "queue",
    "jobs",
    "item",
    "clusters",
    "setup-queue",
    "search-found",
    "enforcements",
    "audit",
    "questions",
    "sign-in",
    "own-wellness",
)
EMPTY = {
    "rosa": {
        "empty-home": "/",
        "empty-decisions": "/decisions/",
        "empty-notifications": "/notifications/",
        "empty-questions": "/questions/",
        "empty-policies": "/policies/",
        "empty-own-wellness": "/you/wellness/",
    },
    "lena": {
        "empty-home-lead": "/",
        "empty-queues": "/queues/",
        "empty-clusters": "/clusters/",
        "empty-draws": "/draws/",
        "empty-reporters": "/reporters/",
        "empty-forecast": "/forecast/",
        "empty-enforcements": "/enforcements/",
        "empty-search": "/search/",
        "empty-search-none": "/search/?q=prize",
        "empty-wellness": "/wellness/",
        "empty-setup-queues": "/setup/queues/",
        "empty-setup-actions": "/setup/actions/",
        "empty-setup-kinds": "/setup/kinds/",
        "empty-routing": "/setup/routing/harbour/",
        "empty-routing-draft": "/setup/routing/harbour/draft/",
        "empty-setup": "/setup/",
    },
    "paul": {
        "empty-home-owner": "/",
        "empty-setup-policies": "/setup/policies/",
        "empty-known": "/setup/known/",
        "empty-gates": "/ml/models/gates/",
        "empty-cases": "/ml/models/cases/",
    },
    "abel": {"empty-audit": "/audit/"},
    "mila": {
        "empty-home-engineer": "/",
        "empty-snapshots": "/ml/snapshots/",
        "empty-models": "/ml/models/",
        "empty-learning": "/ml/learning/",
        "empty-monitoring": "/ml/monitoring/",
    },
    "ada": {"empty-home-admin": "/", "empty-people": "/setup/people/"},
}


@pytest.fixture
def day(live_app):
    return Day()


def test_pictures(day, live_app, new_page, sign_in):
    camera = Camera(live_app, new_page, sign_in)
    _take(camera, day)
    for shot, template in (("server-failed", "500.html"), ("server-away", "503.html")):
        camera.shoot_template(shot, template)
    assert camera.too_wide == []


def test_pictures_in_german(day, live_app, new_page, sign_in):
    """Its words are longer: nothing may stand out of the page."""
    looks = [look for look in LOOKS if look[2] == "light"]
    camera = Camera(live_app, new_page, sign_in, looks=looks, ending="-de", locale="de")
    _take(camera, day)
    assert camera.too_wide == []


def _take(camera, day):
    decision = decision_to_show(day)
    first = Item.objects.order_by("pk").first().pk
    places = {
        "first item": f"/items/{first}/",
        "text": f"/items/{first}/text/",
        "reports": f"/items/{first}/reports/",
        "open item": f"/items/{Job.objects.ready().latest('rank').item_id}/",
        "draw": f"/draws/{day.draw.pk}/",
        "consultation": f"/consultations/{day.asked.pk}/",
        "question": f"/questions/{day.question.pk}/",
        "open question": f"/questions/{day.open_question.pk}/",
        "noted item": f"/items/{day.question.item_id}/notes/",
        "decided item": f"/items/{decision.item_id}/",
        "post": f"/items/{Item.objects.order_by('pk').last().pk}/",
        "largest cluster": f"/clusters/{day.cluster.pk}/",
        "answered cluster": f"/clusters/operations/{day.answered.pk}/",
        "decision": f"/decisions/{decision.pk}/override/",
        "dry run": f"/setup/routing/harbour/dry-runs/{day.dry_run.pk}/",
    }

    def before(page, shot):
        for key in KEYS.get(shot, ()):
            page.wait_for_timeout(200)
            page.keyboard.press(key)
        if shot == "review-strongest":
            page.locator("#_strongest [data-told]").wait_for()

    for name, pages in SHOTS.items():
        urls = {shot: places.get(where, where) for shot, where in pages.items()}
        person = day.people[name] if name else None
        camera.take(person, urls, contrast=IN_CONTRAST, before=before)


def test_pictures_of_an_empty_console(live_app, new_page, sign_in):
    """Its first day: people, and nothing else."""
    platform = make_platform(slug="harbour", name="Harbour")
    people = {name: make_person(name, platform=platform) for name in CAST}
    camera = Camera(live_app, new_page, sign_in)
    for name, pages in EMPTY.items():
        camera.take(people[name], pages)
    assert camera.too_wide == []


def test_pictures_of_refusals(live_app, new_page, sign_in):
    """Somebody archives a queue that another has changed, and one that has to stay."""
    platform = make_platform(slug="harbour", name="Harbour")
    lena = make_person("lena", platform=platform)
    common = {"platform": platform, "policies": [make_policy(platform=platform)]}
    make_queue(slug="pins", name="Pins", **common)
    make_queue(slug="mail", name="Mail", is_default=True, **common)
    camera = Camera(live_app, new_page, sign_in)
    page = new_page(reduced_motion="reduce")
    sign_in(page, lena)
    for shot, slug, seen in (("refused-stale", "pins", "999"), ("refused-default", "mail", None)):
        page.goto(f"{live_app}/setup/queues/{slug}/")
        with page.expect_navigation():
            page.locator("form[action$='/archive/']").evaluate(
                "(form, seen) => { if (seen) form.seen.value = seen; form.submit(); }", seen
            )
        camera.shoot(page, shot)
    page.goto(f"{live_app}/setup/queues/pins/")
    page.get_by_label("Name", exact=True).fill(" ")
    page.locator("main form .button.primary").first.click()
    camera.shoot(page, "refused-wrong")
    assert camera.too_wide == []


@pytest.fixture
def weeks(live_app):
    """Three queues with two weeks behind them, rosters, and a replay that is done."""
    platform = make_platform(slug="harbour", name="Harbour")
    people = {name: make_person(name, platform=platform) for name in CAST}
    now = claims.clock()
    for slug, name, sla, per_day, who in (
        ("phishing", "Phishing", 240, 60, "rosa"),
        ("adult", "Adult services", 720, 25, "remy"),
        ("spam-and-scams", "Spam and scams", 480, 200, "lena"),
    ):
        policy = make_policy(platform=platform, slug=f"{slug}-rule", name=name)
        queue = make_queue(
            platform=platform, slug=slug, name=name, policies=[policy], sla_minutes=sla
        )
        past.work_days(queue, [people[who]], policy, until=now, days=8, per_day=per_day)
        if slug != "adult":
            times = [planning.Times(day, 8, 18, 1) for day in range(5)]
            planning.save_roster(queue, times, by=people["lena"], note="Autumn")
    queue = Queue.objects.get(slug="spam-and-scams")
    planning.save_roster(
        queue, [*planning.times_of(queue), planning.Times(5, 9, 13, 1)], by=people["lena"]
    )
    run = replays.start_replay(
        queue,
        by=people["lena"],
        candidate=replays.read_candidate(queue, {"doubling_hours": 12, "soon_minutes": 30}),
        since=now - timedelta(days=7),
        until=now,
    )
    replays.run(run.pk)
    people["run"] = run
    return people


def test_pictures_of_weeks(weeks, live_app, new_page, sign_in):
    camera = Camera(live_app, new_page, sign_in)
    camera.take(
        weeks["lena"],
        {
            "replays": "/queues/spam-and-scams/replay/",
            "replay": f"/replays/{weeks['run'].pk}/",
            "forecast": "/forecast/",
            "forecast-what-if": "/forecast/?people=1&into=phishing&out=adult&hours=8-20&days=all",
            "forecast-queue": "/forecast/phishing/",
            "roster": "/queues/spam-and-scams/roster/",
            "weeks-home-lead": "/",
            "weeks-wellness": "/wellness/",
        },
        contrast=("forecast-queue", "replay"),
    )
    camera.take(weeks["rosa"], {"weeks-home": "/", "weeks-own-wellness": "/you/wellness/"})
    assert camera.too_wide == []


@pytest.fixture
def boards(live_app):
    """Mailhaven Boards as the demo has them, one medium still being prepared."""
    platform = loading.set_up_platform()
    board_loading.load_boards(platform)
    last = Medium.objects.latest("pk")
    Medium.objects.filter(pk=last.pk).update(due_at=timezone.now() + timedelta(hours=1))
    media_work.prepare_due(seconds=300)
    return platform


def test_pictures_of_boards(boards, live_app, new_page, sign_in):
    ids = dict(Item.objects.values_list("external_id", "pk"))
    camera = Camera(live_app, new_page, sign_in)
    camera.take(
        Person.objects.get(username="lena"),
        {
            "boards-desk": "/review/boards/",
            "boards-clips": "/review/clips/",
            "boards-pin": f"/items/{ids['b0010']}/",
            "boards-pin-arabic": f"/items/{ids['b0005']}/",
            "boards-profile": f"/items/{ids['b0019']}/",
            "boards-comment": f"/items/{ids['b0023']}/",
            "boards-clip": f"/items/{ids['b0027']}/",
            "boards-listing": f"/items/{ids['b0031']}/",
            "boards-voice": f"/items/{ids['b0033']}/",
            "boards-waiting": f"/items/{ids['b0034']}/",
            "boards-kind": "/setup/kinds/pin/",
        },
    )
    assert camera.too_wide == []


def decision_to_show(day):
    return day.people["rosa"].decisions.filter(verdict="violating").first()


@pytest.fixture
def side_by_side(live_app):
    """A queue that shows 24 posts on a page, and one of them decided."""
    platform = make_platform(slug="harbour", name="Harbour")
    people = {name: make_person(name, platform=platform) for name in CAST}
    policy = [
        make_policy(platform=platform, slug=slug, name=name, key=str(place))
        for place, (slug, name) in enumerate(
            [("nudity", "Nudity"), ("violence", "Violence"), ("spam", "Spam and scams")], start=1
        )
    ]
    policy[1].versions.update(severity_levels=["Mild", "Serious", "Severe"])
    queue = make_queue(
        platform=platform,
        slug="pins",
        name="Pins",
        policies=policy,
        actions=[make_action(platform=platform, slug="remove", name="Remove")],
        members=[people["rosa"], people["lena"]],
        page_size=24,
    )
    for number, (title, text, risk, _, _) in enumerate(TEXTS * 4):
        item = make_item(
            platform=platform,
            title=title,
            text=text,
            risk=risk,
            risks={"spam": risk} if risk else {},
            account=make_account(platform=platform),
        )
        make_job(queue=queue, item=item, rank=-number)
    return people


def test_pictures_of_a_page_of_items(side_by_side, live_app, new_page, sign_in):
    camera = Camera(live_app, new_page, sign_in)
    page = new_page()
    sign_in(page, side_by_side["rosa"])
    page.goto(f"{live_app}/grid/pins/")
    page.wait_for_timeout(900)
    for key in ("1", "ArrowRight", "0", "ArrowRight", "3", "Enter"):
        page.keyboard.press(key)
    page.get_by_text("3 answered.").wait_for()
    page.wait_for_timeout(700)
    for key in ("1", "ArrowRight"):
        page.keyboard.press(key)
    camera.shoot(page, "grid", with_contrast=True)
    page.keyboard.press("2")
    camera.shoot(page, "grid-levels")
    page.keyboard.press("Escape")
    page.keyboard.press(" ")
    camera.shoot(page, "grid-enlarged")
    camera.take(side_by_side["lena"], {"design": "/design/"}, contrast=("design",))
    assert camera.too_wide == []
