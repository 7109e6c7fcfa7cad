"""The desk: one job at a time. Every answer renders the next job: a fragment for htmx, the page
by redirect for everybody else."""

import math
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf.locale import LANG_INFO
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.text import capfirst
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from reviews import (
    access,
    blind,
    claims,
    comfort,
    decisions,
    desk,
    metrics,
    notes,
    ranking,
    shortages,
    wellness,
)
from reviews.errors import ClaimLost, Conflict
from reviews.models import (
    Item,
    ItemVersion,
    Job,
    Lane,
    Person,
    PolicyVersion,
    Queue,
    Review,
    Verdict,
)

from .answer_form import answer_of, number_of, seconds_revealed, time_left


class Sitting(NamedTuple):
    """How far she is: carried from answer to answer by the form, so nothing is counted twice."""

    done: int
    waiting: int

    @property
    def total(self) -> int:
        return self.done + self.waiting

    def after_one_more(self) -> "Sitting":
        return Sitting(self.done + 1, max(self.waiting - 1, 0))


class Moment(NamedTuple):
    at: datetime
    text: str


@require_GET
@never_cache
def review(request: HttpRequest, slug: str) -> HttpResponse:
    """The job she holds in this queue, else the next one, hers from now on. ?lane= keeps a lead to
    one lane."""
    queue = access.get_queue_to_work(request.user, slug)
    sitting = Sitting(metrics.decided_today(request.user), metrics.waiting(queue))
    lane = request.GET.get("lane") or None
    if queue.page_size > 1 and lane is None:
        return redirect("reviews:grid", slug=slug)
    try:
        job = claims.claim_next(queue, by=request.user, lane=lane)
    except Conflict as refusal:
        # Both her places are taken: what she needs is the way to them.
        held = claims.live_claims(request.user)
        if not held:
            raise
        context = {"queue": queue, "held": held, "refusal": refusal}
        return render(request, "reviews/both_taken.html", context, status=refusal.status)
    usual = metrics.usual_seconds(request.user, queue)
    return _desk(request, queue, job, sitting, lane=lane, usual_seconds=usual)


@require_POST
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    answer = answer_of(request)
    try:
        notes.leave_with(
            lambda: decisions.record_review(
                pk, request.POST.get("token", ""), by=request.user, **answer
            ),
            **time_left(request, pk),
        )
    except ClaimLost:
        # A second click on the same button: the first one was heard, and that is all she asked.
        recorded = _recorded(request)
        if recorded is None:
            raise
        if _differs(recorded, answer):
            messages.warning(request, _already(recorded))
    except Conflict as conflict:
        if "item_version" not in conflict.details:
            raise
        messages.warning(request, str(conflict))
        return _go_on(request, _queue(request, pk), _sitting(request), note=answer["note"])
    return _go_on(
        request, _queue(request, pk), _sitting(request).after_one_more(), shown=_shown(request)
    )


@require_POST
def skip(request: HttpRequest, pk: int) -> HttpResponse:
    _report_revealed(request, pk)
    token, reason = request.POST.get("token", ""), request.POST.get("skip_reason", "")
    job = notes.leave_with(
        lambda: claims.skip(pk, token, by=request.user, reason=reason),
        **time_left(request, pk),
    )
    return _go_on(request, job.queue, _sitting(request), shown=_shown(request))


@require_POST
@never_cache
def ahead(request: HttpRequest, slug: str) -> HttpResponse:
    """The job after the one on her screen, as a fragment that her page keeps until she answers;
    204 when there is none for her. Nothing of it counts as looked at."""
    queue = access.get_queue_to_work(request.user, slug)
    lane = request.POST.get("lane") or None
    job = _job_ahead(request, queue, lane)
    if job is None:
        return HttpResponse(status=204)
    # What will be hers once she is shown it: the lease begins then.
    seconds_kept = _seconds_until(job.expires_at) if job.is_prefetched else queue.lease_seconds
    job.expires_at = timezone.now() + timedelta(seconds=queue.lease_seconds)
    context = {
        "queue": queue,
        "job": job,
        "sitting": _sitting(request).after_one_more(),
        "lane": lane,
        "note": "",
        "seconds_kept": seconds_kept,
        "is_prefetched": job.is_prefetched,
        **_item_context(request.user, job),
        # What can be undone then is known then; and nobody reads messages in advance.
        "last": None,
        "messages": (),
    }
    return render(request, "reviews/_job.html", context)


