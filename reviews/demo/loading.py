"""Puts the demo into the database through the ordinary services; again adds nothing twice."""

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Case, DurationField, ExpressionWrapper, F, OuterRef, Subquery, When
from django.utils import timezone

from reviews import (
    claims,
    decisions,
    gold,
    intake,
    planning,
    reporters,
    routing_versions,
    simulation,
)
from reviews.models import (
    Action,
    Decision,
    Item,
    ItemKind,
    Job,
    Person,
    Platform,
    Policy,
    PolicyVersion,
    Queue,
    Report,
    Review,
    Role,
    Verdict,
)
from reviews.placement import rerank_jobs
from reviews.routing import Router

from . import PASSWORD, PLATFORM_NAME, PLATFORM_SLUG, board_loading, people, platform_life, rules
from .corpus import read_mails
from .platform_life import Arrival

SEED = 1
# This share of the mails came in earlier, and simulated reviewers have worked those.
_EARLIER_SHARE = 0.25
_OVERRIDDEN = 5
_EARLIER_DAYS = 3
# Most of what waits came in this lately: within every queue's time to answer.
_WAITING_HOURS = 3
# And so many have waited too long in all queues but the slowest: overdue work should be seen, yet
# it is served first, so more of it would hide what ranking does.
_LEFT_OVER_SHARE = 0.01
_LEFT_OVER_HOURS = (10, 8.2)
_REPORTS = 2  # and more has each of those
_BATCH = 500
_UNSURE, _ESCALATE = 0.015, 0.005

Progress = Callable[[int], object]


class Arrivals(NamedTuple):
    earlier: list[Arrival]
    waiting: list[Arrival]


def set_up_platform() -> Platform:
    """The platform with its rules and people; what is there already stays as it is."""
    with transaction.atomic():
        platform, _ = Platform.objects.get_or_create(
            slug=PLATFORM_SLUG, defaults={"name": PLATFORM_NAME}
        )
        ItemKind.objects.get_or_create(
            platform=platform,
            slug=rules.KIND["slug"],
            defaults={"name": rules.KIND["name"], "fields": rules.KIND["fields"]},
        )
        board_loading.set_up_kinds(platform)
        members = {member.username: _person(member, platform) for member in people.MEMBERS}
        policies = _policies(platform, by=members["paul"])
        actions = {}
        for position, values in enumerate(rules.ACTIONS):
            actions[values["slug"]], _ = Action.objects.get_or_create(
                platform=platform, slug=values["slug"], defaults={**values, "position": position}
            )
        queues = {}
        for position, values in enumerate(rules.QUEUES):
            queues[values["slug"]] = _queue(platform, position, values, policies, actions)
        for member in people.MEMBERS:
            for slug in member.queues:
                queues[slug].members.add(members[member.username])
        for slug, shifts in rules.ROSTERS.items():
            _roster(queues[slug], shifts, by=members["lena"])
        if not platform.routing_versions.exists():
            draft = routing_versions.save_draft(platform, rules.ROUTING_RULES, edition=0, by=None)
            routing_versions.publish(draft, edition=draft.edition, by=None, note="To begin with.")
    return platform


def make_simulated_reviewers(
    platform: Platform, count: int, *, queues: Sequence[Queue] | None = None
) -> list[Person]:
    """sim-01 … sim-NN: reviewers of all the platform's queues, or of `queues`."""
    group = Group.objects.get(name=Role.REVIEWER)
    made = []
    for number in range(1, count + 1):
        person, is_new = Person.objects.get_or_create(
            username=f"sim-{number:02d}",
            defaults={"first_name": "Simulated", "last_name": f"Reviewer {number}"},
        )
        if is_new:
            person.set_unusable_password()
            person.save(update_fields=["password"])
        person.groups.add(group)
        platform.members.add(person)
        for queue in platform.queues.all() if queues is None else queues:
            queue.members.add(person)
        made.append(person)
    return made


def plan_arrivals(now: datetime, *, count: int | None = None) -> Arrivals:
    """The demo's mails as they came in: the earlier ones, and those that wait.

    `count` takes only so many, for tests and small machines.
    """
    mails = platform_life.in_order_of_arrival(read_mails(), SEED)[:count]
    reporters = platform_life.make_reporters(SEED)
    earlier = round(len(mails) * _EARLIER_SHARE)
    left_over = math.ceil((len(mails) - earlier) * _LEFT_OVER_SHARE)
    oldest, youngest = (now - timedelta(hours=hours) for hours in _LEFT_OVER_HOURS)
    times = []
    for many, first, last in (
        (earlier, now - timedelta(days=_EARLIER_DAYS), oldest),
        (left_over, oldest, youngest),
        (
            len(mails) - earlier - left_over,
            now - timedelta(hours=_WAITING_HOURS),
            now - timedelta(minutes=1),
        ),
    ):
        times += platform_life.arrival_times(many, first=first, last=last, seed=SEED)
    arrivals = [
        platform_life.arrive(mail, at=now, reporters=reporters, seed=SEED) for mail in mails
    ]
    arrivals[earlier:] = _reported_first(arrivals[earlier:], left_over)
    arrivals = [
        arrival._replace(submitted_at=at) for arrival, at in zip(arrivals, times, strict=True)
    ]
    return Arrivals(arrivals[:earlier], arrivals[earlier:])


