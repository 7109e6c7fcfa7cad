"""Clusters of near-duplicates: the odd ones out, and one answer for those that were looked at.

A member can be chosen only after a page has shown it: each page signs what it showed to whom, and
comes back with the choice.
"""

import difflib
import re
import statistics
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from django.contrib import messages
from django.core import signing
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from reviews import access, claims, cluster_reach, cluster_reads, cluster_work, wellness
from reviews.cluster_reach import Answer, Seen
from reviews.errors import Invalid
from reviews.layouts import TEXT_SHOWN
from reviews.models import (
    Action,
    Cluster,
    ClusterAnswer,
    ClusterMember,
    ClusterOperation,
    Decision,
    Item,
    ItemVersion,
    Job,
    PolicyVersion,
    Queue,
    Verdict,
)
from reviews.wording import figure, midsentence

from .items import put_lines
from .review import language_name
from .tables import csv_response

PAGE = 50
_SEEN_FOR = 12 * 3600  # seconds: a page that was opened earlier has to be opened again
_SALT = "cluster-seen"
# Words and spaces that are compared; a longer text is told by its similarity and can be opened.
_COMPARED = 1_400
# Of a run of words that are the same, so many stay at each end.
_KEPT = 8
_LINK = re.compile(r"(?:https?://|www\.)([^\s/<>\"')\]]+)", re.IGNORECASE)
_ORDERS = (
    ("waiting", lazy("Most waiting")),
    ("views", lazy("Most views")),
    ("newest", lazy("Newest")),
)


class Shown(NamedTuple):
    """One member as the page shows it."""

    member: ClusterMember
    item: Item
    version: ItemVersion
    runs: list[tuple[str, str]]  # against the anchor; empty: the same text
    is_too_long: bool
    odd: list[str]  # what sets it apart from the others
    state: str
    is_waiting: bool
    obstacle: str  # why it cannot be chosen


@require_GET
def cluster_list(request: HttpRequest) -> HttpResponse:
    access.check(request.user, "cluster.view")
    order = request.GET.get("order", "waiting")
    order = order if order in dict(_ORDERS) else "waiting"
    is_all = request.GET.get("state") == "all"
    page = request.GET.get("page", "1")
    page = min(int(page), 100) if page.isdecimal() and len(page) < 5 and int(page) else 1
    rows = cluster_reads.list_clusters(
        access.platform_ids(request.user),
        order=order,
        only_waiting=not is_all,
        limit=PAGE + 1,
        offset=(page - 1) * PAGE,
    )
    items = Item.objects.select_related("kind").in_bulk([row.item_id for row in rows])
    put_lines(items.values())
    shown = [(row, items[row.item_id]) for row in rows[:PAGE]]
    if request.GET.get("format") == "csv":
        head = ["cluster", "says", *cluster_reads.Row._fields[1:]]
        lines = ((row.pk, item.line, *row[1:]) for row, item in shown)
        return csv_response("clusters.csv", head, lines)
    return render(
        request,
        "reviews/cluster_list.html",
        {
            "rows": shown,
            "orders": _ORDERS,
            "order": order,
            "is_all": is_all,
            "page": page,
            "has_next": len(rows) > PAGE,
            "most": cluster_reads.MOST_CLUSTERS,
        },
    )


@require_http_methods(["GET", "POST"])
def cluster_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """A page of members. POST keeps what was chosen on the pages before, and writes nothing."""
    cluster = access.get_cluster(request.user, pk)
    seen, chosen = _carried(request, cluster)
    return _detail(request, cluster, seen, chosen)


