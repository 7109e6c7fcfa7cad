"""Queues, as those who answer for them set them up."""

import math

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from reviews import access, lanes, metrics, queue_settings, queues, revisions, tasks
from reviews.errors import Conflict, Invalid
from reviews.forms.queues import QueueForm
from reviews.models import Lane, Queue, Report, Revision
from reviews.queue_settings import Data
from reviews.wording import figure, midsentence

from . import configuring


@require_GET
def queue_list(request: HttpRequest) -> HttpResponse:
    """What runs, in its order, and what is archived below."""
    rows = access.visible(request.user, "setup.view", Queue.objects.all(), "platform")
    rows = rows.select_related("platform").prefetch_related("policies", "members")
    figures = metrics.queue_figures(rows)
    saved = {
        row.target_id: row
        for row in Revision.objects.filter(
            target_type="queue", target_id__in=[row.queue.pk for row in figures]
        )
        .order_by("target_id", "-number")
        .distinct("target_id")
        .select_related("by")
    }
    table = [(row, saved.get(row.queue.pk)) for row in figures]
    return render(
        request,
        "reviews/setup_queue_list.html",
        {
            "live": [row for row in table if not row[0].queue.is_archived],
            "archived": [row for row in table if row[0].queue.is_archived],
            "may_edit": access.may(request.user, "queue.edit"),
            "has_platforms": len(configuring.platforms_of(request.user)) > 1,
        },
    )


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    access.check(request.user, "queue.edit")
    asked = request.POST.get("platform", "") or request.GET.get("platform", "")
    platform = configuring.platform_of(request.user, asked)
    queue = Queue(platform=platform)
    if request.method == "GET":
        return _page(request, queue, _form(request, queue, queue_settings.NEW))
    form = _form(request, queue, queue_settings.NEW, data=request.POST)
    if "preview" in request.POST:
        return _draft(request, queue, form)
    if form.is_valid():
        try:
            queue = queues.create_queue(
                platform,
                form.cleaned_data["slug"],
                form.typed(),
                by=request.user,
                note=form.cleaned_data["note"],
            )
        except Invalid as error:
            form.put_errors(error.details)
        else:
            messages.success(
                request,
                _("%(name)s is open. Routing decides what comes into it.") % {"name": queue.name},
            )
            return redirect("reviews:setup-queue-edit", slug=queue.slug)
    return _page(request, Queue(platform=platform), form, status=422)


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    queue = access.get_queue_to_set_up(request.user, slug)
    state = queue_settings.read(queue)
    if request.method == "GET":
        form = _form(request, queue, state)
        form.initial |= _proposed(request)
        return _page(request, queue, form)
    access.check(request.user, "queue.edit", queue.platform_id)
    form = _form(request, queue, state, data=request.POST)
    if "preview" in request.POST:
        return _draft(request, queue, form)
    if form.is_valid():
        typed = form.typed()
        seen, note = form.cleaned_data["seen"], form.cleaned_data["note"]
        try:
            queues.save_queue(queue, typed, by=request.user, seen=seen, note=note)
        except Invalid as error:
            form.put_errors(error.details)
        except Conflict as conflict:
            if not configuring.is_stale(conflict):
                raise
            return _stale(request, queue, typed, seen or 0, note)
        else:
            _say_saved(request, queue, state)
            return redirect("reviews:setup-queue-edit", slug=queue.slug)
    return _page(request, queue, form, status=422)


def _proposed(request: HttpRequest) -> dict[str, str]:
    """What a replay's link brings: filled in, and saved by nobody but her."""
    names = ("doubling_hours", "handling_minutes", "sla_minutes", "soon_minutes")
    names += tuple(f"sla_{source}" for source in Report.Source.values)
    found = {name: request.GET[name] for name in names if _is_number(request.GET.get(name))}
    if _is_number(weight := request.GET.get("report_weight")):
        found["report_percent"] = f"{float(weight) * 100:g}"
    if found:
        messages.info(
            request,
            _("These are the parameters that were replayed. Nothing changes until you save."),
        )
    if any(name.startswith("weight_") for name in request.GET):
        messages.warning(
            request,
            _("Severity weights belong to the policies: change them in a new version there."),
        )
    return found


def _is_number(text: str | None) -> bool:
    try:
        return text is not None and math.isfinite(float(text))
    except ValueError:
        return False


