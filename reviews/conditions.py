"""Conditions of routing rules as data: the tree's checks, its text and its words.

A tree is {"all": [tree, …]}, {"any": [tree, …]}, {"not": tree}, a leaf {"fact": "risk.spam",
"op": ">=", "value": 0.8}, or {"expression": "<text>"}. It has no evaluator of its own: it is
written out as text and goes the way of expressions.py, so there is one truth. Values in and out.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from rule_engine import ast

from . import expressions
from .catalogue import MANY_VALUES, NO_VALUE, OPERATORS, Catalogue, Fact
from .errors import Invalid
from .expressions import FORBIDDEN, MAX_TEXT, Condition
from .wording import figure
from .wording import gettext as _

Tree = dict[str, Any]
Problems = dict[str, str]  # path of a node ("", "0", "1.2") → what is wrong with it

MAX_DEPTH = 6  # groups in groups
MAX_LEAVES = 50
MAX_VALUES = 50  # of one "is one of"
MAX_VALUE = 200  # characters
MAX_NUMBER = 2**53

_SIGNS = {">=": ">=", ">": ">", "<=": "<=", "<": "<", "=": "==", "!=": "!="}
_SIGNS |= {"is": "==", "is_not": "!=", "after": ">", "before": "<"}
_OF_NODE = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "eq": "=", "ne": "!="}
_FLIPPED = {">=": "<=", ">": "<", "<=": ">=", "<": ">", "=": "=", "!=": "!="}
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RESERVED = frozenset({"true", "false", "inf", "nan", "null", "and", "in", "or", "not", "for"})
_RESERVED |= {"if", "as_lower"}
_WHITE = re.compile(r"\s+")


# Checks


def check(tree: object, catalogue: Catalogue) -> tuple[Tree, Problems]:
    """The tree in its one canonical form, and what is wrong with it, by node.

    Canonical: the top is a group, what stands under "not" is a group, numbers are numbers, and
    lists have no value twice. With problems the tree is as far as it could be read.
    """
    problems: Problems = {}
    found = _check(tree, catalogue, "", 1, problems)
    if "fact" in found or "expression" in found:
        if "" in problems:
            problems["0"] = problems.pop("")
        found = {"all": [found]}
    if not problems:
        leaves = len(list(_leaves(found)))
        if leaves > MAX_LEAVES:
            problems[""] = _(
                "A rule has at most %(max_leaves)s conditions; these are %(leaves)s."
            ) % {"max_leaves": MAX_LEAVES, "leaves": leaves}
    if not problems:
        try:
            compile_tree(found)
        except Invalid as error:
            problems[""] = str(error)
    return found, problems


def _check(
    tree: object, catalogue: Catalogue, path: str, depth: int, problems: Problems
) -> dict[str, Any]:
    if not isinstance(tree, Mapping) or not tree:
        problems[path] = _("This is not a condition.")
        return {"all": []}
    if "expression" in tree:
        return _check_expression(tree, catalogue, path, problems)
    if "fact" in tree:
        return _check_leaf(tree, catalogue, path, problems)
    if "not" in tree and len(tree) == 1:
        inner = tree["not"]
        if not (isinstance(inner, Mapping) and ("all" in inner or "any" in inner)):
            inner = {"any": [inner]}
        return {"not": _check(inner, catalogue, path, depth, problems)}
    for sort in ("all", "any"):
        if set(tree) == {sort} and isinstance(tree[sort], list):
            if not tree[sort]:
                problems[path] = _("Add a condition to this group, or take the group away.")
            if depth > MAX_DEPTH:
                problems[path] = _("Groups go %(max_depth)s deep at most.") % {
                    "max_depth": MAX_DEPTH
                }
                return {sort: []}
            return {
                sort: [
                    _check(part, catalogue, f"{path}.{place}".lstrip("."), depth + 1, problems)
                    for place, part in enumerate(tree[sort])
                ]
            }
    problems[path] = _("This is not a condition.")
    return {"all": []}


def _check_expression(
    tree: Mapping[str, Any], catalogue: Catalogue, path: str, problems: Problems
) -> Tree:
    text = tree["expression"]
    if not isinstance(text, str) or not text.strip():
        problems[path] = _("Write an expression.")
        return {"expression": text if isinstance(text, str) else ""}
    text = text.strip()
    try:
        check_expression(text, catalogue)
    except Invalid as error:
        problems[path] = str(error)
    return {"expression": text}


def check_expression(text: str, catalogue: Catalogue) -> Condition:
    """Compile it; Invalid also where it asks for what this platform does not have."""
    condition = expressions.compile_condition(text)
    for name in sorted(condition.names):
        if name not in catalogue:
            space = name.partition(".")[0]
            known = [one for one in catalogue if one.startswith(f"{space}.")]
            raise Invalid(
                _("There is no %(name)s here. There is: %(known)s.")
                % {"name": name, "known": ", ".join(known) or _("none of that kind")}
            )
    return condition


def _check_leaf(
    tree: Mapping[str, Any], catalogue: Catalogue, path: str, problems: Problems
) -> Tree:
    name, op, value = tree.get("fact"), tree.get("op"), tree.get("value")
    fact = catalogue.get(name) if isinstance(name, str) else None
    leaf = {"fact": name, "op": op, "value": value}
    if fact is None:
        problems[path] = (
            _("There is no %(name)s to ask about any more.") % {"name": name}
            if name
            else _("Choose what to ask about.")
        )
        return leaf
    if op not in OPERATORS[fact.type]:
        problems[path] = _("Choose how to compare the %(label)s.") % {"label": fact.label}
        return leaf
    if op in NO_VALUE:
        return {"fact": name, "op": op}
    try:
        leaf["value"] = _read_values(value, fact) if op in MANY_VALUES else _read(value, fact)
    except ValueError as error:
        problems[path] = str(error)
    return leaf


def _read_values(value: object, fact: Fact) -> list[Any]:
    if not isinstance(value, list | tuple):
        value = [value]
    values = list(dict.fromkeys(_read(one, fact) for one in value if one not in ("", None)))
    if not values:
        raise ValueError(_("Give at least one value."))
    if len(values) > MAX_VALUES:
        raise ValueError(
            _("At most %(max_values)s values; these are %(count)s.")
            % {"max_values": MAX_VALUES, "count": len(values)}
        )
    return values


def _read(value: object, fact: Fact) -> Any:
    if fact.type == "number":
        return _read_number(value, fact)
    if fact.type == "boolean":
        if not isinstance(value, bool):
            raise ValueError(_("Choose true or false."))
        return value
    if not isinstance(value, str):
        raise ValueError(_("Give a text."))
    if fact.type == "time":
        return _read_time(value)
    value = value.strip()
    if not value:
        raise ValueError(_("Give a value."))
    if len(value) > MAX_VALUE:
        raise ValueError(_("At most %(max_value)s characters.") % {"max_value": MAX_VALUE})
    if not fact.is_open and value not in dict(fact.choices):
        raise ValueError(_("There is no %(value)s here. Choose another.") % {"value": value})
    return value


def _read_number(value: object, fact: Fact) -> float | int:
    if isinstance(value, str):
        try:
            value = float(value.strip().replace("−", "-"))
        except ValueError:
            raise ValueError(_("Give a number.")) from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(_("Give a number."))
    if not math.isfinite(value) or abs(value) > MAX_NUMBER:
        raise ValueError(_("Give a finite number of at most 2^53."))
    if fact.is_fraction and not 0 <= value <= 1:
        raise ValueError(_("Give a number from 0 to 1."))
    return int(value) if value == int(value) else float(value)


def _read_time(value: str) -> str:
    """As intake stores times: ISO in UTC, so that they compare as text."""
    try:
        time = datetime.fromisoformat(value.strip())
    except ValueError:
        raise ValueError(_("Give a date.")) from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


# Text


def compile_tree(tree: Tree) -> Condition:
    return expressions.compile_condition(to_text(tree), most=MAX_TEXT)


def to_text(tree: Tree) -> str:
    """The tree as an expression, every group in parentheses.

    Raises Invalid where an expression in it does not stand on its own: `true) or (true` must not
    come to mean something else inside its parentheses.
    """
    if "expression" in tree:
        expressions.check_condition(tree["expression"])
        return f"({tree['expression']})"
    if "not" in tree:
        return f"(not {to_text(tree['not'])})"
    for sort, word in (("all", " and "), ("any", " or ")):
        if sort in tree:
            parts = tree[sort]
            if not parts:
                raise Invalid(_("A group in this condition is empty."))
            return f"({word.join(to_text(part) for part in parts)})"
    if "fact" not in tree:
        raise Invalid(_("This is not a condition."))
    return _leaf_text(tree["fact"], tree.get("op"), tree.get("value"))


def _leaf_text(name: str, op: object, value: Any) -> str:
    fact = _name_text(name)
    if op == "known":
        return f"{fact} != null"
    if op == "unknown":
        return f"{fact} == null"
    if op == "one_of":
        return f"{fact} in [{', '.join(_literal(one) for one in value)}]"
    if op == "contains":
        return f"{_literal(str(value).lower())} in {fact}.as_lower"
    if op == "has":
        return f"{_literal(value)} in {fact}"
    if op == "has_any":
        return f"({' or '.join(f'{_literal(one)} in {fact}' for one in value)})"
    if op in _SIGNS:
        return f"{fact} {_SIGNS[op]} {_literal(value)}"
    raise Invalid(_("Nothing can be compared by %(op)s.") % {"op": op})


def _name_text(name: str) -> str:
    space, _, part = name.partition(".")
    if not part or (_PLAIN.match(part) and part not in _RESERVED):
        return name
    return f"{space}[{_literal(part)}]"


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    text = json.dumps(str(value), ensure_ascii=False)
    if any(sign in text for sign in FORBIDDEN):
        for letter in "*~<>":
            text = text.replace(letter, f"\\x{ord(letter):02x}")
    return text


def from_text(text: str, catalogue: Catalogue) -> Tree:
    """The tree that means the same as `text`; one expression where no tree does."""
    try:
        tree = _from_node(expressions.parse(text), catalogue)
    except (_NoTree, Invalid):
        return {"all": [{"expression": text}]}
    found, problems = check(tree, catalogue)
    return {"all": [{"expression": text}]} if problems else found


class _NoTree(Exception):
    """Something a tree cannot say."""


def _from_node(node: Any, catalogue: Catalogue) -> Tree:
    if isinstance(node, ast.LogicExpression):
        sort = "all" if node.type == "and" else "any"
        parts = []
        for side in (node.left, node.right):
            part = _from_node(side, catalogue)
            parts += part.get(sort, [part])
        return {sort: parts}
    if isinstance(node, ast.UnaryExpression) and node.type == "not":
        return {"not": _from_node(node.right, catalogue)}
    if isinstance(node, ast.ContainsExpression):
        name, member = expressions.name_of(node.container), expressions.name_of(node.member)
        if name and name in catalogue and catalogue[name].type == "list":
            return {"fact": name, "op": "has", "value": _value(node.member)}
        if member and member in catalogue and catalogue[member].type == "text":
            return {"fact": member, "op": "one_of", "value": _value(node.container)}
        raise _NoTree
    if isinstance(node, ast.ComparisonExpression | ast.ArithmeticComparisonExpression):
        return _from_comparison(node, catalogue)
    raise _NoTree


def _from_comparison(node: Any, catalogue: Catalogue) -> Tree:
    sign = _OF_NODE[node.type]
    name, other = expressions.name_of(node.left), node.right
    if name is None:
        name, other, sign = expressions.name_of(node.right), node.left, _FLIPPED[sign]
    if name is None or name not in catalogue:
        raise _NoTree
    value, sort = _value(other), catalogue[name].type
    if value is None and sign in ("=", "!="):
        return {"fact": name, "op": "unknown" if sign == "=" else "known"}
    fits: Any = {"number": (int, float), "text": str, "boolean": bool}.get(sort)
    if (
        fits is None
        or not isinstance(value, fits)
        or isinstance(value, bool) != (sort == "boolean")
    ):
        raise _NoTree
    if sort == "number":
        return {"fact": name, "op": sign, "value": value}
    if sort == "boolean":
        if sign != "=":
            raise _NoTree
        return {"fact": name, "op": "is", "value": value}
    if sign not in ("=", "!="):
        raise _NoTree
    return {"fact": name, "op": "is" if sign == "=" else "is_not", "value": value}


def _value(node: Any) -> Any:
    try:
        return expressions.value_of(node)
    except TypeError:
        raise _NoTree from None


# Words


def in_words(tree: Tree, catalogue: Catalogue) -> str:
    """ "risk of Spam ≥ 0.9 and (language is en or reports > 3)" """
    return _words(tree, catalogue, is_top=True)


def _words(tree: Tree, catalogue: Catalogue, *, is_top: bool = False) -> str:
    if "expression" in tree:
        return _WHITE.sub(" ", str(tree["expression"]))
    if "not" in tree:
        inner = tree["not"]
        for sort, opening in (
            ("any", _("none of (%(parts)s)")),
            ("all", _("not all of (%(parts)s)")),
        ):
            if sort in inner:
                parts = [_words(part, catalogue) for part in inner[sort]]
                if len(parts) == 1:
                    return _("not (%(part)s)") % {"part": parts[0]}
                return opening % {"parts": ", ".join(parts)}
        return _("not (%(part)s)") % {"part": _words(inner, catalogue)}
    for sort, word in (("all", _(" and ")), ("any", _(" or "))):
        if sort in tree:
            parts = [_words(part, catalogue) for part in tree[sort]]
            text = word.join(parts)
            return text if is_top or len(parts) == 1 else f"({text})"
    return _leaf_words(tree, catalogue)


def _leaf_words(leaf: Tree, catalogue: Catalogue) -> str:
    name, op, value = str(leaf.get("fact")), leaf.get("op"), leaf.get("value")
    fact = catalogue.get(name) or Fact(name, name, "text", "")
    words = {op: text for known in OPERATORS.values() for op, text in known.items()}
    words |= OPERATORS.get(fact.type, {})
    parts = [fact.label, _(words[str(op)]) if str(op) in words else str(op)]
    if op not in NO_VALUE:
        values = value if isinstance(value, list) else [value]
        parts.append(", ".join(str(_value_words(one, fact)) for one in values))
    return " ".join(parts)


def _value_words(value: Any, fact: Fact) -> str:
    if isinstance(value, bool):
        return _("true") if value else _("false")
    if isinstance(value, int | float):
        return figure(value)
    if fact.type == "time" and isinstance(value, str):
        try:
            return f"{date.fromisoformat(value[:10]):%-d %B %Y}"
        except ValueError:
            return value
    return dict(fact.choices).get(str(value), str(value))


def _leaves(tree: Tree) -> Iterable[Tree]:
    for sort in ("all", "any"):
        if sort in tree:
            for part in tree[sort]:
                yield from _leaves(part)
            return
    if "not" in tree:
        yield from _leaves(tree["not"])
        return
    yield tree
