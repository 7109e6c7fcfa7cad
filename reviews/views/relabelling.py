"""What a policy's new version makes old: how much, and asking about it anew."""

import secrets

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from reviews import access, relabelling
from reviews.errors import Invalid, NotFound
from reviews.models import Policy, Queue, Verdict
from reviews.wording import figure

from .items import put_lines
from .setup_policies import PAGE, in_force
from .tables import csv_response


@require_http_methods(["GET", "POST"])
def relabelling_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Standing decisions that an older text was judged by, and asking about them again."""
    policy = access.get_policy_to_set_up(request.user, slug)
    asked = request.POST if request.method == "POST" else request.GET
    queue, verdict = _queue(policy, asked.get("queue", "")), asked.get("verdict", "")
    if verdict not in (Verdict.VIOLATING, Verdict.CLEAN):
        verdict = ""
    if request.method == "POST":
        return _ask(request, policy, queue, verdict)
    return _relabelling(request, policy, queue, verdict)


def _ask(request: HttpRequest, policy: Policy, queue: Queue | None, verdict: str) -> HttpResponse:
    access.check_ask_again(request.user, policy)
    text, seed = request.POST.get("number", "").strip(), request.POST.get("seed", "")
    wants_all = request.POST.get("how") == "all"
    try:
        if not wants_all and not (text.isdecimal() and len(text) < 10):
            words = _("Give how many, as a whole number.")
            raise Invalid(words, details={"number": [words]})
        made = relabelling.ask_again(
            policy,
            by=request.user,
            number=None if wants_all else int(text),
            queue=queue,
            verdict=verdict,
            seed=int(seed) if seed.isdecimal() and len(seed) < 19 else None,
        )
    except Invalid as error:
        return _relabelling(request, policy, queue, verdict, error=error, status=422)
    messages.success(
        request,
        _(
            "%(asked)s of %(pool)s are asked about again: each waits in its queue for "
            "somebody who has not judged it."
        )
        % {"asked": figure(made.asked), "pool": figure(made.pool)},
    )
    return redirect("reviews:setup-policy-relabelling", slug=policy.slug)


def _relabelling(
    request: HttpRequest,
    policy: Policy,
    queue: Queue | None,
    verdict: str,
    *,
    error: Invalid | None = None,
    status: int = 200,
) -> HttpResponse:
    before = request.GET.get("before", "")
    key = int(before) if before.isdecimal() and len(before) < 19 else None
    rows, last = relabelling.page(policy, queue=queue, verdict=verdict, before=key, size=PAGE)
    put_lines([row.decision.item for row in rows])
    if request.GET.get("format") == "csv":
        return _relabelling_csv(policy, rows)
    counts = relabelling.counts(policy)
    askable = sum(one.askable for one in counts.queues if queue is None or one.queue.pk == queue.pk)
    query = request.GET.copy()
    query.pop("format", None)
    older = query.copy()
    if last is not None:
        older["before"] = str(last)
    return render(
        request,
        "reviews/setup_policy_relabelling.html",
        {
            "policy": policy,
            "in_force": in_force(policy),
            "counts": counts,
            "rows": rows,
            "older_url": f"?{older.urlencode()}" if last is not None else "",
            "csv_url": f"?{query.urlencode()}{'&' if query else ''}format=csv",
            "queue": queue,
            "verdict": verdict,
            "askable": askable,
            "results": relabelling.results(policy),
            "may_ask": access.may_ask_again(request.user),
            "most": relabelling.MOST_ASKED,
            "most_walked": relabelling.MOST_WALKED,
            "number": request.POST.get("number", ""),
            "how": request.POST.get("how", "some"),
            # The form's own: sent twice, it asks once.
            "seed": request.POST.get("seed")
            or secrets.randbits(53),  # what a browser holds exactly
            "errors": error.details if error else {},
        },
        status=status,
    )


def _relabelling_csv(policy: Policy, rows: list[relabelling.Row]) -> HttpResponse:
    head = ["decision", "item", "external_id", "queue", "verdict", "version", "decided_at", "open"]
    return csv_response(
        f"{policy.slug}-earlier-version.csv",
        head,
        (
            (
                row.decision.pk,
                row.decision.item_id,
                row.decision.item.external_id,
                row.decision.queue.slug,
                "violating" if row.violates else "clean",
                row.version_number,
                row.decision.decided_at,
                row.is_open,
            )
            for row in rows
        ),
    )


def _queue(policy: Policy, slug: str) -> Queue | None:
    if not slug:
        return None
    queue = Queue.objects.filter(platform=policy.platform_id, slug=slug.replace("\x00", "")).first()
    if queue is None:
        raise NotFound(_("There is no such queue here."))
    return queue
