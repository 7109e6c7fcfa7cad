"""PURE. How items of a kind are shown: its fields in blocks (kind_parts.py says what there is).

A Layout is compiled once a kind and laid over each item's content. It refuses nothing: what does
not fit its type is shown raw with a warning, and what no block shows stands under "Other data", so
that a broken kind or a broken item can still be decided. What a kind may be is kinds.py's to check.
"""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from .kind_parts import ADDRESSES, BLOCKS, CAPTIONED, MEDIA, OTHER, TEXTS, TYPES
from .wording import figure
from .wording import gettext as _

# Characters of a value shown at once, by block; the rest is one click away.
TEXT_SHOWN = 10_000
_SHOWN = {"title": 1_000, "text": TEXT_SHOWN, "quote": 2_000}
_SHOWN_ELSEWHERE = 1_000
_PAIRS_SHOWN = 100
PICTURES_SHOWN = 24
MESSAGES_SHOWN = 30
# Blocks that show media themselves; elsewhere a medium is told by its name.
_SEEING = frozenset({"image", "gallery", "video", "audio", "card", "profile"})
_FRAMES = frozenset({"image", "video", "audio"})
_FRAMED_ROLES = frozenset({"image", "avatar"})
# The box that a picture or a film is fitted into, in CSS pixels.
_BOX = (640, 440)
# The usual order of an item without a layout of its own.
_USUAL = (
    ("title", ("title",)),
    ("text", ("text",)),
    ("image", ("image",)),
    ("gallery", ("images",)),
    ("video", ("video",)),
    ("audio", ("audio",)),
    ("text", ("transcript",)),
    ("link", ("url",)),
    ("thread", ("messages", "parent", "thread")),
    ("facts", ("author", "handle", "avatar", "date", "number", "key-value", "alt", "")),
)


class Field(NamedTuple):
    name: str
    label: str
    type: str
    role: str


class Medium(NamedTuple):
    """A picture, film or sound as we hold it; the columns of its row."""

    pk: int
    address: str
    state: str
    form: str
    width: int
    height: int
    seconds: float
    error: str
    renditions: Mapping[str, Mapping[str, Any]]

    @property
    def reference(self) -> str:
        return self.address or f"media:{self.pk}"

    @property
    def is_ready(self) -> bool:
        return self.state == "ready"

    @property
    def box(self) -> tuple[int, int]:
        """Width and height to reserve on the page: as it is, or fitted."""
        return _fitted("image", self.renditions)

    @property
    def thumb(self) -> tuple[int, int]:
        return _fitted("thumb", self.renditions)

    @property
    def strip(self) -> tuple[int, int] | None:
        """Of the row of frames from a film, if it has one."""
        return _fitted("strip", self.renditions) if "strip" in self.renditions else None


class Seen(NamedTuple):
    """A medium in its place: what the item says of it, and what we hold, if anything."""

    reference: str
    medium: Medium | None
    alt: str = ""


class Message(NamedTuple):
    """One message of a conversation, as the platform gave it."""

    author: str
    text: str
    at: datetime | None
    left: int  # characters beyond what is shown
    is_this: bool  # the very item


class Entry(NamedTuple):
    """One value as it is written. `form`: text, address, time, pairs, media, messages or raw."""

    name: str
    label: str
    form: str
    value: Any
    left: int = 0  # characters beyond what is shown
    shown: int = 0  # characters shown, where some are left
    wanted: str = ""  # raw only: the type that it does not fit
    role: str = ""
    media: Sequence[Seen] = ()

    @property
    def is_raw(self) -> bool:
        return self.form == "raw"


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
            self.steps.append(_Step("data", OTHER, True, (), (), True))

    def show(
        self,
        content: object,
        *,
        without: Collection[str] = (),
        media: Mapping[str, Medium] | None = None,
    ) -> list[Shown]:
        """The blocks of one item, empty ones left out. `media`: by what fields say of them.

        `without` names roles that are kept from the reader; with any, so is what the kind does not
        know (any more), since it may have played that role.
        """
        if not isinstance(content, dict):
            raw = _entry(Field("content", _("Content"), "", ""), content, "data", {})
            return [Shown("data", _("Other data"), False, [raw], [])]
        shown = []
        for step in self.steps:
            fields = step.fields
            if step.is_rest:
                fields = tuple(self._rest(content, with_unknown=not without))
            entries = _entries(fields, content, step.block, without, media or {})
            if not entries:
                continue
            captions = _entries(step.captions, content, step.block, without, {})
            label = _(step.label) if step.label == OTHER else step.label
            shown.append(Shown(step.block, label, step.is_collapsed, entries, captions))
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
        if block in ("text", "image", "gallery", "video", "audio"):
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
    return block in CAPTIONED and field.type in TEXTS


def _entries(
    fields: Sequence[Field],
    content: Mapping[str, Any],
    block: str,
    without: Collection[str],
    media: Mapping[str, Medium],
) -> list[Entry]:
    return [
        _entry(field, nameless(field.type, value) if without else value, block, media)
        for field in fields
        if (value := content.get(field.name)) not in (None, "", {}, [])
        and not (without and field.role in without)
    ]


