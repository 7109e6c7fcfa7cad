"""The bell, the list behind it, and where each notification leads: to what still stands."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from reviews import access, consultations, notifications, questions
from reviews.errors import Forbidden, NotFound
from reviews.models import Notification, Person

PAGE = 50
Sort = Notification.Sort
# A notification's data names one of these by its id.
_GETS = {"consultation": consultations.get_consultation, "question": questions.get_question}


@require_GET
def notification_list(request: HttpRequest) -> HttpResponse:
    """Newest first, by key; ?unread=1 leaves out what was read."""
    rows = notifications.of_person(request.user)
    newest = rows.values_list("pk", flat=True).first()
    only_unread = request.GET.get("unread") == "1"
    if only_unread:
        rows = rows.filter(read_at=None)
    before = request.GET.get("before", "")
    before = before if before.isdecimal() and len(before) < 18 else ""
    if before:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows[: PAGE + 1])
    return render(
        request,
        "reviews/notification_list.html",
        {
            "notifications": found[:PAGE],
            "next": found[PAGE - 1].pk if len(found) > PAGE else None,
            "is_first": not before,
            "only_unread": only_unread,
            "newest": newest,
            "unread": notifications.unread(request.user),
            "days": settings.NOTIFICATION_DAYS,
        },
    )


@require_GET
@never_cache
def count(request: HttpRequest) -> JsonResponse:
    """For the bell, asked now and then."""
    return JsonResponse({"unread": notifications.unread(request.user)})


@require_GET
def follow(request: HttpRequest, pk: int) -> HttpResponse:
    """Read, and on to what it tells of; where that is gone, back to the list with a word."""
    notification = notifications.get_own(request.user, pk)
    notifications.mark_read(request.user, only=notification.pk)
    url = leads_to(notification, request.user)
    if url is None:
        messages.info(request, _("What this told of is gone, or no longer yours to see."))
        url = reverse("reviews:notification-list")
    return redirect(url)


@require_POST
def mark_all_read(request: HttpRequest) -> HttpResponse:
    """Up to the newest she was shown: what came in meanwhile stays unread."""
    upto = request.POST.get("upto", "")
    if upto.isdecimal() and len(upto) < 18:
        notifications.mark_read(request.user, upto=int(upto))
    return redirect("reviews:notification-list")


@require_http_methods(["GET", "POST"])
def choose(request: HttpRequest) -> HttpResponse:
    """Which sorts she wants to be told of."""
    if request.method == "POST":
        notifications.choose_sorts(request.user, request.POST.getlist("sort"))
        messages.success(request, _("Saved. It holds from now on."))
        return redirect("reviews:notification-choices")
    muted = notifications.muted_sorts(request.user)
    sorts = [(sort.value, sort.label, sort.value not in muted) for sort in Sort]
    return render(request, "reviews/notification_choices.html", {"sorts": sorts})


def leads_to(notification: Notification, person: Person) -> str | None:
    """The page it tells of, if that is there and hers to see."""
    sort, queue, item = notification.sort, notification.queue, notification.item
    if sort == Sort.ASSIGNED and queue is not None:
        works = access.queues_to_work(person).filter(pk=queue.pk).exists()
        if works and person.assigned_jobs.filter(queue=queue, state="ready").exists():
            return reverse("reviews:review", args=[queue.slug])
    if sort == Sort.ALERT and access.may(person, "model.view"):
        return reverse("mlhooks:monitoring")
    for name, get in _GETS.items():
        if name in notification.data:
            try:
                get(person, notification.data[name])
            except (Forbidden, NotFound):
                continue  # answered by somebody else, or no longer shown: what else stands?
            return reverse(f"reviews:{name}", args=[notification.data[name]])
    if notification.policy is not None and access.may(person, "policy.view"):
        return reverse("reviews:policy-detail", args=[notification.policy.slug])
    if item is not None and access.may(person, "item.view"):
        return reverse("reviews:item-detail", args=[item.pk])
    if queue is not None and access.may(person, "queue.view"):
        return reverse("reviews:queue-detail", args=[queue.slug])
    return None
