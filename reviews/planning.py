"""Rosters, and forecasts that stand on them: read the load, apply the what-ifs, forecast.

The arithmetic is forecast.py's; this file knows queues, people and words for hours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.dates import WEEKDAYS as DAY_NAMES
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from . import access, charts, forecast, history, revisions
from .errors import Invalid
from .models import Person, Platform, Queue, Revision, Roster, Shift
from .wording import figure

# As revisions keep them.
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MOST_PEOPLE = 200
SEED = 1


class Times(NamedTuple):
    """One row of a roster: so many people on one weekday from one full hour to another."""

    weekday: int
    starts: int
    ends: int
    headcount: int


@dataclass(frozen=True)
class WhatIf:
    """Changes to try: people more or fewer by queue and hour of the week, and arrivals."""

    people: Mapping[str, Sequence[float]]  # queue slug → 168 changes
    growth: float = 0.0  # 0.2: a fifth more arrivals
    words: Sequence[str] = ()  # what it says, a sentence each

    def __bool__(self) -> bool:
        return bool(self.words)


@dataclass(frozen=True)
class Outlook:
    """One queue's coming week, and under the what-if if there is one."""

    load: history.Load
    forecast: forecast.Forecast
    changed: forecast.Forecast | None
    change: forecast.Change | None
    needed: Sequence[float] | None  # by hour of the week

    @property
    def queue(self) -> Queue:
        return self.load.queue


def read_times(rows: Sequence[Mapping[str, Any]]) -> list[Times]:
    """Rows as they come from a form or JSON. Raises Invalid: {row number: what is wrong}."""
    times, wrong = [], {}
    for number, row in enumerate(rows):
        try:
            one = Times(*(int(str(row.get(name, "")).strip()) for name in Times._fields))
        except ValueError:
            wrong[str(number)] = _("Fill in all four with whole numbers.")
            continue
        if not 0 <= one.weekday <= 6:
            wrong[str(number)] = _("Choose a weekday.")
        elif not 0 <= one.starts < one.ends <= 24:
            wrong[str(number)] = _(
                "A shift ends after it starts, from 0 to 24. Split one that goes past midnight."
            )
        elif not 1 <= one.headcount <= MOST_PEOPLE:
            wrong[str(number)] = _("From 1 to %(most)s people.") % {"most": MOST_PEOPLE}
        else:
            times.append(one)
    if wrong:
        raise Invalid(_("Some shifts do not work; see beside them."), details=wrong)
    return sorted(times)


def save_roster(
    queue: Queue,
    times: Sequence[Times],
    *,
    by: Person | None,
    note: str = "",
    restores: Revision | None = None,
) -> Roster:
    """Put the whole week in place of what was there; one revision, one audit entry."""
    access.check(by, "roster.edit", queue.platform)
    with transaction.atomic():
        roster, _rest = Roster.objects.get_or_create(queue=queue)
        roster = Roster.objects.select_for_update().get(pk=roster.pk)
        roster.shifts.all().delete()
        Shift.objects.bulk_create(Shift(roster=roster, **one._asdict()) for one in times)
        Roster.objects.filter(pk=roster.pk).update(changed_at=Now())
        revisions.record(
            roster,
            {"queue": queue.slug, "shifts": "".join(f"{_in_words(one)}\n" for one in times)},
            by=by,
            platform=queue.platform_id,
            note=note,
            restores=restores,
        )
    return roster


def _in_words(one: Times) -> str:
    return f"{WEEKDAYS[one.weekday]} {one.starts:02d}–{one.ends:02d}: {one.headcount}"


def restore_times(revision: Revision) -> list[Times]:
    """The shifts of an old state."""
    rows = []
    for words in revision.data["shifts"].splitlines():
        day, hours, headcount = words.split()
        starts, ends = hours.rstrip(":").split("–")
        rows.append(Times(WEEKDAYS.index(day), int(starts), int(ends), int(headcount)))
    return rows


def times_of(queue: Queue) -> list[Times]:
    roster = getattr(queue, "roster", None)
    if roster is None:
        return []
    return [
        Times(shift.weekday, shift.starts, shift.ends, shift.headcount)
        for shift in roster.shifts.all()
    ]


