"""How one set of routing rules differs from another: added, removed, changed, moved."""

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple


class RuleChange(NamedTuple):
    """One rule that is not as it was: how, and its state before and after (None: not there)."""

    sort: str  # added, removed, changed, moved
    name: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    place_before: int | None
    place_after: int | None
    is_moved: bool


def compare_rules(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> list[RuleChange]:
    """What differs, in the order of `after`, then what is gone. A rule is known by its name.

    One that left while another with the same condition and queue came is the same, renamed.
    """
    old = {rule["name"]: place for place, rule in enumerate(before)}
    new = {rule["name"]: place for place, rule in enumerate(after)}
    twin: dict[int, int] = {new[name]: old[name] for name in new if name in old}
    gone = [place for name, place in old.items() if name not in new]
    for name, place in new.items():
        if name in old:
            continue
        for candidate in gone:
            if _is_alike(before[candidate], after[place]):
                twin[place] = candidate
                gone.remove(candidate)
                break
    stay = _in_order([twin[place] for place in sorted(twin)])
    changes = []
    for place, rule in enumerate(after):
        if place not in twin:
            changes.append(RuleChange("added", rule["name"], None, rule, None, place, False))
            continue
        was = before[twin[place]]
        is_moved = twin[place] not in stay
        if dict(was) != dict(rule):
            sort = "changed"
        elif is_moved:
            sort = "moved"
        else:
            continue
        changes.append(RuleChange(sort, rule["name"], was, rule, twin[place], place, is_moved))
    for place in gone:
        rule = before[place]
        changes.append(RuleChange("removed", rule["name"], rule, None, place, None, False))
    return changes


def _is_alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return (one["condition"], one["queue"]) == (other["condition"], other["queue"])


def _in_order(places: list[int]) -> set[int]:
    """Those that did not move past another: the common run of both orders."""
    matcher = SequenceMatcher(None, sorted(places), places, autojunk=False)
    return {
        places[block.b + step]
        for block in matcher.get_matching_blocks()
        for step in range(block.size)
    }
