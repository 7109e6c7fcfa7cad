"""What is good for the person who looks: which jobs she may be given, and how long she has looked.

A harm is what a policy does to whoever looks, in a word of the platform's; a severe policy without
one counts under its own name. What an item carries is what it is scored for before anybody has seen
it, and what was found in it afterwards. A job that she holds is hers to finish, whatever is asked.
"""

import json
import time
import uuid
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from django.utils import timezone

from . import access, comfort
from .models import Item, Job, Limits, Person, Queue, Severity, Strength
from .statements import Statement

# A risk from which an item is taken to carry a policy's harm.
LIKELY = 0.25
# One second of looking counts so much, by the severity of the policy.
WEIGHTS = {Severity.LOW: 0.25, Severity.MEDIUM: 0.5, Severity.HIGH: 1.0, Severity.CRITICAL: 2.0}
SEVERE = Severity.HIGH
# How long changed limits, or policies, may count as they were.
CARE_SECONDS = 5.0
# So much of a budget, in weighted seconds, one item may use while the next is fetched ahead.
AHEAD_SECONDS = 120.0
# So far down each lane a calm job is looked for, once it is a calm one's turn.
_CALM_DEPTH = 200

_CARE = Statement(
    "care",
    """
SELECT policy.slug, policy.name, policy.harm, version.severity, policy.covers_text
FROM reviews_queue_policies AS link
JOIN reviews_policy AS policy ON policy.id = link.policy_id
CROSS JOIN LATERAL (
  SELECT severity FROM reviews_policyversion AS version
  WHERE version.policy_id = policy.id AND version.effective_at <= clock_timestamp()
  ORDER BY version.effective_at DESC, version.number DESC LIMIT 1
) AS version
WHERE link.queue_id = %(queue)s ORDER BY policy.position, policy.id
""",
)

# By harm, when her budget is spent: the moment from which what she looked at since adds up to it.
# She may look again when that has become older than a shift.
_STATE = Statement(
    "care_state",
    """
SELECT
  coalesce((
    SELECT json_object_agg(harm, until) FROM (
      SELECT harm, max(at) + make_interval(hours => %(hours)s::int) AS until
      FROM (
        SELECT exposure.harm, at,
          sum(seconds * weight) OVER (PARTITION BY exposure.harm ORDER BY at DESC, id DESC) AS since
        FROM reviews_exposure AS exposure
        WHERE person_id = %(person)s
          AND at > clock_timestamp() - make_interval(hours => %(hours)s::int)
          AND exposure.harm = ANY(%(harms)s::text[])
      ) AS summed
      JOIN unnest(%(harms)s::text[], %(budgets)s::float8[]) AS budget (name, seconds)
        ON budget.name = summed.harm
      WHERE since >= budget.seconds GROUP BY harm
    ) AS spent
  ), '{}'::json),
  coalesce((SELECT severe_run FROM reviews_wellbeing WHERE person_id = %(person)s), 0)
""",
)

# For claims.py: `ready` is a job, %(shunned)s policies that it must not be likely to break; what
# nobody has scored for them counts as %(unscored)s says.
CARRIES = f"""
      AND (cardinality(%(shunned)s::text[]) = 0 OR NOT EXISTS (
        SELECT FROM reviews_item AS carried, unnest(%(shunned)s::text[]) AS slug
        WHERE carried.id = ready.item_id
          AND coalesce((carried.risks->>slug)::float8 >= {LIKELY}, %(unscored)s::boolean) OFFSET 0
      ))
"""

_IS_CARRIED = Statement(
    "care_carried",
    f"SELECT FROM reviews_job AS ready WHERE ready.id = %(job)s {CARRIES}",  # noqa: S608
)

_CALM = Statement(
    "care_calm",
    f"""
SELECT EXISTS (
  SELECT FROM (SELECT DISTINCT lane FROM unnest(%(lanes)s::text[]) AS lane) AS lanes
  CROSS JOIN LATERAL (
    SELECT ready.id, ready.item_id FROM reviews_job AS ready
    WHERE ready.queue_id = %(queue)s AND ready.lane = lanes.lane AND ready.state = 'ready'
      AND ready.assigned_to_id IS NULL
    ORDER BY ready.rank DESC, ready.id LIMIT {_CALM_DEPTH}
  ) AS ready
  WHERE true {CARRIES}
)
""",  # noqa: S608
)

