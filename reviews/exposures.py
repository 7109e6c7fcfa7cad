"""What was looked at: for the person herself in full, for leads as sums of many, and no longer kept
than her platform says."""

from datetime import date, datetime, timedelta
from typing import NamedTuple

from django.db import connection

from . import access, comfort, wellness
from .models import Person, Platform
from .statements import Statement

DAYS = 14
LEAST_PEOPLE = 5
ROUNDED_TO = 5  # minutes
_BATCH = 5000

_SHIFT = Statement(
    "own_shift",
    """
SELECT harm, sum(seconds * weight)::float8, sum(seconds)::float8, count(*)
FROM reviews_exposure AS exposure JOIN reviews_queue AS queue ON queue.id = exposure.queue_id
WHERE person_id = %(person)s AND queue.platform_id = %(platform)s
  AND at > clock_timestamp() - make_interval(hours => %(hours)s::int)
GROUP BY harm
""",
)
_BY_DAY = Statement(
    "own_days",
    """
SELECT day::date, coalesce(sum(seconds * weight), 0)::float8
FROM generate_series(
  date_trunc('day', clock_timestamp() AT TIME ZONE %(zone)s) - make_interval(days => %(days)s - 1),
  date_trunc('day', clock_timestamp() AT TIME ZONE %(zone)s), interval '1 day'
) AS day
LEFT JOIN reviews_exposure AS exposure
  ON exposure.person_id = %(person)s
  AND date_trunc('day', exposure.at AT TIME ZONE %(zone)s) = day
GROUP BY day ORDER BY day
""",
)
_PRUNE = """
DELETE FROM reviews_exposure WHERE id IN (
  SELECT exposure.id FROM reviews_exposure AS exposure
  JOIN reviews_queue AS queue ON queue.id = exposure.queue_id
  LEFT JOIN reviews_limits AS limits ON limits.platform_id = queue.platform_id
  WHERE exposure.at
    < clock_timestamp() - make_interval(days => coalesce(limits.keep_days, %(usual)s))
  LIMIT %(limit)s
)
"""


# Whole weeks, by the database's clock in UTC, that nothing has been pruned of yet: asked again, a
# week answers the same, so no two answers can be held against each other. Where one person makes
# up more than half, the sum would speak of her.
_WEEKS = Statement(
    "exposure_weeks",
    """
WITH each AS (
  SELECT date_trunc('week', at AT TIME ZONE 'UTC')::date AS week, harm, person_id,
    sum(seconds * weight)::float8 AS seconds
  FROM reviews_exposure AS exposure JOIN reviews_queue AS queue ON queue.id = exposure.queue_id
  WHERE queue.platform_id = %(platform)s
  GROUP BY week, harm, person_id
)
SELECT week, harm,
  CASE WHEN count(*) >= %(least)s AND max(seconds) <= sum(seconds) / 2
    THEN sum(seconds) / count(*) END
FROM each
WHERE week + 7 <= (clock_timestamp() AT TIME ZONE 'UTC')::date
  AND week > (clock_timestamp() AT TIME ZONE 'UTC')::date - %(keep)s::int
GROUP BY week, harm ORDER BY week DESC, harm
""",
)


class Shift(NamedTuple):
    """One harm in the shift that ends now."""

    harm: str
    label: str
    minutes: float  # weighted by severity, as the budget counts
    looks: int
    budget: float | None  # minutes
    opens_at: datetime | None  # of a spent one
    is_refused: bool  # she opted out of it

    @property
    def share(self) -> float:
        return min(self.minutes / self.budget, 1.0) if self.budget else 0.0


class Sum(NamedTuple):
    label: str
    minutes: int | None  # a person; None: too few people to say


class Week(NamedTuple):
    first: date
    last: date
    sums: list[Sum]


class Day(NamedTuple):
    on: date
    minutes: float


def own_shift(person: Person, *, by: Person) -> list[Shift]:
    """Harm by harm on her platforms, those she can meet and those she met."""
    access.check_own_business(by, person)
    refused = set(comfort.own(person).opt_outs)
    labels = dict(comfort.harms_to_choose(person))
    found = []
    for platform in sorted(access.platform_ids(person)):
        limits = wellness.limits_of(platform)
        rows = {
            harm: (weighted / 60, looks)
            for harm, weighted, _seconds, looks in _SHIFT.rows(
                person=person.pk, platform=platform, hours=limits.shift_hours
            )
        }
        budgets = {harm: float(minutes) for harm, minutes in limits.budgets.items()}
        spent = wellness.spent(person, limits, budgets)
        for harm in dict.fromkeys([*labels, *rows, *budgets]):
            minutes, looks = rows.get(harm, (0.0, 0))
            if not looks and harm not in budgets and harm not in refused:
                continue
            found.append(
                Shift(
                    harm,
                    labels.get(harm, harm),
                    minutes,
                    looks,
                    budgets.get(harm),
                    spent.get(harm),
                    harm in refused,
                )
            )
    return found


def own_days(person: Person, *, by: Person, zone: str) -> list[Day]:
    access.check_own_business(by, person)
    return [
        Day(on, weighted / 60)
        for on, weighted in _BY_DAY.rows(person=person.pk, days=DAYS, zone=zone)
    ]


def weeks(platform: Platform, *, by: Person) -> list[Week]:
    """Weighted minutes a person, by week and harm, where at least LEAST_PEOPLE looked: rounded, and
    None elsewhere. No total, no queue and no number of people, so that nothing can be taken off."""
    access.check(by, "wellness.view", platform)
    labels = dict(comfort.harms_of([platform.pk]))
    found: dict[date, list[Sum]] = {}
    keep = wellness.limits_of(platform.pk).keep_days
    rows = _WEEKS.rows(platform=platform.pk, least=LEAST_PEOPLE, keep=keep)
    for week, harm, seconds in rows:
        minutes = None if seconds is None else round(seconds / 60 / ROUNDED_TO) * ROUNDED_TO
        found.setdefault(week, []).append(Sum(labels.get(harm, harm), minutes))
    return [Week(week, week + timedelta(days=6), sums) for week, sums in found.items()]


def prune() -> int:
    """Sweep: what has been kept as long as its platform says is gone."""
    total = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_PRUNE, {"usual": 30, "limit": _BATCH})
            count = cursor.rowcount
        total += count
        if count < _BATCH:
            return total