def _detail(
    request: HttpRequest,
    cluster: Cluster,
    seen: dict[int, int],
    chosen: list[int],
    *,
    refusal: Invalid | None = None,
) -> HttpResponse:
    anchor = _anchor(cluster)
    after = _place(request.POST.get("after") or request.GET.get("after", ""))
    found = cluster_reads.members(cluster, limit=PAGE + 1, after=after)
    members = found[:PAGE]
    shown = _shown(cluster, anchor, members, request)
    may_decide = access.may(request.user, "cluster.decide")
    queues = access.queues_to_work(request.user).filter(platform=cluster.platform_id)
    on_page = {one.item.pk for one in shown}
    body = anchor.body()
    context = {
        "cluster": cluster,
        "anchor": anchor,
        "veil": _veil(anchor, shown),
        "title": anchor.title(),
        "body": body[:TEXT_SHOWN],
        "body_left": max(len(body) - TEXT_SHOWN, 0),
        "verdicts": [
            (Verdict(verdict).label, number)
            for verdict, number in cluster_reads.verdicts(cluster).items()
        ],
        "members": shown,
        "may_decide": may_decide,
        "chosen": set(chosen),
        "kept": [pk for pk in chosen if pk not in on_page],
        "seen_tokens": request.POST.getlist("seen"),
        "seen_token": _sign(request, cluster, shown),
        "next": _as_text(members[-1]) if len(found) > PAGE else "",
        "policies": _policies(queues),
        "actions": Action.objects.filter(queues__in=queues).distinct(),
        "given": request.POST,
        "given_policies": request.POST.getlist("policy"),
        "given_actions": request.POST.getlist("action"),
        "errors": refusal.details if refusal else {},
    }
    status = 422 if refusal else 200
    return render(request, "reviews/cluster_detail.html", context, status=status)


@require_POST
def preview(request: HttpRequest, pk: int) -> HttpResponse:
    """What the answer would reach, before it is given."""
    cluster = access.get_cluster_to_decide(request.user, pk)
    seen, chosen = _carried(request, cluster)
    answer = _answer(request)
    try:
        radius = cluster_reach.measure_radius(
            cluster, _as_seen(seen, chosen), answer, by=request.user
        )
    except Invalid as refusal:
        return _detail(request, cluster, seen, chosen, refusal=refusal)
    items = [*radius.decided, *(item for item, _rest in radius.skipped)]
    put_lines(items)
    names = dict(Action.objects.filter(platform=cluster.platform_id).values_list("slug", "name"))
    policies = dict(cluster.platform.policies.values_list("slug", "name"))
    return render(
        request,
        "reviews/cluster_preview.html",
        {
            "cluster": cluster,
            "radius": radius,
            "answer": answer,
            "verdict": Verdict(answer.verdict).label,
            "policies": [policies.get(slug, slug) for slug in answer.policy_slugs],
            "actions": [names.get(slug, slug) for slug in answer.action_slugs],
            "chosen": chosen,
            "seen_tokens": request.POST.getlist("seen"),
            "token": uuid.uuid4(),
            "at_once": cluster_work.AT_ONCE,
        },
    )


@require_POST
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    cluster = access.get_cluster_to_decide(request.user, pk)
    seen, chosen = _carried(request, cluster)
    operation = cluster_work.decide_members(
        cluster,
        _as_seen(seen, chosen),
        _answer(request),
        by=request.user,
        token=_token(request),
    )
    return redirect("reviews:cluster-operation", pk=operation.pk)


@require_GET
def operation(request: HttpRequest, pk: int) -> HttpResponse:
    """What came of it, member by member."""
    return render(request, "reviews/cluster_operation.html", _operation(request, pk))


@require_GET
def progress(request: HttpRequest, pk: int) -> HttpResponse:
    """The same as a fragment, while a worker is at it."""
    return render(request, "reviews/_cluster_answers.html", _operation(request, pk))


@require_POST
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    done = access.get_cluster_operation(request.user, pk)
    counts = cluster_work.undo_operation(done, by=request.user)
    words = _("%(count)s taken back; they wait on top of their queues.")
    text = words % {"count": figure(counts["undone"])}
    if counts["left"]:
        more = _("%(count)s could not be: the reason stands beside each.")
        text += " " + more % {"count": figure(counts["left"])}
    messages.success(request, text)
    return redirect("reviews:cluster-operation", pk=done.pk)


