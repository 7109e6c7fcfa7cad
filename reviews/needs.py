"""What waits for one person, whatever her role: her home is made of it. Bounded reads only."""

from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Q, QuerySet
from django.utils import timezone

from . import access, consultations, metrics, questions
from .models import (
    AuditEntry,
    Consultation,
    Draw,
    Enforcement,
    Job,
    Lane,
    Person,
    PolicyVersion,
    Question,
    Queue,
)
from .statements import Statement

MOST = 100  # beyond, it says "100+"
SHOWN = 5

# By halves, as the indexes are.
_BY_LANE = Statement(
    "needs_by_lane",
    f"""
SELECT queue.id, lanes.lane, counted.n
FROM unnest(%(queues)s::bigint[]) AS queue(id)
CROSS JOIN unnest(%(lanes)s::text[]) AS lanes(lane)
CROSS JOIN LATERAL (
  SELECT count(*) AS n FROM (
    SELECT FROM reviews_job
    WHERE queue_id = queue.id AND lane = lanes.lane AND state = 'ready' AND assigned_to_id IS NULL
    LIMIT {MOST}
  ) AS ready
) AS counted
WHERE counted.n > 0
""",  # noqa: S608
)


class Waiting(NamedTuple):
    """So many jobs of a lane wait in a queue."""

    queue: Queue
    lane: str
    n: int

    @property
    def label(self) -> str:
        return str(Lane(self.lane).label)


class Trail(NamedTuple):
    """How the audit trail stands."""

    newest: list[AuditEntry]
    sealed_at: datetime | None
    unsealed: int


def assigned(person: Person) -> list[tuple[Queue, int]]:
    """Jobs that a lead keeps for her, by queue; not those that wait for a colleague's answer."""
    rows = Job.objects.ready().filter(assigned_to=person, run_after=None)
    rows = rows.filter(queue__in=access.queues_to_work(person))
    counts: dict[Queue, int] = {}
    for job in rows.exclude(consultations__due_at__isnull=False).select_related("queue")[:MOST]:
        counts[job.queue] = counts.get(job.queue, 0) + 1
    return list(counts.items())


def asked_of(person: Person) -> list[Consultation]:
    return consultations.waiting_for(person, most=SHOWN + 1)


def asked_by(person: Person) -> list[Consultation]:
    return list(consultations.asked_by(person)[: SHOWN + 1])


def own_questions(person: Person) -> list[Question]:
    """Those she asked that are open, or were answered in the last week."""
    if not access.may(person, "question.ask"):
        return []
    week = timezone.now() - timedelta(days=7)
    rows = questions.visible(person).filter(asked_by=person)
    rows = rows.filter(Q(state=Question.State.OPEN) | Q(answered_at__gte=week))
    return list(rows[:SHOWN])


def open_questions(person: Person) -> list[Question]:
    return list(questions.open_for(person)[: SHOWN + 1])


def holds(person: Person) -> int:
    """Actions that wait for a second person, who may be she."""
    if not access.may(person, "enforcement.approve"):
        return 0
    rows = Enforcement.objects.held().filter(action__platform__in=access.platform_ids(person))
    return rows.exclude(requested_by=person)[:MOST].count()


def by_lane(queues: QuerySet[Queue], lanes: list[str]) -> list[Waiting]:
    found = {queue.pk: queue for queue in queues}
    rows = _BY_LANE.rows(queues=list(found), lanes=lanes)
    return [Waiting(found[pk], lane, n) for pk, lane, n in rows]


def late_queues(person: Person) -> list[metrics.QueueFigures]:
    """Queues of her platforms where something is overdue, the most first."""
    rows = access.visible(person, "queue.view", Queue.objects.all(), "platform")
    figures = metrics.queue_figures(rows.filter(is_archived=False))
    return sorted((one for one in figures if one.overdue), key=lambda one: -one.overdue)


def versions_to_come(person: Person) -> list[PolicyVersion]:
    rows = PolicyVersion.objects.filter(effective_at__gt=timezone.now()).select_related("policy")
    return list(
        access.visible(person, "policy.view", rows, "policy__platform").order_by("effective_at")[
            :SHOWN
        ]
    )


def newest_draws(person: Person) -> list[Draw]:
    rows = access.visible(person, "job.view", Draw.objects.all(), "queue__platform")
    return list(rows.select_related("queue").order_by("-pk")[:SHOWN])


def trail(person: Person) -> Trail:
    rows = access.audit_entries(person).select_related("actor")
    newest = list(rows.order_by("-id")[:SHOWN])
    sealed = AuditEntry.objects.filter(position__isnull=False).order_by("-position").first()
    unsealed = AuditEntry.objects.filter(position=None)[:MOST].count()
    return Trail(newest, sealed.at if sealed else None, unsealed)


def without_role(person: Person) -> int:
    """People of her platforms who can sign in and do nothing."""
    return access.people_to_see(person).filter(groups=None, is_active=True)[:MOST].count()
