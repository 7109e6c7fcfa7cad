"""What a policy's version says: checked, compared, and a change of it in words."""

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, override

from . import revisions
from .models import PolicyVersion, Severity
from .wording import figure

MAX_NAME = 80
MAX_SUMMARY = 200
MAX_DEFINITION = 20_000
MAX_EXAMPLES = 200
MAX_EXAMPLE = 2_000
MAX_WEIGHT = 10_000.0
MAX_LEVEL = 60

Errors = dict[str, list[str]]


class Text(NamedTuple):
    """What a version says, checked."""

    summary: str
    definition: str
    examples: list[str]
    counter_examples: list[str]
    severity: int
    severity_weight: float
    legal_category: str
    severity_levels: list[str] = []


def text_of(version: PolicyVersion) -> Text:
    return Text(
        version.summary,
        version.definition,
        list(map(str, version.examples)),
        list(map(str, version.counter_examples)),
        version.severity,
        version.severity_weight,
        version.legal_category,
        list(version.severity_levels),
    )


def as_words(text: Text) -> dict[str, str]:
    """For people and for comparing: lists as one line each."""
    return {
        "summary": text.summary,
        # Ends with a line break, so that even a one-line text is compared line by line.
        "definition": f"{text.definition}\n",
        "examples": "".join(f"{line}\n" for line in text.examples),
        "counter_examples": "".join(f"{line}\n" for line in text.counter_examples),
        "severity": _severity(text.severity),
        "severity_weight": f"{text.severity_weight:g}",
        "legal_category": text.legal_category,
        "severity_levels": "".join(f"{level}\n" for level in text.severity_levels),
    }


def kept(text: Text) -> dict[str, str]:
    """As words, for a row that stays: in English, whoever saves it."""
    with override("en"):
        return as_words(text)


def check_text(text: Mapping[str, Any]) -> tuple[Text, Errors]:
    """What a version would say, and what is wrong with it."""
    errors: Errors = {}
    return read_text(text, errors), errors


def compare(before: Text, after: Text) -> list[revisions.Change]:
    """What `after` changes, field by field; long texts as a unified diff."""
    return revisions.compare(as_words(before), as_words(after))


def in_words(old: Text, new: Text) -> str:
    """ "More severe (Medium to High); definition: 3 lines new, 1 line gone." """
    found = []
    if old.severity != new.severity:
        is_more = new.severity > old.severity
        words = (
            _("more severe (%(old)s to %(new)s)")
            if is_more
            else _("less severe (%(old)s to %(new)s)")
        )
        told = {"old": _severity(old.severity), "new": _severity(new.severity)}
        found.append(words % told)
    if old.severity_weight != new.severity_weight:
        told = {"old": figure(old.severity_weight), "new": figure(new.severity_weight)}
        found.append(_("weight in harm %(old)s to %(new)s") % told)
    if old.definition != new.definition:
        lines = (old.definition.splitlines(), new.definition.splitlines())
        found.append(_("definition: %(changes)s") % {"changes": _changes(*lines, _lines)})
    if old.examples != new.examples:
        told = {"changes": _changes(old.examples, new.examples, _entries)}
        found.append(_("examples: %(changes)s") % told)
    if old.counter_examples != new.counter_examples:
        told = {"changes": _changes(old.counter_examples, new.counter_examples, _entries)}
        found.append(_("counter-examples: %(changes)s") % told)
    if old.summary != new.summary:
        found.append(_("summary reworded"))
    if old.legal_category != new.legal_category:
        words = _("legal category: %(category)s")
        found.append(words % {"category": new.legal_category or _("none")})
    if old.severity_levels != new.severity_levels:
        words = _("levels: %(levels)s")
        found.append(words % {"levels": ", ".join(new.severity_levels) or _("none")})
    text = "; ".join(found) or _("says the same")
    return f"{text[:1].upper()}{text[1:]}."


