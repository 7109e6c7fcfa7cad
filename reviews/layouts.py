"""PURE. What an item kind may be made of, and how its items are shown: fields and blocks.

A Layout is compiled once a kind and laid over each item's content. It refuses nothing: what does
not fit its type is shown raw with a warning, and what no block shows stands under "Other data", so
that a broken kind or a broken item can still be decided. What a kind may be is kinds.py's to check.
"""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

# Type → what a person calls it.
TYPES = {
    "string": "Short text",
    "text": "Long text",
    "number": "Number",
    "datetime": "Date and time",
    "url": "Address (URL)",
    "boolean": "Yes or no",
    "image": "Image (URL)",
    "video": "Video (URL)",
    "key-value": "Key-value",
}
_TEXTS = frozenset({"string", "text"})
_ADDRESSES = frozenset({"url", "image", "video"})


class Role(NamedTuple):
    """What a field is to us; `types` are those that can play it."""

    label: str
    types: frozenset[str]
    is_single: bool = False  # at most one a kind


ROLES = {
    "": Role("Plain", frozenset(TYPES)),
    "title": Role("Title", _TEXTS, is_single=True),
    "text": Role("Text", _TEXTS),
    "image": Role("Image", frozenset({"image", "url"})),
    "video": Role("Video", frozenset({"video", "url"})),
    "url": Role("Address", frozenset({"url"})),
    "author": Role("Author", frozenset({"string", "url"}), is_single=True),
    "parent": Role("Parent", frozenset({"string", "number", "url"}), is_single=True),
    "thread": Role("Thread", frozenset({"string", "number", "url"}), is_single=True),
    "date": Role("Date", frozenset({"datetime"})),
    "number": Role("Number", frozenset({"number"})),
    "key-value": Role("Key-value", frozenset({"key-value"})),
}
# One of these makes an item something to look at.
SEEN_ROLES = ("title", "text", "image", "video")


class Block(NamedTuple):
    """A way to show fields; `types` are those that it can show."""

    label: str
    types: frozenset[str]
    about: str


BLOCKS = {
    "title": Block("Title", _TEXTS, "One line, large"),
    "text": Block("Text", _TEXTS, "The text itself, in full reading size"),
    "quote": Block("Quote", _TEXTS, "Set apart: what is answered or quoted"),
    "image": Block("Image", _TEXTS | {"image", "url"}, "A frame; a text field is its caption"),
    "video": Block("Video", _TEXTS | {"video", "url"}, "A frame; a text field is its caption"),
    "link": Block("Address", _ADDRESSES, "Made harmless; nobody can click it"),
    "facts": Block("Facts", frozenset(TYPES), "Names beside values"),
    "thread": Block("Thread", frozenset({"string", "number", "url"}), "What it answers or is in"),
    "data": Block("Other data", frozenset(TYPES), "As it came; without fields: all the rest"),
}

# Characters of a value shown at once, by block; the rest is one click away.
TEXT_SHOWN = 10_000
_SHOWN = {"title": 1_000, "text": TEXT_SHOWN, "quote": 2_000}
_SHOWN_ELSEWHERE = 1_000
_PAIRS_SHOWN = 100
# The usual order of an item without a layout of its own.
_USUAL = (
    ("title", ("title",)),
    ("text", ("text",)),
    ("image", ("image",)),
    ("video", ("video",)),
    ("link", ("url",)),
    ("thread", ("parent", "thread")),
    ("facts", ("author", "date", "number", "key-value", "")),
)


class Field(NamedTuple):
    name: str
    label: str
    type: str
    role: str


class Entry(NamedTuple):
    """One value as it is written. `form`: text, address, time, pairs or raw."""

    name: str
    label: str
    form: str
    value: Any
    left: int = 0  # characters beyond what is shown
    shown: int = 0  # characters shown, where some are left
    wanted: str = ""  # raw only: the type that it does not fit


class Shown(NamedTuple):
    """A block with something in it."""

    block: str
    label: str
    is_collapsed: bool
    entries: list[Entry]
    captions: list[Entry]


class _Step(NamedTuple):
    block: str
    label: str
    is_collapsed: bool
    fields: tuple[Field, ...]
    captions: tuple[Field, ...]
    is_rest: bool  # whatever no other block shows


class Layout:
    """Fields and layout as stored → ready to be laid over contents by the thousand."""

    def __init__(self, fields: object, layout: object) -> None:
        self.fields = {field.name: field for field in _fields(fields)}
        self.steps = _steps(layout, self.fields) or _steps(usual(fields), self.fields)
        self._placed = {
            field.name for step in self.steps for field in (*step.fields, *step.captions)
        }
        if not any(step.is_rest for step in self.steps):
            self.steps.append(_Step("data", "Other data", True, (), (), True))

    def show(self, content: object, *, without: Collection[str] = ()) -> list[Shown]:
        """The blocks of one item, empty ones left out.

        `without` names roles that are kept from the reader; with any, so is what the kind does not
        know (any more), since it may have played that role.
        """
        if not isinstance(content, dict):
            raw = _entry(Field("content", "Content", "", ""), content, _SHOWN_ELSEWHERE)
            return [Shown("data", "Other data", False, [raw], [])]
        shown = []
        for step in self.steps:
            fields = step.fields
            if step.is_rest:
                fields = tuple(self._rest(content, with_unknown=not without))
            entries = _entries(fields, content, step.block, without)
            if not entries:
                continue
            captions = _entries(step.captions, content, step.block, without)
            shown.append(Shown(step.block, step.label, step.is_collapsed, entries, captions))
        return shown

    def _rest(self, content: Mapping[str, Any], *, with_unknown: bool) -> Iterator[Field]:
        for name in content:
            if name in self._placed:
                continue
            known = self.fields.get(name)
            if known is not None:
                yield known
            elif with_unknown:
                yield Field(name, name, "", "")


