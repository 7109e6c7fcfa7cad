"""One item: what it says and said, and everything that happened to it, as one timeline."""

import difflib
import re
from collections.abc import Iterable
from typing import NamedTuple

from django.contrib import messages
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from reviews import (
    access,
    blind,
    comfort,
    conversations,
    desk,
    gold,
    layouts,
    placement,
    wellness,
)
from reviews.errors import NotFound
from reviews.layouts import TEXT_SHOWN, Layout
from reviews.models import (
    Decision,
    Item,
    ItemVersion,
    Job,
    Policy,
    PolicyVersion,
)
from reviews.ranking import Account
from reviews.routing import Router

from . import timeline
from .review import language_name, why_now

TEXT_STEP = 50_000
# A comparison by words costs their square: longer texts are shown whole instead.
_WORDS_COMPARED = 2_000


class Place(NamedTuple):
    """Why an open job stands where it does; the sum behind it is for leads."""

    job: Job
    level: str
    reason: str
    account: Account | None
    names: dict[str, str]  # policy slug → name

    @property
    def parts(self) -> list[tuple[str, float, float, float, float]]:
        assert self.account is not None  # noqa: S101  (asked where there is one)
        return [
            (self.names.get(part.policy) or _("any policy"), *part[1:], part.product)
            for part in self.account.parts
        ]


@require_GET
def item_detail(request: HttpRequest, pk: int) -> HttpResponse:
    item = access.get_item(request.user, pk)
    versions = _versions(item)
    jobs = list(item.jobs.select_related("queue", "claimed_by").order_by("created_at"))
    decisions = list(
        item.decisions.select_related(
            "decided_by", "queue", "item_version", "superseded_by", "review"
        )
        .prefetch_related("policy_versions__policy")
        .order_by("id")
    )
    may_see_work = access.may(request.user, "job.view")
    open_jobs = [job for job in jobs if job.state in (Job.State.READY, Job.State.CLAIMED)]
    # What a second reviewer or a blind queue must not be told while the question is open.
    hidden = blind.of_item(request.user, open_jobs)
    reviews = item.reviews.select_related("reviewer", "item_version").order_by("id")
    if open_jobs and (blind.HISTORY in hidden or not may_see_work):
        reviews = reviews.filter(reviewer=request.user)
    may_draw = access.may(request.user, "draw.create")
    if blind.HISTORY in hidden:
        # Of a check what stands is the answer; her own she knows.
        decisions = [one for one in decisions if one.decided_by_id == request.user.pk]
    newest = versions[-1]
    sight = desk.sight(item.pk)
    blind.hide(item, hidden)
    veil = _veil(item, jobs, hidden)
    title = "" if veil else newest.title()
    risks = _risks(item)
    blocks = Layout(item.kind.fields, item.kind.layout).show(
        newest.content, without=blind.hidden_roles(hidden), media=sight.media
    )
    standing = _standing(decisions)
    talk = conversations.around(item, newest.content)
    return render(
        request,
        "reviews/item_detail.html",
        {
            **told_talk(talk, newest, lines_of(talk.item_ids)),
            "item": item,
            "version": newest,
            "title": title,
            # The title is the head of the page already.
            "blocks": [one for one in blocks if not (title and one.block == "title")],
            "filters": " ".join(
                comfort.arrives(request.user, {name for job in jobs for name in job.queue.filters})
            ),
            "veil": veil,
            "language": language_name(item.language),
            "author": None if blind.AUTHOR in hidden else sight.author,
            "near": sight.near,
            "may_see_cluster": access.may(request.user, "cluster.view"),
            "risks": risks,
            "hidden": hidden,
            "blind_words": blind.words(hidden),
            "may_see_numbers": may_see_work,
            "may_see_rows": access.may(request.user, "snapshot.view"),
            "standing": standing,
            "may_undo_until": standing.undo_until
            if standing and standing.can_be_undone(timezone.now())
            else None,
            "may_override": access.may(request.user, "decision.override"),
            "open_jobs": [] if blind.HISTORY in hidden else open_jobs,
            "is_open": bool(open_jobs),
            "places": _places(item, open_jobs, numbers=may_see_work, hidden=hidden),
            "gold": getattr(item, "gold", None) if may_draw else None,
            "may_mark_gold": may_draw and standing is not None,
            "changes": [
                (later, changes(before, later))
                for before, later in zip(versions, versions[1:], strict=False)
            ],
            "api_url": reverse("reviews_api:item", args=[item.pk]),
            "timeline": timeline.read(
                request,
                timeline.Told(
                    item,
                    versions,
                    jobs,
                    decisions,
                    list(reviews),
                    risks,
                    may_see_work and blind.HISTORY not in hidden,
                    hidden,
                ),
            ),
        },
    )


def _veil(item: Item, jobs: Iterable[Job], hidden: frozenset[str]) -> list[str]:
    """The policies for which its text arrives covered, in any queue that it is or was in."""
    queues = {job.queue_id: job.queue for job in jobs}.values()
    tells = blind.SCORE not in hidden
    found = (wellness.covered_by(queue, item.risks, tells_risk=tells) for queue in queues)
    return list(dict.fromkeys(name for names in found for name in names))


