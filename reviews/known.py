"""Lists of known items: kept by policy owners, held against every picture and film that comes in.

A match is a report of source `hash`, filed as any other: it raises the rank, shows in the evidence
and is counted for or against the list. The row in LookAlike is the work, the task a nudge, a sweep
the guarantee.
"""

import csv
import json
import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from . import access, audit, looks, media, reports
from .errors import Conflict, Invalid, NotFound
from .models import (
    Item,
    KnownHash,
    KnownList,
    KnownMatch,
    LookAlike,
    Medium,
    Person,
    Platform,
    Policy,
    Report,
)

logger = logging.getLogger(__name__)

Sort = KnownHash.Sort
MOST_AT_ONCE = 100_000  # hashes a call
MOST_DISTANCE = 64  # of 256 bits: beyond, every tenth picture is like every other
MAX_ATTEMPTS = 3
LEASE = timedelta(seconds=120)
_SHOWN_ERRORS = 20

_ADD = """
INSERT INTO reviews_knownhash (known_list_id, sort, value, note, added_by_id)
SELECT %s, sort, value::bit(256), note, %s FROM json_to_recordset(%s) AS row (
  sort text, value text, note text)
ON CONFLICT (known_list_id, sort, value) DO NOTHING
"""
# One pass over the platform's lists: a million hashes are 32 MB, and a bit of arithmetic each and
# look. A picture has one look, a film some dozens; of these the nearest to each hash counts.
_MATCHES = """
SELECT DISTINCT ON (known.id) known.id, list.id, list.name, list.policy_id, known.note,
  CASE known.sort WHEN 'sha256' THEN 0 ELSE bit_count(known.value # look.value) END AS bits,
  CASE known.sort WHEN 'sha256' THEN NULL ELSE look.place END AS place
FROM reviews_knownlist AS list
JOIN reviews_knownhash AS known ON known.known_list_id = list.id
CROSS JOIN unnest(%(looks)s::bit(256)[]) WITH ORDINALITY AS look (value, place)
WHERE list.platform_id = %(platform)s AND NOT list.is_archived AND CASE known.sort
  WHEN 'sha256' THEN known.value = %(bytes)s::bit(256)
  ELSE bit_count(known.value # look.value) <= list.distance END
ORDER BY known.id, bits, place
"""
# Moments of a film that differ by less say the same of it.
_SAME = 8
_LEASE = """
WITH picked AS MATERIALIZED (
  SELECT medium_id FROM reviews_lookalike WHERE due_at <= clock_timestamp()
  ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE reviews_lookalike AS look SET due_at = clock_timestamp() + %s, attempts = attempts + 1
FROM picked WHERE look.medium_id = picked.medium_id
RETURNING look.medium_id, look.due_at, look.attempts
"""
# What somebody still has to look at, and shows a picture that was prepared.
_MARK_OPEN = """
INSERT INTO reviews_lookalike AS look (medium_id, due_at, attempts, error)
SELECT DISTINCT medium.id, clock_timestamp(), 0, ''
FROM reviews_medium AS medium
JOIN reviews_mediumuse AS use ON use.medium_id = medium.id
JOIN reviews_itemversion AS version ON version.id = use.item_version_id
WHERE medium.platform_id = %s AND medium.state = 'ready' AND medium.form IN ('image', 'video')
  AND EXISTS (
  SELECT FROM reviews_job AS job
  WHERE job.item_id = version.item_id AND job.state IN ('ready', 'claimed'))
ON CONFLICT (medium_id) DO UPDATE SET due_at = clock_timestamp(), attempts = 0, error = ''
"""


class Given(NamedTuple):
    """A hash to be added: 64 hexadecimal digits."""

    value: str
    sort: str = Sort.LOOKS.value
    note: str = ""


# Lists


