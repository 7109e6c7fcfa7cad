"""Asking a colleague: her opinion comes first, and the one who asked decides.

Her job is set aside meanwhile: kept for her, and served to nobody, herself included, until the
opinion is there. What nobody answers in time goes back to everybody (sweep).

It is offered to nobody who opted out of what the item is likely to carry, or has had enough of it;
so that nobody learns who that is, she can be named all the same, and then all others are asked too.
"""

import uuid
from collections.abc import Collection
from datetime import timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, Exists, OuterRef, Q, QuerySet, When
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from . import access, audit, claims, notes, notifications, wellness
from .errors import Conflict, Forbidden, Invalid, NotFound
from .models import (
    Consultation,
    Item,
    Job,
    Notification,
    Person,
    PolicyVersion,
    Queue,
    Review,
)

State, Opinion, Sort = Consultation.State, Consultation.Opinion, Notification.Sort
_BATCH = 500

# Kept no longer: the time is over, the job is done with, or a lead gave it to somebody else. What
# its asker holds at this moment is looked at again when she is through with it.
_DUE = f"""
SELECT kept.id, kept.job_id, kept.state, kept.asked_by_id, kept.item_id, kept.queue_id,
  queue.platform_id, job.state = 'ready' AND job.assigned_to_id = kept.asked_by_id AS is_kept,
  job.state = 'ready' AS waits
FROM reviews_consultation AS kept
JOIN reviews_job AS job ON job.id = kept.job_id
JOIN reviews_queue AS queue ON queue.id = kept.queue_id
WHERE kept.due_at IS NOT NULL AND (
  job.state IN ('done', 'cancelled')
  OR job.state = 'ready' AND (
    kept.due_at <= clock_timestamp() OR job.assigned_to_id IS DISTINCT FROM kept.asked_by_id
  )
)
ORDER BY job.id LIMIT {_BATCH} FOR UPDATE OF kept, job SKIP LOCKED
"""  # noqa: S608


class Ask(NamedTuple):
    """What she wants to know, and of whom: None is anybody who may answer."""

    of: Person | None
    note: str
    leaning: str = ""


def colleagues(job: Job, *, by: Person) -> QuerySet[Person]:
    """Who can be asked: works the queue, is not herself, and has not answered the item."""
    return (
        Person.objects.filter(
            queues=job.queue_id,
            platforms=job.queue.platform_id,
            is_active=True,
            groups__name__in=access.GRANTS["consultation.answer"].roles,
        )
        .exclude(pk=by.pk)
        .exclude(Exists(Review.objects.filter(item=job.item_id, reviewer=OuterRef("pk"))))
        .distinct()
        .order_by("username")
    )


def ask_colleague(job_id: int, token: str, ask: Ask, *, by: Person) -> Consultation:
    """Her claim ends, her job waits for the answer. Raises ClaimLost, Conflict, Invalid."""
    access.check(by, "consultation.ask")
    access.check_holds(by, job_id)
    note = notes.clean(ask.note)
    if ask.leaning and ask.leaning not in Opinion.values:
        _refuse("leaning", _("Choose one of the three, or none."))
    with transaction.atomic():
        item = Item.objects.select_for_update(no_key=True).get(jobs=job_id)
        job = claims.release(job_id, token, by=by)
        able = list(colleagues(job, by=by)[: notifications.MOST_TOLD])
        if not able:
            raise Conflict(_("There is nobody to ask: everybody here has answered this item."))
        if ask.of is not None and not colleagues(job, by=by).filter(pk=ask.of.pk).exists():
            _refuse("of", _("She cannot be asked about this item. Choose somebody else."))
        told, is_for_anybody = _told(job, able, ask.of)
        due_at = claims.clock() + timedelta(hours=settings.CONSULTATION_HOURS)
        Job.objects.filter(pk=job.pk).update(assigned_to=by, run_after=due_at)
        consultation = Consultation.objects.create(
            item=item,
            item_version=item.current_version,
            job=job,
            queue=job.queue,
            asked_by=by,
            asked_of=ask.of,
            is_for_anybody=is_for_anybody,
            note=note,
            leaning=ask.leaning,
            due_at=due_at,
        )
        _record("consultation.ask", consultation, by=by)
        _tell(told, Sort.ASKED, consultation, by=by)
    return consultation


def may_answer(consultation: Consultation, person: Person) -> bool:
    """She was asked, or anybody was; she still works there, has not answered the item, and it is
    nothing that she does not take."""
    if consultation.asked_of_id not in (None, person.pk) and not consultation.is_for_anybody:
        return False
    if not access.may(person, "consultation.answer"):
        return False
    if is_spared(consultation, person):
        return False
    asker = Person(pk=consultation.asked_by_id)
    return colleagues(consultation.job, by=asker).filter(pk=person.pk).exists()


