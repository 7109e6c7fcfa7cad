"""Try a text: what a model version says of it, how sure that is, and what in it moved the scores.

A worker answers, and the page asks for it; what was asked is deleted as it is shown.
"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from mlhooks import charts, predictions, registry
from mlhooks.models import ModelVersion, Prediction
from reviews import access
from reviews.errors import Conflict, DomainError, Invalid, NotFound
from reviews.models import Policy

State = Prediction.State
# The page asks twice a second, for twenty seconds.
_TURNS = 40
_QUOTED = 300
_KINDS = dict(ModelVersion.Kind.choices)


@require_http_methods(["GET", "POST"])
@never_cache
def try_text(request: HttpRequest, pk: int) -> HttpResponse:
    """The form; ?policy= names the one to be shown first, ?asked= what waits for its answer."""
    model_version = _model(request, pk)
    if request.method == "GET":
        asked = _asked(request)
        return _page(request, model_version, asked, text=asked.texts[0] if asked else "")
    text = request.POST.get("text", "")
    try:
        asked = _ask(request, model_version, text)
    except (Invalid, Conflict) as error:
        if request.htmx:
            raise
        return _page(request, model_version, None, text=text, refused=error)
    if request.htmx:
        return render(request, "mlhooks/_tried.html", _context(request, model_version, asked))
    query = f"?asked={asked.pk}&policy={_first(request)}#_tried"
    return redirect(f"{reverse('mlhooks:model-try', args=[pk])}{query}")


@require_POST
@never_cache
def answer(request: HttpRequest, pk: int) -> HttpResponse:
    """Of what she asked: the answer once it is there, and then it is gone."""
    asked = predictions.get_asked(request.user, pk)
    model_version = asked.model_version
    if asked.state in (State.READY, State.FAILED):
        predictions.forget(asked)
    if request.htmx:
        return render(request, "mlhooks/_tried.html", _context(request, model_version, asked))
    return _page(request, model_version, asked, text=asked.texts[0])


@require_GET
def try_policy(request: HttpRequest, pk: int) -> HttpResponse:
    """From a policy's page to its platform's champion."""
    rows = Policy.objects.select_related("platform")
    policy = access.get(request.user, "model.predict", rows, "platform", pk=pk)
    champion = registry.champion(policy.platform)
    if champion is None:
        raise Conflict(_("There is no champion yet. It is made when the first items are scored."))
    return redirect(f"{reverse('mlhooks:model-try', args=[champion.pk])}?policy={policy.slug}")


def _ask(request: HttpRequest, model_version: ModelVersion, text: str) -> Prediction:
    if not text.strip():
        words = _("Paste a text.")
        raise Invalid(words, details={"text": words})
    return predictions.ask(model_version, [text], by=request.user, with_spans=True, is_brief=True)


def _page(
    request: HttpRequest,
    model_version: ModelVersion,
    asked: Prediction | None,
    *,
    text: str,
    refused: DomainError | None = None,
) -> HttpResponse:
    context = {
        **_context(request, model_version, asked),
        "text": text,
        "refused": str(refused) if refused else "",
        "most": predictions.MOST_CHARACTERS,
        "is_gone": "asked" in request.GET and asked is None,
    }
    return render(request, "mlhooks/try.html", context, status=refused.status if refused else 200)


def _context(
    request: HttpRequest, model_version: ModelVersion, asked: Prediction | None
) -> dict[str, object]:
    """For _tried.html."""
    context: dict[str, object] = {
        "model": model_version,
        "platform": model_version.platform,
        "asked": asked,
        "first": _first(request),
    }
    if asked is None:
        return context
    turn = _turn(request)
    context |= {"next_turn": turn + 1, "has_given_up": turn >= _TURNS}
    if asked.state == State.READY:
        rows = _answers(model_version, asked, first=_first(request))
        context |= {"answers": rows, "plot": charts.answer_plot(rows)}
    return context


def _answers(model_version: ModelVersion, asked: Prediction, *, first: str) -> list[dict]:
    """A policy each, in the platform's order but for the one that she came for."""
    text, found, spans = asked.texts[0], asked.answers[0], asked.spans[0]
    thresholds = registry.thresholds(model_version)
    names = model_version.platform.policies.order_by("position", "pk").values_list("slug", "name")
    rows = [
        {
            **found[slug],
            "slug": slug,
            "name": name,
            "by": _KINDS.get(found[slug]["by"], found[slug]["by"]),
            "threshold": thresholds.get(slug),
            "is_above": slug in thresholds and found[slug]["probability"] >= thresholds[slug],
            "spans": [
                (text[start:end][:_QUOTED], effect)
                for policy, start, end, effect in spans
                if policy == slug
            ],
        }
        for slug, name in names
        if slug in found
    ]
    return sorted(rows, key=lambda row: row["slug"] != first)


def _asked(request: HttpRequest) -> Prediction | None:
    """None where none is named, or it was shown and is gone."""
    written = request.GET.get("asked", "")
    if not (written.isascii() and written.isdecimal() and len(written) < 19):
        return None
    try:
        return predictions.get_asked(request.user, int(written))
    except NotFound:
        return None


def _first(request: HttpRequest) -> str:
    """The slug of the policy she came for."""
    return (request.POST.get("policy") or request.GET.get("policy") or "")[:80]


def _turn(request: HttpRequest) -> int:
    written = request.POST.get("turn", "")
    return int(written) if written.isascii() and written.isdecimal() and len(written) < 4 else 0


def _model(request: HttpRequest, pk: int) -> ModelVersion:
    rows = ModelVersion.objects.select_related("platform")
    return access.get(request.user, "model.predict", rows, "platform", pk=pk)
