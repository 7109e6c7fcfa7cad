"""The queue browser: jobs by filters, and what a lead does to many of them at once."""

import uuid
from datetime import datetime, time, timedelta

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_http_methods

from reviews import access, bulk_work, jobs
from reviews.errors import Invalid
from reviews.models import Account, BulkOperation, Lane, Person, PolicyVersion, Queue

from .items import put_lines
from .operations import outcome
from .review import SEVERITY_OF_LEVEL, why_now
from .tables import csv_response

PAGE = 50
EXAMPLES = 5
Verb = BulkOperation.Verb

_WAITING = [
    (15, _("15 minutes")),
    (60, _("1 hour")),
    (240, _("4 hours")),
    (1440, _("1 day")),
    (4320, _("3 days")),
    (10080, _("7 days")),
]


class FilterForm(forms.Form):
    """The filters of the URL as typed values. Empty fields ask for nothing."""

    state = forms.ChoiceField(
        required=False,
        choices=[
            ("", _("Waiting")),
            ("free", _("Waiting, for anybody")),
            ("assigned", _("Kept for somebody")),
            ("claimed", _("Being worked on")),
        ],
    )
    assigned_to = forms.ModelChoiceField(
        Person.objects.none(), required=False, to_field_name="username", empty_label=_("Anybody")
    )
    lane = forms.ChoiceField(required=False, choices=[("", _("All lanes")), *Lane.choices])
    policy = forms.ChoiceField(required=False)
    least = forms.FloatField(required=False, min_value=0, max_value=1)
    most = forms.FloatField(required=False, min_value=0, max_value=1)
    language = forms.RegexField(
        r"^[A-Za-z0-9-]{1,16}$",
        required=False,
        error_messages={"invalid": _("A code such as en or pt-BR.")},
    )
    kind = forms.ModelChoiceField(
        None, required=False, to_field_name="slug", empty_label=_("Any kind")
    )
    account = forms.CharField(required=False, max_length=200)
    cluster = forms.IntegerField(required=False, min_value=1, max_value=2**62)
    waiting = forms.TypedChoiceField(
        required=False, coerce=int, empty_value=None, choices=[("", _("Any time")), *_WAITING]
    )
    since = forms.DateField(required=False)
    until = forms.DateField(required=False)
    overdue = forms.BooleanField(required=False)
    order = forms.ChoiceField(
        required=False, choices=[("", _("Serving order")), ("age", _("Longest waiting first"))]
    )

    def __init__(self, data: QueryDict, *, queue: Queue) -> None:
        super().__init__(data)
        self.queue = queue
        self.fields["assigned_to"].queryset = queue.members.order_by("username")
        self.fields["kind"].queryset = queue.platform.kinds.order_by("name")
        policies = queue.policies.order_by("position").values_list("slug", "name")
        self.fields["policy"].choices = [("", gettext("Highest of all")), *policies]

    def clean_account(self) -> Account | None:
        external_id = self.cleaned_data["account"]
        if not external_id:
            return None
        account = self.queue.platform.accounts.filter(external_id=external_id).first()
        if account is None:
            raise forms.ValidationError(_("There is no such account here."))
        return account

    def clean(self) -> dict:
        given = super().clean()
        least, most = given.get("least"), given.get("most")
        if least is not None and most is not None and least > most:
            self.add_error("most", _("This is below the lower end."))
        since, until = given.get("since"), given.get("until")
        if since and until and since > until:
            self.add_error("until", _("This is before the first day."))
        return given

    def as_filter(self) -> jobs.Filter:
        given = self.cleaned_data
        person, kind, account = given["assigned_to"], given["kind"], given["account"]
        return jobs.Filter(
            state="assigned" if person else given["state"] or "ready",
            assigned_to=person.pk if person else None,
            lane=given["lane"],
            policy=given["policy"],
            least=given["least"],
            most=given["most"],
            language=given["language"],
            kind=kind.pk if kind else None,
            account=account.pk if account else None,
            cluster=given["cluster"],
            waiting_minutes=given["waiting"],
            since=_midnight(given["since"]),
            until=_midnight(given["until"], days=1),
            overdue=given["overdue"],
            order=given["order"] or "rank",
        )

    @property
    def asked(self) -> list[tuple[str, str]]:
        """What is asked for, as it stands in the URL."""
        return [(name, self.data[name]) for name in self.fields if self.data.get(name)]