def is_spared(consultation: Consultation, person: Person) -> bool:
    """What it asks about is nothing for her now. Hers alone to know."""
    return wellness.is_spared(person, consultation.queue, consultation.item.risks)


def give_opinion(
    consultation: Consultation,
    *,
    by: Person,
    opinion: str,
    policy_slugs: Collection[str] = (),
    text: str = "",
    revealed_seconds: float = 0.0,
) -> Consultation:
    """Once; the job is then the first that the one who asked is served."""
    access.check(by, "consultation.answer", consultation.queue.platform_id)
    if not may_answer(consultation, by):
        raise Forbidden(_("You were not asked about this item."))
    if opinion not in Opinion.values:
        _refuse("opinion", _("Say what you think of it."))
    violated = _violated(consultation.queue, opinion, policy_slugs)
    text = notes.clean(text) if text.strip() or opinion == Opinion.UNSURE else ""
    with transaction.atomic():
        Item.objects.select_for_update(no_key=True).get(pk=consultation.item_id)
        _close(consultation, State.ANSWERED, answered_by=by, opinion=opinion, text=text)
        consultation.policy_versions.set(violated)
        _expose(consultation, by, revealed_seconds, [one.policy.slug for one in violated])
        kept = Job.objects.ready().filter(
            pk=consultation.job_id, assigned_to=consultation.asked_by_id
        )
        if not kept.update(run_after=None):
            raise Conflict(_("This item was decided meanwhile. Your opinion is no longer needed."))
        _record("consultation.answer", consultation, by=by, opinion=opinion)
        _tell([consultation.asked_by_id], Sort.OPINION, consultation, by=by)
    return consultation


def note_looked(consultation: Consultation, *, by: Person, seconds: float) -> None:
    """She leaves without an answer: so long did it stand open to her."""
    access.check(by, "consultation.answer", consultation.queue.platform_id)
    if consultation.state == State.ASKED and may_answer(consultation, by):
        with transaction.atomic():
            _expose(consultation, by, seconds)


def withdraw_consultation(consultation: Consultation, *, by: Person) -> Consultation:
    """She has found out herself: the job is hers again at once."""
    access.check(by, "consultation.ask", consultation.queue.platform_id)
    if consultation.asked_by_id != by.pk:
        raise Forbidden(_("Only who asked can withdraw it."))
    with transaction.atomic():
        Item.objects.select_for_update(no_key=True).get(pk=consultation.item_id)
        _close(consultation, State.WITHDRAWN)
        kept = Job.objects.ready().filter(pk=consultation.job_id, assigned_to=by)
        kept.update(run_after=None)
        _record("consultation.withdraw", consultation, by=by)
    return consultation


def sweep() -> int:
    """Jobs that are kept no longer go back to everybody; their askers are told. Returns how many
    consultations it closed or let go."""
    total = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_DUE)
            rows = cursor.fetchall()
            _let_go(rows)
        total += len(rows)
        if len(rows) < _BATCH:
            return total


def erase_consultations(item: Item) -> None:
    """With its item, in the caller's transaction: what was written may quote what it said."""
    item.consultations.update(note="", text="")


def waiting_for(person: Person, *, most: int = notifications.MOST_TOLD) -> list[Consultation]:
    """Open ones that she may answer, oldest first: asked of her, then of anybody."""
    if not access.may(person, "consultation.answer"):
        return []
    answered = Review.objects.filter(item=OuterRef("item"), reviewer=person)
    rows = Consultation.objects.filter(
        state=State.ASKED, queue__in=access.queues_to_work(person), job__state=Job.State.READY
    )
    anybody = (Q(asked_of=None) | Q(is_for_anybody=True)) & ~Q(asked_by=person)
    rows = rows.filter(Q(asked_of=person) | anybody).exclude(Exists(answered))
    rows = rows.select_related("item__kind", "asked_by", "queue")
    rows = rows.order_by(Case(When(asked_of=person, then=0), default=1), "pk")
    return [one for one in rows[:_BATCH] if not is_spared(one, person)][:most]


def asked_by(person: Person) -> QuerySet[Consultation]:
    """Hers that are open, or answered and not decided yet; answered ones first."""
    rows = Consultation.objects.filter(asked_by=person, due_at__isnull=False)
    rows = rows.filter(state__in=[State.ASKED, State.ANSWERED], job__state=Job.State.READY)
    rows = rows.filter(queue__platform__in=access.platform_ids(person))
    return rows.select_related("item__kind", "asked_of", "answered_by", "queue").order_by(
        "state", "pk"
    )


