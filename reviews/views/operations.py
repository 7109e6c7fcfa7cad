"""What was done to many jobs of a queue at once, and the way back."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from reviews import access, bulk_work
from reviews.models import BulkOperation

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
    text = f"{operation.undone_count:,} put back as they were."
    if left:
        text += f" {left:,} had been touched since and stay as they are."
    messages.success(request, text)
    return redirect("reviews:operation-list", slug=operation.queue.slug)


def words(operation: BulkOperation) -> str:
    """What it did, without the number."""
    to = operation.parameters.get("to")
    if operation.verb == Verb.ASSIGN:
        return f"Assigned to {to}" if to else "Freed for everybody"
    if operation.verb == Verb.MOVE:
        return f"Moved to {operation.parameters['name']}"
    if operation.verb == Verb.CANCEL:
        return "Cancelled"
    doublings = operation.parameters.get("doublings")
    if doublings is None:
        return "Raised to the top"
    return f"Raised by {doublings} doubling{'' if doublings == 1 else 's'}"


def outcome(operation: BulkOperation) -> str:
    """What came of it, in a line: "212 jobs: moved to Fraud. 3 being worked on right now."."""
    jobs = "job" if operation.count == 1 else "jobs"
    said = words(operation)
    parts = [f"{operation.count:,} {jobs}: {said[0].lower()}{said[1:]}."]
    parts += [f"{number:,} {reason}." for reason, number in operation.skipped.items()]
    return " ".join(parts)