@require_GET
def job_list(request: HttpRequest, slug: str) -> HttpResponse:
    queue = access.get_queue_to_browse(request.user, slug)
    form = FilterForm(request.GET, queue=queue)
    context = {
        "queue": queue,
        "form": form,
        "is_filtered": any(name not in ("order", "state") for name, _rest in form.asked),
        "may_manage": access.may(request.user, "job.manage"),
        "most_jobs": bulk_work.MOST_JOBS,
        "most_looked_at": jobs.MOST_LOOKED_AT,
    }
    if not form.is_valid():
        return render(request, "reviews/job_list.html", context, status=422)
    wanted = form.as_filter()
    after = _place(request, wanted)
    found = jobs.find(queue, wanted, limit=PAGE, after=after)
    rows = _rows(queue, found.job_ids)
    if request.GET.get("format") == "csv":
        return _csv(queue, rows)
    matching = jobs.count(
        queue, wanted, most=bulk_work.MOST_JOBS, first_page=None if after else found
    )
    context |= {
        "rows": rows,
        "found": found,
        "matching": matching,
        "next_url": _url(request, after=_as_text(found.next)) if found.next else "",
        "first_url": _url(request) if request.GET.get("after") else "",
        "csv_url": _url(request, after=request.GET.get("after", ""), format="csv"),
        "newest_id": jobs.newest_id(),
    }
    return render(request, "reviews/job_list.html", context)


@require_http_methods(["GET", "POST"])
def job_change(request: HttpRequest, slug: str) -> HttpResponse:
    """GET shows what would be done to what was chosen; POST does it, once for its token."""
    queue = access.get_queue_to_manage(request.user, slug)
    asked = request.POST if request.method == "POST" else request.GET
    verb = asked.get("verb", "")
    if verb not in Verb.values:
        raise Invalid(_("Choose what to do: assign, move, raise or cancel."))
    form = FilterForm(asked, queue=queue)
    selection = _selection(form, asked)
    if request.method == "GET":
        return _confirm(request, queue, verb, form, selection, token=uuid.uuid4())
    token = _token(asked)
    try:
        operation = _carry_out(queue, selection, verb, asked, by=request.user, token=token)
    except Invalid as refusal:
        if not refusal.details:
            raise
        return _confirm(request, queue, verb, form, selection, token=token, refusal=refusal)
    messages.success(request, outcome(operation))
    return redirect("reviews:operation-list", slug=queue.slug)


def _carry_out(
    queue: Queue,
    selection: bulk_work.Selection,
    verb: str,
    asked: QueryDict,
    *,
    by: Person,
    token: uuid.UUID,
) -> BulkOperation:
    common = {"by": by, "token": token, "note": asked.get("note", "")}
    if verb == Verb.ASSIGN:
        return bulk_work.assign_jobs(queue, selection, to=_member(queue, asked), **common)
    if verb == Verb.MOVE:
        return bulk_work.move_jobs(queue, selection, to=_queue(queue, asked), **common)
    if verb == Verb.CANCEL:
        return bulk_work.cancel_jobs(queue, selection, **common)
    return bulk_work.raise_jobs(queue, selection, doublings=_doublings(asked), **common)


def _confirm(
    request: HttpRequest,
    queue: Queue,
    verb: str,
    form: FilterForm,
    selection: bulk_work.Selection,
    *,
    token: uuid.UUID,
    refusal: Invalid | None = None,
) -> HttpResponse:
    job_ids, is_too_many = _chosen(queue, selection)
    if not job_ids:
        raise Invalid(_("Choose at least one job."))
    asked = request.POST if request.method == "POST" else request.GET
    targets = Queue.objects.filter(platform=queue.platform_id, is_archived=False)
    context = {
        "queue": queue,
        "verb": verb,
        "count": len(job_ids),
        "is_too_many": is_too_many,
        "most_jobs": bulk_work.MOST_JOBS,
        "most_doublings": bulk_work.MOST_DOUBLINGS,
        "make": jobs.make_of(queue, job_ids),
        "examples": _rows(queue, job_ids[:EXAMPLES]),
        "job_ids": selection.job_ids if selection.filter is None else [],
        "newest_id": selection.newest_id,
        "asked": form.asked if selection.filter else [],
        "members": queue.members.filter(is_active=True).order_by("username"),
        "queues": targets.exclude(pk=queue.pk),
        "token": token,
        "given": asked,
        "errors": refusal.details if refusal else {},
    }
    return render(request, "reviews/job_change.html", context, status=422 if refusal else 200)


def _chosen(queue: Queue, selection: bulk_work.Selection) -> tuple[list[int], bool]:
    """The jobs in order, and whether they are more than one operation holds."""
    if selection.filter is None:
        return list(selection.job_ids), len(selection.job_ids) > bulk_work.MOST_JOBS
    found = jobs.find(
        queue,
        selection.filter,
        limit=bulk_work.MOST_JOBS,
        newest_id=selection.newest_id,
    )
    return found.job_ids, found.next is not None and not found.is_cut