def _operation(request: HttpRequest, pk: int) -> dict:
    done: ClusterOperation = access.get_cluster_operation(request.user, pk)
    answers = list(
        done.answers.select_related(
            "item__kind", "item__account", "decision__superseded_by"
        ).order_by("state", "pk")
    )
    put_lines(answer.item for answer in answers)
    now = claims.clock()
    for answer in answers:
        decision = answer.decision
        answer.stands = decision is not None and not hasattr(decision, "superseded_by")
        answer.is_undoable = answer.stands and decision.can_be_undone(now)
    states = [answer.state for answer in answers]
    return {
        "operation": done,
        "answers": answers,
        "decided": states.count(ClusterAnswer.State.DECIDED),
        "skipped": states.count(ClusterAnswer.State.SKIPPED),
        "undone": states.count(ClusterAnswer.State.UNDONE),
        "waiting": states.count(ClusterAnswer.State.WAITING),
        "is_mine": done.by_id == request.user.pk,
        "is_undoable": done.by_id == request.user.pk
        and any(answer.is_undoable for answer in answers),
        "may_override": access.may(request.user, "decision.override"),
        "both_taken": done.by_id == request.user.pk
        and len(claims.live_claims(request.user)) >= Job.MAX_CLAIMS,
    }


def _shown(
    cluster: Cluster,
    anchor: ItemVersion,
    members: Sequence[ClusterMember],
    request: HttpRequest,
) -> list[Shown]:
    items = {member.item_id: member.item for member in members}
    put_lines(items.values())
    versions = {
        version.item_id: version
        for version in ItemVersion.objects.filter(item__in=items, number=F("item__version_number"))
    }
    standing = {
        decision.item_id: decision
        for decision in Decision.objects.current()
        .exclude(kind=Decision.Kind.UNDO)
        .filter(item__in=items)
        .select_related("decided_by")
    }
    open_jobs = {
        job.item_id: job
        for job in Job.objects.open().filter(item__in=items).select_related("claimed_by", "queue")
    }
    obstacles = cluster_reach.obstacles(list(items), by=request.user) if items else {}
    decided = cluster_reads.verdicts(cluster)
    usual = _usual(decided)
    now = claims.clock()
    ages = [
        (now - item.account.joined_at).days
        for item in items.values()
        if item.account and item.account.joined_at
    ]
    median = statistics.median(ages) if ages else None
    anchor_text, anchor_links = anchor.text(), _domains(anchor.text())
    shown = []
    for member in members:
        item, version = items[member.item_id], versions[member.item_id]
        version.item = item
        text = version.text()
        runs, is_too_long = _runs(anchor_text, text)
        decision, job = standing.get(item.pk), open_jobs.get(item.pk)
        odd = []
        if item.language != anchor.item.language:
            odd.append(
                _("in %(language)s") % {"language": language_name(item.language)}
                if item.language
                else _("in no known language")
            )
        odd += _odd_account(item, median, now)
        if _domains(text) != anchor_links:
            odd.append(_("other links"))
        if decision and usual and decision.verdict != usual:
            odd.append(
                _("decided %(decision)s, unlike the others")
                % {"decision": midsentence(decision.get_verdict_display())}
            )
        shown.append(
            Shown(
                member,
                item,
                version,
                runs,
                is_too_long,
                odd,
                _state(job, decision),
                job is not None and job.state == Job.State.READY,
                obstacles[item.pk][1],
            )
        )
    return shown


def _veil(anchor: ItemVersion, shown: Iterable[Shown]) -> list[str]:
    """The policies for which text on this page arrives covered: they say nearly the same, so if one
    of them does, all do."""
    found = wellness.covered([anchor.item, *(one.item for one in shown)])
    return list(dict.fromkeys(name for names in found.values() for name in names))


def _usual(decided: dict[str, int]) -> str:
    """The verdict that most of them got; "" where none stands out."""
    counts = sorted(decided.values(), reverse=True)
    if not counts or counts[:1] == counts[1:2]:
        return ""
    return max(decided, key=lambda verdict: decided[verdict])


def _state(job: Job | None, decision: Decision | None) -> str:
    if job is not None and job.state == Job.State.CLAIMED:
        return _("held by %(claimed_by)s") % {"claimed_by": job.claimed_by}
    if job is not None:
        return _("waiting in %(queue)s") % {"queue": job.queue}
    if decision is not None:
        return _("%(decision)s, by %(decided_by)s") % {
            "decision": midsentence(decision.get_verdict_display()),
            "decided_by": decision.decided_by,
        }
    return _("nothing waits")


