"""The desk: one job at a time. Every answer renders the next job: a fragment for htmx, the page
by redirect for everybody else."""

import math
from datetime import datetime
from typing import NamedTuple

from django.conf.locale import LANG_INFO
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from reviews import access, claims, decisions, desk, metrics, ranking
from reviews.errors import ClaimLost, Conflict, Invalid
from reviews.models import (
    Claim,
    Item,
    ItemVersion,
    Job,
    Lane,
    Person,
    PolicyVersion,
    Queue,
    Verdict,
)

# Longer text is cut on the desk, with a way to the rest.
TEXT_SHOWN = 10_000
# Judged without the model's view: what they measure would be bent by it.
BLIND_LANES = frozenset({Lane.RANDOM, Lane.GOLD, Lane.QA})


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
    """The job she holds in this queue, else the next one, hers from now on."""
    queue = access.get_queue_to_work(request.user, slug)
    sitting = Sitting(metrics.decided_today(request.user), metrics.waiting(queue))
    job = claims.claim_next(queue, by=request.user)
    return _desk(request, queue, job, sitting)


@require_POST
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    answer = _answer(request)
    try:
        decisions.record_review(pk, request.POST.get("token", ""), by=request.user, **answer)
    except ClaimLost:
        # A second click on the same button: the first one was heard, and that is all she asked.
        if not _has_answered(request):
            raise
    except Conflict as conflict:
        if "item_version" not in conflict.details:
            raise
        messages.warning(request, str(conflict))
        return _go_on(request, _queue(request, pk), _sitting(request), note=answer["note"])
    return _go_on(request, _queue(request, pk), _sitting(request).after_one_more())


@require_POST
def skip(request: HttpRequest, pk: int) -> HttpResponse:
    job = claims.skip(pk, request.POST.get("token", ""), by=request.user)
    return _go_on(request, job.queue, _sitting(request))


@require_POST
def release(request: HttpRequest, pk: int) -> HttpResponse:
    """Put the job back and stop: nothing new is claimed."""
    job = claims.release(pk, request.POST.get("token", ""), by=request.user)
    messages.success(request, f"Put back. {job.queue.name} keeps its place for the next person.")
    return _to_page(request, reverse("reviews:home"))


@require_POST
def renew(request: HttpRequest, pk: int) -> HttpResponse:
    """The heartbeat: answers with the clock, wound up again."""
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


def _go_on(request: HttpRequest, queue: Queue, sitting: Sitting, *, note: str = "") -> HttpResponse:
    if not request.htmx and not note:
        return redirect("reviews:review", slug=queue.slug)
    job = claims.claim_next(queue, by=request.user)
    return _desk(request, queue, job, sitting, note=note)


def _to_page(request: HttpRequest, url: str) -> HttpResponse:
    if not request.htmx:
        return redirect(url)
    return HttpResponse(headers={"HX-Redirect": url})


def _desk(
    request: HttpRequest, queue: Queue, job: Job | None, sitting: Sitting, *, note: str = ""
) -> HttpResponse:
    context = {
        "queue": queue,
        "job": job,
        "sitting": sitting,
        "last": desk.last_undoable(request.user),
        "note": note,
    }
    if job is None:
        context["others"] = _other_queues(request.user, queue)
    else:
        context |= _item_context(request.user, job)
    template = "reviews/_job.html" if request.htmx else "reviews/review.html"
    return render(request, template, context)


def _item_context(person: Person, job: Job) -> dict:
    item, version, author, reports, near = desk.sight(job.item_id)
    rules = desk.rules(job.queue_id)
    is_blind = job.lane in BLIND_LANES
    level, reason = why_now(item, job, rules.versions, numbers=access.may(person, "job.view"))
    body = version.body()
    return {
        "item": item,
        "version": version,
        "title": version.title(),
        "body": body[:TEXT_SHOWN],
        "body_left": max(len(body) - TEXT_SHOWN, 0),
        "language": language_name(item.language),
        "details": other_fields(version),
        "level": level,
        "severity": SEVERITY_OF_LEVEL.get(level, 1),
        "reason": reason,
        "score_shown": not is_blind and item.risk is not None,
        **_clock(job.expires_at),
        "reports": reports,
        "author": author,
        "near": near,
        "may_see_cluster": near is not None and access.may(person, "cluster.view"),
        "so_far": _so_far(job, item, version, is_blind=is_blind),
        "options": _options(rules, has_author=item.account_id is not None),
    }


def _options(rules: desk.Rules, *, has_author: bool) -> str:
    """Policies and actions as HTML: the same for every job of the queue, so made once."""
    if has_author not in rules.kept:
        rules.kept[has_author] = render_to_string(
            "reviews/_options.html",
            {"policies": rules.policies, "actions": rules.actions_for(has_author=has_author)},
        )
    return rules.kept[has_author]


