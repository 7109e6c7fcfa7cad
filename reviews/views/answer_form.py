"""What a desk's form says of one answer, as decisions.py takes it."""

import json
import math
from collections.abc import Iterable, Mapping

from django.http import HttpRequest
from django.utils.translation import gettext as _

from reviews import (
    parameters,
)
from reviews.errors import Invalid
from reviews.models import (
    Verdict,
)


def answer_of(request: HttpRequest) -> dict:
    """The form as typed values. What they mean together is the service's to judge."""
    post = request.POST
    policies = post.getlist("policy")
    verdict = post.get("verdict", "")
    note = post.get("note", "")
    if verdict in (Verdict.UNSURE, Verdict.ESCALATE):
        policies, actions = [], None
        if verdict == Verdict.ESCALATE:
            note = "\n\n".join(filter(None, (post.get("reason", "").strip(), note)))
    elif post.get("clean") and (policies or post.get("violating")):
        raise Invalid(_("Choose policies, or that nothing breaks a rule: not both."))
    elif post.get("clean"):
        verdict, actions = Verdict.CLEAN, None
    elif policies or post.get("violating"):
        verdict = Verdict.VIOLATING
        # None asks for the queue's usual action; an empty list says that she wants none.
        chosen = post.getlist("action")
        actions = chosen if chosen or post.get("actions_touched") else None
    else:
        raise Invalid(_("Choose a policy first, or 0 if nothing breaks a rule."))
    return {
        "verdict": verdict,
        "policy_slugs": policies,
        "action_slugs": actions,
        "note": note,
        "active_seconds": number_of(post.get("active_seconds")),
        "revealed_seconds": seconds_revealed(request),
        "item_version_id": int(number_of(post.get("item_version"))) or None,
        "score_shown": post.get("score_shown") == "1",
        "severities": severities_of(request, policies),
        "spans": _spans(post.getlist("span")) if policies else (),
        "parameters": given_parameters(request, actions or ()),
        "escalate_to": post.get("escalate_to", ""),
    }


def time_left(request: HttpRequest, job_id: int) -> dict:
    """The note she wants to stay with the item, for notes.leave_with; none without her tick."""
    text = request.POST.get("note", "") if request.POST.get("leave_note") else ""
    return {"job_id": job_id, "by": request.user, "text": text}


def seconds_revealed(request: HttpRequest) -> float | None:
    """How long the item stood open to her, as wellness.js counts it; None without the script."""
    told = request.POST.get("revealed_seconds")
    return None if told is None else number_of(told)


def severities_of(request: HttpRequest, policies: Iterable[str]) -> dict[str, int | None]:
    """The level that the form gives to each of these policies, if any."""
    posted = {slug: request.POST.get(f"severity-{slug}") for slug in policies}
    return {slug: int(number_of(level)) or None for slug, level in posted.items()}


def given_parameters(request: HttpRequest, actions: Iterable[str]) -> parameters.Given:
    """What the form says of these actions' parameters: “param:<action>:<name>”. Of a box and the
    hidden field under it the last one counts."""
    given: dict[str, dict[str, object]] = {slug: {} for slug in actions}
    for key in request.POST:
        word, _colon, rest = key.partition(":")
        slug, _colon, name = rest.partition(":")
        if word == "param" and slug in given:
            given[slug][name] = request.POST.getlist(key)[-1]
    return given


def _spans(texts: Iterable[str]) -> list[Mapping[str, object]]:
    try:
        spans = [json.loads(text) for text in texts if text]
    except (ValueError, RecursionError):
        spans = [None]
    if not all(isinstance(span, dict) for span in spans):
        raise Invalid(_("A mark cannot be read. Remove it and mark it again."))
    return spans


def number_of(text: str | None) -> float:
    try:
        number = float(text or 0)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0
