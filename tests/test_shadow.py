"""A candidate in the champion's shadow: it says what it thinks, and nothing follows from it."""

from datetime import timedelta

import numpy as np
import pytest
from django.conf import settings as django_settings
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse
from scipy import stats

from mlhooks import (
    concordance,
    due,
    heads,
    promotions,
    rates,
    registry,
    scoring,
    shadow_scores,
    shadows,
    tasks,
)
from mlhooks.models import Disagreement, ModelVersion, Score, Shadow, ShadowScore
from reviews import claims, decisions, tokens
from reviews.errors import Conflict, Forbidden, Invalid, NotFound
from reviews.models import AuditEntry, Draw, Item, Job, Lane, Person

from .factories import make_evidence, make_item, make_job, make_platform, make_policy, make_queue
from .people import make_person
from .test_access import client_of

HAM = [
    "The meeting moved to Thursday, see you there",
    "Here are the minutes of the call",
    "Could you review the draft before lunch?",
    "The train was late again, I will be home around eight",
]
SPAM = [
    "Buy cheap watches now, limited offer, click here",
    "You won a prize, send your bank details to claim the money",
    "Make money fast from home, no risk, guaranteed income",
    "Cheap pills without prescription, order online today",
]


# What two models have in common


@pytest.mark.parametrize("seed", range(4))
def test_rank_correlations_are_those_of_the_reference(seed):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=300).round(1 if seed % 2 else 6)  # with and without ties
    b = (a + rng.normal(size=300) * seed).round(1)
    assert concordance.spearman(a, b).value == pytest.approx(stats.spearmanr(a, b).statistic)
    assert concordance.kendall(a, b).value == pytest.approx(stats.kendalltau(a, b).statistic)


def test_the_interval_of_a_correlation_covers_the_truth_nineteen_times_in_twenty():
    rng = np.random.default_rng(1)
    # For two normals with correlation r, Spearman's is 6/π · asin(r/2), Kendall's 2/π · asin(r).
    r = 0.6
    truths = 6 / np.pi * np.arcsin(r / 2), 2 / np.pi * np.arcsin(r)
    hits = np.zeros(2)
    for _ in range(400):
        a, b = rng.multivariate_normal([0, 0], [[1, r], [r, 1]], size=80).T
        for n, found in enumerate((concordance.spearman(a, b), concordance.kendall(a, b))):
            hits[n] += found.low <= truths[n] <= found.high
    assert (hits / 400 > 0.92).all() and (hits / 400 < 0.985).all(), hits / 400


def test_a_correlation_needs_items_and_two_models_that_tell_them_apart():
    assert concordance.spearman([0.1] * 9, [0.2] * 9) is None
    assert concordance.spearman(np.arange(20), [0.5] * 20) is None
    assert concordance.kendall(np.arange(20), [0.5] * 20) is None
    assert concordance.kendall(np.arange(20), np.arange(20))[:3] == (1, 1, 1)


def test_flips_are_counted_each_way_at_each_ones_own_threshold():
    first, second = [0.1, 0.4, 0.6, 0.9], [0.7, 0.1, 0.2, 0.8]
    found = concordance.flips(first, second, first_threshold=0.5, second_threshold=0.3)
    # 0.1 → 0.7 comes above, 0.6 → 0.2 falls below, the others stay.
    assert (found.to_above.hits, found.to_below.hits, found.n) == (1, 1, 4)
    assert (found.first_above, found.second_above) == (2, 2)
    assert found.to_above.low < 0.25 < found.to_above.high


def test_a_weighted_share_is_hajeks_with_as_many_rows_as_its_weights_are_worth():
    # (10·1 + 10·0 + 1·1 + 1·1) / 22 = 12/22; effective: 22² / (100 + 100 + 1 + 1) = 2.396
    found = rates.rate([1, 0, 1, 1], weights=[10, 10, 1, 1])
    assert found.value == pytest.approx(12 / 22)
    assert found.effective == pytest.approx(22**2 / 202)
    assert (found.n, found.hits) == (4, 3)
    even = rates.rate([1] * 30 + [0] * 70)
    assert (even.low, even.high) == pytest.approx((0.2189, 0.3958), abs=1e-4)  # Wilson, 30 of 100
    assert rates.rate([]) is None


# In the product


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.MODEL_DIR = tmp_path
    scoring._scorers.clear()
    shadow_scores._heads.clear()