def _entry(field: Field, value: object, block: str, media: Mapping[str, Medium]) -> Entry:
    type_ = field.type
    if type_ == "url" and (block in _FRAMES or field.role in _FRAMED_ROLES):
        type_ = "image"  # as kinds said it before they could name an uploaded medium
    if block in _SEEING and (seen := _seen(type_, value, media)):
        reference = seen[0].reference
        return Entry(field.name, field.label, "media", reference, role=field.role, media=seen)
    most = _SHOWN.get(block, _SHOWN_ELSEWHERE)
    if field.role == "transcript":
        most = TEXT_SHOWN
    form, written = _written(field.type, value)
    left = shown = 0
    if form in ("text", "address", "raw") and len(written) > most:
        left, shown = len(written) - most, most
        written = written[:most]
    wanted = _(TYPES[field.type]) if form == "raw" and field.type in TYPES else ""
    return Entry(field.name, field.label, form, written, left, shown, wanted, field.role)


def _seen(type_: str, value: object, media: Mapping[str, Medium]) -> tuple[Seen, ...]:
    """The media that a value names, () where it names none."""
    if type_ in MEDIA:
        return (Seen(value, media.get(value)),) if isinstance(value, str) else ()
    if type_ != "images" or not isinstance(value, list):
        return ()
    found = []
    for one in value:
        reference, alt = (one.get("image"), one.get("alt")) if isinstance(one, dict) else (one, "")
        if not isinstance(reference, str):
            return ()
        found.append(Seen(reference, media.get(reference), alt if isinstance(alt, str) else ""))
    return tuple(found)


def references(type_: str, value: object) -> list[str]:
    """The media that a field's value names, whatever block shows it."""
    return [seen.reference for seen in _seen(type_, value, {})]


def nameless(type_: str, value: Any) -> Any:
    """A conversation without its authors: one of them may be the item's own."""
    if type_ != "messages" or not isinstance(value, list):
        return value
    return [
        {key: part for key, part in one.items() if key != "author"} if isinstance(one, dict) else ""
        for one in value
    ]


def parts_of(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """The entries of a profile or a link card by the part they play in it."""
    parts: dict[str, list[Entry]] = {}
    for entry in entries:
        parts.setdefault(_part(entry), []).append(entry)
    return parts


def as_json(value: Any) -> Any:
    """A JSON column as Python, however the driver hands it over."""
    return json.loads(value) if isinstance(value, str) else value


def _part(entry: Entry) -> str:
    """What an entry is in a profile or a link card."""
    if entry.form == "media":
        return "picture"
    if entry.form == "raw":
        return "facts"
    if entry.form == "address":
        return "address"
    if entry.role in ("title", "handle"):
        return entry.role
    if entry.role == "author":
        return "handle"
    if entry.form == "text" and (entry.role == "number" or entry.role == ""):
        return "counts" if entry.role == "number" else "facts"
    return "text" if entry.role in ("text", "alt") else "facts"


def _fitted(name: str, renditions: Mapping[str, Mapping[str, Any]]) -> tuple[int, int]:
    """A rendition's size inside the box; never larger than it is."""
    one = renditions.get(name, {})
    width, height = one.get("width") or 4, one.get("height") or 3
    if name == "strip":
        return width, height
    scale = min(_BOX[0] / width, _BOX[1] / height, 1)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _written(type_: str, value: object) -> tuple[str, Any]:
    """How a value is written, and as what."""
    if isinstance(value, str):
        if type_ in TEXTS or type_ not in TYPES:
            return "text", value
        if type_ in ADDRESSES:
            return "address", value
        if type_ == "datetime" and (time := _time(value)) is not None:
            return "time", time
    elif isinstance(value, bool):
        if type_ == "boolean":
            return "text", "yes" if value else "no"
    elif isinstance(value, int | float):
        if type_ == "number":
            return "text", _number(value)
    elif type_ == "messages" and (messages := _messages(value)) is not None:
        return "messages", messages
    elif type_ == "key-value" and isinstance(value, dict):
        pairs = list(value.items())[:_PAIRS_SHOWN]
        if all(not isinstance(one, dict | list) for _, one in pairs):
            return "pairs", [(str(name), _scalar(one)) for name, one in pairs]
    return "raw", text_of(value)


def _messages(value: object) -> list[Message] | None:
    """A conversation, None where it is none. Around the item itself, where there are many."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        return None
    this = next((at for at, one in enumerate(value) if one.get("is_this") is True), len(value))
    first = max(min(this - MESSAGES_SHOWN // 2, len(value) - MESSAGES_SHOWN), 0)
    messages = []
    for one in value[first : first + MESSAGES_SHOWN]:
        author, text, at = one.get("author") or "", one.get("text") or "", one.get("at")
        if not isinstance(author, str) or not isinstance(text, str):
            return None
        messages.append(
            Message(
                author[:_SHOWN_ELSEWHERE],
                text[:_SHOWN_ELSEWHERE],
                _time(at) if isinstance(at, str) else None,
                max(len(text) - _SHOWN_ELSEWHERE, 0),
                one.get("is_this") is True,
            )
        )
    return messages


def _scalar(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, int | float):
        return _number(value)
    return str(value)[:_SHOWN_ELSEWHERE]


def _number(value: int | float) -> str:
    """12345.5 → 12,345.5, with a real minus sign; nothing is rounded."""
    if isinstance(value, float) and (not math.isfinite(value) or "e" in repr(value)):
        return str(value).replace("-", "−")
    return figure(value)


def _time(value: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    return time if time.tzinfo is not None else None
