"""Item kinds: made, changed, archived and put back; what a change means for items already here.

Stored items are never touched: an item that no longer fits its kind is shown (layouts.py) and
decided all the same.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from . import access, kind_parts, revisions
from .errors import Conflict, Invalid
from .models import Item, ItemKind, Person, Platform, Revision
from .wording import figure, midsentence

MAX_FIELDS = 50
MAX_BLOCKS = 50
MAX_LABEL = 80
MAX_NAME = 40
# A change is weighed against so many stored items at most.
MOST_COUNTED = 10_000

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TAKEN_SLUGS = frozenset({"new"})  # the page that makes one
_TEXTS = frozenset({"string", "text"})
_READ_BY_MODELS = ("title", "text")

Errors = dict[str, list[str]]


class Impact(NamedTuple):
    """What a change means for one field, in a sentence."""

    name: str
    words: str


def create_kind(
    platform: Platform,
    *,
    by: Person | None,
    slug: str,
    name: str,
    fields: object,
    layout: object = (),
) -> ItemKind:
    """A new kind. Its slug is what programs send, and stays."""
    access.check(by, "kind.edit", platform)
    errors: Errors = {}
    slug = str(slug).strip()
    if len(slug) > MAX_NAME or not _SLUG.fullmatch(slug):
        errors["slug"] = [_("Give small letters, digits and hyphens, such as forum-post.")]
    elif slug in _TAKEN_SLUGS:
        errors["slug"] = [
            _("%(slug)s cannot be used: a page of ours has this name.") % {"slug": slug}
        ]
    elif platform.kinds.filter(slug=slug).exists():
        errors["slug"] = [_("There is a kind of this name already.")]
    values = _checked(name, fields, layout, errors)
    with transaction.atomic():
        try:
            with transaction.atomic():
                kind = ItemKind.objects.create(platform=platform, slug=slug, **values)
        except IntegrityError as error:
            taken = _("There is a kind of this name already.")
            raise Invalid(taken, details={"slug": [taken]}) from error
        revisions.record(kind, as_data(kind), by=by, platform=platform)
    return kind


def save_kind(
    kind: ItemKind,
    *,
    by: Person | None,
    name: str,
    fields: object,
    layout: object,
    note: str = "",
    seen: int | None = None,
) -> ItemKind:
    """Everything of a kind but its slug. `seen` is the revision the person had before her."""
    return _save(
        kind, by=by, name=name, fields=fields, layout=layout, note=note, seen=seen, restores=None
    )


def put_back(
    kind: ItemKind, number: int, *, by: Person | None, seen: int | None = None
) -> ItemKind:
    """A former revision as the new state, through the same checks."""
    access.check(by, "kind.edit", kind.platform_id)
    old = revisions.get(kind, number)
    return _save(
        kind,
        by=by,
        name=old.data.get("name", ""),
        fields=old.data.get("fields"),
        layout=old.data.get("layout"),
        seen=seen,
        restores=old,
    )


def archive_kind(kind: ItemKind, *, by: Person | None, is_archived: bool = True) -> ItemKind:
    """It takes no items any more; those that are here are reviewed as before. Or the way back."""
    access.check(by, "kind.edit", kind.platform_id)
    with transaction.atomic():
        kind = _lock(kind)
        revisions.keep_first(kind, as_data(kind), platform=kind.platform_id)
        kind.is_archived = is_archived
        kind.save(update_fields=["is_archived"])
        revisions.record(kind, as_data(kind), by=by, platform=kind.platform_id)
    return kind


def as_data(kind: ItemKind) -> dict[str, Any]:
    """What a revision keeps of it."""
    return {
        "name": kind.name,
        "fields": kind.fields,
        "layout": kind.layout,
        "is_archived": kind.is_archived,
    }


def as_words(data: Mapping[str, Any]) -> dict[str, str]:
    """The same for people: one line a field, one line a block."""
    layout = data.get("layout") or []
    return {
        "name": str(data.get("name", "")),
        # Even a single line is a list: told as lines that came and went.
        "fields": "\n".join([*map(_field_words, data.get("fields") or []), ""]),
        "layout": "\n".join([*map(_block_words, layout), ""]) if layout else _("the usual one"),
        "is_archived": _("yes") if data.get("is_archived") else _("no"),
    }


def steps(kind: ItemKind) -> list[revisions.Step]:
    """Its history as revisions.steps has it, told in words."""
    rows = [step.revision for step in revisions.steps(kind)]
    found = [
        revisions.Step(newer, revisions.compare(as_words(older.data), as_words(newer.data)))
        for newer, older in zip(rows, rows[1:], strict=False)
    ]
    return [*found, *(revisions.Step(row, []) for row in rows[-1:])]


def impact(kind: ItemKind, fields: Sequence[Mapping[str, Any]]) -> list[Impact]:
    """What these fields would mean for items that are stored already; [] if nothing of note."""
    before = {field["name"]: field for field in kind.fields}
    after = {field["name"]: field for field in fields}
    stored, having = _count(kind, [*dict.fromkeys([*before, *after])])
    if not stored:
        return []
    found = []
    of_all = ngettext("of %(count)s stored item", "of %(count)s stored items", stored)
    of_all %= {"count": _some(stored)}
    for name, old in before.items():
        new = after.get(name)
        if new is None:
            words = _(
                "is taken out or renamed. %(count)s %(of_all)s have it: they keep it, and "
                "the desk shows it under “Other data”. Whoever still sends it is refused."
            ) % {"count": figure(having[name]), "of_all": of_all}
        elif new["type"] != old.get("type"):
            words = _(
                "becomes: %(type)s. %(count)s %(of_all)s have "
                "it: a value that does not fit is shown as it came, with a warning. Whoever still "
                "sends it the old way is refused."
            ) % {
                "type": midsentence(kind_parts.TYPES[new["type"]]),
                "count": figure(having[name]),
                "of_all": of_all,
            }
        elif new["required"] and not old.get("required") and stored > having[name]:
            words = _lacking(stored - having[name], of_all)
        else:
            continue
        found.append(Impact(name, words))
    for name, new in after.items():
        if name not in before and new["required"]:
            found.append(Impact(name, _lacking(stored - having[name], of_all)))
    if _read(before.values()) != _read(after.values()):
        words = _(
            "What models read changes: they read title and text. New items are scored by it; "
            "stored ones keep their scores until they are scored again."
        )
        found.append(Impact("", words))
    return found


def example(fields: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Made-up content of such a kind, for a preview where no item has come in yet."""
    return {
        field["name"]: _EXAMPLES[field["type"]](field.get("label") or field["name"])
        for field in fields
        if field.get("type") in _EXAMPLES
    }


