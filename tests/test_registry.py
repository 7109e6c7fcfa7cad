"""Model versions: kept, verified, proposed, approved by another, rolled back."""

import numpy as np
import pytest

from mlhooks import heads, promotions, registry, scoring
from mlhooks.models import DueScore, ModelVersion, Promotion
from reviews.errors import Conflict, Forbidden, Invalid, NotFound
from reviews.models import AuditEntry
from tests.factories import make_evidence, make_item, make_job, make_platform, make_policy
from tests.people import make_person

pytestmark = pytest.mark.django_db

State = ModelVersion.State


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.MODEL_DIR = tmp_path


@pytest.fixture
def platform():
    policy = make_policy()
    return policy.platform


@pytest.fixture
def mila(platform):
    return make_person("mila", platform=platform)


@pytest.fixture
def paul(platform):
    return make_person("paul", platform=platform)


def make_head(platform, seed=0):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(2, 8)).astype(np.float32)
    slugs = [policy.slug for policy in platform.policies.all()]
    return heads.ZeroShot(slugs, [vectors] * len(slugs), [-vectors] * len(slugs))


def make_version(platform, *, by=None, seed=0) -> ModelVersion:
    version = registry.register(
        platform,
        make_head(platform, seed),
        kind=ModelVersion.Kind.TRAINED,
        policy_versions=registry.in_force(platform),
        encoder_version="tiny@0/fp32",
        snapshot=None,
        evaluation={},
        by=by,
    )
    make_evidence(version)
    return version


def make_champion(platform, **kw) -> ModelVersion:
    version = make_version(platform, **kw)
    promotion = promotions.propose(version, by=None, reason="the first")
    return promotions.approve(promotion, by=None)


def test_numbers_run_without_gaps_and_the_files_are_in_place(platform, mila):
    first, second = make_version(platform), make_version(platform, by=mila)
    assert [first.number, second.number] == [1, 2]
    names = {path.name for path in registry.folder(second).iterdir()}
    assert names == {"weights.safetensors", "head.json", "README.md"}
    assert second.state == State.CANDIDATE
    entry = AuditEntry.objects.filter(verb="model.register").latest("id")
    assert (entry.actor, entry.data["label"]) == (mila, "v2 trained")


def test_a_failed_registration_leaves_no_file_and_takes_no_number(platform):
    with pytest.raises(Invalid):
        registry.register(
            platform,
            make_head(platform),
            kind="trained",
            policy_versions=[],
            encoder_version="tiny@0/fp32",
            snapshot=None,
            evaluation={},
            by=None,
        )
    assert make_version(platform).number == 1


def test_what_is_loaded_says_what_was_saved(platform):
    version = make_version(platform)
    x = np.random.default_rng(1).normal(size=(5, 8)).astype(np.float32)
    expected = make_head(platform).predict(x, [""] * 5)
    assert np.array_equal(registry.load(version).predict(x, [""] * 5), expected)


@pytest.mark.parametrize("name", ["weights.safetensors", "head.json"])
def test_a_tampered_file_is_refused(platform, name):
    version = make_version(platform)
    path = registry.folder(version) / name
    path.write_bytes(path.read_bytes().replace(b"zero-shot", b"zero_shot"))
    with pytest.raises(Conflict):
        registry.load(version)


def test_a_missing_file_is_refused(platform):
    version = make_version(platform)
    (registry.folder(version) / "weights.safetensors").unlink()
    with pytest.raises(Conflict):
        registry.load(version)
    with pytest.raises(Conflict):
        registry.verify(version)


def test_ensure_zero_shot_makes_the_first_champion_once():
    policy = make_policy()
    first = registry.ensure_zero_shot(policy.platform)
    assert registry.ensure_zero_shot(policy.platform) == first
    assert first.state == State.CHAMPION
    assert list(first.policy_versions.all()) == [policy.version]
    assert Promotion.objects.get().approved_at is not None


def test_a_platform_without_policies_has_nothing_to_score_for():
    with pytest.raises(Invalid):
        registry.ensure_zero_shot(make_platform())


def test_two_people_promote(platform, mila, paul):
    champion, candidate = make_champion(platform), make_version(platform, seed=1)
    promotion = promotions.propose(candidate, by=mila, reason="AUPRC .9 against .6")
    with pytest.raises(Forbidden):
        promotions.approve(promotion, by=mila)
    promotions.approve(promotion, by=paul)
    champion.refresh_from_db()
    promotion.refresh_from_db()
    assert (champion.state, candidate.state) == (State.RETIRED, State.CHAMPION)
    assert (promotion.previous, promotion.approved_by) == (champion, paul)
    verbs = AuditEntry.objects.filter(actor__isnull=False).values_list("verb", "actor__username")
    assert list(verbs.order_by("id")) == [("model.propose", "mila"), ("model.approve", "paul")]


def test_approval_makes_everything_that_waits_due_again(platform, paul):
    waiting = make_item(platform=platform)
    make_job(item=waiting)
    done = make_item(platform=platform)
    make_job(item=done, state="done")
    promotion = promotions.propose(make_version(platform), by=None, reason="first")
    promotions.approve(promotion, by=paul)
    assert [row.item_version.item for row in DueScore.objects.all()] == [waiting]


