"""Draws into the lanes: who is drawn with which chance, what is kept of it, and what answers do."""

from collections import Counter

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from reviews import claims, decisions, draw_pools, draws, gold, intake, routing, sampling
from reviews.errors import Conflict, Forbidden, Invalid
from reviews.models import (
    AuditEntry,
    Decision,
    Draw,
    Gold,
    Item,
    Job,
    Lane,
    Review,
)
from tests.factories import (
    claimed_job,
    make_item,
    make_job,
    make_kind,
    make_platform,
    make_policy,
    make_queue,
    make_rules,
)
from tests.people import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def platform(db):
    platform = make_platform()
    platform.kind = make_kind(platform=platform, slug="message")
    platform.spam = make_policy(platform=platform, slug="spam")
    platform.people = {
        name: make_person(name, platform=platform) for name in ("rosa", "remy", "lena", "mila")
    }
    platform.queue = make_queue(
        platform=platform,
        is_default=True,
        policies=[platform.spam, make_policy(platform=platform, slug="scam")],
        members=[platform.people[name] for name in ("rosa", "remy", "lena")],
        draw_seed=7,
        undo_seconds=0,
    )
    return platform


def submit(platform, count, start=0):
    rows = [
        {"kind": "message", "external_id": f"m-{n}", "content": {"body": f"text {n}"}}
        for n in range(start, start + count)
    ]
    return [one.item_id for one in intake.submit_items(platform, rows, by=None)]


def configure(queue, **values):
    type(queue).objects.filter(pk=queue.pk).update(**values)
    queue.refresh_from_db()


def decide(platform, *, by="rosa", verdict="violating", item=None, policies=("spam",), **kw):
    person = platform.people[by]
    item = item or make_item(kind=platform.kind)
    job = claimed_job(person, queue=platform.queue, item=item, **kw)
    return answer(platform, job, by=by, verdict=verdict, policies=policies)


def answer(platform, job, *, by, verdict="violating", policies=("spam",)):
    return decisions.record_review(
        job.pk,
        job.claim_token,
        by=platform.people[by],
        verdict=verdict,
        policy_slugs=policies if verdict == "violating" else (),
    )


