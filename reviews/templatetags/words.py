"""Numbers and times as people say them."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from reviews.ranking import risk_level

register = template.Library()

_LEVELS = {"Low": 1, "Medium": 2, "High": 3, "Critical": 4}


@register.filter
def clock(seconds: float) -> str:
    """581 → 9:41"""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


@register.filter
def span(length: timedelta) -> str:
    """About how long, in one unit: "40 s", "14 min", "3 h", "2 days"."""
    seconds = abs(length.total_seconds())
    for size, most, unit in ((1, 90, "s"), (60, 90, "min"), (3600, 48, "h")):
        if seconds / size < most:
            return f"{seconds / size:.0f} {unit}"
    days = seconds / 86400
    return f"{days:.0f} days" if days < 730 else f"{days / 365.25:.0f} years"


@register.filter
def minutes(count: float) -> str:
    """240 → "4 h"."""
    return span(timedelta(minutes=count))


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """ "14 min ago", with the exact time on hover."""
    return _time(moment, "{} ago", "in {}") if moment else ""


@register.filter
def due(moment: datetime | None) -> SafeString | str:
    """ "due in 20 min" or "overdue by 3 h"."""
    return _time(moment, "overdue by {}", "due in {}") if moment else ""


@register.filter
def moment(at: datetime | None) -> SafeString | str:
    """The exact time: "14:32" today, else "21 Nov 14:32", with the year when it is another."""
    if at is None:
        return ""
    local, today = timezone.localtime(at), timezone.localdate()
    pattern = "%H:%M"
    if local.date() != today:
        pattern = "%-d %b %H:%M" if local.year == today.year else "%-d %b %Y"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.isoformat(),
        f"{local:%-d %B %Y %H:%M:%S %Z}",
        local.strftime(pattern),
    )


@register.filter
def figure(number: float) -> str:
    """-60420.83 → −60,420.8: grouped, with a real minus sign."""
    return f"{number:,.1f}".replace("-", "−")


@register.filter
def risk_word(probability: float | None) -> str:
    return risk_level(probability) if probability is not None else "Not scored"


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
    words = (past if gone >= timedelta(0) else future).format(span(gone))
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        f"{local:%-d %B %Y %H:%M:%S %Z}",
        words,
    )
