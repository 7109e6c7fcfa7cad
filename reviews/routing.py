"""Where a job belongs: the published rules → queue, the draw → lane, harm → rank."""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import TextField
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext as _

from . import conditions, draw_rows, ranking
from .errors import Conflict, Invalid
from .expressions import Condition, Facts
from .facts import make_facts, read_facts
from .models import Draw, Item, Lane, Platform, PolicyVersion, Queue, RoutingVersion

logger = logging.getLogger(__name__)

# What is known of every item the moment it arrives, and the same for all that agree in the key of
# Router.place_new: nobody has scored or reported it.
_SETTLED_AT_ONCE = frozenset(
    {
        "kind",
        "language",
        "views_per_hour",
        "risk",
        "highest_risk",
        "report_count",
        "reports",
        "sources",
        "reasons",
        "reporter_trust",
        "mean_reporter_trust",
    }
)
_PUBLISHING = 7_305_131  # advisory lock of (this, platform): see hold_publishing


class Rule(NamedTuple):
    """A rule that can be run."""

    place: int  # in the version's list
    name: str
    queue_id: int
    condition: Condition
    kinds: frozenset[str]  # that its queue takes; none: every kind


class RuleSet:
    """A version's active rules on one platform's queues. One that cannot run is skipped, and told
    to the log: it must not stop the intake of a platform."""

    def __init__(self, rules: Sequence[Mapping[str, Any]], queues: Iterable[Queue]) -> None:
        self._build(_compile_rules(json.dumps(rules)), queues)

    @classmethod
    def published(cls, platform_id: int, queues: Iterable[Queue]) -> "RuleSet":
        """What is in force; no rules where nothing was ever published."""
        found = (
            RoutingVersion.objects.filter(
                platform_id=platform_id, state=RoutingVersion.State.PUBLISHED
            )
            .values_list(Cast("rules", TextField()), flat=True)
            .first()
        )
        made = cls.__new__(cls)
        made._build(_compile_rules(found or "[]"), queues)
        return made

    def _build(
        self, compiled: Sequence[tuple[int, str, str, Condition]], queues: Iterable[Queue]
    ) -> None:
        ids = {queue.slug: queue.pk for queue in queues if not queue.is_archived}
        kinds = _kinds(ids.values()) if compiled else {}
        self.rules: list[Rule] = []
        for place, name, slug, condition in compiled:
            if slug not in ids:
                _tell_skipped(name, f"there is no queue {slug}.")
                continue
            taken = frozenset(kinds.get(ids[slug], ()))
            self.rules.append(Rule(place, name, ids[slug], condition, taken))
        self.reads = frozenset().union(*(rule.condition.reads for rule in self.rules))

    def first(self, item_facts: Facts) -> Rule | None:
        """The first rule that holds and whose queue takes items of this kind."""
        for rule in self.rules:
            if rule.kinds and item_facts["kind"] not in rule.kinds:
                continue
            if rule.condition.holds(item_facts):
                return rule
        return None


def _kinds(queue_ids: Iterable[int]) -> dict[int, list[str]]:
    """Queue → slugs of the kinds it is cut down to; queues that take every kind are left out."""
    found: dict[int, list[str]] = {}
    links = Queue.kinds.through.objects.filter(queue__in=list(queue_ids))
    for queue_id, slug in links.values_list("queue_id", "itemkind__slug"):
        found.setdefault(queue_id, []).append(slug)
    return found


@lru_cache(maxsize=100)
def _compile_rules(text: str) -> tuple[tuple[int, str, str, Condition], ...]:
    """(place, name, queue, condition) of the active rules, by the JSON text of all of them:
    a call reads the text and is spared the rest."""
    compiled = []
    for place, rule in enumerate(json.loads(text)):
        if not rule.get("is_active", True):
            continue
        try:
            condition = conditions.compile_tree(rule["condition"])
        except (Invalid, KeyError, TypeError) as error:
            _tell_skipped(rule.get("name", place), str(error))
            continue
        compiled.append((place, rule["name"], rule["queue"], condition))
    return tuple(compiled)


@lru_cache(maxsize=1000)
def _tell_skipped(name: str, why: str) -> None:
    """Once a process: intake asks many times a second."""
    logger.error("Routing rule “%s” is skipped: %s", name, why)


def hold_publishing(platform_id: int, *, to_publish: bool = False) -> None:
    """Until the transaction ends, nobody publishes rules; to_publish: and nobody routes by them.

    So every job that was placed by the old rules is there to be seen by whoever re-routes what
    waits, and what comes later is placed by the new ones.
    """
    lock = "pg_advisory_xact_lock" if to_publish else "pg_advisory_xact_lock_shared"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {lock}(%s, %s)", [_PUBLISHING, platform_id])  # noqa: S608