def let_time_pass(seconds=60):
    """Undo windows close; decisions are append-only, so behind the trigger's back."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "UPDATE reviews_decision SET undo_until = undo_until - make_interval(secs => %s)",
            [seconds],
        )
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


# Rows


def test_a_job_outside_the_risk_lane_has_a_draw_and_a_probability(platform):
    job = make_job(queue=platform.queue)
    for values in (
        {"lane": "random"},
        {"lane": "random", "inclusion_probability": 0.5},
        {"inclusion_probability": 0},
        {"inclusion_probability": 1.1},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Job.objects.filter(pk=job.pk).update(**values)


def test_a_draw_is_never_edited(platform):
    configure(platform.queue, random_rate=1)
    submit(platform, 1)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Draw.objects.update(seed=2)


# Random


def test_each_call_is_a_draw_of_its_own_and_says_from_how_many(platform):
    configure(platform.queue, random_rate=0.5)
    first, second = submit(platform, 40), submit(platform, 20, start=40)
    one, other = Draw.objects.order_by("pk")
    assert (one.pool_size, other.pool_size) == (40, 20)
    for draw, ids in ((one, first), (other, second)):
        drawn = set(draw.jobs.values_list("item_id", flat=True))
        assert draw.drawn == len(drawn)
        assert drawn == {pk for pk in ids if routing.draw_value(7, pk) < 0.5}


def test_a_draw_that_hit_nobody_is_kept_too(platform):
    """Or the share of those drawn would look larger than it is."""
    configure(platform.queue, random_rate=1e-9)
    submit(platform, 3)
    draw = Draw.objects.get()
    assert (draw.pool_size, draw.drawn, draw.jobs.count()) == (3, 0, 0)


def test_a_queue_that_draws_nothing_keeps_no_draws(platform):
    submit(platform, 3)
    assert not Draw.objects.exists()


# Learning


def score(item_ids, risks, source="v2 trained"):
    pairs = zip(item_ids, risks, strict=True)
    intake.set_risks({pk: {"spam": risk, "scam": 0.01} for pk, risk in pairs}, source=source)


def test_scores_draw_for_learning_near_the_threshold_first_and_keep_how(platform):
    configure(platform.queue, learning_rate=0.2)
    ids = submit(platform, 300)
    risks = [0.5 if n % 10 == 0 else 0.02 for n in range(300)]
    score(ids, risks)
    draw = Draw.objects.get()
    assert (draw.lane, draw.strategy, draw.model_version) == (
        Lane.LEARNING,
        Draw.Strategy.POISSON_BAND,
        "v2 trained",
    )
    jobs = list(Job.objects.filter(lane=Lane.LEARNING).select_related("item"))
    assert (draw.pool_size, draw.drawn) == (300, len(jobs))
    plan = sampling.from_parameters(draw.strategy, draw.parameters)
    assert {round(job.inclusion_probability, 9) for job in jobs} == {
        round(plan.probability(job.item.risk), 9) for job in jobs
    }
    near, far = plan.probability(0.5), plan.probability(0.02)
    assert near > 5 * far > 0
    assert 30 * near + 270 * far == pytest.approx(60)
    # Anybody can draw it again.
    stream = draw.parameters["stream"]
    again = {
        pk
        for pk, risk in zip(ids, risks, strict=True)
        if routing.draw_value(draw.seed, pk, stream=stream) < plan.probability(risk)
    }
    assert again == {job.item_id for job in jobs}


def test_near_means_near_the_threshold_the_model_works_with(platform):
    configure(platform.queue, learning_rate=0.2)
    ids = submit(platform, 300)
    risks = [0.1 if n % 10 == 0 else 0.6 for n in range(300)]
    pairs = zip(ids, risks, strict=True)
    given = {pk: {"spam": risk, "scam": 0.001} for pk, risk in pairs}
    intake.set_risks(given, source="v2", thresholds={"spam": 0.1, "elsewhere": 0.9})
    draw = Draw.objects.get()
    assert draw.parameters["thresholds"] == {"spam": 0.1}
    plan = sampling.from_parameters(draw.strategy, draw.parameters)
    near, far = (plan.probability(sampling.relative(risk, 0.1)) for risk in (0.1, 0.6))
    assert near > 3 * far > 0
    assert 30 * near + 270 * far == pytest.approx(60)
    stored = Job.objects.filter(lane="learning").values_list("item__risk", "inclusion_probability")
    for risk, probability in stored:
        assert probability == pytest.approx(near if risk == 0.1 else far)


def test_a_job_scored_alone_has_the_chance_it_would_have_in_a_crowd(platform):
    configure(platform.queue, learning_rate=0.2)
    ids = submit(platform, 301)
    score(ids[:300], [0.5 if n % 10 == 0 else 0.02 for n in range(300)])
    crowd = sampling.from_parameters("poisson_band", Draw.objects.get().parameters)
    score(ids[300:], [0.5])
    alone = Draw.objects.order_by("pk").last()
    assert alone.pool_size == 1
    found = sampling.from_parameters("poisson_band", alone.parameters).probability(0.5)
    assert found == pytest.approx(crowd.probability(0.5), rel=0.5)
    assert found > 0.3  # by itself it would have had 0.2


def test_another_model_draws_anew_and_never_the_same_job_twice(platform):
    configure(platform.queue, learning_rate=0.3)
    ids = submit(platform, 200)
    score(ids, [0.4] * 200, source="v1")
    first = set(Job.objects.filter(lane=Lane.LEARNING).values_list("item_id", flat=True))
    score(ids, [0.4] * 200, source="v2")
    one, other = Draw.objects.order_by("pk")
    assert other.pool_size == 200 - len(first)
    assert one.parameters["stream"] != other.parameters["stream"]
    # Of those left, as many again: the second draw does not know of the first.
    assert abs(other.drawn - 0.3 * other.pool_size) < 4 * (0.21 * other.pool_size) ** 0.5
    assert first <= set(Job.objects.filter(draw=one).values_list("item_id", flat=True))


def test_what_is_held_or_drawn_already_is_in_no_pool(platform):
    ids = submit(platform, 3)
    job = claims.claim_next(platform.queue, by=platform.people["rosa"])
    configure(platform.queue, learning_rate=1)
    score(ids, [0.5] * 3)
    assert Draw.objects.get().pool_size == 2
    assert Job.objects.get(pk=job.pk).lane == Lane.RISK
    score(ids, [0.6] * 3)
    assert Draw.objects.count() == 1


def test_a_learning_job_is_its_items_only_open_one_and_follows_the_rules(platform):
    configure(platform.queue, learning_rate=1)
    urgent = make_queue(platform=platform, policies=[platform.spam], slug="urgent")
    make_rules(platform, {"condition": "risk.spam >= 0.9", "queue": urgent.slug})
    (pk,) = submit(platform, 1)
    score([pk], [0.5])
    assert Job.objects.get().lane == Lane.LEARNING
    with pytest.raises(IntegrityError), transaction.atomic():
        make_job(queue=platform.queue, item=Item.objects.get())
    score([pk], [0.95])
    job = Job.objects.get()
    assert (job.queue, job.lane, job.draw, job.inclusion_probability) == (
        urgent,
        Lane.RISK,
        None,
        None,
    )


# By chances that somebody else worked out


def test_jobs_are_drawn_by_the_chances_that_are_handed_in(platform):
    ids = submit(platform, 300)
    jobs = list(Job.objects.order_by("pk"))
    chances = {job.pk: 0.2 if n % 2 else 0.6 for n, job in enumerate(jobs)}
    draw = draws.draw_given(
        platform.queue,
        chances,
        strategy="poisson_disagreement",
        model_version="v2 trained",
        parameters={"about": "a test"},
        seed=11,
        by=platform.people["mila"],
    )
    assert (draw.lane, draw.pool_size, draw.probability) == (Lane.LEARNING, len(ids), None)
    assert draw.parameters["expected"] == pytest.approx(120)
    drawn = list(draw.jobs.values_list("pk", "item_id", "lane", "inclusion_probability"))
    assert draw.drawn == len(drawn)
    assert {(lane, chances[pk] == chance) for pk, _, lane, chance in drawn} == {("learning", True)}
    stream = draw.parameters["stream"]
    assert {pk for pk, *_ in drawn} == {
        job.pk
        for job in jobs
        if routing.draw_value(11, job.item_id, stream=stream) < chances[job.pk]
    }
    assert AuditEntry.objects.filter(verb="draw.create").get().data["pool"] == 300


def test_a_chance_is_a_chance_and_what_is_held_falls_out_of_the_pool(platform):
    submit(platform, 2)
    held = claims.claim_next(platform.queue, by=platform.people["rosa"])
    common = {"strategy": "poisson_disagreement", "model_version": "v2"}
    for wrong in (0, 1.1):
        with pytest.raises(Invalid):
            draws.draw_given(platform.queue, {held.pk: wrong}, by=None, **common)
    with pytest.raises(Conflict):
        draws.draw_given(platform.queue, {held.pk: 1}, by=None, **common)
    with pytest.raises(Forbidden):
        draws.draw_given(platform.queue, {held.pk: 1}, by=platform.people["rosa"], **common)
    every = dict.fromkeys(Job.objects.values_list("pk", flat=True), 1.0)
    assert draws.draw_given(platform.queue, every, by=None, **common).pool_size == 1
    assert Job.objects.get(pk=held.pk).lane == Lane.RISK


# Second opinions


def test_a_second_opinion_of_the_risk_lane_was_certain_to_be_asked_for(platform):
    job = claimed_job(platform.people["rosa"], queue=platform.queue)
    answer(platform, job, by="rosa", verdict="unsure")
    second = Job.objects.get(state="ready")
    assert (second.lane, second.inclusion_probability) == ("second", 1)
    draw = second.draw
    assert (draw.strategy, draw.lane, draw.pool_size, draw.drawn, draw.follows) == (
        "certainty",
        "second",
        1,
        1,
        None,
    )


def test_what_follows_a_draw_says_which_however_often_it_is_passed_on(platform):
    job = claimed_job(
        platform.people["rosa"], queue=platform.queue, lane="random", inclusion_probability=0.25
    )
    answer(platform, job, by="rosa", verdict="unsure")
    second = claims.claim_next(platform.queue, by=platform.people["remy"])
    answer(platform, second, by="remy", verdict="unsure")
    third = Job.objects.get(state="ready")
    assert [third.lane, second.lane] == ["adjudication", "second"]
    for one in (second, third):
        assert (one.draw.strategy, one.draw.follows) == ("follows", job.draw)
        assert one.inclusion_probability == 0.25


# Quality checks


def test_a_share_of_decisions_is_looked_at_by_somebody_else(platform):
    for _ in range(60):
        decide(platform)
    configure(platform.queue, qa_rate=0.5)
    let_time_pass()
    made = draws.draw_for_quality()
    draw = Draw.objects.get()
    assert (draw.lane, draw.pool_size, draw.drawn, draw.probability) == ("qa", 60, made, 0.5)
    assert abs(made - 30) < 4 * 15**0.5
    assert set(Job.objects.filter(lane="qa").values_list("inclusion_probability", flat=True)) == {
        0.5
    }
    rosa, remy = platform.people["rosa"], platform.people["remy"]
    assert claims.claim_next(platform.queue, by=rosa) is None
    assert claims.claim_next(platform.queue, by=remy).lane == "qa"


def test_a_decision_enters_the_pool_once_when_it_can_no_longer_be_taken_back(platform):
    configure(platform.queue, qa_rate=1e-9)
    decide(platform)
    assert (draws.draw_for_quality(), Draw.objects.count()) == (0, 0)
    let_time_pass()
    draws.draw_for_quality()
    decide(platform)
    let_time_pass()
    draws.draw_for_quality()
    draws.draw_for_quality()
    assert list(Draw.objects.values_list("pool_size", "drawn")) == [(1, 0), (1, 0)]


def checked(platform, **kw):
    """A decision of rosa's, and remy holding its check."""
    decision = decide(platform, **kw)
    configure(platform.queue, qa_rate=1)
    let_time_pass()
    draws.draw_for_quality()
    return decision, claims.claim_next(platform.queue, by=platform.people["remy"])