def _reported_first(arrivals: list[Arrival], count: int) -> list[Arrival]:
    """`count` mails that several people reported in front, of threads of a single mail: what is
    overdue is what a reviewer meets first, and what waits longest is reported most.
    """
    in_thread = Counter(arrival.mail.thread for arrival in arrivals)
    reported = [
        arrival
        for arrival in arrivals
        if len(arrival.reports) >= _REPORTS and in_thread[arrival.mail.thread] == 1
    ][:count]
    ids = {arrival.mail.id for arrival in reported}
    return reported + [arrival for arrival in arrivals if arrival.mail.id not in ids]


def answers_wanted(arrivals: Arrivals) -> int:
    """More answers than the earlier mails can take, second opinions and all."""
    return round(len(arrivals.earlier) * (1 + 4 * _UNSURE))


def not_there_yet(platform: Platform, arrivals: Sequence[Arrival]) -> list[Arrival]:
    known = set(Item.objects.filter(platform=platform).values_list("external_id", flat=True))
    return [arrival for arrival in arrivals if arrival.mail.id not in known]


def submit(
    platform: Platform, arrivals: Sequence[Arrival], *, progress: Progress = lambda count: None
) -> None:
    """Items and reports through intake, then their times as if they had come in one by one."""
    kind = rules.KIND["slug"]
    for start in range(0, len(arrivals), _BATCH):
        batch = arrivals[start : start + _BATCH]
        with transaction.atomic():
            rows = [platform_life.item_row(arrival, kind=kind, seed=SEED) for arrival in batch]
            _refuse_rejects(intake.submit_items(platform, rows, by=None))
            reports = [row for arrival in batch for row in _report_rows(arrival, kind)]
            for first in range(0, len(reports), 1000):
                _refuse_rejects(
                    intake.file_reports(platform, reports[first : first + 1000], by=None)
                )
            _date_back(platform, batch)
        progress(len(batch))


def work_earlier(platform: Platform, *, count: int, progress: Progress = lambda count: None) -> int:
    """Simulated reviewers answer until there are `count` answers or nothing is left for them; the
    lead corrects some. What they escalated stays for her."""
    to_do = count - Review.objects.filter(item__platform=platform).count()
    if to_do <= 0:
        return 0
    rng = random.Random(f"{SEED} work")  # noqa: S311
    make_simulated_reviewers(platform, len(people.SIMULATED))
    accuracies = people.NAMED | people.SIMULATED
    desks = {queue.pk: simulation.Desk(queue) for queue in platform.queues.all()}
    desks_of, habits_of = {}, {}
    for person in Person.objects.filter(username__in=accuracies):
        # Phishing first, as their lead asks of them.
        queues = person.queues.filter(platform=platform).order_by("position")
        desks_of[person] = [desks[queue.pk] for queue in queues]
        habits_of[person] = simulation.Habits(accuracies[person.username], _UNSURE, _ESCALATE)
    done = simulation.work(
        desks_of,
        habits_of=habits_of,
        count=to_do,
        rng=rng,
        progress=lambda: progress(1),
    )
    _override_some(platform, by=Person.objects.get(username="lena"))
    # The sweeps would do it within seconds; the first page shown should have it already.
    reporters.refresh_reporters()
    return done


def _person(member: people.Member, platform: Platform) -> Person:
    person, is_new = Person.objects.get_or_create(
        username=member.username,
        defaults={"first_name": member.first_name, "last_name": member.last_name},
    )
    if is_new:
        person.set_password(PASSWORD)
        person.save(update_fields=["password"])
    person.groups.add(Group.objects.get(name=member.role))
    platform.members.add(person)
    return person


