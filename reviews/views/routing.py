"""Routing rules: what is in force, the draft and its composer, the dry run, the history."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from reviews import access, conditions, dry_run, routing_versions, rule_changes
from reviews.catalogue import Catalogue
from reviews.errors import Conflict, Invalid, NotFound
from reviews.facts import make_facts, read_background, read_catalogue
from reviews.models import Item, Person, Platform, Queue, RoutingVersion
from reviews.rule_changes import RuleChange

from . import composer
from .dry_runs import newest_run

_SHOWN = 30  # versions of the history
_COUNTED = 500  # newest items that a condition under work is tried on
_REACH = 100_000  # among so many ids: other platforms' items must not be walked for long
_SORTS = {"added": "ok", "removed": "bad", "changed": "warn", "moved": "accent"}


@require_GET
def routing_list(request: HttpRequest) -> HttpResponse:
    """The platform's page at once where there is only one."""
    platforms = list(access.visible(request.user, "setup.view", Platform.objects.all(), "pk"))
    if len(platforms) == 1:
        return _published_page(request, platforms[0])
    return render(request, "reviews/routing_list.html", {"platforms": platforms})


@require_GET
def routing(request: HttpRequest, platform: str) -> HttpResponse:
    return _published_page(request, access.get_platform(request.user, "setup.view", platform))


def _published_page(request: HttpRequest, platform: Platform) -> HttpResponse:
    reader = _Reader(platform)
    history = routing_versions.find_history(platform, most=_SHOWN + 1)
    published = next((one for one in history if one.state == RoutingVersion.State.PUBLISHED), None)
    problems: routing_versions.Problems = {}
    if published:
        checked = routing_versions.check_rules(
            platform, published.rules, catalogue=reader.catalogue
        )
        problems = checked[1]
    rows = [
        {"version": newer, "changes": reader.changes(older.rules if older else [], newer.rules)}
        for newer, older in zip(history, [*history[1:], None], strict=False)
    ][:_SHOWN]
    return render(
        request,
        "reviews/routing_detail.html",
        {
            "platform": platform,
            "published": published,
            "rules": reader.rules(published.rules, problems) if published else [],
            "default": reader.default,
            "draft": routing_versions.find_draft(platform),
            "history": rows,
            "may_edit": access.may(request.user, "routing.edit"),
        },
    )


@require_GET
def version_detail(request: HttpRequest, platform: str, number: int) -> HttpResponse:
    found = _get_version(request.user, "setup.view", platform, number)
    reader = _Reader(found.platform)
    older = routing_versions.find_before(found)
    return render(
        request,
        "reviews/routing_version.html",
        {
            "platform": found.platform,
            "version": found,
            "rules": reader.rules(found.rules),
            "default": reader.default,
            "older": older,
            "changes": reader.changes(older.rules if older else [], found.rules),
            "may_edit": access.may(request.user, "routing.edit"),
            "run": newest_run(found),
        },
    )


@require_POST
def put_back(request: HttpRequest, platform: str, number: int) -> HttpResponse:
    version = _get_version(request.user, "routing.edit", platform, number)
    routing_versions.put_back(version, by=request.user)
    messages.success(
        request,
        _("Version %(number)s is the draft now. Try it, then publish it to put it in force.")
        % {"number": number},
    )
    return redirect("reviews:setup-routing-draft", platform)


# The draft


@require_http_methods(["GET", "POST"])
def draft(request: HttpRequest, platform: str) -> HttpResponse:
    """The list of rules in order; each button here saves the draft at once."""
    verb = "routing.edit" if request.method == "POST" else "setup.view"
    found = access.get_platform(request.user, verb, platform)
    if request.method == "GET":
        return render(request, "reviews/routing_draft.html", _draft_context(request, found))
    do, _rest, which = request.POST.get("do", "").partition(":")
    edition = _edition(request)
    if do == "discard":
        standing = routing_versions.find_draft(found)
        if standing is None:
            raise Conflict(_("The draft was published or discarded after you opened it."))
        routing_versions.discard_draft(standing, edition=edition, by=request.user)
        messages.success(request, _("The draft is discarded. The published rules stay in force."))
        return redirect("reviews:setup-routing", platform)
    rules, place = _changed(found, do, which)
    routing_versions.save_draft(found, rules, edition=edition, by=request.user)
    if not request.htmx:
        return redirect("reviews:setup-routing-draft", platform)
    context = _draft_context(request, found)
    if place is not None:
        # The focus goes along with the rule: to the button that was pressed, if it still works.
        rule = context["rules"][place]
        rule["focus"] = do
        if do == "up" and rule["is_first"] or do == "down" and rule["is_last"]:
            rule["focus"] = "up" if do == "down" else "down"
    return render(request, "reviews/_routing_draft.html", context)


