"""Who works here: the list, a page for each, and what an admin or a lead changes there."""

from urllib.parse import urlencode

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from reviews import access, people, queues, revisions
from reviews.errors import Conflict, Forbidden, Invalid, NotFound
from reviews.forms.people import PersonForm, WorksForm
from reviews.models import Job, Person, Platform, Queue, Review, Role

from . import configuring
from .tables import csv_response

PAGE = 200
STATES = (
    ("", lazy("Active")),
    ("inactive", lazy("May not sign in")),
    ("removed", lazy("Removed")),
    ("all", lazy("All")),
)


@require_GET
def person_list(request: HttpRequest) -> HttpResponse:
    """Filtered by what the URL says; the CSV is what is shown."""
    asked = {name: request.GET.get(name, "").strip() for name in ("q", "role", "queue", "state")}
    rows = _filtered(_with_facts(request.user, access.people_to_see(request.user)), asked, request)
    found = list(rows.order_by("username")[: PAGE + 1])
    table = [_row(person) for person in found[:PAGE]]
    if request.GET.get("format") == "csv":
        return _csv(table)
    mine = access.platform_ids(request.user)
    query = urlencode({name: value for name, value in asked.items() if value})
    return render(
        request,
        "reviews/person_list.html",
        {
            "rows": table,
            "is_cut": len(found) > PAGE,
            "most": PAGE,
            "asked": asked,
            "roles": Role.choices,
            "states": STATES,
            "queues": Queue.objects.filter(platform__in=mine, is_archived=False),
            "csv_url": f"?{query}&format=csv" if query else "?format=csv",
            "may_edit": access.may(request.user, "person.edit"),
        },
    )


@never_cache
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Add somebody; the answer shows, once, the link by which she sets her password."""
    access.check(request.user, "person.edit")
    asked = request.POST.get("platform", "") or request.GET.get("platform", "")
    platform = configuring.platform_of(request.user, asked)
    state = {"roles": [Role.REVIEWER.value]}
    if request.method == "GET":
        return _new_page(request, platform, PersonForm(person=Person(), state=state))
    form = PersonForm(request.POST, person=Person(), state=state)
    if form.is_valid():
        name, note = form.cleaned_data["username"], form.cleaned_data["note"]
        try:
            person = people.create_person(platform, name, form.typed(), by=request.user, note=note)
        except Invalid as error:
            form.put_errors(error.details)
        else:
            people.record_link(person, platform, by=request.user)
            return _link_page(request, person, is_new=True)
    return _new_page(request, platform, form, status=422)


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, username: str) -> HttpResponse:
    person, platform = _found(request, username)
    state = people.read(person, platform)
    seen = configuring.newest(person, platform=platform)
    if request.method == "GET":
        form = PersonForm(person=person, state=state, seen=seen)
        return _page(request, person, platform, form)
    access.check(request.user, "person.edit", platform)
    form = PersonForm(request.POST, person=person, state=state, seen=seen)
    if form.is_valid():
        typed = form.typed()
        seen, note = form.cleaned_data["seen"], form.cleaned_data["note"]
        try:
            people.save_person(person, platform, typed, by=request.user, seen=seen, note=note)
        except Invalid as error:
            form.put_errors(error.details)
        except Conflict as conflict:
            if not configuring.is_stale(conflict):
                raise
            return _stale(request, person, platform, typed, seen or 0, note)
        else:
            messages.success(request, _("Saved. Roles hold from her next click on."))
            return _back(person, platform)
    return _page(request, person, platform, form, status=422)


@require_POST
def works(request: HttpRequest, username: str) -> HttpResponse:
    """Which queues she works: a lead's choice. Each queue that changes keeps a revision of it."""
    person, platform = _found(request, username)
    access.check(request.user, "queue.staff", platform)
    form = WorksForm(request.POST, person=person, platform=platform)
    if form.is_valid():
        try:
            queues.staff(person, platform, form.cleaned_data["queues"], by=request.user)
        except Invalid as error:
            for text in error.details.get("queues", [str(error)]):
                form.add_error("queues", text)
        else:
            messages.success(request, _("Saved."))
            return _back(person, platform)
    state = people.read(person, platform)
    seen = configuring.newest(person, platform=platform)
    own = PersonForm(person=person, state=state, seen=seen)
    return _page(request, person, platform, own, status=422, works=form)


