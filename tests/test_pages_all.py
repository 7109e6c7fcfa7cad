"""Every page for everyone who may open it: it renders, in few queries, however many rows."""

import re
import time
from functools import cached_property

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from reviews import (
    claims,
    clusters,
    decisions,
    dry_run,
    enforcement,
    policies,
    policy_texts,
    routing_versions,
    wellness,
)
from reviews.models import Cluster, Decision, Enforcement, ItemVersion, Report, Reporter
from tests.factories import (
    make_account,
    make_action,
    make_draw,
    make_item,
    make_job,
    make_platform,
    make_policy,
    make_queue,
    make_rules,
)
from tests.people import make_person

pytestmark = pytest.mark.django_db


class World:
    """One platform with the cast, a queue, and what a day of work leaves behind."""

    def __init__(self, jobs=3):
        self.platform = make_platform()
        names = ["rosa", "remy", "lena", "paul", "mila", "abel", "ada"]
        self.people = {name: make_person(name, platform=self.platform) for name in names}
        self.policy = make_policy(platform=self.platform, name="Spam and scams", key="1")
        self.remove = make_action(platform=self.platform, name="Remove", key="r")
        self.suspend = make_action(
            platform=self.platform, name="Suspend", key="l", needs_approval=True, target="account"
        )
        self.queue = make_queue(
            platform=self.platform,
            policies=[self.policy],
            actions=[self.remove, self.suspend],
            members=[self.people[name] for name in ("rosa", "remy", "lena")],
        )
        for number in range(jobs):
            self.add_job(number)
        self.draw = make_draw(queue=self.queue, lane="learning")
        rule = {"name": "Likely spam", "queue": self.queue.slug, "condition": "highest_risk > 0.9"}
        make_rules(self.platform)
        make_rules(self.platform, rule)
        flagged = {"fact": "sources", "op": "has", "value": "trusted_flagger"}
        risky = {"all": [{"fact": "highest_risk", "op": ">=", "value": 0.8}, {"not": flagged}]}
        self.draft = routing_versions.save_draft(
            self.platform, [{**rule, "condition": {"any": [risky, flagged]}}], edition=0, by=None
        )
        self.dry_run = dry_run.start_dry_run(self.draft, days=7, by=None)
        Reporter.objects.create(
            platform=self.platform,
            source="user",
            external_id="nora",
            filed=30,
            settled=21,
            upheld=18,
            trust=0.75,
        )

    @cached_property
    def drawn(self):
        """A job of the learning lane, from when it is first asked for."""
        item = make_item(platform=self.platform, title="Drawn to learn from")
        return make_job(queue=self.queue, item=item, lane="learning", rank=-1)

    def change_the_policy(self):
        """A new text in force: what was decided before is out of date."""
        text = policy_texts.text_of(self.policy.versions.get())
        policies.add_version(self.policy, by=None, text={**text._asdict(), "summary": "Stricter."})

    def add_job(self, number=0):
        account = make_account(platform=self.platform, name=f"author {number}")
        item = make_item(
            platform=self.platform,
            account=account,
            title=f"Offer {number}",
            text="Buy now at https://shop.example/buy",
            language="en",
            report_count=2,
            risks={self.policy.slug: 0.9},
            risk=0.9,
            risk_source="v1 zero-shot",
        )
        for source in ("user", "rule"):
            Report.objects.create(item=item, external_id=source, source=source, reason="Spam")
        return make_job(queue=self.queue, item=item, rank=number)

    def decide(self, name="rosa", verdict="violating"):
        person = self.people[name]
        job = claims.claim_next(self.queue, by=person)
        is_violating = verdict == "violating"
        return decisions.record_review(
            job.pk,
            job.claim_token,
            by=person,
            verdict=verdict,
            policy_slugs=[self.policy.slug] if is_violating else (),
            action_slugs=[self.remove.slug, self.suspend.slug] if is_violating else None,
            note="as usual",
        )

    def cluster(self):
        """The offers differ in their number only."""
        if not Cluster.objects.filter(platform=self.platform).exists():
            versions = ItemVersion.objects.filter(item__platform=self.platform)
            clusters.mark_versions(list(versions.values_list("pk", flat=True)))
            clusters.hash_due()
        return Cluster.objects.filter(platform=self.platform).first()

    def client(self, name):
        client = Client()
        client.force_login(self.people[name])
        return client

    def urls(self):
        item = self.queue.jobs.first().item_id
        return {
            "home": "/",
            "review": reverse("reviews:review", args=[self.queue.slug]),
            "decisions": reverse("reviews:decision-list"),
            "item": reverse("reviews:item-detail", args=[item]),
            "text": reverse("reviews:item-text", args=[item]),
            "queues": reverse("reviews:queue-list"),
            "queue": reverse("reviews:queue-detail", args=[self.queue.slug]),
            "draws": reverse("reviews:draw-list"),
            "draw": reverse("reviews:draw-detail", args=[self.draw.pk]),
            "sample": reverse("reviews:draw-create", args=[self.queue.slug]),
            "reporters": reverse("reviews:reporter-list"),
            "replays": reverse("reviews:replay-list", args=[self.queue.slug]),
            "roster": reverse("reviews:roster", args=[self.queue.slug]),
            "forecast": reverse("reviews:forecast"),
            "forecast-of": reverse("reviews:forecast-detail", args=[self.queue.slug]),
            "jobs": reverse("reviews:job-list", args=[self.queue.slug]),
            "operations": reverse("reviews:operation-list", args=[self.queue.slug]),
            "clusters": reverse("reviews:cluster-list") + "?state=all",
            "cluster": reverse("reviews:cluster-detail", args=[self.cluster().pk]),
            "policies": reverse("reviews:policy-list"),
            "policy": reverse("reviews:policy-detail", args=[self.policy.slug]),
            "kinds": reverse("reviews:setup-kind-list"),
            "kind": reverse("reviews:setup-kind-edit", args=[self.platform.kinds.first().slug]),
            "rules": reverse("reviews:setup-policy-list"),
            "rule": reverse("reviews:setup-policy-edit", args=[self.policy.slug]),
            "old": reverse("reviews:setup-policy-relabelling", args=[self.policy.slug]),
            "kind-new": reverse("reviews:setup-kind-new"),
            "rule-new": reverse("reviews:setup-policy-new"),
            "version": reverse("reviews:setup-policy-version", args=[self.policy.slug]),
            "enforcements": reverse("reviews:enforcement-list") + "?state=all",
            "audit": reverse("reviews:audit-list"),
            "routing": reverse("reviews:setup-routing", args=[self.platform.slug]),
            "routing-draft": reverse("reviews:setup-routing-draft", args=[self.platform.slug]),
            "routing-new": reverse("reviews:setup-routing-rule-new", args=[self.platform.slug]),
            "routing-rule": reverse(
                "reviews:setup-routing-rule-edit", args=[self.platform.slug, 1]
            ),
            "routing-publish": reverse("reviews:setup-routing-publish", args=[self.platform.slug]),
            "routing-version": reverse(
                "reviews:setup-routing-version", args=[self.platform.slug, 1]
            ),
            "dry-run": reverse(
                "reviews:setup-routing-dry-run", args=[self.platform.slug, self.dry_run.pk]
            ),
            "you": reverse("reviews:profile"),
            "own-keys": reverse("reviews:own-keys"),
            "own-filters": reverse("reviews:own-filters"),
            "own-break": reverse("reviews:own-break"),
            "wellness": reverse("reviews:wellness"),
            "own-wellness": reverse("reviews:own-wellness"),
            "limits": reverse("reviews:setup-limits", args=[self.platform.slug]),
            "setup-queues": reverse("reviews:setup-queue-list"),
            "setup-queue": reverse("reviews:setup-queue-edit", args=[self.queue.slug]),
            "setup-queue-new": reverse("reviews:setup-queue-new"),
            "setup-actions": reverse("reviews:setup-action-list"),
            "setup-action": reverse("reviews:setup-action-edit", args=[self.remove.slug]),
            "setup-action-new": reverse("reviews:setup-action-new"),
            "people": reverse("reviews:setup-person-list"),
            "person": reverse("reviews:setup-person-edit", args=["rosa"]),
            "person-new": reverse("reviews:setup-person-new"),
        }


