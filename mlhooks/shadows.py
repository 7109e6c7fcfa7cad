"""Candidates in the champion's shadow: who stands there, what they say of live items beside him,
and, on a blind sample of their disagreements, who was right. shadow_scores.py writes the scores.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from reviews import access, audit, draw_pools, draws
from reviews.errors import Conflict, Invalid
from reviews.models import Draw, Person, Policy, Queue

from . import concordance, registry
from .models import Disagreement, Evidence, ModelVersion, Shadow, ShadowScore
from .rates import Rate, rate

State = ModelVersion.State
MOST_COMPARED = 5_000  # newest items a policy: a correlation needs no more
MOST_COUNTED = 100_000  # newest items a policy, by day
DAYS_SHOWN = 14
MOST_DRAWN = 1_000
_PRUNED_AT_ONCE = 10_000

_BY_DAY = """
SELECT (created_at AT TIME ZONE 'UTC')::date AS day, count(*),
  count(*) FILTER (WHERE beside_probability >= %(theirs)s),
  count(*) FILTER (WHERE probability >= %(mine)s)
FROM (
  SELECT created_at, probability, beside_probability FROM mlhooks_shadowscore
  WHERE model_version_id = %(model)s AND policy_id = %(policy)s AND beside_id = %(beside)s
    AND created_at > clock_timestamp() - %(since)s
  ORDER BY created_at DESC LIMIT %(most)s
) AS newest
GROUP BY day ORDER BY day
"""
# Waiting jobs on whose current version the two stand on different sides, in a policy of the queue.
_DISAGREEMENTS = """
SELECT job.id, version.id, score.policy_id, score.probability >= given.mine, score.probability,
  score.beside_probability
FROM reviews_job AS job
JOIN reviews_item AS item ON item.id = job.item_id
JOIN reviews_itemversion AS version
  ON version.item_id = item.id AND version.number = item.version_number
JOIN mlhooks_shadowscore AS score
  ON score.item_version_id = version.id AND score.model_version_id = %(model)s
JOIN unnest(%(policies)s::bigint[], %(mine)s::float8[], %(theirs)s::float8[])
  AS given (policy_id, mine, theirs) ON given.policy_id = score.policy_id
WHERE job.queue_id = %(queue)s AND job.lane = 'risk' AND job.state = 'ready'
  AND job.assigned_to_id IS NULL AND score.beside_id = %(beside)s
  AND (score.probability >= given.mine) <> (score.beside_probability >= given.theirs)
ORDER BY job.id DESC LIMIT %(most)s
"""
# An answer counts while its decision stands and is about the text that both models read.
_ANSWERED = """
SELECT said.policy_id, said.flags, 1 / said.inclusion_probability,
  CASE
    WHEN decision.id IS NULL THEN NULL
    WHEN EXISTS (
      SELECT FROM reviews_decision_policy_versions AS found
      JOIN reviews_policyversion AS own ON own.id = found.policyversion_id
      WHERE found.decision_id = decision.id AND own.policy_id = said.policy_id
    ) THEN true
    WHEN EXISTS (
      SELECT FROM reviews_finding AS finding
      JOIN reviews_policyversion AS own ON own.id = finding.policy_version_id
      JOIN reviews_review AS review ON review.id = finding.review_id
      WHERE review.job_id = job.id AND own.policy_id = said.policy_id
    ) THEN false
  END
