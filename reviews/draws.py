"""Draws into the lanes that measure, teach and check: who is drawn, with which chance, from what.

The random lane is drawn where jobs are placed (routing.py), a second opinion where it is asked for
(decisions.py). Here are the rest: learning, as scores arrive; quality checks of decisions; gold.
"""

import math
import secrets
from collections.abc import Collection, Mapping, Sequence

from django.db import connection, transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from . import access, audit, bulk, draw_pools, draw_rows, ranking, sampling
from .draw_pools import MOST_IN_POOL, NOTHING, Candidate
from .errors import Conflict, Invalid
from .models import Draw, Item, Job, Lane, Person, Queue
from .routing import Router, draw_value
from .wording import figure

# As scores arrive, the newest so many jobs say what the usual risks are.
_REFERENCE = 2_000
_BATCH = 1_000
MANUAL_LANES = (Lane.LEARNING, Lane.QA, Lane.GOLD)
STRATEGIES = (
    Draw.Strategy.POISSON_BAND,
    Draw.Strategy.POISSON_SQRT,
    Draw.Strategy.POISSON,
    Draw.Strategy.CERTAINTY,
)
_MOST_SEED = 2**53

_TO_LEARNING = """
WITH given AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%s) AS row (id bigint, draw_id bigint, probability float8)
), locked AS MATERIALIZED (
  SELECT id, state, lane FROM reviews_job WHERE id IN (SELECT id FROM given) ORDER BY id
  FOR NO KEY UPDATE
)
UPDATE reviews_job AS job
SET lane = 'learning', draw_id = given.draw_id, inclusion_probability = given.probability
FROM given JOIN locked USING (id)
WHERE job.id = given.id AND locked.state = 'ready' AND locked.lane = 'risk'
"""

# In order, up to the first whose undo window has not been closed for a while: an answer that is
# still being written has a window that closes later. Looking back no further than a day (and so
# many decisions), a rate that is turned on does not bring up last month.
_NEWEST = """(
  SELECT * FROM reviews_decision WHERE queue_id = %(queue)s AND id > %(after)s
  ORDER BY id DESC LIMIT 10000
)"""
_NEW_DECISIONS = f"""
SELECT decision.id, decision.item_id,
  decision.undo_until < clock_timestamp() - interval '10 seconds' AS is_closed
{draw_pools.CHECKED.format(decisions=_NEWEST)}
  AND decision.decided_at > clock_timestamp() - interval '1 day'
ORDER BY decision.id LIMIT %(most)s
"""  # noqa: S608


def draw_for_learning(
    item_ids: Collection[int],
    *,
    router: Router,
    model_version: str,
    thresholds: Mapping[str, float],
) -> None:
    """Draw among these items, newly scored, those that teach a model most; in the caller's
    transaction, which has just ranked their jobs and so holds them.

    Each job has the chance that it would have if all that usually waits were drawn from at once:
    alone in its call or among thousands. Every call is a draw of its own.
    """
    queues = {queue.pk: queue for queue in router.queues if queue.learning_rate > 0}
    if not queues:
        return
    rows = (
        Job.objects.ready()
        .filter(item_id__in=item_ids, lane=Lane.RISK, queue__in=queues, item__risk__isnull=False)
        .order_by("pk")
        .values_list("queue_id", "pk", "item_id", "item__risks")
    )
    pools: dict[int, list[Candidate]] = {}
    for queue_id, *rest in rows:
        pools.setdefault(queue_id, []).append(Candidate(*rest))
    newest = Job.objects.aggregate(newest=Max("pk"))["newest"] or 0
    moves, pending = [], []
    for queue_id, pool in pools.items():
        queue = queues[queue_id]
        slugs = _slugs(router, queue)
        usual = [_risk(risks, slugs, thresholds) for risks in _usual_risks(queue, newest)]
        risks = [_risk(one.risks, slugs, thresholds) for one in pool]
        everything = usual or risks
        plan = sampling.plan(
            Draw.Strategy.POISSON_BAND, everything, expected=queue.learning_rate * len(everything)
        )
        draw = draw_rows.Pending(
            queue.pk,
            Lane.LEARNING,
            plan.strategy,
            queue.draw_seed,
            pool_size=len(pool),
            model_version=model_version,
        )
        stream = _stream(draw)
        draw.parameters = {
            **plan.as_parameters(),
            "share": queue.learning_rate,
            "usual": len(usual),
            "thresholds": {slug: thresholds[slug] for slug in slugs if slug in thresholds},
            "stream": stream,
        }
        for one, risk in zip(pool, risks, strict=True):
            probability = plan.probability(risk)
            if draw_value(queue.draw_seed, one.item_id, stream=stream) < probability:
                moves.append({"id": one.pk, "draw_id": draw.id, "probability": probability})
        pending.append(draw)
    if moves:
        bulk.over_rows(_TO_LEARNING, moves)
    draw_rows.write(pending)