@pytest.fixture(scope="module")
def kept(keep):
    return keep(World)


@pytest.fixture
def world(kept):
    return kept.copy()


_SEEN = (
    "setup-queues setup-queue setup-actions setup-action people person "
    "limits routing routing-draft routing-version dry-run kinds kind rules rule old"
)
_SET_UP = (
    f"{_SEEN} setup-queue-new setup-action-new routing-new routing-rule routing-publish kind-new"
)
_WORK = "jobs operations clusters cluster"
_PLANS = "replays roster forecast forecast-of"
_READS = (
    "home item text queues queue policies policy you own-keys own-filters own-wellness own-break"
)
PAGES_OF = {
    "rosa": f"{_READS} review decisions",
    "lena": f"{_READS} review decisions wellness enforcements draws draw sample reporters {_WORK} "
    f"{_PLANS} {_SET_UP}",
    "paul": f"{_READS} reporters {_PLANS} {_SET_UP} rule-new version",
    "mila": f"{_READS} draws draw sample {_WORK} {_PLANS}",
    "abel": f"{_READS} enforcements audit draws draw reporters {_WORK} {_PLANS} {_SEEN}",
    "ada": f"{_READS} enforcements audit draws draw reporters {_WORK} {_PLANS} {_SET_UP} "
    "person-new rule-new version",
}