def _changed(platform: Platform, do: str, which: str) -> tuple[list[dict[str, Any]], int | None]:
    """The rules after a button of the list, and where the rule it moved stands then."""
    rules = [dict(rule) for rule in _rules_before(platform)]
    if do == "restore":
        published = routing_versions.find_published(platform)
        gone = [rule for rule in (published.rules if published else []) if rule["name"] == which]
        return rules + gone, None
    if not which.isdecimal() or int(which) >= len(rules):
        raise NotFound(_("There is no such rule in this draft. Load the page again."))
    place = int(which)
    if do == "remove":
        del rules[place]
        return rules, None
    if do == "toggle":
        rules[place]["is_active"] = not rules[place]["is_active"]
        return rules, place
    step = {"up": -1, "down": 1}.get(do, 0)
    target = min(max(place + step, 0), len(rules) - 1)
    rules.insert(target, rules.pop(place))
    return rules, target


def _draft_context(request: HttpRequest, platform: Platform) -> dict[str, Any]:
    reader = _Reader(platform)
    standing = routing_versions.find_draft(platform)
    published = routing_versions.find_published(platform)
    rules = standing.rules if standing else published.rules if published else []
    problems = routing_versions.check_rules(platform, rules, catalogue=reader.catalogue)[1]
    told = reader.rules(rules, problems)
    for rule, row in zip(rules, told, strict=True):
        row["is_only_here"] = published is None or rule not in published.rules
    return {
        "platform": platform,
        "draft": standing,
        "edition": standing.edition if standing else 0,
        "published": published,
        "rules": told,
        "has_problems": bool(problems),
        "default": reader.default,
        "changes": reader.changes(published.rules if published else [], rules),
        "may_edit": access.may(request.user, "routing.edit"),
        "run": newest_run(standing),
        "max_days": dry_run.MAX_DAYS,
    }


# One rule of it


@require_http_methods(["GET", "POST"])
def rule_edit(request: HttpRequest, platform: str, place: int | None = None) -> HttpResponse:
    """The composer. Buttons that change its shape send the whole form and get it back changed."""
    found = access.get_platform(request.user, "routing.edit", platform)
    catalogue = read_catalogue(found)
    rules = _rules_before(found)
    standing = routing_versions.find_draft(found)
    if request.method == "GET":
        if place is not None and not 1 <= place <= len(rules):
            raise NotFound(_("There is no such rule in this draft."))
        rule = rules[place - 1] if place else {"name": "", "queue": "", "is_active": True}
        top = composer.from_tree(rule.get("condition") or {"all": [{"fact": "", "op": ""}]})
        form = {**rule, "was": rule["name"], "edition": standing.edition if standing else 0}
        return _rule_page(request, found, catalogue, form, top)
    form = {
        "name": request.POST.get("name", ""),
        "queue": request.POST.get("queue", ""),
        "is_active": "is_active" in request.POST,
        "was": request.POST.get("was", ""),
        "edition": _edition(request),
    }
    top = composer.read(request.POST)
    do = request.POST.get("do", "save")
    if do == "save":
        return _save_rule(request, found, catalogue, form, top, standing)
    composer.apply(top, do)
    extra = {}
    if do == "count":
        extra = _count(found, catalogue, composer.to_tree(top, catalogue))
    return _rule_page(request, found, catalogue, form, top, do=do, **extra)