FROM mlhooks_disagreement AS said
JOIN reviews_job AS job ON job.id = said.job_id AND job.lane = 'learning'
LEFT JOIN LATERAL (
  SELECT standing.id FROM reviews_decision AS standing
  WHERE standing.item_id = job.item_id AND standing.item_version_id = said.item_version_id
    AND standing.verdict IN ('violating', 'clean')
    AND NOT EXISTS (SELECT FROM reviews_decision AS later WHERE later.supersedes_id = standing.id)
  ORDER BY standing.id DESC LIMIT 1
) AS decision ON true
WHERE said.model_version_id = %(model)s AND job.state <> 'cancelled'
"""


class Day(NamedTuple):
    on: date
    n: int
    champion: int  # of n, above his threshold
    shadow: int


class Comparison(NamedTuple):
    """What the two said of the same live items under one policy."""

    policy: Policy
    n: int
    spearman: concordance.Correlation | None
    kendall: concordance.Correlation | None
    flips: concordance.Flips | None


class Right(NamedTuple):
    """Of the disagreements that reviewers have answered, unaware of either model."""

    policy: Policy
    drawn: int
    shadow: Rate | None  # how often the shadow was right, weighted back to all disagreements
    flagged: Rate | None  # the same where it flagged what the champion did not
    unflagged: Rate | None


# Who stands in the shadow


def start(model_version: ModelVersion, *, by: Person | None) -> Shadow:
    """From the next batch on it scores what the champion scores, by its own encoder where that is
    another. Ranks stay his."""
    platform = model_version.platform
    access.check(by, "model.shadow", platform)
    registry.verify(model_version)
    with transaction.atomic():
        registry.lock(platform)
        model_version.refresh_from_db(fields=["state"])
        if model_version.state != State.CANDIDATE:
            raise Conflict(
                _("%(label)s is %(state)s; only a candidate can go into the shadow.")
                % {
                    "label": model_version.label,
                    "state": model_version.get_state_display().lower(),
                }
            )
        if registry.champion(platform) is None:
            raise Conflict(_("There is no champion yet whose shadow it could be."))
        if running(platform.pk).count() >= settings.SHADOWS_MOST:
            raise Conflict(
                _("%(most)s models stand in the shadow already. Take one out first.")
                % {"most": settings.SHADOWS_MOST}
            )
        shadow = Shadow.objects.create(
            platform=platform, model_version=model_version, started_by=by
        )
        ModelVersion.objects.filter(pk=model_version.pk).update(state=State.SHADOW)
        model_version.state = State.SHADOW
        audit.record(
            "model.shadow", model_version, by=by, platform=platform, label=model_version.label
        )
    return shadow


def stop(model_version: ModelVersion, *, by: Person | None) -> None:
    """A candidate again. What it said is kept as long as any."""
    platform = model_version.platform
    access.check(by, "model.shadow", platform)
    with transaction.atomic():
        registry.lock(platform)
        moved = ModelVersion.objects.filter(pk=model_version.pk, state=State.SHADOW)
        if not moved.update(state=State.CANDIDATE):
            raise Conflict(_("%(label)s is not in the shadow.") % {"label": model_version.label})
        model_version.state = State.CANDIDATE
        running(platform.pk).filter(model_version=model_version).update(
            stopped_at=Now(), stopped_by=by
        )
        audit.record(
            "model.unshadow", model_version, by=by, platform=platform, label=model_version.label
        )


def running(platform_id: int) -> QuerySet[Shadow]:
    return Shadow.objects.filter(platform_id=platform_id, stopped_at=None)


class Cost(NamedTuple):
    """What a shadow by another encoder than the champion's takes: each text is encoded anew."""

    encoder: str
    milliseconds: float | None  # a text, of one core; None before anybody has measured it


def cost(model_version: ModelVersion, champion: ModelVersion | None) -> Cost | None:
    """None where it reads the champion's vectors, which costs next to nothing."""
    if champion is None or model_version.encoder_family == champion.encoder_family:
        return None
    found = model_version.evidence.filter(state=Evidence.State.READY).order_by("-id").first()
    speed = (found.figures.get("speed") or {}).get("texts_a_second") if found else None
    return Cost(model_version.encoder, 1000 / speed if speed else None)


def newest(model_version: ModelVersion) -> Shadow | None:
    """Its newest period in the shadow, over or not."""
    rows = model_version.shadows.select_related("started_by", "stopped_by")
    return rows.order_by("-id").first()


# What it says beside the champion


