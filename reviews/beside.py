"""What others have said beside an item, as the desk shows it. The desk's own statement finds out
whether there is anything, which for most items there is not."""

from datetime import datetime
from typing import Any, NamedTuple

from .models import Consultation
from .statements import Statement

# In a statement where `item` is the item.
IS_THERE = """(
  EXISTS (
    SELECT FROM reviews_note AS note
    WHERE note.item_id = item.id AND note.withdrawn_at IS NULL AND note.text <> ''
  ) OR EXISTS (
    SELECT FROM reviews_consultation AS asked
    WHERE asked.item_id = item.id AND asked.asked_by_id = %(person)s
      AND asked.answered_by_id IS NOT NULL
  ) OR EXISTS (
    SELECT FROM reviews_question AS asked
    WHERE asked.item_id = item.id AND asked.asked_by_id = %(person)s
      AND asked.state <> 'withdrawn'
  )
)"""

# Notes of all, the newest ten; opinions and answers are for whoever asked.
_SAID = Statement(
    "desk_beside",
    """
SELECT json_build_object(
  'notes', (
    SELECT json_agg(json_build_array(text, username, created_at, author_id) ORDER BY id) FROM (
      SELECT note.id, note.text, note.created_at, note.author_id, person.username
      FROM reviews_note AS note JOIN reviews_person AS person ON person.id = note.author_id
      WHERE note.item_id = item.id AND note.withdrawn_at IS NULL AND note.text <> ''
      ORDER BY note.id DESC LIMIT 10
    ) AS newest
  ),
  'opinions', (
    SELECT json_agg(json_build_array(text, username, ended_at, opinion, policies) ORDER BY id)
    FROM (
      SELECT asked.id, asked.text, asked.ended_at, asked.opinion, person.username, ARRAY(
        SELECT policy.name FROM reviews_consultation_policy_versions AS link
        JOIN reviews_policyversion AS version ON version.id = link.policyversion_id
        JOIN reviews_policy AS policy ON policy.id = version.policy_id
        WHERE link.consultation_id = asked.id ORDER BY policy.position, policy.id
      ) AS policies
      FROM reviews_consultation AS asked
      JOIN reviews_person AS person ON person.id = asked.answered_by_id
      WHERE asked.item_id = item.id AND asked.asked_by_id = %(person)s
      ORDER BY asked.id DESC LIMIT 5
    ) AS newest
  ),
  'answers', (
    SELECT json_agg(json_build_array(id, text, answer, name) ORDER BY id) FROM (
      SELECT asked.id, asked.text, asked.answer, policy.name
      FROM reviews_question AS asked JOIN reviews_policy AS policy ON policy.id = asked.policy_id
      WHERE asked.item_id = item.id AND asked.asked_by_id = %(person)s
        AND asked.state <> 'withdrawn'
      ORDER BY asked.id DESC LIMIT 5
    ) AS newest
  )
) FROM reviews_item AS item WHERE item.id = %(item)s
""",
)


class Note(NamedTuple):
    text: str
    author: str
    at: datetime
    author_id: int


class Opinion(NamedTuple):
    """Of a colleague she asked about this item."""

    text: str
    author: str
    at: datetime
    opinion: str
    policies: list[str]

    @property
    def label(self) -> str:
        return str(Consultation.Opinion(self.opinion).label)


class Answer(NamedTuple):
    """To what she asked about a policy because of this item; empty: not there yet."""

    question_id: int
    text: str
    answer: str
    policy: str


class Beside(NamedTuple):
    notes: list[Note]
    opinions: list[Opinion]
    answers: list[Answer]

    def own(self, person_id: int) -> "Beside":
        """Where others' notes are kept from her: what she said herself, or asked for, she knows."""
        return self._replace(notes=[note for note in self.notes if note.author_id == person_id])


NOTHING = Beside([], [], [])


def read(item_id: int, person_id: int | None) -> Beside:
    ((found,),) = _SAID.rows(item=item_id, person=person_id)
    return Beside(
        [Note(*_at(row)) for row in found["notes"] or ()],
        [Opinion(*_at(row)) for row in found["opinions"] or ()],
        [Answer(*row) for row in found["answers"] or ()],
    )


def _at(row: list[Any]) -> list[Any]:
    """Its third value as the time that it is."""
    return [*row[:2], datetime.fromisoformat(row[2]), *row[3:]]