@require_POST
def let_go(request: HttpRequest, pk: int) -> HttpResponse:
    """The page is left: what was fetched in advance is for somebody else. Nobody reads this."""
    claims.let_go(pk, request.POST.get("token", ""), by=request.user)
    return HttpResponse(status=204)


@require_POST
def release(request: HttpRequest, pk: int) -> HttpResponse:
    """Put the job back and stop: nothing new is claimed."""
    _report_revealed(request, pk)
    job = notes.leave_with(
        lambda: claims.release(pk, request.POST.get("token", ""), by=request.user),
        **time_left(request, pk),
    )
    messages.success(
        request,
        _("Put back. %(name)s keeps its place for the next person.") % {"name": job.queue.name},
    )
    return to_page(request, reverse("reviews:home"))


@require_POST
def renew(request: HttpRequest, pk: int) -> HttpResponse:
    """The heartbeat: answers with the clock, wound up again."""
    _report_revealed(request, pk)
    expires_at = claims.renew(pk, request.POST.get("token", ""), by=request.user)
    return render(request, "reviews/_claim_clock.html", {"job": Job(pk=pk), **_clock(expires_at)})


def desk_response(request: HttpRequest, queue: Queue) -> HttpResponse:
    """What an undo answers with: the desk of that queue, on the job just taken back."""
    return _go_on(request, queue, _sitting(request))


def _queue(request: HttpRequest, job_id: int) -> Queue:
    """The queue she goes on in: the one her form names. Claiming asks whether she works there."""
    queue_id = request.POST.get("queue", "")
    if queue_id.isdecimal():
        return desk.rules(int(queue_id)).queue
    return access.get_held_job(request.user, job_id).queue


def _job_ahead(request: HttpRequest, queue: Queue, lane: str | None) -> Job | None:
    try:
        job = claims.claim_next(queue, by=request.user, lane=lane, prefetch=True)
    except Conflict:
        # Both her places are taken. One she was shown before she undid another comes next.
        held = [job for job in claims.live_claims(request.user) if job.queue_id == queue.pk]
        job = next((one for one in held if one.pk != _shown(request)), None)
    return None if job is None or job.pk == _shown(request) else job


def _shown(request: HttpRequest) -> int | None:
    """The job her page shows while it asks, if it says so."""
    return int(number_of(request.POST.get("shown"))) or None


def _go_on(
    request: HttpRequest,
    queue: Queue,
    sitting: Sitting,
    *,
    note: str = "",
    shown: int | None = None,
) -> HttpResponse:
    """The next job. Where her page shows the right one already (`shown`), what it lacks is enough:
    the clock, the counts and what can be undone."""
    lane = request.POST.get("lane") or None
    if not request.htmx and not note:
        url = reverse("reviews:review", args=[queue.slug])
        return redirect(f"{url}?{urlencode({'lane': lane})}" if lane else url)
    job = claims.claim_next(queue, by=request.user, lane=lane)
    if shown is not None and job is not None:
        if job.pk == shown:
            return _arrived(request, queue, job, sitting, lane)
        messages.warning(
            request, _("The item you just saw went back to the queue. This one is yours.")
        )
    return _desk(request, queue, job, sitting, lane=lane, note=note)


def _arrived(
    request: HttpRequest, queue: Queue, job: Job, sitting: Sitting, lane: str | None
) -> HttpResponse:
    last = desk.last_undoable(request.user)
    if last is not None and blind.AUTHOR in blind.of_job(job.lane, queue):
        last = last._replace(author=None)
    context = {
        "queue": queue,
        "job": job,
        "sitting": sitting,
        "lane": lane,
        "last": last,
        **_clock(job.expires_at),
    }
    return render(request, "reviews/_arrived.html", context)


def to_page(request: HttpRequest, url: str) -> HttpResponse:
    if not request.htmx:
        return redirect(url)
    return HttpResponse(headers={"HX-Redirect": url})


def _desk(
    request: HttpRequest,
    queue: Queue,
    job: Job | None,
    sitting: Sitting,
    *,
    lane: str | None = None,
    note: str = "",
    usual_seconds: float | None = None,
) -> HttpResponse:
    context = {
        "usual_seconds": usual_seconds,
        "queue": queue,
        "job": job,
        "sitting": sitting,
        "lane": lane,
        "note": note,
        "rest": wellness.rest_of(request.user, queue),
        "may_override": access.may(request.user, "decision.override"),
    }
    if job is None:
        context["shortage"] = shortages.why_nothing(queue, by=request.user, lane=lane)
        context["guard"] = claims.guard_for(request.user, queue)
        context["lane_label"] = Lane(lane).label if lane else ""
        context["last"] = desk.last_undoable(request.user)
        context["others"] = _other_queues(request.user, queue)
    else:
        context |= _item_context(request.user, job)
        if blind.AUTHOR in context["hidden"] and context["last"] is not None:
            context["last"] = context["last"]._replace(author=None)
    template = "reviews/_job.html" if request.htmx else "reviews/review.html"
    return render(request, template, context)