def draw_for_quality() -> int:
    """Sweep: a second person looks at a share of what was decided. Returns how many jobs it made.

    Decisions enter the pool once, when they can no longer be taken back.
    """
    made = 0
    for queue in Queue.objects.filter(qa_rate__gt=0, is_archived=False).order_by("pk"):
        while True:
            with transaction.atomic():
                count, is_whole = _check_some(queue)
            made += count
            if not is_whole:
                break
    return made


def draw_jobs(
    queue: Queue,
    *,
    lane: str,
    strategy: str,
    expected: float,
    seed: int | None = None,
    by: Person | None,
) -> Draw:
    """Draw about `expected` of what is there for a lane into it, now; see docs/ranking.md.

    learning: of the queue's waiting jobs that have a score. qa: of its decisions, for another
    person to look at. gold: of those whose verdict is known, for who has not seen them. The
    strategy "certainty" takes the whole pool. Without a seed, one is drawn.
    """
    access.check(by, "draw.create", queue.platform_id)
    _check(queue, lane, strategy, expected, seed)
    seed = secrets.randbelow(_MOST_SEED) if seed is None else seed
    with transaction.atomic():
        # One at a time a queue: two at once would draw from the same pool.
        Queue.objects.select_for_update(no_key=True).get(pk=queue.pk)
        router = Router(queue.platform_id)
        pool = draw_pools.read(queue, lane)
        if not pool:
            raise Conflict(NOTHING[Lane(lane)])
        slugs = _slugs(router, queue)
        risks = [_risk(one.risks, slugs) for one in pool]
        is_all = strategy == Draw.Strategy.CERTAINTY
        plan = sampling.plan(strategy, risks, expected=len(pool) if is_all else expected)
        probabilities = [plan.probability(risk) for risk in risks]
        draw = draw_rows.Pending(
            queue.pk,
            lane,
            plan.strategy,
            seed,
            probability=probabilities[0] if len(set(probabilities)) == 1 else None,
            pool_size=len(pool),
            model_version=_model_version(pool) if lane == Lane.LEARNING else "",
            created_by_id=by.pk if by else None,
        )
        stream = _stream(draw)
        draw.parameters = {**plan.as_parameters(), "expected": expected, "stream": stream}
        drawn = sampling.draw(
            probabilities, lambda n: draw_value(seed, pool[n].item_id, stream=stream)
        )
        chosen = [(pool[n], probabilities[n]) for n in drawn]
        if lane == Lane.LEARNING:
            bulk.over_rows(
                _TO_LEARNING,
                [{"id": one.pk, "draw_id": draw.id, "probability": p} for one, p in chosen],
            )
        else:
            _open(queue, lane, draw, [(one.item_id, p) for one, p in chosen], router)
        return _write(draw, queue, strategy=strategy, by=by)