def _save_rule(
    request: HttpRequest,
    platform: Platform,
    catalogue: Catalogue,
    form: dict[str, Any],
    top: composer.Node,
    standing: RoutingVersion | None,
) -> HttpResponse:
    rules = [dict(rule) for rule in _rules_before(platform)]
    rule = {key: form[key] for key in ("name", "queue", "is_active")}
    rule["condition"] = composer.to_tree(top, catalogue)
    places = [at for at, one in enumerate(rules) if form["was"] and one["name"] == form["was"]]
    place = places[0] if places else len(rules)
    rules[place : place + 1] = [rule]
    try:
        routing_versions.save_draft(platform, rules, edition=form["edition"], by=request.user)
    except Invalid as error:
        wrong = error.details.get("rules", {})
        problems = wrong.get(place)
        if problems is None:  # it only shows in another rule: the same name, or one too many
            problems = {"name": str(error)} if wrong else {"": str(error)}
        return _rule_page(request, platform, catalogue, form, top, problems=problems, status=422)
    except Conflict as error:
        # What she typed is still here; saving once more puts it into the draft as it is now.
        form["edition"] = standing.edition if standing else 0
        return _rule_page(request, platform, catalogue, form, top, conflict=str(error), status=409)
    messages.success(
        request, _("“%(strip)s” is saved in the draft.") % {"strip": form["name"].strip()}
    )
    return redirect("reviews:setup-routing-draft", platform.slug)


def _rule_page(
    request: HttpRequest,
    platform: Platform,
    catalogue: Catalogue,
    form: Mapping[str, Any],
    top: composer.Node,
    *,
    problems: Mapping[str, str] | None = None,
    status: int = 200,
    do: str = "",
    **extra: Any,
) -> HttpResponse:
    problems = problems or {}
    composer.dress(top, catalogue, problems)
    groups: dict[str, list[tuple[str, str]]] = {}
    for fact in catalogue.values():
        groups.setdefault(fact.group, []).append((fact.name, fact.label))
    tree, wrong = conditions.check(composer.to_tree(top, catalogue), catalogue)
    context = {
        "platform": platform,
        "form": form,
        "top": top,
        "problems": problems,
        "fact_groups": groups.items(),
        "group_types": composer.GROUPS.items(),
        "queues": platform.queues.filter(is_archived=False),
        "words": "" if wrong else conditions.in_words(tree, catalogue),
        "expression": "" if wrong else conditions.to_text(tree),
        "do": do,
        **extra,
    }
    template = "reviews/_routing_rule.html" if request.htmx else "reviews/routing_rule.html"
    return render(request, template, context, status=status)


def _count(platform: Platform, catalogue: Catalogue, tree: conditions.Tree) -> dict[str, Any]:
    """On how many of the newest items the condition holds."""
    found, problems = conditions.check(tree, catalogue)
    if problems:
        return {"count_refused": next(iter(problems.values()))}
    condition = conditions.compile_tree(found)
    newest = Item.objects.aggregate(Max("pk"))["pk__max"] or 0
    items = list(
        Item.objects.filter(platform=platform, pk__gt=newest - _REACH)
        .select_related("kind", "account")
        .order_by("-pk")[:_COUNTED]
    )
    now = timezone.now()
    background = read_background(
        condition.reads, [(item.pk, item.account_id, now) for item in items]
    )
    holding = sum(
        condition.holds(
            make_facts(
                kind=item.kind.slug,
                language=item.language,
                views_per_hour=item.views_per_hour,
                report_count=item.report_count,
                joined_at=item.account.joined_at if item.account else None,
                risks=item.risks,
                now=now,
                **background.of(item.pk, item.account_id),
            )
        )
        for item in items
    )
    return {"holding": holding, "counted": len(items)}


@require_POST
def check_expression(request: HttpRequest, platform: str) -> HttpResponse:
    """Fragment: whether an expression can be run, while it is being typed."""
    found = access.get_platform(request.user, "routing.edit", platform)
    text = request.POST.get(f"{request.POST.get('path', '')}.text", "")
    context: dict[str, Any] = {"is_empty": not text.strip()}
    if text.strip():
        try:
            condition = conditions.check_expression(text.strip(), read_catalogue(found))
            context["reads"] = sorted(condition.names)
        except Invalid as error:
            context["error"] = str(error)
    return render(request, "reviews/_expression_check.html", context)


