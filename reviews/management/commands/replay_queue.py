"""manage.py replay_queue: past weeks of a queue once more under another formula."""

import json
import sys
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from reviews import charts, claims, history, presence, replay, replays
from reviews.errors import DomainError
from reviews.management.platforms import find_platform


class Command(BaseCommand):
    help = (
        "Replay a queue's past days under a candidate formula, beside today's, first in first "
        "out, risk only and perfect knowledge. Reads only."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("queue", help="its slug")
        parser.add_argument("--platform", help="its slug; may be left out where there is one only")
        parser.add_argument("--days", type=int, default=28, help="up to now (28)")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument(
            "--roster", action="store_true", help="with the roster's hours, not those worked"
        )
        parser.add_argument("--json", action="store_true", help="everything, as JSON")
        for name, (label, *_) in replays.FIELDS.items():
            parser.add_argument(f"--{name.replace('_', '-')}", type=float, help=label)
        parser.add_argument(
            "--weight",
            action="append",
            default=[],
            metavar="POLICY=WEIGHT",
            help="severity weight of a policy; again for another",
        )

    def handle(self, *, queue: str, platform: str | None, days: int, **options: Any) -> None:
        found = find_platform(platform).queues.filter(slug=queue).first()
        if found is None:
            raise CommandError(f"There is no queue {queue} on this platform.")
        if not 1 <= days <= replays.MOST_DAYS:
            raise CommandError(f"--days: from 1 to {replays.MOST_DAYS}.")
        values = {name: options[name] for name in replays.FIELDS if options[name] is not None}
        for pair in options["weight"]:
            slug, _, weight = pair.partition("=")
            values[f"weight_{slug}"] = weight
        people = presence.roster_hours(found) if options["roster"] else None
        if options["roster"] and people is None:
            raise CommandError("This queue has no roster yet.")
        now = claims.clock()
        try:
            candidate = replays.read_candidate(found, values)
            past = history.read_world(
                found,
                since=now - timedelta(days=days),
                until=now,
                people=people,
                seed=options["seed"],
            )
            replays.check_enough(past)
        except DomainError as error:
            wrong = "; ".join(f"{name}: {words}" for name, words in error.details.items())
            raise CommandError(f"{error} {wrong}".strip()) from None
        with tqdm(total=100, desc="Replaying", unit="%", disable=None, file=sys.stderr) as bar:
            result = replay.compare(
                past.world,
                today=history.read_parameters(found),
                candidate=candidate,
                seed=options["seed"],
                progress=lambda fraction, step: bar.update(round(100 * fraction) - bar.n),
            )
        if options["json"]:
            self.stdout.write(json.dumps(result, indent=1))
            return
        self._table(result, past)

    def _table(self, result: dict[str, Any], past: history.History) -> None:
        counts = result["counts"]
        self.stdout.write(
            f"{counts['arrivals']:,} items: {counts['violating']:,} violating, "
            f"{counts['clean']:,} clean, {counts['without_verdict']:,} without a verdict; "
            f"{result['work_hours']:,.1f} h of work, {result['capacity_hours']:,.1f} h of presence"
        )
        if not past.is_plausible:
            self.stdout.write(
                f"The answers say they took {past.handled_hours:,.1f} h, but the claims show "
                f"{past.worked_hours:,.1f} h of presence: recorded in bulk or simulated. "
                "Use --roster."
            )
        line = "{:<20} {:>10} {:>24} {:>10} {:>10} {:>8} {:>10}"
        head = ("order", "views", "against fifo", "p50", "p90", "in time", "clean")
        self.stdout.write(line.format(*head))
        for name, figures in result["orders"].items():
            against = result["against"]["fifo"].get(name)
            change = "–"
            if against:
                one = against["views"]
                change = (
                    f"{charts.percent(one['value'], sign=True)} "
                    f"[{charts.percent(one['low'], sign=True)}, "
                    f"{charts.percent(one['high'], sign=True)}]"
                ).replace("\u202f", " ")
            self.stdout.write(
                line.format(
                    replay.WORDS[name],
                    f"{figures['views']['value']:,.0f}",
                    change,
                    charts.hours(figures["wait_p50"]["value"]),
                    charts.hours(figures["wait_p90"]["value"]),
                    charts.percent(figures["in_time"]["value"]).replace("\u202f", " "),
                    charts.hours(figures["clean_wait"]["value"]),
                )
            )