def suggest_times(people: Sequence[float]) -> list[Times]:
    """Shifts that come to `people` by hour of the week, rounded to whole ones."""
    found = []
    for weekday in range(7):
        counts = [round(one) for one in people[weekday * 24 : weekday * 24 + 24]]
        start = 0
        for hour in range(1, 25):
            if hour == 24 or counts[hour] != counts[start]:
                if counts[start]:
                    found.append(Times(weekday, start, hour, min(counts[start], MOST_PEOPLE)))
                start = hour
    return found


def look_ahead(
    platform: Platform,
    *,
    now: datetime,
    what_if: WhatIf | None = None,
    with_needed: Sequence[str] = (),
) -> list[Outlook]:
    """Every queue's coming week. What is needed is worked out for the queues of those slugs only:
    it takes a dozen forecasts."""
    outlooks = []
    for load in history.read_load(platform, now=now):
        draws = forecast.draw(load.situation.rates, seed=SEED + load.queue.pk)
        base = forecast.simulate(load.situation, draws)
        changed = change = needed = None
        growth = what_if.growth if what_if else 0.0
        more = what_if.people.get(load.queue.slug) if what_if else None
        if growth or more is not None:
            situation = load.situation
            if more is not None:
                situation = forecast.with_people(situation, more)
            changed = forecast.simulate(situation, draws, growth=growth)
            change = forecast.difference(base, changed)
        if load.queue.slug in with_needed:
            needed = forecast.needed(load.situation, draws, growth=growth).tolist()
        outlooks.append(Outlook(load, base, changed, change, needed))
    return outlooks


def read_what_if(values: Mapping[str, str], queues: Sequence[Queue]) -> WhatIf:
    """From the form in the URL: `people` more in `add`, or taken `out` of one and put `into`
    another, in `hours` ("9-17") on `days` ("all", "week", "0" …), and `growth` in percent."""
    names = {queue.slug: queue.name for queue in queues}
    wrong: dict[str, str] = {}
    into, out = values.get("into", "").strip(), values.get("out", "").strip()
    for name, slug in (("into", into), ("out", out)):
        if slug and slug not in names:
            wrong[name] = _("Choose one of the queues.")
    if into and into == out:
        wrong["out"] = _("Choose two different queues.")
    count = _whole(values, "people", 1, 0 if not (into or out) else 1, MOST_PEOPLE, wrong)
    first, last = _hours(values.get("hours", "").strip() or "0-24", wrong)
    days = _days(values.get("days", "").strip() or "all", wrong)
    percent = _whole(values, "growth", 0, -90, 400, wrong)
    if wrong:
        raise Invalid(_("That what-if does not work; see beside the fields."), details=wrong)
    hours = np.zeros(forecast.HOURS)
    for day in days:
        hours[day * 24 + first : day * 24 + last] = count
    people: dict[str, list[float]] = {}
    words = []
    told = {
        "count": count,
        "out": names.get(out, ""),
        "into": names.get(into, ""),
        "when": _("%(days)s from %(first)s:00 to %(last)s:00")
        % {"days": _when(days), "first": first, "last": last},
    }
    if into:
        people[into] = hours.tolist()
    if out:
        people[out] = (-hours).tolist()
    if into and out:
        text = ngettext(
            "%(count)s person moved from %(out)s to %(into)s, %(when)s",
            "%(count)s people moved from %(out)s to %(into)s, %(when)s",
            count,
        )
        words.append(text % told)
    elif into:
        text = ngettext(
            "%(count)s person more in %(into)s, %(when)s",
            "%(count)s people more in %(into)s, %(when)s",
            count,
        )
        words.append(text % told)
    elif out:
        text = ngettext(
            "%(count)s person fewer in %(out)s, %(when)s",
            "%(count)s people fewer in %(out)s, %(when)s",
            count,
        )
        words.append(text % told)
    if percent:
        text = _("%(share)s more arrivals") if percent > 0 else _("%(share)s fewer arrivals")
        words.append(text % {"share": f"{abs(percent)} %"})
    return WhatIf(people, percent / 100, words)