def example_item(kind: ItemKind, external_id: str = "") -> Item | None:
    """The item of this external id, or the newest; None when there is none."""
    items = Item.objects.filter(platform=kind.platform_id, kind=kind).select_related("kind")
    if external_id:
        items = items.filter(external_id=external_id)
    return items.order_by("-id").first()


def check(name: object, fields: object, layout: object) -> tuple[dict[str, Any], Errors]:
    """The values as they would be stored, and what is wrong with them: {"fields.0.name": […]}."""
    errors: Errors = {}
    clean_name = _line(name)
    if not 0 < len(clean_name) <= MAX_LABEL:
        errors["name"] = [
            _("Give a name of 1 to %(max_label)s characters.") % {"max_label": MAX_LABEL}
        ]
    clean_fields = _fields(fields, errors)
    clean_layout = _layout(layout, clean_fields, errors)
    return {"name": clean_name, "fields": clean_fields, "layout": clean_layout}, errors


def _save(
    kind: ItemKind,
    *,
    by: Person | None,
    name: object,
    fields: object,
    layout: object,
    note: str = "",
    seen: int | None,
    restores: Revision | None,
) -> ItemKind:
    access.check(by, "kind.edit", kind.platform_id)
    errors: Errors = {}
    note = _line(note)
    if len(note) > 300:
        errors["note"] = [_("At most 300 characters.")]
    values = _checked(name, fields, layout, errors)
    with transaction.atomic():
        kind = _lock(kind)
        revisions.check_seen(kind, seen)
        revisions.keep_first(kind, as_data(kind), platform=kind.platform_id)
        for key, value in values.items():
            setattr(kind, key, value)
        kind.save(update_fields=list(values))
        revisions.record(
            kind, as_data(kind), by=by, platform=kind.platform_id, note=note, restores=restores
        )
    return kind


def _lock(kind: ItemKind) -> ItemKind:
    found = ItemKind.objects.select_for_update(no_key=True).filter(pk=kind.pk).first()
    if found is None:
        raise Conflict(_("This kind is gone."))
    return found


def _checked(name: object, fields: object, layout: object, errors: Errors) -> dict[str, Any]:
    values, found = check(name, fields, layout)
    errors |= found
    if errors:
        raise Invalid(_("Nothing was saved: see what is marked below."), details=errors)
    return values


