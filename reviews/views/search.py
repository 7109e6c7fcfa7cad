"""Search: one box and a few fields, all in the URL; the newest first, paged by key."""

from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from reviews import access, blind, search, wellness
from reviews.errors import Invalid
from reviews.models import ItemKind, Policy, Queue, Verdict


@require_GET
def search_page(request: HttpRequest) -> HttpResponse:
    access.check(request.user, "item.view")
    text = request.GET.get("q", "").strip()
    filters = {name: request.GET.get(name, "").strip() for name in search.BESIDE}
    errors: dict[str, list[str]] = {}
    page = search.Page([], "")
    is_asked = False
    try:
        question = search.understand(text, filters, by=request.user)
        is_asked = not question.is_empty
        page = search.find(question, by=request.user, after=request.GET.get("after", ""))
    except Invalid as refusal:
        errors = refusal.details
    covered = wellness.covered(hit.item for hit in page.hits)
    for hit in page.hits:
        hit.item.veil = covered.get(hit.item.pk, [])
    given = {"q": text, **filters}
    kept = urlencode({name: value for name, value in given.items() if value})
    return render(
        request,
        "reviews/search.html",
        {
            "text": text,
            "filters": filters,
            "are_filters_open": any(filters.values()) or bool(errors.keys() & set(search.BESIDE)),
            "choices": _choices(request),
            "errors": errors,
            "is_asked": is_asked,
            "hits": page.hits,
            "is_first": not request.GET.get("after"),
            "first_url": f"?{kept}",
            "next_url": f"?{kept}&{urlencode({'after': page.next_key})}" if page.next_key else "",
            "AUTHOR": blind.AUTHOR,
            "HISTORY": blind.HISTORY,
        },
        status=422 if errors else 200,
    )


def _choices(request: HttpRequest) -> dict[str, list[tuple[str, str]]]:
    def named(verb: str, rows: QuerySet) -> list[tuple[str, str]]:
        mine = access.visible(request.user, verb, rows, "platform")
        return sorted(set(mine.values_list("slug", "name")), key=lambda pair: pair[1].casefold())

    return {
        "policy": named("policy.view", Policy.objects.all()),
        "decision": [*Verdict.choices, ("none", _("None yet"))],
        "queue": named("queue.view", Queue.objects.all()),
        "kind": named("item.view", ItemKind.objects.all()),
    }
