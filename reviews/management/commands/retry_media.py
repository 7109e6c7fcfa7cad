"""manage.py retry_media: parked media are tried again, once what was wrong is put right."""

from django.core.management.base import BaseCommand

from reviews import media_work


class Command(BaseCommand):
    help = "Have media that were parked after three attempts prepared again."

    def handle(self, **options: object) -> None:
        count = media_work.retry_parked()
        self.stdout.write(f"{count:,} parked media are due again; a worker prepares them.")
