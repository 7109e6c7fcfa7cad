"""What speaks for a model: gathered on real rows, judged by gates, and no promotion without."""

from datetime import timedelta

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone

from mlhooks import (
    evidence,
    functional,
    gates,
    heads,
    promotions,
    registry,
    snapshot_files,
    snapshots,
    withdrawals,
)
from mlhooks.models import Evidence, FunctionalCase
from reviews import audit, erasure
from reviews.errors import Conflict, Forbidden, Invalid, NotFound
from reviews.models import AuditEntry, Item

from .factories import make_platform, make_policy, make_queue
from .people import make_person
from .test_learning import HAM, SPAM, decided, trained

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folders(settings, tmp_path):
    settings.SNAPSHOT_DIR, settings.MODEL_DIR = tmp_path / "snapshots", tmp_path / "models"


@pytest.fixture
def platform():
    platform = make_platform(slug="mail", name="Mail")
    platform.spam = make_policy(platform=platform, slug="spam", name="Spam")
    platform.queue = make_queue(platform=platform, policies=[platform.spam])
    platform.rosa = make_person("rosa", platform=platform)
    platform.mila = make_person("mila", platform=platform)
    platform.paul = make_person("paul", platform=platform)
    return platform


def register(platform, like, *, upside_down=False, snapshot=None):
    """A model of the champion's kind; upside down, it takes spam for ham."""
    head = registry.load(like)
    if upside_down:
        head = heads.ZeroShot(head.policies, head._away, head._near)
    return registry.register(
        platform,
        head,
        kind="trained",
        policy_versions=registry.in_force(platform),
        encoder_version=like.encoder,
        snapshot=snapshot or like.snapshot,
        evaluation={},
        by=None,
    )


def gathered(model_version) -> Evidence:
    found = evidence.start_gathering(model_version, by=None)
    evidence.gather(found.pk)
    found.refresh_from_db()
    assert found.state == "ready", found.error
    return found


def verdicts(found: Evidence) -> dict[str, str]:
    return {one.gate: one.verdict for one in evidence.outcomes(found)}


def test_a_training_run_gathers_evidence_beside_the_champion(platform):
    champion = registry.ensure_zero_shot(platform)
    for number, text in enumerate(SPAM + HAM):
        functional.add_cases(
            platform.spam,
            [functional.Case("plain", text, number < len(SPAM))],
            by=platform.paul,
        )
    run = trained(platform, decided(platform, test=24))
    found = evidence.newest(run.model_version)

    assert (found.state, found.champion) == ("ready", champion)
    figures = found.figures["policies"]["spam"]
    assert (figures["frozen"]["n"], figures["frozen"]["positives"]) == (24, 12)
    assert figures["functional"]["n"] == 8 and figures["functional"]["rate"] > 0.8
    assert figures["load"]["n"] > 50
    assert figures["parts"]["kinds"][0]["n"] == 24
    assert found.figures["leakage"] == {
        "test_rows": 24,
        "train_rows": 32,
        "exact": 0,
        "near": found.figures["leakage"]["near"],
        "item_versions": found.figures["leakage"]["item_versions"],
    }
    assert found.figures["speed"]["largest_difference"] < 0.02
    assert verdicts(found)["frozen"] == gates.PASS
    assert verdicts(found)["stream"] == gates.TOO_FEW

    promotion = promotions.propose(run.model_version, by=platform.mila, reason="better")
    promotions.approve(promotion, by=platform.paul)
    promotion.refresh_from_db()
    assert {one["gate"] for one in promotion.gates} == set(gates.GATES)


def test_a_worse_model_is_refused_and_says_which_gate(platform):
    champion = registry.ensure_zero_shot(platform)
    worse = register(platform, champion, upside_down=True, snapshot=decided(platform, test=24))
    found = gathered(worse)
    assert verdicts(found)["frozen"] == gates.FAIL

    promotion = promotions.propose(worse, by=platform.mila, reason="I like it")
    with pytest.raises(Conflict, match="spam/frozen"):
        promotions.approve(promotion, by=platform.paul)
    promotion.refresh_from_db()
    assert promotion.approved_at is None
    assert registry.champion(platform) == champion