def _item_context(person: Person, job: Job) -> dict:
    sight = desk.sight(job.item_id, by=person)
    item, version, layout, author, reports, near, media, last, beside = sight
    rules = desk.rules(job.queue_id)
    hidden = blind.of_job(job.lane, rules.queue)
    has_author = item.account_id is not None
    score_shown = blind.SCORE not in hidden and item.risk is not None
    tells_risk = blind.SCORE not in hidden and job.lane not in blind.SCORELESS_LANES
    blind.hide(item, hidden)
    numbers = access.may(person, "job.view")
    level, reason = why_now(item, job, rules.versions, numbers=numbers, hidden=hidden)
    return {
        "last": last,
        "item": item,
        "version": version,
        "blocks": layout.show(version.content, without=blind.hidden_roles(hidden), media=media),
        "language": language_name(item.language),
        "level": level and _(level),
        "severity": SEVERITY_OF_LEVEL.get(level, 1),
        "reason": reason,
        "score_shown": score_shown,
        **_clock(job.expires_at),
        "hidden": hidden,
        **_told(person, rules, job, hidden),
        "veil": wellness.covered_by(rules.queue, item.risks, tells_risk=tells_risk),
        "reports": [] if blind.REPORTS in hidden else reports,
        "author": None if blind.AUTHOR in hidden else author,
        "near": near,
        "beside": beside.own(person.pk) if blind.keeps_notes(job, hidden) else beside,
        "may_see_cluster": near is not None and access.may(person, "cluster.view"),
        "so_far": _so_far(job, item, version, hidden=hidden),
        "options": _options(rules, has_author=has_author),
        "dialogs": _dialogs(rules),
        "passed_on": _passed_on(job, hidden),
    }


def _told(person: Person, rules: desk.Rules, job: Job, hidden: frozenset[str]) -> dict[str, str]:
    """What is said of the queue's ways: the same for every job of it, so worked out once."""
    key = ("blind words", get_language())
    if key not in rules.kept:
        rules.kept[key] = blind.words(rules.queue.blind)
    filters = comfort.arrives(person, rules.queue.filters)
    # A lane can tell that somebody answered before.
    lane = "" if blind.HISTORY in hidden else str(Lane(job.lane).label)
    return {
        "blind_words": rules.kept[key],
        "lane_shown": lane,
        "filters": " ".join(filters),
        "filter_words": comfort.words(filters),
    }


def _options(rules: desk.Rules, *, has_author: bool) -> str:
    """Policies and actions as HTML: the same for every job of the queue, so made once."""
    key = ("options", get_language(), has_author)
    if key not in rules.kept:
        rules.kept[key] = render_to_string(
            "reviews/_options.html",
            {
                "queue": rules.queue,
                "policies": rules.policies,
                "actions": rules.actions_for(has_author=has_author),
            },
        )
    return rules.kept[key]


def _dialogs(rules: desk.Rules) -> str:
    """What S and E ask before they act: the same for every job of the queue, so made once."""
    key = ("dialogs", get_language())
    if key not in rules.kept:
        others = access.queues_to_escalate_to(rules.queue.platform_id)
        rules.kept[key] = render_to_string(
            "reviews/_dialogs.html",
            {"queue": rules.queue, "others": list(others.exclude(pk=rules.queue.pk))},
        )
    return rules.kept[key]


def _passed_on(job: Job, hidden: frozenset[str]) -> list[Review]:
    """Who could not settle it, and what she said: for whoever has to."""
    if job.lane != Lane.ADJUDICATION or blind.HISTORY in hidden:
        return []
    rows = Review.objects.filter(item=job.item_id, verdict__in=(Verdict.ESCALATE, Verdict.UNSURE))
    return list(rows.exclude(note="").select_related("reviewer").order_by("-pk")[:5])


