"""Decisions made under an older text of a policy: which stand, and asking about them again.

What a decision judged by is in its review's findings. Everything here walks a bounded number of
the newest answers under old versions (finding_by_version); nothing is counted for ever.
"""

import hashlib
import math
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from django.db import connection, transaction
from django.utils.translation import gettext as _

from . import access, audit, claims, draw_rows, ranking
from .errors import Conflict, Invalid
from .models import (
    Decision,
    Draw,
    Job,
    Lane,
    Person,
    Policy,
    PolicyVersion,
    Queue,
    Relabelling,
    Verdict,
)
from .wording import figure

# Answers under old versions that are looked at, newest first.
MOST_WALKED = 50_000
MOST_ASKED = 2_000  # at once: one short transaction
_BEFORE_ALL = 2**62
_LEAST_HARM = 1e-6

# Answers under old versions, newest first, with the standing decision where it rests on them. An
# override has no review of its own: it rests on the answer it overrode, if it was made before the
# new text was in force. An item's newest decision is the standing one.
_OLD = """
FROM (
  SELECT found.review_id, found.violates, old.version_id
  FROM unnest(%(versions)s::bigint[]) AS old(version_id)
  CROSS JOIN LATERAL (
    SELECT review_id, violates FROM reviews_finding
    WHERE policy_version_id = old.version_id AND review_id < %(before)s
    ORDER BY review_id DESC LIMIT %(walked)s
  ) AS found
  ORDER BY found.review_id DESC LIMIT %(walked)s
) AS walked
JOIN reviews_review AS review ON review.id = walked.review_id
JOIN LATERAL (
  SELECT * FROM reviews_decision WHERE item_id = review.item_id ORDER BY id DESC LIMIT 1
) AS decision ON decision.verdict IN ('violating', 'clean') AND (
  decision.review_id = review.id
  OR decision.kind = 'override' AND decision.job_id = review.job_id
    AND decision.decided_at < %(since)s
)
JOIN reviews_queue AS queue ON queue.id = decision.queue_id
CROSS JOIN LATERAL (
  SELECT
    CASE WHEN decision.review_id = review.id THEN walked.violates ELSE EXISTS (
      SELECT FROM reviews_decision_policy_versions AS link
      JOIN reviews_policyversion AS version ON version.id = link.policyversion_id
      WHERE link.decision_id = decision.id AND version.policy_id = %(policy)s
    ) END AS violates,
    EXISTS (
      SELECT FROM reviews_job AS job
      WHERE job.item_id = review.item_id AND job.state IN ('ready', 'claimed')
    ) AS is_open,
    NOT queue.is_archived AND EXISTS (
      SELECT FROM reviews_queue_policies AS link
      WHERE link.queue_id = queue.id AND link.policy_id = %(policy)s
    ) AS is_judged
) AS about
WHERE (%(queue)s::bigint IS NULL OR decision.queue_id = %(queue)s)
  AND (%(violates)s::boolean IS NULL OR about.violates = %(violates)s)
"""
_COUNTS = f"""
SELECT decision.queue_id, about.is_judged,
  count(*) FILTER (WHERE about.violates),
  count(*) FILTER (WHERE NOT about.violates),
  count(*) FILTER (WHERE about.is_open),
  count(*) FILTER (WHERE about.is_judged AND NOT about.is_open)
{_OLD} GROUP BY 1, 2
"""
_PAGE = f"""
SELECT walked.review_id, decision.id, walked.version_id, about.violates, about.is_open
{_OLD} ORDER BY walked.review_id DESC LIMIT %(page)s
"""
_POOL = f"""
SELECT DISTINCT decision.item_id, decision.id
{_OLD} AND about.is_judged AND NOT about.is_open
"""
_END_OF_WALK = """
SELECT count(*), min(review_id) FROM (
  SELECT found.review_id FROM unnest(%(versions)s::bigint[]) AS old(version_id)
  CROSS JOIN LATERAL (
    SELECT review_id FROM reviews_finding
    WHERE policy_version_id = old.version_id AND review_id < %(before)s
    ORDER BY review_id DESC LIMIT %(walked)s
  ) AS found
  ORDER BY found.review_id DESC LIMIT %(walked)s
) AS walked
"""