def test_a_policy_owner_may_waive_a_failing_gate_but_nobody_her_own(platform):
    champion = registry.ensure_zero_shot(platform)
    worse = register(platform, champion, upside_down=True, snapshot=decided(platform, test=24))
    gathered(worse)
    promotion = promotions.propose(worse, by=platform.mila, reason="an experiment")
    with pytest.raises(Forbidden):
        promotions.waive(promotion, by=platform.mila, reason="because")
    with pytest.raises(Invalid):
        promotions.waive(promotion, by=platform.paul, reason=" ")
    promotions.waive(promotion, by=platform.paul, reason="The old one has to go today.")
    promotions.approve(promotion, by=platform.paul)
    assert registry.champion(platform) == worse
    entry = AuditEntry.objects.filter(verb="model.approve").latest("id")
    assert "spam/frozen" in entry.data["failed"]
    assert entry.data["waiver"] == "The old one has to go today."


def test_nothing_is_promoted_without_evidence_or_by_evidence_against_another(platform):
    first = registry.ensure_zero_shot(platform)
    one, two = register(platform, first), register(platform, first)
    promotion = promotions.propose(one, by=platform.mila, reason="new")
    with pytest.raises(Conflict, match="no evidence"):
        promotions.approve(promotion, by=platform.paul)
    waiting = evidence.start_gathering(one, by=platform.mila)
    with pytest.raises(Conflict, match="being gathered"):
        promotions.approve(promotion, by=platform.paul)
    with pytest.raises(Conflict, match="already"):
        evidence.start_gathering(one, by=platform.mila)
    evidence.gather(waiting.pk)
    gathered(two)
    promotions.approve(promotion, by=platform.paul)
    with pytest.raises(Conflict, match="another champion"):
        promotions.approve(promotions.propose(two, by=platform.mila, reason="newer"), by=None)


def test_gathering_twice_is_gathering_once(platform):
    found = gathered(register(platform, registry.ensure_zero_shot(platform)))
    before = Evidence.objects.values().get()
    evidence.gather(found.pk)
    assert Evidence.objects.values().get() == before


def test_a_silent_gathering_is_begun_again(platform):
    model_version = register(platform, registry.ensure_zero_shot(platform))
    found = evidence.start_gathering(model_version, by=None)
    long_ago = timezone.now() - timedelta(hours=1)
    Evidence.objects.filter(pk=found.pk).update(
        state="running", attempts=1, heartbeat_at=long_ago, created_at=long_ago
    )
    assert evidence.resume_stuck() == 1
    evidence.gather(found.pk)
    found.refresh_from_db()
    assert (found.state, found.attempts) == ("ready", 2)


def test_evidence_reads_what_took_the_place_of_a_withdrawn_snapshot(platform):
    snapshot = decided(platform, test=24)
    model_version = register(platform, registry.ensure_zero_shot(platform), snapshot=snapshot)
    assert gathered(model_version).figures["policies"]["spam"]["frozen"]["n"] == 24
    item = Item.objects.filter(split_group__in=groups_of_the_test_side(snapshot)).first()
    erasure.erase_item(item, by=make_person("ada", platform=platform), reason="She asked.")
    audit.seal()
    assert withdrawals.sweep() == 1

    early = evidence.start_gathering(model_version, by=None)
    evidence.gather(early.pk)
    early.refresh_from_db()
    assert (early.state, early.error) == (
        "failed",
        "The version that takes the snapshot's place is not ready yet.",
    )

    snapshot.refresh_from_db()
    snapshots.build(snapshot.replaced_by.pk)
    assert gathered(model_version).figures["policies"]["spam"]["frozen"]["n"] == 23