def compare(model_version: ModelVersion, champion: ModelVersion | None) -> list[Comparison]:
    """By policy, over the newest items both scored; nothing where none were."""
    if champion is None:
        return []
    mine, theirs = registry.thresholds(model_version), registry.thresholds(champion)
    found = []
    for policy in _policies(model_version):
        rows = ShadowScore.objects.filter(
            model_version=model_version, policy=policy, beside=champion
        ).order_by("-created_at")
        pairs = list(rows.values_list("beside_probability", "probability")[:MOST_COMPARED])
        if not pairs:
            continue
        first, second = zip(*pairs, strict=True)
        found.append(
            Comparison(
                policy,
                len(pairs),
                concordance.spearman(first, second),
                concordance.kendall(first, second),
                concordance.flips(
                    first,
                    second,
                    first_threshold=theirs.get(policy.slug, 0.5),
                    second_threshold=mine.get(policy.slug, 0.5),
                ),
            )
        )
    return found


def load_by_day(model_version: ModelVersion, champion: ModelVersion, policy: Policy) -> list[Day]:
    """Items above each one's threshold, a day (UTC), oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            _BY_DAY,
            {
                "model": model_version.pk,
                "policy": policy.pk,
                "beside": champion.pk,
                "mine": registry.thresholds(model_version).get(policy.slug, 0.5),
                "theirs": registry.thresholds(champion).get(policy.slug, 0.5),
                "since": timedelta(days=DAYS_SHOWN),
                "most": MOST_COUNTED,
            },
        )
        return [Day(*row) for row in cursor.fetchall()]


# Who is right


def draw_disagreements(
    model_version: ModelVersion, queue: Queue, *, expected: float, by: Person | None
) -> Draw:
    """About `expected` of the queue's waiting jobs on which the two disagree go to the learning
    lane, where no reviewer sees a score: each with the same known chance.
    """
    access.check(by, "draw.create", queue.platform_id)
    if queue.platform_id != model_version.platform_id:
        raise Conflict(_("This queue is of another platform."))
    if not 0 < expected <= MOST_DRAWN:
        raise Invalid(
            _("Give a number above 0, at most %(most)s.") % {"most": f"{MOST_DRAWN:,}"},
            details={"expected": _("A number above 0.")},
        )
    champion = registry.champion(model_version.platform_id)
    if model_version.state != State.SHADOW or champion is None:
        raise Conflict(_("%(label)s is not in the shadow.") % {"label": model_version.label})
    with transaction.atomic():
        said = _disagreements(model_version, champion, queue)
        jobs = {job_id for job_id, *_rest in said}
        if not jobs:
            raise Conflict(
                _("On nothing that waits in %(queue)s do the two disagree.") % {"queue": queue}
            )
        chance = min(1.0, expected / len(jobs))
        draw = draws.draw_given(
            queue,
            dict.fromkeys(jobs, chance),
            strategy=Draw.Strategy.POISSON_DISAGREEMENT,
            model_version=f"{champion.label}, {model_version.label}",
            parameters={"shadow": model_version.number, "champion": champion.number},
            by=by,
        )
        drawn = set(draw.jobs.values_list("pk", flat=True))
        Disagreement.objects.bulk_create(
            Disagreement(
                job_id=job_id,
                item_version_id=version_id,
                model_version=model_version,
                policy_id=policy_id,
                flags=flags,
                probability=probability,
                beside=champion,
                beside_probability=beside,
                inclusion_probability=chance,
            )
            for job_id, version_id, policy_id, flags, probability, beside in said
            if job_id in drawn
        )
    return draw


def waiting_disagreements(model_version: ModelVersion, queue: Queue) -> int:
    """How many of the queue's waiting jobs there are to draw from."""
    champion = registry.champion(model_version.platform_id)
    if champion is None:
        return 0
    return len({row[0] for row in _disagreements(model_version, champion, queue)})


