"""Who answers whom: items found by what their kind's `thread` and `parent` fields say.

The sweep that hashes new texts (clusters.py) calls place(): intake pays nothing for it, and
`manage.py hash_items` places what was there before. A place holds hashes only; whoever reads
compares the fields themselves.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from django.db import connection

from .models import Item
from .statements import Statement

MOST_ABOVE = 3
MOST_REPLIES = 6
# Others of its thread on either side of it, by arrival.
MOST_AROUND = 3

_KEY = "hashtextextended(concat_ws('/', {kind}, {value}), {seed})"
_FIELD = """(
    SELECT version.content ->> (field ->> 'name') FROM jsonb_array_elements(kind.fields) AS field
    WHERE field ->> 'role' = '{role}' LIMIT 1)"""

_PLACE = f"""
INSERT INTO reviews_threadplace (item_id, thread_key, parent_key)
SELECT id,
  CASE WHEN thread <> '' THEN {_KEY.format(kind="kind_id", value="thread", seed=1)} END,
  CASE WHEN parent <> '' THEN {_KEY.format(kind="kind_id", value="parent", seed=2)} END
FROM (
  SELECT item.id, item.kind_id, {_FIELD.format(role="thread")} AS thread,
    {_FIELD.format(role="parent")} AS parent
  FROM reviews_itemversion AS version
  JOIN reviews_item AS item ON item.id = version.item_id AND item.version_number = version.number
  JOIN reviews_itemkind AS kind ON kind.id = item.kind_id
  WHERE version.id = ANY(%s) AND jsonb_typeof(version.content) = 'object'
    AND (kind.fields @> '[{{"role": "thread"}}]' OR kind.fields @> '[{{"role": "parent"}}]')
) AS read
WHERE thread <> '' OR parent <> ''
ON CONFLICT (item_id) DO UPDATE
  SET thread_key = EXCLUDED.thread_key, parent_key = EXCLUDED.parent_key
"""  # noqa: S608  (parts of our own)

_VALUE = """(
    SELECT content ->> %({field})s::text FROM reviews_itemversion
    WHERE item_id = {item}.id AND number = {item}.version_number)"""
_AROUND = Statement(
    "conversation",
    f"""
WITH RECURSIVE above AS (
  SELECT parent.id, 1 AS depth, {_VALUE.format(field="parent_field", item="parent")} AS answers
  FROM reviews_item AS parent
  WHERE parent.platform_id = %(platform)s AND parent.kind_id = %(kind)s
    AND parent.external_id = %(parent)s::text AND parent.id <> %(item)s
  UNION ALL
  SELECT parent.id, above.depth + 1,
    {_VALUE.format(field="parent_field", item="parent")}
  FROM above JOIN reviews_item AS parent
    ON parent.platform_id = %(platform)s AND parent.kind_id = %(kind)s
    AND parent.external_id = above.answers AND parent.id <> above.id
  WHERE above.depth < {MOST_ABOVE} AND parent.id <> %(item)s
), replies AS (
  SELECT place.item_id AS id FROM reviews_threadplace AS place
  JOIN reviews_item AS reply ON reply.id = place.item_id
  WHERE place.parent_key = {_KEY.format(kind="%(kind)s::bigint", value="%(own)s::text", seed=2)}
    AND {_VALUE.format(field="parent_field", item="reply")} = %(own)s::text
    AND reply.id <> %(item)s
  ORDER BY place.item_id LIMIT {MOST_REPLIES + 1}
), around AS (
  (SELECT place.item_id AS id, 'before' AS side FROM reviews_threadplace AS place
   JOIN reviews_item AS other ON other.id = place.item_id
   WHERE place.thread_key = {_KEY.format(kind="%(kind)s::bigint", value="%(thread)s::text", seed=1)}
     AND place.item_id < %(item)s
     AND {_VALUE.format(field="thread_field", item="other")} = %(thread)s::text
   ORDER BY place.item_id DESC LIMIT {MOST_AROUND})
  UNION ALL
  (SELECT place.item_id, 'after' FROM reviews_threadplace AS place
   JOIN reviews_item AS other ON other.id = place.item_id
   WHERE place.thread_key = {_KEY.format(kind="%(kind)s::bigint", value="%(thread)s::text", seed=1)}
     AND place.item_id > %(item)s
     AND {_VALUE.format(field="thread_field", item="other")} = %(thread)s::text
   ORDER BY place.item_id LIMIT {MOST_AROUND})
)
SELECT id, 'above', -depth FROM above
UNION ALL SELECT id, 'reply', 0 FROM replies
UNION ALL SELECT id, side, 0 FROM around
  WHERE %(thread)s::text <> '' AND id NOT IN (SELECT id FROM above UNION SELECT id FROM replies)
ORDER BY 3, 1
""",  # noqa: S608  (parts of our own)
)


class Conversation(NamedTuple):
    """Item ids, each once, the earlier in front; and what the fields say where we hold nothing."""

    above: list[int]
    before: list[int]
    replies: list[int]
    after: list[int]
    parent: str
    thread: str
    has_more_replies: bool

    @property
    def is_empty(self) -> bool:
        return not (self.parent or self.thread or self.replies)

    @property
    def item_ids(self) -> list[int]:
        return [*self.above, *self.before, *self.replies, *self.after]


def place(version_ids: Sequence[int]) -> None:
    """Note where these versions' items stand, in the caller's transaction. Twice is once."""
    with connection.cursor() as cursor:
        cursor.execute(_PLACE, [list(version_ids)])


def around(item: Item, content: Mapping[str, object]) -> Conversation:
    """What stands above, beside and below it. A parent is named by its external id."""
    parent_field, parent = _value(item, content, "parent")
    thread_field, thread = _value(item, content, "thread")
    found: dict[str, list[int]] = {"above": [], "before": [], "reply": [], "after": []}
    if parent_field or thread_field:
        rows = _AROUND.rows(
            item=item.pk,
            own=item.external_id,
            platform=item.platform_id,
            kind=item.kind_id,
            parent_field=parent_field,
            parent=parent,
            thread_field=thread_field,
            thread=thread,
        )
        for pk, side, _depth in rows:
            found[side].append(pk)
    return Conversation(
        found["above"],
        found["before"],
        found["reply"][:MOST_REPLIES],
        found["after"],
        parent,
        thread,
        len(found["reply"]) > MOST_REPLIES,
    )


def _value(item: Item, content: object, role: str) -> tuple[str, str]:
    """The name and value of the one field of that role; "" where there is none."""
    names = item.kind.names_with_role(role)
    if not names:
        return "", ""
    value = content.get(names[0]) if isinstance(content, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return names[0], ""
    return names[0], str(value)
