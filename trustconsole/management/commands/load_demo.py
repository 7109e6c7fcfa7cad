"""manage.py load_demo: the demo platform, its people, its mails, and some days of work on them."""

import sys
import time

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from mlhooks import functional, registry, scoring, snapshots
from mlhooks.models import DueScore
from reviews.demo import PASSWORD, PLATFORM_SLUG, board_loading, cast, loading, people
from reviews.models import Item, Person, Platform

_SCORE_BATCH = 128


class Command(BaseCommand):
    help = (
        "Load the demo: the platform Mailhaven with 2,000 real mails, policies, queues and people. "
        "Run again, it adds only what is missing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--force",
            action="store_true",
            help="load it although the database holds other platforms (its people get a password "
            "that everybody can read)",
        )

        parser.add_argument("--mails", type=int, help="only so many of the 2,000, and no boards")

    def handle(self, *, force: bool, mails: int | None, **options: object) -> None:
        others = Platform.objects.exclude(slug=PLATFORM_SLUG).values_list("slug", flat=True)
        if others and not force:
            raise CommandError(
                f"This database holds other platforms ({', '.join(others[:3])}). The demo makes "
                "people with a well-known password; use a database of its own, or --force."
            )
        started = time.monotonic()
        platform = loading.set_up_platform()
        functional.add_demo_cases(platform)
        self._say("Platform, policies, queues and people are there.")
        self._say("Making the first model from the policies' texts …")
        champion = registry.ensure_zero_shot(platform)
        self._say(f"Champion: {champion.label}.")

        arrivals = loading.plan_arrivals(timezone.now(), count=mails)
        earlier = loading.not_there_yet(platform, arrivals.earlier)
        waiting = loading.not_there_yet(platform, arrivals.waiting)
        self._submit(platform, "earlier mails", earlier)
        # Only before the waiting mails are in: the demo answers none of those, you do.
        if len(waiting) == len(arrivals.waiting):
            self._score(platform)
            count = loading.answers_wanted(arrivals)
            with _bar("reviewing", count) as bar:
                loading.work_earlier(platform, count=count, progress=bar.update)
                bar.update(bar.total - bar.n)
            self._freeze(platform)
        self._submit(platform, "waiting mails", waiting)

        if mails is None:
            self._say("Drawing the pictures, films and sounds of the boards …")
            board_loading.load_boards(platform)
            cast.leave(platform)
        cast.limit(platform)

        for line in loading.summarise(platform):
            self._say(line)
        self._say(f"Loaded in {time.monotonic() - started:.0f} s. A worker scores what is due.")
        names = ", ".join(f"{member.username} ({member.role})" for member in people.MEMBERS)
        self._say(f"Sign in as {names}; password {PASSWORD}")

    def _submit(self, platform: Platform, what: str, arrivals: list[loading.Arrival]) -> None:
        if not arrivals:
            return
        with _bar(what, len(arrivals)) as bar:
            loading.submit(platform, arrivals, progress=bar.update)

    def _score(self, platform: Platform) -> None:
        """Score here what the reviewers are about to see; a running worker helps."""
        due = DueScore.objects.filter(item_version__item__platform=platform, parked_at=None)
        with _bar("scoring", Item.objects.filter(platform=platform).count()) as bar:
            while left := due.count():
                bar.update(bar.total - left - bar.n)
                if not scoring.score_due(limit=_SCORE_BATCH):
                    time.sleep(0.2)  # the rest is in a worker's hands
            bar.update(bar.total - bar.n)

    def _freeze(self, platform: Platform) -> None:
        """The first labels in a snapshot, built here: there may be no worker yet."""
        if platform.snapshots.exists():
            return
        snapshot = snapshots.create_snapshot(
            platform, by=Person.objects.get(username="mila"), note="The first three days"
        )
        snapshots.build(snapshot.pk)
        snapshot.refresh_from_db()
        self._say(f"Snapshot {snapshot.number}: {snapshot.rows_done:,} labels.")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _bar(what: str, total: int) -> tqdm:
    return tqdm(total=total, desc=f"  {what:<14}", unit="", file=sys.stderr, mininterval=0.5)
