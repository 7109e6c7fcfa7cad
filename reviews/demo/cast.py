"""What the demo's people left for each other, and what they looked at before you came.

Through the services, but for what they looked at: days are made of it that nobody sat through.
"""

import random
import uuid
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from reviews import assignments, claims, consultations, limits, notes, questions
from reviews.models import (
    Consultation,
    Exposure,
    Item,
    Job,
    Lane,
    Limits,
    Note,
    Person,
    Platform,
    Policy,
    Queue,
)

from . import rules

_SEED = 1
_DAYS_BACK = 20
# What remy has left of his budget when you sign in as him: a minute or two of looking.
_LEFT_SECONDS = 90

_NOTES = (
    ("lena", "Same wording as the wave of Tuesday. @rosa please strike the sender, too, if it is."),
    ("remy", "The sender's earlier mails were all from one list. @lena knows that list, I do not."),
    ("lena", "The model is sure of this one, and I think wrongly. @mila for the next round."),
)
# (item, who asks, of whom, what she wants to know)
_ASKED = (
    (
        "b0026",
        "remy",
        "rosa",
        "Is she buying the drawing, or selling one? I read no Arabic.",
    ),
    ("b0031", "lena", "", "Is a listing with one blurred picture enough to call it a trick?"),
    ("b0020", "rosa", "lena", "The courses every Thursday: advertising, or simply what she does?"),
    (
        "b0030",
        "lena",
        "remy",
        "Only a ball, as far as I see. Is the title a joke that I miss?",
    ),
)
# Answered before you came: it waits for whoever asked.
_ANSWERED = (
    "b0025",
    "rosa",
    "remy",
    "Is this praise or a request for money? The translation was odd.",
    "Praise. She asks how the flower in the middle is drawn.",
)
_ASSIGNED = ("b0024", "b0017")
_QUESTIONS = (
    (
        "rosa",
        "spam",
        "A shop writes to its own customers two years after their last order. Expected, or spam?",
        "",
    ),
    (
        "remy",
        "adult",
        "A film club announces an evening for adults only. Is that advertising of this sort?",
        "",
    ),
    (
        "rosa",
        "phishing",
        "The letter asks only for a phone number, no bank details yet. Is that enough?",
        "Yes, where the story is an advance-fee letter: the number is the first step of the theft.",
    ),
)


def limit(platform: Platform) -> None:
    """The platform's limits, once there is a past to hold them against; set ones stay."""
    if Limits.objects.filter(platform=platform).exists():
        return
    _look_back(platform, now=timezone.now())
    limits.save_limits(platform, rules.LIMITS, by=_person("lena"), note="Agreed with the team.")


def leave(platform: Platform) -> None:
    """Notes, questions, consultations and assigned jobs; again adds nothing."""
    if Note.objects.filter(item__platform=platform).exists():
        return
    with transaction.atomic():
        _ask_about_policies(platform)
        _leave_notes(platform)
        for external_id, asker, of, text in _ASKED:
            _consult(platform, external_id, asker, of, text)
        external_id, asker, of, text, answer = _ANSWERED
        consultation = _consult(platform, external_id, asker, of, text)
        consultations.give_opinion(consultation, by=_person(of), opinion="clean", text=answer)
        jobs = Job.objects.ready().filter(
            item__platform=platform, item__external_id__in=_ASSIGNED, lane=Lane.RISK
        )
        if ids := list(jobs.values_list("pk", flat=True)):
            assignments.assign(ids, to=_person("rosa"), by=_person("lena"))


def _ask_about_policies(platform: Platform) -> None:
    for asker, slug, text, answer in _QUESTIONS:
        policy = Policy.objects.get(platform=platform, slug=slug)
        question = questions.ask_question(policy, by=_person(asker), text=text)
        if answer:
            questions.answer_question(question, by=_person("paul"), text=answer, is_published=True)


def _leave_notes(platform: Platform) -> None:
    """On what a reviewer of mails meets first."""
    first = Job.objects.ready().filter(
        queue__platform=platform, queue__is_default=True, lane=Lane.RISK
    )
    items = [job.item for job in first.order_by("-rank").select_related("item")[: len(_NOTES)]]
    for item, (author, text) in zip(items, _NOTES, strict=False):
        notes.leave_note(item, by=_person(author), text=text)


def _consult(platform: Platform, external_id: str, asker: str, of: str, text: str) -> Consultation:
    item = Item.objects.get(platform=platform, external_id=external_id)
    job = Job.objects.ready().select_related("queue").get(item=item)
    held = claims.claim_job(job, by=_person(asker))
    if held is None or held.claim_token is None:
        raise ValueError(f"{asker} could not take {external_id}.")
    ask = consultations.Ask(_person(of) if of else None, text)
    return consultations.ask_colleague(held.pk, str(held.claim_token), ask, by=_person(asker))


def _look_back(platform: Platform, *, now: datetime) -> None:
    """The simulated answers were given within minutes: their looking is moved to yesterday, weeks
    before it are made up, and so is remy's morning."""
    Exposure.objects.filter(queue__platform=platform).update(at=F("at") - timedelta(days=1))
    queue = Queue.objects.get(platform=platform, slug="adult")
    harm, weight = "sexual-content", 1.0
    rng = random.Random(f"{_SEED} looked at")  # noqa: S311
    rows = []
    people = Person.objects.filter(queues=queue).exclude(username="lena").order_by("username")
    for person in people:
        for day in range(2, _DAYS_BACK):
            for _number in range(rng.randint(4, 9)):
                at = now - timedelta(days=day, minutes=rng.randint(0, 360))
                rows.append(_looked(person, queue, harm, weight, rng.uniform(20, 110), at))
    left = 60 * rules.LIMITS["budgets"][harm] - _LEFT_SECONDS
    while left > 0:
        seconds = min(left, rng.uniform(40, 100))
        at = now - timedelta(minutes=rng.randint(20, 240))
        rows.append(_looked(_person("remy"), queue, harm, weight, seconds, at))
        left -= seconds
    Exposure.objects.bulk_create(rows)


def _looked(
    person: Person, queue: Queue, harm: str, weight: float, seconds: float, at: datetime
) -> Exposure:
    return Exposure(
        person=person,
        queue=queue,
        token=uuid.uuid4(),
        harm=harm,
        seconds=seconds,
        weight=weight,
        at=at,
    )


def _person(username: str) -> Person:
    return Person.objects.get(username=username)
