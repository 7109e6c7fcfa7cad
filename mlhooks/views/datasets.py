"""What is in snapshots, looked at closely: what changed between two, and why a row is there."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from mlhooks import differences, origins
from mlhooks.models import Snapshot
from mlhooks.patience import unless_slow
from reviews import access
from reviews.errors import Invalid
from reviews.models import Role

from .snapshots import PREVIEW_SECONDS, get_snapshot

_MOST = 2**63 - 1


@require_GET
def difference(request: HttpRequest, pk: int) -> HttpResponse:
    """?with=NUMBER of another snapshot of the platform; without, the one before it."""
    snapshot = get_snapshot(request.user, pk)
    others = _comparable(snapshot)
    other = _other(request.GET.get("with", ""), snapshot, others)
    found = None
    if other is not None:
        found = unless_slow(PREVIEW_SECONDS, differences.between, snapshot, other)
    names = dict(snapshot.platform.policies.values_list("slug", "name"))
    context = {"snapshot": snapshot, "others": others, "other": other, "found": found}
    if found is not None:
        context |= {
            "gone": [(differences.REASONS[reason], rows) for reason, rows in found.gone.items()],
            "changes": [
                {
                    "what": differences.WHAT[one.what],
                    "policy": names.get(one.policy, one.policy),
                    "label": one.label,
                    "reason": differences.REASONS[one.reason],
                    "group": Role(one.group).label,
                    "people": one.people,
                    "rows": one.rows,
                }
                for one in found.changes
            ],
            "flips": [
                (one, names.get(one.policy, one.policy), differences.REASONS[one.reason])
                for one in found.flips
            ],
        }
    return render(request, "mlhooks/snapshot_difference.html", context)


@require_GET
def row_search(request: HttpRequest) -> HttpResponse:
    """?decision=NUMBER leads to its row."""
    access.check(request.user, "snapshot.view")
    number = request.GET.get("decision", "").strip()
    if not (number.isascii() and number.isdigit() and int(number) <= _MOST):
        raise Invalid(
            _("Give the number of a decision: decision_id in the files."),
            details={"decision": _("a whole number")},
        )
    return redirect("mlhooks:snapshot-row", int(number))


@require_GET
def row(request: HttpRequest, decision_pk: int) -> HttpResponse:
    decision = access.get(
        request.user, "snapshot.view", origins.decisions(), "item__platform", pk=decision_pk
    )
    found = origins.explain(decision)
    names = dict(decision.item.platform.policies.values_list("slug", "name"))
    return render(
        request,
        "mlhooks/snapshot_row.html",
        {
            "found": found,
            "decision": decision,
            "chance": f"{found.probability:.6g}" if found.probability is not None else "",
            "labels": [(names.get(slug, slug), is_so) for slug, is_so in found.label.items()],
            "may_open_draw": access.may(request.user, "job.view"),
        },
    )


def _comparable(snapshot: Snapshot) -> list[Snapshot]:
    """Other snapshots of the platform that were built once, the newest first."""
    rows = Snapshot.objects.filter(
        platform=snapshot.platform_id, state__in=(Snapshot.State.READY, Snapshot.State.WITHDRAWN)
    )
    return list(rows.exclude(pk=snapshot.pk).order_by("-number")[:200])


def _other(number: str, snapshot: Snapshot, others: list[Snapshot]) -> Snapshot | None:
    chosen = [one for one in others if str(one.number) == number]
    earlier = [one for one in others if one.number < snapshot.number]
    return next(iter([*chosen, *earlier, *others]), None)