@pytest.fixture
def platform(db):
    platform = make_platform(slug="mail", name="Mail")
    platform.spam = make_policy(platform=platform, slug="spam", name="Spam")
    platform.people = {
        name: make_person(name, platform=platform) for name in ("rosa", "lena", "mila", "paul")
    }
    platform.queue = make_queue(
        platform=platform, policies=[platform.spam], members=[platform.people["rosa"]]
    )
    platform.champion = registry.ensure_zero_shot(platform)
    return platform


def candidate(platform, *, upside_down=False, threshold=None, encoder=None) -> ModelVersion:
    head = registry.load(platform.champion)
    if upside_down:
        head = heads.ZeroShot(head.policies, head._away, head._near)
    return registry.register(
        platform,
        head,
        kind="trained",
        policy_versions=registry.in_force(platform),
        encoder_version=encoder or platform.champion.encoder,
        snapshot=None,
        evaluation={"candidate": {"spam": {"threshold": threshold}}} if threshold else {},
        by=None,
    )


def come_in(platform, texts, *, lane=Lane.RISK):
    items = [make_item(platform=platform, text=text) for text in texts]
    for item in items:
        make_job(queue=platform.queue, item=item, lane=lane)
    due.mark_versions([item.current_version.pk for item in items])
    return items


def at_odds(platform, count=40) -> ModelVersion:
    """A shadow that flags everything beside a champion that flags nothing, on `count` items."""
    platform.champion.evaluation = {"candidate": {"spam": {"threshold": 1.0}}}
    platform.champion.save()
    shadow = candidate(platform, threshold=1e-6)
    shadows.start(shadow, by=platform.people["mila"])
    come_in(platform, [f"{(SPAM + HAM)[n % 8]} {n}" for n in range(count)])
    scoring.score_due()
    return shadow


def test_a_shadow_scores_what_comes_in_beside_the_champion(platform):
    before = come_in(platform, SPAM[:1])
    scoring.score_due()
    shadow = candidate(platform, upside_down=True)
    shadows.start(shadow, by=platform.people["mila"])
    items = come_in(platform, SPAM[1:] + HAM)
    scoring.score_due()

    assert not ShadowScore.objects.filter(item_version__item__in=before).exists()
    rows = ShadowScore.objects.filter(item_version__item__in=items)
    assert rows.count() == 7
    for row in rows:
        assert row.model_version == shadow and row.beside == platform.champion
        champion = Score.objects.get(item_version=row.item_version)
        assert champion.probability == pytest.approx(row.beside_probability)
        assert champion.model_version == platform.champion
    (found,) = shadows.compare(shadow, platform.champion)
    assert found.n == 7 and found.spearman is None  # too few for a correlation
    pairs = np.array(rows.values_list("probability", "beside_probability"))
    assert np.corrcoef(pairs.T)[0, 1] < -0.5  # it was turned upside down


def test_ranks_and_risks_are_to_the_byte_what_they_are_without_a_shadow(platform):
    texts = SPAM + HAM

    def stand() -> list:
        Job.objects.update(created_at="2026-01-01T00:00:00Z")
        return list(
            Item.objects.filter(jobs__isnull=False)
            .order_by("external_id")
            .values_list(
                "risk", "risks", "risk_source", "jobs__rank", "jobs__harm", "jobs__lane",
                "jobs__draw_id", "jobs__due_at",
            )
        )  # fmt: skip

    items = come_in(platform, texts)
    # One and the same moment of submission: the rank counts the hours since.
    Item.objects.update(submitted_at="2026-01-01T00:00:00Z")
    scoring.score_due()
    without = stand()
    scores = list(Score.objects.order_by("item_version").values_list("probability", flat=True))

    for upside_down in (True, False):
        shadows.start(candidate(platform, upside_down=upside_down), by=None)
    due.mark_versions([item.current_version.pk for item in items])
    assert scoring.score_due() == len(texts)

    assert stand() == without
    assert repr(stand()) == repr(without)
    again = Score.objects.order_by("item_version").values_list("probability", flat=True)
    assert list(again) == scores
    assert ShadowScore.objects.count() == 2 * len(texts)


