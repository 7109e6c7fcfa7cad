"""PURE. Rows from outside → clean typed rows, or what is wrong with them, field by field.

No database: intake.py stores what comes out. Text that PostgreSQL cannot hold (NUL, lone
surrogates) is replaced by U+FFFD in content and refused in identifiers.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from json.encoder import encode_basestring
from typing import Any
from urllib.parse import urlsplit

from . import kind_parts, layouts

MAX_ROWS = 10_000  # a call, so that one transaction stays short
MAX_TEXT_BYTES = 2**20  # one text field, UTF-8
MAX_STRING = 10_000  # characters of a string field
MAX_URL = 4_000
MAX_PAIRS = 100  # of a key-value field
MAX_PAIR_NAME = 200
MAX_PAIR_TEXT = 1_000
MAX_IMAGES = 100  # of a list
MAX_MESSAGES = 200
MAX_ALT = 2_000
MAX_ID = 200
MAX_NUMBER = 2**53  # beyond it JSON readers disagree
MAX_VIEWS = 1e12

Errors = dict[str, list[str]]

_ITEM_KEYS = frozenset(
    {
        "kind",
        "external_id",
        "content",
        "account",
        "language",
        "posted_at",
        "views_per_hour",
        "views_so_far",
    }
)
_ACCOUNT_KEYS = frozenset({"external_id", "name", "joined_at"})
_IMAGE_KEYS = frozenset({"image", "alt"})
_MESSAGE_KEYS = frozenset({"id", "author", "text", "at", "is_this"})
_REPORT_KEYS = frozenset({"kind", "item", "source", "reporter", "reason", "text", "external_id"})
_REFERENCE = re.compile(r"media:[1-9][0-9]{0,17}")
# All of ASCII that str.split() cuts at, but for one plain space.
_ODD_SPACES = ("  ", "\n", "\r", "\t", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x1f")
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")
_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode


class Shape:
    """An item kind made ready for reading rows by the thousand."""

    def __init__(
        self, pk: int, slug: str, fields: list[dict[str, Any]], *, is_archived: bool = False
    ) -> None:
        self.pk = pk
        self.slug = slug
        self.is_archived = is_archived  # takes no items; what is there is still reported
        self.readers = {each["name"]: _READERS[each["type"]] for each in fields}
        self.required = [each["name"] for each in fields if each.get("required")]
        self.text_names = [each["name"] for each in fields if each.get("role") == "title"]
        self.text_names += [each["name"] for each in fields if each.get("role") == "text"]
        self.media_types = {
            each["name"]: "image" if each["type"] == "url" else each["type"]
            for each in fields
            if each["type"] in kind_parts.MEDIA
            or each["type"] == "images"
            or (each["type"] == "url" and each.get("role") in ("image", "video", "audio", "avatar"))
        }


@dataclass(slots=True)
class AccountRow:
    external_id: str
    name: str = ""
    joined_at: datetime | None = None


@dataclass(slots=True)
class ItemRow:
    """A row that may be stored. None: the sender did not say."""

    index: int
    shape: Shape
    external_id: str
    key: tuple[int, str]  # kind and external id: what the item is known by on its platform
    content: dict[str, Any]
    content_json: str
    content_hash: str
    fingerprint: str
    account: AccountRow | None
    language: str | None
    posted_at: datetime | None
    views_per_hour: float | None
    views_so_far: int | None
    known_answer: dict[str, bool] | None
    media: list[tuple[str, str]] = field(default_factory=list)  # field and what it says


@dataclass(slots=True)
class ReportRow:
    index: int
    kind_id: int
    item: str
    external_id: str
    source: str
    reporter: str
    reason: str
    text: str


@dataclass(slots=True)
class Outcome:
    """What became of one row.

    created: stored. changed: something of it is other than before; `version` tells whether the
    content was. unchanged: seen before, just so. rejected: nothing stored, see `errors`.
    """

    index: int
    status: str
    item_id: int | None = None
    version: int | None = None
    errors: Errors = field(default_factory=dict)


def read_item(
    row: object, *, index: int, shapes: Mapping[str, Shape], trusted: bool = False
) -> ItemRow | Errors:
    """One submitted item. `trusted` rows may carry a known answer (demo, benchmarks)."""
    if not isinstance(row, dict):
        return {"row": ["An item is an object."]}
    errors: Errors = {}
    allowed = _ITEM_KEYS | {"known_answer"} if trusted else _ITEM_KEYS
    if not row.keys() <= allowed:
        _unknown(row, allowed, errors)
    shape = _read_kind(row, shapes, errors)
    if shape is not None and shape.is_archived:
        errors["kind"] = [f"{shape.slug} is archived: it takes no items any more."]
    external_id = _read_id(row, "external_id", errors)
    content = row.get("content")
    if not isinstance(content, dict):
        errors["content"] = ["Give an object with the kind's fields."]
    elif shape is not None:
        content = _read_content(content, shape, errors)
    account = row.get("account")
    if account is not None:
        account = _read_account(account, errors)
    language = row.get("language")
    if language is not None and not (
        isinstance(language, str) and len(language) <= 16 and _LANGUAGE.fullmatch(language)
    ):
        errors["language"] = ["Give a BCP 47 tag of at most 16 characters, such as en or pt-BR."]
    posted_at = row.get("posted_at")
    if posted_at is not None:
        posted_at = _read_time(posted_at, "posted_at", errors)
    views = row.get("views_per_hour")
    if views is not None:
        views = _read_views(views, errors)
    so_far = row.get("views_so_far")
    if so_far is not None:
        so_far = _read_count(so_far, "views_so_far", errors)
    if errors:
        return errors
    assert shape is not None and isinstance(content, dict)  # noqa: S101  (for the type checker)
    content_json = canonical(content)
    return ItemRow(
        index,
        shape,
        external_id,
        (shape.pk, external_id),
        content,
        content_json,
        hashlib.sha256(content_json.encode()).hexdigest(),
        fingerprint(text_of(content, shape) or f"{shape.pk}:{external_id}"),
        account,
        language,
        posted_at,
        views,
        so_far,
        row.get("known_answer"),
        media_of(content, shape) if shape.media_types else [],
    )


def read_report(
    row: object, *, index: int, shapes: Mapping[str, Shape], sources: frozenset[str]
) -> ReportRow | Errors:
    if not isinstance(row, dict):
        return {"row": ["A report is an object."]}
    errors: Errors = {}
    if not row.keys() <= _REPORT_KEYS:
        _unknown(row, _REPORT_KEYS, errors)
    shape = _read_kind(row, shapes, errors)
    item = _read_id(row, "item", errors)
    source = row.get("source", "user")
    if not isinstance(source, str) or source not in sources:
        errors["source"] = [f"Give one of: {', '.join(sorted(sources))}."]
    reporter = _read_short(row, "reporter", errors)
    reason = _read_short(row, "reason", errors)
    if not reason and "reason" not in errors:
        errors["reason"] = ["Say why, in up to 200 characters."]
    text = row.get("text") or ""
    if not isinstance(text, str) or len(text) > MAX_STRING:
        errors["text"] = [f"Give text of at most {MAX_STRING:,} characters."]
    else:
        text = clean(text)
    external_id = ""
    if row.get("external_id") is not None:
        external_id = _read_id(row, "external_id", errors)
    if errors or shape is None:
        return errors
    # Without an id of the sender's own, the same words from the same person are the same report.
    derived = _digest32("\x1f".join((str(source), reporter, reason, text)))
    return ReportRow(
        index, shape.pk, item, external_id or derived, str(source), reporter, reason, text
    )


def clean(text: str) -> str:
    """`text` as PostgreSQL can store it, changed only where it has to be."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        # Through UTF-16, so that the two halves of a pair find each other.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def fold(text: str) -> str:
    """Case, compatibility forms and white space folded: what makes two texts the same text."""
    if text.isascii():
        text = text.lower()
        # Most texts hold plain spaces alone: looking for others is quicker than cutting apart.
        for space in _ODD_SPACES:
            if space in text:
                break
        else:
            return text.strip()
    else:
        text = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(text.split())


