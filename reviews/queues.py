"""Queues made, changed, put back, archived and staffed by leads: each a revision of its whole.

What can be set, and whether it is right, is queue_settings.py's.
"""

import secrets
from collections.abc import Collection

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from . import access, claims, reranking, revisions
from .errors import Conflict, Invalid
from .models import Job, Person, Platform, Queue, QueueAction, Revision, RoutingVersion
from .queue_settings import NEW, Data, Parts, check, may_work, read
from .refusals import slug_refusals
from .routing import hold_publishing
from .wording import kept


def create_queue(
    platform: Platform, slug: str, data: Data, *, by: Person | None, note: str = ""
) -> Queue:
    """A queue with all its settings; `slug` is its address and stays."""
    access.check(by, "queue.edit", platform)
    data = {**NEW, **data, "is_archived": False}
    if data["members"]:
        access.check(by, "queue.staff", platform)
    with transaction.atomic():
        _lock(platform.pk)
        details = slug_refusals(
            slug,
            Queue,
            platform,
            by=by,
            new=_("“new” is the address of the page for new queues. Choose another."),
            taken=_("Another queue has this address. It may be an archived one."),
        )
        queue = Queue(platform=platform, slug=slug, draw_seed=secrets.randbelow(2**31))
        parts = check(queue, data, more=details)
        if not platform.queues.filter(is_default=True).exists():
            data["is_default"] = True  # a default always exists
        if data["is_default"]:
            _move_default(platform, to=None, by=by)
        try:
            with transaction.atomic():
                _apply(queue, data, parts)
        except IntegrityError:
            raise Conflict(_("There is a queue %(slug)s already.") % {"slug": slug}) from None
        reranking.keep_settings(queue)
        revisions.record(queue, read(queue), by=by, platform=platform, note=note)
    return queue


def save_queue(
    queue: Queue,
    data: Data,
    *,
    by: Person | None,
    seen: int | None = None,
    note: str = "",
    restores: Revision | None = None,
) -> Queue:
    """The queue as `data` says, whole. `seen` is the revision she started from (None: whichever).

    What it ranks by has changed: the jobs that wait are ranked again within seconds (reranking.py).
    """
    access.check(by, "queue.edit", queue.platform_id)
    with transaction.atomic():
        queue = _locked(queue)
        if queue.is_archived:
            raise Conflict(_("%(name)s is archived. Bring it back first.") % {"name": queue.name})
        revisions.check_seen(queue, seen)
        before = read(queue)
        data = {**before, **data, "is_archived": False}
        if restores is not None:
            data["is_default"] = before["is_default"]
        leaving = set(before["members"]) - set(data["members"])
        if set(before["members"]) != set(data["members"]):
            access.check(by, "queue.staff", queue.platform_id)
        parts = check(queue, data)
        revisions.keep_first(queue, before, platform=queue.platform_id)
        reranking.keep_settings(queue)
        if data["is_default"] and not before["is_default"]:
            _move_default(queue.platform, to=queue, by=by)
        _apply(queue, data, parts)
        after = read(queue)
        for person in Person.objects.filter(username__in=leaving):
            _send_off(person, queue, by=by)
        revisions.record(
            queue, after, by=by, platform=queue.platform_id, note=note, restores=restores
        )
    return queue


def put_back(queue: Queue, number: int, *, by: Person | None, seen: int | None = None) -> Queue:
    """The state that revision `number` kept, through the same checks as any other save.

    Which queue is the default, and whether this one is archived, is not taken from the past.
    """
    access.check(by, "queue.edit", queue.platform_id)
    revision = revisions.get(queue, number)
    with revisions.putting_back(number):
        return save_queue(queue, revision.data, by=by, seen=seen, restores=revision)


def archive_queue(queue: Queue, *, by: Person | None, seen: int | None = None) -> Queue:
    """It takes nothing new and is worked no more; what waits in it moves on by the rules."""
    access.check(by, "queue.edit", queue.platform_id)
    with transaction.atomic():
        queue = _locked(queue)
        if queue.is_archived:
            return queue
        revisions.check_seen(queue, seen)
        if queue.is_default:
            raise Conflict(
                _(
                    "%(name)s is the default queue: it takes what no rule routes. Make another "
                    "queue the default first."
                )
                % {"name": queue.name}
            )
        hold_publishing(queue.platform_id)
        if rules := _rules_to(queue):
            raise Conflict(
                _("Routing sends items to %(name)s (%(names)s). Change the routing first.")
                % {"name": queue.name, "names": ", ".join(rules)}
            )
        revisions.keep_first(queue, read(queue), platform=queue.platform_id)
        reranking.keep_settings(queue)
        Job.objects.ready().filter(queue=queue, assigned_to__isnull=False).update(assigned_to=None)
        queue.is_archived = True
        queue.save(update_fields=["is_archived"])
        revisions.record(queue, read(queue), by=by, platform=queue.platform_id)
    return queue


def _rules_to(queue: Queue) -> list[str]:
    """Names of the published rules that send items there."""
    published = RoutingVersion.objects.filter(
        platform=queue.platform_id, state=RoutingVersion.State.PUBLISHED
    ).first()
    rules = published.rules if published else []
    return [rule["name"] for rule in rules if rule["queue"] == queue.slug and rule["is_active"]]


