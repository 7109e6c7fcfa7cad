"""PURE. What a platform would add to a mail: views, arrival, accounts, reports of varying quality.

All of it is made up, from a seed; only the link scanner reads the mail. Nothing else in it may
tell the known answer, except by way of people who are right more often than not.
"""

import hashlib
import math
import random
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from .corpus import Mail

REPORTERS = 160
# Hidden share of right judgements: good, average, and those who report what they dislike.
_ACCURACIES = ((0.90, 0.3), (0.65, 0.55), (0.30, 0.15))
_FLAGGERS = {"phishing": "cert-mailwatch", "spam": "consumer-alliance", "adult": "safe-inbox"}
_FLAGGER_RATES = {"phishing": 0.5, "spam": 0.05, "adult": 0.25}
# People rarely report what they find harmless, even when they misjudge it.
_RELUCTANCE = 0.25

_REASONS = {
    "spam": "Spam",
    "phishing": "Scam or fraud",
    "adult": "Sexual content",
    "": "Something else",
}
_TEXTS = {
    "spam": (
        "",
        "",
        "",
        "I never signed up for this.",
        "Third one of these this week.",
        "They will not stop. Unsubscribing does nothing.",
        "Advertising, and I do not know the sender.",
        "Sounds too good to be true.",
    ),
    "phishing": (
        "",
        "",
        "They want my bank details. This is a fraud.",
        "I do not know this person and he wants to send me millions.",
        "My father nearly answered this.",
        "Fake. Please stop them.",
    ),
    "adult": (
        "",
        "",
        "Why do I get this? My children use this mailbox.",
        "Porn in my work mail.",
        "Disgusting.",
    ),
    "": ("", "", "I do not like this.", "Not interested.", "He is wrong about everything.", "lol"),
}
_FLAGGER_TEXT = {
    "phishing": "Advance-fee or credential fraud, seen in several member organisations.",
    "spam": "Bulk advertising to addresses that never opted in.",
    "adult": "Sexual advertising to recipients whose age is unknown.",
}
_SUSPICIOUS_LINKS = (
    (re.compile(r"https?://\d{1,3}(?:\.\d{1,3}){3}"), "a link to a bare IP address"),
    (re.compile(r"https?://[^\s/<>]+:(?!80\b|443\b)\d{2,5}\b"), "a link to an unusual port"),
    (re.compile(r"https?://[^\s/<>]*%[0-9a-f]{2}", re.I), "a link with a disguised host"),
    (re.compile(r"https?://\S+\.(?:exe|scr|pif)\b", re.I), "a link to a program"),
)


class Reporter(NamedTuple):
    name: str
    accuracy: float


class Arrival(NamedTuple):
    """One mail as the platform sends it in."""

    mail: Mail
    submitted_at: datetime
    views_per_hour: float
    reports: list[dict[str, Any]]


def make_reporters(seed: int) -> list[Reporter]:
    rng = _rng(seed, "reporters")
    accuracies = [accuracy for accuracy, _ in _ACCURACIES]
    shares = [share for _, share in _ACCURACIES]
    return [
        Reporter(f"user-{number:04d}", rng.choices(accuracies, shares)[0])
        for number in sorted(rng.sample(range(1, 10_000), REPORTERS))
    ]


def in_order_of_arrival(mails: Sequence[Mail], seed: int) -> list[Mail]:
    """Shuffled, but the mails of one thread in the order in which they were written."""
    shuffled = list(mails)
    _rng(seed, "order").shuffle(shuffled)
    places: dict[str, list[int]] = {}
    for place, mail in enumerate(shuffled):
        places.setdefault(mail.thread, []).append(place)
    ordered = list(shuffled)
    for taken in places.values():
        in_time = sorted((shuffled[place] for place in taken), key=lambda mail: mail.sent_at)
        for place, mail in zip(taken, in_time, strict=True):
            ordered[place] = mail
    return ordered


