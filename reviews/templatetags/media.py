"""What is said of a picture, a film or a sound beside it."""

from collections.abc import Sequence

from django import template
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from reviews import layouts, marks, transcripts
from reviews.layouts import Medium

register = template.Library()

# What encoding.py, media_work.py and fetching.py call it → what it means for who looks.
_TROUBLE = {
    "unreadable": gettext_lazy("This file is no picture, film or sound that can be read."),
    "too_many_pixels": gettext_lazy("It has more pixels than are opened here."),
    "too_much": gettext_lazy("Preparing it takes more time or memory than is given to one file."),
    "too_large": gettext_lazy("The file at the address is larger than is taken here."),
    "not_there": gettext_lazy("There is no file at the address (any more)."),
    "not_allowed": gettext_lazy("This console may not fetch from where the address leads."),
    "no_answer": gettext_lazy("The server at the address did not answer in time."),
    "gave_up": gettext_lazy("Preparing it went wrong here. An administrator can try it again."),
}


_ODD = {
    "hidden_host": gettext_lazy("What stands before the @ is not where it leads."),
    "mixed": gettext_lazy("Its name mixes scripts that look alike."),
    "foreign": gettext_lazy("Its name is not in Latin letters."),
    "number": gettext_lazy("It leads to a number, not to a name."),
    "port": gettext_lazy("It leads to an unusual port."),
}


@register.filter
def trouble(medium: Medium) -> str:
    """Why it cannot be shown, as a sentence."""
    return str(_TROUBLE.get(medium.error, _TROUBLE["gave_up"]))


@register.filter
def facts(medium: Medium) -> str:
    """ "1,200 × 800" for a picture, "0:42" for a sound, both for a film."""
    parts = []
    if medium.seconds:
        minutes, seconds = divmod(round(medium.seconds), 60)
        parts.append(f"{minutes}:{seconds:02d}")
    if medium.width:
        parts.append(f"{medium.width:,} × {medium.height:,}")
    if medium.error == "cut":
        parts.append(_("only the beginning is shown"))
    return ", ".join(parts)


@register.filter
def parts(entries: Sequence[layouts.Entry]) -> dict[str, list[layouts.Entry]]:
    """Of a profile or a link card: picture, title, text and so on."""
    return layouts.parts_of(entries)


@register.filter
def alt(captions: Sequence[layouts.Entry]) -> str:
    """What the item itself says is to be seen, for those who cannot see it."""
    return next((one.value for one in captions if one.role == "alt"), "")


@register.filter
def cues(text: object) -> list[transcripts.Cue]:
    """The lines of a transcript that says when; [] where it does not."""
    return transcripts.cues(str(text))


@register.filter
def taken_apart(url: str) -> marks.Address | None:
    return marks.take_apart(str(url))


@register.filter
def oddity(where: marks.Address) -> str:
    """What is odd about an address, as sentences."""
    words = [str(_ODD[code]) for code in where.oddities if code != "punycode"]
    if where.reads:
        words.insert(0, _("Its name reads “%(name)s”.") % {"name": where.reads})
    return " ".join(words)