def _fields(fields: object, errors: Errors) -> list[dict[str, Any]]:
    rows = fields if isinstance(fields, list) else []
    if len(rows) > MAX_FIELDS:
        errors["fields"] = [_("At most %(max_fields)s fields.") % {"max_fields": MAX_FIELDS}]
        return []
    clean: list[dict[str, Any]] = []
    names: dict[str, int] = {}
    singles: dict[str, int] = {}
    for number, row in enumerate(rows):
        row = row if isinstance(row, dict) else {}
        at = f"fields.{number}"
        field = {
            "name": _line(row.get("name")),
            "label": _line(row.get("label")),
            "type": str(row.get("type", "")),
            "role": str(row.get("role") or ""),
            "required": row.get("required") is True,
        }
        field["label"] = field["label"] or field["name"].replace("_", " ").capitalize()
        _check_name(field["name"], names, at, errors)
        names.setdefault(field["name"].lower(), number)
        if len(field["label"]) > MAX_LABEL:
            errors[f"{at}.label"] = [_("At most %(most)s characters.") % {"most": MAX_LABEL}]
        _check_role(field, singles, at, errors)
        clean.append(field)
    if not errors and not any(field["role"] in kind_parts.SEEN_ROLES for field in clean):
        errors["fields"] = [
            _("Give one field the role title, text, image, images, video or audio: what is judged.")
        ]
    return clean


def _check_name(name: str, names: Mapping[str, int], at: str, errors: Errors) -> None:
    if len(name) > MAX_NAME or not _NAME.fullmatch(name):
        errors[f"{at}.name"] = [_("Give letters, digits and _, a letter first: posted_in.")]
    elif name.lower() in names:
        errors[f"{at}.name"] = [
            _("Field %(name)s has this name.") % {"name": names[name.lower()] + 1}
        ]


def _check_role(field: dict[str, Any], singles: dict[str, int], at: str, errors: Errors) -> None:
    if field["type"] not in kind_parts.TYPES:
        errors[f"{at}.type"] = [_("Choose a type.")]
        return
    role = kind_parts.ROLES.get(field["role"])
    if role is None:
        errors[f"{at}.role"] = [_("Choose a role, or none.")]
    elif field["type"] not in role.types:
        fitting = _(" or ").join(sorted(midsentence(kind_parts.TYPES[one]) for one in role.types))
        words = _("%(role)s takes %(types)s.")
        errors[f"{at}.role"] = [words % {"role": role.label, "types": fitting}]
    elif role.is_single:
        if field["role"] in singles:
            words = _("Field %(number)s is the %(role)s already.")
            told = {"number": singles[field["role"]] + 1, "role": midsentence(role.label)}
            errors[f"{at}.role"] = [words % told]
        singles.setdefault(field["role"], int(at.rpartition(".")[2]))


def _layout(layout: object, fields: list[dict[str, Any]], errors: Errors) -> list[dict[str, Any]]:
    rows = list(layout) if isinstance(layout, list | tuple) else []
    if len(rows) > MAX_BLOCKS:
        errors["layout"] = [_("At most %(most)s blocks.") % {"most": MAX_BLOCKS}]
        return []
    types = {field["name"]: field["type"] for field in fields}
    clean: list[dict[str, Any]] = []
    placed: dict[str, int] = {}
    for number, row in enumerate(rows):
        row = row if isinstance(row, dict) else {}
        at = f"layout.{number}"
        block = kind_parts.BLOCKS.get(str(row.get("block")))
        if block is None:
            errors[f"{at}.block"] = [_("Choose a block.")]
            continue
        names = [str(name) for name in row.get("fields") or []]
        one = {"block": str(row["block"]), "fields": names}
        if label := _line(row.get("label")):
            one["label"] = label
        if row.get("is_collapsed") is True:
            one["is_collapsed"] = True
        wrong = _wrong_in_block(one, block, types, placed, number)
        if wrong:
            errors[f"{at}.fields"] = wrong
        if len(label) > MAX_LABEL:
            errors[f"{at}.label"] = [_("At most %(most)s characters.") % {"most": MAX_LABEL}]
        placed |= dict.fromkeys(names, number)
        clean.append(one)
    rests = [one for one in clean if one["block"] == "data" and not one["fields"]]
    if len(rests) > 1:
        errors["layout"] = [_("Only one block can show all the rest.")]
    return clean