# Dry run, publishing


@require_http_methods(["GET", "POST"])
def publish(request: HttpRequest, platform: str) -> HttpResponse:
    """What will change and what the dry run found, before it does."""
    found = access.get_platform(request.user, "routing.edit", platform)
    standing = routing_versions.find_draft(found)
    if standing is None:
        if request.method == "POST":
            raise Conflict(_("The draft was published or discarded after you opened it."))
        return redirect("reviews:setup-routing", platform)
    context = _draft_context(request, found)
    if request.method == "POST":
        note = request.POST.get("note", "")
        try:
            routing_versions.publish(
                standing, edition=_edition(request), by=request.user, note=note
            )
        except (Conflict, Invalid) as error:
            context |= {"note": note, "refusal": str(error), "status": error.status}
            return render(request, "reviews/routing_publish.html", context, status=error.status)
        messages.success(
            request,
            _("Version %(number)s is in force. Waiting jobs are being moved by it.")
            % {"number": standing.number},
        )
        return redirect("reviews:setup-routing", platform)
    return render(request, "reviews/routing_publish.html", context)


# Reading rules aloud


class _Reader:
    """A platform's rules in words."""

    def __init__(self, platform: Platform) -> None:
        self.catalogue = read_catalogue(platform)
        queues = list(platform.queues.all())
        self.names = {queue.slug: queue.name for queue in queues}
        self.default: Queue | None = next((one for one in queues if one.is_default), None)

    def queue(self, slug: str) -> str:
        return self.names.get(slug, slug)

    def words(self, rule: Mapping[str, Any]) -> str:
        return conditions.in_words(rule["condition"], self.catalogue)

    def rules(
        self,
        rules: Sequence[Mapping[str, Any]],
        problems: Mapping[int, Mapping[str, str]] | None = None,
    ) -> list[dict[str, Any]]:
        return [
            {
                "place": place,
                "number": place + 1,
                "name": rule["name"],
                "queue": self.queue(rule["queue"]),
                "is_active": rule["is_active"],
                "words": self.words(rule),
                "problems": list((problems or {}).get(place, {}).values()),
                "is_first": place == 0,
                "is_last": place == len(rules) - 1,
            }
            for place, rule in enumerate(rules)
        ]

    def changes(
        self, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        return [self._change(change) for change in rule_changes.compare_rules(before, after)]

    def _change(self, change: RuleChange) -> dict[str, Any]:
        told: dict[str, Any] = {
            "sort": change.sort,
            "label": change.sort.capitalize(),
            "tag": _SORTS[change.sort],
            "name": change.name,
            "lines": [],
        }
        old, new = change.before, change.after
        if old is None or new is None:
            told["words"] = f"{self.words(new or old)} → {self.queue((new or old)['queue'])}"
            return told
        pairs = [
            ("Name", old["name"], new["name"]),
            (_("When"), self.words(old), self.words(new)),
            ("Queue", self.queue(old["queue"]), self.queue(new["queue"])),
            ("Is", _on(old), _on(new)),
        ]
        told["lines"] = [
            {"what": what, "before": was, "after": now} for what, was, now in pairs if was != now
        ]
        if change.is_moved:
            told["lines"].append(
                {
                    "what": "Place",
                    "before": change.place_before + 1,
                    "after": change.place_after + 1,
                }
            )
        return told


def _on(rule: Mapping[str, Any]) -> str:
    return "on" if rule["is_active"] else "off"


def _rules_before(platform: Platform) -> list[dict[str, Any]]:
    """What the draft begins with: itself, else what is published."""
    standing = routing_versions.find_draft(platform) or routing_versions.find_published(platform)
    return standing.rules if standing else []


def _edition(request: HttpRequest) -> int:
    text = request.POST.get("edition", "0")
    return int(text) if text.isdecimal() and len(text) < 9 else 0


def _get_version(person: Person, verb: str, platform: str, number: int) -> RoutingVersion:
    rows = RoutingVersion.objects.select_related("platform", "published_by", "restores").exclude(
        state=RoutingVersion.State.DRAFT
    )
    return access.get(person, verb, rows.filter(platform__slug=platform), "platform", number=number)