def test_a_promotion_is_approved_once(platform, mila, paul):
    promotion = promotions.propose(make_version(platform), by=mila, reason="better")
    promotions.approve(promotion, by=paul)
    with pytest.raises(Conflict):
        promotions.approve(promotion, by=paul)
    with pytest.raises(Conflict):
        promotions.withdraw(promotion, by=mila)


def test_one_open_proposal_a_version_until_it_is_withdrawn(platform, mila):
    version = make_version(platform)
    promotion = promotions.propose(version, by=mila, reason="better")
    with pytest.raises(Conflict):
        promotions.propose(version, by=mila, reason="really")
    promotions.withdraw(promotion, by=mila)
    assert promotions.propose(version, by=mila, reason="really").pk != promotion.pk


def test_the_champion_cannot_be_proposed_and_a_reason_is_needed(platform, mila):
    champion = make_champion(platform)
    with pytest.raises(Conflict):
        promotions.propose(champion, by=mila, reason="again")
    with pytest.raises(Invalid):
        promotions.propose(make_version(platform), by=mila, reason="  ")


def test_a_tampered_version_is_not_promoted(platform, mila, paul):
    version = make_version(platform)
    promotion = promotions.propose(version, by=mila, reason="better")
    (registry.folder(version) / "weights.safetensors").write_bytes(b"something else")
    with pytest.raises(Conflict):
        promotions.approve(promotion, by=paul)
    assert registry.champion(platform) is None


def test_roll_back_takes_one_step_and_one_person(platform, mila):
    first, second = make_champion(platform), make_champion(platform, seed=1)
    make_job(item=make_item(platform=platform))
    assert promotions.roll_back(platform, by=mila) == first
    second.refresh_from_db()
    assert (registry.champion(platform), second.state) == (first, State.RETIRED)
    assert DueScore.objects.count() == 1
    with pytest.raises(Conflict):
        promotions.roll_back(platform, by=mila)


def test_a_retired_version_may_come_back_and_roll_back_again(platform, mila, paul):
    first, second = make_champion(platform), make_champion(platform, seed=1)
    make_evidence(first)
    promotions.approve(promotions.propose(first, by=mila, reason="it was better"), by=paul)
    assert promotions.roll_back(platform, by=mila) == second
    assert promotions.roll_back(platform, by=mila) == first


@pytest.mark.parametrize("name", ["rosa", "abel", "otto"])
def test_others_may_neither_propose_nor_approve_nor_roll_back(platform, mila, name):
    stranger = make_person(name, platform=platform)
    version = make_version(platform)
    promotion = promotions.propose(version, by=mila, reason="better")
    for deed in (
        lambda: promotions.propose(version, by=stranger, reason="better"),
        lambda: promotions.approve(promotion, by=stranger),
        lambda: promotions.roll_back(platform, by=stranger),
    ):
        with pytest.raises(Forbidden):
            deed()


def test_another_platforms_model_does_not_exist_for_her(platform):
    version = make_version(platform)
    stranger = make_person("mila", platform=make_platform())
    with pytest.raises(NotFound):
        promotions.propose(version, by=stranger, reason="better")


def test_the_card_of_a_zero_shot_model_says_it_has_seen_no_labels():
    policy = make_policy()
    card = registry.model_card(registry.ensure_zero_shot(policy.platform))
    assert card.startswith("---\nlibrary_name: trustconsole\n")
    assert "no labels" in card
    assert "not calibrated on your data" in card
    assert policy.name in card


def test_the_card_shows_the_evaluation(platform):
    version = make_version(platform)
    slug = platform.policies.get().slug
    figures = {"n": 100, "positives": 10, "auprc": 0.5, "auprc_interval": [0.4, 0.6], "ece": 0.01}
    version.evaluation = {"candidate": {slug: {**figures, "answered_by": "few-shot"}}}
    card = registry.model_card(version)
    assert "| 100 | 10 | 0.500 (0.400–0.600) |" in card
    assert "| few-shot |" in card


def test_scoring_follows_the_champion(platform):
    first = registry.ensure_zero_shot(platform)
    assert scoring._scorer(platform.pk).label == first.label
    second = registry.register(
        platform,
        heads.ZeroShot.from_policies(
            registry.policy_texts(registry.in_force(platform)), registry.usual_encoder().encode
        ),
        kind="few-shot",
        policy_versions=registry.in_force(platform),
        encoder_version=registry.usual_encoder().version,
        snapshot=None,
        evaluation={},
        by=None,
    )
    make_evidence(second)
    promotions.approve(promotions.propose(second, by=None, reason="newer"), by=None)
    assert scoring._scorer(platform.pk).label == "v2 few-shot"


@pytest.mark.django_db(transaction=True)
def test_many_at_once_register_without_a_gap_and_crown_one_champion():
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connection

    platform = make_policy().platform

    def work(n):
        try:
            return registry.ensure_zero_shot(platform).pk, make_version(platform, seed=n).number
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(work, range(6)))
    assert len({champion for champion, _ in found}) == 1
    assert sorted(number for _, number in found) == list(range(2, 8))
    assert platform.model_versions.filter(state=State.CHAMPION).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_promotion_approved_twice_at_once_counts_once(mila, platform):
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connection

    promotion = promotions.propose(make_version(platform), by=mila, reason="better")

    def work(_):
        try:
            promotions.approve(Promotion.objects.get(pk=promotion.pk), by=None)
            return 1
        except Conflict:
            return 0
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 1
