"""What was done to many jobs of a queue at once, and the way back."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from reviews import access, bulk_work
from reviews.models import BulkOperation
from reviews.wording import figure

PAGE = 50
Verb = BulkOperation.Verb


@require_GET
def operation_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Newest first; by key: ?before=<id> goes on where the page before ended."""
    queue = access.get_queue_to_browse(request.user, slug)
    rows = queue.operations.select_related("by", "undone_by", "queue").order_by("-id")
    before = request.GET.get("before", "")
    if before.isdecimal() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows[: PAGE + 1])
    for operation in found:
        operation.words = words(operation)
    return render(
        request,
        "reviews/operation_list.html",
        {
            "queue": queue,
            "operations": found[:PAGE],
            "next": found[PAGE - 1].pk if len(found) > PAGE else None,
            "may_manage": access.may(request.user, "job.manage"),
        },
    )


@require_POST
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    operation = bulk_work.undo_operation(access.get_operation(request.user, pk), by=request.user)
    left = operation.count - operation.undone_count
    text = _("%(count)s put back as they were.") % {"count": figure(operation.undone_count)}
    if left:
        more = _("%(count)s had been touched since and stay as they are.")
        text = f"{text} {more % {'count': f'{left:,}'}}"
    messages.success(request, text)
    return redirect("reviews:operation-list", slug=operation.queue.slug)


def words(operation: BulkOperation) -> str:
    """What it did, without the number."""
    to = operation.parameters.get("to")
    if operation.verb == Verb.ASSIGN:
        return _("Assigned to %(to)s") % {"to": to} if to else _("Freed for everybody")
    if operation.verb == Verb.MOVE:
        return _("Moved to %(name)s") % {"name": operation.parameters["name"]}
    if operation.verb == Verb.CANCEL:
        return _("Cancelled")
    doublings = operation.parameters.get("doublings")
    if doublings is None:
        return _("Raised to the top")
    words = ngettext("Raised by %(count)s doubling", "Raised by %(count)s doublings", doublings)
    return words % {"count": doublings}


def outcome(operation: BulkOperation) -> str:
    """What came of it, in a line: "212 jobs: moved to Fraud. 3 being worked on right now."."""
    said = words(operation)
    told = {"count": figure(operation.count), "said": f"{said[0].lower()}{said[1:]}"}
    parts = [
        ngettext("%(count)s job: %(said)s.", "%(count)s jobs: %(said)s.", operation.count) % told
    ]
    parts += [f"{number:,} {_(reason)}." for reason, number in operation.skipped.items()]
    return " ".join(parts)
