"""Item kinds, as leads and policy owners set them up: fields, and the layout of the desk, with a
preview on a real item while they are at it. The editor is one form; its buttons (`do`) add, take
out and move rows on the server, so that it works without JavaScript.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from reviews import access, comfort, kind_parts, kinds, layouts, media, revisions
from reviews.errors import Conflict, Invalid
from reviews.models import Item, ItemKind, Platform, Queue

from .items import put_lines

# More rows than this are not read from a form; kinds.py refuses fewer, in words.
_MOST_ROWS = 100
_LABELS = {
    "name": lazy("Name"),
    "fields": lazy("Fields"),
    "layout": lazy("Layout"),
    "is_archived": lazy("Archived"),
}
_NEWEST = 8  # items offered for the preview


@dataclass(eq=False)
class FieldRow:
    name: str = ""
    label: str = ""
    type: str = "string"
    role: str = ""
    required: bool = False
    errors: dict[str, list[str]] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "role": self.role,
            "required": self.required,
        }

    @property
    def roles(self) -> list[tuple[str, str]]:
        """Roles its type can play, and the one it has."""
        return [
            (name, _(role.label))
            for name, role in kind_parts.ROLES.items()
            if self.type in role.types or name == self.role
        ]


def _block(name: str) -> kind_parts.Block:
    """In her language."""
    block = kind_parts.BLOCKS[name]
    return block._replace(label=_(block.label), about=_(block.about))


@dataclass(eq=False)
class BlockRow:
    block: str
    label: str = ""
    is_collapsed: bool = False
    fields: list[FieldRow] = field(default_factory=list)
    errors: dict[str, list[str]] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        return {
            "block": self.block,
            "fields": [row.name for row in self.fields],
            "label": self.label,
            "is_collapsed": self.is_collapsed,
        }

    @property
    def about(self) -> str:
        return self.known.about

    @property
    def known(self) -> kind_parts.Block:
        return _block(self.block)


class Draft:
    """The editor's form as it stands, saved or not."""

    def __init__(self, *, name: str, slug: str, fields: list[FieldRow], blocks: list[BlockRow]):
        self.name = name
        self.slug = slug
        self.fields = fields
        self.blocks = blocks
        self.is_own = False  # a layout of its own; else the usual one, which follows the roles
        self.note = ""
        self.seen: int | None = None
        self.sample = ""  # external id of the item to preview on
        self.errors: dict[str, list[str]] = {}
        self.focus = ""  # id of the control that has the focus after a move

    @classmethod
    def of(cls, kind: ItemKind) -> "Draft":
        rows = [
            FieldRow(
                str(one.get("name", "")),
                str(one.get("label", "")),
                str(one.get("type", "")),
                str(one.get("role", "")),
                bool(one.get("required")),
            )
            for one in kind.fields
            if isinstance(one, dict)
        ]
        draft = cls(name=kind.name, slug=kind.slug, fields=rows, blocks=[])
        draft.is_own = bool(kind.layout)
        draft.blocks = _blocks(kind.layout, rows)
        last = revisions.history(kind).first()
        draft.seen = last.number if last else 0
        return draft

    @classmethod
    def first(cls) -> "Draft":
        rows = [
            FieldRow("title", "Title", "string", "title"),
            FieldRow("body", "Text", "text", "text", required=True),
        ]
        return cls(name="", slug="", fields=rows, blocks=[])

    @classmethod
    def sent(cls, post: QueryDict) -> "Draft":
        rows = []
        for n in range(_MOST_ROWS):
            if f"f-{n}-name" not in post:
                break
            row = FieldRow(
                post[f"f-{n}-name"].strip(),
                post.get(f"f-{n}-label", "").strip(),
                post.get(f"f-{n}-type", ""),
                post.get(f"f-{n}-role", ""),
                f"f-{n}-required" in post,
            )
            rows.append(row)
        draft = cls(name=post.get("name", ""), slug=post.get("slug", ""), fields=rows, blocks=[])
        draft.is_own = post.get("is_own") == "1"
        draft.note = post.get("note", "")
        seen = post.get("seen", "")
        draft.seen = int(seen) if seen.isdecimal() and len(seen) < 10 else None
        draft.sample = post.get("sample", "").replace("\x00", "").strip()[:200]
        for n in range(_MOST_ROWS):
            block = post.get(f"b-{n}-block")
            if block is None:
                break
            if block not in kind_parts.BLOCKS:
                continue
            chosen = set(post.getlist(f"b-{n}-fields"))
            draft.blocks.append(
                BlockRow(
                    block,
                    post.get(f"b-{n}-label", "").strip(),
                    f"b-{n}-collapsed" in post,
                    # By place, not by name: a field may have been renamed in the same form.
                    [row for place, row in enumerate(rows) if str(place) in chosen],
                )
            )
        return draft

    def field_data(self) -> list[dict[str, Any]]:
        return [row.as_data() for row in self.fields]

    def layout_data(self) -> list[dict[str, Any]]:
        return [row.as_data() for row in self.blocks] if self.is_own else []

    @property
    def usual(self) -> list[BlockRow]:
        return _blocks(layouts.usual(self.field_data()), self.fields)

    @property
    def unplaced(self) -> list[FieldRow]:
        """What no block shows, where the layout is its own: it goes under Other data."""
        if not self.is_own:
            return []
        placed = {row for block in self.blocks for row in block.fields}
        return [row for row in self.fields if row not in placed and row.name]

    def do(self, what: str) -> None:
        """One press of a row's button."""
        verb, _rest, rest = what.partition(":")
        if verb == "add-field":
            self.fields.append(FieldRow())
            self.focus = f"f-{len(self.fields) - 1}-name"
        elif verb == "add-block":
            if rest in kind_parts.BLOCKS:
                self.blocks.append(BlockRow(rest))
                self.focus = f"b-{len(self.blocks) - 1}-label"
        elif verb == "own":
            self.blocks = self.blocks or self.usual
            self.is_own = True
        elif verb == "usual":
            self.blocks, self.is_own = [], False
        elif verb in ("up", "down", "drop"):
            self._row(verb, rest)

    def _row(self, verb: str, rest: str) -> None:
        which, _rest, place = rest.partition("-")
        rows: list[Any] = {"f": self.fields, "b": self.blocks}.get(which, [])
        if not place.isdecimal() or int(place) >= len(rows):
            return
        at = int(place)
        if verb == "drop":
            gone = rows.pop(at)
            for block in self.blocks:
                block.fields = [row for row in block.fields if row is not gone]
            self.focus = f"{which}-{max(at - 1, 0)}-drop"
            return
        to = at - 1 if verb == "up" else at + 1
        if 0 <= to < len(rows):
            rows[at], rows[to] = rows[to], rows[at]
            if which == "f":  # blocks show fields in the kind's order
                for block in self.blocks:
                    block.fields.sort(key=self.fields.index)
            can_go_on = to > 0 if verb == "up" else to < len(rows) - 1
            other = "down" if verb == "up" else "up"
            self.focus = f"{which}-{to}-{verb if can_go_on else other}"

    def put_errors(self, details: dict[str, list[str]]) -> None:
        for name, words in details.items():
            part, _rest, rest = name.partition(".")
            place, _rest, of = rest.partition(".")
            rows: list[Any] = {"fields": self.fields, "layout": self.blocks}.get(part, [])
            if of and place.isdecimal() and int(place) < len(rows):
                rows[int(place)].errors[of] = words
            else:
                self.errors[name] = words


