"""Where a job belongs: rules → queue, the draw → lane, harm → rank.

A rule's condition is parsed by rule-engine and evaluated here, over a few kinds of node only: no
regular expressions, no loops, no powers, so that no condition can run away. A missing name is
null, and null is neither true nor false (as in SQL): a rule holds only when it is true.
"""

import hashlib
import logging
import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import rule_engine
from django.db.models import Count
from django.db.models.functions import Now
from django.utils import timezone
from rule_engine import ast

from . import draw_rows, ranking
from .errors import Conflict, Invalid
from .models import Draw, Item, Lane, Platform, PolicyVersion, Queue, RoutingRule, Strike

logger = logging.getLogger(__name__)

NAMES = ("kind", "language", "views_per_hour", "report_count", "account_age_days", "strikes")
SPACES = ("risk", "field")  # risk.<policy>, field.<name>; a "-" in a name is written "_"
MAX_CONDITION = 1000  # characters
# Parsing works constants out, so what could explode there is refused before it.
_FORBIDDEN = ("**", "=~", "!~", "<<", ">>")

Facts = Mapping[str, Any]
_Node = Callable[[Facts], Any]

_COMPARE = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
_ARITHMETIC = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "tdiv": operator.truediv,
}


class Condition(NamedTuple):
    """A compiled condition and the top names it reads."""

    holds: Callable[[Facts], bool]
    reads: frozenset[str]


def check_condition(text: str) -> None:
    """Raise Invalid, in words, unless `text` is a condition that can be run."""
    compile_condition(text)


@lru_cache(maxsize=1000)
def compile_condition(text: str) -> Condition:
    """Parsing takes longer than all the rest of a call, and rules seldom change."""
    if len(text) > MAX_CONDITION:
        raise _bad(f"A condition has at most {MAX_CONDITION} characters.")
    for sign in _FORBIDDEN:
        if sign in text:
            raise _bad(f"A condition cannot use {sign}.")
    try:
        expression = rule_engine.Rule(text).statement.expression
    except rule_engine.EngineError as error:
        raise _bad(f"This is not a condition: {error.message}.") from None
    except (ValueError, RecursionError):
        raise _bad("This is not a condition.") from None
    reads: set[str] = set()
    evaluate = _compile(expression, reads)
    return Condition(lambda facts: evaluate(facts) is True, frozenset(reads))


def _compile(node: object, reads: set[str]) -> _Node:
    """`node` as a function of the facts. Null in, null out."""
    if isinstance(node, ast.ArrayExpression):
        members = [_compile(member, reads) for member in node.value]
        return lambda facts: [member(facts) for member in members]
    if isinstance(
        node,
        ast.FloatExpression | ast.StringExpression | ast.BooleanExpression | ast.NullExpression,
    ):
        value = float(node.value) if isinstance(node.value, Decimal) else node.value
        return lambda facts: value
    if isinstance(node, ast.SymbolExpression):
        return _symbol(node, reads)
    if isinstance(node, ast.GetAttributeExpression):
        return _member(node.object, node.name, reads)
    if isinstance(node, ast.GetItemExpression) and isinstance(node.item, ast.StringExpression):
        return _member(node.container, node.item.value, reads)
    if isinstance(node, ast.LogicExpression):
        left, right = _compile(node.left, reads), _compile(node.right, reads)
        return _both(left, right) if node.type == "and" else _either(left, right)
    if isinstance(node, ast.UnaryExpression):
        inner = _compile(node.right, reads)
        if node.type == "not":
            return lambda facts: None if (value := inner(facts)) is None else not value
        return _guarded(lambda value, _: -value, inner, lambda facts: 0)
    if isinstance(node, ast.ContainsExpression):
        member, container = _compile(node.member, reads), _compile(node.container, reads)
        return _guarded(lambda value, values: value in values, member, container)
    if isinstance(node, ast.ArithmeticComparisonExpression):
        left, right = _compile(node.left, reads), _compile(node.right, reads)
        return _guarded(_COMPARE[node.type], left, right)
    if type(node) is ast.ComparisonExpression:
        left, right = _compile(node.left, reads), _compile(node.right, reads)
        if _is_null(node.left) or _is_null(node.right):
            equal = _COMPARE[node.type]
            return lambda facts: equal(left(facts), right(facts))
        return _guarded(_COMPARE[node.type], left, right)
    if getattr(node, "type", None) in _ARITHMETIC:
        left, right = _compile(node.left, reads), _compile(node.right, reads)
        return _guarded(_ARITHMETIC[node.type], left, right)
    raise _bad(f"A condition cannot use {type(node).__name__.removesuffix('Expression')}.")


def _symbol(node: ast.SymbolExpression, reads: set[str]) -> _Node:
    name = node.name
    if node.scope is not None or name not in NAMES:
        known = ", ".join([*NAMES, *(f"{space}.…" for space in SPACES)])
        raise _bad(f"There is no {name} to ask about. There is: {known}.")
    reads.add(name)
    return lambda facts: facts.get(name)


def _member(space: object, name: str, reads: set[str]) -> _Node:
    if not isinstance(space, ast.SymbolExpression) or space.name not in SPACES:
        raise _bad(f"Only {' and '.join(SPACES)} have parts; .{name} does not exist.")
    outer, key = space.name, name.replace("-", "_")
    reads.add(outer)
    return lambda facts: (facts.get(outer) or {}).get(key)