def arrival_times(count: int, *, first: datetime, last: datetime, seed: int) -> list[datetime]:
    """`count` ascending times, denser towards `last`: some fresh, some overdue."""
    rng = _rng(seed, f"arrivals {count}")
    span = (last - first).total_seconds()
    ages = sorted((rng.random() ** 2 for _ in range(count)), reverse=True)
    return [last - timedelta(seconds=age * span) for age in ages]


def arrive(mail: Mail, *, at: datetime, reporters: Sequence[Reporter], seed: int) -> Arrival:
    rng = _rng(seed, mail.id)
    views = min(20_000.0, rng.lognormvariate(math.log(30), 1.3))
    return Arrival(mail, at, round(views, 1), make_reports(mail, views, reporters, rng))


def item_row(arrival: Arrival, *, kind: str, seed: int) -> dict[str, Any]:
    """The row for intake.submit_items."""
    mail = arrival.mail
    age_days = _rng(seed, f"account {mail.sender}").lognormvariate(math.log(200), 1.2)
    content = {
        "subject": mail.subject,
        "body": mail.body,
        "sender": mail.sender,
        "list": mail.list_name,
        "thread": mail.thread,
        "dated": mail.sent_at.isoformat(),
    }
    return {
        "kind": kind,
        "external_id": mail.id,
        "content": {name: value for name, value in content.items() if value},
        "account": {
            "external_id": mail.sender,
            "name": mail.sender,
            # From a fixed day, or the same account would be another one at the next load.
            "joined_at": (datetime(2026, 6, 1) - timedelta(days=age_days)).isoformat(
                timespec="seconds"
            )
            + "Z",
        },
        "language": mail.language,
        "posted_at": mail.sent_at.isoformat(),
        "views_per_hour": arrival.views_per_hour,
        "known_answer": mail.known_answer,
    }


def make_reports(
    mail: Mail, views: float, reporters: Sequence[Reporter], rng: random.Random
) -> list[dict[str, Any]]:
    """What users, trusted flaggers and the link scanner say about one mail."""
    reports = []
    seen_by = min(len(reporters), _poisson(0.6 + math.log10(1 + views), rng))
    for reporter in rng.sample(list(reporters), seen_by):
        is_right = rng.random() < reporter.accuracy
        says_bad = mail.is_violating == is_right
        if says_bad and (mail.is_violating or rng.random() < _RELUCTANCE):
            slug = _named_policy(mail, is_right, rng)
            text = rng.choice(_TEXTS[slug])
            reports.append(_report("user", reporter.name, _REASONS[slug], text))
    for slug, flagger in _FLAGGERS.items():
        rate = _FLAGGER_RATES[slug] if mail.known_answer[slug] else 0.002
        if rng.random() < rate:
            reports.append(_report("trusted_flagger", flagger, _REASONS[slug], _FLAGGER_TEXT[slug]))
    found = [words for pattern, words in _SUSPICIOUS_LINKS if pattern.search(mail.body)]
    if found:
        reports.append(
            _report("classifier", "link-scanner", "Suspicious link", f"Found {found[0]}.")
        )
    return reports


def report_rows(arrival: Arrival, *, kind: str) -> list[dict[str, Any]]:
    """The rows for intake.file_reports."""
    return [
        {"kind": kind, "item": arrival.mail.id, "external_id": f"r{number}", **report}
        for number, report in enumerate(arrival.reports, start=1)
    ]


def _named_policy(mail: Mail, is_right: bool, rng: random.Random) -> str:
    """The gravest policy that it violates, by whoever is right; else a guess."""
    if is_right and mail.is_violating:
        return next(slug for slug in ("phishing", "adult", "spam") if mail.known_answer[slug])
    return rng.choices(("spam", "phishing", "adult", ""), (5, 1, 1, 3))[0]


def _report(source: str, reporter: str, reason: str, text: str) -> dict[str, Any]:
    return {"source": source, "reporter": reporter, "reason": reason, "text": text}


def _poisson(mean: float, rng: random.Random) -> int:
    """Knuth's product of uniforms; the means here are below 6."""
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def _rng(seed: int, name: str) -> random.Random:
    """One generator a name, so that a mail's luck does not depend on the others'."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return random.Random(int.from_bytes(digest[:8]))  # noqa: S311
