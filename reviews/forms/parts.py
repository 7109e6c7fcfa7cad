"""What every form of the set-up shares."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _


class SetUpForm(forms.Form):
    """A form over the data of one configured thing, and the revision it was opened at."""

    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)
    note = forms.CharField(
        label=_("Why"),
        required=False,
        max_length=300,
        widget=forms.TextInput(attrs={"placeholder": _("Why, for the history (optional)")}),
    )

    def make_read_only(self) -> None:
        for field in self.fields.values():
            field.disabled = True

    def put_errors(self, details: Mapping[str, Iterable[str]]) -> None:
        """What the service refused, beside the field; what has no field, above the form."""
        for name, texts in details.items():
            for text in texts:
                self.place_error(name, text)

    def place_error(self, name: str, text: str) -> None:
        self.add_error(name if name in self.fields else None, text)


def text(label: str, *, most: int, required: bool = True, hint: str = "") -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=most,
        required=required,
        help_text=hint,
        error_messages={
            "required": _("Give a %(lower)s.") % {"lower": label.lower()},
            "max_length": _("At most %(most)s characters.") % {"most": most},
        },
    )


def long_text(label: str, *, most: int, hint: str = "") -> forms.CharField:
    field = text(label, most=most, required=False, hint=hint)
    field.widget = forms.Textarea(attrs={"rows": 2, "maxlength": most})
    return field


def number(
    label: str,
    *,
    least: float,
    most: float,
    unit: str = "",
    whole: bool = True,
    required: bool = True,
    hint: str = "",
    step: float | str | None = None,
) -> forms.Field:
    """A number with its unit. The bounds are shown to the browser, and kept by the service."""
    words = format_lazy(
        _("Give a whole number from {least} to {most}{unit}.")
        if whole
        else _("Give a number from {least} to {most}{unit}."),
        least=f"{least:,g}",
        most=f"{most:,g}",
        unit=f" {unit}" if unit else "",
    )
    kind = forms.IntegerField if whole else forms.FloatField
    attrs: dict[str, Any] = {"min": f"{least:g}", "max": f"{most:g}"}
    attrs["step"] = step or ("1" if whole else "any")
    field = kind(
        label=label,
        required=required,
        help_text=hint,
        widget=forms.NumberInput(attrs=attrs),
        error_messages={"required": words, "invalid": words},
    )
    field.unit = unit
    return field


def several(
    label: str, choices: Iterable[tuple[str, str]], *, hint: str = "", none: str = ""
) -> forms.MultipleChoiceField:
    """Any number of boxes to tick. `none` is said where there is nothing to choose from."""
    field = forms.MultipleChoiceField(
        label=label,
        choices=list(choices),
        required=False,
        help_text=hint,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"invalid_choice": _("%(value)s is not one of these (any more).")},
    )
    field.none = none
    return field


def tick(label: str, *, hint: str = "") -> forms.BooleanField:
    return forms.BooleanField(label=label, required=False, help_text=hint)
