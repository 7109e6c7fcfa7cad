"""What speaks for a model version: its evidence, the gates, and the cases it is asked."""

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_POST

from mlhooks import evidence, functional, gates, promotions
from mlhooks.models import Evidence, FunctionalCase, GateBounds, ModelVersion, Promotion
from reviews import access
from reviews.errors import DomainError, Invalid
from reviews.models import Policy

from .shadows import shadow_context

GATE_WORDS = {
    "frozen": gettext_lazy("AUPRC against the champion, test rows"),
    "stream": gettext_lazy("AUPRC against the champion, random lane"),
    "calibration": gettext_lazy("Calibration error (ECE)"),
    "slices": gettext_lazy("Worst part against the champion, AUPRC"),
    "functional": gettext_lazy("Functional cases passed, less the champion's"),
    "load": gettext_lazy("Items above the threshold, × the usual"),
}
GATE_HINTS = {
    "frozen": gettext_lazy("At least this much more; −0.01 lets it lose a hundredth."),
    "stream": gettext_lazy("The same on what was drawn at random, weighted back to all."),
    "calibration": gettext_lazy("At most; 0 is exact."),
    "slices": gettext_lazy("No language, length, queue or group may lose more."),
    "functional": gettext_lazy("Share of cases answered rightly, against the champion's share."),
    "load": gettext_lazy("At most; the usual is what the champion flags, or what really violates."),
}
VERDICTS = {
    gates.PASS: (gettext_lazy("Passes"), "ok"),
    gates.FAIL: (gettext_lazy("Fails"), "bad"),
    gates.TOO_FEW: (gettext_lazy("Too few to say"), ""),
}
FAMILIES = {
    "languages": gettext_lazy("Language"),
    "kinds": gettext_lazy("Item kind"),
    "queues": gettext_lazy("Queue"),
    "lengths": gettext_lazy("Length"),
    "ages": gettext_lazy("Age of the account"),
    "identities": gettext_lazy("Groups named in the text"),
}
MOST_FILE = 2**20
OPEN = Q(approved_at=None, withdrawn_at=None)


@require_GET
def evidence_detail(request: HttpRequest, pk: int) -> HttpResponse:
    model_version = _model(request, pk, verb="model.view")
    found = evidence.newest(model_version)
    context = {
        **gates_context(request, model_version),
        **shadow_context(request, model_version),
        "model": model_version,
    }
    if found is not None and found.state == Evidence.State.READY:
        context |= _figures(found)
    return render(request, "mlhooks/evidence.html", context)


@require_GET
def gates_progress(request: HttpRequest, pk: int) -> HttpResponse:
    """Fragment: the gates' table; it asks for itself while evidence is being gathered."""
    model_version = _model(request, pk, verb="model.view")
    context = gates_context(request, model_version)
    response = render(request, "mlhooks/_gates.html", context | {"model": model_version})
    # What comes of it stands elsewhere on the page. Not where she may be writing why to propose it.
    is_read = "whole" in request.GET or model_version.promotions.filter(OPEN).exists()
    if is_read and not context["is_gathering"]:
        response["HX-Refresh"] = "true"
    return response


@require_POST
def gather(request: HttpRequest, pk: int) -> HttpResponse:
    model_version = _model(request, pk, verb="evidence.gather")
    evidence.start_gathering(model_version, by=request.user)
    return redirect("mlhooks:evidence-detail", pk)


@require_POST
def waive(request: HttpRequest, pk: int) -> HttpResponse:
    rows = Promotion.objects.select_related("model_version__platform")
    promotion = access.get(request.user, "gate.waive", rows, "model_version__platform", pk=pk)
    promotions.waive(promotion, by=request.user, reason=request.POST.get("waiver", ""))
    messages.success(request, _("The failing gates are waived for this promotion."))
    return redirect("mlhooks:model-detail", promotion.model_version_id)


@require_GET
def gate_list(request: HttpRequest) -> HttpResponse:
    return render(request, "mlhooks/gates.html", _bounds_context(request))


@require_POST
def gate_edit(request: HttpRequest, pk: int) -> HttpResponse:
    policy = _policy(request, pk, verb="gate.edit")
    given = {name: request.POST.get(name, "") for name in gates.GATES}
    try:
        evidence.set_bounds(policy, _read_bounds(given), by=request.user)
    except Invalid as error:
        context = _bounds_context(request, wrong=(policy.pk, given, error.details))
        return render(request, "mlhooks/gates.html", context, status=422)
    messages.success(request, _("Saved: the gates of %(name)s.") % {"name": policy.name})
    return redirect("mlhooks:gate-list")


@require_GET
def case_list(request: HttpRequest) -> HttpResponse:
    return render(request, "mlhooks/functional.html", _cases_context(request))


@require_POST
def case_add(request: HttpRequest, pk: int) -> HttpResponse:
    """One case from the form, or a file of many."""
    policy = _policy(request, pk, verb="functional.edit")
    try:
        count = functional.add_cases(policy, _read_cases(request), by=request.user)
    except DomainError as error:
        context = _cases_context(request, policy=policy, refused=str(error), given=request.POST)
        return render(request, "mlhooks/functional.html", context, status=error.status)
    messages.success(
        request, ngettext("%(n)s case is new.", "%(n)s cases are new.", count) % {"n": count}
    )
    return redirect(f"{reverse('mlhooks:case-list')}?policy={policy.slug}")


@require_POST
def case_archive(request: HttpRequest, pk: int) -> HttpResponse:
    rows = FunctionalCase.objects.select_related("policy__platform")
    case = access.get(request.user, "functional.edit", rows, "policy__platform", pk=pk)
    functional.archive_case(case, by=request.user)
    messages.success(request, _("Archived: no model is asked it any more."))
    return redirect(f"{reverse('mlhooks:case-list')}?policy={case.policy.slug}")


