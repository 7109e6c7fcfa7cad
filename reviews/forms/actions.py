"""An action as a form; each of its parameters is a row with a name, a type and a value."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from reviews import actions
from reviews.models import Action

from .parts import SetUpForm, long_text, number, text, tick

_EMPTY_ROWS = 2


class ParameterForm(forms.Form):
    """One parameter. A row without a name and a value is no parameter."""

    class Kind:
        TEXT, NUMBER, FLAG, JSON = "text", "number", "flag", "json"

    kind = forms.ChoiceField(
        label=_("Type"),
        required=False,
        choices=(
            (Kind.TEXT, _("Text")),
            (Kind.NUMBER, _("Number")),
            (Kind.FLAG, _("Yes or no")),
            (Kind.JSON, "JSON"),
        ),
    )
    name = forms.CharField(label=_("Name"), required=False, max_length=60)
    value = forms.CharField(label=_("Value"), required=False, max_length=2000)
    is_asked = forms.BooleanField(label=_("Asked on the desk"), required=False)
    label = forms.CharField(
        label=_("Called there"),
        required=False,
        max_length=60,
        widget=forms.TextInput(attrs={"placeholder": _("Called there")}),
    )
    limits = forms.CharField(
        label=_("Choices or limits"),
        required=False,
        max_length=1300,
        widget=forms.TextInput(attrs={"placeholder": _("Choices or limits")}),
    )
    is_needed = forms.BooleanField(label=_("Needed"), required=False)

    def __init__(self, *args: Any, place: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["aria-label"] = gettext("%(label)s of parameter %(place)s") % {
                "label": field.label,
                "place": place,
            }
            field.widget.attrs["autocomplete"] = "off"

    @property
    def is_empty(self) -> bool:
        return not self.cleaned_data.get("name") and not self.cleaned_data.get("value")

    def clean(self) -> dict[str, Any]:
        """With the value read as what its type says."""
        data = self.cleaned_data
        name, written = data.get("name"), data.get("value", "")
        if written and not name and "name" not in self.errors:
            self.add_error("name", _("Give it a name."))
        if name:
            try:
                data["read"] = _READERS[data.get("kind") or self.Kind.TEXT](written)
            except ValueError as error:
                self.add_error("value", str(error))
            if data.get("is_asked"):
                data["asked"] = self._asked(data)
        return data

    @staticmethod
    def _asked(data: Mapping[str, Any]) -> dict[str, Any]:
        """“1–30” bounds a number; anything else is a list of choices."""
        asked: dict[str, Any] = {"label": data.get("label", "")}
        limits = data.get("limits", "").strip()
        bounds = re.fullmatch(r"([\d.]+)\s*[-–]\s*([\d.]+)", limits)
        if bounds and data.get("kind") == "number":
            try:
                asked["least"], asked["most"] = (_number(bound) for bound in bounds.groups())
            except ValueError:
                asked["choices"] = [limits]
        elif limits:
            choices = [choice.strip() for choice in limits.split(",")]
            asked["choices"] = list(dict.fromkeys(filter(None, choices)))
        if data.get("is_needed"):
            asked["is_needed"] = True
        return asked

    @classmethod
    def initial_of(cls, name: str, value: Any, asked: Mapping[str, Any] | None) -> dict[str, Any]:
        initial: dict[str, Any] = cls._initial_value(name, value)
        if asked is not None:
            least, most = asked.get("least"), asked.get("most")
            bounds = "" if least is None else f"{least:g}–{most:g}"
            initial["is_asked"] = True
            initial["label"] = asked.get("label", "")
            initial["limits"] = bounds or ", ".join(asked.get("choices") or [])
            initial["is_needed"] = asked.get("is_needed", False)
        return initial

    @classmethod
    def _initial_value(cls, name: str, value: Any) -> dict[str, str]:
        if isinstance(value, bool):
            return {"name": name, "kind": cls.Kind.FLAG, "value": "yes" if value else "no"}
        if isinstance(value, int | float):
            return {"name": name, "kind": cls.Kind.NUMBER, "value": f"{value}"}
        if isinstance(value, str):
            return {"name": name, "kind": cls.Kind.TEXT, "value": value}
        written = json.dumps(value, ensure_ascii=False)
        return {"name": name, "kind": cls.Kind.JSON, "value": written}


class ActionForm(SetUpForm):
    name = text(_("Name"), most=80, hint=_("As reviewers read it: “Remove the message”."))
    description = long_text(_("What it does"), most=200, hint=_("One line under the name."))
    key = forms.CharField(
        label=_("Key"),
        required=False,
        max_length=1,
        widget=forms.TextInput(attrs={"class": "key", "autocomplete": "off"}),
        help_text=_(
            "One letter or digit. Empty: the desk gives it a free one. A queue can give it another."
        ),
        error_messages={"max_length": _("A key is one letter from a to z or one digit.")},
    )
    target = forms.ChoiceField(
        label=_("Acts on"),
        choices=Action.Target.choices,
        help_text=_("An action on the account is not offered for items without an author."),
        error_messages={"required": _("Choose what it acts on.")},
    )
    needs_approval = tick(
        _("Held for a second person"),
        hint=_("Carried out only once a lead who did not ask for it approves."),
    )
    is_strike = tick(_("Counts as a strike"), hint=_("Against the item’s author, while it stands."))
    strike_days = number(_("A strike stands"), least=1, most=3650, unit="days")
    position = number(_("Place in lists"), least=0, most=999)

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        action: Action,
        state: actions.Data,
        seen: int = 0,
        note: str = "",
    ) -> None:
        initial = {**state, "seen": seen, "note": note}
        super().__init__(data, initial=initial, label_suffix="")
        self.action, self.state = action, state
        self.parameter_errors: list[str] = []
        if action.pk is None:
            self.fields["slug"] = text(
                gettext("Name for programs"),
                most=40,
                hint=gettext(
                    "Small letters, digits and hyphens, as it is sent to the platform’s software. "
                    "It cannot be changed later."
                ),
            )
        known = list(state["parameters"].items())
        rows = len(known) + _EMPTY_ROWS
        if data is not None:
            asked = data.get("rows", "")
            rows = min(int(asked) if asked.isdecimal() else rows, actions.MOST_PARAMETERS + 2)
        self.parameters = [
            ParameterForm(
                data,
                prefix=f"parameter-{place}",
                place=place + 1,
                initial=ParameterForm.initial_of(*known[place], state["asked"].get(known[place][0]))
                if place < len(known)
                else None,
            )
            for place in range(rows)
        ]

    def is_valid(self) -> bool:
        is_valid = all([super().is_valid(), *(row.is_valid() for row in self.parameters)])
        if not is_valid:
            return False
        seen: set[str] = set()
        for row in self.parameters:
            name = row.cleaned_data.get("name")
            if name and name in seen:
                row.add_error("name", _("Another parameter has this name."))
                is_valid = False
            seen.add(name or "")
        return is_valid

    def make_read_only(self) -> None:
        super().make_read_only()
        for row in self.parameters:
            for field in row.fields.values():
                field.disabled = True

    def typed(self) -> dict[str, Any]:
        values = self.cleaned_data
        data = {name: values[name] for name in actions.NEW if name in values}
        data["key"] = values["key"].lower()
        data["parameters"] = {
            row.cleaned_data["name"]: row.cleaned_data["read"]
            for row in self.parameters
            if not row.is_empty
        }
        data["asked"] = {
            row.cleaned_data["name"]: row.cleaned_data["asked"]
            for row in self.parameters
            if not row.is_empty and "asked" in row.cleaned_data
        }
        return data

    def place_error(self, name: str, text: str) -> None:
        field, _colon, part = name.partition(".")
        if field == "asked":
            for row in self.parameters:
                if row.cleaned_data.get("name") == part:
                    row.add_error("limits", text)
                    return
        if field in ("parameters", "asked"):
            self.parameter_errors.append(text)
        else:
            super().place_error(name, text)


def _number(written: str) -> int | float:
    try:
        value = float(written.replace("−", "-"))
    except ValueError:
        raise ValueError(gettext("This is not a number.")) from None
    if not math.isfinite(value):
        raise ValueError(gettext("This is not a number that can be sent."))
    return int(written) if written.strip().lstrip("+-").isdecimal() else value


def _flag(written: str) -> bool:
    known = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if written.strip().lower() not in known:
        raise ValueError(gettext("Write yes or no."))
    return known[written.strip().lower()]


def _json(written: str) -> Any:
    def refuse(name: str) -> None:
        raise ValueError(gettext("%(name)s is not JSON.") % {"name": name})

    try:
        return json.loads(written, parse_constant=refuse)
    except (json.JSONDecodeError, RecursionError):
        raise ValueError(gettext("This is not JSON.")) from None


_READERS = {
    ParameterForm.Kind.TEXT: str,
    ParameterForm.Kind.NUMBER: _number,
    ParameterForm.Kind.FLAG: _flag,
    ParameterForm.Kind.JSON: _json,
}