# Counted once a job, whichever way it came to be shown.
_SHOWN = Statement(
    "care_shown",
    """
WITH job AS (
  SELECT id, EXISTS (
    SELECT FROM reviews_item AS item, unnest(%(severe)s::text[]) AS slug
    WHERE item.id = reviews_job.item_id
      AND coalesce((item.risks->>slug)::float8 >= %(likely)s::float8, %(unscored)s::boolean)
  )::int AS is_severe
  FROM reviews_job WHERE id = %(job)s
)
INSERT INTO reviews_wellbeing AS own (person_id, severe_run, severe_since_break, last_job_id)
SELECT %(person)s, is_severe, is_severe, id FROM job
ON CONFLICT (person_id) DO UPDATE SET
  severe_run = CASE WHEN excluded.severe_run = 0 THEN 0 ELSE own.severe_run + 1 END,
  severe_since_break = own.severe_since_break + excluded.severe_run,
  last_job_id = excluded.last_job_id
WHERE own.last_job_id IS DISTINCT FROM excluded.last_job_id
RETURNING severe_run
""",
)

# A later report of the same claim counts what it says more, never once again.
_EXPOSE = Statement(
    "expose",
    """
INSERT INTO reviews_exposure AS known (person_id, queue_id, token, harm, seconds, weight, at)
SELECT %(person)s, %(queue)s, %(token)s, harm, %(seconds)s::float8, weight, clock_timestamp()
FROM unnest(%(harms)s::text[], %(weights)s::float8[]) AS carried (harm, weight)
ORDER BY harm
ON CONFLICT (token, harm) DO UPDATE SET
  seconds = excluded.seconds, weight = greatest(known.weight, excluded.weight)
WHERE known.person_id = excluded.person_id AND excluded.seconds > known.seconds
RETURNING harm
""",
)

_HELD = Statement(
    "care_held",
    """
SELECT job.queue_id, item.risks::text,
  extract(epoch FROM clock_timestamp() - job.claimed_at)::float8 AS seconds
FROM reviews_job AS job JOIN reviews_item AS item ON item.id = job.item_id
WHERE job.id = %(job)s AND job.claim_token = %(token)s AND job.claimed_by_id = %(person)s
""",
)


_COVERING = Statement(
    "covering",
    """
SELECT DISTINCT item_id, queue_id FROM reviews_job
WHERE item_id = ANY(%(items)s) AND queue_id IN (
  SELECT judged.queue_id FROM reviews_queue_policies AS judged
  JOIN reviews_policy AS policy ON policy.id = judged.policy_id WHERE policy.covers_text)
ORDER BY item_id, queue_id
""",
)


class Carried(NamedTuple):
    """One policy of a queue, by what it does to whoever looks. `harm` is "" where that is nothing
    to count."""

    slug: str
    name: str
    harm: str
    label: str
    severity: int
    covers_text: bool

    @property
    def is_severe(self) -> bool:
        return bool(self.harm) and self.severity >= SEVERE


class Care(NamedTuple):
    """What there is to look after in one queue."""

    policies: tuple[Carried, ...]
    limits: Limits
    budgets: dict[str, float]  # {harm of this queue: weighted seconds a shift}

    @property
    def severe(self) -> list[str]:
        return [one.slug for one in self.policies if one.is_severe]

    @property
    def is_all_severe(self) -> bool:
        """Then what nobody has scored is taken to be severe too."""
        return all(one.is_severe for one in self.policies)

    def slugs_of(self, harms: Collection[str]) -> list[str]:
        return [one.slug for one in self.policies if one.harm and one.harm in harms]


class Guard(NamedTuple):
    """May she be given something of a queue now, and what of it."""

    is_open: bool
    shunned: tuple[str, ...] = ()  # policies that her next job must not be likely to break
    severe: tuple[str, ...] = ()  # enough in a row: a job likely to break none of these goes first
    unscored: bool = False  # what nobody has scored counts among the severe
    why: str = ""  # closed: "break", "budget" or "opt-out"
    opens_at: datetime | None = None


class Rest(NamedTuple):
    """When a break is suggested, and how long it is."""

    after_minutes: int  # of work; 0: never
    minutes: int
    is_due: bool  # by the severe items since the last one


_cares: dict[int, tuple[float, Care]] = {}
_strengths: dict[tuple[int, ...], tuple[float, int]] = {}


def care_of(queue: Queue) -> Care:
    """What its policies do and its platform's limits, at most CARE_SECONDS old."""
    until, known = _cares.get(queue.pk, (0.0, None))
    if known is None or time.monotonic() > until:
        known = _read_care(queue)
        _cares[queue.pk] = (time.monotonic() + CARE_SECONDS, known)
    return known


def forget() -> None:
    """In this process: limits and policies are read anew."""
    _cares.clear()
    _strengths.clear()