@require_GET
def kind_list(request: HttpRequest) -> HttpResponse:
    rows = access.visible(request.user, "setup.view", ItemKind.objects.all(), "platform")
    rows = list(rows.select_related("platform").order_by("name", "pk"))
    newest = {kind.pk: kinds.example_item(kind) for kind in rows}
    return render(
        request,
        "reviews/setup_kind_list.html",
        {
            "live": [(kind, newest[kind.pk]) for kind in rows if not kind.is_archived],
            "archived": [kind for kind in rows if kind.is_archived],
            "may_edit": access.may(request.user, "kind.edit"),
            "has_platforms": len(access.platform_ids(request.user)) > 1,
        },
    )


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    access.check(request.user, "kind.edit")
    platform = _platform(request)
    kind = ItemKind(platform=platform, fields=[], layout=[])
    if request.method == "GET":
        return _page(request, kind, Draft.first())
    draft, what = Draft.sent(request.POST), request.POST.get("do", "save")
    if what != "save":
        return _worked_on(request, kind, draft, what)
    try:
        made = kinds.create_kind(
            platform,
            by=request.user,
            slug=draft.slug,
            name=draft.name,
            fields=draft.field_data(),
            layout=draft.layout_data(),
        )
    except Invalid as error:
        draft.put_errors(error.details)
        return _page(request, kind, draft, status=422, refusal_words=str(error))
    messages.success(
        request,
        _("%(name)s is there. Programs may send items of the kind %(slug)s now.")
        % {"name": made.name, "slug": made.slug},
    )
    return _to(request, reverse("reviews:setup-kind-edit", args=[made.slug]))


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    kind = access.get_kind_to_set_up(request.user, slug)
    if request.method == "GET":
        draft = Draft.of(kind)
        draft.sample = request.GET.get("sample", "").replace("\x00", "")[:200]
        return _page(request, kind, draft)
    access.check(request.user, "kind.edit", kind.platform_id)
    draft, what = Draft.sent(request.POST), request.POST.get("do", "save")
    draft.slug = kind.slug
    if what != "save":
        return _worked_on(request, kind, draft, what)
    values, errors = kinds.check(draft.name, draft.field_data(), draft.layout_data())
    impact = [] if errors else kinds.impact(kind, values["fields"])
    if impact and request.POST.get("confirmed") != _digest(impact):
        return _page(request, kind, draft, status=422, asks=True)
    try:
        kinds.save_kind(kind, by=request.user, note=draft.note, seen=draft.seen, **values)
    except Invalid as error:
        draft.put_errors(error.details)
        return _page(request, kind, draft, status=422, refusal_words=str(error))
    except Conflict as conflict:
        # Hers is kept as typed; saving it again is saving it over theirs, knowingly.
        newest = revisions.history(kind).first()
        draft.seen = newest.number if newest else 0
        words = _(
            "%(conflict)s What you typed is below; look at the history, then save it or not."
        ) % {"conflict": conflict}
        return _page(request, kind, draft, status=409, refusal_words=words)
    messages.success(
        request,
        _("%(value)s is saved. The desk shows it with the next item.") % {"value": values["name"]},
    )
    return _to(request, reverse("reviews:setup-kind-edit", args=[kind.slug]))