def _policies(platform: Platform, *, by: Person) -> dict[str, Policy]:
    policies = {}
    for position, values in enumerate(rules.POLICIES):
        policy, is_new = Policy.objects.get_or_create(
            platform=platform,
            slug=values["slug"],
            defaults={
                "name": values["name"],
                "key": values["key"],
                "harm": values.get("harm", ""),
                "position": position,
            },
        )
        if is_new:
            text = {name: values[name] for name in values.keys() - {"slug", "name", "key", "harm"}}
            PolicyVersion.objects.create(policy=policy, number=1, created_by=by, **text)
        policies[policy.slug] = policy
    return policies


def _queue(
    platform: Platform,
    position: int,
    values: dict,
    policies: dict[str, Policy],
    actions: dict[str, Action],
) -> Queue:
    own = {name: values[name] for name in values.keys() - {"slug", "policies", "actions"}}
    queue, is_new = Queue.objects.get_or_create(
        platform=platform, slug=values["slug"], defaults={**own, "position": position}
    )
    if is_new:
        queue.policies.set(policies[slug] for slug in values["policies"])
        queue.actions.set(actions[slug] for slug in values["actions"])
    return queue


def _roster(queue: Queue, shifts: Sequence[tuple[int, ...]], *, by: Person) -> None:
    if planning.times_of(queue):
        return
    times = [
        planning.Times(weekday, starts, ends, headcount)
        for first, last, starts, ends, headcount in shifts
        for weekday in range(first, last)
    ]
    planning.save_roster(queue, times, by=by, note="The demo's")


def _report_rows(arrival: Arrival, kind: str) -> list[dict]:
    return platform_life.report_rows(arrival, kind=kind)


def _refuse_rejects(outcomes: Sequence[intake.Outcome]) -> None:
    rejected = [outcome for outcome in outcomes if outcome.status == "rejected"]
    if rejected:
        raise ValueError(f"Intake refused {len(rejected)} demo rows: {rejected[0].errors}")


def _date_back(platform: Platform, arrivals: Sequence[Arrival]) -> None:
    """Intake stamps the present. A queue where everything came in this second shows nothing."""
    at = {arrival.mail.id: arrival.submitted_at for arrival in arrivals}
    items = list(Item.objects.filter(platform=platform, external_id__in=at))
    for item in items:
        item.submitted_at = at[item.external_id]
    Item.objects.bulk_update(items, ["submitted_at"], batch_size=_BATCH)
    ids = [item.pk for item in items]
    submitted = Subquery(Item.objects.filter(pk=OuterRef("item")).values("submitted_at"))
    sla = Subquery(
        Queue.objects.filter(pk=OuterRef("queue")).values(
            minutes=ExpressionWrapper(
                F("sla_minutes") * timedelta(minutes=1), output_field=DurationField()
            )
        )
    )
    jobs = Job.objects.ready().filter(item__in=ids)
    jobs.update(created_at=submitted, due_at=submitted + sla)
    # People report what they have seen: some time after it came.
    Report.objects.filter(item__in=ids).update(created_at=submitted + timedelta(minutes=1))
    rerank_jobs(ids, router=Router(platform))


def _override_some(platform: Platform, *, by: Person) -> None:
    """The lead goes through some decisions and puts right what was wrong."""
    wrong = 0
    rows = Decision.objects.settled().filter(item__platform=platform).select_related("item")
    # rosa's first: she is who signs in, and should be told of one.
    hers = Case(When(decided_by__username="rosa", then=0), default=1)
    for decision in rows.prefetch_related("policy_versions__policy").order_by(hers, "id"):
        judged = set(decision.queue.policies.values_list("slug", flat=True))
        known = {slug for slug, is_so in decision.item.known_answer.items() if is_so} & judged
        found = {version.policy.slug for version in decision.policy_versions.all()}
        if bool(known) == bool(found):
            continue
        right = decisions.override(
            decision,
            by=by,
            verdict=Verdict.VIOLATING if known else Verdict.CLEAN,
            policy_slugs=sorted(known),
            action_slugs=None if known else (),
            note="Weekly check of a sample: the first answer does not hold.",
        )
        gold.mark(right.item, by=by)
        wrong += 1
        if wrong == _OVERRIDDEN:
            return


def summarise(platform: Platform) -> list[str]:
    """What there is now, a line each, for the person who typed the command."""
    claims.lift_overdue()
    now = timezone.now()
    items = Item.objects.filter(platform=platform)
    lines = [
        f"{items.count():,} messages, {Report.objects.filter(item__platform=platform).count():,} "
        f"reports, {Decision.objects.filter(item__platform=platform).count():,} decisions"
    ]
    for queue in platform.queues.all():
        ready = Job.objects.ready().filter(queue=queue)
        lines.append(
            f"queue {queue.name}: {ready.count():,} ready, "
            f"{ready.filter(due_at__lt=now).count():,} overdue"
        )
    return lines
