"""The design page: every component in every state, from the templates and classes the pages use.

Nothing here is stored, and nothing on it does anything.
"""

from pathlib import Path

from django import forms
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from reviews import access, charts, comfort, layouts, palette, week_charts
from reviews.forms.parts import long_text, number, text, tick
from reviews.models import Person, Severity

# The states that the pointer and the keyboard bring; design.js shows them by the pages' own rules.
STATES = (
    ("", gettext_lazy("at rest")),
    ("is-hover", gettext_lazy("hover")),
    ("is-focus", gettext_lazy("focus")),
    ("is-active", gettext_lazy("pressed down")),
    ("pressed", gettext_lazy("pressed by its key")),
)
BUTTONS = ("", "primary", "danger", "quiet", "small", "big")
SIZES = (
    ("--head-big", "28"),
    ("--head-1", "20"),
    ("--head-2", "16"),
    ("--text-content", "16"),
    ("--text", "14"),
    ("--text-small", "12"),
)
_FIELDS = [
    {"name": "title", "label": "Title", "type": "string", "role": "title"},
    {"name": "body", "label": "Body", "type": "text", "role": "text"},
    {"name": "quoted", "label": "Answers", "type": "text", "role": ""},
    {"name": "link", "label": "Links to", "type": "url", "role": "url"},
    {"name": "written", "label": "Written", "type": "datetime", "role": "date"},
    {"name": "likes", "label": "Likes", "type": "number", "role": "number"},
    {"name": "client", "label": "Sent from", "type": "key-value", "role": "key-value"},
]
_LAYOUT = [
    {"block": "title", "fields": ["title"]},
    {"block": "quote", "fields": ["quoted"]},
    {"block": "text", "fields": ["body"]},
    {"block": "link", "fields": ["link"]},
    {"block": "facts", "label": "About it", "fields": ["written", "likes"]},
    {"block": "facts", "label": "Sent from", "fields": ["client"]},
]
_CONTENT = {
    "title": "Look at what I found",
    "body": "You would not believe it: https://shop.example/offer\u200b, says pаypal.\n\n"
    "عرض خاص اليوم فقط, and \u202eback to front\u202c.",
    "quoted": "Has anybody seen the new catalogue?",
    "link": "https://shop.example/offer?id=8817",
    "written": "2026-11-24T09:12:00+00:00",
    "likes": "many",
    "client": {"app": "Harbour for phones", "version": 4.2, "is_beta": True},
    "mood": "cheerful",
}


class Specimen(forms.Form):
    """A field of each sort, built as the set-up builds its own."""

    name = text(gettext_lazy("Name"), most=12, hint=gettext_lazy("Shown in lists."))
    about = long_text(gettext_lazy("What it is for"), most=200)
    minutes = number(gettext_lazy("A claim lasts"), least=1, most=240, unit="min")
    is_default = tick(gettext_lazy("Default queue"), hint=gettext_lazy("There is exactly one."))
    colours = forms.MultipleChoiceField(
        label=gettext_lazy("Kept from the reviewer"),
        choices=[("score", gettext_lazy("Risk")), ("author", gettext_lazy("Author"))],
        widget=forms.CheckboxSelectMultiple,
    )
    lane = forms.ChoiceField(label=gettext_lazy("Lane"), choices=[("", "—"), ("risk", "Risk")])


@require_GET
def design(request: HttpRequest) -> HttpResponse:
    access.check(request.user, "design.view")
    theme = request.GET.get("theme", "")
    if theme not in Person.Theme.values:
        theme = request.user.theme
    wrong = Specimen({"name": "A name that is too long", "minutes": "0"}, prefix="wrong")
    wrong.is_valid()
    return render(
        request,
        "reviews/design.html",
        {
            "theme": theme,
            "themes": Person.Theme.choices,
            "palettes": _palettes(),
            "sizes": SIZES,
            "spaces": (4, 8, 12, 16, 24, 32),
            "states": STATES,
            "buttons": BUTTONS,
            "severities": Severity.choices,
            "form": Specimen(prefix="right", initial={"name": "Spam", "minutes": 10}),
            "wrong": wrong,
            "blocks": layouts.Layout(_FIELDS, _LAYOUT).show(_CONTENT),
            "filters": list(comfort.FILTERS),
            "plot": _plot(),
        },
    )


def _palettes() -> list[tuple[str, dict[str, str], list[palette.Ratio]]]:
    console, contrast = (Path(finders.find(name)).read_text() for name in _SHEETS)
    return [
        (
            theme,
            colours,
            palette.ratios(colours, text=palette.AAA if theme.startswith("high") else palette.AA),
        )
        for theme, colours in palette.themes(console, contrast).items()
    ]


_SHEETS = ("console.css", "contrast.css")


def _plot() -> charts.Plot:
    hours = list(range(24))
    middle = [40 + 6 * (hour % 12) for hour in hours]
    waiting = week_charts.Series(
        _("waiting"),
        "candidate",
        middle,
        [value * 0.8 for value in middle],
        [value * 1.25 for value in middle],
    )
    without = week_charts.Series(
        _("without the change"), "champion", [value + 22 for value in middle]
    )
    return week_charts.week_plot(
        [waiting, without],
        [f"{hour}:00" for hour in hours],
        [],
        id="specimen",
        title=_("Waiting, by hour"),
        description=_("A line with its band, and one to compare with; labelled where they end."),
        y_label=_("items"),
    )
