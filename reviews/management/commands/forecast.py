"""manage.py forecast: when which queue breaks its promise in the coming week."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from reviews import claims, planning
from reviews.errors import DomainError
from reviews.management.platforms import find_platform


class Command(BaseCommand):
    help = "The coming week of each queue in words and figures, and what a change would do."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--platform", help="its slug; may be left out where there is one only")
        parser.add_argument("--people", type=int, default=1, help="how many are added or moved (1)")
        parser.add_argument("--into", default="", metavar="QUEUE", help="people more in this queue")
        parser.add_argument("--out", default="", metavar="QUEUE", help="people taken from this one")
        parser.add_argument("--hours", default="0-24", help="of the day, like 9-17 (all)")
        parser.add_argument("--on", default="all", help="all, week, or a day from 0 (Monday) to 6")
        parser.add_argument("--growth", type=int, default=0, help="percent more arrivals")
        parser.add_argument("--json", action="store_true")

    def handle(self, *, platform: str | None, **options: Any) -> None:
        found = find_platform(platform)
        names = ("people", "into", "out", "hours", "growth")
        values = {name: str(options[name]) for name in names} | {"days": options["on"]}
        try:
            what_if = planning.read_what_if(values, list(found.queues.filter(is_archived=False)))
        except DomainError as error:
            wrong = "; ".join(f"{name}: {words}" for name, words in error.details.items())
            raise CommandError(f"{error} {wrong}") from None
        now = claims.clock()
        outlooks = planning.look_ahead(found, now=now, what_if=what_if or None)
        if options["json"]:
            self.stdout.write(json.dumps([_plain(outlook) for outlook in outlooks], indent=1))
            return
        for outlook in outlooks:
            self.stdout.write(planning.in_words(outlook, now))
            late = outlook.forecast.late_jobs
            self.stdout.write(f"  late this week: {late.mean():,.0f} items")
            if outlook.change is not None:
                change = outlook.change
                self.stdout.write(
                    f"  {'; '.join(what_if.words)}: {change.late_jobs:+,.0f} "
                    f"[{change.low:+,.0f}, {change.high:+,.0f}]"
                )


def _plain(outlook: planning.Outlook) -> dict[str, Any]:
    found = outlook.forecast
    return {
        "queue": outlook.queue.slug,
        "late_chance_by_hour": found.late_share.round(4).tolist(),
        "waiting_by_hour": found.waiting.round(1).tolist(),
        "late_items": round(float(found.late_jobs.mean()), 1),
        "break_chance": round(found.break_chance, 4),
        "breaks_in_hours": found.breaks_at,
        "recovers_in_hours": found.recovers_at,
        "change": outlook.change._asdict() if outlook.change else None,
    }
