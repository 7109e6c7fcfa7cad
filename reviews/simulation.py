"""Simulated reviewers: what one answers is PURE; how she works a queue goes through the services.

For demos and benchmarks: answers come from the items' known answers, wrong at a chosen rate.
"""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from . import claims, decisions
from .errors import Conflict
from .models import Decision, Job, Lane, Person, PolicyVersion, Queue, Verdict

_NOTES = {
    Verdict.CLEAN: ("", "", "", "", "Expected by the reader.", "A list she subscribed to."),
    Verdict.VIOLATING: ("", "", "", "", "Same text as last week.", "Clear case."),
    Verdict.UNSURE: ("Cannot tell whether she opted in.", "The language is not mine."),
    Verdict.ESCALATE: ("Looks like part of a larger wave.",),
}

# How often one looks into her queues in another order than the usual.
_TURNS_ELSEWHERE = 0.25


class Answer(NamedTuple):
    verdict: str
    policy_slugs: tuple[str, ...] = ()
    action_slugs: tuple[str, ...] = ()
    note: str = ""
    active_seconds: float = 0.0
    severities: Mapping[str, int] = {}  # of the policies that ask for a level


class Habits(NamedTuple):
    """How a simulated reviewer answers. Rates are shares of all answers."""

    accuracy: float
    unsure_rate: float = 0.0
    escalate_rate: float = 0.0


def make_answer(
    known_answer: Mapping[str, bool],
    *,
    policy_slugs: Collection[str],
    action_slugs: Collection[str],
    habits: Habits,
    rng: random.Random,
    may_pass_on: bool = True,
) -> Answer:
    """An answer for one item: right with probability `habits.accuracy`.

    A wrong answer lets a violating item pass, or finds the queue's first policy broken in a clean
    one. `may_pass_on=False` is for lanes where somebody has to settle.
    """
    seconds = round(rng.lognormvariate(3.0, 0.6), 1)
    chance = rng.random()
    if may_pass_on and chance < habits.escalate_rate:
        return _answer(Verdict.ESCALATE, (), (), seconds, rng)
    if may_pass_on and chance < habits.escalate_rate + habits.unsure_rate:
        return _answer(Verdict.UNSURE, (), (), seconds, rng)
    violated = tuple(slug for slug in policy_slugs if known_answer.get(slug))
    if rng.random() >= habits.accuracy:
        violated = () if violated else tuple(policy_slugs)[:1]
    if not violated:
        return _answer(Verdict.CLEAN, (), (), seconds, rng)
    actions = choose_actions(violated, offered=action_slugs, rng=rng)
    return _answer(Verdict.VIOLATING, violated, actions, seconds, rng)


def choose_actions(
    violated: Collection[str], *, offered: Collection[str], rng: random.Random
) -> tuple[str, ...]:
    """What such a breach is answered with, as far as the queue offers it; else its first action."""
    wanted = ["limit"] if rng.random() < 0.2 and "phishing" not in violated else ["remove"]
    if rng.random() < (0.6 if "phishing" in violated else 0.15):
        wanted.append("strike")
    if "phishing" in violated and rng.random() < 0.25:
        wanted.append("suspend")
    chosen = tuple(slug for slug in wanted if slug in offered)
    return chosen or tuple(offered)[:1]


def _answer(
    verdict: str,
    policies: tuple[str, ...],
    actions: tuple[str, ...],
    seconds: float,
    rng: random.Random,
) -> Answer:
    return Answer(verdict, policies, actions, rng.choice(_NOTES[Verdict(verdict)]), seconds)


@dataclass
class Desk:
    """A queue as a simulated reviewer knows it; read once."""

    queue: Queue
    policy_slugs: tuple[str, ...] = field(init=False)
    action_slugs: tuple[str, ...] = field(init=False)
    levels: dict[str, int] = field(init=False)  # how many, by policy that asks for one

    def __post_init__(self) -> None:
        self.policy_slugs = tuple(self.queue.policies.values_list("slug", flat=True))
        self.action_slugs = tuple(self.queue.actions.values_list("slug", flat=True))
        in_force = PolicyVersion.objects.in_force().filter(policy__queues=self.queue)
        self.levels = {
            slug: len(levels)
            for slug, levels in in_force.values_list("policy__slug", "severity_levels")
            if levels
        }

    def answer(self, job: Job, *, habits: Habits, rng: random.Random) -> Answer | None:
        """None when nobody knows the answer."""
        known = job.item.known_answer
        if known is None:
            return None
        answer = make_answer(
            known,
            policy_slugs=self.policy_slugs,
            action_slugs=self.action_slugs,
            habits=habits,
            rng=rng,
            may_pass_on=job.lane != Lane.ADJUDICATION,
        )
        asked = [slug for slug in answer.policy_slugs if slug in self.levels]
        return answer._replace(
            severities={slug: rng.randint(1, self.levels[slug]) for slug in asked}
        )


class Cycle(NamedTuple):
    """One job taken and answered."""

    verdict: str
    decision: Decision | None


def work_one(
    desks: Sequence[Desk], *, by: Person, habits: Habits, rng: random.Random
) -> Cycle | None:
    """Claim the next job of the first desk that has one, and answer it; None when none has.

    Jobs without a known answer are skipped: they stay for people.
    """
    for desk in desks:
        while (job := claims.claim_next(desk.queue, by=by)) is not None:
            answer = desk.answer(job, habits=habits, rng=rng)
            if answer is None:
                claims.skip(job.pk, job.claim_token, by=by, reason="No known answer")
                continue
            decision = decisions.record_review(
                job.pk,
                job.claim_token,
                by=by,
                verdict=answer.verdict,
                policy_slugs=answer.policy_slugs,
                severities=answer.severities,
                action_slugs=answer.action_slugs or None,
                note=answer.note,
                active_seconds=answer.active_seconds,
                score_shown=job.lane not in Lane.blind(),
            )
            return Cycle(answer.verdict, decision)
    return None


def work(
    desks_of: Mapping[Person, Sequence[Desk]],
    *,
    habits_of: Mapping[Person, Habits],
    count: int,
    rng: random.Random,
    progress: Callable[[], object] = lambda: None,
) -> int:
    """Answer up to `count` jobs, one after another, by people drawn by lot. Returns how many."""
    people = list(desks_of)
    done = 0
    while done < count and people:
        person = rng.choice(people)
        desks = list(desks_of[person])
        if rng.random() < _TURNS_ELSEWHERE:
            rng.shuffle(desks)
        try:
            cycle = work_one(desks, by=person, habits=habits_of[person], rng=rng)
        except Conflict:
            continue  # the item changed meanwhile, or a claim was lost: as in life, take the next
        if cycle is None:
            people.remove(person)
            continue
        done += 1
        progress()
    return done
