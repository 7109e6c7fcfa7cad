"""The desk with many jobs side by side. One form holds the page: what each button does with it is
the button's value, and every answer shows the same page again, in the same order."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from reviews import (
    access,
    batches,
    blind,
    claims,
    comfort,
    decisions,
    desk,
    grids,
    layouts,
    media,
    shortages,
)
from reviews.errors import Invalid
from reviews.models import Decision, Item, ItemVersion, Job, Queue, Verdict

from .review import SEVERITY_OF_LEVEL, why_now

NOTHING: Mapping[int, int] = {}
# Keys of the page itself, unless a policy has them.
_KEYS = {"clean": "0", "unsure": "a", "escalate": "e", "skip": "s", "rest": "c", "back": "p"}


class Option(NamedTuple):
    """One answer an item can be given; `levels` where its policy asks how severe it is, each an
    answer of its own in this one's place."""

    value: str
    label: str
    key: str
    severity: int = 0
    levels: Sequence["Option"] = ()


class Tile(NamedTuple):
    """One place on the page: a job she holds, or what became of it."""

    place: int
    job_id: int
    job: Job | None = None
    item: Item | None = None
    version: ItemVersion | None = None
    blocks: Sequence[layouts.Shown] = ()
    level: str = ""
    severity: int = 0
    reason: str = ""
    score_shown: bool = False
    answer: str = ""
    error: str = ""
    decision: Decision | None = None
    seconds_left: int = 0
    words: str = ""


@require_GET
@never_cache
def grid(request: HttpRequest, slug: str) -> HttpResponse:
    """What she holds in this queue, filled up to a page; hers from now on."""
    queue = access.get_queue_to_work(request.user, slug)
    if queue.page_size < 2:
        return redirect("reviews:review", slug=slug)
    jobs = grids.open_page(queue, by=request.user)
    return _page(request, queue, jobs)


@require_POST
def answer(request: HttpRequest, slug: str) -> HttpResponse:
    """Decide what is marked, or the rest; take one back; or put all back and stop."""
    queue = access.get_queue_to_work(request.user, slug)
    deed, _colon, key = request.POST.get("do", "marked").partition(":")
    if deed == "back":
        return _put_back(request, queue)
    if deed == "undo":
        decision = access.get_decision(request.user, int(key) if key.isdecimal() else 0)
        job = decisions.undo(decision, by=request.user)
        if job.claimed_by_id == request.user.pk:
            messages.success(request, _("Taken back. Nothing was carried out; decide again."))
        else:
            messages.success(request, _("Taken back. It waits at the top of the queue."))
        return _again(request, queue, again={decision.job_id: job.pk})
    jobs = {job.pk: job for job in grids.held(queue, by=request.user)}
    marks = _rest(request, jobs) if deed == "rest" else _marked(request, jobs)
    outcomes = grids.answer_page(
        marks,
        by=request.user,
        note=request.POST.get("note", ""),
        active_seconds=_number(request.POST.get("active_seconds")),
    )
    refused = [one for one in outcomes if one.error]
    done = len(outcomes) - len(refused)
    if done:
        messages.success(
            request, ngettext("%(n)s answered.", "%(n)s answered.", done) % {"n": done}
        )
    if refused:
        messages.warning(
            request,
            ngettext(
                "%(n)s was not answered; it says why.",
                "%(n)s were not answered; each says why.",
                len(refused),
            )
            % {"n": len(refused)},
        )
    return _again(request, queue, outcomes)


@require_POST
def renew(request: HttpRequest, slug: str) -> HttpResponse:
    """The heartbeat of the page: all its claims, wound up again together."""
    queue = access.get_queue_to_work(request.user, slug)
    tokens = {job: request.POST.get(f"token-{job}", "") for job in _order(request)}
    ends = batches.renew_batch(tokens, by=request.user)
    lost = [job for job, token in tokens.items() if token and job not in ends]
    return render(
        request,
        "reviews/_grid_clock.html",
        {"queue": queue, "lost": lost, **_clock(ends.values())},
    )


def _put_back(request: HttpRequest, queue: Queue) -> HttpResponse:
    revealed = {pk: seconds for pk in _order(request) if (seconds := _revealed(request, pk))}
    count = grids.put_back(queue, by=request.user, revealed=revealed)
    messages.success(
        request,
        ngettext(
            "%(n)s item was put back, undecided.", "%(n)s items were put back, undecided.", count
        )
        % {"n": count},
    )
    home = reverse("reviews:home")
    return HttpResponse(headers={"HX-Redirect": home}) if request.htmx else redirect(home)


