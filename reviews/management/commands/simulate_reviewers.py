"""manage.py simulate_reviewers: many reviewers at once, answering from the items' known answers."""

import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from reviews import simulation
from reviews.demo import PASSWORD, PLATFORM_SLUG, browser, loading
from reviews.errors import DomainError
from reviews.models import Job, Person, Platform, Verdict

# A thread that only ever meets refusals gives up, and says so.
_MOST_TROUBLES = 20


class Tally:
    """What all threads share: how many answers are still wanted, and what happened."""

    def __init__(self, wanted: int) -> None:
        self._lock = threading.Lock()
        self._left = wanted
        self.seconds: list[float] = []
        self.verdicts: Counter[str] = Counter()
        self.troubles: Counter[str] = Counter()

    def take_ticket(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0

    def give_back_ticket(self) -> None:
        with self._lock:
            self._left += 1

    def count(self, verdict: str, seconds: float) -> None:
        with self._lock:
            self.verdicts[verdict] += 1
            self.seconds.append(seconds)

    def trouble(self, words: str) -> None:
        with self._lock:
            self.troubles[words] += 1


class Command(BaseCommand):
    help = (
        "Work queues with simulated reviewers: through the services, or with --http through the "
        "pages of a running server on the same database. Only items with a known answer."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--count", type=int, default=4, help="reviewers at once (4)")
        parser.add_argument("--accuracy", type=float, default=0.95, help="share answered right")
        parser.add_argument("--decisions", type=int, default=100, help="answers in all (100)")
        parser.add_argument("--queue", help="only this queue; else all of the platform")
        parser.add_argument("--platform", default=PLATFORM_SLUG, help="platform slug")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--http", action="store_true", help="through the pages")
        parser.add_argument("--url", default="http://127.0.0.1:8000", help="with --http")
        parser.add_argument(
            "--force",
            action="store_true",
            help="with --http on another platform than the demo's: its simulated reviewers get "
            "the well-known demo password",
        )

    def handle(
        self,
        *,
        count: int,
        accuracy: float,
        decisions: int,
        queue: str | None,
        platform: str,
        seed: int,
        http: bool,
        url: str,
        force: bool,
        **options: object,
    ) -> None:
        if not 0 <= accuracy <= 1 or count < 1 or decisions < 1:
            raise CommandError("Give an accuracy from 0 to 1, and counts from 1 up.")
        found = Platform.objects.filter(slug=platform).first()
        if found is None:
            raise CommandError(f"There is no platform {platform}. `load_demo` makes one.")
        if http and platform != PLATFORM_SLUG and not force:
            raise CommandError(
                "With --http the reviewers get the well-known demo password: --force says that "
                "this is no place where it matters."
            )
        queues = list(found.queues.filter(slug=queue) if queue else found.queues.all())
        if not queues:
            raise CommandError(f"There is no queue {queue} on {platform}.")
        if http:
            queues = [one for one in queues if one.page_size == 1]
            if not queues:
                raise CommandError(
                    f"{queue} shows many items on a page: leave --http out to have it worked."
                )
        team = loading.make_simulated_reviewers(found, count, queues=queues)
        if http:
            _give_password(team)
        tally = Tally(decisions)
        habits = simulation.Habits(accuracy)
        desks = [simulation.Desk(one) for one in queues]

        windows: dict[int, browser.Browser] = {}

        def sign_in(number: int, person: Person) -> None:
            try:
                windows[number] = _signed_in(url, person)
            except (browser.Trouble, OSError) as error:
                tally.trouble(f"{person.username}: {error}")

        def sit_down(number: int, person: Person) -> None:
            rng = random.Random(f"{seed} {number}")  # noqa: S311
            # Each starts at another queue, so that all get worked.
            own = desks[number % len(desks) :] + desks[: number % len(desks)]
            if not http:
                _work_services(person, own, habits=habits, rng=rng, tally=tally)
            elif number in windows:
                _work_pages(windows[number], person, own, habits=habits, rng=rng, tally=tally)

        if http:
            _run_all(team, sign_in)
        elapsed = _run_all(team, sit_down)
        self._report(tally, elapsed)

    def _report(self, tally: Tally, elapsed: float) -> None:
        done = len(tally.seconds)
        if done:
            p50, p95 = _quantiles(tally.seconds)
            verdicts = ", ".join(
                f"{n:,} {verdict}" for verdict, n in sorted(tally.verdicts.items())
            )
            self.stdout.write(f"{done:,} answers in {elapsed:.1f} s: {done / elapsed:.1f} a second")
            self.stdout.write(f"claim + answer: p50 {p50 * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms")
            self.stdout.write(f"verdicts: {verdicts}")
        else:
            self.stdout.write("No answer given: no job with a known answer was ready.")
        for words, n in tally.troubles.most_common(5):
            self.stdout.write(f"{n:,} × {words}")


def _run_all(team: list[Person], sit_down: Callable[[int, Person], None]) -> float:
    """One thread a person, each with its own database connection. Returns the seconds it took."""

    def run(number: int, person: Person) -> None:
        try:
            sit_down(number, person)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(team)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - started


def _work_services(
    person: Person,
    desks: list[simulation.Desk],
    *,
    habits: simulation.Habits,
    rng: random.Random,
    tally: Tally,
) -> None:
    troubles = 0
    while troubles < _MOST_TROUBLES and tally.take_ticket():
        started = time.monotonic()
        try:
            cycle = simulation.work_one(desks, by=person, habits=habits, rng=rng)
        except DomainError as error:
            tally.give_back_ticket()
            tally.trouble(f"{type(error).__name__}: {error}")
            troubles += 1
            continue
        if cycle is None:
            tally.give_back_ticket()
            return
        tally.count(cycle.verdict, time.monotonic() - started)


def _signed_in(url: str, person: Person) -> browser.Browser:
    """Through the form; when the server slows sign-ins down, with a session made right here."""
    window = browser.Browser(url)
    try:
        window.sign_in(person.username, PASSWORD)
    except browser.TooManySignIns:
        session = import_module(settings.SESSION_ENGINE).SessionStore()
        session[SESSION_KEY] = str(person.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = person.get_session_auth_hash()
        session.save()
        window.bring_cookie(settings.SESSION_COOKIE_NAME, session.session_key)
    return window


def _work_pages(
    window: browser.Browser,
    person: Person,
    desks: list[simulation.Desk],
    *,
    habits: simulation.Habits,
    rng: random.Random,
    tally: Tally,
) -> None:
    """The first job of a queue comes with the page, each next one with the answer before it."""
    try:
        for desk in desks:
            form = window.open_desk(desk.queue.slug)
            while form is not None:
                answer = _answer_for(form.job_id, desk, habits=habits, rng=rng)
                if answer is None:
                    form = window.skip(form)
                    continue
                if not tally.take_ticket():
                    window.release(form)
                    return
                started = time.monotonic()
                form = window.decide(form, _fields_of(answer))
                tally.count(answer.verdict, time.monotonic() - started)
    except (browser.Trouble, OSError) as error:
        tally.trouble(f"{person.username}: {error}")
    finally:
        window.close()


def _answer_for(
    job_id: int, desk: simulation.Desk, *, habits: simulation.Habits, rng: random.Random
) -> simulation.Answer | None:
    job = Job.objects.select_related("item").only("lane", "item__known_answer").get(pk=job_id)
    return desk.answer(job, habits=habits, rng=rng)


def _fields_of(answer: simulation.Answer) -> list[tuple[str, str]]:
    """The answer as the form's fields."""
    fields = [("note", answer.note), ("active_seconds", str(answer.active_seconds))]
    if answer.verdict == Verdict.CLEAN:
        return [*fields, ("clean", "1")]
    if answer.verdict != Verdict.VIOLATING:
        return [*fields, ("verdict", answer.verdict)]
    fields += [("policy", slug) for slug in answer.policy_slugs]
    fields += [("action", slug) for slug in answer.action_slugs]
    fields += [(f"severity-{slug}", str(level)) for slug, level in answer.severities.items()]
    return [*fields, ("actions_touched", "1")]


def _give_password(team: list[Person]) -> None:
    for person in team:
        if not person.check_password(PASSWORD):
            person.set_password(PASSWORD)
            person.save(update_fields=["password"])


def _quantiles(seconds: list[float]) -> tuple[float, float]:
    if len(seconds) == 1:
        return seconds[0], seconds[0]
    cuts = statistics.quantiles(seconds, n=20, method="inclusive")
    return cuts[9], cuts[18]