@require_POST
def restore(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    queue = access.get_queue_to_set_up(request.user, slug)
    state = queue_settings.read(queue)
    queues.put_back(queue, number, by=request.user, seen=configuring.seen(request))
    _say_saved(request, queue, state, _("Revision %(number)s is put back.") % {"number": number})
    return redirect("reviews:setup-queue-edit", slug=queue.slug)


@require_POST
def archive(request: HttpRequest, slug: str) -> HttpResponse:
    queue = access.get_queue_to_set_up(request.user, slug)
    queues.archive_queue(queue, by=request.user, seen=configuring.seen(request))
    tasks.rerank_queues.delay()
    messages.success(
        request,
        _("%(name)s is archived. What waited there moves on by the rules.") % {"name": queue.name},
    )
    return redirect("reviews:setup-queue-list")


@require_POST
def unarchive(request: HttpRequest, slug: str) -> HttpResponse:
    queue = access.get_queue_to_set_up(request.user, slug)
    queues.unarchive_queue(queue, by=request.user, seen=configuring.seen(request))
    messages.success(
        request, _("%(name)s is back. Routing decides what comes into it.") % {"name": queue.name}
    )
    return redirect("reviews:setup-queue-edit", slug=queue.slug)


def _form(request: HttpRequest, queue: Queue, state: Data, **kw) -> QueueForm:
    kw.setdefault("seen", configuring.newest(queue) if queue.pk else 0)
    return QueueForm(
        kw.pop("data", None),
        queue=queue,
        state=state,
        may_staff=access.may(request.user, "queue.staff"),
        **kw,
    )


def _page(
    request: HttpRequest, queue: Queue, form: QueueForm, *, status: int = 200, **more
) -> HttpResponse:
    may_edit = access.may(request.user, "queue.edit") and not queue.is_archived
    if not may_edit:
        form.make_read_only()
    is_new = queue.pk is None
    steps = [] if is_new else revisions.steps(queue)
    context = {
        "queue": queue,
        "form": form,
        "may_edit": may_edit,
        "may_archive": access.may(request.user, "queue.edit") and not is_new,
        "platforms": configuring.platforms_of(request.user) if is_new else [],
        "figures": None if is_new else metrics.queue_figures([queue])[0],
        "steps": steps,
        "newest": steps[0].revision.number if steps else 0,
        "labels": queue_settings.LABELS_WITH_UNITS,
        "restore_name": "reviews:setup-queue-restore",
        "restore_key": queue.slug,
        "may_restore": may_edit,
        **_draft_context(queue, form),
        **more,
    }
    return render(request, "reviews/setup_queue_edit.html", context, status=status)


def _draft(request: HttpRequest, queue: Queue, form: QueueForm) -> HttpResponse:
    """What would change, and what would follow, before it is saved."""
    if not request.htmx:
        form.is_valid()
        return _page(request, queue, form)
    context = {"labels": queue_settings.LABELS_WITH_UNITS, **_draft_context(queue, form)}
    return render(request, "reviews/_queue_draft.html", context)


def _draft_context(queue: Queue, form: QueueForm) -> dict:
    before = form.state
    if not form.is_bound:
        return {"follows": _what_follows(queue, before, before)}
    if not form.is_valid():
        return {"is_wrong": True, "follows": _what_follows(queue, before, before)}
    after = {**before, **form.typed()}
    is_wrong = False
    try:
        queue_settings.check(queue, after)
    except Invalid as error:
        is_wrong = True
        form.put_errors(error.details)
    return {
        "is_wrong": is_wrong,
        "changes": [] if queue.pk is None else revisions.compare(before, after),
        "follows": _what_follows(queue, before, after),
    }


def _stale(request: HttpRequest, queue: Queue, typed: Data, seen: int, note: str) -> HttpResponse:
    """Somebody saved while she typed: her changes on top of theirs, to be saved knowingly."""
    queue = access.get_queue_to_set_up(request.user, queue.slug)
    newest = queue_settings.read(queue)
    found = configuring.meanwhile(queue, seen, typed, newest)
    form = _form(request, queue, {**newest, **found.data}, note=note)
    return _page(request, queue, form, status=409, meanwhile=found)


def _say_saved(request: HttpRequest, queue: Queue, before: Data, first: str = "") -> None:
    after = queue_settings.read(_fresh(queue))
    changed = {change.name for change in revisions.compare(before, after)}
    if not changed:
        messages.info(request, _("Nothing was different, so nothing was saved."))
        return
    words = first or _("Saved.")
    if changed & queue_settings.RANKING:
        tasks.rerank_queues.delay()
        words += " " + _("Waiting jobs are ranked again within seconds.")
    messages.success(request, words)


def _fresh(queue: Queue) -> Queue:
    return Queue.objects.get(pk=queue.pk)


def _what_follows(queue: Queue, before: Data, after: Data) -> list[str]:
    """The consequences of the settings, in sentences. Counts are of now."""
    lines = []
    changed = {change.name for change in revisions.compare(before, after)}
    if queue.pk and changed & queue_settings.RANKING:
        waiting = metrics.waiting(queue, most=metrics.MOST_COUNTED)
        if waiting:
            lines.append(
                _("%(waiting)s will be ranked again, within seconds of saving.")
                % {"waiting": _jobs(waiting)}
            )
    if after["is_default"] and not before["is_default"]:
        lines.append(_("Items that no rule routes come here, those that wait elsewhere too."))
    leaving = sorted(set(before["members"]) - set(after["members"]))
    if leaving:
        lines.append(
            _("%(leaving)s will give back what they hold here, at once.")
            % {"leaving": _(" and ").join(leaving)}
        )
    people = len(after["members"])
    if not people:
        lines.append(_("Nobody works it: what comes in waits until you choose somebody."))
    wanted = after["reviews_wanted"]
    if wanted > 1 and people:
        lines.append(
            _(
                "Each item takes %(wanted)s people's time: %(people)s people do the "
                "work of %(share)s."
            )
            % {"wanted": wanted, "people": people, "share": f"{people / wanted:.1f}"}
        )
    lines.append(_rank_words(after))
    lines += _share_words(after)
    lines.append(_due_words(after))
    if after["undo_seconds"]:
        lines.append(
            _("Actions are carried out %(seconds)s s after a decision.")
            % {"seconds": after["undo_seconds"]}
        )
    else:
        lines.append(_("Actions are carried out at once: no decision can be taken back."))
    return lines


def _jobs(count: int) -> str:
    if count >= metrics.MOST_COUNTED:
        return _("%(count)s+ waiting jobs") % {"count": figure(count)}
    words = ngettext("%(count)s waiting job", "%(count)s waiting jobs", count)
    return words % {"count": figure(count)}


def _rank_words(data: Data) -> str:
    return _("An item that waits %(hours)s h longer stands level with one of twice its harm.") % {
        "hours": f"{data['doubling_hours']:g}"
    }


def _share_words(data: Data) -> list[str]:
    lines = []
    if data["random_percent"]:
        words = _("With a random draw of %(share)s %%, %(part)s of the new items are drawn by lot.")
        lines.append(words % _part(data["random_percent"]))
    if data["qa_percent"]:
        words = _("Somebody else looks again at %(part)s of the decisions.")
        lines.append(words % _part(data["qa_percent"]))
    for lane, share in data["lane_shares"].items():
        if share:
            words = _(
                "With a share of %(share)s %%, %(part)s of the claims look for %(lane)s first."
            )
            lines.append(words % {**_part(share), "lane": midsentence(Lane(lane).label)})
    stored = {lane: share / 100 for lane, share in data["lane_shares"].items()}
    risk = 100 * lanes.effective_shares(stored)["risk"]
    lines.append(
        _(
            "While all lanes have work, %(risk)s %% of the claims look for risk "
            "first; what an empty lane leaves goes to the others."
        )
        % {"risk": f"{risk:.0f}"}
    )
    return lines


def _part(percent: float) -> dict[str, str]:
    """20 % → "about 1 in 5"; beyond two thirds the share itself is plainer."""
    share = figure(percent)
    if percent < 67:
        part = _("about 1 in %(count)s") % {"count": figure(round(100 / percent))}
    else:
        part = f"{share} %"
    return {"share": share, "part": part}


def _due_words(data: Data) -> str:
    words = _("A job is overdue %(span)s after its item came")
    parts = [words % {"span": _span(data["sla_minutes"])}]
    for source, count in data["sla_by_source"].items():
        words = _("%(span)s after a report by %(source)s")
        label = midsentence(Report.Source(source).label)
        parts.append(words % {"span": _span(count), "source": label})
    return f"{'; '.join(parts)}."


def _span(minutes: float) -> str:
    """90 → "90 min", 240 → "4 h": exact, in the largest unit that is whole."""
    for size, words in ((1440, _("%(count)s days")), (60, _("%(count)s h"))):
        if minutes >= 2 * size and minutes % size == 0:
            return words % {"count": figure(minutes / size)}
    return _("%(count)s min") % {"count": figure(minutes)}