def fingerprint(text: str) -> str:
    return _digest32(fold(text))


def canonical(content: Mapping[str, Any]) -> str:
    """The recipe of models.content_hash: what is stored is what was hashed."""
    pairs = []
    for name in sorted(content):
        value = content[name]
        if type(value) is not str:
            return _encode(content)
        pairs.append(f"{encode_basestring(name)}:{encode_basestring(value)}")
    # The same bytes, a third of the time: most content is text.
    return "{" + ",".join(pairs) + "}"


def text_of(content: Mapping[str, Any], shape: Shape) -> str:
    """Title and text fields, one blank line apart; the same as ItemVersion.text()."""
    values = [content[name] for name in shape.text_names if content.get(name)]
    return "\n\n".join(map(str, values))


def media_of(content: Mapping[str, Any], shape: Shape) -> list[tuple[str, str]]:
    """(field, reference) for every medium that the content names."""
    return [
        (name, reference)
        for name, type_ in shape.media_types.items()
        if name in content
        for reference in layouts.references(type_, content[name])
    ]


def author_group(platform_id: int, author: str) -> str:
    """The split group of an author whose first text nobody had posted before."""
    return _digest32(f"{platform_id}:author:{author}")


def _digest32(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _unknown(row: Mapping[Any, Any], allowed: frozenset[str], errors: Errors) -> None:
    for name in row.keys() - allowed:
        errors[clean(str(name))[:100]] = [f"Unknown. Known: {', '.join(sorted(allowed))}."]


def _read_kind(row: Mapping[str, Any], shapes: Mapping[str, Shape], errors: Errors) -> Shape | None:
    slug = row.get("kind")
    shape = shapes.get(slug) if isinstance(slug, str) else None
    if shape is None:
        errors["kind"] = [f"Give one of this platform's kinds: {', '.join(sorted(shapes))}."]
    return shape


def _read_id(row: Mapping[str, Any], name: str, errors: Errors) -> str:
    value = row.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID:
        errors[name] = [f"Give text of 1 to {MAX_ID} characters."]
    elif not value.isprintable() and clean(value) != value:
        errors[name] = ["It holds a character that cannot be stored (NUL or half a pair)."]
    else:
        return value
    return ""


def _read_short(row: Mapping[str, Any], name: str, errors: Errors) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_ID:
        errors[name] = [f"Give text of at most {MAX_ID} characters."]
        return ""
    return clean(value)


def _read_account(value: object, errors: Errors) -> AccountRow | None:
    if not isinstance(value, dict):
        errors["account"] = ["Give an object with external_id, and name and joined_at if known."]
        return None
    own: Errors = {}
    if not value.keys() <= _ACCOUNT_KEYS:
        _unknown(value, _ACCOUNT_KEYS, own)
    external_id = _read_id(value, "external_id", own)
    name = _read_short(value, "name", own)
    joined_at = value.get("joined_at")
    if joined_at is not None:
        joined_at = _read_time(joined_at, "joined_at", own)
    for key, messages in own.items():
        errors[f"account.{key}"] = messages
    return AccountRow(external_id, name, joined_at)


def _read_views(value: object, errors: Errors) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_VIEWS:
        return float(value)
    errors["views_per_hour"] = ["Give a number from 0 up."]
    return None


def _read_count(value: object, name: str, errors: Errors) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_NUMBER:
        return value
    errors[name] = ["Give a whole number from 0 up."]
    return None


def _read_time(value: object, name: str, errors: Errors) -> datetime | None:
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        if time.tzinfo is None:
            time = time.replace(tzinfo=UTC)
        return time.astimezone(UTC)
    except (ValueError, OverflowError):
        errors[name] = ["Give a time as in 2026-11-23T10:00:00Z."]
        return None


def _read_content(content: dict[Any, Any], shape: Shape, errors: Errors) -> dict[str, Any]:
    readers = shape.readers
    read: dict[str, Any] = {}
    for name, value in content.items():
        reader = readers.get(name)
        if reader is None:
            known = ", ".join(readers)
            errors[f"content.{clean(str(name))[:100]}"] = [f"Unknown. {shape.slug} has: {known}."]
        elif value is not None:
            try:
                read[name] = reader(value)
            except ValueError as error:
                errors[f"content.{name}"] = [str(error)]
    for name in shape.required:
        if name not in read and f"content.{name}" not in errors:
            errors[f"content.{name}"] = ["Required."]
    return read


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("Give text.")
    if len(value) > MAX_STRING:
        raise ValueError(f"At most {MAX_STRING:,} characters; this has {len(value):,}.")
    return clean(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("Give text.")
    value = clean(value)
    # A character has at most four bytes: most texts need no counting.
    if len(value) * 4 > MAX_TEXT_BYTES and (size := len(value.encode())) > MAX_TEXT_BYTES:
        raise ValueError(f"At most {MAX_TEXT_BYTES:,} bytes; this has {size:,}.")
    return value


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("Give a number.")
    if not _is_number(value):
        raise ValueError("Give a finite number of at most 2^53.")
    return value


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= MAX_NUMBER  # NaN is not, and an integer of any length can be asked


def _datetime(value: object) -> str:
    errors: Errors = {}
    time = _read_time(value, "time", errors)
    if time is None:
        raise ValueError(errors["time"][0])
    return time.isoformat()


def _url(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_URL:
        raise ValueError(f"Give a URL of at most {MAX_URL:,} characters.")
    value = clean(value)
    try:
        if urlsplit(value).scheme.lower() not in ("http", "https"):
            raise ValueError
    except ValueError:
        raise ValueError("Give a URL that begins with http:// or https://.") from None
    return value


def _medium(value: object) -> str:
    if isinstance(value, str) and _REFERENCE.fullmatch(value):
        return value
    try:
        return _url(value)
    except ValueError as error:
        raise ValueError(f"{error} An uploaded medium is media:<id>.") from None


def _images(value: object) -> list[dict[str, str]]:
    """References, or objects of one and its alternative text; stored as objects."""
    if not isinstance(value, list):
        raise ValueError("Give a list of images.")
    if len(value) > MAX_IMAGES:
        raise ValueError(f"At most {MAX_IMAGES} images; these are {len(value):,}.")
    read = []
    for number, one in enumerate(value, start=1):
        given = one if isinstance(one, dict) else {"image": one}
        if not given.keys() <= _IMAGE_KEYS or "image" not in given:
            raise ValueError(f"Image {number}: give image, and alt if there is one.")
        alt = given.get("alt") or ""
        if not isinstance(alt, str) or len(alt) > MAX_ALT:
            raise ValueError(f"Image {number}: alt is text of at most {MAX_ALT:,} characters.")
        try:
            image = {"image": _medium(given["image"])}
        except ValueError as error:
            raise ValueError(f"Image {number}: {error}") from None
        read.append(image | {"alt": clean(alt)} if alt else image)
    return read


def _messages(value: object) -> list[dict[str, Any]]:
    """A conversation, oldest first; `is_this` marks the item's own place in it."""
    if not isinstance(value, list):
        raise ValueError("Give a list of messages.")
    if len(value) > MAX_MESSAGES:
        raise ValueError(f"At most {MAX_MESSAGES} messages; these are {len(value):,}.")
    read = []
    for number, one in enumerate(value, start=1):
        if not isinstance(one, dict) or not one.keys() <= _MESSAGE_KEYS:
            known = ", ".join(sorted(_MESSAGE_KEYS))
            raise ValueError(f"Message {number}: give an object of {known}.")
        try:
            read.append(_message(one))
        except ValueError as error:
            raise ValueError(f"Message {number}: {error}") from None
    return read


def _message(one: Mapping[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {}
    for name, most in (("id", MAX_ID), ("author", MAX_ID), ("text", MAX_STRING)):
        part = one.get(name)
        if part is None:
            continue
        if not isinstance(part, str) or len(part) > most:
            raise ValueError(f"{name} is text of at most {most:,} characters.")
        message[name] = clean(part)
    if one.get("at") is not None:
        message["at"] = _datetime(one["at"])
    if one.get("is_this") is not None:
        message["is_this"] = _boolean(one["is_this"])
    return message


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("Give true or false.")
    return value


def _key_value(value: object) -> dict[str, str | int | float | bool | None]:
    """A flat object. Names and texts are cut by nobody: what is too long is refused by name."""
    if not isinstance(value, dict):
        raise ValueError("Give an object of names and values.")
    if len(value) > MAX_PAIRS:
        raise ValueError(f"At most {MAX_PAIRS} names; this has {len(value):,}.")
    read: dict[str, str | int | float | bool | None] = {}
    for name, one in value.items():
        if not isinstance(name, str) or not 0 < len(name) <= MAX_PAIR_NAME:
            raise ValueError(f"A name has 1 to {MAX_PAIR_NAME} characters.")
        name = clean(name)
        if isinstance(one, str):
            if len(one) > MAX_PAIR_TEXT:
                raise ValueError(f"{name[:40]}: at most {MAX_PAIR_TEXT:,} characters.")
            read[name] = clean(one)
        elif one is None or isinstance(one, bool) or _is_number(one):
            read[name] = one
        else:
            raise ValueError(f"{name[:40]}: give text, a number, true, false or null.")
    return read


_READERS: dict[str, Callable[[object], Any]] = {
    "string": _string,
    "text": _text,
    "number": _number,
    "datetime": _datetime,
    "url": _url,
    "boolean": _boolean,
    "image": _medium,
    "images": _images,
    "video": _medium,
    "audio": _medium,
    "messages": _messages,
    "key-value": _key_value,
}