def test_a_shadow_that_breaks_hurts_nobody_and_says_so(platform, monkeypatch):
    broken, sound = candidate(platform), candidate(platform)
    for one in (broken, sound):
        shadows.start(one, by=None)
    (registry.folder(broken) / registry.WEIGHTS).write_bytes(b"not what it was")
    items = come_in(platform, SPAM)
    assert scoring.score_due() == 4
    assert Item.objects.filter(pk__in=[one.pk for one in items], risk__isnull=False).count() == 4
    assert ShadowScore.objects.filter(model_version=sound).count() == 4
    assert broken.label in Shadow.objects.get(model_version=broken).error
    assert Shadow.objects.get(model_version=sound).error == ""


def test_a_shadow_by_an_encoder_that_is_not_here_is_passed_over(platform):
    other = candidate(platform)
    shadows.start(other, by=None)
    ModelVersion.objects.filter(pk=other.pk).update(encoder="another@0123456789ab/fp32")
    come_in(platform, SPAM[:1])
    assert scoring.score_due() == 1
    assert "was made with the encoder another@0123456789ab" in Shadow.objects.get().error
    assert not ShadowScore.objects.exists()


def test_only_a_candidate_goes_into_the_shadow(platform, settings):
    mila = platform.people["mila"]
    with pytest.raises(Conflict, match="only a candidate"):
        shadows.start(platform.champion, by=mila)
    with pytest.raises(Forbidden):
        shadows.start(candidate(platform), by=platform.people["paul"])
    stranger = Person.objects.get(pk=mila.pk)
    stranger.platforms.clear()
    with pytest.raises(NotFound):
        shadows.start(candidate(platform), by=stranger)
    stranger.platforms.add(platform)
    settings.SHADOWS_MOST = 1
    first, second = candidate(platform), candidate(platform)
    shadows.start(first, by=mila)
    with pytest.raises(Conflict, match="1 models stand"):
        shadows.start(second, by=mila)
    with pytest.raises(Conflict, match="only a candidate"):
        shadows.start(first, by=mila)


def test_into_the_shadow_and_back_is_audited_and_ends_its_scores(platform):
    model, mila = candidate(platform), platform.people["mila"]
    shadows.start(model, by=mila)
    assert ModelVersion.objects.get(pk=model.pk).state == "shadow"
    shadows.stop(model, by=mila)
    assert ModelVersion.objects.get(pk=model.pk).state == "candidate"
    period = Shadow.objects.get()
    assert (period.started_by, period.stopped_by) == (mila, mila)
    assert period.stopped_at is not None
    with pytest.raises(Conflict):
        shadows.stop(model, by=mila)
    come_in(platform, SPAM[:1])
    scoring.score_due()
    assert not ShadowScore.objects.exists()
    verbs = list(AuditEntry.objects.order_by("id").values_list("verb", flat=True))
    assert verbs[-2:] == ["model.shadow", "model.unshadow"] or verbs.count("model.shadow") == 1


def test_a_shadow_becomes_the_champion_and_stands_in_nobodys_shadow(platform):
    model = candidate(platform)
    shadows.start(model, by=None)
    make_evidence(model)
    promotion = promotions.propose(model, by=platform.people["mila"], reason="It held up.")
    promotions.approve(promotion, by=platform.people["paul"])
    assert registry.champion(platform) == model
    assert Shadow.objects.get().stopped_at is not None
    come_in(platform, SPAM[:1])
    scoring.score_due()
    assert not ShadowScore.objects.exists()


def test_figures_beside_the_champion_by_policy_and_day(platform):
    shadow = at_odds(platform)
    ShadowScore.objects.filter(pk__in=ShadowScore.objects.values("pk")[:15]).update(
        created_at=Now() - timedelta(days=2)
    )
    (found,) = shadows.compare(shadow, platform.champion)
    assert (found.policy, found.n) == (platform.spam, 40)
    assert found.spearman.value == pytest.approx(1)  # the same head, other thresholds
    assert found.kendall.value == pytest.approx(1)
    assert (found.flips.to_above.hits, found.flips.to_below.hits) == (40, 0)
    days = shadows.load_by_day(shadow, platform.champion, platform.spam)
    assert [(one.n, one.champion, one.shadow) for one in days] == [(15, 0, 15), (25, 0, 25)]
    other = candidate(platform)
    assert shadows.compare(other, platform.champion) == []


# Who is right