def _clock(expires_at: datetime) -> dict[str, int]:
    """What is left of the claim, and after how long to renew it: a third of that."""
    left = _seconds_until(expires_at)
    return {"seconds_left": left, "heartbeat_seconds": max(left // 3, 1)}


SEVERITY_OF_LEVEL = {"Low": 1, "Medium": 2, "High": 3, "Critical": 4}


def why_now(
    item: Item, job: Job, versions: list[PolicyVersion], *, numbers: bool
) -> tuple[str, str]:
    """The risk in one word ("" where it is not told) and the reasons as a sentence."""
    names = {version.policy.slug: version.policy.name for version in versions}
    known = {slug: risk for slug, risk in item.risks.items() if slug in names}
    slug = max(known, key=known.get, default=None)
    text = ranking.reasons(
        risk=known.get(slug),
        policy=names.get(slug, ""),
        report_count=item.report_count,
        views_per_hour=item.views_per_hour,
        minutes_left=(job.due_at - timezone.now()).total_seconds() / 60,
        lane=job.lane,
        numbers=numbers,
    )
    if job.lane in BLIND_LANES or slug is None:
        return "", f"{text}."
    level = ranking.risk_level(known[slug])
    return level, capfirst(f"{text.removeprefix(f'{level}: ')}.")


def language_name(code: str) -> str:
    """ "pt-BR" → "Portuguese (pt-BR)": the name where we know one, else the code itself."""
    if not code:
        return ""
    info = LANG_INFO.get(code.lower())
    if info and "name" in info:
        return str(info["name"])
    info = LANG_INFO.get(code.partition("-")[0].lower())
    return f"{info['name']} ({code})" if info and "name" in info else code


def other_fields(version: ItemVersion) -> list[tuple[str, str]]:
    """What the item carries beside title and text, as label and value."""
    return [
        (field.get("label") or field["name"], str(version.content[field["name"]]))
        for field in version.item.kind.fields
        if field.get("role") not in ("title", "text")
        and version.content.get(field["name"]) not in (None, "")
    ]


def _so_far(job: Job, item: Item, version: ItemVersion, *, is_blind: bool) -> list[Moment]:
    moments = [Moment(item.submitted_at, "Submitted")]
    if version.number > 1:
        moments.append(Moment(version.created_at, f"Edited: version {version.number}"))
    if item.scored_at and not is_blind:
        moments.append(Moment(item.scored_at, f"Scored by {item.risk_source}"))
    if job.lane == Lane.SECOND:
        moments.append(Moment(job.created_at, "Somebody was unsure and asks for your opinion"))
    if job.lane == Lane.ADJUDICATION:
        moments.append(Moment(job.created_at, "Escalated to you"))
    return sorted(moments)


def _other_queues(person: Person, queue: Queue) -> list[metrics.QueueFigures]:
    others = access.queues_to_work(person).exclude(pk=queue.pk)
    return [figures for figures in metrics.queue_figures(others) if figures.ready]


def _answer(request: HttpRequest) -> dict:
    """The form as typed values. What they mean together is the service's to judge."""
    post = request.POST
    policies = post.getlist("policy")
    verdict = post.get("verdict", "")
    if verdict in (Verdict.UNSURE, Verdict.ESCALATE):
        policies, actions = [], None
    elif post.get("clean") and policies:
        raise Invalid("Choose policies, or that nothing breaks a rule: not both.")
    elif post.get("clean"):
        verdict, actions = Verdict.CLEAN, None
    elif policies:
        verdict = Verdict.VIOLATING
        # None asks for the queue's usual action; an empty list says that she wants none.
        chosen = post.getlist("action")
        actions = chosen if chosen or post.get("actions_touched") else None
    else:
        raise Invalid("Choose a policy first, or 0 if nothing breaks a rule.")
    return {
        "verdict": verdict,
        "policy_slugs": policies,
        "action_slugs": actions,
        "note": post.get("note", ""),
        "active_seconds": _number(post.get("active_seconds")),
        "item_version_id": int(_number(post.get("item_version"))) or None,
        "score_shown": post.get("score_shown") == "1",
    }


def _sitting(request: HttpRequest) -> Sitting:
    done, waiting = (int(_number(request.POST.get(name))) for name in ("done", "waiting"))
    return Sitting(min(max(done, 0), 100_000), min(max(waiting, 0), 100_000))


def _number(text: str | None) -> float:
    try:
        number = float(text or 0)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def _has_answered(request: HttpRequest) -> bool:
    claim = Claim.objects.filter(
        token=request.POST["token"], reviewer=request.user, end=Claim.End.FINISHED
    )
    return claim.exists()


def _seconds_until(moment: datetime) -> int:
    return max(math.ceil((moment - timezone.now()).total_seconds()), 0)
