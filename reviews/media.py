"""Media: taken in, tied to the item versions that show them, shown to whom they may be, and erased.

The bytes that come in are kept until a worker has made renditions of them (media_work.py), and are
served to nobody. A field of an item names a medium by `media:<id>` or by its https address.
"""

import hashlib
import logging
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from celery import current_app
from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import storages
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError as BrokerError

from . import access, audit, blind, layouts
from .errors import Invalid, NotFound
from .models import Item, Medium, MediumUse, Person, Platform
from .submission import Errors, ItemRow

logger = logging.getLogger(__name__)

# A medium that no item shows is given up after so long.
UNUSED_DAYS = 7
# What lies at an address may be another picture tomorrow: it is fetched anew for later items.
FETCHED_HOURS = 24
_CHUNK = 2**20
_REFERENCE = re.compile(r"media:([1-9][0-9]{0,17})")

State, Source = Medium.State, Medium.Source

# A medium as blocks show it; desk.py reads the same columns in its one statement.
COLUMNS = "id, address, state, form, width, height, seconds, error, renditions"
_MARK = """
INSERT INTO reviews_lookalike (medium_id, due_at, attempts, error)
SELECT id, clock_timestamp(), 0, '' FROM reviews_medium
WHERE id = ANY(%s) AND state = 'ready' AND form IN ('image', 'video')
ON CONFLICT (medium_id) DO UPDATE SET due_at = clock_timestamp(), attempts = 0, error = ''
"""
_SHOWN = f"""
SELECT use.item_version_id, {", ".join(f"medium.{name}" for name in COLUMNS.split(", "))}
FROM reviews_mediumuse AS use JOIN reviews_medium AS medium ON medium.id = use.medium_id
WHERE use.item_version_id = ANY(%s)
"""  # noqa: S608  (names of ours)


def storage() -> Any:
    return storages["media"]