def test_disagreements_are_drawn_blind_with_one_known_chance(platform):
    shadow = at_odds(platform)
    mila = platform.people["mila"]
    held = claims.claim_next(platform.queue, by=platform.people["rosa"])
    assert shadows.waiting_disagreements(shadow, platform.queue) == 39
    draw = shadows.draw_disagreements(shadow, platform.queue, expected=13, by=mila)

    assert (draw.strategy, draw.lane) == (Draw.Strategy.POISSON_DISAGREEMENT, Lane.LEARNING)
    assert (draw.pool_size, draw.probability) == (39, pytest.approx(13 / 39))
    jobs = draw.jobs.all()
    assert 3 <= len(jobs) <= 24  # 13 on average, sd 2.9
    assert {job.lane for job in jobs} == {"learning"} <= set(Lane.blind())
    assert {job.inclusion_probability for job in jobs} == {13 / 39}
    rows = Disagreement.objects.all()
    assert {row.job_id for row in rows} == {job.pk for job in jobs}
    assert all(row.flags and row.probability > row.beside_probability - 1e-9 for row in rows)
    assert Job.objects.get(pk=held.pk).lane == Lane.RISK
    # What is drawn is in no pool any more.
    assert shadows.waiting_disagreements(shadow, platform.queue) == 39 - len(jobs)


def test_nothing_is_drawn_where_nobody_disagrees_or_nobody_may(platform):
    shadow = candidate(platform)
    shadows.start(shadow, by=None)
    come_in(platform, HAM)
    scoring.score_due()
    mila = platform.people["mila"]
    with pytest.raises(Conflict, match="On nothing that waits"):
        shadows.draw_disagreements(shadow, platform.queue, expected=5, by=mila)
    with pytest.raises(Invalid):
        shadows.draw_disagreements(shadow, platform.queue, expected=0, by=mila)
    with pytest.raises(Forbidden):
        shadows.draw_disagreements(shadow, platform.queue, expected=5, by=platform.people["rosa"])
    shadows.stop(shadow, by=mila)
    with pytest.raises(Conflict, match="not in the shadow"):
        shadows.draw_disagreements(shadow, platform.queue, expected=5, by=mila)


def test_who_was_right_is_weighted_back_to_all_disagreements(platform):
    shadow, rosa = at_odds(platform, count=60), platform.people["rosa"]
    for expected in (20, 10):
        shadows.draw_disagreements(shadow, platform.queue, expected=expected, by=None)
    (found,) = shadows.who_was_right(shadow)
    assert found.shadow is None and found.drawn == Disagreement.objects.count() > 5

    hits, weights = [], []
    for number, job in enumerate(Job.objects.filter(lane="learning").order_by("pk")):
        Job.objects.filter(pk=job.pk).update(assigned_to=rosa)
        job = claims.claim_next(platform.queue, by=rosa)
        is_spam = number % 3 == 0
        decisions.record_review(
            job.pk,
            job.claim_token,
            by=rosa,
            verdict="violating" if is_spam else "clean",
            policy_slugs=["spam"] if is_spam else [],
            active_seconds=2,
        )
        hits.append(is_spam)  # the shadow flags all of them
        weights.append(1 / job.inclusion_probability)
    (found,) = shadows.who_was_right(shadow)
    assert found.shadow.n == len(hits) == found.flagged.n and found.unflagged is None
    assert found.shadow.value == pytest.approx(np.average(hits, weights=weights))
    assert found.shadow.low < found.shadow.value < found.shadow.high


def test_what_was_taken_back_says_of_nobody_that_he_was_right(platform):
    """The shadow flags everything, a reviewer agrees, and takes her decision back."""
    shadow, rosa = at_odds(platform, count=6), platform.people["rosa"]
    shadows.draw_disagreements(shadow, platform.queue, expected=6, by=None)
    Job.objects.filter(lane="learning").update(assigned_to=rosa)
    for _ in range(2):
        job = claims.claim_next(platform.queue, by=rosa)
        decision = decisions.record_review(
            job.pk,
            job.claim_token,
            by=rosa,
            verdict="violating",
            policy_slugs=["spam"],
            active_seconds=2,
        )
    (found,) = shadows.who_was_right(shadow)
    assert (found.shadow.n, found.shadow.value) == (2, 1)
    decisions.undo(decision, by=rosa)
    (found,) = shadows.who_was_right(shadow)
    assert (found.shadow.n, found.shadow.value) == (1, 1)


# For how long