def draw_given(
    queue: Queue,
    chances: Mapping[int, float],
    *,
    strategy: str,
    model_version: str,
    parameters: Mapping[str, object] | None = None,
    seed: int | None = None,
    by: Person | None,
    asked_by: Person | None = None,
) -> Draw:
    """Draw waiting jobs for the learning lane by chances somebody else worked out (job id →
    inclusion probability), each on its own.

    What is claimed, kept for a person or in another lane by now falls out of the pool, drawn or
    not. Conflict where nothing is left. `asked_by` is whom the system draws for, asked before.
    """
    access.check(by, "draw.create", queue.platform_id)
    if not all(0 < chance <= 1 for chance in chances.values()):
        raise Invalid(_("Each chance has to be above 0, at most 1."))
    seed = secrets.randbelow(_MOST_SEED) if seed is None else seed
    person = by or asked_by
    with transaction.atomic():
        Queue.objects.select_for_update(no_key=True).get(pk=queue.pk)
        # Not locked: a pool may be all that waits, and claims pass over what is locked. Whoever is
        # drawn is looked at again under its own lock.
        pool = list(
            Job.objects.ready()
            .filter(pk__in=chances, queue=queue, lane=Lane.RISK, assigned_to=None)
            .order_by("pk")
            .values_list("pk", "item_id")
        )
        if not pool:
            raise Conflict(NOTHING[Lane.LEARNING])
        probabilities = [chances[pk] for pk, _item in pool]
        draw = draw_rows.Pending(
            queue.pk,
            Lane.LEARNING,
            strategy,
            seed,
            probability=probabilities[0] if len(set(probabilities)) == 1 else None,
            pool_size=len(pool),
            model_version=model_version[:80],
            created_by_id=person.pk if person else None,
        )
        stream = _stream(draw)
        draw.parameters = {
            **(parameters or {}),
            "expected": math.fsum(probabilities),
            "stream": stream,
        }
        drawn = sampling.draw(probabilities, lambda n: draw_value(seed, pool[n][1], stream=stream))
        moves = [
            {"id": pool[n][0], "draw_id": draw.id, "probability": probabilities[n]} for n in drawn
        ]
        if moves:
            bulk.over_rows(_TO_LEARNING, moves)
        return _write(draw, queue, strategy=strategy, by=person)


def _write(draw: draw_rows.Pending, queue: Queue, *, strategy: str, by: Person | None) -> Draw:
    """What somebody asked for, drawn: its row and the audit's. `strategy` as it was asked for."""
    draw_rows.write([draw])
    row = Draw.objects.get(pk=draw.id)
    audit.record(
        "draw.create",
        row,
        by=by,
        platform=queue.platform_id,
        queue=queue.slug,
        lane=draw.lane,
        strategy=strategy,
        expected=draw.parameters["expected"],
        seed=draw.seed,
        pool=draw.pool_size,
        drawn=row.drawn,
    )
    return row


def _check(queue: Queue, lane: str, strategy: str, expected: float, seed: int | None) -> None:
    wrong = {}
    if lane not in MANUAL_LANES:
        wrong["lane"] = _("Choose learning, quality check or gold.")
    if strategy not in STRATEGIES:
        wrong["strategy"] = _("Choose how to draw.")
    if not 0 < expected <= MOST_IN_POOL:
        wrong["expected"] = _("Give a number above 0, at most %(most_in_pool)s.") % {
            "most_in_pool": figure(MOST_IN_POOL)
        }
    if seed is not None and not 0 <= seed < _MOST_SEED:
        wrong["seed"] = _("Give a whole number from 0 to 2^53 − 1, or leave it empty.")
    if queue.is_archived:
        wrong["lane"] = _("This queue is archived: nobody works in it.")
    if wrong:
        raise Invalid(next(iter(wrong.values())), details=wrong)


