"""What is said of a picture, a film or a sound beside it."""

from django import template
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

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
def pictures_left(count: int, shown: int) -> str:
    left = count - shown
    return ngettext("%(count)s more picture", "%(count)s more pictures", left) % {"count": left}