def groups_of_the_test_side(snapshot) -> list[str]:
    rows = snapshot_files.read_labels(snapshot, columns=["split", "split_group"]).to_pylist()
    return [row["split_group"] for row in rows if row["split"] == "test"]


def test_bounds_are_a_policy_owners_and_are_checked(platform):
    row = evidence.set_bounds(platform.spam, {"load": 1.2, "frozen": -0.01}, by=platform.paul)
    assert row.bounds == {"load": 1.2}  # the usual one is not kept
    entry = AuditEntry.objects.filter(verb="gate.edit").get()
    assert (entry.data["before"], entry.data["after"]) == ({}, {"load": 1.2})
    with pytest.raises(Invalid) as refusal:
        evidence.set_bounds(platform.spam, {"load": 0, "luck": 1}, by=platform.paul)
    assert set(refusal.value.details) == {"load", "luck"}
    with pytest.raises(Forbidden):
        evidence.set_bounds(platform.spam, {"load": 1.2}, by=platform.mila)


def test_cases_are_added_once_all_or_none(platform):
    cases = [functional.Case("plain", "Buy!", True), functional.Case("quoted", "“Buy!”", False)]
    assert functional.add_cases(platform.spam, cases, by=platform.paul) == 2
    assert functional.add_cases(platform.spam, cases, by=platform.paul) == 0
    with pytest.raises(Conflict, match="other answer"):
        functional.add_cases(
            platform.spam,
            [functional.Case("new", "Hi", False), functional.Case("plain", "Buy!", False)],
            by=platform.paul,
        )
    assert FunctionalCase.objects.count() == 2
    functional.archive_case(FunctionalCase.objects.get(text="Buy!"), by=platform.paul)
    with pytest.raises(Conflict):
        functional.archive_case(FunctionalCase.objects.get(text="Buy!"), by=platform.paul)
    verbs = AuditEntry.objects.filter(verb__startswith="functional.")
    assert sorted(verbs.values_list("verb", flat=True)) == ["functional.add", "functional.archive"]


@pytest.mark.parametrize(
    "text, words",
    [
        ("text,answer\nx,clean\n", "no column functionality"),
        ("functionality,text,answer\nplain,x,perhaps\n", "Row 1"),
    ],
)
def test_a_file_of_cases_says_what_is_wrong_with_it(text, words):
    with pytest.raises(Invalid, match=words):
        functional.read_csv(text)
    found = functional.read_csv("functionality,text,answer\n plain ,Buy!,Violating\n")
    assert found == [functional.Case("plain", "Buy!", True)]


def test_another_platforms_gates_and_cases_are_not_hers(platform):
    elsewhere = make_policy(platform=make_platform())
    for work in (
        lambda: evidence.set_bounds(elsewhere, {}, by=platform.paul),
        lambda: functional.add_cases(
            elsewhere, [functional.Case("a", "b", True)], by=platform.paul
        ),
    ):
        with pytest.raises(NotFound):
            work()


def test_served_scores_are_what_was_trained(platform):
    """The stored half-precision vector gives what a fresh one gives, within rounding."""
    encoder = registry.usual_encoder()
    head = registry.load(registry.ensure_zero_shot(platform))
    fresh = encoder.encode(SPAM)
    stored = fresh.astype(np.float16).astype(np.float32)
    assert np.abs(head.predict(fresh, SPAM) - head.predict(stored, SPAM)).max() < 0.02


def test_a_champion_that_cannot_be_asked_is_no_gate_passed_in_silence(platform, client):
    champion = registry.ensure_zero_shot(platform)
    candidate = register(platform, champion, snapshot=decided(platform, test=24))
    (registry.folder(champion) / registry.WEIGHTS).write_bytes(b"not what it was")
    found = gathered(candidate)
    assert verdicts(found)["frozen"] == gates.TOO_FEW
    assert champion.label in found.figures["champion_silent"]
    client.force_login(platform.paul)
    page = client.get(reverse("mlhooks:model-detail", args=[candidate.pk])).content.decode()
    assert "The champion could not be asked, so no gate compares with it" in page
