"""Lists of known items, as policy owners keep them."""

import io

from django.contrib import messages
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from reviews import access, known
from reviews.errors import Invalid
from reviews.models import Item, KnownHash, KnownList, KnownMatch, Policy

MOST_FILE = 16_000_000
HASHES_SHOWN = 100
MATCHES_SHOWN = 20


@require_GET
def known_list(request: HttpRequest) -> HttpResponse:
    return _list_page(request)


@require_POST
def new(request: HttpRequest) -> HttpResponse:
    given = {name: request.POST.get(name, "") for name in ("policy", "name", "distance")}
    rows = Policy.objects.select_related("platform")
    pk = given["policy"]
    access.check(request.user, "known.edit")
    if not (pk.isascii() and pk.isdigit() and len(pk) < 19):
        return _list_page(request, refused=_("Choose a policy."), given=given, status=422)
    policy = access.get(request.user, "known.edit", rows, "platform", pk=int(pk))
    try:
        made = known.create_list(
            policy, by=request.user, name=given["name"], distance=given["distance"]
        )
    except Invalid as error:
        return _list_page(request, refused=_said(error), given=given, status=422)
    messages.success(request, _("%(name)s is there. Add hashes to it.") % {"name": made.name})
    return redirect("reviews:setup-known-detail", made.pk)


@require_GET
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    return _detail_page(request, known.get_list(request.user, pk))


@require_POST
def add(request: HttpRequest, pk: int) -> HttpResponse:
    """A CSV file, or the number of an item."""
    known_list = known.get_list(request.user, pk, verb="known.edit")
    try:
        if "file" in request.FILES:
            given = known.read_csv(io.StringIO(_text_of(request.FILES["file"])))
            count = known.add_hashes(known_list, given, by=request.user)
        else:
            count = known.add_item(known_list, _item(request), by=request.user)
    except Invalid as error:
        return _detail_page(request, known_list, refused=_said(error), status=422)
    messages.success(
        request,
        ngettext("%(count)s hash is new in it.", "%(count)s hashes are new in it.", count)
        % {"count": f"{count:,}"},
    )
    return redirect("reviews:setup-known-detail", pk)


@require_POST
def change(request: HttpRequest, pk: int) -> HttpResponse:
    """Its distance; or archive it, or take it back."""
    known_list = known.get_list(request.user, pk, verb="known.edit")
    deed = request.POST.get("deed", "")
    if deed in ("archive", "unarchive"):
        known.archive_list(known_list, by=request.user, is_archived=deed == "archive")
        return redirect("reviews:setup-known-detail", pk)
    try:
        known.set_distance(known_list, request.POST.get("distance", ""), by=request.user)
    except Invalid as error:
        return _detail_page(request, known_list, refused=_said(error), status=422)
    messages.success(request, _("What waits is held against it again."))
    return redirect("reviews:setup-known-detail", pk)


@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    rows = KnownHash.objects.select_related("known_list__platform")
    found = access.get(request.user, "known.edit", rows, "known_list__platform", pk=pk)
    known.remove_hash(found, by=request.user)
    messages.success(request, _("The hash is out of the list."))
    return redirect("reviews:setup-known-detail", found.known_list_id)


def _list_page(
    request: HttpRequest, *, refused: str = "", given: dict | None = None, status: int = 200
) -> HttpResponse:
    rows = list(
        known.lists_to_see(request.user)
        .annotate(size=Count("hashes", distinct=True), last=Max("hashes__matches__found_at"))
        .order_by("is_archived", "name")
    )
    policies = access.visible(
        request.user, "known.view", Policy.objects.filter(is_archived=False), "platform"
    )
    return render(
        request,
        "reviews/setup_known_list.html",
        {
            "lists": rows,
            "policies": policies.order_by("platform", "position", "pk"),
            "may_edit": access.may(request.user, "known.edit"),
            "refused": refused,
            "given": given or {"distance": KnownList._meta.get_field("distance").default},
        },
        status=status,
    )


def _detail_page(
    request: HttpRequest, known_list: KnownList, *, refused: str = "", status: int = 200
) -> HttpResponse:
    hashes = known_list.hashes.select_related("added_by")
    matches = KnownMatch.objects.filter(known_hash__known_list=known_list)
    latest = matches.select_related("known_hash", "medium").order_by("-found_at", "-pk")
    return render(
        request,
        "reviews/setup_known_detail.html",
        {
            "list": known_list,
            "hashes": hashes.annotate(matched=Count("matches")).order_by("-pk")[:HASHES_SHOWN],
            "size": hashes.count(),
            "match_count": matches.count(),
            "matches": [_shown(one) for one in latest[:MATCHES_SHOWN]],
            "may_edit": access.may(request.user, "known.edit"),
            "refused": refused,
        },
        status=status,
    )


def _shown(match: KnownMatch) -> dict:
    """Never the picture: its item's page shows that, covered as there."""
    item = (
        Item.objects.filter(versions__media__medium=match.medium, erased_at__isnull=True)
        .order_by("-pk")
        .first()
    )
    return {"match": match, "item": item}


def _item(request: HttpRequest) -> Item:
    text = request.POST.get("item", "").strip().lstrip("#")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        words = _("Give the number of an item, as its page shows it.")
        raise Invalid(words, details={"item": [words]})
    return access.get_item(request.user, int(text))


def _text_of(file) -> str:
    if (file.size or 0) > MOST_FILE:
        raise Invalid(_("The file is over 16 MB."))
    try:
        return file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(_("The file is not UTF-8.")) from error


def _said(error: Invalid) -> str:
    """The sentence, and where it is about rows, the first of them."""
    lines = [str(line) for one in error.details.values() for line in one]
    return " ".join(dict.fromkeys([str(error), *lines[:5]]))