@pytest.mark.parametrize("name", PAGES_OF)
def test_everyone_opens_what_her_role_allows_and_nothing_else(world, name):
    decision = world.decide()
    world.decide(verdict="clean")
    decisions.undo(decision, by=world.people["rosa"])
    client = world.client(name)
    for page, url in world.urls().items():
        status = client.get(url).status_code
        assert status == (200 if page in PAGES_OF[name].split() else 403), (page, status)


def test_a_page_costs_as_many_queries_with_25_rows_as_with_5(world, monkeypatch):
    # What is kept for five seconds may not run out between two looks, nor what was kept before.
    monkeypatch.setattr(wellness, "CARE_SECONDS", 600.0)
    wellness.forget()
    few = _queries(world, 5)
    assert _queries(world, 25) == few


def test_what_a_changed_policy_made_old_costs_as_many_queries_with_25_rows_as_with_5(world):
    world.change_the_policy()
    few = _queries(world, 5, pages=[("lena", "old")])
    assert _queries(world, 25, pages=[("lena", "old")]) == few


ALL_OF_LENA = [("lena", page) for page in PAGES_OF["lena"].split()]


def _queries(world, rows, pages=(*ALL_OF_LENA, ("abel", "audit"))):
    """How many each page asks when so many jobs wait and so many decisions are made."""
    found = {}
    clients = {name: world.client(name) for name, _ in pages}
    for name, page in pages:
        while world.queue.jobs.ready().count() < rows:
            world.add_job()
        while Decision.objects.count() < rows:
            world.add_job()
            world.decide("lena")
        url = world.urls()[page]
        clients[name].get(url)
        with CaptureQueriesContext(connection) as queries:
            assert clients[name].get(url).status_code == 200, page
        found[page] = len(queries)
    return found


