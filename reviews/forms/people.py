"""A person of the platform as forms: who she is with her roles, and the queues she works."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from reviews import people
from reviews.models import Person, Platform, Role

from .parts import SetUpForm, several, text


class PersonForm(SetUpForm):
    first_name = text(_("First name"), most=150, required=False)
    last_name = text(_("Last name"), most=150, required=False)
    email = forms.CharField(
        label=_("E-mail"),
        required=False,
        max_length=254,
        help_text=_("For a forgotten password only."),
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )
    roles = several(_("Roles"), Role.choices, hint=_("They hold on every platform of hers."))

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        person: Person,
        state: people.Data,
        seen: int = 0,
        note: str = "",
    ) -> None:
        super().__init__(data, initial={**state, "seen": seen, "note": note}, label_suffix="")
        if person.pk is None:
            self.fields["username"] = text(
                gettext("User name"),
                most=150,
                hint=gettext("She signs in with it. It cannot be changed later."),
            )
            self.fields["username"].widget.attrs["autocomplete"] = "off"

    def typed(self) -> dict[str, Any]:
        names = ("first_name", "last_name", "email")
        data: dict[str, Any] = {name: self.cleaned_data[name].strip() for name in names}
        return {**data, "roles": sorted(self.cleaned_data["roles"])}


class WorksForm(forms.Form):
    """Which queues she works."""

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, person: Person, platform: Platform
    ) -> None:
        works = list(person.queues.filter(platform=platform).values_list("slug", flat=True))
        super().__init__(data, initial={"queues": works}, label_suffix="")
        rows = platform.queues.filter(is_archived=False)
        self.fields["queues"] = several(
            gettext("Queues"),
            rows.values_list("slug", "name"),
            hint=gettext("Taken out of one, she gives back at once what she holds there."),
            none=gettext("There is no queue yet."),
        )