def create_list(
    policy: Policy, *, by: Person | None, name: str, distance: object = 20
) -> KnownList:
    """A new, empty list of what violates this policy."""
    access.check(by, "known.edit", policy.platform_id)
    values = _checked(name, distance)
    if policy.is_archived:
        raise Invalid(
            _("This policy is archived."), details={"policy": [_("This policy is archived.")]}
        )
    try:
        with transaction.atomic():
            known_list = KnownList.objects.create(
                platform=policy.platform, policy=policy, created_by=by, **values
            )
            audit.record(
                "known.create",
                known_list,
                by=by,
                platform=policy.platform_id,
                policy=policy.slug,
                **values,
            )
    except IntegrityError as error:
        words = _("There is a list of this name already.")
        raise Invalid(words, details={"name": [words]}) from error
    return known_list


def set_distance(known_list: KnownList, distance: object, *, by: Person | None) -> None:
    """How near is near enough, from now on; what waits is looked at again."""
    access.check(by, "known.edit", known_list.platform_id)
    values = _checked(known_list.name, distance)
    with transaction.atomic():
        KnownList.objects.filter(pk=known_list.pk).update(distance=values["distance"])
        audit.record(
            "known.distance",
            known_list,
            by=by,
            platform=known_list.platform_id,
            before=known_list.distance,
            after=values["distance"],
        )
        _mark_open(known_list.platform)


def archive_list(known_list: KnownList, *, by: Person | None, is_archived: bool = True) -> None:
    """It matches nothing any more, or does again. Reports that it filed stay."""
    access.check(by, "known.edit", known_list.platform_id)
    with transaction.atomic():
        changed = KnownList.objects.filter(pk=known_list.pk, is_archived=not is_archived).update(
            is_archived=is_archived
        )
        if not changed:
            raise Conflict(_("Somebody was quicker: it is so already."))
        verb = "known.archive" if is_archived else "known.unarchive"
        audit.record(verb, known_list, by=by, platform=known_list.platform_id)
        if not is_archived:
            _mark_open(known_list.platform)


def add_hashes(known_list: KnownList, given: Sequence[Given], *, by: Person | None) -> int:
    """Add those that are not there yet; returns how many. What waits is held against them."""
    access.check(by, "known.edit", known_list.platform_id)
    if len(given) > MOST_AT_ONCE:
        words = _("At most %(most)s hashes at once.") % {"most": f"{MOST_AT_ONCE:,}"}
        raise Invalid(words, details={"hashes": [words]})
    wrong = [
        _("Row %(row)s: %(text)s is no hash. Give 64 hexadecimal digits.")
        % {"row": number, "text": one.value[:40] or "–"}
        for number, one in enumerate(given, 1)
        if not looks.is_hash(one.value)
    ]
    wrong += [
        _("Row %(row)s: %(text)s is no type. Give phash or sha256.")
        % {"row": number, "text": one.sort[:20]}
        for number, one in enumerate(given, 1)
        if one.sort not in Sort.values
    ]
    if not given:
        wrong = [_("There is no hash in it.")]
    if wrong:
        raise Invalid(
            _("Nothing was added: some rows make no sense."),
            details={"hashes": wrong[:_SHOWN_ERRORS]},
        )
    rows = [
        {
            "sort": one.sort,
            "value": looks.as_bits(one.value),
            "note": one.note.replace("\0", "")[:200],
        }
        for one in given
    ]
    with transaction.atomic():
        held = KnownList.objects.select_for_update(no_key=True).get(pk=known_list.pk)
        if held.is_archived:
            raise Conflict(_("This list is archived."))
        with connection.cursor() as cursor:
            cursor.execute(_ADD, [known_list.pk, by.pk if by else None, json.dumps(rows)])
            count: int = cursor.rowcount
        if count:
            audit.record(
                "known.add",
                known_list,
                by=by,
                platform=known_list.platform_id,
                added=count,
                given=len(given),
            )
            _mark_open(known_list.platform)
    return count