def test_old_shadow_scores_go_and_what_was_drawn_is_kept(platform):
    shadow = at_odds(platform, count=10)
    shadows.draw_disagreements(shadow, platform.queue, expected=10, by=None)
    drawn = Disagreement.objects.count()
    assert tasks.prune_shadow_scores() == 0
    days = django_settings.SHADOW_DAYS
    ShadowScore.objects.filter(
        pk__in=list(ShadowScore.objects.values_list("pk", flat=True)[:4])
    ).update(created_at=Now() - timedelta(days=days, minutes=1))
    assert tasks.prune_shadow_scores() == 4
    assert tasks.prune_shadow_scores() == 0
    assert ShadowScore.objects.count() == 6
    assert Disagreement.objects.count() == drawn == 10


# Pages and API


def test_an_engineer_puts_it_there_looks_and_draws_on_pages(platform):
    client = client_of(platform.people["mila"])
    model = candidate(platform)
    page = client.get(reverse("mlhooks:model-detail", args=[model.pk])).content.decode()
    assert "Put it into the shadow" in page
    client.post(reverse("mlhooks:shadow-start", args=[model.pk]))
    page = client.get(reverse("mlhooks:model-detail", args=[model.pk])).content.decode()
    assert "Take it out of the shadow" in page and "Nothing has come in since" in page

    shadow = at_odds(platform)
    url = reverse("mlhooks:shadow-detail", args=[shadow.pk])
    page = client.get(url).content.decode()
    assert "1.00" in page and "(40)" in page  # τ, and the queue's disagreements
    draw = reverse("mlhooks:shadow-draw", args=[shadow.pk])
    refused = client.post(draw, {"queue": platform.queue.slug, "expected": "many"})
    assert refused.status_code == 422
    assert 'value="many"' in refused.content.decode()
    assert client.post(draw, {"queue": platform.queue.slug, "expected": "40"}).status_code == 302
    assert Disagreement.objects.count() == 40
    assert "On nothing that waits do the two disagree" in client.get(url).content.decode()
    evidence = client.get(reverse("mlhooks:evidence-detail", args=[shadow.pk])).content.decode()
    assert "Flags more" in evidence


def test_whoever_answers_a_disagreement_sees_no_score_and_no_reason(platform):
    shadow, rosa = at_odds(platform, count=4), platform.people["rosa"]
    shadows.draw_disagreements(shadow, platform.queue, expected=4, by=None)
    job = claims.claim_next(platform.queue, by=rosa)
    assert job.lane == "learning"
    desk = client_of(rosa).get(reverse("reviews:review", args=[platform.queue.slug]))
    page = desk.content.decode()
    assert "disagree" not in page and shadow.label not in page
    assert platform.champion.label not in page
    item = client_of(rosa).get(reverse("reviews:item-detail", args=[job.item_id]))
    assert platform.champion.label not in item.content.decode()


def test_the_api_says_what_the_page_says(platform):
    shadow = at_odds(platform)
    _, text = tokens.create_token("t", platform=platform, scopes=["models:read"], by=None)
    url = reverse("mlhooks_api:shadow", args=[shadow.number])
    found = Client().get(url, headers={"Authorization": f"Bearer {text}"}).json()
    assert (found["state"], found["champion"]) == ("shadow", platform.champion.number)
    (policy,) = found["policies"]
    assert (policy["policy"], policy["n"], policy["to_violating"]["hits"]) == ("spam", 40, 40)
    assert policy["days"][0]["shadow"] == 40


def test_a_program_draws_disagreements_too(platform):
    shadow = at_odds(platform)
    _, text = tokens.create_token("t", platform=platform, scopes=["models:write"], by=None)
    url = reverse("mlhooks_api:shadow-draws", args=[shadow.number])

    def draw(**body):
        return Client().post(
            url, body, content_type="application/json", headers={"Authorization": f"Bearer {text}"}
        )

    found = draw(queue=platform.queue.slug, expected=40)
    assert found.status_code == 201
    body = found.json()
    assert (body["pool"], body["drawn"], body["probability"]) == (40, 40, 1.0)
    assert Draw.objects.get(pk=body["draw"]).lane == Lane.LEARNING
    assert Disagreement.objects.count() == 40
    assert draw(queue=platform.queue.slug, expected=40).status_code == 409  # nothing is left
    assert draw(queue=platform.queue.slug, expected=0).status_code == 422
    assert draw(queue="other", expected=1).status_code == 404
    elsewhere = make_queue(platform=make_platform(slug="other"))
    with pytest.raises(Conflict, match="of another platform"):
        shadows.draw_disagreements(shadow, elsewhere, expected=1, by=None)