def _check_some(queue: Queue) -> tuple[int, bool]:
    """Jobs made from the next decisions, and whether there may be more of these."""
    mine = Queue.objects.filter(pk=queue.pk).select_for_update(no_key=True, skip_locked=True)
    if not mine:
        return 0, False
    last = (
        Draw.objects.filter(queue=queue, lane=Lane.QA, parameters__has_key="upto")
        .order_by("-pk")
        .first()
    )
    values = {
        "queue": queue.pk,
        "after": last.parameters["upto"] if last else 0,
        "most": _BATCH,
    }
    with connection.cursor() as cursor:
        cursor.execute(_NEW_DECISIONS, values)
        rows = cursor.fetchall()
    pool = []
    for pk, item_id, is_closed in rows:
        if not is_closed:
            break
        pool.append((pk, item_id))
    if not pool:
        return 0, False
    draw = draw_rows.Pending(
        queue.pk,
        Lane.QA,
        Draw.Strategy.POISSON,
        queue.draw_seed,
        probability=queue.qa_rate,
        pool_size=len(pool),
    )
    stream = _stream(draw)
    draw.parameters = {"after": values["after"], "upto": pool[-1][0], "stream": stream}
    chosen = [
        (item_id, queue.qa_rate)
        for _rest, item_id in pool
        if draw_value(queue.draw_seed, item_id, stream=stream) < queue.qa_rate
    ]
    _open(queue, Lane.QA, draw, chosen, Router(queue.platform_id))
    draw_rows.write([draw])
    return len(chosen), len(pool) == _BATCH


def _open(
    queue: Queue,
    lane: str,
    draw: draw_rows.Pending,
    chosen: Sequence[tuple[int, float]],
    router: Router,
) -> None:
    """New jobs for items that are decided: as urgent among each other as their harm says."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    due_at = ranking.due_at(now, sla_minutes=queue.sla_minutes, first_reports={}, sla_by_source={})
    lift = ranking.lift(due_at, now=now, soon_minutes=queue.soon_minutes)
    items = Item.objects.in_bulk([item_id for item_id, _rest in chosen])
    jobs = []
    for item_id, probability in chosen:
        item = items[item_id]
        harm = router.harm(
            queue,
            risks=item.risks,
            views_per_hour=item.views_per_hour,
            report_trust=item.report_trust,
        )
        jobs.append(
            Job(
                item_id=item_id,
                queue=queue,
                lane=lane,
                harm=harm,
                rank=ranking.rank(harm, submitted_at=now, doubling_hours=queue.doubling_hours)
                + lift.hours,
                created_at=now,
                due_at=due_at,
                is_overdue=lift.is_overdue,
                is_soon=lift.is_soon,
                lift_at=lift.lift_at,
                draw_id=draw.set_aside(),
                inclusion_probability=probability,
            )
        )
    Job.objects.bulk_create(jobs, batch_size=1000)


def _usual_risks(queue: Queue, newest: int) -> list[dict[str, float]]:
    """Of what came lately and has a score: drawn, decided or waiting, or the rest would look
    tamer than what comes.
    """
    lanes = (Lane.RISK, Lane.RANDOM, Lane.LEARNING)
    return list(
        Job.objects.filter(
            queue=queue, lane__in=lanes, pk__gt=newest - _REFERENCE, item__risk__isnull=False
        ).values_list("item__risks", flat=True)
    )


def _stream(draw: draw_rows.Pending) -> str:
    """Each draw has random numbers of its own: what one left is no other's loss."""
    return f"{draw.lane}:{draw.set_aside()}"


def _slugs(router: Router, queue: Queue) -> list[str]:
    return [slug for slug, _rest, _rest in router.policies(queue, {})]


def _risk(
    risks: dict[str, float], slugs: Sequence[str], thresholds: Mapping[str, float] | None = None
) -> float:
    """The highest of the queue's policies, each as seen from its own threshold; what nobody has
    scored counts as usual.
    """
    known = thresholds or {}
    return max(
        (
            sampling.relative(risks[slug], known.get(slug, sampling.THRESHOLD))
            for slug in slugs
            if slug in risks
        ),
        default=ranking.PRIOR,
    )


def _model_version(pool: Sequence[Candidate]) -> str:
    labels = Item.objects.filter(pk__in=[one.item_id for one in pool[:_BATCH]])
    found = sorted(set(labels.values_list("risk_source", flat=True)))
    return ", ".join(found)[:80]