def _wrong_in_block(
    one: Mapping[str, Any],
    block: kind_parts.Block,
    types: Mapping[str, str],
    placed: Mapping[str, int],
    number: int,
) -> list[str]:
    wrong = []
    if not one["fields"] and one["block"] != "data":
        wrong.append(_("Choose what it shows, or take the block out."))
    for name in one["fields"]:
        if name not in types:
            wrong.append(_("There is no field %(name)s.") % {"name": name})
        elif types[name] in kind_parts.TYPES and types[name] not in block.types:
            label = midsentence(kind_parts.TYPES[types[name]])
            words = _("%(name)s cannot be shown so: it is %(type)s.")
            wrong.append(words % {"name": name, "type": label})
        elif name in placed:
            words = _("%(name)s is in block %(number)s already.")
            wrong.append(words % {"name": name, "number": placed[name] + 1})
    is_alone = one["fields"] and all(types.get(name) in _TEXTS for name in one["fields"])
    if is_alone and not wrong and one["block"] in kind_parts.CAPTIONED:
        wrong.append(_("It needs a medium to show; a text field is its caption."))
    if one["block"] == "card" and not wrong and "url" not in map(types.get, one["fields"]):
        wrong.append(_("It needs an address (URL); the others say what is there."))
    return wrong


def _count(kind: ItemKind, names: list[str]) -> tuple[int, dict[str, int]]:
    """How many items the kind has, and how many of those carry each field, up to MOST_COUNTED."""
    columns = "".join(", count(*) FILTER (WHERE version.content ? %s)" for _rest in names)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT count(*){columns} FROM (
              SELECT id, version_number FROM reviews_item
              WHERE platform_id = %s AND kind_id = %s LIMIT {MOST_COUNTED}
            ) AS item
            JOIN reviews_itemversion AS version
              ON version.item_id = item.id AND version.number = item.version_number
            """,  # noqa: S608  (a number of ours, and as many places as names)
            [*names, kind.platform_id, kind.pk],
        )
        stored, *having = cursor.fetchone()
    return stored, dict(zip(names, having, strict=True))


def _some(count: int) -> str:
    if count >= MOST_COUNTED:
        return _("%(count)s (counted no further)") % {"count": figure(count)}
    return figure(count)


def _lacking(count: int, of_all: str) -> str:
    return _(
        "is required now. %(count)s %(of_all)s lack it: they stay as they are and can be decided. "
        "A new version of one has to bring it."
    ) % {"count": figure(count), "of_all": of_all}


def _read(fields: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Names and roles that make the text a model reads, in its order."""
    rows = list(fields)
    return [
        (role, field["name"])
        for role in _READ_BY_MODELS
        for field in rows
        if field.get("role") == role
    ]


def _field_words(field: object) -> str:
    if not isinstance(field, dict):
        return str(field)
    type_ = kind_parts.TYPES.get(field.get("type"), field.get("type"))
    role = field.get("role")
    known = kind_parts.ROLES.get(role)
    parts = [f"{field.get('name')}: “{field.get('label')}”, {midsentence(type_)}"]
    if role:
        told = {"role": midsentence(known.label) if known else role}
        parts.append(_("role %(role)s") % told)
    if field.get("required"):
        parts.append(_("required"))
    return ", ".join(parts)


def _block_words(block: object) -> str:
    if not isinstance(block, dict):
        return str(block)
    known = kind_parts.BLOCKS.get(block.get("block"))
    shown = ", ".join(map(str, block.get("fields") or [])) or _("all the rest")
    label = f" “{block['label']}”" if block.get("label") else ""
    folded = _(", folded") if block.get("is_collapsed") else ""
    return f"{known.label if known else block.get('block')}{label}: {shown}{folded}"


def _line(value: object) -> str:
    """One line of text as PostgreSQL can hold it; anything but text is no text."""
    return " ".join(value.replace("\x00", "").split()) if isinstance(value, str) else ""


_EXAMPLES = {
    "string": lambda label: _("%(label)s of a made-up item") % {"label": label},
    "text": lambda label: (
        _(
            "%(label)s: made-up text, to show where it stands and how it reads.\n\n"
            "A second paragraph, with an address such as https://shop.example/offer in it."
        )
        % {"label": label}
    ),
    "number": lambda label: 1234,
    "datetime": lambda label: "2026-11-23T10:00:00+00:00",
    "url": lambda label: "https://platform.example/items/1",
    "boolean": lambda label: True,
    "image": lambda label: "https://media.example/picture.jpg",
    "images": lambda label: [
        {"image": "https://media.example/one.jpg", "alt": _("The first of two")},
        {"image": "https://media.example/two.jpg"},
    ],
    "video": lambda label: "https://media.example/film.mp4",
    "audio": lambda label: "https://media.example/sound.ogg",
    "messages": lambda label: [
        {"author": "ada", "text": _("What was said before."), "at": "2026-11-23T09:00:00+00:00"},
        {"author": "ben", "text": _("The item itself."), "is_this": True},
    ],
    "key-value": lambda label: {"colour": "blue", "count": 3},
}
