"""Have items compared that were there before near-duplicates were looked for."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand
from django.db import transaction
from django.db.models import F

from reviews import clusters
from reviews.management.platforms import find_platform
from reviews.models import ItemVersion

BATCH = 5_000


class Command(BaseCommand):
    help = "Marks the current version of every item due for hashing. Workers do the rest."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--platform", help="slug; all platforms without it")

    def handle(self, **options) -> None:
        rows = ItemVersion.objects.filter(number=F("item__version_number"))
        if options["platform"]:
            rows = rows.filter(item__platform=find_platform(options["platform"]))
        last, count = 0, 0
        while True:
            page = rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]
            version_ids = list(page)
            if not version_ids:
                break
            with transaction.atomic():
                clusters.mark_versions(version_ids)
            last, count = version_ids[-1], count + len(version_ids)
        self.stdout.write(f"{count:,} items are due to be hashed.")
