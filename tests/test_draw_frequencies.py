"""Are jobs drawn as often as their stored probabilities say? 24,000 items through the real code.

Seeds and ids are fixed, so the outcome is the same at every run; the bounds are those of a test
that would be wrong once in 10,000 runs all the same, so that it says something. Two mutants of the
code show that it can fail.
"""

import math
import random
from typing import NamedTuple

import pytest
from django.db import connection
from scipy import stats

from reviews import draws, intake, routing, sampling
from reviews.models import Draw, Job, Lane
from tests.factories import make_kind, make_platform, make_policy, make_queue

pytestmark = pytest.mark.django_db

ITEMS, BATCH = 24_000, 1_500
LEVEL = 1e-4
RANDOM_RATE, LEARNING_RATE = 0.08, 0.12


class Fate(NamedTuple):
    """One of a pool: its chance, whether it was drawn, and what a reviewer would find."""

    probability: float
    is_drawn: bool
    violates: bool


class Run(NamedTuple):
    random: list[Fate]
    learning: list[Fate]


def run() -> Run:
    """Items come in by the batch, and are scored by the batch, in another order."""
    with connection.cursor() as cursor:
        for table in ("item", "draw"):
            cursor.execute(f"ALTER SEQUENCE reviews_{table}_id_seq RESTART WITH 2000000000")
    platform = make_platform()
    make_kind(platform=platform, slug="message")
    make_queue(
        platform=platform,
        is_default=True,
        policies=[make_policy(platform=platform, slug="spam")],
        random_rate=RANDOM_RATE,
        learning_rate=LEARNING_RATE,
        draw_seed=20261124,
    )
    ids = []
    for start in range(0, ITEMS, BATCH):
        rows = [
            {"kind": "message", "external_id": f"m-{n}", "content": {"body": f"text {n}"}}
            for n in range(start, start + BATCH)
        ]
        ids += [one.item_id for one in intake.submit_items(platform, rows, by=None)]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE reviews_item, reviews_job")  # nothing has committed to see by
    rng = random.Random(11)
    risks = {pk: rng.betavariate(0.4, 2.5) for pk in ids}
    violates = {pk: rng.random() < risk for pk, risk in risks.items()}
    by_item = dict(Job.objects.filter(lane="random").values_list("item", "inclusion_probability"))
    at_random = [Fate(by_item.get(pk, RANDOM_RATE), pk in by_item, violates[pk]) for pk in ids]
    rng.shuffle(ids)
    learning = []
    for start in range(0, ITEMS, BATCH):
        batch = ids[start : start + BATCH]
        waiting = Job.objects.filter(item__in=batch, lane=Lane.RISK)
        pool = list(waiting.values_list("item", flat=True))
        intake.set_risks({pk: {"spam": risks[pk]} for pk in batch}, source="v1")
        draw = Draw.objects.order_by("-pk").first()
        plan = sampling.from_parameters(draw.strategy, draw.parameters)
        stored = dict(draw.jobs.values_list("item", "inclusion_probability"))
        assert (draw.lane, draw.pool_size, draw.drawn) == ("learning", len(pool), len(stored))
        for pk in pool:
            probability = plan.probability(risks[pk])
            assert stored.get(pk, probability) == pytest.approx(probability)
            learning.append(Fate(probability, pk in stored, violates[pk]))
    return Run(at_random, learning)


def misfits(fates: list[Fate], *, groups: int = 12) -> list[str]:
    """Where the draw and the probabilities do not fit: each group of like probabilities alone
    (Bonferroni) and all of them together. Σ of independent draws is near normal at these sizes.
    """
    ordered = sorted(fates)
    size = math.ceil(len(ordered) / groups)
    squares, wrong = [], []
    for start in range(0, len(ordered), size):
        group = ordered[start : start + size]
        expected = math.fsum(one.probability for one in group)
        spread = math.fsum(one.probability * (1 - one.probability) for one in group)
        drawn = sum(one.is_drawn for one in group)
        z = (drawn - expected) / math.sqrt(spread)
        squares.append(z * z)
        if 2 * stats.norm.sf(abs(z)) < LEVEL / groups:
            wrong.append(f"{drawn} drawn of {expected:.0f} expected, z = {z:.1f}")
    if stats.chi2.sf(math.fsum(squares), len(squares)) < LEVEL:
        wrong.append(f"together χ² = {math.fsum(squares):.0f} on {len(squares)}")
    return wrong


def weighted_back(fates: list[Fate]) -> tuple[float, float, int]:
    """Horvitz–Thompson total of what violates, its standard deviation, and the truth."""
    drawn = [one for one in fates if one.is_drawn and one.violates]
    total = math.fsum(1 / one.probability for one in drawn)
    variance = math.fsum((1 - one.probability) / one.probability**2 for one in drawn)
    return total, math.sqrt(variance), sum(one.violates for one in fates)


def test_jobs_are_drawn_as_often_as_their_probabilities_say():
    found = run()
    assert len(found.random) == ITEMS
    drawn = sum(one.is_drawn for one in found.random)
    assert stats.binomtest(drawn, ITEMS, RANDOM_RATE).pvalue > LEVEL
    assert len({round(one.probability, 6) for one in found.learning}) > 1000
    assert misfits(found.learning) == []
    share = sum(one.is_drawn for one in found.learning) / len(found.learning)
    assert share == pytest.approx(LEARNING_RATE, abs=0.01)
    for fates in found:
        total, deviation, truth = weighted_back(fates)
        assert abs(total - truth) < 3.9 * deviation  # 1e-4
    # Probabilities that are a little off, right on the whole but wrong for some, would show.
    flat = [one._replace(probability=0.7 * one.probability + 0.3 * share) for one in found.learning]
    assert misfits(flat)


def test_a_draw_that_is_too_generous_is_found_out(monkeypatch):
    """A mutant that draws 15 % more often than the probability it stores."""
    honest = routing.draw_value
    for module in (routing, draws):
        monkeypatch.setattr(module, "draw_value", lambda *a, **kw: honest(*a, **kw) / 1.15)
    found = run()
    drawn = sum(one.is_drawn for one in found.random)
    assert stats.binomtest(drawn, ITEMS, RANDOM_RATE).pvalue < LEVEL
    assert misfits(found.learning)
