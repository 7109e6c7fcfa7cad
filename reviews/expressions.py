"""A condition as text: parsed by rule-engine, evaluated here. Plain values in and out.

Only a few kinds of node are evaluated: no regular expressions, no loops, no powers, so that no
condition can run away. A missing name is null, and null is neither true nor false (as in SQL): a
condition holds only when it is true.
"""

import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import rule_engine
from rule_engine import ast

from .errors import Invalid
from .wording import figure
from .wording import gettext as _

NAMES = (
    "kind",
    "language",
    "views_per_hour",
    "highest_risk",
    "report_count",
    "sources",
    "reasons",
    "reporter_trust",
    "mean_reporter_trust",
    "account_age_days",
    "strikes",
    "recent_items",
)
# risk.<policy>, reports.<source>, field.<name>; a "-" in a name is written "_"
SPACES = ("risk", "reports", "field")
MAX_EXPRESSION = 1000  # characters that a person writes
MAX_TEXT = 8000  # characters that a tree comes to
# Parsing works constants out, so what could explode there is refused before it.
FORBIDDEN = ("**", "=~", "!~", "<<", ">>")

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
    """A compiled condition, the top names it reads and the full ones ("risk", "risk.spam")."""

    holds: Callable[[Facts], bool]
    reads: frozenset[str]
    names: frozenset[str]


def check_condition(text: str) -> None:
    """Raise Invalid, in words, unless `text` is a condition that can be run."""
    compile_condition(text)


def compile_condition(text: str, *, most: int = MAX_EXPRESSION) -> Condition:
    if len(text) > most:
        raise _bad(_("A condition has at most %(most)s characters.") % {"most": figure(most)})
    return _compiled(text)


@lru_cache(maxsize=1000)
def _compiled(text: str) -> Condition:
    """Parsing takes longer than all the rest of a call, and rules seldom change."""
    names: set[str] = set()
    evaluate = _compile(parse(text), names)
    return Condition(
        lambda facts: evaluate(facts) is True,
        frozenset(name.partition(".")[0] for name in names),
        frozenset(names),
    )


def parse(text: str) -> Any:
    """The top node of rule-engine's syntax tree."""
    for sign in FORBIDDEN:
        if sign in text:
            raise _bad(_("A condition cannot use %(sign)s.") % {"sign": sign})
    try:
        return rule_engine.Rule(text).statement.expression
    except rule_engine.EngineError as error:
        words = _("This is not a condition: %(problem)s.")
        raise _bad(words % {"problem": error.message}) from None
    except (ValueError, RecursionError):
        raise _bad(_("This is not a condition.")) from None


def name_of(node: Any) -> str | None:
    """The full name a node asks for ("kind", "risk.spam"), or None if it is something else."""
    if isinstance(node, ast.SymbolExpression):
        return node.name if node.scope is None and node.name in NAMES else None
    if isinstance(node, ast.GetAttributeExpression):
        space, part = node.object, node.name
    elif isinstance(node, ast.GetItemExpression) and isinstance(node.item, ast.StringExpression):
        space, part = node.container, node.item.value
    else:
        return None
    if not isinstance(space, ast.SymbolExpression) or space.name not in SPACES:
        return None
    return f"{space.name}.{part.replace('-', '_')}"


def value_of(node: Any) -> Any:
    """The value of a literal; raises TypeError for anything else."""
    if isinstance(node, ast.ArrayExpression):
        return [value_of(member) for member in node.value]
    if isinstance(node, ast.FloatExpression):
        return float(node.value) if isinstance(node.value, Decimal) else node.value
    if isinstance(node, ast.StringExpression | ast.BooleanExpression | ast.NullExpression):
        return node.value
    raise TypeError(type(node).__name__)


def _compile(node: Any, names: set[str]) -> _Node:
    """`node` as a function of the facts. Null in, null out."""
    if isinstance(node, ast.ArrayExpression):
        members = [_compile(member, names) for member in node.value]
        return lambda facts: [member(facts) for member in members]
    if isinstance(
        node,
        ast.FloatExpression | ast.StringExpression | ast.BooleanExpression | ast.NullExpression,
    ):
        value = value_of(node)
        return lambda facts: value
    if isinstance(node, ast.SymbolExpression):
        return _symbol(node, names)
    if isinstance(node, ast.GetAttributeExpression):
        if node.name == "as_lower" and name_of(node.object):
            inner = _compile(node.object, names)
            return _guarded(lambda value, _: value.lower(), inner, lambda facts: 0)
        return _member(node.object, node.name, names)
    if isinstance(node, ast.GetItemExpression) and isinstance(node.item, ast.StringExpression):
        return _member(node.container, node.item.value, names)
    if isinstance(node, ast.LogicExpression):
        left, right = _compile(node.left, names), _compile(node.right, names)
        return _both(left, right) if node.type == "and" else _either(left, right)
    if isinstance(node, ast.UnaryExpression):
        inner = _compile(node.right, names)
        if node.type == "not":
            return lambda facts: None if (value := inner(facts)) is None else not value
        return _guarded(lambda value, _: -value, inner, lambda facts: 0)
    if isinstance(node, ast.ContainsExpression):
        member, container = _compile(node.member, names), _compile(node.container, names)
        return _guarded(lambda value, values: value in values, member, container)
    if isinstance(node, ast.ArithmeticComparisonExpression):
        left, right = _compile(node.left, names), _compile(node.right, names)
        return _guarded(_COMPARE[node.type], left, right)
    if type(node) is ast.ComparisonExpression:
        left, right = _compile(node.left, names), _compile(node.right, names)
        if _is_null(node.left) or _is_null(node.right):
            equal = _COMPARE[node.type]
            return lambda facts: equal(left(facts), right(facts))
        return _guarded(_COMPARE[node.type], left, right)
    if getattr(node, "type", None) in _ARITHMETIC:
        left, right = _compile(node.left, names), _compile(node.right, names)
        return _guarded(_ARITHMETIC[node.type], left, right)
    sign = type(node).__name__.removesuffix("Expression")
    raise _bad(_("A condition cannot use %(sign)s.") % {"sign": sign})


def _symbol(node: Any, names: set[str]) -> _Node:
    name = node.name
    if node.scope is not None or name not in NAMES:
        known = ", ".join([*NAMES, *(f"{space}.…" for space in SPACES)])
        words = _("There is no %(name)s to ask about. There is: %(known)s.")
        raise _bad(words % {"name": name, "known": known})
    names.add(name)
    return lambda facts: facts.get(name)


def _member(space: Any, name: str, names: set[str]) -> _Node:
    if not isinstance(space, ast.SymbolExpression) or space.name not in SPACES:
        words = _("Only %(spaces)s have parts; .%(name)s does not exist.")
        raise _bad(words % {"spaces": ", ".join(SPACES), "name": name})
    outer, key = space.name, name.replace("-", "_")
    names.add(f"{outer}.{key}")
    return lambda facts: (facts.get(outer) or {}).get(key)


def _guarded(apply: Callable[[Any, Any], Any], left: _Node, right: _Node) -> _Node:
    """`apply` on two values; null where one is null or the two do not go together."""

    def evaluate(facts: Facts) -> Any:
        one, other = left(facts), right(facts)
        if one is None or other is None:
            return None
        try:
            return apply(one, other)
        except (TypeError, ArithmeticError, AttributeError):
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


def _is_null(node: Any) -> bool:
    return isinstance(node, ast.NullExpression)


def _bad(message: str) -> Invalid:
    return Invalid(message, details={"condition": [message]})