def _again(
    request: HttpRequest,
    queue: Queue,
    outcomes: Sequence[grids.Outcome] = (),
    *,
    again: Mapping[int, int] = NOTHING,
) -> HttpResponse:
    """The same page after an answer: nothing new is claimed, and nothing moves. `again`: the job
    that a job was taken back to."""
    refused = any(one.error for one in outcomes)
    if not request.htmx and not refused:
        return redirect("reviews:grid", slug=queue.slug)
    jobs = grids.held(queue, by=request.user)
    order = [again.get(pk, pk) for pk in _order(request)]
    return _page(request, queue, jobs, order, outcomes, status=422 if refused else 200)


def _page(
    request: HttpRequest,
    queue: Queue,
    jobs: Sequence[Job],
    order: Sequence[int] = (),
    outcomes: Sequence[grids.Outcome] = (),
    *,
    status: int = 200,
) -> HttpResponse:
    rules = desk.rules(queue.pk)
    tiles = _tiles(request, queue, jobs, order, outcomes)
    filters = comfort.arrives(request.user, queue.filters)
    context = {
        "queue": queue,
        "tiles": tiles,
        "waiting": len(jobs),
        "options": _options(rules),
        "keys": _keys(rules),
        "note": request.POST.get("note", "") if any(one.error for one in outcomes) else "",
        "filters": " ".join(filters),
        "filter_words": comfort.words(filters),
        "blind_words": blind.words(queue.blind),
        **_clock(job.expires_at for job in jobs),
    }
    if not tiles:
        context["shortage"] = shortages.why_nothing(queue, by=request.user, lane=None)
        context["guard"] = claims.guard_for(request.user, queue)
    template = "reviews/_grid.html" if request.htmx else "reviews/grid.html"
    return render(request, template, context, status=status)


def _tiles(
    request: HttpRequest,
    queue: Queue,
    jobs: Sequence[Job],
    order: Sequence[int],
    outcomes: Sequence[grids.Outcome],
) -> list[Tile]:
    """Held and just decided, in the order she has before her."""
    held = {job.pk: job for job in jobs}
    decided = {one.job_id: one for one in grids.just_decided(queue, by=request.user)}
    said = {one.job_id: one for one in outcomes}
    order = list(dict.fromkeys([*order, *held, *reversed(decided)]))
    versions = grids.current_versions({one.item_id for one in (*held.values(), *decided.values())})
    pictures = media.shown_in([version.pk for version in versions.values()])
    shown: dict[int, layouts.Layout] = {}
    tiles = []
    for place, pk in enumerate(order, start=1):
        if pk in held:
            version = versions[held[pk].item_id]
            kind = version.item.kind
            layout = shown.setdefault(kind.pk, layouts.Layout(kind.fields, kind.layout))
            blocks = layout.show(
                version.content,
                without=blind.hidden_roles(blind.of_job(held[pk].lane, queue)),
                media=pictures.get(version.pk, {}),
            )
            tiles.append(_held(request, place, held[pk], version, blocks, said.get(pk)))
        elif pk in decided:
            tiles.append(_decided(place, decided[pk], versions[decided[pk].item_id]))
        else:
            tiles.append(Tile(place, pk, words=_gone(said.get(pk))))
    return tiles


def _held(
    request: HttpRequest,
    place: int,
    job: Job,
    version: ItemVersion,
    blocks: Sequence[layouts.Shown],
    outcome: grids.Outcome | None,
) -> Tile:
    item = version.item
    rules = desk.rules(job.queue_id)
    hidden = blind.of_job(job.lane, rules.queue)
    score_shown = blind.SCORE not in hidden and item.risk is not None
    blind.hide(item, hidden)
    numbers = access.may(request.user, "job.view")
    level, reason = why_now(item, job, rules.versions, numbers=numbers, hidden=hidden)
    return Tile(
        place,
        job.pk,
        job=job,
        item=item,
        version=version,
        blocks=blocks,
        level=level and _(level),
        severity=SEVERITY_OF_LEVEL.get(level, 1),
        reason=reason,
        score_shown=score_shown,
        answer=outcome.answer if outcome else request.POST.get(f"mark-{job.pk}", ""),
        error=outcome.error if outcome else "",
    )