@require_POST
def deactivate(request: HttpRequest, username: str) -> HttpResponse:
    person, platform = _found(request, username)
    people.deactivate_person(person, platform, by=request.user)
    messages.success(
        request,
        _("%(username)s is signed out and cannot sign in. What she held waits again.")
        % {"username": person.username},
    )
    return _back(person, platform)


@require_POST
def reactivate(request: HttpRequest, username: str) -> HttpResponse:
    person, platform = _found(request, username)
    people.reactivate_person(person, platform, by=request.user)
    messages.success(
        request,
        _("%(username)s may sign in again. She works no queue yet.")
        % {"username": person.username},
    )
    return _back(person, platform)


@require_POST
def remove(request: HttpRequest, username: str) -> HttpResponse:
    person, platform = _found(request, username)
    people.remove_person(person, platform, by=request.user)
    messages.success(
        request,
        _("%(username)s is off %(name)s. Her answers stay hers.")
        % {"username": person.username, "name": platform.name},
    )
    return redirect("reviews:setup-person-list")


@require_POST
def add_again(request: HttpRequest, username: str) -> HttpResponse:
    person, platform = _found(request, username)
    people.add_again(person, platform, by=request.user)
    messages.success(
        request, _("%(username)s is back. She works no queue yet.") % {"username": person.username}
    )
    return _back(person, platform)


@never_cache
@require_POST
def link(request: HttpRequest, username: str) -> HttpResponse:
    """A new link by which she sets her password; an earlier one works until it is used."""
    person, platform = _found(request, username)
    people.record_link(person, platform, by=request.user)
    return _link_page(request, person)


@require_POST
def restore(request: HttpRequest, username: str, number: int) -> HttpResponse:
    person, platform = _found(request, username)
    people.put_back(person, platform, number, by=request.user, seen=configuring.seen(request))
    messages.success(request, _("Revision %(number)s is put back.") % {"number": number})
    return _back(person, platform)


def _found(request: HttpRequest, username: str) -> tuple[Person, Platform]:
    """Her, and the platform the page is about: the one asked for, else the first you share."""
    person = access.get_person(request.user, username)
    mine = configuring.platforms_of(request.user)
    asked = request.POST.get("platform", "") or request.GET.get("platform", "")
    hers = set(person.platforms.values_list("pk", flat=True))
    shared = [platform for platform in mine if platform.pk in hers]
    chosen = [platform for platform in mine if platform.slug == asked] if asked else shared or mine
    if not chosen:
        raise NotFound(_("There is no such person here."))
    return person, chosen[0]


def _back(person: Person, platform: Platform) -> HttpResponse:
    url = reverse("reviews:setup-person-edit", args=[person.username])
    return redirect(f"{url}?platform={platform.slug}")


def _with_facts(by: Person, rows: QuerySet[Person]) -> QuerySet[Person]:
    """With what a list shows of each, in as many queries however many there are."""
    mine = access.platform_ids(by)
    newest = Review.objects.filter(reviewer=OuterRef("pk")).order_by("-created_at")
    held = Job.objects.filter(claimed_by=OuterRef("pk"), state=Job.State.CLAIMED)
    members = Platform.members.through.objects.filter(platform__in=mine, person=OuterRef("pk"))
    return rows.annotate(
        reviewed_at=Subquery(newest.values("created_at")[:1]),
        claimed_at=Subquery(held.order_by("-claimed_at").values("claimed_at")[:1]),
        has_second_factor=Exists(
            Authenticator.objects.filter(user=OuterRef("pk"), type=Authenticator.Type.TOTP)
        ),
        is_here=Exists(members),
    ).prefetch_related(
        "groups",
        Prefetch("queues", Queue.objects.filter(platform__in=mine, is_archived=False)),
    )


def _filtered(rows: QuerySet[Person], asked: dict, request: HttpRequest) -> QuerySet[Person]:
    if words := asked["q"].replace("\x00", ""):
        rows = rows.filter(
            Q(username__icontains=words)
            | Q(first_name__icontains=words)
            | Q(last_name__icontains=words)
            | Q(email__icontains=words)
        )
    if asked["role"] in Role.values:
        links = Person.groups.through.objects
        rows = rows.filter(Exists(links.filter(person=OuterRef("pk"), group__name=asked["role"])))
    if asked["queue"]:
        links = Queue.members.through.objects.filter(
            queue__platform__in=access.platform_ids(request.user), queue__slug=asked["queue"]
        )
        rows = rows.filter(Exists(links.filter(person=OuterRef("pk"))))
    if asked["state"] == "removed":
        return rows.filter(is_here=False)
    if asked["state"] == "inactive":
        return rows.filter(is_here=True, is_active=False)
    return rows if asked["state"] == "all" else rows.filter(is_here=True, is_active=True)