def _guarded(apply: Callable[[Any, Any], Any], left: _Node, right: _Node) -> _Node:
    """`apply` on two values; null where one is null or the two do not go together."""

    def evaluate(facts: Facts) -> Any:
        one, other = left(facts), right(facts)
        if one is None or other is None:
            return None
        try:
            return apply(one, other)
        except (TypeError, ArithmeticError):
            return None

    return evaluate


def _both(left: _Node, right: _Node) -> _Node:
    def evaluate(facts: Facts) -> bool | None:
        one = left(facts)
        if one is not None and not one:
            return False
        other = right(facts)
        if other is not None and not other:
            return False
        return None if one is None or other is None else True

    return evaluate


def _either(left: _Node, right: _Node) -> _Node:
    def evaluate(facts: Facts) -> bool | None:
        one = left(facts)
        if one:
            return True
        other = right(facts)
        if other:
            return True
        return None if one is None or other is None else False

    return evaluate


def _is_null(node: object) -> bool:
    return isinstance(node, ast.NullExpression)


def _bad(message: str) -> Invalid:
    return Invalid(message, details={"condition": [message]})


def facts(
    item: Item,
    *,
    risks: Mapping[str, float] | None = None,
    report_count: int | None = None,
    strikes: int | None = None,
    content: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> dict[str, Any]:
    """What rules may ask about an item; what is not given is read from its row."""
    return make_facts(
        kind=item.kind.slug,
        language=item.language,
        views_per_hour=item.views_per_hour,
        report_count=item.report_count if report_count is None else report_count,
        joined_at=item.account.joined_at if item.account else None,
        strikes=strikes,
        risks=item.risks if risks is None else risks,
        content=content or {},
        now=now or timezone.now(),
    )


def make_facts(
    *,
    kind: str,
    language: str,
    views_per_hour: float,
    report_count: int,
    joined_at: datetime | None,
    strikes: int | None,
    risks: Mapping[str, float],
    content: Mapping[str, Any],
    now: datetime,
) -> dict[str, Any]:
    age = None if joined_at is None else (now - joined_at) / timedelta(days=1)
    return {
        "kind": kind,
        "language": language or None,
        "views_per_hour": views_per_hour,
        "report_count": report_count,
        "account_age_days": age,
        "strikes": strikes,
        "risk": {slug.replace("-", "_"): risk for slug, risk in risks.items()},
        "field": {name.replace("-", "_"): value for name, value in content.items()},
    }


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
            raise Conflict("This platform has no queue yet, so nothing could be reviewed.")
        weights = _weights(platform_id)
        self._streams = {queue.pk: _Stream(queue, weights.get(queue.pk, [])) for queue in queues}
        self.default = next((queue for queue in queues if queue.is_default), queues[0])
        self._rules: list[tuple[Condition, int]] = []
        for rule in RoutingRule.objects.filter(platform_id=platform_id, is_active=True):
            try:
                self._rules.append((compile_condition(rule.condition), rule.queue_id))
            except Invalid as error:
                # One bad rule must not stop the intake of a platform.
                logger.error("Routing rule %s (%s) is skipped: %s", rule.pk, rule.name, error)
        self.reads = frozenset().union(*(condition.reads for condition, _ in self._rules))
        self._draws: dict[int, draw_rows.Pending] = {}
        self._settled: dict[tuple[str, str, float], Placement] = {}

    @property
    def queues(self) -> list[Queue]:
        return [stream.queue for stream in self._streams.values()]

    def queue_for(self, item_facts: Facts) -> Queue:
        """The queue of the first rule that holds, else the default queue."""
        for condition, queue_id in self._rules:
            if condition.holds(item_facts):
                return self._streams[queue_id].queue
        return self.default

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
            )
            queue = self.queue_for(new_facts)
            placement = self._placement(queue, {}, views_per_hour, submitted_at=now, opened_at=now)
            if self.reads <= {"kind", "language", "risk", "report_count", "views_per_hour"}:
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
    ) -> Placement:
        """Lane, harm, rank and due time of an item's job in `queue`."""
        placement = self._placement(
            queue,
            risks,
            views_per_hour,
            submitted_at=submitted_at,
            opened_at=opened_at,
            report_trust=report_trust,
            first_reports=first_reports or {},
        )
        return self._drawn(item_id, placement)

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
            [(weight, chance) for _, weight, chance in self.policies(queue, risks)],
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
        """All of the queue that its jobs' ranks and due times hang on, as JSON."""
        return {
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
    content = item.current_version.content if "field" in router.reads else {}
    strikes = None
    if "strikes" in router.reads and item.account_id:
        strikes = count_strikes([item.account_id]).get(item.account_id, 0)
    return router.queue_for(facts(item, content=content, strikes=strikes))


def count_strikes(account_ids: Iterable[int]) -> dict[int, int]:
    """Standing strikes an account; accounts without one are left out."""

    standing = Strike.objects.filter(
        account_id__in=list(account_ids), reversed_at=None, expires_at__gt=Now()
    )
    return dict(standing.values_list("account_id").annotate(Count("pk")).order_by())


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