def upload_medium(
    platform: Platform, file: "File[bytes]", *, by: Person | None
) -> tuple[Medium, bool]:
    """Take a file in; (the medium, is it new). The same bytes again are the same medium."""
    access.check(by, "medium.upload", platform)
    most = settings.MEDIA_MAX_BYTES
    if not file.size:
        raise Invalid(_("The file is empty."), details={"file": [_("The file is empty.")]})
    if file.size > most:
        words = _("At most %(megabytes)s MB.") % {"megabytes": most // 1_000_000}
        raise Invalid(words, details={"file": [words]})
    digest = _sha256(file)
    known = _find_upload(platform, digest)
    if known is not None:
        return known, False
    file.seek(0)
    name = store(platform.pk, "original", file)
    try:
        with transaction.atomic():
            medium, is_new = Medium.objects.get_or_create(
                platform=platform,
                source=Source.UPLOAD,
                key=digest,
                defaults={"sha256": digest, "bytes_in": file.size, "original": name},
            )
            if is_new:
                audit.record(
                    "medium.upload", medium, by=by, platform=platform, sha256=digest, size=file.size
                )
                nudge_on_commit()
    except BaseException:
        remove_files([name])
        raise
    if not is_new:  # somebody else brought it in the same moment
        remove_files([name])
    return medium, is_new


def find_missing(platform: Platform, rows: Iterable[ItemRow]) -> dict[int, Errors]:
    """Rows that name a medium which is not here: their index → what is wrong."""
    wanted: dict[int, list[tuple[int, str]]] = {}
    for row in rows:
        for field, value in row.media:
            if (pk := _id_of(value)) is not None:
                wanted.setdefault(pk, []).append((row.index, field))
    known = set(
        Medium.objects.filter(platform=platform, pk__in=wanted)
        .exclude(state=State.ERASED)
        .values_list("pk", flat=True)
    )
    wrong: dict[int, Errors] = {}
    for pk in wanted.keys() - known:
        for index, field in wanted[pk]:
            words = _("There is no medium media:%(id)s here. Upload it first.") % {"id": pk}
            wrong.setdefault(index, {})[f"content.{field}"] = [words]
    return wrong


def link(platform: Platform, shown: Sequence[tuple[int, Sequence[tuple[str, str]]]]) -> None:
    """Note which version shows which media: (version id, [(field, value)]). In the caller's
    transaction. An address that may be fetched becomes a medium that is due."""
    addresses = {
        value for _field, media in shown for _place, value in media if _id_of(value) is None
    }
    by_address = _media_at(platform, {one for one in addresses if may_fetch(one)})
    uses = []
    for version_id, media in shown:
        for field, value in dict.fromkeys(media):
            medium_id = by_address.get(value) or _id_of(value)
            if medium_id is not None:
                uses.append(MediumUse(item_version_id=version_id, medium_id=medium_id, field=field))
    MediumUse.objects.bulk_create(uses, batch_size=1000, ignore_conflicts=True)
    hold_against_lists([use.medium_id for use in uses])


def hold_against_lists(medium_ids: Sequence[int]) -> None:
    """Those of them that are pictures or films, and ready, are to be held against the lists of
    known items (known.py). In the caller's transaction."""
    if not medium_ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(_MARK, [list(medium_ids)])
        if not cursor.rowcount:
            return
    if not any(function is nudge_known for _sids, function, *_rest in connection.run_on_commit):
        transaction.on_commit(nudge_known, robust=True)


def may_fetch(address: str) -> bool:
    """Does an administrator allow this host? Without MEDIA_FETCH nothing is ever fetched."""
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").lower()
    except ValueError:
        return False
    return parts.scheme == "https" and any(
        host == allowed or (allowed.startswith(".") and host.endswith(allowed))
        for allowed in settings.MEDIA_FETCH
    )


def shown_in(version_ids: Sequence[int]) -> dict[int, dict[str, layouts.Medium]]:
    """Version id → the media that it shows, by what its fields say. One query for all."""
    found: dict[int, dict[str, layouts.Medium]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_SHOWN, [list(version_ids)])
        for version_id, *columns, renditions in cursor.fetchall():
            medium = layouts.Medium(*columns, layouts.as_json(renditions))
            found.setdefault(version_id, {})[medium.reference] = medium
    return found


def get_to_show(person: Person, pk: int) -> Medium:
    """A medium that she may see: some item of her platforms shows it, in a field that is not hidden
    from her."""
    medium = access.get_medium(person, pk)
    uses = MediumUse.objects.filter(medium=medium).select_related("item_version__item__kind")
    items: dict[int, Item] = {}
    for use in uses[:200]:
        item = use.item_version.item
        role = next(
            (one.get("role") for one in item.kind.fields if one.get("name") == use.field), None
        )
        if role is not None and role not in blind.AUTHOR_ROLES:
            return medium
        items[item.pk] = item
    for item in items.values():
        jobs = item.jobs.open().select_related("queue")
        if blind.AUTHOR not in blind.of_item(person, jobs):
            return medium
    raise NotFound(_("There is no such medium here."))


def erase_uses(item: Item) -> int:
    """The media that only this item shows go; inside the caller's transaction. Returns how many."""
    uses = MediumUse.objects.filter(item_version__item=item)
    media = list(uses.values_list("medium_id", flat=True))
    uses.delete()
    return _erase(Medium.objects.filter(pk__in=media))


def erase_unused() -> int:
    """Uploads that no item came for."""
    before = Now() - timedelta(days=UNUSED_DAYS)
    with transaction.atomic():
        return _erase(Medium.objects.filter(source=Source.UPLOAD, created_at__lt=before))


def remove_erased(*, limit: int = 100) -> int:
    """Delete the files of what was erased, then its row. What fails is tried again."""
    done = 0
    for medium in Medium.objects.filter(state=State.ERASED).order_by("pk")[:limit]:
        if remove_files(files_of(medium)):
            done += Medium.objects.filter(pk=medium.pk).delete()[0]
    return done


def store(platform_id: int, rendition: str, file: "File[bytes]") -> str:
    """Write a file under a name that nobody can guess; returns the name."""
    return str(storage().save(f"{platform_id}/{uuid.uuid4().hex}/{rendition}", file))


def files_of(medium: Medium) -> list[str]:
    files = [one["name"] for one in medium.renditions.values()]
    return [medium.original, *files] if medium.original else files


def remove_files(names: Iterable[str]) -> bool:
    """Did all of them go? What is not there is gone."""
    is_done = True
    for name in names:
        try:
            storage().delete(name)
        except Exception:  # each storage has errors of its own; one file must not stop the rest
            logger.exception("The file %s of a medium could not be deleted", name)
            is_done = False
    return is_done


def nudge_on_commit() -> None:
    if not any(function is nudge for _sids, function, *_rest in connection.run_on_commit):
        transaction.on_commit(nudge, robust=True)


def nudge() -> None:
    """Wake a worker. A nudge that is lost is the sweep's to make good."""
    try:
        current_app.send_task("reviews.tasks.prepare_media", expires=60, retry=False)
    except (BrokerError, OSError) as error:
        logger.warning("No broker to nudge (%s); the sweep will prepare what is due.", error)


def nudge_known() -> None:
    try:
        current_app.send_task("reviews.tasks.match_known", expires=60, retry=False)
    except (BrokerError, OSError) as error:
        logger.warning("No broker to nudge (%s); the sweep will see to it.", error)


def _erase(media: Any) -> int:
    """Mark those that nothing shows (any more): from here on nobody sees them."""
    rows = list(
        media.exclude(state=State.ERASED)
        .filter(~Exists(MediumUse.objects.filter(medium=OuterRef("pk"))))
        .select_for_update()
        .values_list("pk", flat=True)
    )
    for pk in rows:
        Medium.objects.filter(pk=pk).update(
            state=State.ERASED, key=f"erased-{pk}", address="", sha256="", error=""
        )
    if rows:
        nudge_on_commit()
    return len(rows)


def _find_upload(platform: Platform, digest: str) -> Medium | None:
    medium = Medium.objects.filter(platform=platform, source=Source.UPLOAD, key=digest).first()
    if medium is not None:
        # Somebody is about to use it: its days begin again.
        Medium.objects.filter(pk=medium.pk).update(created_at=Now())
    return medium


def _media_at(platform: Platform, addresses: Iterable[str]) -> Mapping[str, int]:
    keys = {hashlib.sha256(one.encode()).hexdigest(): one for one in addresses}
    if not keys:
        return {}
    fresh = Q(created_at__gt=Now() - timedelta(hours=FETCHED_HOURS))
    rows = Medium.objects.filter(
        fresh, platform=platform, source=Source.ADDRESS, key__in=keys
    ).exclude(state=State.ERASED)
    found = {keys[key]: pk for key, pk in rows.order_by("pk").values_list("key", "pk")}
    made = Medium.objects.bulk_create(
        Medium(platform=platform, source=Source.ADDRESS, key=key, address=address)
        for key, address in keys.items()
        if address not in found
    )
    if made:
        nudge_on_commit()
    return found | {one.address: one.pk for one in made}


def _id_of(value: str) -> int | None:
    match = _REFERENCE.fullmatch(value)
    return int(match[1]) if match else None


def _sha256(file: "File[bytes]") -> str:
    digest = hashlib.sha256()
    for chunk in file.chunks(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