# Under the items' locks: those whose decision still stands, with nothing open.
_LOCK = "SELECT id FROM reviews_item WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
_STILL = """
SELECT decision.id FROM unnest(%s::bigint[]) AS given(id)
JOIN reviews_decision AS decision ON decision.id = given.id
WHERE NOT EXISTS (
  SELECT FROM reviews_decision AS later
  WHERE later.item_id = decision.item_id AND later.id > decision.id
) AND NOT EXISTS (
  SELECT FROM reviews_job AS job
  WHERE job.item_id = decision.item_id AND job.state IN ('ready', 'claimed')
)
"""

# What came of an asking: by item, since a doubt there may have gone on to another job.
_RESULT = """
SELECT count(*), count(now_decision.id),
  count(now_decision.id) FILTER (WHERE now_violates.is_so IS DISTINCT FROM old_violates.is_so)
FROM reviews_relabelling_jobs AS link
JOIN reviews_job AS job ON job.id = link.job_id
LEFT JOIN LATERAL (
  SELECT id FROM reviews_decision
  WHERE item_id = job.item_id AND decided_at < %(at)s ORDER BY id DESC LIMIT 1
) AS old_decision ON true
LEFT JOIN LATERAL (
  SELECT id FROM reviews_decision
  WHERE item_id = job.item_id AND decided_at >= %(at)s AND verdict IS NOT NULL
  ORDER BY id DESC LIMIT 1
) AS now_decision ON true
CROSS JOIN LATERAL (
  SELECT EXISTS (
    SELECT FROM reviews_decision_policy_versions AS found
    JOIN reviews_policyversion AS version ON version.id = found.policyversion_id
    WHERE found.decision_id = old_decision.id AND version.policy_id = %(policy)s
  ) AS is_so
) AS old_violates
CROSS JOIN LATERAL (
  SELECT EXISTS (
    SELECT FROM reviews_decision_policy_versions AS found
    JOIN reviews_policyversion AS version ON version.id = found.policyversion_id
    WHERE found.decision_id = now_decision.id AND version.policy_id = %(policy)s
  ) AS is_so
) AS now_violates
WHERE link.relabelling_id = %(relabelling)s
"""


class QueueCounts(NamedTuple):
    """A queue's standing decisions under an older text."""

    queue: Queue
    is_judged: bool  # it is worked, and still judges the policy: it can be asked there
    violating: int
    clean: int
    open: int  # being looked at again already
    askable: int

    @property
    def total(self) -> int:
        return self.violating + self.clean


class Counts(NamedTuple):
    queues: list[QueueCounts]
    is_capped: bool  # older answers were not looked at

    @property
    def total(self) -> int:
        return sum(one.total for one in self.queues)

    @property
    def violating(self) -> int:
        return sum(one.violating for one in self.queues)

    @property
    def clean(self) -> int:
        return sum(one.clean for one in self.queues)

    @property
    def open(self) -> int:
        return sum(one.open for one in self.queues)

    @property
    def askable(self) -> int:
        return sum(one.askable for one in self.queues)


class Row(NamedTuple):
    key: int  # to page by
    decision: Decision
    version_number: int  # judged by
    violates: bool
    is_open: bool


class Result(NamedTuple):
    """What came of one asking."""

    relabelling: Relabelling
    jobs: int
    answered: int
    changed: int

    @property
    def share(self) -> float | None:
        return self.changed / self.answered if self.answered else None

    @property
    def expected(self) -> tuple[int, int, int] | None:
        """Of the whole pool, how many would change: estimate and 95 % interval. None for all of
        it, or before anything is answered."""
        if self.share is None or self.relabelling.probability >= 1:
            return None
        low, high = _wilson(self.changed, self.answered)
        pool = self.relabelling.pool
        return round(pool * self.share), math.floor(pool * low), math.ceil(pool * high)