def read_text(text: Mapping[str, Any], errors: Errors) -> Text:
    """What a version would say; what is wrong with it is put into `errors`."""
    summary = one_line(text.get("summary"))
    if not 0 < len(summary) <= MAX_SUMMARY:
        errors["summary"] = [
            _("Say it in one line of at most %(max_summary)s characters.")
            % {"max_summary": MAX_SUMMARY}
        ]
    definition = block(text.get("definition"))
    if not 0 < len(definition) <= MAX_DEFINITION:
        errors["definition"] = [
            _("Say what it forbids, in at most %(max_definition)s characters.")
            % {"max_definition": figure(MAX_DEFINITION)}
        ]
    legal = one_line(text.get("legal_category"))
    if len(legal) > MAX_NAME:
        errors["legal_category"] = [_("At most %(max_name)s characters.") % {"max_name": MAX_NAME}]
    severity = whole(text.get("severity"))
    if severity not in Severity.values:
        errors["severity"] = [_("Choose how severe a breach is.")]
    weight = number_of(text.get("severity_weight"))
    if weight is None or not 0 < weight <= MAX_WEIGHT:
        errors["severity_weight"] = [
            _("Give a number above 0, at most %(max_weight)s.") % {"max_weight": figure(MAX_WEIGHT)}
        ]
    return Text(
        summary,
        definition,
        _examples(text.get("examples"), "examples", errors),
        _examples(text.get("counter_examples"), "counter_examples", errors),
        severity or 0,
        weight or 0.0,
        legal,
        _levels(text.get("severity_levels"), errors),
    )


def _levels(value: object, errors: Errors) -> list[str]:
    rows = value if isinstance(value, list | tuple) else []
    levels = [line for row in rows if (line := one_line(row))]
    if len(levels) not in (0, 2, 3, 4) or len(set(levels)) < len(levels):
        errors["severity_levels"] = [_("Give two to four different words, or none.")]
    elif any(len(level) > MAX_LEVEL for level in levels):
        errors["severity_levels"] = [
            _("Each has at most %(max_level)s characters.") % {"max_level": MAX_LEVEL}
        ]
    return levels


def _examples(value: object, name: str, errors: Errors) -> list[str]:
    rows = value if isinstance(value, list | tuple) else []
    lines = list(dict.fromkeys(line for row in rows if (line := one_line(row))))
    if len(lines) > MAX_EXAMPLES:
        errors[name] = [
            _("At most %(max_examples)s; these are %(count)s.")
            % {"max_examples": MAX_EXAMPLES, "count": figure(len(lines))}
        ]
    elif any(len(line) > MAX_EXAMPLE for line in lines):
        errors[name] = [
            _("Each has at most %(max_example)s characters.") % {"max_example": figure(MAX_EXAMPLE)}
        ]
    return lines


def _changes(
    before: Sequence[str], after: Sequence[str], say: Callable[[int, int], list[str]]
) -> str:
    """How many are new and how many are gone, as `say` puts it."""
    before, after = ([line for line in lines if line.strip()] for lines in (before, after))
    new = gone = 0
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag != "equal":
            gone += j - i
            new += m - k
    return ", ".join(say(new, gone)) or _("spaced otherwise")


def _lines(new: int, gone: int) -> list[str]:
    said = []
    if new:
        said.append(ngettext("%(count)s line new", "%(count)s lines new", new) % {"count": new})
    if gone:
        said.append(ngettext("%(count)s line gone", "%(count)s lines gone", gone) % {"count": gone})
    return said


def _entries(new: int, gone: int) -> list[str]:
    said = []
    if new:
        said.append(ngettext("%(count)s new", "%(count)s new", new) % {"count": new})
    if gone:
        said.append(ngettext("%(count)s gone", "%(count)s gone", gone) % {"count": gone})
    return said


def _severity(value: int) -> str:
    return str(Severity(value).label) if value in Severity.values else ""


def one_line(value: object) -> str:
    """One line of text as PostgreSQL can hold it."""
    return " ".join(value.replace("\x00", "").split()) if isinstance(value, str) else ""


def block(value: object) -> str:
    if not isinstance(value, str):
        return ""
    return value.replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n").strip()


def whole(value: object) -> int | None:
    number = number_of(value)
    return int(number) if number is not None and number == int(number) else None


def number_of(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
