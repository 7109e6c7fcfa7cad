"""What others have said beside an item, as the desk shows it: read in the desk's own statement."""

from datetime import datetime
from typing import Any, NamedTuple

# One value of JSON; null where nobody has said anything. Of notes the newest ten.
SQL = """
(
  SELECT json_agg(
    json_build_object('text', text, 'author', username, 'at', created_at, 'by', author_id)
    ORDER BY id
  )
  FROM (
    SELECT note.id, note.text, note.created_at, note.author_id, person.username
    FROM reviews_note AS note JOIN reviews_person AS person ON person.id = note.author_id
    WHERE note.item_id = item.id AND note.withdrawn_at IS NULL AND note.text <> ''
    ORDER BY note.id DESC LIMIT 10
  ) AS newest
)
"""


class Note(NamedTuple):
    text: str
    author: str
    at: datetime
    author_id: int


class Beside(NamedTuple):
    notes: list[Note]

    def own(self, person_id: int) -> "Beside":
        """Where others' are kept from her: what she said herself she knows."""
        return Beside([note for note in self.notes if note.author_id == person_id])


NOTHING = Beside([])


def read(found: list[dict[str, Any]] | None) -> Beside:
    if not found:
        return NOTHING
    return Beside(
        [
            Note(one["text"], one["author"], datetime.fromisoformat(one["at"]), one["by"])
            for one in found
        ]
    )
