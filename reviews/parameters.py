"""Parameters of actions that whoever decides may change: what is asked, within what, and checking.

An action's `parameters` are what is sent; `asked` names those that a desk offers, {name: {label,
least, most, choices, is_needed}}. What a value may be follows from its usual one.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from django.utils.translation import gettext

from .errors import Invalid
from .models import Action
from .wording import figure

Given = Mapping[str, Mapping[str, object]]  # {action slug: {name: value}}
MOST_CHARACTERS = 2_000
NUMBER, FLAG, CHOICE, TEXT = "number", "flag", "choice", "text"


class Question(NamedTuple):
    """One parameter as a form asks for it."""

    name: str
    label: str
    form: str
    usual: Any
    least: float | None
    most: float | None
    choices: list[str]
    is_needed: bool


def questions(action: Action) -> list[Question]:
    """What this action asks, in the order of its parameters; what cannot be asked is left out."""
    asked = action.asked if isinstance(action.asked, Mapping) else {}
    found = []
    for name, usual in action.parameters.items():
        about = asked.get(name)
        if about is None or not isinstance(usual, bool | int | float | str):
            continue
        choices = about.get("choices") or []
        found.append(
            Question(
                name,
                about.get("label") or name,
                _form(usual, choices),
                usual,
                about.get("least"),
                about.get("most"),
                choices,
                bool(about.get("is_needed")),
            )
        )
    return found


def check(actions: Iterable[Action], given: Given | None) -> dict[int, dict[str, object]]:
    """{action id: all its parameters} for the actions with something to ask; the usual value where
    nothing is said. Raises Invalid: which parameter of which action."""
    given = given or {}
    chosen = {}
    for action in actions:
        if not action.asked and action.slug not in given:
            continue  # nearly always
        said = given.get(action.slug, {})
        known = {question.name: question for question in questions(action)}
        for name in said:
            if name not in known:
                raise _invalid(action, name, gettext("this cannot be changed"))
        values = dict(action.parameters)
        for name, question in known.items():
            value = _read(action, question, said[name]) if name in said else question.usual
            if question.is_needed and value == "":
                raise _invalid(action, question.label, gettext("say what it is"))
            values[name] = value
        chosen[action.pk] = values
    return chosen


def _form(usual: object, choices: list[str]) -> str:
    if isinstance(usual, bool):
        return FLAG
    if isinstance(usual, int | float):
        return NUMBER
    return CHOICE if choices else TEXT


def _read(action: Action, question: Question, value: object) -> object:
    """A value as it came, by form or API, as what the parameter is."""
    if question.form == FLAG:
        return value in (True, "1", "true", "on")
    if question.form == NUMBER:
        return _number(action, question, value)
    text = value if isinstance(value, str) else ""
    text = text.replace("\x00", "\ufffd").strip()
    if question.form == CHOICE and text not in question.choices:
        raise _invalid(action, question.label, gettext("choose one of what is offered"))
    if len(text) > MOST_CHARACTERS:
        words = gettext("at most %(most)s characters") % {"most": figure(MOST_CHARACTERS)}
        raise _invalid(action, question.label, words)
    return text


def _number(action: Action, question: Question, value: object) -> int | float:
    least = -math.inf if question.least is None else question.least
    most = math.inf if question.most is None else question.most
    try:
        number = float(value) if not isinstance(value, bool) else math.nan  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or not least <= number <= most:
        raise _invalid(action, question.label, _bounds(question))
    return int(number) if number == int(number) else number


def _bounds(question: Question) -> str:
    if question.least is not None and question.most is not None:
        between = {"least": f"{question.least:g}", "most": f"{question.most:g}"}
        return gettext("a number from %(least)s to %(most)s") % between
    return gettext("a number that is allowed here")


def _invalid(action: Action, name: str, words: str) -> Invalid:
    message = gettext("%(action)s, %(parameter)s: %(words)s.")
    return Invalid(
        message % {"action": action.name, "parameter": name, "words": words},
        details={"parameters": f"{action.slug}.{name}: {words}"},
    )