def _decided(place: int, decision: Decision, version: ItemVersion) -> Tile:
    names = [one.policy.name for one in decision.policy_versions.all()]
    words = ", ".join(names) or str(Verdict(decision.verdict).label)
    left = _seconds_until(decision.undo_until)
    return Tile(
        place,
        decision.job_id,
        item=version.item,
        decision=decision,
        seconds_left=left,
        words=words,
    )


def _gone(outcome: grids.Outcome | None) -> str:
    """What became of a place whose job she no longer holds, and did not decide."""
    if outcome is None or outcome.error:
        return outcome.error if outcome else _("No longer yours.")
    return {
        "skip": _("Skipped. Somebody else gets it."),
        "unsure": _("Somebody else is asked."),
        "escalate": _("A lead is asked."),
    }.get(outcome.answer, _("Answered."))


def _marked(request: HttpRequest, jobs: dict[int, Job]) -> list[grids.Mark]:
    marks = []
    for pk in _order(request):
        answer = request.POST.get(f"mark-{pk}", "")
        if answer and (pk in jobs or request.POST.get(f"token-{pk}")):
            marks.append(_mark(request, pk, answer))
    if not marks:
        raise Invalid(_("Mark an item first: its answer, or that it is clean."))
    return marks


def _rest(request: HttpRequest, jobs: dict[int, Job]) -> list[grids.Mark]:
    """Clean: those on the page that she saw and did not mark, and as many as she was told."""
    seen = {int(pk) for pk in request.POST.getlist("seen") if pk.isdecimal()}
    rest = [
        pk
        for pk in _order(request)
        if pk in jobs and pk in seen and not request.POST.get(f"mark-{pk}")
    ]
    if not rest or _number(request.POST.get("rest_count")) != len(rest):
        raise Invalid(
            _("The page has changed since it counted the rest. Nothing was decided: look again.")
        )
    return [_mark(request, pk, str(Verdict.CLEAN)) for pk in rest]


def _mark(request: HttpRequest, pk: int, answer: str) -> grids.Mark:
    version = request.POST.get(f"version-{pk}", "")
    return grids.Mark(
        pk,
        request.POST.get(f"token-{pk}", ""),
        answer,
        item_version_id=int(version) if version.isdecimal() else None,
        score_shown=request.POST.get(f"score-{pk}") == "1",
        revealed_seconds=_revealed(request, pk),
    )


def _options(rules: desk.Rules) -> list[Option]:
    keys = _keys(rules)
    policies = [
        Option(
            f"policy:{option.version.policy.slug}",
            option.version.policy.name,
            option.key,
            option.version.severity,
            _levels(option),
        )
        for option in rules.policies
    ]
    return [
        *policies,
        Option("clean", _("Clean"), keys["clean"]),
        Option("unsure", _("Ask somebody else"), keys["unsure"]),
        Option("escalate", _("Escalate to a lead"), keys["escalate"]),
        Option("skip", _("Skip"), keys["skip"]),
    ]


def _levels(option: desk.PolicyOption) -> list[Option]:
    slug = option.version.policy.slug
    return [
        Option(f"policy:{slug}:{number}", level, str(number), option.version.severity)
        for number, level in enumerate(option.version.severity_levels, start=1)
    ]


def _keys(rules: desk.Rules) -> dict[str, str]:
    taken = {option.key for option in rules.policies}
    return {name: "" if key in taken else key for name, key in _KEYS.items()}


def _order(request: HttpRequest) -> list[int]:
    """The jobs of the page she has before her, as they stand there."""
    return [int(pk) for pk in request.POST.getlist("job") if pk.isdecimal()][:48]


def _revealed(request: HttpRequest, pk: int) -> float | None:
    told = request.POST.get(f"revealed-{pk}")
    return None if told is None else _number(told)


def _clock(ends: Iterable[datetime]) -> dict[str, int]:
    """What is left of the claim that ends first, and after how long to renew: a third of that."""
    left = _seconds_until(min(ends, default=timezone.now()))
    return {"seconds_left": left, "heartbeat_seconds": max(left // 3, 1)}


def _seconds_until(moment: datetime) -> int:
    return max(math.ceil((moment - timezone.now()).total_seconds()), 0)


def _number(text: str | None) -> float:
    try:
        number = float(text or 0)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0
