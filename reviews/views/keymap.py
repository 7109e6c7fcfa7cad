"""A person's own keys: a table, a letter a line."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from reviews import keymap
from reviews.errors import Invalid

_PREFIX = "key:"


@require_http_methods(["GET", "POST"])
@never_cache
def own_keys(request: HttpRequest) -> HttpResponse:
    person = request.user
    own, off, wrong, status = keymap.own_keys(person), keymap.are_off(person), {}, 200
    if request.method == "POST":
        off = bool(request.POST.get("off"))
        own = {
            name.removeprefix(_PREFIX): key
            for name, key in request.POST.items()
            if name.startswith(_PREFIX) and key.strip()
        }
        if request.POST.get("reset"):
            own = {}
        try:
            keymap.save_keys(person, by=person, own=own, off=off)
        except Invalid as refusal:
            wrong, status = refusal.details, refusal.status
        else:
            messages.success(request, _("Saved. Your keys hold from the next page on."))
            return redirect("reviews:own-keys")
    lines = [(row, wrong.get(row.name)) for row in keymap.rows(person, own)]
    return render(
        request,
        "reviews/own_keys.html",
        {
            "commands": [line for line in lines if not line[0].queues],
            "options": [line for line in lines if line[0].queues],
            "off": off,
            "wrong": wrong,
            "has_own": bool(own),
        },
        status=status,
    )