def standing(item_id):
    return Decision.objects.current().get(item=item_id)


def test_a_check_that_agrees_is_kept_and_changes_nothing(platform):
    decision, job = checked(platform)
    assert answer(platform, job, by="remy") is None
    assert standing(job.item_id) == decision
    assert Review.objects.filter(job=job, verdict="violating").exists()
    assert not Job.objects.filter(state="ready").exists()
    entry = AuditEntry.objects.filter(verb="review.record").last()
    assert (entry.data["checks"], entry.data["agrees"]) == (decision.pk, True)


@pytest.mark.parametrize(
    ("verdict", "policies"), [("clean", ()), ("violating", ("scam",)), ("unsure", ())]
)
def test_a_check_that_disagrees_asks_a_lead_and_decides_nothing(platform, verdict, policies):
    decision, job = checked(platform, lane="random", inclusion_probability=0.2)
    assert answer(platform, job, by="remy", verdict=verdict, policies=policies) is None
    assert standing(job.item_id) == decision
    asked = claims.claim_next(platform.queue, by=platform.people["lena"])
    assert (asked.lane, asked.item_id) == ("adjudication", job.item_id)
    # The item came by the random lane, so what the lead says counts as that.
    assert (asked.draw.follows, asked.inclusion_probability) == (decision.job.draw, 0.2)
    new = answer(platform, asked, by="lena", verdict="clean")
    assert (new.supersedes, standing(job.item_id)) == (decision, new)