_compiled: dict[int, tuple[str, str, Layout]] = {}


def compiled(kind_id: int, fields: str, layout: str) -> Layout:
    """The kind's Layout, from its two columns as JSON texts: compiled anew only when they changed.

    The texts are the key, so what another process saved is seen with the next item read.
    """
    found = _compiled.get(kind_id)
    if found is None or found[0] != fields or found[1] != layout:
        found = (fields, layout, Layout(json.loads(fields), json.loads(layout)))
        _compiled[kind_id] = found
    return found[2]


def usual(fields: object) -> list[dict[str, Any]]:
    """The layout of a kind that has none of its own, from its fields' roles."""
    known = list(_fields(fields))
    blocks: list[dict[str, Any]] = []
    for block, roles in _USUAL:
        names = [
            field.name
            for role in roles
            for field in known
            if field.role == role and field.type in BLOCKS[block].types
        ]
        if block in ("text", "image", "video"):
            blocks += [{"block": block, "fields": [name]} for name in names]
        elif names:
            blocks.append({"block": block, "fields": names})
    return blocks


def text_of(value: object) -> str:
    """A value as text: itself, or its JSON. What an entry's offset counts in."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=1)


def _fields(fields: object) -> Iterator[Field]:
    """Whatever of a stored list of fields makes sense."""
    if not isinstance(fields, list):
        return
    for each in fields:
        name = each.get("name") if isinstance(each, dict) else None
        if isinstance(name, str) and name:
            label, type_, role = (each.get(key) for key in ("label", "type", "role"))
            yield Field(
                name,
                label if isinstance(label, str) and label else name,
                type_ if isinstance(type_, str) else "",
                role if isinstance(role, str) else "",
            )


def _steps(layout: object, fields: Mapping[str, Field]) -> list[_Step]:
    """The same for a stored layout."""
    steps = []
    for each in layout if isinstance(layout, list) else ():
        block = each.get("block") if isinstance(each, dict) else None
        if not isinstance(block, str) or block not in BLOCKS:
            continue
        names = each.get("fields")
        named = names if isinstance(names, list) else []
        found = [fields[name] for name in named if isinstance(name, str) and name in fields]
        is_rest = block == "data" and not named
        if not found and not is_rest:
            continue
        captions = [field for field in found if _is_caption(block, field)]
        label = each.get("label")
        if not isinstance(label, str) or not label:
            label = BLOCKS[block].label if block == "data" else ""
        steps.append(
            _Step(
                block,
                label,
                each.get("is_collapsed") is True,
                tuple(field for field in found if field not in captions),
                tuple(captions),
                is_rest,
            )
        )
    return steps


def _is_caption(block: str, field: Field) -> bool:
    return block in ("image", "video") and field.type in _TEXTS


def _entries(
    fields: Sequence[Field], content: Mapping[str, Any], block: str, without: Collection[str]
) -> list[Entry]:
    most = _SHOWN.get(block, _SHOWN_ELSEWHERE)
    return [
        _entry(field, value, most)
        for field in fields
        if (value := content.get(field.name)) not in (None, "", {})
        and not (without and field.role in without)
    ]


def _entry(field: Field, value: object, most: int) -> Entry:
    form, written = _written(field.type, value)
    if form in ("text", "address", "raw") and len(written) > most:
        left = len(written) - most
        written = written[:most]
        wanted = TYPES.get(field.type, "") if form == "raw" else ""
        return Entry(field.name, field.label, form, written, left, most, wanted)
    wanted = TYPES.get(field.type, "") if form == "raw" else ""
    return Entry(field.name, field.label, form, written, wanted=wanted)


def _written(type_: str, value: object) -> tuple[str, Any]:
    """How a value is written, and as what."""
    if isinstance(value, str):
        if type_ in _TEXTS or type_ not in TYPES:
            return "text", value
        if type_ in _ADDRESSES:
            return "address", value
        if type_ == "datetime" and (time := _time(value)) is not None:
            return "time", time
    elif isinstance(value, bool):
        if type_ == "boolean":
            return "text", "yes" if value else "no"
    elif isinstance(value, int | float):
        if type_ == "number":
            return "text", _number(value)
    elif type_ == "key-value" and isinstance(value, dict):
        pairs = list(value.items())[:_PAIRS_SHOWN]
        if all(not isinstance(one, dict | list) for _, one in pairs):
            return "pairs", [(str(name), _scalar(one)) for name, one in pairs]
    return "raw", text_of(value)


def _scalar(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _number(value)
    return str(value)[:_SHOWN_ELSEWHERE]


def _number(value: int | float) -> str:
    """12345.5 → 12,345.5, with a real minus sign; nothing is rounded."""
    if isinstance(value, float) and (not math.isfinite(value) or "e" in repr(value)):
        return str(value).replace("-", "−")
    return f"{value:,}".replace("-", "−")


def _time(value: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    return time if time.tzinfo is not None else None