def who_was_right(model_version: ModelVersion) -> list[Right]:
    """By policy, from the disagreements drawn and answered so far. A review in the learning lane
    was given without either score."""
    with connection.cursor() as cursor:
        cursor.execute(_ANSWERED, {"model": model_version.pk})
        rows = cursor.fetchall()
    found = []
    for policy in _policies(model_version):
        own = [row[1:] for row in rows if row[0] == policy.pk]
        if not own:
            continue
        judged = [(flags, weight, truth) for flags, weight, truth in own if truth is not None]
        found.append(
            Right(
                policy,
                len(own),
                _rate(judged),
                _rate([one for one in judged if one[0]]),
                _rate([one for one in judged if not one[0]]),
            )
        )
    return found


def as_json(model_version: ModelVersion) -> dict[str, Any]:
    """All of it, for the API."""
    champion = registry.champion(model_version.platform_id)
    shadow = newest(model_version)
    return {
        "model": model_version.number,
        "state": model_version.state,
        "champion": champion.number if champion else None,
        "started_at": shadow.started_at if shadow else None,
        "stopped_at": shadow.stopped_at if shadow else None,
        "error": shadow.error if shadow else "",
        "cost": _as_dict(cost(model_version, champion)),
        "policies": [
            {
                "policy": one.policy.slug,
                "n": one.n,
                "spearman": _as_dict(one.spearman),
                "kendall": _as_dict(one.kendall),
                "to_violating": _as_dict(one.flips and one.flips.to_above),
                "to_clean": _as_dict(one.flips and one.flips.to_below),
                "days": [day._asdict() for day in load_by_day(model_version, champion, one.policy)],
            }
            for one in compare(model_version, champion)
        ],
        "right": [
            {"policy": one.policy.slug, "drawn": one.drawn, "shadow": _as_dict(one.shadow)}
            for one in who_was_right(model_version)
        ],
    }


def prune() -> int:
    """Sweep: shadow scores older than SHADOW_DAYS go. What was drawn for review keeps its own copy.
    Returns how many."""
    total = 0
    shadows = ModelVersion.objects.filter(shadows__isnull=False)
    for model_version_id in shadows.distinct().values_list("pk", flat=True):
        while True:
            with connection.cursor() as cursor:
                cursor.execute(
                    """DELETE FROM mlhooks_shadowscore WHERE id IN (
                         SELECT id FROM mlhooks_shadowscore
                         WHERE model_version_id = %s
                           AND created_at < clock_timestamp() - make_interval(days => %s)
                         LIMIT %s)""",
                    [model_version_id, settings.SHADOW_DAYS, _PRUNED_AT_ONCE],
                )
                count = cursor.rowcount
            total += count
            if count < _PRUNED_AT_ONCE:
                break
    return total


def _disagreements(
    model_version: ModelVersion, champion: ModelVersion, queue: Queue
) -> list[tuple[int, int, int, bool, float, float]]:
    mine, theirs = registry.thresholds(model_version), registry.thresholds(champion)
    policies = list(queue.policies.order_by("pk"))
    with connection.cursor() as cursor:
        cursor.execute(
            _DISAGREEMENTS,
            {
                "model": model_version.pk,
                "beside": champion.pk,
                "queue": queue.pk,
                "policies": [policy.pk for policy in policies],
                "mine": [mine.get(policy.slug, 0.5) for policy in policies],
                "theirs": [theirs.get(policy.slug, 0.5) for policy in policies],
                "most": draw_pools.MOST_IN_POOL,
            },
        )
        found: list[tuple[int, int, int, bool, float, float]] = cursor.fetchall()
    return found


def _policies(model_version: ModelVersion) -> list[Policy]:
    rows = Policy.objects.filter(versions__model_versions=model_version)
    return list(rows.order_by("position", "pk").distinct())


def _rate(judged: list[tuple[bool, float, bool]]) -> Rate | None:
    """The shadow is right where it flags a violation, or does not flag what is none."""
    return rate(
        [flags == truth for flags, _weight, truth in judged],
        weights=[weight for _flags, weight, _truth in judged],
    )


def _as_dict(one: Any) -> Mapping[str, Any] | None:
    return None if one is None else one._asdict()