def _whole(
    values: Mapping[str, str], name: str, default: int, least: int, most: int, wrong: dict[str, str]
) -> int:
    text = values.get(name, "").strip().replace("−", "-").removesuffix("%").strip()
    if not text:
        return default
    try:
        number = int(text)
    except ValueError:
        number = most + 1
    if not least <= number <= most:
        words = _("A whole number from %(least)s to %(most)s.")
        wrong[name] = words % {"least": least, "most": figure(most)}
        return default
    return number


def _hours(text: str, wrong: dict[str, str]) -> tuple[int, int]:
    first, dash, last = text.replace("–", "-").partition("-")
    try:
        hours = int(first), int(last)
    except ValueError:
        hours = (0, 0)
    if not dash or not 0 <= hours[0] < hours[1] <= 24:
        wrong["hours"] = _("Two full hours of a day, like 9-17.")
        return 0, 24
    return hours


def _days(text: str, wrong: dict[str, str]) -> list[int]:
    if text == "all":
        return list(range(7))
    if text == "week":
        return list(range(5))
    if text.isascii() and text.isdigit() and int(text) < 7:
        return [int(text)]
    wrong["days"] = _("Choose days.")
    return []


def _when(days: Sequence[int]) -> str:
    if len(days) == 7:
        return _("every day")
    if len(days) == 5:
        return _("on weekdays")
    return _("on %(day)s") % {"day": DAY_NAMES[days[0]]}


def moment_of(now: datetime, hours: float) -> datetime:
    """The moment so many hours after the start of the hour that runs, as a forecast counts."""
    return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=hours)


# In words


def say_when(now: datetime, hours: float) -> str:
    """ "Thursday 14:00", to the hour, as the people on the roster see it."""
    moment = timezone.localtime(moment_of(now, hours) + timedelta(minutes=30))
    is_today = moment.date() == timezone.localtime(now).date()
    return f"{_('today') if is_today else date_format(moment, 'l')} {moment:%H}:00"


def in_words(outlook: Outlook, now: datetime, *, changed: bool = False) -> str:
    """What the week holds for one queue, in a sentence."""
    name, found = outlook.queue.name, outlook.changed if changed else outlook.forecast
    if found is None:
        found = outlook.forecast
    promise = _promise(outlook.queue.sla_minutes)
    if not found.people.any():
        return _("Nobody works %(queue)s, so nothing that comes in would be answered.") % {
            "queue": name
        }
    if found.is_broken:
        late = int((outlook.load.situation.backlog_due < 0).sum())
        share = late / max(len(outlook.load.situation.backlog_due), 1)
        many = round(share * outlook.load.situation.backlog)
        told = {"queue": name, "count": figure(many)}
        if found.recovers_at is None or found.recovery_chance < 0.5:
            words = _(
                "%(queue)s has %(count)s overdue now and will hardly catch up within the week."
            )
            return words % told
        words = _("%(queue)s has %(count)s overdue now; it has caught up %(when)s.")
        return words % {**told, "when": _between(now, found.recovers_at)}
    told = {"queue": name, "promise": promise}
    if found.breaks_at is None or found.break_chance < 0.1:
        words = _("%(queue)s keeps its %(promise)s promise all week (%(chance)s sure).")
        return words % {**told, "chance": charts.percent(1 - found.break_chance)}
    return _(
        "%(queue)s breaks its %(promise)s promise %(when)s with %(chance)s chance, unless more "
        "people work it."
    ) % {
        **told,
        "when": _between(now, found.breaks_at),
        "chance": charts.percent(found.break_chance),
    }


def _between(now: datetime, hours: Sequence[float]) -> str:
    low, middle, high = (say_when(now, one) for one in hours)
    if low == high:
        return _("about %(time)s") % {"time": middle}
    words = _("about %(time)s (80 %%: %(low)s to %(high)s)")
    return words % {"time": middle, "low": low, "high": high}


def _promise(minutes: float) -> str:
    if minutes < 90:
        return _("%(count)s min") % {"count": f"{minutes:.0f}"}
    return _("%(count)s h") % {"count": f"{minutes / 60:.0f}"}
