"""Reads the mails of the demo. PURE: no database; tools/make_demo_corpus.py wrote the file."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).with_name("mails.jsonl.gz")


class Mail(NamedTuple):
    """One masked mail. `known_answer` is {policy slug: does it violate}."""

    id: str
    subject: str
    body: str
    sender: str  # a pseudonym, the same for one address
    thread: str
    list_name: str
    sent_at: datetime  # UTC, 2001 to 2003
    language: str
    source: str  # folder and number in the corpus
    known_answer: dict[str, bool]

    @property
    def is_violating(self) -> bool:
        return any(self.known_answer.values())

    @property
    def text(self) -> str:
        """What a model reads: the same as ItemVersion.text() of the demo's kind."""
        return "\n\n".join(part for part in (self.subject, self.body) if part)


def read_mails() -> list[Mail]:
    """All of them, ordered by id, which says nothing about what they are."""
    with gzip.open(FILE, "rt", encoding="utf-8") as lines:
        return [_mail(json.loads(line)) for line in lines]


def _mail(row: dict[str, Any]) -> Mail:
    return Mail(
        id=row["id"],
        subject=row["subject"],
        body=row["body"],
        sender=row["sender"],
        thread=row["thread"],
        list_name=row["list"],
        sent_at=datetime.strptime(row["sent_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
        language=row["language"],
        source=row["source"],
        known_answer=row["known_answer"],
    )