def _odd_account(item: Item, median: float | None, now: datetime) -> list[str]:
    """An account far older or far newer than those of its neighbours here."""
    if median is None or item.account is None or item.account.joined_at is None:
        return []
    days = (now - item.account.joined_at).days
    if days > 10 * median + 60:
        return [_("a much older account")]
    if 10 * days + 60 < median:
        return [_("a much newer account")]
    return []


def _domains(text: str) -> frozenset[str]:
    return frozenset(match.casefold().rstrip(".,;:") for match in _LINK.findall(text))


def _runs(anchor: str, text: str) -> tuple[list[tuple[str, str]], bool]:
    """Words that differ, with a few around them; ([], True) where that would cost too much."""
    if anchor == text:
        return [], False
    old, new = (re.findall(r"\s+|\S+", one) for one in (anchor, text))
    if len(old) + len(new) > _COMPARED:
        return [], True
    runs = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            runs.append(("", _shortened(old[i:j])))
            continue
        if j > i:
            runs.append(("del", "".join(old[i:j])))
        if m > k:
            runs.append(("ins", "".join(new[k:m])))
    return runs, False


def _shortened(words: list[str]) -> str:
    if len(words) <= 4 * _KEPT:
        return "".join(words)
    return "".join([*words[: 2 * _KEPT], " … ", *words[-2 * _KEPT :]])


def _anchor(cluster: Cluster) -> ItemVersion:
    version: ItemVersion = cluster.anchor.item_version
    return version


def _sign(request: HttpRequest, cluster: Cluster, shown: Iterable[Shown]) -> str:
    """What this page shows, to whom: the only members that she may choose."""
    pairs = [(one.item.pk, one.version.pk) for one in shown if not one.obstacle]
    return signing.dumps([cluster.pk, request.user.pk, pairs], salt=_SALT, compress=True)


def _carried(request: HttpRequest, cluster: Cluster) -> tuple[dict[int, int], list[int]]:
    """Item → version of all that was shown to her, and the items she chose among them."""
    seen: dict[int, int] = {}
    for token in request.POST.getlist("seen")[:100]:
        try:
            cluster_id, person_id, pairs = signing.loads(token, salt=_SALT, max_age=_SEEN_FOR)
        except signing.BadSignature:
            raise Invalid(_("This page is too old, or not one of ours. Open it again.")) from None
        if (cluster_id, person_id) != (cluster.pk, request.user.pk):
            raise Invalid(_("This page was opened for another cluster or person. Open it again."))
        seen |= dict(pairs)
    chosen = [int(pk) for pk in request.POST.getlist("item") if pk.isdecimal() and len(pk) < 19]
    if unseen := [pk for pk in chosen if pk not in seen]:
        raise Invalid(
            _("%(unseen)s of the members you chose were not shown to you. Look at them first.")
            % {"unseen": len(unseen)}
        )
    return seen, list(dict.fromkeys(chosen))


def _as_seen(seen: dict[int, int], chosen: Sequence[int]) -> list[Seen]:
    return [Seen(pk, seen[pk]) for pk in chosen]


def _answer(request: HttpRequest) -> Answer:
    post = request.POST
    is_violating = post.get("verdict") == Verdict.VIOLATING
    return Answer(
        post.get("verdict", ""),
        post.getlist("policy") if is_violating else (),
        post.getlist("action") if is_violating else (),
        post.get("note", ""),
    )


def _token(request: HttpRequest) -> uuid.UUID:
    try:
        return uuid.UUID(request.POST.get("token", ""))
    except ValueError:
        raise Invalid(_("This form is not one of ours. Start again from the cluster.")) from None


def _place(text: str) -> tuple[float, int] | None:
    value, _rest, pk = text.partition("~")
    try:
        similarity = float(value)
    except ValueError:
        return None
    if not pk.isdecimal() or len(pk) > 18 or not 0 <= similarity <= 1:
        return None
    return similarity, int(pk)


def _policies(queues: QuerySet[Queue]) -> QuerySet[PolicyVersion]:
    """What may be found in any of these queues, each policy once: by the version in force."""
    in_force = PolicyVersion.objects.in_force().filter(policy__queues__in=queues)
    found = PolicyVersion.objects.filter(pk__in=in_force.values("pk"))
    return found.select_related("policy").order_by("policy__position", "policy_id")


def _as_text(member: ClusterMember) -> str:
    return f"{member.similarity!r}~{member.pk}"