def gates_context(request: HttpRequest, model_version: ModelVersion) -> dict:
    """For _gates.html."""
    found = evidence.newest(model_version)
    is_ready = found is not None and found.state == Evidence.State.READY
    rows = evidence.outcomes(found) if found is not None and is_ready else []
    names = _names(model_version)
    return {
        "evidence": found,
        "is_gathering": found is not None
        and found.state in (Evidence.State.WAITING, Evidence.State.RUNNING),
        "outcomes": [
            {
                **one._asdict(),
                "policy": names.get(one.policy, one.policy),
                "words": GATE_WORDS[one.gate],
                "verdict": VERDICTS[one.verdict][0],
                "tag": VERDICTS[one.verdict][1],
                "is_least": gates.GATES[one.gate].is_least,
            }
            for one in rows
        ],
        "failing": [one for one in rows if one.verdict == gates.FAIL],
        "champion_silent": found.figures.get("champion_silent", "") if found else "",
        "may_gather": access.may(request.user, "evidence.gather"),
        "may_waive": access.may(request.user, "gate.waive"),
    }


def _figures(found: Evidence) -> dict:
    names = _names(found.model_version)
    return {
        "speed": found.figures.get("speed"),
        "leakage": found.figures.get("leakage"),
        "champion_label": found.figures.get("champion", ""),
        "policies": [
            {
                "slug": slug,
                "name": names.get(slug, slug),
                **figures,
                "families": [
                    (FAMILIES[family], lines, family == "identities")
                    for family, lines in figures.get("parts", {}).items()
                    if lines
                ],
                "failed": _failed(figures.get("functional", {}).get("failed", [])),
            }
            for slug, figures in found.figures.get("policies", {}).items()
        ],
    }


def _failed(lines: list[dict]) -> list[tuple[FunctionalCase, float]]:
    cases = FunctionalCase.objects.in_bulk([line["case"] for line in lines])
    return [(cases[line["case"]], line["probability"]) for line in lines if line["case"] in cases]


def _names(model_version: ModelVersion) -> dict[str, str]:
    return dict(model_version.platform.policies.values_list("slug", "name"))


def _bounds_context(request: HttpRequest, wrong: tuple | None = None) -> dict:
    policies = access.visible(request.user, "model.view", Policy.objects.all(), "platform")
    rows = GateBounds.objects.select_related("changed_by").filter(policy__in=policies)
    own = {one.policy_id: one for one in rows}
    groups = []
    for policy in policies.select_related("platform").order_by("platform", "position", "pk"):
        row = own.get(policy.pk)
        bounds = gates.bounds_of(row.bounds if row else None)
        is_wrong = wrong is not None and wrong[0] == policy.pk
        groups.append(
            {
                "policy": policy,
                "changed": row,
                "fields": [
                    {
                        "name": name,
                        "words": GATE_WORDS[name],
                        "hint": GATE_HINTS[name],
                        "value": wrong[1][name] if wrong and is_wrong else _plain(bounds[name]),
                        "error": (wrong[2] or {}).get(name, "") if wrong and is_wrong else "",
                        "usual": gate.bound,
                        "is_own": bounds[name] != gate.bound,
                    }
                    for name, gate in gates.GATES.items()
                ],
            }
        )
    return {"groups": groups, "may_edit": access.may(request.user, "gate.edit")}


def _cases_context(
    request: HttpRequest,
    *,
    policy: Policy | None = None,
    refused: str = "",
    given: dict | None = None,
) -> dict:
    visible = access.visible(request.user, "model.view", Policy.objects.all(), "platform")
    policies = list(visible.order_by("platform", "position", "pk"))
    slug = request.GET.get("policy", "")
    chosen = policy or next((one for one in policies if one.slug == slug), None)
    chosen = chosen or (policies[0] if policies else None)
    cases = FunctionalCase.objects.filter(policy=chosen, archived_at=None)
    return {
        "policies": policies,
        "chosen": chosen,
        "cases": cases.order_by("functionality", "violates", "id"),
        "functionalities": sorted(set(cases.values_list("functionality", flat=True))),
        "refused": refused,
        "given": given or {},
        "may_edit": access.may(request.user, "functional.edit"),
    }


def _plain(bound: float) -> str:
    """As a person writes it, and as _read_bounds reads it."""
    return f"{bound:g}".replace("-", "−")


def _read_bounds(given: dict[str, str]) -> dict[str, float]:
    wrong, found = {}, {}
    for name, text in given.items():
        try:
            found[name] = float(text.replace(",", ".").replace("−", "-"))
        except ValueError:
            wrong[name] = _("Give a number.")
    if wrong:
        raise Invalid(_("Some bounds make no sense."), details=wrong)
    return found


def _read_cases(request: HttpRequest) -> list[functional.Case]:
    file = request.FILES.get("file")
    if file is not None:
        if (file.size or 0) > MOST_FILE:
            raise Invalid(_("The file is over 1 MB."))
        try:
            return functional.read_csv(file.read().decode())
        except UnicodeDecodeError as error:
            raise Invalid(_("The file is not UTF-8.")) from error
    return [
        functional.Case(
            " ".join(request.POST.get("functionality", "").split()),
            request.POST.get("text", "").strip(),
            request.POST.get("answer") == "violating",
        )
    ]


def _model(request: HttpRequest, pk: int, *, verb: str) -> ModelVersion:
    rows = ModelVersion.objects.select_related("platform", "snapshot", "created_by")
    return access.get(request.user, verb, rows, "platform", pk=pk)


def _policy(request: HttpRequest, pk: int, *, verb: str) -> Policy:
    rows = Policy.objects.select_related("platform")
    return access.get(request.user, verb, rows, "platform", pk=pk)