def unarchive_queue(queue: Queue, *, by: Person | None, seen: int | None = None) -> Queue:
    """It is worked again, as it was. What was moved elsewhere stays there until routed anew."""
    access.check(by, "queue.edit", queue.platform_id)
    with transaction.atomic():
        queue = _locked(queue)
        if not queue.is_archived:
            return queue
        revisions.check_seen(queue, seen)
        queue.is_archived = False
        queue.save(update_fields=["is_archived"])
        revisions.record(queue, read(queue), by=by, platform=queue.platform_id)
    return queue


def staff(
    person: Person,
    platform: Platform,
    slugs: Collection[str],
    *,
    by: Person | None,
    is_leaving: bool = False,
) -> None:
    """She works these queues of the platform and no others; a revision of each that changes.

    A queue that wants several independent reviews keeps as many people, unless she `is_leaving`.
    """
    access.check(by, "queue.staff", platform)
    with transaction.atomic():
        rows = {queue.slug: queue for queue in _lock(platform.pk)}
        wrong = sorted(slug for slug in slugs if slug not in rows or rows[slug].is_archived)
        if wrong:
            raise Invalid(
                _("Not a queue one can work: %(names)s.") % {"names": ", ".join(wrong)},
                details={
                    "queues": [
                        _("Not a queue one can work: %(names)s.") % {"names": ", ".join(wrong)}
                    ]
                },
            )
        if slugs and not may_work(platform).filter(pk=person.pk).exists():
            message = _("%(username)s has no role that reviews. Give her one first.") % {
                "username": person.username
            }
            raise Invalid(message, details={"queues": [message]})
        works = set(person.queues.filter(platform=platform).values_list("slug", flat=True))
        for slug in sorted(works ^ set(slugs)):
            queue = rows[slug]
            before = read(queue)
            revisions.keep_first(queue, before, platform=platform)
            if slug in slugs:
                queue.members.add(person)
                note = kept("%(person)s works it now.", person=person.username)
            else:
                if not is_leaving and queue.reviews_wanted > max(len(before["members"]) - 1, 1):
                    message = _(
                        "%(name)s wants %(reviews_wanted)s independent reviews, so as many "
                        "people must work it. Lower that first, or add somebody."
                    ) % {"name": queue.name, "reviews_wanted": queue.reviews_wanted}
                    raise Invalid(message, details={"queues": [message]})
                queue.members.remove(person)
                _send_off(person, queue, by=by)
                note = kept("%(person)s no longer works it.", person=person.username)
            revisions.record(queue, read(queue), by=by, platform=platform, note=note)


def _lock(platform_id: int) -> list[Queue]:
    """All queues of the platform: the default, keys and names are matters between them. Intake
    goes on (it needs their keys only)."""
    rows = Queue.objects.filter(platform=platform_id).select_related("platform").order_by("pk")
    return list(rows.select_for_update(of=("self",), no_key=True))


def _locked(queue: Queue) -> Queue:
    return next(row for row in _lock(queue.platform_id) if row.pk == queue.pk)


def _apply(queue: Queue, data: Data, parts: Parts) -> None:
    queue.name = data["name"].strip()
    queue.description = data["description"].strip()
    queue.lease_seconds = round(data["lease_minutes"] * 60)
    queue.report_weight = data["report_percent"] / 100
    queue.lane_shares = {lane: share / 100 for lane, share in data["lane_shares"].items()}
    for rate in ("random", "learning", "qa"):
        setattr(queue, f"{rate}_rate", data[f"{rate}_percent"] / 100)
    for name in (
        "position",
        "is_default",
        "policy_required",
        "note_required",
        "takes_escalations",
        "skip_reasons",
        "canned_notes",
        "reviews_wanted",
        "blind",
        "filters",
        "page_size",
        "undo_seconds",
        "sla_minutes",
        "sla_by_source",
        "soon_minutes",
        "handling_minutes",
        "doubling_hours",
    ):
        setattr(queue, name, data[name])
    queue.save()
    queue.policies.set(parts.policies)
    queue.kinds.set(parts.kinds)
    queue.members.set(parts.members)
    queue.offers.all().delete()
    QueueAction.objects.bulk_create(
        QueueAction(
            queue=queue,
            action=action,
            key=data["action_keys"].get(action.slug, "").lower(),
            is_hidden=action.slug in data["hidden_actions"],
            position=place,
        )
        for place, action in enumerate(parts.actions)
    )


def _move_default(platform: Platform, *, to: Queue | None, by: Person | None) -> None:
    """Take the flag from the queue that has it; what it held by default is routed again."""
    for other in platform.queues.filter(is_default=True):
        if to is not None and other.pk == to.pk:
            continue
        revisions.keep_first(other, read(other), platform=platform)
        reranking.keep_settings(other)
        other.is_default = False
        other.save(update_fields=["is_default"])
        note = kept("Another queue is the default now.")
        revisions.record(other, read(other), by=by, platform=platform, note=note)


def _send_off(person: Person, queue: Queue, *, by: Person | None) -> None:
    claims.take_back(
        person,
        by=by,
        platform_id=queue.platform_id,
        queues=[queue.pk],
        reason=kept("No longer works %(queue)s.", queue=queue.name)[:200],
    )