def _clock(expires_at: datetime) -> dict[str, int]:
    """What is left of the claim, and after how long to renew it: a third of that."""
    left = _seconds_until(expires_at)
    return {"seconds_left": left, "heartbeat_seconds": max(left // 3, 1)}


SEVERITY_OF_LEVEL = {"Low": 1, "Medium": 2, "High": 3, "Critical": 4}


def why_now(
    item: Item,
    job: Job,
    versions: list[PolicyVersion],
    *,
    numbers: bool,
    hidden: frozenset[str] = blind.NOTHING,
) -> tuple[str, str]:
    """The level of the risk ("" where it is not told) and the reasons as a sentence of hers."""
    names = {version.policy.slug: version.policy.name for version in versions}
    known = {slug: risk for slug, risk in item.risks.items() if slug in names}
    slug = max(known, key=known.get, default=None)
    tells_risk = blind.SCORE not in hidden and job.lane not in blind.SCORELESS_LANES
    text = ranking.reasons(
        risk=known.get(slug),
        policy=names.get(slug, ""),
        report_count=item.report_count,
        views_per_hour=item.views_per_hour,
        views_so_far=item.views_so_far,
        minutes_left=(job.due_at - timezone.now()).total_seconds() / 60,
        lane=Lane.RISK if blind.HISTORY in hidden else job.lane,
        numbers=numbers,
        tells_risk=tells_risk,
        reporter_trust=item.reporter_trust,
    )
    if not tells_risk or slug is None:
        return "", capfirst(f"{text}.")
    level = ranking.risk_level(known[slug])
    return level, capfirst(f"{text.removeprefix(f'{_(level)}: ')}.")


def language_name(code: str) -> str:
    """ "pt-BR" → "Portuguese (pt-BR)": the name where we know one, else the code itself."""
    if not code:
        return ""
    info = LANG_INFO.get(code.lower())
    if info and "name" in info:
        return _(str(info["name"]))
    info = LANG_INFO.get(code.partition("-")[0].lower())
    return f"{_(str(info['name']))} ({code})" if info and "name" in info else code


def _so_far(job: Job, item: Item, version: ItemVersion, *, hidden: frozenset[str]) -> list[Moment]:
    moments = [Moment(item.submitted_at, _("Submitted"))]
    if version.number > 1:
        moments.append(
            Moment(version.created_at, _("Edited: version %(number)s") % {"number": version.number})
        )
    if item.scored_at:
        moments.append(
            Moment(
                item.scored_at, _("Scored by %(risk_source)s") % {"risk_source": item.risk_source}
            )
        )
    if blind.HISTORY in hidden:
        return sorted(moments)
    if job.lane == Lane.SECOND:
        moments.append(Moment(job.created_at, _("A second opinion is asked for: yours")))
    if job.lane == Lane.ADJUDICATION:
        moments.append(Moment(job.created_at, _("Escalated to you")))
    return sorted(moments)


def _other_queues(person: Person, queue: Queue) -> list[metrics.QueueFigures]:
    others = access.queues_to_work(person).exclude(pk=queue.pk)
    return [figures for figures in metrics.queue_figures(others) if figures.ready]


def _report_revealed(request: HttpRequest, pk: int) -> None:
    """A claim that goes on, or ends without an answer, was looked at too."""
    seconds = seconds_revealed(request)
    if seconds:
        token = request.POST.get("token", "")
        wellness.report_held(pk, token, by=request.user, seconds=seconds)


def _sitting(request: HttpRequest) -> Sitting:
    done, waiting = (int(number_of(request.POST.get(name))) for name in ("done", "waiting"))
    return Sitting(min(max(done, 0), 100_000), min(max(waiting, 0), 100_000))


def _recorded(request: HttpRequest) -> Review | None:
    """Her answer on this very claim, if she has given one."""
    token = request.POST["token"]
    return Review.objects.filter(claim__token=token, reviewer=request.user).first()


def _differs(review: Review, answer: dict) -> bool:
    if review.verdict != answer["verdict"]:
        return True
    violated = review.findings.filter(violates=True)
    slugs = set(violated.values_list("policy_version__policy__slug", flat=True))
    return slugs != set(answer["policy_slugs"])


def _already(review: Review) -> str:
    """Two windows on one job: the second answer is not the one that counts, and she is told."""
    return _(
        "You had answered that item already, in another window: %(verdict)s. "
        "Your second answer was not recorded; undo the first if it was wrong."
    ) % {"verdict": str(review.get_verdict_display()).lower()}


def _seconds_until(moment: datetime) -> int:
    return max(math.ceil((moment - timezone.now()).total_seconds()), 0)