@require_POST
def item_gold(request: HttpRequest, pk: int) -> HttpResponse:
    """Vouch for the decision that stands, or no longer: the form says which."""
    item = access.get_item_to_vouch_for(request.user, pk)
    if request.POST.get("gold") == "0":
        gold.unmark(item, by=request.user)
        messages.success(request, _("No longer gold. Nobody will be asked about it as a check."))
    else:
        gold.mark(item, by=request.user)
        messages.success(
            request, _("Marked as gold. It can be drawn for those who have not seen it.")
        )
    return redirect("reviews:item-detail", pk=item.pk)


@require_GET
def item_text(request: HttpRequest, pk: int) -> HttpResponse:
    """The rest of a long text, in steps: a fragment for htmx, else a page of its own."""
    item = access.get_item(request.user, pk)
    start = request.GET.get("from", "0")
    start = int(start) if start.isdecimal() and len(start) < 10 else 0
    name = request.GET.get("field", "")
    text = _text_of_field(request, item, name) if name else item.current_version.body()
    context = {
        "item": item,
        "field": name,
        "start": start,
        "text": text[start : start + TEXT_STEP],
        "next": start + TEXT_STEP,
        "body_left": max(len(text) - start - TEXT_STEP, 0),
    }
    template = "reviews/_text_rest.html" if request.htmx else "reviews/item_text.html"
    return render(request, template, context)


@require_GET
def item_original(request: HttpRequest, pk: int) -> HttpResponse:
    """One field exactly as it came, for the clipboard."""
    item = access.get_item(request.user, pk)
    text = _text_of_field(request, item, request.GET.get("field", ""))
    return HttpResponse(
        text,
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="item-{item.pk}.txt"'},
    )


def _text_of_field(request: HttpRequest, item: Item, name: str) -> str:
    hidden = blind.of_item(request.user, item.jobs.open().select_related("queue"))
    content = blind.content_of(item.kind, item.current_version.content, hidden)
    if name not in content:
        raise NotFound(_("This item has no such field."))
    return layouts.text_of(content[name])


def put_lines(items: Iterable[Item]) -> None:
    """Give each item `.line`: what it says, short, or that its text arrives covered."""
    items = list(items)
    covered = wellness.covered(items)
    by_id: dict[int, list[Item]] = {}
    for item in items:
        by_id.setdefault(item.pk, []).append(item)
    versions = ItemVersion.objects.filter(item__in=by_id, number=F("item__version_number"))
    for version in versions:
        version.item = by_id[version.item_id][0]
        for item in by_id[version.item_id]:
            item.line = (
                _("Item %(number)s, covered") % {"number": item.pk}
                if item.pk in covered
                else line_of(version)
            )


def lines_of(item_ids: Iterable[int]) -> dict[int, Item]:
    """Items by id, each with its `.line`."""
    items = Item.objects.select_related("kind").in_bulk(list(item_ids))
    put_lines(items.values())
    return items


def told_talk(
    talk: conversations.Conversation, version: ItemVersion, lines: dict[int, Item]
) -> dict:
    """What _talk.html shows of the conversation around this version; nothing where is none."""
    if talk.is_empty:
        return {}
    sides = {
        side: [lines[pk] for pk in getattr(talk, side)]
        for side in ("above", "before", "replies", "after")
    }
    return {"talk": talk, "own_line": line_of(version), **sides}


def line_of(version: ItemVersion) -> str:
    text = version.title() or version.body()[:400]
    return re.sub(r"\s+", " ", text).strip()[:160] or _("(no text)")


def changes(before: ItemVersion, after: ItemVersion) -> list[tuple[str, str]]:
    """(tag, text) runs from the older text to the newer; tag is "", "ins" or "del"."""
    old, new = (re.findall(r"\s+|\S+", version.text()) for version in (before, after))
    if len(old) + len(new) > _WORDS_COMPARED:
        return [("del", before.text()[:TEXT_SHOWN]), ("ins", after.text()[:TEXT_SHOWN])]
    runs = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            runs.append(("", "".join(old[i:j])))
            continue
        if j > i:
            runs.append(("del", "".join(old[i:j])))
        if m > k:
            runs.append(("ins", "".join(new[k:m])))
    return runs


def _versions(item: Item) -> list[ItemVersion]:
    versions = list(item.versions.order_by("number"))
    for version in versions:
        version.item = item
    return versions


def _places(item: Item, jobs: list[Job], *, numbers: bool, hidden: frozenset[str]) -> list[Place]:
    if not jobs or blind.HISTORY in hidden:
        return []
    numbers = numbers and not hidden
    router = Router(item.platform_id)
    places = []
    for job in jobs:
        if not numbers and job.lane in blind.SCORELESS_LANES:
            continue
        job.item = item
        in_force = PolicyVersion.objects.in_force().filter(policy__queues=job.queue_id)
        versions = list(in_force.select_related("policy"))
        level, reason = why_now(item, job, versions, numbers=numbers, hidden=hidden)
        account = placement.explain_rank(job, router=router) if numbers else None
        names = {version.policy.slug: version.policy.name for version in versions}
        places.append(Place(job, level, reason, account, names))
    return places


def _risks(item: Item) -> list[tuple[str, float]]:
    names = dict(
        Policy.objects.filter(platform=item.platform_id, slug__in=item.risks).values_list(
            "slug", "name"
        )
    )
    rows = [(names.get(slug, slug), risk) for slug, risk in item.risks.items()]
    return sorted(rows, key=lambda row: -row[1])


def _standing(decisions: list[Decision]) -> Decision | None:
    standing = [one for one in decisions if not hasattr(one, "superseded_by")]
    last = standing[-1] if standing else None
    return last if last and last.kind != Decision.Kind.UNDO else None
