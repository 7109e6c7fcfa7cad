"""The composer's form: a condition's tree as fields by path, and back; nothing typed is lost.

A node's fields begin with its path: c is the top, c.0 its first part, c.0.1 that one's second.
What was typed stays as it was typed, right or wrong, until the whole is saved.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from reviews import conditions
from reviews.catalogue import MANY_VALUES, NO_VALUE, OPERATORS, Catalogue, Fact
from reviews.conditions import Tree

TOP = "c"
GROUPS = {
    "all": lazy("All of these hold"),
    "any": lazy("Any of these holds"),
    "none": lazy("None of these holds"),
    "not_all": lazy("Not all of these hold"),
}
_MOST_PARTS = 60
_DEEPEST = conditions.MAX_DEPTH + 2  # what may be typed; what may be saved is less


@dataclass
class Node:
    """One row or group of the form. `error` is shown beside it."""

    sort: str  # group, fact, expression
    type: str = "all"
    parts: list["Node"] = field(default_factory=list)
    fact: str = ""
    op: str = ""
    values: list[str] = field(default_factory=list)
    text: str = ""
    path: str = TOP
    error: str = ""
    is_new: bool = False
    # What the page shows of it; set by dress().
    about: str = ""
    offers: list[tuple[str, str]] = field(default_factory=list)  # operators
    choices: list[tuple[str, str]] = field(default_factory=list)
    input: str = "text"
    group_label: str = ""
    is_last: bool = False

    @property
    def value(self) -> str:
        return self.values[0] if self.values else ""

    @property
    def lines(self) -> str:
        return "\n".join(self.values)

    @property
    def id(self) -> str:
        return self.path.replace(".", "-")

    @property
    def is_first(self) -> bool:
        return self.path.endswith(".0")


def read(data: QueryDict, path: str = TOP, depth: int = 0) -> Node:
    """The form as it was sent, whatever it says."""
    sort = data.get(f"{path}.sort", "group")
    if sort == "expression":
        return Node(sort, text=data.get(f"{path}.text", "")[:4000], path=path)
    if sort == "fact":
        op = data.get(f"{path}.op", "")
        if f"{path}.lines" in data:
            values = data[f"{path}.lines"].splitlines()
        else:
            values = data.getlist(f"{path}.value")
        return Node(sort, fact=data.get(f"{path}.fact", ""), op=op, values=values, path=path)
    kind = data.get(f"{path}.type", "all")
    node = Node("group", type=kind if kind in GROUPS else "all", path=path)
    if depth < _DEEPEST:
        place = 0
        while f"{path}.{place}.sort" in data and place < _MOST_PARTS:
            node.parts.append(read(data, f"{path}.{place}", depth + 1))
            place += 1
    return node


def from_tree(tree: Tree) -> Node:
    if "expression" in tree:
        return Node("expression", text=str(tree["expression"]))
    if "fact" in tree:
        value = tree.get("value")
        values = value if isinstance(value, list) else [] if value is None else [value]
        return Node(
            "fact",
            fact=str(tree["fact"] or ""),
            op=str(tree.get("op") or ""),
            values=[_typed(one) for one in values],
        )
    is_not = "not" in tree
    inner = tree["not"] if is_not else tree
    if not ("all" in inner or "any" in inner):
        inner = {"any": [inner]}
    sort = "all" if "all" in inner else "any"
    kind = {"any": "none", "all": "not_all"}[sort] if is_not else sort
    return Node("group", type=kind, parts=[from_tree(part) for part in inner[sort]])


def _typed(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def to_tree(node: Node, catalogue: Catalogue) -> Tree:
    """As conditions.check() takes it; what is wrong stays wrong, for it to say so."""
    if node.sort == "expression":
        return {"expression": node.text}
    if node.sort == "fact":
        fact = catalogue.get(node.fact)
        value: Any = node.value
        if node.op in MANY_VALUES:
            value = [one.strip() for one in node.values if one.strip()]
        elif fact is not None and fact.type == "boolean":
            value = {"true": True, "false": False}.get(node.value)
        return {"fact": node.fact, "op": node.op, "value": value}
    parts = [to_tree(part, catalogue) for part in node.parts]
    if node.type in ("none", "not_all"):
        return {"not": {"any" if node.type == "none" else "all": parts}}
    return {node.type: parts}


def apply(top: Node, do: str) -> None:
    """What a button of the form does: "fact:c.0" adds a condition to that group, and so on."""
    verb, _, path = do.partition(":")
    node, parent = _find(top, path)
    if node is None:
        return
    if verb in ("fact", "group", "expression") and node.sort == "group":
        part = Node(verb, is_new=True)
        if verb == "group":
            part = Node("group", type="any", parts=[Node("fact", is_new=True)])
        if verb != "fact" and len(node.parts) == 1 and _is_blank(node.parts[0]):
            node.parts = []  # the row that every group begins with, never touched
        if len(node.parts) < _MOST_PARTS:
            node.parts.append(part)
        return
    if parent is None:
        return
    place = parent.parts.index(node)
    if verb == "remove":
        parent.parts.remove(node)
    elif verb == "up" and place:
        parent.parts.insert(place - 1, parent.parts.pop(place))
    elif verb == "down":
        parent.parts.insert(place + 1, parent.parts.pop(place))


def _is_blank(node: Node) -> bool:
    return node.sort == "fact" and not node.fact


def _find(node: Node, path: str, parent: Node | None = None) -> tuple[Node | None, Node | None]:
    if node.path == path:
        return node, parent
    for part in node.parts:
        found = _find(part, path, node)
        if found[0] is not None:
            return found
    return None, None


def dress(node: Node, catalogue: Catalogue, problems: Mapping[str, str], path: str = TOP) -> Node:
    """Give every node its path, its error, and what its inputs offer."""
    node.path = path
    node.error = problems.get(path.removeprefix(TOP).lstrip("."), "")
    node.group_label = GROUPS.get(node.type, "")
    for place, part in enumerate(node.parts):
        dress(part, catalogue, problems, f"{path}.{place}")
        part.is_last = place == len(node.parts) - 1
    fact = catalogue.get(node.fact) if node.sort == "fact" else None
    if fact is None:
        return node
    node.about = fact.about
    node.offers = [(op, _(words)) for op, words in OPERATORS[fact.type].items()]
    if node.op not in OPERATORS[fact.type]:
        node.op, node.values = node.offers[0][0], []
    node.input, node.choices = _input(fact, node)
    return node


def _input(fact: Fact, node: Node) -> tuple[str, list[tuple[str, str]]]:
    if node.op in NO_VALUE:
        return "none", []
    if fact.type == "number":
        return ("fraction" if fact.is_fraction else "number"), []
    if fact.type == "boolean":
        return "choice", [("true", "true"), ("false", "false")]
    if fact.type == "time":
        node.values = [value[:10] for value in node.values]
        return "date", []
    choices = list(fact.choices)
    if node.op in MANY_VALUES:
        if not choices or len(choices) > 12:
            return "lines", choices
        known = dict(choices)
        return "boxes", choices + [(one, one) for one in node.values if one and one not in known]
    if fact.is_open:
        return "text", choices
    return "choice", choices
