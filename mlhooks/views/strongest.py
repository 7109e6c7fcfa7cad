"""Beside a job: what in its text moved the score. Worked out by a worker, asked for by a key."""

from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from mlhooks import strongest
from mlhooks.strongest import Span
from reviews import access, blind, desk, wellness
from reviews.errors import ClaimLost, Conflict, NotFound
from reviews.models import ItemVersion, Job

# The page asks twice a second, for ten seconds.
_TURNS = 20
_QUOTED = 160


@require_POST
@never_cache
def job_strongest(request: HttpRequest, pk: int) -> HttpResponse:
    """Of a job she holds, where she may see its score. The first turn asks a worker, the others
    look whether it has answered; what is shown at last is recorded, since it may lead her."""
    job = access.get_held_job(request.user, pk)
    if job.claimed_by_id != request.user.pk:
        if request.htmx:
            return HttpResponse(status=204)
        raise ClaimLost(_("You do not hold this job any more. Go back to your queue for the next."))
    if blind.SCORE in blind.of_item(request.user, [job]):
        raise NotFound(_("There is no such thing here."))
    version = job.item.current_version
    if request.POST.get("version") != str(version.pk):
        raise Conflict(_("The item has changed since you were shown it. Load the page again."))
    written = request.POST.get("turn", "")
    turn = int(written) if written.isdecimal() and len(written) < 3 else 0
    found = strongest.known(version)
    if found is not None and not found.error:
        strongest.record_shown(job, by=request.user)
    elif turn == 0 and strongest.can_be_asked(version):
        strongest.ask(version)
        found = None
    context = {
        "job": job,
        "version": version,
        "told": None if found is None or found.error else _by_policy(job, version, found.spans),
        "failed": found.error if found else "",
        "has_given_up": turn >= _TURNS,
        "next_turn": turn + 1,
    }
    return render(request, "mlhooks/_strongest.html", context)


def _by_policy(
    job: Job, version: ItemVersion, spans: Sequence[Span]
) -> list[tuple[str, list[tuple[Span, str]]]]:
    """Those of the queue's policies, in its order, each with its words. A text that arrives covered
    is not quoted beside its cover."""
    covered = wellness.covered_by(job.queue, job.item.risks, tells_risk=True)
    found = []
    for policy_version in desk.rules(job.queue_id).versions:
        policy = policy_version.policy
        own = [
            (one, "" if covered else str(version.content[one.field])[one.start : one.end][:_QUOTED])
            for one in spans
            if one.policy == policy.slug and one.field in version.content
        ]
        if own:
            found.append((policy.name, own))
    return found