@require_POST
def restore(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    kind = access.get_kind_to_set_up(request.user, slug, "kind.edit")
    seen = request.POST.get("seen", "")
    seen_number = int(seen) if seen.isdecimal() and len(seen) < 10 else None
    kinds.put_back(kind, number, by=request.user, seen=seen_number)
    messages.success(
        request,
        _("Revision %(number)s is put back. The desk shows it at once.") % {"number": number},
    )
    return redirect("reviews:setup-kind-edit", slug=kind.slug)


@require_POST
def archive(request: HttpRequest, slug: str) -> HttpResponse:
    kind = access.get_kind_to_set_up(request.user, slug, "kind.edit")
    kinds.archive_kind(kind, by=request.user)
    messages.success(
        request,
        _("%(name)s is archived: it takes no items. Those that are here are reviewed.")
        % {"name": kind.name},
    )
    return redirect("reviews:setup-kind-list")


@require_POST
def unarchive(request: HttpRequest, slug: str) -> HttpResponse:
    kind = access.get_kind_to_set_up(request.user, slug, "kind.edit")
    kinds.archive_kind(kind, by=request.user, is_archived=False)
    messages.success(request, _("%(name)s takes items again.") % {"name": kind.name})
    return redirect("reviews:setup-kind-edit", slug=kind.slug)


def _worked_on(request: HttpRequest, kind: ItemKind, draft: Draft, what: str) -> HttpResponse:
    """Nothing is saved: the form with a row more, fewer or elsewhere, or the preview alone."""
    if what == "preview":
        if request.htmx:
            return render(request, "reviews/_kind_preview.html", _preview(request, kind, draft))
        return _page(request, kind, draft)
    draft.do(what)
    return _page(request, kind, draft)


def _page(
    request: HttpRequest, kind: ItemKind, draft: Draft, *, status: int = 200, **more: object
) -> HttpResponse:
    is_new = kind.pk is None
    may = access.may(request.user, "kind.edit")
    may_edit = may and not kind.is_archived
    context = {
        "kind": kind,
        "draft": draft,
        "is_new": is_new,
        "may_edit": may_edit,
        "may_archive": may and not is_new,
        "types": [(name, _(label)) for name, label in kind_parts.TYPES.items()],
        "block_kinds": [(name, _block(name)) for name in kind_parts.BLOCKS],
        "choices": _choices(draft),
        "status": status,
        **_preview(request, kind, draft),
        **more,
    }
    if request.htmx and request.method == "POST":
        return render(request, "reviews/_kind_editor.html", context, status=status)
    if not is_new:
        context |= {
            "steps": kinds.steps(kind),
            "labels": _LABELS,
            "restore_name": "reviews:setup-kind-restore",
            "restore_key": kind.slug,
            "may_restore": may_edit,
            "queues": Queue.objects.filter(kinds=kind, is_archived=False),
        }
    elif may:
        context["platforms"] = _platforms(request)
    return render(request, "reviews/setup_kind_edit.html", context, status=status)


def _preview(request: HttpRequest, kind: ItemKind, draft: Draft) -> dict[str, Any]:
    """The draft laid over a real item of the kind, by the desk's own blocks."""
    data = draft.field_data()
    layout = layouts.Layout(data, draft.layout_data())
    item = None if kind.pk is None else kinds.example_item(kind, draft.sample)
    is_missing = item is None and bool(draft.sample) and kind.pk is not None
    if is_missing:
        item = kinds.example_item(kind)
    content = item.current_version.content if item is not None else kinds.example(data)
    shown: dict[str, layouts.Medium] = {}
    if item is not None:
        version_id = item.current_version.pk
        shown = media.shown_in([version_id]).get(version_id, {})
    queues = Queue.objects.filter(jobs__item=item) if item is not None else ()
    filters = comfort.arrives(request.user, {name for one in queues for name in one.filters})
    offered: list[Item] = []
    if kind.pk is not None:
        offered = list(kind.items.order_by("-id").select_related("kind")[:_NEWEST])
        put_lines(offered)
    changed = kind.pk is not None and data != Draft.of(kind).field_data()
    values, errors = kinds.check(draft.name, data, draft.layout_data())
    impact = kinds.impact(kind, values["fields"]) if changed and not errors else []
    return {
        "item": item,
        "blocks": layout.show(content, media=shown),
        "filters": " ".join(filters),
        "sample": draft.sample,
        "is_missing": is_missing,
        "offered": offered,
        "impact": impact,
        "impact_digest": _digest(impact) if impact else "",
        "unplaced": draft.unplaced,
    }


class Choice(NamedTuple):
    """A field that a block can show."""

    place: int  # in the form
    row: FieldRow
    is_chosen: bool
    is_elsewhere: bool  # in another block


def _choices(draft: Draft) -> list[tuple[BlockRow, list[Choice]]]:
    """Each block with the fields it can show."""
    placed = {row: block for block in draft.blocks for row in block.fields}
    found = []
    for block in draft.blocks:
        fitting = [
            Choice(place, row, row in block.fields, placed.get(row, block) is not block)
            for place, row in enumerate(draft.fields)
            if row.type in block.known.types or row in block.fields
        ]
        found.append((block, fitting))
    return found


def _blocks(layout: object, rows: list[FieldRow]) -> list[BlockRow]:
    by_name = {row.name: row for row in rows}
    return [
        BlockRow(
            one["block"],
            one.get("label", ""),
            bool(one.get("is_collapsed")),
            [by_name[name] for name in one.get("fields", []) if name in by_name],
        )
        for one in (layout if isinstance(layout, list) else [])
        if isinstance(one, dict) and one.get("block") in kind_parts.BLOCKS
    ]


def _digest(impact: list[kinds.Impact]) -> str:
    """What was confirmed: other consequences have to be confirmed again."""
    return hashlib.sha256(repr(impact).encode()).hexdigest()[:16]


def _platforms(request: HttpRequest) -> list[Platform]:
    rows = Platform.objects.filter(pk__in=access.platform_ids(request.user))
    return list(rows.order_by("name"))


def _platform(request: HttpRequest) -> Platform:
    """The one she chose, or her only one; the first where she has not chosen."""
    slug = request.POST.get("platform") or request.GET.get("platform")
    rows = access.visible(request.user, "kind.edit", Platform.objects.order_by("name"), "pk")
    found = rows.filter(slug=slug).first() if slug else rows.first()
    if found is None:
        raise Invalid(_("Choose one of your platforms."), details={"platform": [_("Choose one.")]})
    return found


def _to(request: HttpRequest, url: str) -> HttpResponse:
    if not request.htmx:
        return redirect(url)
    return HttpResponse(headers={"HX-Redirect": url})