def _selection(form: FilterForm, asked: QueryDict) -> bulk_work.Selection:
    if asked.get("all") != "1":
        job_ids = [int(pk) for pk in asked.getlist("job") if pk.isdecimal() and len(pk) < 19]
        return bulk_work.Selection(list(dict.fromkeys(job_ids)))
    if not form.is_valid():
        raise Invalid(_("This filter makes no sense. Go back to the list and set it again."))
    newest = asked.get("newest", "")
    newest_id = int(newest) if newest.isdecimal() and len(newest) < 19 else jobs.newest_id()
    return bulk_work.Selection(filter=form.as_filter(), newest_id=newest_id)


def _token(asked: QueryDict) -> uuid.UUID:
    try:
        return uuid.UUID(asked.get("token", ""))
    except ValueError:
        raise Invalid(_("This form is not one of ours. Start again from the list.")) from None


def _member(queue: Queue, asked: QueryDict) -> Person | None:
    name = asked.get("to", "")
    if name == "-":
        return None
    person = queue.members.filter(username=name).first()
    if person is None:
        raise Invalid(_("Choose a member of this queue."), details={"to": _("choose somebody")})
    return person


def _queue(queue: Queue, asked: QueryDict) -> Queue:
    target = Queue.objects.filter(platform=queue.platform_id, slug=asked.get("to", "")).first()
    if target is None:
        raise Invalid(_("Choose a queue."), details={"to": _("choose a queue")})
    return target


def _doublings(asked: QueryDict) -> int | None:
    if asked.get("how") != "doublings":
        return None
    text = asked.get("doublings", "")
    return int(text) if text.isdecimal() and len(text) < 5 else 0


def _rows(queue: Queue, job_ids: list[int]) -> list[dict]:
    found = jobs.load(job_ids)
    put_lines(job.item for job in found)
    raised = jobs.raised_by([job.pk for job in found if job.raised])
    versions = list(
        PolicyVersion.objects.in_force().filter(policy__queues=queue).select_related("policy")
    )
    rows = []
    for job in found:
        level, reason = why_now(job.item, job, versions, numbers=True)
        rows.append(
            {
                "job": job,
                "item": job.item,
                "level": level and str(_(level)),
                "severity": SEVERITY_OF_LEVEL.get(level, 1),
                "reason": reason,
                "raised_by": raised.get(job.pk, ""),
            }
        )
    return rows


def _place(request: HttpRequest, wanted: jobs.Filter) -> jobs.Key | None:
    """Where the page before ended; what is no place starts at the top."""
    value, _rest, job_id = request.GET.get("after", "").rpartition("~")
    if not job_id.isdecimal() or len(job_id) > 18:
        return None
    try:
        place = parse_datetime(value) if wanted.is_by_age else float(value)
    except ValueError:
        return None
    if place is None or place != place:
        return None
    return jobs.Key(place, int(job_id))


def _as_text(key: jobs.Key) -> str:
    value = key.value.isoformat() if isinstance(key.value, datetime) else repr(key.value)
    return f"{value}~{key.job_id}"


def _url(request: HttpRequest, **changed: str) -> str:
    query = request.GET.copy()
    for name in ("after", "format"):
        query.pop(name, None)
    for name, value in changed.items():
        if value:
            query[name] = value
    return f"?{query.urlencode()}"


def _midnight(day, *, days: int = 0) -> datetime | None:
    if day is None:
        return None
    zone = timezone.get_current_timezone()
    return datetime.combine(day + timedelta(days=days), time.min, zone)


def _csv(queue: Queue, rows: list[dict]) -> HttpResponse:
    head = [
        "job",
        "item",
        "lane",
        "state",
        "risk",
        "reason",
        "rank",
        "raised",
        "raised_by",
        "assigned_to",
        "due_at",
        "created_at",
        "submitted_at",
        "language",
        "account",
    ]
    return csv_response(
        f"{queue.slug}-jobs.csv",
        head,
        (
            (
                row["job"].pk,
                row["item"].external_id,
                row["job"].lane,
                row["job"].state,
                row["item"].risk,
                row["reason"],
                row["job"].rank,
                row["job"].raised,
                row["raised_by"],
                _name(row["job"].assigned_to),
                row["job"].due_at,
                row["job"].created_at,
                row["item"].submitted_at,
                row["item"].language,
                row["item"].account.external_id if row["item"].account else "",
            )
            for row in rows
        ),
    )


def _name(person: Person | None) -> str:
    return person.username if person else ""