def counts(policy: Policy) -> Counts:
    """By queue and verdict."""
    values = _values(policy)
    if values is None:
        return Counts([], False)
    rows = _fetch(_COUNTS, values)
    queues = Queue.objects.in_bulk([row[0] for row in rows])
    found = [QueueCounts(queues[row[0]], *row[1:]) for row in rows]
    found.sort(key=lambda one: (one.queue.position, one.queue.pk))
    walked, _rest = _fetch(_END_OF_WALK, values)[0]
    return Counts(found, walked >= MOST_WALKED)


def page(
    policy: Policy,
    *,
    queue: Queue | None = None,
    verdict: str = "",
    before: int | None = None,
    size: int = 50,
) -> tuple[list[Row], int | None]:
    """Decisions newest first, and the key of the next page (None: this is the last)."""
    values = _values(policy, queue=queue, verdict=verdict, before=before)
    if values is None:
        return [], None
    rows = _fetch(_PAGE, {**values, "page": size + 1})
    shown = rows[:size]
    decisions = Decision.objects.select_related("item__kind", "queue", "decided_by").in_bulk(
        [row[1] for row in shown]
    )
    numbers = dict(policy.versions.values_list("pk", "number"))
    found = [
        Row(key, decisions[pk], numbers[version], violates, is_open)
        for key, pk, version, violates, is_open in shown
    ]
    if len(rows) > size:
        return found, shown[-1][0]
    walked, last = _fetch(_END_OF_WALK, values)[0]
    return found, last if walked >= MOST_WALKED else None


def ask_again(
    policy: Policy,
    *,
    by: Person | None,
    number: int | None = None,
    queue: Queue | None = None,
    verdict: str = "",
    seed: int | None = None,
) -> Relabelling:
    """Open a second-opinion job on `number` of these items, drawn with equal chances; None: on all.

    Whoever decided an item is not served it again. The same `seed` twice asks once. What is being
    looked at already is left alone.
    """
    access.check_ask_again(by, policy)
    version = policy.versions.in_force().first()
    if version is None:
        raise Conflict(_("No version of this policy is in force."))
    seed = secrets.randbits(53) if seed is None else seed
    known = Relabelling.objects.filter(policy_version=version, seed=seed).first()
    if known is not None:
        return known
    if number is not None and not 1 <= number <= MOST_ASKED:
        words = _("Ask about 1 to %(most)s at once.") % {"most": figure(MOST_ASKED)}
        raise Invalid(words, details={"number": [words]})
    values = _values(policy, queue=queue, verdict=verdict)
    pool = dict(_fetch(_POOL, values)) if values else {}
    if not pool:
        raise Conflict(_("Nothing is left to ask about: it is decided anew or being looked at."))
    wanted = min(number or len(pool), len(pool))
    if wanted > MOST_ASKED:
        words = _("These are %(count)s. Ask about %(most)s at once at most.")
        words %= {"count": figure(len(pool)), "most": figure(MOST_ASKED)}
        raise Invalid(words, details={"number": [words]})
    chosen = sorted(pool, key=lambda item_id: _draw(seed, item_id))[:wanted]
    with transaction.atomic():
        _fetch(_LOCK, [chosen])
        still = [pk for (pk,) in _fetch(_STILL, [[pool[item_id] for item_id in chosen]])]
        if not still:
            raise Conflict(_("Somebody has asked about these meanwhile. Look at the page again."))
        jobs = _open_jobs(still, pool=len(pool), probability=wanted / len(pool), seed=seed, by=by)
        relabelling = Relabelling.objects.create(
            policy_version=version,
            queue=queue,
            verdict=verdict,
            pool=len(pool),
            asked=len(jobs),
            probability=wanted / len(pool),
            seed=seed,
            asked_by=by,
        )
        link = Relabelling.jobs.through
        link.objects.bulk_create(
            [link(relabelling_id=relabelling.pk, job_id=job.pk) for job in jobs], batch_size=2000
        )
        audit.record(
            "policy.ask_again",
            policy,
            by=by,
            platform=policy.platform_id,
            version=version.number,
            asked=len(jobs),
            pool=len(pool),
            probability=wanted / len(pool),
            seed=seed,
            **({"queue": queue.slug} if queue else {}),
            **({"verdict": verdict} if verdict else {}),
        )
    relabelling.refresh_from_db(fields=["asked_at"])
    return relabelling