def strength_for(person: Person) -> int:
    """How strongly is blurred for her: as she chose, else as the strictest platform of hers."""
    chosen = comfort.own(person).strength
    if chosen:
        return chosen
    platforms = tuple(sorted(access.platform_ids(person))) if person.pk else ()
    until, known = _strengths.get(platforms, (0.0, 0))
    if time.monotonic() > until:
        rows = Limits.objects.filter(platform__in=platforms).values_list("strength", flat=True)
        known = max(rows, default=int(Strength.STRONGER))
        _strengths[platforms] = (time.monotonic() + CARE_SECONDS, known)
    return known


def covered_by(queue: Queue, risks: Mapping[str, float], *, tells_risk: bool) -> list[str]:
    """The policies whose text arrives covered and which this item is likely to break; [] for none.

    Where its risk is not to be told (blind.py), so must the cover not: then every item of a queue
    that judges such a policy arrives covered.
    """
    care = care_of(queue)
    covering = [one for one in care.policies if one.covers_text]
    if not covering or not tells_risk:
        return [one.name for one in covering]
    is_all = len(covering) == len(care.policies)
    return [one.name for one in covering if _is_likely(risks.get(one.slug), is_all)]


def covered(items: Iterable[Item]) -> dict[int, list[str]]:
    """Of these items, in a list or beside another: those whose text arrives covered in a queue that
    they are or were in, each with the policies for which. One query where no policy covers text.
    """
    risks = {item.pk: item.risks for item in items}
    if not risks:
        return {}
    places = _COVERING.rows(items=list(risks))
    queues = Queue.objects.in_bulk({queue for _item, queue in places})
    found: dict[int, list[str]] = {}
    for item, queue_id in places:
        queue = queues[queue_id]
        # Whoever asks: a list has no place to tell one reader more than another.
        names = covered_by(queue, risks[item], tells_risk=Queue.Blind.SCORE not in queue.blind)
        if names:
            found[item] = list(dict.fromkeys([*found.get(item, []), *names]))
    return found


def rest_of(person: Person, queue: Queue) -> Rest:
    """When her desk suggests a break. No query."""
    limits = care_of(queue).limits
    severe = comfort.own(person).severe_since_break
    is_due = bool(limits.break_severe) and severe >= limits.break_severe
    return Rest(limits.break_minutes, limits.break_length, is_due)


def limits_of(platform_id: int) -> Limits:
    """As they are saved, or the usual ones: none."""
    found = Limits.objects.filter(platform=platform_id).first()
    return found or Limits(platform_id=platform_id)


def guard(person: Person, queue: Queue, *, ahead: bool = False) -> Guard:
    """What she may be given of this queue now. Costs no query for whom nothing is limited.

    `ahead`: beside or after what she has on her screen, so what that may still use up of a budget
    is taken to be gone.
    """
    if not person.is_active or queue.is_archived:
        return Guard(False)
    care, own = care_of(queue), comfort.own(person)
    if own.break_until is not None and own.break_until > timezone.now():
        return Guard(False, why="break", opens_at=own.break_until)
    refused = set(own.opt_outs)
    spent: dict[str, datetime] = {}
    run = 0
    if care.budgets or care.limits.rotation:
        margin = AHEAD_SECONDS if ahead else 0.0
        budgets = {harm: max(one - margin, 1.0) for harm, one in care.budgets.items()}
        spent, run = _read_state(person, care.limits.shift_hours, budgets)
    shunned = care.slugs_of(refused | spent.keys())
    if shunned and len(shunned) == len(care.policies):
        opens = [
            spent[one.harm]
            for one in care.policies
            if one.harm in spent and one.harm not in refused
        ]
        why = "budget" if opens else "opt-out"
        return Guard(False, tuple(shunned), why=why, opens_at=min(opens, default=None))
    if care.limits.rotation and run >= care.limits.rotation:
        return Guard(True, tuple(shunned), tuple(care.severe), care.is_all_severe)
    return Guard(True, tuple(shunned))


def spent(person: Person, limits: Limits, minutes: Mapping[str, float]) -> dict[str, datetime]:
    """{harm: when it opens again} of the budgets (in minutes a shift) that she has used up."""
    seconds = {harm: 60 * one for harm, one in minutes.items()}
    return _read_state(person, limits.shift_hours, seconds)[0]


