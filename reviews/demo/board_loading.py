"""Brings Mailhaven Boards in, through the ordinary services; again adds nothing twice."""

from datetime import timedelta
from typing import Any

from django.core.files.base import ContentFile
from django.utils import timezone

from reviews import intake, media
from reviews.models import Item, ItemKind, Platform

from . import boards, pictures


def set_up_kinds(platform: Platform) -> None:
    for kind in boards.KINDS:
        ItemKind.objects.get_or_create(
            platform=platform,
            slug=kind["slug"],
            defaults={name: kind[name] for name in ("name", "fields", "layout")},
        )


def load_boards(platform: Platform) -> int:
    """What is missing of the boards; its media are prepared by a worker. Returns how many items."""
    kinds = [kind["slug"] for kind in boards.KINDS]
    items = Item.objects.filter(platform=platform, kind__slug__in=kinds)
    known = set(items.values_list("external_id", flat=True))
    entries = [entry for entry in boards.read_entries() if entry.id not in known]
    now = timezone.now()
    rows = [
        {
            "kind": entry.kind,
            "external_id": entry.id,
            "content": {**entry.content, **_shown(platform, entry)},
            "account": {"external_id": entry.author, "name": entry.author},
            "language": entry.language,
            "posted_at": now - timedelta(minutes=7 * number + 3),
            "views_per_hour": entry.views_per_hour,
            "views_so_far": round(entry.views_per_hour * (7 * number + 3) / 60),
            "known_answer": entry.known_answer,
        }
        for number, entry in enumerate(entries)
    ]
    reports = [
        {
            "kind": entry.kind,
            "item": entry.id,
            "external_id": f"r{number}",
            "reporter": f"board-reader-{(ord(entry.id[-1]) + number) % 9}",
            "reason": reason,
            "text": words,
        }
        for entry in entries
        for number, (reason, words) in enumerate(entry.reports, start=1)
    ]
    for outcome in [
        *intake.submit_items(platform, rows, by=None),
        *intake.file_reports(platform, reports, by=None),
    ]:
        if outcome.status == "rejected":
            raise ValueError(f"Intake refused a row of the boards: {outcome.errors}")
    return len(entries)


def _shown(platform: Platform, entry: boards.Entry) -> dict[str, Any]:
    """Draw and upload what it shows; returns the fields that name it."""
    fields: dict[str, Any] = {}
    for name, drawn in entry.media.items():
        if isinstance(drawn, boards.Drawn):
            fields[name] = _upload(platform, f"{entry.id} {name}", drawn)
            continue
        fields[name] = [
            {"image": _upload(platform, f"{entry.id} {name} {number}", one), "alt": one.alt}
            for number, one in enumerate(drawn)
        ]
    return fields


def _upload(platform: Platform, name: str, drawn: boards.Drawn) -> str:
    if drawn.form == "sound":
        content = pictures.sound(name)
    elif drawn.form == "film":
        content = pictures.film(name, drawn.subject, *drawn.words)
    else:
        content = pictures.picture(name, drawn.subject, *drawn.words)
    medium, _ = media.upload_medium(platform, ContentFile(content, name="drawn"), by=None)
    return medium.reference