def add_item(known_list: KnownList, item: Item, *, by: Person | None, note: str = "") -> int:
    """The pictures and films that an item shows now become known ones."""
    access.check(by, "known.edit", known_list.platform_id)
    if item.platform_id != known_list.platform_id:
        raise NotFound(_("There is no such thing here."))
    media = Medium.objects.filter(
        uses__item_version=item.current_version, state=Medium.State.READY
    ).distinct()
    about = note or f"item {item.pk}"
    given = []
    for look in LookAlike.objects.filter(medium__in=media):
        if look.value is not None:
            given.append(Given(f"{int(str(look.value), 2):064x}", note=about))
        given += [Given(value, note=f"{about}, {clock(at)}") for at, value in _unlike(look)]
    if not given:
        words = _(
            "This item shows no picture or film with a hash: it has none, or a worker is at it "
            "still."
        )
        raise Invalid(words, details={"item": [words]})
    return add_hashes(known_list, given, by=by)


def remove_hash(known_hash: KnownHash, *, by: Person | None) -> None:
    """It matches no longer; its matches go with it, its reports stay."""
    known_list = known_hash.known_list
    access.check(by, "known.edit", known_list.platform_id)
    with transaction.atomic():
        audit.record(
            "known.remove",
            known_list,
            by=by,
            platform=known_list.platform_id,
            value=known_hash.hex,
            sort=known_hash.sort,
        )
        known_hash.delete()


def read_csv(lines: Iterable[str]) -> list[Given]:
    """Rows of `hash,type,note`, the last two optional, with or without that header. A byte-order
    mark and empty lines do no harm."""
    found = []
    for number, row in enumerate(csv.reader(lines)):
        cells = [cell.strip().lstrip("\ufeff") for cell in row]
        if not any(cells) or (number == 0 and cells[0].lower() == "hash"):
            continue
        value, sort, note = [*cells, "", "", ""][:3]
        found.append(Given(value, sort.lower() or Sort.LOOKS.value, note))
    return found


def lists_to_see(person: Person) -> QuerySet[KnownList]:
    rows = KnownList.objects.select_related("platform", "policy", "created_by")
    return access.visible(person, "known.view", rows, "platform")


def get_list(person: Person, pk: int, *, verb: str = "known.view") -> KnownList:
    rows = KnownList.objects.select_related("platform", "policy", "created_by")
    return access.get(person, verb, rows, "platform", pk=pk)


# Matching, in a worker


def match_due(*, limit: int = 50) -> int:
    """Hold what is due against the lists of its platform; returns how many were dealt with."""
    with connection.cursor() as cursor:
        cursor.execute(_LEASE, [limit, LEASE])
        leased = cursor.fetchall()
    for medium_id, token, attempts in leased:
        mine = LookAlike.objects.filter(pk=medium_id, due_at=token)
        try:
            _match(medium_id)
            mine.update(
                due_at=None, attempts=0, error=""
            )  # asked for again meanwhile, it stays due
        except Exception as error:  # one bad row stops nothing
            logger.exception("Medium %s could not be held against the lists", medium_id)
            values = {"error": f"{type(error).__name__}: {error}"[:300]}
            if attempts >= MAX_ATTEMPTS:
                values["due_at"] = None
            mine.update(**values)
    return len(leased)


def is_any_due() -> bool:
    return LookAlike.objects.filter(due_at__lte=Now()).exists()


