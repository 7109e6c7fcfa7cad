"""Send past items through other routing rules and print what would move. Nothing is changed.

The rules are the platform's draft, or those of a file: a JSON list of {"name", "queue",
"condition", "is_active"?}, as GET /api/v1/routing gives them.
"""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from reviews import dry_run, routing_versions
from reviews.errors import DomainError
from reviews.management.platforms import find_platform
from reviews.models import Platform


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--platform", help="its slug; may be left out where there is one only")
        parser.add_argument("--days", type=int, default=7, help="how far back, 1 to 90 (7)")
        parser.add_argument("--file", type=Path, help="rules as JSON; without it, the draft")
        parser.add_argument("--json", action="store_true", help="print the whole result as JSON")

    def handle(self, *, days: int, file: Path | None = None, **options: Any) -> None:
        platform = find_platform(options["platform"])
        if not 1 <= days <= dry_run.MAX_DAYS:
            raise CommandError(f"--days is a number from 1 to {dry_run.MAX_DAYS}.")
        rules = _read(file) if file else _draft(platform)
        published = routing_versions.find_published(platform)
        try:
            clean, problems = routing_versions.check_rules(platform, rules)
            if problems:
                raise routing_versions.refusal(clean, problems)
            result = dry_run.replay(
                platform, clean, published=published.rules if published else [], days=days
            )
        except DomainError as error:
            raise CommandError(str(error)) from None
        if options["json"]:
            self.stdout.write(json.dumps(result, indent=1))
            return
        self._print(result)

    def _print(self, result: dict[str, Any]) -> None:
        sample = ""
        if result["rate"] < 1:
            sample = f" (a sample of {result['of']:,}, 1 in {1 / result['rate']:.1f})"
        self.stdout.write(
            f"{result['moved']:,} of {result['items']:,} items would move{sample}, "
            f"of the last {result['days']} days."
        )
        moves = sorted(
            (flow for flow in result["flows"] if flow[0] != flow[1]), key=lambda f: -f[2]
        )
        for before, after, count in moves:
            self.stdout.write(f"{count:>10,}  {before} → {after}")
        self.stdout.write("\n     fires      holds  rule")
        for rule in result["rules"]:
            note = "" if rule["is_active"] else "  (off)"
            if rule["is_active"] and rule["holds"] and not rule["fires"]:
                note = f"  (always after {rule['taken_by'][0][0]})"
            self.stdout.write(
                f"{rule['fires']:>10,} {rule['holds']:>10,}  {rule['name']} → {rule['queue']}{note}"
            )
        self.stdout.write(f"{result['default'][1]:>10,}             none: the default queue")


def _read(file: Path) -> object:
    try:
        return json.loads(file.read_text())
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise CommandError(f"{file} is not JSON.") from None


def _draft(platform: Platform) -> object:
    draft = routing_versions.find_draft(platform)
    if draft is None:
        raise CommandError(f"There is no draft of {platform}'s rules. Name a --file, or begin one.")
    return draft.rules
