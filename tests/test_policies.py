"""Policies and their versions: dates, what may be changed when, and the instant one takes over."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone, translation

from reviews import claims, decisions, policies, policy_texts, revisions
from reviews.errors import Conflict, Forbidden, Invalid, NotFound
from reviews.models import AuditEntry, Finding, Policy, PolicyVersion
from tests.conftest import wait_until
from tests.factories import claimed_job, make_item, make_job, make_platform, make_policy, make_queue
from tests.people import make_person

pytestmark = pytest.mark.django_db

TEXT = {
    "summary": "Unwanted mail.",
    "definition": "Mail nobody asked for.",
    "examples": ["Buy now", "  Buy   now ", "", "Win"],
    "counter_examples": ["Your order is on its way"],
    "severity": "3",
    "severity_weight": "8.5",
    "legal_category": "Fraud",
}


@pytest.fixture
def platform():
    return make_platform()


@pytest.fixture
def paul(platform):
    return make_person("paul", platform=platform)


@pytest.fixture
def policy(platform):
    return make_policy(platform=platform, slug="spam", name="Spam")


def later(**kw):
    return timezone.now() + timedelta(**kw)


def test_a_new_policy_has_a_first_version_in_force_and_is_audited(platform, paul):
    policy = policies.create_policy(
        platform, by=paul, slug="spam", name="Spam", key="S", position="2", text=TEXT
    )
    version = policy.versions.in_force().get()
    assert (policy.key, policy.position) == ("s", 2)
    assert (version.number, version.severity, version.severity_weight) == (1, 3, 8.5)
    assert version.examples == ["Buy now", "Win"]
    assert version.created_by == paul
    verbs = list(AuditEntry.objects.order_by("id").values_list("verb", flat=True))
    assert verbs == ["policy.save", "policyversion.create"]


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"slug": "Sp am"}, "slug"),
        ({"slug": "new"}, "slug"),
        ({"name": " "}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"key": "0"}, "key"),
        ({"key": "ab"}, "key"),
        ({"position": "-1"}, "position"),
        ({"position": "1.5"}, "position"),
        ({"position": "nan"}, "position"),
        ({"effective_at": "past"}, "effective_at"),
        ({"effective_at": "never"}, "effective_at"),
    ],
)
def test_what_is_wrong_with_a_policy_is_said_beside_it(platform, paul, given, wrong):
    times = {"past": later(minutes=-1), "never": later(days=5000)}
    if "effective_at" in given:
        given = {"effective_at": times[given["effective_at"]]}
    with pytest.raises(Invalid) as caught:
        policies.create_policy(
            platform, by=paul, **{"slug": "spam", "name": "Spam", "text": TEXT, **given}
        )
    assert set(caught.value.details) == {wrong}
    assert not Policy.objects.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("summary", ""),
        ("summary", "x" * 201),
        ("definition", " \n "),
        ("definition", "x" * 20_001),
        ("examples", ["x" * 2_001]),
        ("examples", [str(n) for n in range(201)]),
        ("counter_examples", ["x" * 2_001]),
        ("severity", "5"),
        ("severity", ""),
        ("severity_weight", "0"),
        ("severity_weight", "-1"),
        ("severity_weight", "nan"),
        ("severity_weight", "1e9"),
        ("legal_category", "x" * 81),
    ],
)
def test_what_is_wrong_with_a_text_is_said_beside_it(policy, paul, name, value):
    with pytest.raises(Invalid) as caught:
        policies.add_version(policy, by=paul, text={**TEXT, name: value})
    assert set(caught.value.details) == {name}
    assert policy.versions.count() == 1


def test_a_nul_never_reaches_the_database(policy, paul):
    text = {**TEXT, "summary": "a\x00b", "definition": "c\x00d\r\ne", "examples": ["f\x00g"]}
    version = policies.add_version(policy, by=paul, text=text)
    assert (version.summary, version.definition, version.examples) == ("ab", "cd\ne", ["fg"])


def test_a_version_in_force_is_followed_and_never_edited_nor_withdrawn(policy, paul):
    second = policies.add_version(policy, by=paul, text=TEXT)
    assert policy.versions.in_force().get() == second
    with pytest.raises(Conflict, match="decisions point at it"):
        policies.save_version(second, by=paul, text=TEXT)
    with pytest.raises(Conflict, match="decisions point at it"):
        policies.withdraw_version(second, by=paul)
    assert policies.versions_of(policy).values_list("state", flat=True)[0] == "in_force"


def test_a_version_to_come_is_changed_and_withdrawn_and_both_are_audited(policy, paul):
    at = later(days=3)
    coming = policies.add_version(policy, by=paul, text=TEXT, effective_at=at)
    assert policy.versions.in_force().get().number == 1
    other = later(days=4)
    policies.save_version(coming, by=paul, text={**TEXT, "summary": "Else."}, effective_at=other)
    coming.refresh_from_db()
    assert (coming.summary, coming.effective_at) == ("Else.", other)
    entry = AuditEntry.objects.get(verb="policyversion.save")
    assert entry.data["changed"] == ["summary", "effective_at"]
    assert entry.data["before"]["summary"] == "Unwanted mail."
    policies.withdraw_version(coming, by=paul)
    assert policy.versions.count() == 1
    entry = AuditEntry.objects.get(verb="policyversion.withdraw")
    assert entry.data["text"]["summary"] == "Else."
    with pytest.raises(Conflict, match="withdrawn meanwhile"):
        policies.save_version(coming, by=paul, text=TEXT)


def test_nobody_changes_a_version_in_its_last_moments(policy, paul):
    coming = policies.add_version(policy, by=paul, text=TEXT, effective_at=later(seconds=3))
    with pytest.raises(Conflict):
        policies.save_version(coming, by=paul, text=TEXT, effective_at=later(days=1))


def test_a_version_that_says_nothing_new_is_refused(policy, paul):
    policies.add_version(policy, by=paul, text=TEXT)
    with pytest.raises(Invalid, match="says the same as version 2"):
        policies.add_version(policy, by=paul, text=TEXT)


def test_an_old_text_is_put_back_as_a_new_version(policy, paul):
    policies.add_version(policy, by=paul, text=TEXT)
    back = policies.put_back_version(policy.version, by=paul)
    assert (back.number, back.definition) == (3, "What it forbids.")
    assert policy.versions.in_force().get() == back
    assert AuditEntry.objects.filter(verb="policyversion.create").last().data["restores"] == 1


def test_a_difference_is_told_in_words_and_as_lines():
    old = policy_texts.Text("a", "one\ntwo", ["x"], [], 2, 4.0, "")
    new = policy_texts.Text("b", "one\nthree\nfour", ["x", "y"], [], 3, 6.0, "Fraud")
    assert policy_texts.in_words(old, new) == (
        "More severe (Medium to High); weight in harm 4 to 6; definition: 2 lines new, 1 line "
        "gone; examples: 1 new; summary reworded; legal category: Fraud."
    )
    changes = {change.name: change for change in policy_texts.compare(old, new)}
    assert changes["definition"].lines[1:] == [" one", "-two", "+three", "+four"]
    assert (changes["severity"].before, changes["severity"].after) == ("Medium", "High")
    assert policy_texts.in_words(old, old) == "Says the same."
    with translation.override("de"):
        assert policy_texts.in_words(old, new).endswith(
            "Definition: 2 Zeilen neu, 1 Zeile weg; Beispiele: 1 neu; Kurzfassung umformuliert; "
            "Rechtsgrundlage: Fraud."
        )


def test_the_trail_is_english_whoever_changed_a_version_to_come(policy, paul):
    at = later(days=3)
    coming = policies.add_version(policy, by=paul, text=TEXT, effective_at=at)
    milder = {**TEXT, "severity": "2"}
    with translation.override("de"):
        policies.save_version(coming, by=paul, text=milder, effective_at=at)
        coming.refresh_from_db()
        policies.withdraw_version(coming, by=paul)
    saved = AuditEntry.objects.get(verb="policyversion.save")
    assert saved.data["before"]["severity"] == "High"
    withdrawn = AuditEntry.objects.get(verb="policyversion.withdraw")
    assert withdrawn.data["text"]["severity"] == "Medium"


def test_name_key_and_place_are_kept_as_revisions_and_put_back(policy, paul):
    policies.save_policy(policy, by=paul, name="Junk", key="j", position=3, note="clearer", seen=0)
    assert [one.number for one in revisions.history(policy)] == [2, 1]
    with pytest.raises(Conflict):
        policies.save_policy(policy, by=paul, name="Mine", key="", position=0, seen=0)
    policies.put_back(policy, 1, by=paul, seen=2)
    policy.refresh_from_db()
    assert policy.name == "Spam"


def test_a_policy_is_archived_once_no_queue_judges_it(policy, paul):
    queue = make_queue(platform=policy.platform, policies=[policy])
    with pytest.raises(Conflict, match=queue.name):
        policies.archive_policy(policy, by=paul)
    queue.policies.clear()
    assert policies.archive_policy(policy, by=paul).is_archived
    assert not policies.archive_policy(policy, by=paul, is_archived=False).is_archived


def test_a_lead_runs_the_work_not_the_rules_and_a_stranger_finds_none(policy):
    lena = make_person("lena", platform=policy.platform)
    with pytest.raises(Forbidden):
        policies.add_version(policy, by=lena, text=TEXT)
    stranger = make_person("paul", platform=make_platform())
    for call in (
        lambda: policies.add_version(policy, by=stranger, text=TEXT),
        lambda: policies.save_version(policy.version, by=stranger, text=TEXT),
        lambda: policies.withdraw_version(policy.version, by=stranger),
        lambda: policies.put_back_version(policy.version, by=stranger),
        lambda: policies.save_policy(policy, by=stranger, name="x", key="", position=0),
        lambda: policies.archive_policy(policy, by=stranger),
    ):
        with pytest.raises(NotFound):
            call()


# The instant of the switch


def decide(queue, person, item=None):
    job = claimed_job(person, queue=queue, item=item or make_item(platform=queue.platform))
    decision = decisions.record_review(
        job.pk, job.claim_token, by=person, verdict="violating", policy_slugs=["spam"]
    )
    judged = Finding.objects.get(review=decision.review).policy_version
    assert decision.policy_versions.get() == judged
    return judged.number, decision


@pytest.mark.django_db(transaction=True)
def test_decisions_around_the_switch_point_at_the_text_of_their_own_moment(db):
    policy = make_policy(slug="spam")
    queue = make_queue(platform=policy.platform, policies=[policy])
    rosa = make_person("rosa", platform=policy.platform)
    coming = policies.add_version(
        policy, by=None, text=TEXT, effective_at=claims.clock() + timedelta(seconds=2)
    )
    before, decision = decide(queue, rosa)
    assert before == 1 and decision.decided_at < coming.effective_at
    seen = []

    def work():
        try:
            while claims.clock() < coming.effective_at + timedelta(seconds=0.2):
                seen.append(decide(queue, rosa))
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert {number for number, _ in seen} == {1, 2}
    for number, decision in seen:
        # The version is looked up a moment before the claim ends, in the same transaction.
        slack = timedelta(seconds=0.5)
        if decision.decided_at < coming.effective_at:
            assert number == 1
        elif decision.decided_at > coming.effective_at + slack:
            assert number == 2
    numbers = [number for number, _ in seen]
    assert numbers == sorted(numbers), "the old text came back after the switch"
    assert wait_until(lambda: policy.versions.in_force().get() == coming)


def test_a_version_of_the_future_judges_nothing_even_with_a_higher_number(policy):
    queue = make_queue(platform=policy.platform, policies=[policy])
    rosa = make_person("rosa", platform=policy.platform)
    policies.add_version(policy, by=None, text=TEXT, effective_at=later(hours=1))
    urgent = policies.add_version(policy, by=None, text={**TEXT, "summary": "Urgent."})
    assert decide(queue, rosa)[0] == urgent.number == 3


def test_the_desk_and_the_decision_read_the_same_text(policy):
    from reviews import desk

    queue = make_queue(platform=policy.platform, policies=[policy])
    rosa = make_person("rosa", platform=policy.platform)
    policies.add_version(policy, by=None, text=TEXT)
    assert desk.read_rules(queue.pk).versions[0].number == decide(queue, rosa)[0] == 2


def test_of_two_texts_with_one_date_the_later_number_holds(policy):
    at = timezone.now() - timedelta(hours=1)
    for number in (2, 3):
        PolicyVersion.objects.create(
            policy=policy, number=number, summary="x", definition="x", effective_at=at
        )
    queue = make_queue(platform=policy.platform, policies=[policy])
    rosa = make_person("rosa", platform=policy.platform)
    assert decide(queue, rosa)[0] == 3
    states = dict(policies.versions_of(policy).values_list("number", "state"))
    assert states == {3: "in_force", 2: "past", 1: "past"}


def test_the_model_goes_on_scoring_as_it_was_built_and_its_page_says_so(policy, settings, tmp_path):
    from django.test import Client
    from django.urls import reverse

    from mlhooks import due, registry, scoring
    from mlhooks.models import Score

    settings.MODEL_DIR = tmp_path
    queue = make_queue(platform=policy.platform, policies=[policy])
    item = make_item(platform=policy.platform)
    make_job(queue=queue, item=item)
    champion = registry.ensure_zero_shot(policy.platform)
    client = Client()
    client.force_login(make_person("mila", platform=policy.platform))
    url = reverse("mlhooks:model-detail", args=[champion.pk])
    assert "is in force since" not in client.get(url).content.decode()
    policies.add_version(policy, by=None, text=TEXT)
    due.mark_versions([item.current_version.pk])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE mlhooks_duescore SET due_at = due_at - interval '1 minute'")
    assert scoring.score_due() == 1
    # The score says which text it is about: the one that the model was built on.
    assert Score.objects.get().policy_version.number == 1
    text = client.get(url).content.decode()
    assert "Built on version 1; version 2 is in force since" in text
    models = client.get(reverse("mlhooks:model-list")).content.decode()
    assert "was built on older texts: Spam version 1 (version 2 is in force since" in models