def test_a_stranger_of_another_platform_finds_nothing(world):
    other = World(jobs=0)
    rosa = world.client("rosa")
    job = other.add_job()
    other.people["rosa"].platforms.remove(other.platform)
    for url in (
        reverse("reviews:item-detail", args=[job.item_id]),
        reverse("reviews:queue-detail", args=[other.queue.slug]),
        reverse("reviews:policy-detail", args=[other.policy.slug]),
        reverse("reviews:review", args=[other.queue.slug]),
    ):
        assert rosa.get(url).status_code == 404, url


def test_whoever_is_not_signed_in_is_sent_to_sign_in(world):
    for page, url in world.urls().items():
        answer = Client().get(url)
        assert answer.status_code == 302, page
        assert answer["Location"].startswith("/accounts/login/?next=/")


def test_a_person_without_a_role_is_told_whom_to_ask(db):
    client = Client()
    client.force_login(make_person("otto"))
    assert "You have no role yet" in client.get("/").content.decode()


def test_no_page_carries_inline_script_or_style_or_live_htmx_code(world):
    world.decide()
    for name, pages in PAGES_OF.items():
        client = world.client(name)
        for page in pages.split():
            text = client.get(world.urls()[page]).content.decode()
            assert not re.search(r"<script(?![^>]*\bsrc=)", text), page
            assert not re.search(r"\sstyle=|<style|\son\w+=|hx-on|hx-vals=.js", text), page


def test_a_lead_approves_what_somebody_else_asked_for(world):
    world.decide()
    Enforcement.objects.update(due_at="2020-01-01T00:00Z")
    enforcement.release_planned()
    held = Enforcement.objects.held().get()
    lena = world.client("lena")
    assert "Approve" in lena.get(reverse("reviews:enforcement-list")).content.decode()
    lena.post(reverse("reviews:enforcement-approve", args=[held.pk]))
    held.refresh_from_db()
    assert (held.state, held.approved_by.username) == ("due", "lena")


def test_a_lead_refuses_and_the_decision_stands(world):
    decision = world.decide()
    Enforcement.objects.update(due_at="2020-01-01T00:00Z")
    enforcement.release_planned()
    held = Enforcement.objects.held().get()
    world.client("lena").post(reverse("reviews:enforcement-refuse", args=[held.pk]))
    held.refresh_from_db()
    assert held.state == "reversed"
    assert Decision.objects.current().get() == decision


def test_a_lead_overrides_with_a_reason(world):
    decision = world.decide()
    lena = world.client("lena")
    url = reverse("reviews:decision-override", args=[decision.pk])
    assert lena.get(url).status_code == 200
    refused = lena.post(url, {"verdict": "clean", "note": ""})
    assert refused.status_code == 422
    lena.post(url, {"verdict": "clean", "note": "It is a parody."})
    new = Decision.objects.current().get()
    assert (new.verdict, new.supersedes) == ("clean", decision)


def test_a_reviewer_does_not_override(world):
    decision = world.decide()
    url = reverse("reviews:decision-override", args=[decision.pk])
    assert world.client("remy").get(url).status_code == 403


def test_audit_filters_live_in_the_url(world):
    world.decide()
    world.decide("remy")
    abel = world.client("abel")
    page = abel.get(reverse("reviews:audit-list"), {"who": "remy", "verb": "review.record"})
    assert [entry.actor.username for entry in page.context["entries"]] == ["remy"]
    page = abel.get(reverse("reviews:audit-list"), {"until": "2020-01-01"})
    assert page.context["entries"] == []


def test_audit_pages_are_told_from_each_other_by_key(world):
    for _ in range(3):
        world.decide()
    abel = world.client("abel")
    first = abel.get(reverse("reviews:audit-list")).context["entries"]
    rest = abel.get(reverse("reviews:audit-list"), {"before": first[0].pk}).context["entries"]
    assert [entry.pk for entry in rest] == [entry.pk for entry in first[1:]]


def test_audit_as_csv_is_what_is_shown_and_runs_no_formula(world):
    world.decide()
    answer = world.client("abel").get(reverse("reviews:audit-list"), {"format": "csv"})
    assert answer["Content-Type"].startswith("text/csv")
    assert "review.record" in answer.content.decode()


