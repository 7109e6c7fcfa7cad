"""Policies, as policy owners set them up: the rule, its versions, and what a new one makes old."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from reviews import access, policies, policy_texts, questions, relabelling, revisions
from reviews.errors import Conflict, Invalid, NotFound
from reviews.models import Platform, Policy, PolicyVersion, Severity
from reviews.wording import figure

PAGE = 50
_LABELS = {
    "name": lazy("Name"),
    "key": lazy("Key"),
    "position": lazy("Place"),
    "is_archived": lazy("Archived"),
    "summary": lazy("In one line"),
    "definition": lazy("Definition"),
    "examples": lazy("Breaks the rule"),
    "counter_examples": lazy("Does not"),
    "severity": lazy("Severity"),
    "severity_weight": lazy("Weight in harm"),
    "legal_category": lazy("Legal category"),
    "severity_levels": lazy("Levels of a breach"),
}
_LISTS = ("examples", "counter_examples", "severity_levels")
_FIRST = {
    "summary": "",
    "definition": "",
    "examples": [],
    "counter_examples": [],
    "severity": Severity.MEDIUM,
    "severity_weight": 4.0,
    "legal_category": "",
    "severity_levels": [],
}


@require_GET
def policy_list(request: HttpRequest) -> HttpResponse:
    rows = access.visible(request.user, "setup.view", Policy.objects.all(), "platform")
    rows = list(rows.select_related("platform").prefetch_related("queues"))
    states: dict[int, dict[str, list[PolicyVersion]]] = {}
    for version in PolicyVersion.objects.with_state().filter(policy__in=rows).order_by("number"):
        states.setdefault(version.policy_id, {}).setdefault(version.state, []).append(version)
    table = [
        {
            "policy": policy,
            "in_force": next(iter(states.get(policy.pk, {}).get("in_force", [])), None),
            "scheduled": states.get(policy.pk, {}).get("scheduled", []),
        }
        for policy in rows
    ]
    return render(
        request,
        "reviews/setup_policy_list.html",
        {
            "live": [row for row in table if not row["policy"].is_archived],
            "archived": [row for row in table if row["policy"].is_archived],
            "may_edit": access.may(request.user, "policy.edit"),
            "has_platforms": len(access.platform_ids(request.user)) > 1,
        },
    )


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    access.check(request.user, "policy.edit")
    platform = _platform(request)
    policy = Policy(platform=platform)
    if request.method == "GET":
        return _new_page(request, policy, own={"position": 0}, text=_FIRST)
    post = request.POST
    own = {name: post.get(name, "") for name in ("slug", "name", "key", "position")}
    text = _text_sent(post)
    try:
        policy = policies.create_policy(
            platform, by=request.user, **own, text=text, effective_at=_when_sent(post)
        )
    except Invalid as error:
        return _new_page(request, policy, own=own, text=text, error=error, status=422)
    messages.success(
        request,
        _("%(name)s is there. Queues judge it once it is chosen in them.") % {"name": policy.name},
    )
    return redirect("reviews:setup-policy-edit", slug=policy.slug)


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    policy = access.get_policy_to_set_up(request.user, slug)
    if request.method == "GET":
        return _page(request, policy, own=policies.as_data(policy))
    access.check(request.user, "policy.edit", policy.platform_id)
    own = {name: request.POST.get(name, "") for name in ("name", "key", "position")}
    note = request.POST.get("note", "")
    try:
        saved = policies.save_policy(policy, by=request.user, **own, note=note, seen=_seen(request))
    except Invalid as error:
        return _page(request, policy, own=own, error=error, note=note, status=422)
    except Conflict as error:
        return _page(request, policy, own=own, error=error, note=note, status=409)
    messages.success(
        request, _("%(name)s is saved. Desks show it within seconds.") % {"name": saved.name}
    )
    return redirect("reviews:setup-policy-edit", slug=policy.slug)


@require_POST
def restore(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    policy = access.get_policy_to_set_up(request.user, slug, "policy.edit")
    policies.put_back(policy, number, by=request.user, seen=_seen(request))
    messages.success(request, _("Revision %(number)s is put back.") % {"number": number})
    return redirect("reviews:setup-policy-edit", slug=policy.slug)


@require_POST
def archive(request: HttpRequest, slug: str) -> HttpResponse:
    policy = access.get_policy_to_set_up(request.user, slug, "policy.edit")
    policies.archive_policy(policy, by=request.user)
    messages.success(
        request, _("%(name)s is archived. Past decisions keep it.") % {"name": policy.name}
    )
    return redirect("reviews:setup-policy-list")


@require_POST
def unarchive(request: HttpRequest, slug: str) -> HttpResponse:
    policy = access.get_policy_to_set_up(request.user, slug, "policy.edit")
    policies.archive_policy(policy, by=request.user, is_archived=False)
    messages.success(
        request, _("%(name)s is back. Queues can judge it again.") % {"name": policy.name}
    )
    return redirect("reviews:setup-policy-edit", slug=policy.slug)


@require_http_methods(["GET", "POST"])
def write_version(request: HttpRequest, slug: str) -> HttpResponse:
    """A new version, from the one in force or from another (?of=2)."""
    policy = access.get_policy_to_set_up(request.user, slug, "policy.edit")
    if request.method == "GET":
        of = request.GET.get("of", "")
        start = _version(policy, int(of)) if of.isdecimal() and len(of) < 6 else in_force(policy)
        text = policy_texts.text_of(start)._asdict() if start else _FIRST
        text = _with_example(request, policy, text)
        return _version_page(request, policy, None, text=text, start=start)
    text = _text_sent(request.POST)
    if request.POST.get("do") == "preview":
        return _changes(request, policy, text)
    try:
        version = policies.add_version(
            policy, by=request.user, text=text, effective_at=_when_sent(request.POST)
        )
    except Invalid as error:
        return _version_page(request, policy, None, text=text, error=error, status=422)
    return _said(request, policy, version)


def _with_example(request: HttpRequest, policy: Policy, text: Mapping) -> Mapping:
    """?question=5&as=examples: what that question was about, filled in among them."""
    pk, place = request.GET.get("question", ""), request.GET.get("as", "")
    if not pk.isdecimal() or len(pk) > 17 or place not in ("examples", "counter_examples"):
        return text
    question = questions.get_question(request.user, int(pk))
    example = questions.as_example(question) if question.policy_id == policy.pk else ""
    if not example or example in text[place]:
        return text
    return {**text, place: [*text[place], example]}


@require_http_methods(["GET", "POST"])
def edit_version(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """A version whose date is still to come."""
    policy = access.get_policy_to_set_up(request.user, slug, "policy.edit")
    version = _version(policy, number)
    if request.method == "GET":
        text = policy_texts.text_of(version)._asdict()
        return _version_page(request, policy, version, text=text)
    text = _text_sent(request.POST)
    if request.POST.get("do") == "preview":
        return _changes(request, policy, text, version)
    try:
        version = policies.save_version(
            version, by=request.user, text=text, effective_at=_when_sent(request.POST)
        )
    except Invalid as error:
        return _version_page(request, policy, version, text=text, error=error, status=422)
    except Conflict as error:
        return _version_page(request, policy, version, text=text, error=error, status=409)
    return _said(request, policy, version)


@require_POST
def withdraw_version(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    policy = access.get_policy_to_set_up(request.user, slug, "policy.edit")
    policies.withdraw_version(_version(policy, number), by=request.user)
    messages.success(
        request,
        _("Version %(number)s is withdrawn. The audit trail keeps what it said.")
        % {"number": number},
    )
    return redirect("reviews:setup-policy-edit", slug=policy.slug)


@require_POST
def restore_version(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """What an old version said, in force again at once, as a new version."""
    policy = access.get_policy_to_set_up(request.user, slug, "policy.edit")
    version = policies.put_back_version(_version(policy, number), by=request.user)
    return _said(request, policy, version)


def _page(
    request: HttpRequest,
    policy: Policy,
    *,
    own: Mapping[str, Any],
    error: Invalid | Conflict | None = None,
    note: str = "",
    status: int = 200,
) -> HttpResponse:
    may = access.may(request.user, "policy.edit")
    versions = list(policies.versions_of(policy))
    by_number = {version.number: version for version in versions}
    told = []
    for version in versions:
        before = by_number.get(version.number - 1)
        earlier = [one for one in versions if one.number < version.number]
        before = before or (earlier[0] if earlier else None)
        text = policy_texts.text_of(version)
        words = policy_texts.in_words(policy_texts.text_of(before), text) if before else ""
        changes = policy_texts.compare(policy_texts.text_of(before), text) if before else []
        told.append({"version": version, "before": before, "words": words, "changes": changes})
    steps = revisions.steps(policy)
    return render(
        request,
        "reviews/setup_policy_edit.html",
        {
            "policy": policy,
            "own": own,
            "note": note,
            "told": told,
            "in_force": next((one for one in versions if one.state == "in_force"), None),
            "queues": policy.queues.filter(is_archived=False),
            "may_edit": may and not policy.is_archived,
            "may_archive": may,
            "may_see_models": access.may(request.user, "model.view"),
            "steps": steps,
            "newest": steps[0].revision.number if steps else 0,
            "labels": _LABELS,
            "restore_name": "reviews:setup-policy-restore",
            "restore_key": policy.slug,
            "may_restore": may and not policy.is_archived,
            **_errors(error),
        },
        status=status,
    )


def _new_page(
    request: HttpRequest,
    policy: Policy,
    *,
    own: Mapping[str, Any],
    text: Mapping[str, Any],
    error: Invalid | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "policy": policy,
        "own": own,
        "platforms": _platforms(request),
        **_text_context(request, text),
        **_errors(error),
    }
    return render(request, "reviews/setup_policy_new.html", context, status=status)


def _version_page(
    request: HttpRequest,
    policy: Policy,
    version: PolicyVersion | None,
    *,
    text: Mapping[str, Any],
    start: PolicyVersion | None = None,
    error: Invalid | Conflict | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "policy": policy,
        "version": version,
        "start": start,
        **_text_context(request, text, version),
        **_changes_context(policy, text, version),
        **_errors(error),
    }
    return render(request, "reviews/setup_policy_version.html", context, status=status)


def _text_context(
    request: HttpRequest, text: Mapping[str, Any], version: PolicyVersion | None = None
) -> dict[str, Any]:
    post = request.POST
    at = timezone.localtime(version.effective_at).strftime("%Y-%m-%dT%H:%M") if version else ""
    severity, weight = text["severity"], text["severity_weight"]
    return {
        "text": {
            **text,
            **{name: "\n".join(text[name]) for name in _LISTS},
            "severity": str(int(severity)) if isinstance(severity, int) else severity,
            "severity_weight": f"{weight:g}" if isinstance(weight, float) else weight,
        },
        "severities": [(str(value), label) for value, label in Severity.choices],
        "when": post.get("when", "later" if version else "now"),
        "at": post.get("at", at),
        "zone": timezone.get_current_timezone_name(),
    }


def _changes(
    request: HttpRequest,
    policy: Policy,
    text: Mapping[str, Any],
    version: PolicyVersion | None = None,
) -> HttpResponse:
    """Fragment: what the typed text would change."""
    context = _changes_context(policy, text, version)
    return render(request, "reviews/_version_changes.html", context)


def _changes_context(
    policy: Policy, text: Mapping[str, Any], version: PolicyVersion | None
) -> dict[str, Any]:
    standing = in_force(policy)
    if standing is None:
        return {"in_force": None}
    after, _rest = policy_texts.check_text(text)
    before = policy_texts.text_of(standing)
    return {
        "in_force": standing,
        "words": policy_texts.in_words(before, after),
        "changes": policy_texts.compare(before, after),
        "labels": _LABELS,
        # Another one that is to come: it was written without knowing this.
        "scheduled": policies.versions_of(policy)
        .filter(state="scheduled")
        .exclude(pk=version.pk if version else None)
        .last(),
    }


def _said(request: HttpRequest, policy: Policy, version: PolicyVersion) -> HttpResponse:
    now = in_force(policy)
    if now is not None and now.pk == version.pk:
        words = _("Version %(number)s is in force. Desks show it within seconds.") % {
            "number": version.number
        }
        counts = relabelling.counts(policy)
        if counts.total:
            more = ngettext(
                "One standing decision was made under an earlier version.",
                "%(count)s standing decisions were made under an earlier version.",
                counts.total,
            )
            words = f"{words} {more % {'count': figure(counts.total)}}"
    else:
        at = timezone.localtime(version.effective_at)
        words = _("Version %(number)s takes effect on %(at)s.") % {
            "number": version.number,
            "at": date_format(at, _("j F Y \\a\\t H:i")),
        }
    messages.success(request, words)
    return redirect("reviews:setup-policy-edit", slug=policy.slug)


def _errors(error: Invalid | Conflict | None) -> dict[str, Any]:
    if error is None:
        return {"errors": {}}
    return {"errors": error.details, "refusal_words": str(error)}


def _text_sent(post: QueryDict) -> dict[str, Any]:
    text: dict[str, Any] = {name: post.get(name, "") for name in _FIRST}
    for name in _LISTS:
        text[name] = post.get(name, "").splitlines()
    return text


def _when_sent(post: QueryDict) -> datetime | None:
    """None: at once. In the zone of the pages."""
    if post.get("when") != "later":
        return None
    words = _("Give a day and a time, as in 2026-12-01T09:00.")
    try:
        at = parse_datetime(post.get("at", "").replace("\x00", ""))
    except ValueError:
        at = None
    if at is None:
        raise Invalid(words, details={"effective_at": [words]})
    try:
        return at if timezone.is_aware(at) else timezone.make_aware(at)
    except (OverflowError, ValueError):
        raise Invalid(words, details={"effective_at": [words]}) from None


def in_force(policy: Policy) -> PolicyVersion | None:
    return policy.versions.in_force().first()


def _version(policy: Policy, number: int) -> PolicyVersion:
    version = policy.versions.select_related("policy").filter(number=number).first()
    if version is None:
        raise NotFound(
            _("There is no version %(number)s of %(name)s.")
            % {"number": number, "name": policy.name}
        )
    return version


def _seen(request: HttpRequest) -> int | None:
    text = request.POST.get("seen", "")
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _platforms(request: HttpRequest) -> list[Platform]:
    rows = Platform.objects.filter(pk__in=access.platform_ids(request.user))
    return list(rows.order_by("name"))


def _platform(request: HttpRequest) -> Platform:
    slug = request.POST.get("platform") or request.GET.get("platform")
    rows = access.visible(request.user, "policy.edit", Platform.objects.order_by("name"), "pk")
    found = rows.filter(slug=slug).first() if slug else rows.first()
    if found is None:
        raise Invalid(_("Choose one of your platforms."), details={"platform": [_("Choose one.")]})
    return found