def filters_to_try(
    queue: Queue, found: Guard, lanes: Collection[str]
) -> list[tuple[list[str], bool]]:
    """What her next job must not carry, by the order of trying: (policies, the unscored too)."""
    usual = (list(found.shunned), False)
    if not found.severe:
        return [usual]
    calm = (sorted({*found.shunned, *found.severe}), found.unscored)
    ((is_there,),) = _CALM.rows(
        queue=queue.pk, lanes=list(lanes), shunned=calm[0], unscored=calm[1]
    )
    return [calm, usual] if is_there else [usual]


def is_for(job: Job, found: Guard) -> bool:
    """A job that was taken for her before: still one she may be given?"""
    if not found.is_open:
        return False
    if not found.shunned:
        return True
    return bool(_IS_CARRIED.rows(job=job.pk, shunned=list(found.shunned), unscored=False))


def is_spared(person: Person, queue: Queue, risks: Mapping[str, float]) -> bool:
    """An item of this queue is not hers to look at now: it is likely to carry what she opted out
    of, or has had enough of. A break is no reason: it is over soon."""
    found = guard(person, queue)
    if found.why in ("budget", "opt-out"):
        return True
    return any(_is_likely(risks.get(slug), False) for slug in found.shunned)


def note_shown(job: Job, *, by: Person) -> None:
    """Count severe jobs in a row, where somebody asks for that: once a job."""
    care = care_of(job.queue)
    if not care.severe or not (care.limits.rotation or care.limits.break_severe):
        return
    _SHOWN.rows(
        person=by.pk,
        job=job.pk,
        severe=care.severe,
        likely=LIKELY,
        unscored=care.is_all_severe,
    )


def carried(
    care: Care, risks: Mapping[str, float], violated: Collection[str] = ()
) -> dict[str, float]:
    """{harm: weight} of an item: what it is likely to break, and what was found to be broken.

    In a queue whose every policy does harm, an item nobody has scored is taken to carry all of it.
    """
    is_harmful = all(one.harm for one in care.policies)
    found: dict[str, float] = {}
    for one in care.policies:
        risk = risks.get(one.slug)
        if one.harm and (_is_likely(risk, is_harmful) or one.slug in violated):
            weight = WEIGHTS[Severity(one.severity)]
            found[one.harm] = max(weight, found.get(one.harm, 0.0))
    return found


def _is_likely(risk: float | None, if_unscored: bool) -> bool:
    return if_unscored if risk is None else risk >= LIKELY


def expose(
    queue: Queue,
    *,
    by: Person,
    token: uuid.UUID | str,
    risks: Mapping[str, float],
    violated: Collection[str] = (),
    seconds: float,
    at_most: float,
) -> list[str]:
    """In the caller's transaction: so long did a claim's item stand open to her, at most as long as
    she held it. Returns the harms that were counted."""
    seconds = min(seconds, at_most)
    if seconds <= 0:
        return []
    harms = carried(care_of(queue), risks, violated)
    if not harms:
        return []
    rows = _EXPOSE.rows(
        person=by.pk,
        queue=queue.pk,
        token=str(token),
        seconds=seconds,
        harms=list(harms),
        weights=list(harms.values()),
    )
    return [harm for (harm,) in rows]


def report_held(job_id: int, token: uuid.UUID | str, *, by: Person, seconds: float) -> None:
    """What her page says of a claim that still lives: with a heartbeat, and before it ends without
    an answer. Anything that is not hers counts for nothing."""
    try:
        row = _HELD.row(job=job_id, token=uuid.UUID(str(token)), person=by.pk)
    except ValueError:
        return
    if row is None or seconds <= 0:
        return
    queue_id, risks, held = row
    queue = Queue.objects.filter(pk=queue_id).first()
    if queue is not None:
        expose(queue, by=by, token=token, risks=json.loads(risks), seconds=seconds, at_most=held)


def _read_care(queue: Queue) -> Care:
    policies = tuple(
        Carried(
            slug, name, comfort.harm_of(slug, harm, severity), harm or name, severity, covers_text
        )
        for slug, name, harm, severity, covers_text in _CARE.rows(queue=queue.pk)
    )
    limits = limits_of(queue.platform_id)
    harms = {one.harm for one in policies if one.harm}
    budgets = {
        harm: float(minutes) * 60 for harm, minutes in limits.budgets.items() if harm in harms
    }
    return Care(policies, limits, budgets)


def _read_state(
    person: Person, hours: int, budgets: Mapping[str, float]
) -> tuple[dict[str, datetime], int]:
    ((spent, run),) = _STATE.rows(
        person=person.pk,
        hours=hours,
        harms=list(budgets),
        budgets=list(budgets.values()),
    )
    return {harm: datetime.fromisoformat(until) for harm, until in spent.items()}, run
