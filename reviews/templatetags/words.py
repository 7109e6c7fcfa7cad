"""Numbers and times as people say them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache

from django import template
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext, ngettext, npgettext, pgettext
from django.utils.translation import gettext_noop as noop

from reviews.ranking import risk_level
from reviews.retelling import retold as _retold

register = template.Library()

_LEVELS = {noop("Low"): 1, noop("Medium"): 2, noop("High"): 3, noop("Critical"): 4}


@register.filter
def clock(seconds: float) -> str:
    """581 → 9:41"""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


@register.filter
def span(length: timedelta) -> str:
    """About how long, in one unit: "40 s", "14 min", "3 h", "2 days"."""
    if _short(length):
        return _short(length)
    days, years = _days_and_years(length)
    if days < 730:
        return ngettext("%(count)s day", "%(count)s days", days) % {"count": days}
    return ngettext("%(count)s year", "%(count)s years", years) % {"count": years}


def _short(length: timedelta) -> str:
    seconds = abs(length.total_seconds())
    if seconds < 90:
        return gettext("%(count)s s") % {"count": f"{seconds:.0f}"}
    if seconds / 60 < 90:
        return gettext("%(count)s min") % {"count": f"{seconds / 60:.0f}"}
    if seconds / 3600 < 48:
        return gettext("%(count)s h") % {"count": f"{seconds / 3600:.0f}"}
    return ""


def _days_and_years(length: timedelta) -> tuple[int, int]:
    days = abs(length.total_seconds()) / 86400
    return round(days), round(days / 365.25)


def _declined(length: timedelta) -> str:
    """`span` where it stands behind "ago", "in" or "by": some languages decline it there."""
    if _short(length):
        return _short(length)
    days, years = _days_and_years(length)
    if days < 730:
        words = npgettext("behind ago, in, by", "%(count)s day", "%(count)s days", days)
        return words % {"count": days}
    words = npgettext("behind ago, in, by", "%(count)s year", "%(count)s years", years)
    return words % {"count": years}


@register.filter
def minutes(count: float) -> str:
    """240 → "4 h"."""
    return span(timedelta(minutes=count))


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """ "14 min ago", with the exact time on hover."""
    return _time(moment, gettext("%(length)s ago"), gettext("in %(length)s")) if moment else ""


@register.filter
def due(moment: datetime | None) -> SafeString | str:
    """ "due in 20 min" or "overdue by 3 h"."""
    if moment is None:
        return ""
    return _time(moment, gettext("overdue by %(length)s"), gettext("due in %(length)s"))


@register.filter
def moment(at: datetime | None) -> SafeString | str:
    """The exact time: "14:32" today, else "21 Nov 14:32", with the year when it is another."""
    if at is None:
        return ""
    local, today = timezone.localtime(at), timezone.localdate()
    if local.date() == today:
        words = local.strftime("%H:%M")
    elif local.year == today.year:
        words = date_format(local, pgettext("date format, as Django writes it", "j M H:i"))
    else:
        words = date_format(local, pgettext("date format, as Django writes it", "j M Y"))
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', at.isoformat(), _exactly(local), words
    )


@register.filter
def figure(number: float) -> str:
    """-60420.83 → −60,420.8: grouped as her language does, with a real minus sign."""
    return number_format(number, 1, force_grouping=True).replace("-", "−")


@register.filter
def signed(number: float, digits: int = 3) -> str:
    """-0.0512 → −0.051: so many digits, as her language writes them, with a real minus sign."""
    return number_format(_rounded(number, digits), digits).replace("-", "−")


@register.filter
def percent(share: float) -> str:
    """0.183 → 18.3 %, 0 → 0 %."""
    return f"{number_format(_rounded(100 * share, 1), 1)}\u202f%"


def _rounded(number: float, digits: int) -> float:
    """number_format cuts off; and a tiny loss is no −0."""
    return round(number, digits) or 0.0


@register.filter
def retold(text: object) -> str:
    """A sentence that a row keeps in English, in her language; what people wrote stays."""
    return _retold(str(text)) if text else ""


@register.filter
def risk_word(probability: float | None) -> str:
    return gettext(risk_level(probability)) if probability is not None else gettext("Not scored")


@register.filter
def risk_step(probability: float | None) -> int:
    """1 to 4: the severity class of a risk."""
    return _LEVELS[risk_level(probability)] if probability is not None else 1


@register.filter
def label_in(name: str, labels: Mapping[str, str] | None) -> str:
    """The label of a configured field; without one, its name in plain words."""
    return (labels or {}).get(name) or name.replace("_", " ").capitalize()


def _time(moment: datetime, past: str, future: str) -> SafeString:
    gone = timezone.now() - moment
    words = (past if gone >= timedelta(0) else future) % {"length": _declined(gone)}
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', moment.isoformat(), _exactly(local), words
    )


def _exactly(local: datetime) -> str:
    wall = local.replace(microsecond=0, tzinfo=None)
    return f"{_to_the_second(wall, get_language())} {local:%Z}"


@lru_cache(maxsize=4096)
def _to_the_second(wall: datetime, language: str) -> str:
    """Writing a date takes longer than a row of a list, and pages name the same one again."""
    pattern = pgettext("date format, as Django writes it", "j F Y H:i:s")
    return date_format(wall, pattern)