def _row(person: Person) -> dict:
    known = {group.name for group in person.groups.all()}
    moments = [at for at in (person.reviewed_at, person.claimed_at) if at is not None]
    return {
        "person": person,
        "roles": [str(label) for value, label in Role.choices if value in known],
        "queues": [queue.name for queue in person.queues.all()],
        "active_at": max(moments, default=None),
    }


def _csv(table: list[dict]) -> HttpResponse:
    head = ["username", "name", "email", "roles", "queues", "last_active", "second_factor"]
    return csv_response(
        "people.csv",
        [*head, "may_sign_in", "on_platform"],
        (
            (
                row["person"].username,
                row["person"].get_full_name(),
                row["person"].email,
                ", ".join(str(role) for role in row["roles"]),
                ", ".join(row["queues"]),
                row["active_at"],
                "on" if row["person"].has_second_factor else "off",
                "yes" if row["person"].is_active else "no",
                "yes" if row["person"].is_here else "no",
            )
            for row in table
        ),
    )


def _new_page(
    request: HttpRequest, platform: Platform, form: PersonForm, *, status: int = 200
) -> HttpResponse:
    context = {
        "form": form,
        "platform": platform,
        "platforms": configuring.platforms_of(request.user),
        "is_wrong": status == 422,
    }
    return render(request, "reviews/person_new.html", context, status=status)


def _page(
    request: HttpRequest,
    person: Person,
    platform: Platform,
    form: PersonForm,
    *,
    status: int = 200,
    works: WorksForm | None = None,
    **more,
) -> HttpResponse:
    row = _row(_with_facts(request.user, Person.objects.filter(pk=person.pk)).get())
    is_member = platform.members.filter(pk=person.pk).exists()
    may_edit = access.may(request.user, "person.edit") and is_member
    may_staff = access.may(request.user, "queue.staff") and is_member and person.is_active
    if not may_edit:
        form.make_read_only()
    works = works or WorksForm(person=person, platform=platform)
    if not may_staff:
        works.fields["queues"].disabled = True
    steps = revisions.steps(person, platform=platform)
    context = {
        "person": person,
        "platform": platform,
        "platforms": [
            one for one in configuring.platforms_of(request.user) if one in person.platforms.all()
        ],
        "row": row,
        "form": form,
        "works": works,
        "is_member": is_member,
        "is_self": person.pk == request.user.pk,
        "may_edit": may_edit,
        "may_add": access.may(request.user, "person.edit") and not is_member,
        "may_staff": may_staff,
        "steps": steps,
        "labels": people.LABELS,
        "restore_name": "reviews:setup-person-restore",
        "restore_key": person.username,
        "may_restore": may_edit,
        "is_wrong": form.is_bound and status == 422,
        **more,
    }
    return render(request, "reviews/person_edit.html", context, status=status)


def _stale(
    request: HttpRequest,
    person: Person,
    platform: Platform,
    typed: people.Data,
    seen: int,
    note: str,
) -> HttpResponse:
    person = access.get_person(request.user, person.username)
    newest = people.read(person, platform)
    found = configuring.meanwhile(person, seen, typed, newest, platform=platform)
    number = configuring.newest(person, platform=platform)
    state = {**newest, **found.data}
    form = PersonForm(person=person, state=state, seen=number, note=note)
    return _page(request, person, platform, form, status=409, meanwhile=found)


@sensitive_variables()
def _link_page(request: HttpRequest, person: Person, *, is_new: bool = False) -> HttpResponse:
    """The one time the link is known: it is not stored, and only its use sets a password."""
    if not person.is_active:
        raise Forbidden(
            _("%(username)s may not sign in. Reactivate her first.") % {"username": person.username}
        )
    path = reverse(
        "account_reset_password_from_key",
        kwargs={
            "uidb36": user_pk_to_url_str(person),
            "key": default_token_generator.make_token(person),
        },
    )
    context = {
        "person": person,
        "url": request.build_absolute_uri(path),
        "is_new": is_new,
        "hours": settings.PASSWORD_RESET_TIMEOUT // 3600,
    }
    return render(request, "reviews/person_link.html", context)