def on_item(item: Item, *, by: Person) -> QuerySet[Consultation]:
    """For its timeline: those she took part in; who looks on sees all."""
    rows = item.consultations.select_related("asked_by", "asked_of", "answered_by").order_by("pk")
    if access.may(by, "job.view"):
        return rows
    return rows.filter(asked_by=by) | rows.filter(answered_by=by)


def get_consultation(person: Person, pk: int) -> Consultation:
    """Whoever took part or can; and who looks on. For anybody else there is none."""
    rows = Consultation.objects.select_related(
        "item__kind", "item__account", "item_version", "queue", "job__queue", "asked_by",
        "asked_of", "answered_by",
    )  # fmt: skip
    found = access.get(person, "item.view", rows, "queue__platform", pk=pk)
    taking_part = {found.asked_by_id, found.asked_of_id, found.answered_by_id}
    if person.pk in taking_part or access.may(person, "job.view") or may_answer(found, person):
        return found
    raise NotFound(_("There is no such consultation here."))


def _violated(queue: Queue, opinion: str, slugs: Collection[str]) -> list[PolicyVersion]:
    if opinion != Opinion.VIOLATING:
        return []
    in_force = PolicyVersion.objects.in_force().filter(policy__queues=queue)
    found = {one.policy.slug: one for one in in_force.select_related("policy")}
    if unknown := set(slugs) - set(found):
        _refuse("policy", _("Not judged here: %(names)s.") % {"names": ", ".join(sorted(unknown))})
    return [found[slug] for slug in dict.fromkeys(slugs)]


def _told(job: Job, able: list[Person], of: Person | None) -> tuple[list[Person], bool]:
    """Who is told that somebody asks; and whether all are asked, though one was named."""
    risks = job.item.risks
    if of is not None and not wellness.is_spared(of, job.queue, risks):
        return [of], False
    told = [one for one in able if not wellness.is_spared(one, job.queue, risks)]
    return told, of is not None


def _expose(
    consultation: Consultation, person: Person, seconds: float, violated: Collection[str] = ()
) -> None:
    """In the caller's transaction: one look of one person, however often she comes back to it."""
    wellness.expose(
        consultation.queue,
        by=person,
        token=uuid.uuid5(uuid.NAMESPACE_OID, f"consultation {consultation.pk} {person.pk}"),
        risks=consultation.item.risks,
        violated=violated,
        seconds=seconds,
        at_most=(claims.clock() - consultation.asked_at).total_seconds(),
    )


def _close(consultation: Consultation, state: str, **values: object) -> None:
    rows = Consultation.objects.filter(pk=consultation.pk, state=State.ASKED)
    if not rows.update(state=state, ended_at=Now(), **values):
        raise Conflict(_("This was answered or withdrawn meanwhile."))
    consultation.refresh_from_db()


def _let_go(rows: list[tuple]) -> None:
    for pk, job_id, state, asker, item_id, queue_id, platform, is_kept, waits in rows:
        if is_kept:
            Job.objects.filter(pk=job_id).update(assigned_to=None, run_after=None)
        elif waits:
            Job.objects.filter(pk=job_id).update(run_after=None)
        if state != State.ASKED:
            Consultation.objects.filter(pk=pk).update(due_at=None)
            continue
        Consultation.objects.filter(pk=pk).update(state=State.LAPSED, due_at=None, ended_at=Now())
        lapsed = Consultation(pk=pk)
        audit.record("consultation.lapse", lapsed, by=None, platform=platform, item=item_id)
        notifications.tell(
            [asker],
            Sort.OPINION,
            by=None,
            platform=platform,
            item=item_id,
            queue=queue_id,
            consultation=pk,
            is_lapsed=True,
        )


def _record(verb: str, consultation: Consultation, *, by: Person, **data: object) -> None:
    queue = consultation.queue
    data = {"item": consultation.item_id, "queue": queue.slug, **data}
    if consultation.asked_of_id is not None:
        data["of"] = consultation.asked_of_id
    audit.record(verb, consultation, by=by, platform=queue.platform_id, **data)


def _tell(people: list, sort: str, consultation: Consultation, *, by: Person) -> None:
    notifications.tell(
        people,
        sort,
        by=by,
        platform=consultation.queue.platform_id,
        item=consultation.item_id,
        queue=consultation.queue_id,
        consultation=consultation.pk,
    )


def _refuse(field: str, message: str) -> None:
    raise Invalid(message, details={field: [message]})
