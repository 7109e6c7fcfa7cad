"""Notes for the next reviewer: beside the item on the desk, and on a page of their own."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from reviews import access, notes
from reviews.errors import Conflict, DomainError, Invalid
from reviews.models import Item


@require_http_methods(["GET", "POST"])
def item_notes(request: HttpRequest, pk: int) -> HttpResponse:
    """What is noted on an item, and a form for more: for htmx the form alone."""
    item = access.get_item(request.user, pk)
    if request.method == "GET":
        return _page(request, item)
    text = request.POST.get("text", "")
    try:
        note = notes.leave_note(item, by=request.user, text=text)
    except (Invalid, Conflict) as refusal:
        return _page(request, item, text=text, refusal=refusal)
    if request.htmx:
        return render(request, "reviews/_note_left.html", {"note": note})
    messages.success(request, _("Left. Whoever looks at this item next reads it."))
    return redirect("reviews:item-notes", pk=item.pk)


@require_POST
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    note = access.get_own_note(request.user, pk)
    notes.withdraw_note(note, by=request.user)
    if request.htmx:
        note.refresh_from_db()
        return render(request, "reviews/_note_left.html", {"note": note})
    messages.success(request, _("Withdrawn. It stays on the record, struck through."))
    return redirect("reviews:item-notes", pk=note.item_id)


def _page(
    request: HttpRequest, item: Item, *, text: str = "", refusal: DomainError | None = None
) -> HttpResponse:
    context = {
        "item": item,
        "text": text,
        "error": str(refusal) if refusal else "",
        "most": notes.MOST,
        "may_leave": access.may(request.user, "note.leave") and item.erased_at is None,
    }
    status = refusal.status if refusal else 200
    if request.htmx:
        return render(request, "reviews/_note_form.html", context, status=status)
    open_jobs = item.jobs.open().select_related("queue")
    context["notes"] = list(notes.notes_on(item, by=request.user, open_jobs=open_jobs))
    return render(request, "reviews/item_notes.html", context, status=status)