def _match(medium_id: int) -> None:
    look = LookAlike.objects.select_related("medium__platform").get(pk=medium_id)
    medium = look.medium
    if medium.state != Medium.State.READY:
        return
    if medium.form == Medium.Form.IMAGE:
        _look_at_picture(look)
        seen: list[str | None] = [None if look.value is None else str(look.value)]
    else:
        _look_at_film(look)
        seen = [looks.as_bits(value) for _at, value in look.moments] or [None]
    with connection.cursor() as cursor:
        cursor.execute(
            _MATCHES,
            {
                "looks": seen,
                "bytes": looks.as_bits(medium.sha256) if medium.sha256 else None,
                "platform": medium.platform_id,
            },
        )
        rows = sorted(cursor.fetchall(), key=lambda row: (row[5], row[0]))
    if not rows:
        return
    KnownMatch.objects.bulk_create(
        [KnownMatch(medium=medium, known_hash_id=row[0], distance=row[5]) for row in rows],
        ignore_conflicts=True,
    )
    nearest: dict[int, tuple] = {}
    for row in rows:
        nearest.setdefault(row[1], row)  # one report a list, about its nearest
    policies = Policy.objects.in_bulk([row[3] for row in nearest.values()])
    items = Item.objects.filter(
        versions__media__medium=medium, erased_at__isnull=True
    ).select_related("kind", "platform")
    filed = [
        {
            "kind": item.kind.slug,
            "item": item.external_id,
            "source": Report.Source.HASH.value,
            "reporter": name,
            "reason": policies[policy_id].name,
            "text": _words(_what(look, place), name, note, bits),
            "external_id": f"known-{list_id}-{medium.pk}",
        }
        for item in items.distinct()
        for _hash_id, list_id, name, policy_id, note, bits, place in nearest.values()
    ]
    for start in range(0, len(filed), 500):
        reports.file_reports(medium.platform, filed[start : start + 500], by=None)


def _look_at_picture(look: LookAlike) -> None:
    rendition = look.medium.renditions.get("image")
    if look.value is not None or rendition is None:
        return
    with media.storage().open(rendition["name"]) as file:
        found = looks.look_of(file)
    if found is not None:
        look.value = looks.as_bits(found)
        look.save(update_fields=["value"])


def _look_at_film(look: LookAlike) -> None:
    rendition = look.medium.renditions.get("video")
    if look.moments or rendition is None:
        return
    with media.storage().open(rendition["name"]) as file:
        look.moments = looks.moments_of(file, seconds=look.medium.seconds)
    look.save(update_fields=["moments"])


def _unlike(look: LookAlike) -> list[tuple[float, str]]:
    """The moments of a film, one of each sight."""
    kept: list[tuple[float, str]] = []
    for at, value in look.moments:
        if all(looks.distance(value, other) > _SAME for _at, other in kept):
            kept.append((at, value))
    return kept


def _what(look: LookAlike, place: int | None) -> str:
    """What was found, for whoever reads the report; of a film, when it is to be seen."""
    if look.medium.form == Medium.Form.IMAGE:
        return "A picture in it"
    if place is None or not look.moments:
        return "A film in it"
    return f"A film in it, at {clock(look.moments[place - 1][0])},"


def clock(seconds: float) -> str:
    """75 → "1:15"."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _words(what: str, name: str, note: str, bits: int) -> str:
    """In the language of the installation: a report is read by many."""
    if bits == 0:
        said = f"{what} is on the list of known items “{name}”."
    else:
        said = (
            f"{what} is nearly one on the list of known items “{name}”: {bits} of {looks.BITS} "
            "bits differ."
        )
    return f"{said} {note}".strip()


def _mark_open(platform: Platform) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_MARK_OPEN, [platform.pk])
    transaction.on_commit(media.nudge_known, robust=True)


def _checked(name: str, distance: object) -> dict:
    details: dict[str, list[str]] = {}
    name = " ".join(str(name).replace("\0", "").split())
    if not 0 < len(name) <= 80:
        details["name"] = [_("Give it a name of at most 80 letters.")]
    text = str(distance).strip()
    if not (text.isascii() and text.isdigit() and int(text) <= MOST_DISTANCE):
        details["distance"] = [_("A whole number from 0 to %(most)s.") % {"most": MOST_DISTANCE}]
    if details:
        raise Invalid(_("Some of this does not make sense."), details=details)
    return {"name": name, "distance": int(text)}
