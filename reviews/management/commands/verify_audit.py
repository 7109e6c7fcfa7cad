"""manage.py verify_audit: recompute the audit chain; exit 1 when an entry does not fit."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from reviews import audit


class Command(BaseCommand):
    help = "Recompute the audit chain and say whether every entry is as it was written."

    def handle(self, *args: Any, **options: Any) -> None:
        result = audit.verify()
        if result.broken_at is not None:
            raise CommandError(
                f"The chain is broken at position {result.broken_at}: that entry, or the one "
                f"before it, was changed, removed or put in later. "
                f"{result.checked} entries before it fit."
            )
        self.stdout.write(
            f"The audit chain holds: {result.checked} entries checked, "
            f"{result.unsealed} not yet sealed."
        )
