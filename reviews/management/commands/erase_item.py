"""manage.py erase_item message mail-17 --reason "the author asked": take out what it said."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from reviews import erasure
from reviews.errors import DomainError
from reviews.management.platforms import find_platform
from reviews.models import Item


class Command(BaseCommand):
    help = "Erase what an item says, in all its versions, and withdraw its open jobs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", help="the item kind's slug")
        parser.add_argument("external_id")
        parser.add_argument("--reason", required=True, help="kept in the audit trail")
        parser.add_argument("--platform", help="its slug, where there are several")

    def handle(self, *args: Any, **options: Any) -> None:
        platform = find_platform(options["platform"])
        item = Item.objects.filter(
            platform=platform, kind__slug=options["kind"], external_id=options["external_id"]
        ).first()
        if item is None:
            raise CommandError(f"There is no {options['kind']} {options['external_id']} there.")
        if item.erased_at is not None:
            self.stdout.write(f"It was erased before, at {item.erased_at:%Y-%m-%d %H:%M} UTC.")
            return
        try:
            erasure.erase_item(item, by=None, reason=options["reason"])
        except DomainError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Erased {item.kind.name} {item.external_id}: all versions are blank.")
