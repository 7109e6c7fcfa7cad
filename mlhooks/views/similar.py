"""Beside a job: what was decided about items like it. A fragment that the evidence asks for."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from mlhooks import similar
from reviews import access, blind
from reviews.errors import ClaimLost
from reviews.models import Item
from reviews.views.items import put_lines


@require_GET
@never_cache
def job_similar(request: HttpRequest, pk: int) -> HttpResponse:
    """Of a job she holds. Who judges without the model or without earlier decisions is not told:
    what the nearest were decided as is both."""
    job = access.get_held_job(request.user, pk)
    if job.claimed_by_id != request.user.pk:
        if request.htmx:
            return HttpResponse(status=204)
        raise ClaimLost(_("You do not hold this job any more. Go back to your queue for the next."))
    hidden = blind.of_item(request.user, [job])
    found = []
    if hidden.isdisjoint({blind.SCORE, blind.HISTORY}):
        found = similar.decided_like(job.item, by=request.user)
    items = Item.objects.select_related("kind").in_bulk([one.item_id for one in found])
    put_lines(items.values())
    return render(
        request,
        "mlhooks/_similar.html",
        {"similar": [(one, items[one.item_id].line) for one in found]},
    )
