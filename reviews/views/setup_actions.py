"""Actions, as leads and policy owners set them up."""

from django.contrib import messages
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from reviews import access, actions, revisions
from reviews.errors import Conflict, Invalid
from reviews.forms.actions import ActionForm
from reviews.models import Action, Enforcement, QueueAction

from . import configuring

_OFFERS = Prefetch(
    "offers",
    QueueAction.objects.filter(queue__is_archived=False)
    .select_related("queue")
    .order_by("queue__position", "queue_id"),
)
_MOST_COUNTED = 10_000


@require_GET
def action_list(request: HttpRequest) -> HttpResponse:
    rows = access.visible(request.user, "setup.view", Action.objects.all(), "platform")
    rows = list(rows.select_related("platform").prefetch_related(_OFFERS))
    return render(
        request,
        "reviews/setup_action_list.html",
        {
            "live": [action for action in rows if not action.is_archived],
            "archived": [action for action in rows if action.is_archived],
            "may_edit": access.may(request.user, "action.edit"),
            "has_platforms": len(configuring.platforms_of(request.user)) > 1,
        },
    )


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    access.check(request.user, "action.edit")
    asked = request.POST.get("platform", "") or request.GET.get("platform", "")
    action = Action(platform=configuring.platform_of(request.user, asked))
    if request.method == "GET":
        return _page(request, action, ActionForm(action=action, state=actions.NEW))
    form = ActionForm(request.POST, action=action, state=actions.NEW)
    if "more" in request.POST:
        return _more_rows(request, action, form)
    if form.is_valid():
        slug, note = form.cleaned_data["slug"], form.cleaned_data["note"]
        try:
            made = actions.create_action(
                action.platform, slug, form.typed(), by=request.user, note=note
            )
        except Invalid as error:
            form.put_errors(error.details)
        else:
            messages.success(
                request,
                _("%(name)s is there. Queues offer it once it is chosen in them.")
                % {"name": made.name},
            )
            return redirect("reviews:setup-action-edit", slug=made.slug)
    return _page(request, action, form, status=422)


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    action = access.get_action(request.user, slug)
    state = actions.read(action)
    seen = configuring.newest(action)
    if request.method == "GET":
        return _page(request, action, ActionForm(action=action, state=state, seen=seen))
    access.check(request.user, "action.edit", action.platform_id)
    form = ActionForm(request.POST, action=action, state=state, seen=seen)
    if "more" in request.POST:
        return _more_rows(request, action, form)
    if form.is_valid():
        typed = form.typed()
        seen, note = form.cleaned_data["seen"], form.cleaned_data["note"]
        try:
            actions.save_action(action, typed, by=request.user, seen=seen, note=note)
        except Invalid as error:
            form.put_errors(error.details)
        except Conflict as conflict:
            if not configuring.is_stale(conflict):
                raise
            return _stale(request, action, typed, seen or 0, note)
        else:
            _say_saved(request, action, state)
            return redirect("reviews:setup-action-edit", slug=action.slug)
    return _page(request, action, form, status=422)


@require_POST
def restore(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    action = access.get_action(request.user, slug)
    state = actions.read(action)
    actions.put_back(action, number, by=request.user, seen=configuring.seen(request))
    _say_saved(request, action, state, _("Revision %(number)s is put back.") % {"number": number})
    return redirect("reviews:setup-action-edit", slug=action.slug)


@require_POST
def archive(request: HttpRequest, slug: str) -> HttpResponse:
    action = access.get_action(request.user, slug)
    actions.archive_action(action, by=request.user, seen=configuring.seen(request))
    messages.success(
        request, _("%(name)s is archived. Past decisions keep it.") % {"name": action.name}
    )
    return redirect("reviews:setup-action-list")


@require_POST
def unarchive(request: HttpRequest, slug: str) -> HttpResponse:
    action = access.get_action(request.user, slug)
    actions.unarchive_action(action, by=request.user, seen=configuring.seen(request))
    messages.success(
        request, _("%(name)s is back. Queues can offer it again.") % {"name": action.name}
    )
    return redirect("reviews:setup-action-edit", slug=action.slug)


def _page(
    request: HttpRequest, action: Action, form: ActionForm, *, status: int = 200, **more
) -> HttpResponse:
    may = access.may(request.user, "action.edit")
    is_new = action.pk is None
    may_edit = may and not action.is_archived
    if not may_edit:
        form.make_read_only()
    steps = [] if is_new else revisions.steps(action)
    asked_for = Enforcement.objects.filter(action=action.pk)[:_MOST_COUNTED].count()
    context = {
        "action": action,
        "form": form,
        "may_edit": may_edit,
        "may_archive": may and not is_new,
        "platforms": configuring.platforms_of(request.user) if is_new else [],
        "offers": []
        if is_new
        else action.offers.filter(queue__is_archived=False)
        .select_related("queue")
        .order_by("queue__position", "queue_id"),
        "asked_for": asked_for,
        "is_capped": asked_for >= _MOST_COUNTED,
        "steps": steps,
        "newest": steps[0].revision.number if steps else 0,
        "labels": actions.LABELS,
        "restore_name": "reviews:setup-action-restore",
        "restore_key": action.slug,
        "may_restore": may_edit,
        "is_wrong": form.is_bound and status == 422,
        **more,
    }
    return render(request, "reviews/setup_action_edit.html", context, status=status)


def _more_rows(request: HttpRequest, action: Action, form: ActionForm) -> HttpResponse:
    """The same form, as typed, with room for more parameters. Nothing is saved."""
    post = request.POST.copy()
    post["rows"] = str(min(len(form.parameters) + 3, actions.MOST_PARAMETERS + 2))
    longer = ActionForm(post, action=action, state=form.state)
    return _page(request, action, longer)


def _stale(
    request: HttpRequest, action: Action, typed: actions.Data, seen: int, note: str
) -> HttpResponse:
    """Somebody saved while she typed: her changes on top of theirs, to be saved knowingly."""
    action = access.get_action(request.user, action.slug)
    newest = actions.read(action)
    found = configuring.meanwhile(action, seen, typed, newest)
    state = {**newest, **found.data}
    form = ActionForm(action=action, state=state, seen=configuring.newest(action), note=note)
    return _page(request, action, form, status=409, meanwhile=found)


def _say_saved(request: HttpRequest, action: Action, before: actions.Data, words: str = "") -> None:
    after = actions.read(Action.objects.get(pk=action.pk))
    if revisions.compare(before, after):
        messages.success(
            request, _("%(words)s Desks show it within seconds.") % {"words": words or _("Saved.")}
        )
    else:
        messages.info(request, _("Nothing was different, so nothing was saved."))