def test_a_check_of_a_text_that_changed_meanwhile_is_held_against_nothing(platform):
    decision, job = checked(platform)
    Item.objects.filter(pk=job.item_id).update(version_number=F("version_number") + 1)
    version = job.item.versions.get()
    version.pk, version.number = None, 2
    version.save()
    decisions.record_review(
        job.pk,
        job.claim_token,
        by=platform.people["remy"],
        verdict="clean",
        item_version_id=version.pk,
    )
    assert standing(job.item_id) == decision
    assert not Job.objects.filter(lane="adjudication").exists()


def test_an_edited_item_is_reviewed_anew_although_a_check_is_open(platform):
    (pk,) = submit(platform, 1)
    job = claims.claim_next(platform.queue, by=platform.people["rosa"])
    answer(platform, job, by="rosa", verdict="clean")
    configure(platform.queue, qa_rate=1)
    let_time_pass()
    draws.draw_for_quality()
    row = {"kind": "message", "external_id": "m-0", "content": {"body": "another text"}}
    intake.submit_items(platform, [row], by=None)
    lanes = Job.objects.filter(state="ready", item=pk).values_list("lane", flat=True)
    assert sorted(lanes) == ["qa", "risk"]


# Gold


def test_a_decision_a_lead_vouches_for_becomes_gold_for_who_has_not_seen_it(platform):
    decision = decide(platform)
    gold.mark(decision.item, by=platform.people["lena"])
    draw = draws.draw_jobs(
        platform.queue,
        lane="gold",
        strategy="certainty",
        expected=1,
        by=platform.people["lena"],
    )
    assert (draw.strategy, draw.pool_size, draw.drawn) == ("certainty", 1, 1)
    assert claims.claim_next(platform.queue, by=platform.people["rosa"]) is None
    job = claims.claim_next(platform.queue, by=platform.people["remy"])
    assert (job.lane, job.inclusion_probability) == ("gold", 1)
    # Wrong, and unsure of it: neither changes what stands.
    assert answer(platform, job, by="remy", verdict="clean") is None
    assert standing(decision.item_id) == decision
    assert not Job.objects.filter(state="ready").exists()