def test_the_auditor_sees_whether_the_chain_holds(world):
    from reviews import audit

    world.decide()
    audit.seal()
    abel = world.client("abel")
    assert "fit the chain" in abel.get(reverse("reviews:audit-list")).content.decode()
    whole = abel.get(reverse("reviews:audit-list"), {"verify": "all"}).content.decode()
    assert "The whole chain holds" in whole


def test_a_theme_is_kept_with_the_person(world):
    rosa = world.client("rosa")
    rosa.post(reverse("reviews:reading"), {"theme": "dark"})
    assert 'data-theme="dark"' in rosa.get("/").content.decode()
    assert rosa.post(reverse("reviews:reading"), {"theme": "plaid"}).status_code == 422


def test_the_queue_page_shows_by_which_model_it_is_ranked_and_when(world):
    from django.utils import timezone

    item = world.queue.jobs.first().item
    item.scored_at = timezone.now()
    item.save()
    text = world.client("lena").get(world.urls()["queue"]).content.decode()
    assert "Re-ranked" in text and "v1 zero-shot" in text


def test_a_reviewer_sees_the_queue_but_no_single_job(world):
    page = world.client("rosa").get(world.urls()["queue"])
    assert "rows" not in page.context


@pytest.mark.parametrize(
    "url",
    [
        "/accounts/login/",
        "/accounts/logout/",
        "/accounts/password/change/",
        "/accounts/2fa/",
        "/accounts/password/reset/",
        "/accounts/reauthenticate/",
    ],
)
def test_the_account_pages_wear_our_look(world, url):
    client = Client() if "login" in url else world.client("rosa")
    if "login" not in url:
        world.people["rosa"].set_password("correct horse battery staple")
        world.people["rosa"].save()
        client = Client()
        form = {"login": "rosa", "password": "correct horse battery staple"}
        assert client.post("/accounts/login/", form).status_code == 302
    text = client.get(url).content.decode()
    assert "console.css" in text and "<h1>" in text
    assert not re.search(r"\sstyle=|<style|src=.data:", text)


def test_an_unknown_page_is_ours_too(world):
    answer = world.client("rosa").get("/no/such/page/")
    assert answer.status_code == 404
    assert "There is no such page" in answer.content.decode()


def test_a_get_where_only_a_form_goes_says_so(world):
    answer = world.client("rosa").get(reverse("reviews:job-decide", args=[1]))
    assert answer.status_code == 405
    assert "Go back" in answer.content.decode()


def test_the_second_factor_goes_from_off_to_on_to_used(world):
    from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

    rosa = world.people["rosa"]
    rosa.set_password("correct horse battery staple")
    rosa.save()
    client = Client()
    client.post("/accounts/login/", {"login": "rosa", "password": "correct horse battery staple"})
    client.post("/accounts/reauthenticate/", {"password": "correct horse battery staple"})
    page = client.get("/accounts/2fa/totp/activate/")
    text = page.content.decode()
    assert "<svg" in text and "data:image" not in text
    secret = page.context["form"].secret
    code = format_hotp_value(hotp_value(secret, int(time.time()) // 30))
    client.post("/accounts/2fa/totp/activate/", {"code": code})
    assert "Turn off" in client.get("/accounts/2fa/").content.decode()
    codes = client.get("/accounts/2fa/recovery-codes/").context["unused_codes"]
    for url in ("/accounts/2fa/totp/deactivate/", "/accounts/2fa/recovery-codes/generate/"):
        assert client.get(url).status_code == 200
    fresh = Client()
    fresh.post("/accounts/login/", {"login": "rosa", "password": "correct horse battery staple"})
    assert "six digits" in fresh.get("/accounts/2fa/authenticate/").content.decode()
    assert fresh.post("/accounts/2fa/authenticate/", {"code": codes[0]})["Location"] == "/"