def draw_value(seed: int, item_id: int, *, stream: str = "") -> float:
    """The item's place in [0, 1) under `seed`: the same for ever, so a draw can be repeated.

    Every draw but the random lane's has a stream of its own: one says nothing about another.
    """
    text = f"{seed}:{stream}:{item_id}" if stream else f"{seed}:{item_id}"
    digest = hashlib.sha256(text.encode()).digest()
    # 53 bits, so that the float is exact and stays below 1.
    return (int.from_bytes(digest[:8]) >> 11) * 2.0**-53


class Placement(NamedTuple):
    """Everything of a job but its item."""

    queue_id: int
    lane: str
    draw_id: int | None
    inclusion_probability: float | None
    harm: float
    rank: float
    due_at: datetime
    is_overdue: bool
    is_soon: bool
    lift_at: datetime | None


class _Stream(NamedTuple):
    queue: Queue
    weights: list[tuple[str, float]]  # policy slug, severity weight


class Router:
    """One platform's rules, queues and weights, read once: for the length of one call."""

    def __init__(self, platform: Platform | int) -> None:
        platform_id = platform if isinstance(platform, int) else platform.pk
        queues = list(Queue.objects.filter(platform_id=platform_id))
        if not queues:
            raise Conflict(_("This platform has no queue yet, so nothing could be reviewed."))
        weights = _weights(platform_id)
        self._streams = {queue.pk: _Stream(queue, weights.get(queue.pk, [])) for queue in queues}
        self.default = next((queue for queue in queues if queue.is_default), queues[0])
        if connection.in_atomic_block:
            hold_publishing(platform_id)
        self._rules = RuleSet.published(platform_id, queues)
        self.reads = self._rules.reads
        self._draws: dict[int, draw_rows.Pending] = {}
        self._settled: dict[tuple[str, str, float], Placement] = {}

    @property
    def queues(self) -> list[Queue]:
        return [stream.queue for stream in self._streams.values()]

    def queue_for(self, item_facts: Facts) -> Queue:
        """The queue of the first rule that holds, else the default queue."""
        rule = self._rules.first(item_facts)
        return self._streams[rule.queue_id].queue if rule else self.default

    def place_new(
        self,
        item_id: int,
        *,
        kind: str,
        language: str,
        views_per_hour: float,
        joined_at: datetime | None,
        strikes: int | None,
        content: Mapping[str, Any],
        now: datetime,
        recent_items: int | None = None,
    ) -> Placement:
        """The job of an item that arrives now: nobody has scored or reported it.

        Items arrive by the thousand, and most rules ask for risks and reports, which a new item
        has none of: then kind, language and views settle all but the draw, and are asked once.
        """
        key = (kind, language, views_per_hour)
        placement = self._settled.get(key)
        if placement is None:
            new_facts = make_facts(
                kind=kind,
                language=language,
                views_per_hour=views_per_hour,
                report_count=0,
                joined_at=joined_at,
                strikes=strikes,
                risks={},
                content=content if "field" in self.reads else {},
                now=now,
                recent_items=recent_items,
            )
            queue = self.queue_for(new_facts)
            placement = self._placement(queue, {}, views_per_hour, submitted_at=now, opened_at=now)
            if self.reads <= _SETTLED_AT_ONCE:
                self._settled[key] = placement
        return self._drawn(item_id, placement)

    def place(
        self,
        item_id: int,
        queue: Queue,
        *,
        risks: Mapping[str, float],
        views_per_hour: float,
        submitted_at: datetime,
        opened_at: datetime,
        report_trust: float = 0.0,
        first_reports: Mapping[str, datetime] | None = None,
        is_drawn: bool = True,
    ) -> Placement:
        """Lane, harm, rank and due time of an item's job in `queue`. `is_drawn`: its random lane
        may draw it; what somebody asks for leaves nothing to chance."""
        placement = self._placement(
            queue,
            risks,
            views_per_hour,
            submitted_at=submitted_at,
            opened_at=opened_at,
            report_trust=report_trust,
            first_reports=first_reports or {},
        )
        return self._drawn(item_id, placement) if is_drawn else placement

    def _placement(
        self,
        queue: Queue,
        risks: Mapping[str, float],
        views_per_hour: float,
        *,
        submitted_at: datetime,
        opened_at: datetime,
        report_trust: float = 0.0,
        first_reports: Mapping[str, datetime] | None = None,
    ) -> Placement:
        harm = self.harm(
            queue, risks=risks, views_per_hour=views_per_hour, report_trust=report_trust
        )
        due_at = ranking.due_at(
            opened_at,
            sla_minutes=queue.sla_minutes,
            first_reports=first_reports or {},
            sla_by_source=queue.sla_by_source,
        )
        lift = ranking.lift(due_at, now=opened_at, soon_minutes=queue.soon_minutes)
        rank = ranking.rank(
            harm,
            submitted_at=submitted_at,
            doubling_hours=queue.doubling_hours,
            is_overdue=lift.is_overdue,
            is_soon=lift.is_soon,
        )
        return Placement(
            queue.pk,
            Lane.RISK,
            None,
            None,
            harm,
            rank,
            due_at,
            lift.is_overdue,
            lift.is_soon,
            lift.lift_at,
        )

    def _drawn(self, item_id: int, placement: Placement) -> Placement:
        """The placement, in the random lane if the item is drawn for it."""
        queue = self._streams[placement.queue_id].queue
        if queue.random_rate <= 0:
            return placement
        lane, draw_id, probability = self.draw(item_id, queue)
        if draw_id is None:
            return placement
        return placement._replace(lane=lane, draw_id=draw_id, inclusion_probability=probability)

    def draw(self, item_id: int, queue: Queue) -> tuple[str, int | None, float | None]:
        """Poisson sampling: each item on its own, with the queue's probability.

        One draw a queue and call. Whoever has written the jobs calls write_draws().
        """
        rate = queue.random_rate
        if rate <= 0:
            return Lane.RISK, None, None
        pending = self._draws.get(queue.pk)
        if pending is None:
            pending = self._draws[queue.pk] = draw_rows.Pending(
                queue.pk, Lane.RANDOM, Draw.Strategy.POISSON, queue.draw_seed, probability=rate
            )
        pending.pool_size += 1
        if draw_value(queue.draw_seed, item_id) >= rate:
            return Lane.RISK, None, None
        return Lane.RANDOM, pending.set_aside(), rate

    def write_draws(self) -> None:
        """The draws since the last time, their jobs being there; in the caller's transaction."""
        draw_rows.write(self._draws.values())
        self.forget_draws()

    def forget_draws(self) -> None:
        """What was drawn came to nothing: the caller starts over."""
        self._draws = {}

    def harm(
        self,
        queue: Queue,
        *,
        risks: Mapping[str, float],
        views_per_hour: float,
        report_trust: float = 0.0,
    ) -> float:
        return ranking.harm(
            [(weight, chance) for _rest, weight, chance in self.policies(queue, risks)],
            views_per_hour=views_per_hour,
            handling_minutes=queue.handling_minutes,
            report_trust=report_trust,
            report_weight=queue.report_weight,
        )

    def policies(self, queue: Queue, risks: Mapping[str, float]) -> list[tuple[str, float, float]]:
        """(slug, severity weight, probability) of each policy that the queue judges."""
        weights = self._streams[queue.pk].weights or [("", 1.0)]
        return [(slug, weight, risks.get(slug, ranking.PRIOR)) for slug, weight in weights]

    def settings(self, queue: Queue) -> dict[str, Any]:
        """All of the queue that its jobs' places, due times and ranks hang on, as JSON."""
        return {
            "is_default": queue.is_default,
            "is_archived": queue.is_archived,
            "kinds": sorted(kind.slug for kind in queue.kinds.all()),
            "sla_minutes": queue.sla_minutes,
            "weights": dict(sorted(self._streams[queue.pk].weights)),
            "handling_minutes": queue.handling_minutes,
            "doubling_hours": queue.doubling_hours,
            "report_weight": queue.report_weight,
            "sla_by_source": dict(sorted(queue.sla_by_source.items())),
            "soon_minutes": queue.soon_minutes,
        }


def route(item: Item) -> Queue:
    """The queue an item belongs in now. For many items, use one Router."""
    router = Router(item.platform_id)
    return router.queue_for(read_facts(item, router.reads, now=timezone.now()))


def _weights(platform_id: int) -> dict[int, list[tuple[str, float]]]:
    """Queue → its policies' slugs and severity weights in force now."""
    in_force = {
        policy_id: (slug, weight)
        for policy_id, slug, weight in PolicyVersion.objects.in_force()
        .filter(policy__platform_id=platform_id)
        .values_list("policy_id", "policy__slug", "severity_weight")
    }
    weights: dict[int, list[tuple[str, float]]] = {}
    links = Queue.policies.through.objects.filter(queue__platform_id=platform_id)
    for queue_id, policy_id in links.values_list("queue_id", "policy_id"):
        if policy_id in in_force:
            weights.setdefault(queue_id, []).append(in_force[policy_id])
    return weights