def test_two_people_who_agree_make_gold_without_a_lead(platform):
    _, job = checked(platform)
    answer(platform, job, by="remy")
    draw = draws.draw_jobs(
        platform.queue, lane="gold", strategy="poisson", expected=1, by=platform.people["mila"]
    )
    assert (draw.pool_size, draw.drawn) == (1, 1)
    assert claims.claim_next(platform.queue, by=platform.people["lena"]).lane == "gold"


def test_nobody_is_asked_what_everybody_has_seen(platform):
    platform.queue.members.set([platform.people["rosa"], platform.people["remy"]])
    _, job = checked(platform)
    answer(platform, job, by="remy")
    with pytest.raises(Conflict, match="two people have to agree"):
        draws.draw_jobs(
            platform.queue, lane="gold", strategy="poisson", expected=1, by=platform.people["lena"]
        )


def test_gold_is_marked_once_and_can_be_taken_back(platform):
    item = decide(platform).item
    lena = platform.people["lena"]
    gold.mark(item, by=lena)
    gold.mark(item, by=lena)
    assert Gold.objects.count() == 1
    gold.unmark(item, by=lena)
    gold.unmark(item, by=lena)
    assert not Gold.objects.exists()
    verbs = Counter(AuditEntry.objects.values_list("verb", flat=True))
    assert (verbs["gold.mark"], verbs["gold.unmark"]) == (2, 1)


def test_what_is_not_decided_cannot_be_gold(platform):
    with pytest.raises(Conflict, match="Decide it first"):
        gold.mark(make_item(kind=platform.kind), by=platform.people["lena"])
    with pytest.raises(Forbidden):
        gold.mark(make_item(kind=platform.kind), by=platform.people["rosa"])


# By hand


def by_hand(platform, **kw):
    values = {"lane": "learning", "strategy": "poisson_sqrt", "expected": 20, "seed": 5} | kw
    return draws.draw_jobs(platform.queue, **{"by": platform.people["lena"], **values})


def test_a_lead_draws_a_sample_of_what_waits(platform):
    ids = submit(platform, 120)
    score(ids, [n / 120 for n in range(120)])
    draw = by_hand(platform)
    jobs = Job.objects.filter(lane="learning")
    assert (draw.pool_size, draw.drawn, draw.seed) == (120, jobs.count(), 5)
    assert (draw.created_by, draw.model_version) == (platform.people["lena"], "v2 trained")
    plan = sampling.from_parameters(draw.strategy, draw.parameters)
    for job in jobs.select_related("item"):
        assert job.inclusion_probability == pytest.approx(plan.probability(job.item.risk))
    assert AuditEntry.objects.filter(verb="draw.create", target_id=str(draw.pk)).count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lane", "random"),
        ("lane", "appeal"),
        ("strategy", "follows"),
        ("strategy", ""),
        ("expected", 0),
        ("expected", float("nan")),
        ("expected", 1e9),
        ("seed", -1),
        ("seed", 2**60),
    ],
)
def test_nonsense_is_told_beside_its_field_and_nothing_is_drawn(platform, field, value):
    score(submit(platform, 3), [0.5] * 3)
    with pytest.raises(Invalid) as refused:
        by_hand(platform, **{field: value})
    assert set(refused.value.details) == {field}
    assert not Draw.objects.exists()


def test_from_nothing_nothing_is_drawn(platform):
    for lane, words in (("learning", "No job with a score"), ("qa", "No decision")):
        with pytest.raises(Conflict, match=words):
            by_hand(platform, lane=lane)


def test_a_reviewer_draws_nothing(platform):
    with pytest.raises(Forbidden):
        by_hand(platform, by=platform.people["rosa"])


def test_a_decision_is_not_checked_twice_by_hand(platform):
    decide(platform)
    let_time_pass()
    assert by_hand(platform, lane="qa", strategy="certainty").drawn == 1
    with pytest.raises(Conflict, match="No decision"):
        by_hand(platform, lane="qa", strategy="certainty")


def test_the_pools_are_as_large_as_what_is_drawn_from(platform):
    score(submit(platform, 4), [0.5] * 4)
    gold.mark(decide(platform).item, by=platform.people["lena"])
    let_time_pass()
    assert draw_pools.sizes(platform.queue) == {"learning": 4, "qa": 1, "gold": 1}