def results(policy: Policy, *, most: int = 10) -> list[Result]:
    """The newest askings, each with what came of it so far."""
    rows = Relabelling.objects.filter(policy_version__policy=policy)
    rows = rows.select_related("policy_version", "queue", "asked_by").order_by("-id")
    found = []
    for relabelling in rows[:most]:
        values = {
            "relabelling": relabelling.pk,
            "at": relabelling.asked_at,
            "policy": policy.pk,
        }
        found.append(Result(relabelling, *_fetch(_RESULT, values)[0]))
    return found


def _values(
    policy: Policy, *, queue: Queue | None = None, verdict: str = "", before: int | None = None
) -> dict | None:
    """None where nothing can be old: no version in force, or it is the first."""
    in_force = policy.versions.in_force().first()
    if in_force is None:
        return None
    older = PolicyVersion.objects.filter(policy=policy, effective_at__lte=in_force.effective_at)
    versions = list(older.exclude(pk=in_force.pk).values_list("pk", flat=True))
    if not versions:
        return None
    return {
        "versions": versions,
        "since": in_force.effective_at,
        "policy": policy.pk,
        "queue": queue.pk if queue else None,
        "violates": {Verdict.VIOLATING: True, Verdict.CLEAN: False}.get(verdict),
        "before": before or _BEFORE_ALL,
        "walked": MOST_WALKED,
    }


def _open_jobs(
    decision_ids: Sequence[int], *, pool: int, probability: float, seed: int, by: Person | None
) -> list[Job]:
    """They wait from now on. An item that had been drawn keeps its first chance, as in every
    follow-up; one that had come by rank has the chance of being asked about."""
    now = claims.clock()
    decisions = Decision.objects.select_related("job__draw", "queue").filter(pk__in=decision_ids)
    draws: dict[tuple[int, int | None], draw_rows.Pending] = {}
    jobs = []
    for decision in decisions.order_by("pk"):
        origin_id = draw_rows.origin_of(decision.job.draw)
        key = (decision.queue_id, origin_id)
        if key not in draws:
            draws[key] = _pending(key, probability=probability, seed=seed, pool=pool, by=by)
        queue = decision.queue
        due_at = now + timedelta(minutes=queue.sla_minutes)
        chance = decision.job.inclusion_probability if origin_id else probability
        jobs.append(
            Job(
                item_id=decision.item_id,
                queue_id=decision.queue_id,
                lane=Lane.SECOND,
                harm=decision.job.harm,
                rank=ranking.rank(
                    max(decision.job.harm, _LEAST_HARM),
                    submitted_at=now,
                    doubling_hours=queue.doubling_hours,
                ),
                created_at=now,
                due_at=due_at,
                lift_at=ranking.lift(due_at, now=now, soon_minutes=queue.soon_minutes).lift_at,
                draw_id=draws[key].set_aside(),
                inclusion_probability=chance,
            )
        )
    made = Job.objects.bulk_create(jobs, batch_size=1000)
    draw_rows.write(draws.values())
    return made


def _pending(
    key: tuple[int, int | None], *, probability: float, seed: int, pool: int, by: Person | None
) -> draw_rows.Pending:
    queue_id, origin_id = key
    if origin_id is not None:
        strategy = Draw.Strategy.FOLLOWS
    elif probability < 1:
        strategy = Draw.Strategy.SAMPLE
    else:
        strategy = Draw.Strategy.CERTAINTY
    return draw_rows.Pending(
        queue_id,
        Lane.SECOND,
        strategy,
        seed,
        probability=None if origin_id else probability,
        pool_size=pool,
        follows_id=origin_id,
        created_by_id=by.pk if by else None,
    )


def _draw(seed: int, item_id: int) -> bytes:
    return hashlib.sha256(f"{seed}:{item_id}".encode()).digest()


def _wilson(successes: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % score interval for a share."""
    z = 1.959964
    share = successes / n
    middle = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max((middle - spread) / scale, 0.0), min((middle + spread) / scale, 1.0)


def _fetch(sql: str, values: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()
