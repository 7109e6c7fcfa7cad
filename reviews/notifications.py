"""What a person is told of, written in the same transaction as the deed it tells of.

One statement a deed, bounded: who switched the sort off, left, or did the deed herself is passed
over. Nothing here quotes an item or says what somebody answered: a notification leads to a page,
and that page knows what may be seen.
"""

import json
import re
from collections.abc import Collection

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from . import access
from .errors import Invalid, NotFound
from .models import (
    Decision,
    Item,
    Lane,
    MutedSort,
    Notification,
    Person,
    Platform,
    Policy,
    Queue,
    Review,
    Verdict,
)
from .statements import Statement

Sort = Notification.Sort
MOST_TOLD = 50  # people a deed
MOST_COUNTED = 100  # unread ones: beyond, the bell says "99+"
_BATCH = 5_000
_MENTION = re.compile(r"(?<![\w@.+-])@([\w.@+-]{1,150})")

_TELL = Statement(
    "notify",
    """
INSERT INTO reviews_notification
  (person_id, sort, actor_id, platform_id, item_id, policy_id, queue_id, data)
SELECT person.id, %(sort)s::text, %(by)s::bigint, %(platform)s::bigint, %(item)s::bigint,
  %(policy)s::bigint, %(queue)s::bigint, %(data)s::jsonb
FROM reviews_person AS person
JOIN reviews_platform_members AS belongs
  ON belongs.person_id = person.id AND belongs.platform_id = %(platform)s::bigint
WHERE person.id = ANY(%(people)s::bigint[]) AND person.is_active
  AND person.id IS DISTINCT FROM %(by)s::bigint
  AND NOT EXISTS (
    SELECT FROM reviews_mutedsort AS muted
    WHERE muted.person_id = person.id AND muted.sort = %(sort)s::text
  )
RETURNING id
""",
)
_UNREAD = Statement(
    "notifications_unread",
    f"""
SELECT count(*) FROM (
  SELECT FROM reviews_notification
  WHERE person_id = %(person)s AND read_at IS NULL
    AND platform_id = ANY(%(platforms)s::bigint[])
  LIMIT {MOST_COUNTED}
) AS counted
""",  # noqa: S608
)


def tell(
    people: Collection[Person | int],
    sort: str,
    *,
    by: Person | None,
    platform: Platform | int,
    item: Item | int | None = None,
    policy: Policy | int | None = None,
    queue: Queue | int | None = None,
    **data: object,
) -> int:
    """In the caller's transaction. `data` must be JSON. Returns how many people are told."""
    ids = {_key(person) for person in people} - {_key(by)}
    if not ids:
        return 0
    rows = _TELL.rows(
        people=sorted(ids)[:MOST_TOLD],
        sort=str(sort),
        by=_key(by),
        platform=_key(platform),
        item=_key(item),
        policy=_key(policy),
        queue=_key(queue),
        data=json.dumps(data),
    )
    return len(rows)


def tell_mentioned(
    text: str, *, by: Person, platform: Platform | int, item: Item | int | None = None, **data
) -> int:
    """Whoever is named with an @ in this text, if she belongs to the platform."""
    names = {name.rstrip(".") for name in _MENTION.findall(text)}
    if not names:
        return 0
    people = Person.objects.filter(username__in=names).values_list("pk", flat=True)
    return tell(list(people), Sort.MENTION, by=by, platform=platform, item=item, **data)


def tell_of_decision(decision: Decision, *, lane: str, platform: int) -> None:
    """Whose decision it puts aside, and who asked a lead for it. Most decisions do neither, and
    cost nothing here."""
    item = decision.item_id
    if decision.supersedes_id is not None:
        before = Decision.objects.get(pk=decision.supersedes_id)
        if before.verdict is not None and not _says_the_same(before, decision):
            by = decision.decided_by
            tell(
                [before.decided_by_id],
                Sort.OVERTURNED,
                by=by,
                platform=platform,
                item=item,
                is_override=decision.kind == Decision.Kind.OVERRIDE,
            )
    if lane == Lane.ADJUDICATION:
        asked = Review.objects.filter(item=item, verdict__in=[Verdict.ESCALATE, Verdict.UNSURE])
        people = list(asked.order_by("-pk").values_list("reviewer", flat=True)[:10])
        tell(people, Sort.ESCALATION, by=decision.decided_by, platform=platform, item=item)


def unread(person: Person) -> int:
    """How many she has not read, up to MOST_COUNTED."""
    platforms = sorted(access.platform_ids(person))
    ((count,),) = _UNREAD.rows(person=person.pk, platforms=platforms)
    return count


def of_person(person: Person) -> QuerySet[Notification]:
    """Hers, newest first, of platforms she belongs to."""
    rows = Notification.objects.filter(person=person, platform__in=access.platform_ids(person))
    return rows.select_related("actor", "item__kind", "policy", "queue").order_by("-pk")


def get_own(person: Person, pk: int) -> Notification:
    found = of_person(person).filter(pk=pk).first()
    if found is None:
        raise NotFound(_("There is no such notification for you."))
    return found


def mark_read(person: Person, *, upto: int | None = None, only: int | None = None) -> int:
    """One of hers, or all up to the newest that she has seen listed. Returns how many were new."""
    rows = Notification.objects.filter(person=person, read_at=None)
    if only is not None:
        rows = rows.filter(pk=only)
    if upto is not None:
        rows = rows.filter(pk__lte=upto)
    return rows.update(read_at=Now())


def muted_sorts(person: Person) -> set[str]:
    return set(MutedSort.objects.filter(person=person).values_list("sort", flat=True))


def choose_sorts(person: Person, wanted: Collection[str]) -> None:
    """She wants to be told of these sorts only, from now on."""
    unknown = set(wanted) - set(Sort.values)
    if unknown:
        raise Invalid(_("Choose from the list."), details={"sort": sorted(unknown)})
    with transaction.atomic():
        Person.objects.select_for_update(no_key=True).get(pk=person.pk)
        MutedSort.objects.filter(person=person).delete()
        MutedSort.objects.bulk_create(
            MutedSort(person=person, sort=sort) for sort in Sort.values if sort not in wanted
        )


def prune() -> int:
    """Sweep: those older than NOTIFICATION_DAYS go, read or not. Returns how many."""
    total = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                """DELETE FROM reviews_notification WHERE id IN (
                     SELECT id FROM reviews_notification
                     WHERE created_at < clock_timestamp() - make_interval(days => %s)
                     ORDER BY created_at LIMIT %s)""",
                [settings.NOTIFICATION_DAYS, _BATCH],
            )
            count = cursor.rowcount
        total += count
        if count < _BATCH:
            return total


def _says_the_same(before: Decision, after: Decision) -> bool:
    if before.verdict != after.verdict:
        return False
    policies = [
        set(one.policy_versions.values_list("policy", flat=True)) for one in (before, after)
    ]
    return policies[0] == policies[1]


def _key(one: object) -> int | None:
    return one if one is None or isinstance(one, int) else one.pk  # type: ignore[attr-defined]
