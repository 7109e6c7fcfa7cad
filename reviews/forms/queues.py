"""A queue's settings as one form; an action's offer in it is a row of its own."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from reviews import queue_settings
from reviews.models import Action, Lane, Queue, Report

from .parts import SetUpForm, long_text, number, several, text, tick

_EMPTY_NOTES = 3
OFFERS = (("", _("Not offered")), ("shown", _("On the desk")), ("hidden", _("Kept off the desk")))
_SOURCES = dict(Report.Source.choices)


class OfferForm(forms.Form):
    """How this queue offers one action."""

    offer = forms.ChoiceField(choices=OFFERS, required=False, label=_("Offered"))
    place = forms.IntegerField(
        required=False,
        label=_("Place"),
        widget=forms.NumberInput(attrs={"min": "1", "max": "99", "step": "1"}),
        error_messages={"invalid": _("Give a whole number.")},
    )
    key = forms.CharField(
        required=False,
        max_length=1,
        label=_("Key"),
        widget=forms.TextInput(attrs={"class": "key", "autocomplete": "off"}),
        error_messages={"max_length": _("A key is one letter from a to z or one digit.")},
    )

    def __init__(self, *args: Any, action: Action, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.action = action
        for field in self.fields.values():
            field.widget.attrs["aria-label"] = f"{field.label}: {action.name}"
        self.fields["key"].widget.attrs["placeholder"] = action.key


class CannedNoteForm(forms.Form):
    """One note, ready to be put into an answer. A row without a text is no note."""

    text = forms.CharField(
        required=False, label=_("Note"), max_length=2000, widget=forms.Textarea(attrs={"rows": 2})
    )
    policy = forms.ChoiceField(required=False, label=_("For the policy"))
    language = forms.CharField(
        required=False, label=_("Language"), max_length=20, widget=forms.TextInput()
    )

    def __init__(self, *args: Any, place: int, policies: list[tuple[str, str]], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.fields["policy"].choices = [("", gettext("Any policy")), *policies]
        self.fields["language"].widget.attrs["placeholder"] = gettext("any")
        for field in self.fields.values():
            field.widget.attrs["aria-label"] = gettext("%(label)s, note %(place)s") % {
                "label": field.label,
                "place": place + 1,
            }


class QueueForm(SetUpForm):
    name = text(_("Name"), most=80)
    description = long_text(
        _("What it is for"), most=300, hint=_("One line, shown under the name.")
    )
    position = number(
        _("Place in lists"), least=0, most=999, hint=_("Queues are listed from the lowest.")
    )
    is_default = tick(
        _("Default queue"),
        hint=_("Takes what no routing rule sends elsewhere. There is exactly one."),
    )
    policy_required = tick(
        _("A violation names its policy"),
        hint=_("Off: an item can be called violating without saying which policy it breaks."),
    )
    note_required = tick(_("Every answer needs a note"))
    takes_escalations = tick(
        _("Takes escalations of other queues"),
        hint=_("Reviewers elsewhere can send here what needs this queue; its leads settle it."),
    )
    skip_reasons = forms.CharField(
        label=_("Reasons to skip"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_(
            "One a line, up to nine: each gets a key. None: she is not asked. Skips never "
            "count against anybody."
        ),
    )

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        queue: Queue,
        state: queue_settings.Data,
        seen: int = 0,
        note: str = "",
        may_staff: bool = True,
    ) -> None:
        initial = {
            **state,
            "skip_reasons": "\n".join(state["skip_reasons"]),
            **{f"sla_{source}": minutes for source, minutes in state["sla_by_source"].items()},
            **{f"share_{lane}": share for lane, share in state["lane_shares"].items()},
            "seen": seen,
            "note": note,
        }
        super().__init__(data, initial=initial, label_suffix="")
        self.queue, self.state = queue, state
        self.is_new = queue.pk is None
        if self.is_new:
            self.fields["slug"] = text(
                gettext("Address"),
                most=40,
                hint=gettext(
                    "Small letters, digits and hyphens, as in /queues/spam/. It cannot be changed "
                    "later."
                ),
            )
        self._add_numbers()
        self._add_choices(may_staff)
        self.offers = [
            OfferForm(
                data, prefix=f"offer-{action.slug}", action=action, initial=self._offer_of(action)
            )
            for action in self._actions()
        ]
        known = state["canned_notes"]
        policies = [(policy.slug, policy.name) for policy in queue.platform.policies.all()]
        self.canned = [
            CannedNoteForm(
                data,
                prefix=f"canned-{place}",
                place=place,
                policies=policies,
                initial=known[place] if place < len(known) else None,
            )
            for place in range(min(len(known) + _EMPTY_NOTES, queue_settings.MOST_CANNED_NOTES))
        ]

    def is_valid(self) -> bool:
        # All of them, so that everything wrong is said at once.
        rows = [*self.offers, *self.canned]
        return all([super().is_valid(), *(row.is_valid() for row in rows)])

    def make_read_only(self) -> None:
        super().make_read_only()
        for row in (*self.offers, *self.canned):
            for field in row.fields.values():
                field.disabled = True

    def typed(self) -> dict[str, Any]:
        """What she typed, as data."""
        values = self.cleaned_data
        offered = [
            (offer.cleaned_data["place"] or 99, place, offer)
            for place, offer in enumerate(self.offers)
            if offer.cleaned_data["offer"]
        ]
        offered.sort(key=lambda row: row[:2])
        rows = [(offer.action.slug, offer.cleaned_data) for _rest, _rest, offer in offered]
        data = {
            name: values[name]
            for name in queue_settings.NEW
            if name in values and name not in ("policies", "kinds", "members")
        }
        return {
            **data,
            **{name: queue_settings.plain(data[name]) for name in queue_settings.BOUNDS},
            "skip_reasons": [
                line.strip() for line in values["skip_reasons"].splitlines() if line.strip()
            ],
            "canned_notes": [
                {
                    "text": row.cleaned_data["text"].strip(),
                    "policy": row.cleaned_data["policy"],
                    "language": row.cleaned_data["language"].strip(),
                }
                for row in self._written()
            ],
            "policies": values["policies"],
            "kinds": sorted(values["kinds"]),
            "members": sorted(values["members"]),
            "actions": [slug for slug, _rest in rows],
            "action_keys": {slug: row["key"].lower() for slug, row in rows if row["key"]},
            "hidden_actions": [slug for slug, row in rows if row["offer"] == "hidden"],
            "sla_by_source": self._some("sla_", _SOURCES),
            "lane_shares": self._some("share_", queue_settings.SHARED_LANES),
        }

    def place_error(self, name: str, text: str) -> None:
        field, _rest, part = name.partition(".")
        if field == "action_keys" and part:
            for offer in self.offers:
                if offer.action.slug == part:
                    offer.add_error("key", text)
                    return
        if field == "canned_notes" and part:
            self._written()[int(part)].add_error("text", text)
            return
        if field == "actions":
            self.offer_errors.append(text)
            return
        if field == "lane_shares" and not part:
            self.share_errors.append(text)
            return
        prefix = {"sla_by_source": "sla_", "lane_shares": "share_"}.get(field)
        super().place_error(f"{prefix}{part}" if prefix and part else field, text)

    # What concerns a whole table, said above it.
    @property
    def offer_errors(self) -> list[str]:
        return self.__dict__.setdefault("_offer_errors", [])

    @property
    def share_errors(self) -> list[str]:
        return self.__dict__.setdefault("_share_errors", [])

    def say(self, name: str, words: str) -> None:
        """A word beside a field that is not wrong: somebody else changed it too."""
        if name in self.fields:
            self.fields[name].help_text = words

    @property
    def sources(self) -> list[forms.BoundField]:
        return [self[f"sla_{source}"] for source in _SOURCES]

    @property
    def shares(self) -> list[forms.BoundField]:
        return [self[f"share_{lane}"] for lane in queue_settings.SHARED_LANES]

    def _some(self, prefix: str, names: Iterable[str]) -> dict[str, float]:
        values = {name: self.cleaned_data[f"{prefix}{name}"] for name in names}
        return {
            name: queue_settings.plain(value) for name, value in values.items() if value is not None
        }

    def _written(self) -> list[CannedNoteForm]:
        return [row for row in self.canned if row.cleaned_data.get("text", "").strip()]

    def _add_numbers(self) -> None:
        for name, hint, whole in _NUMBERS:
            bound = queue_settings.BOUNDS[name]
            self.fields[name] = number(
                queue_settings.LABELS[name], **bound._asdict(), hint=hint, whole=whole
            )
        bound = queue_settings.BOUNDS["sla_minutes"]
        for source, label in _SOURCES.items():
            self.fields[f"sla_{source}"] = number(label, **bound._asdict(), required=False)
        for lane in queue_settings.SHARED_LANES:
            self.fields[f"share_{lane}"] = number(
                Lane(lane).label, least=0, most=100, unit="%", whole=False, required=False
            )

    def _add_choices(self, may_staff: bool) -> None:
        platform, state = self.queue.platform, self.state
        self.fields["policies"] = several(
            gettext("Policies"),
            _choices(platform.policies.all(), state["policies"]),
            hint=gettext("What reviewers can find here. The gravest of them ranks the item."),
            none=gettext("No policy yet. Policies have a page of their own."),
        )
        self.fields["kinds"] = several(
            gettext("Item kinds"),
            _choices(platform.kinds.order_by("slug"), state["kinds"]),
            hint=gettext("None ticked: every kind."),
            none=gettext("No item kind yet."),
        )
        names = [person.username for person in queue_settings.may_work(platform)]
        gone = [name for name in state["members"] if name not in names]
        self.fields["members"] = several(
            gettext("Who works it"),
            [
                *((name, name) for name in names),
                *((name, gettext("%(name)s (gone)") % {"name": name}) for name in gone),
            ],
            hint=gettext(
                "Reviewers and leads of the platform. Who is taken out gives back what she holds."
            )
            if may_staff
            else gettext("A lead or an admin decides who works it."),
            none=gettext("Nobody here has a role that reviews."),
        )
        self.fields["members"].disabled = not may_staff
        self.fields["blind"] = several(
            gettext("Kept from the reviewer"),
            Queue.Blind.choices,
            hint=gettext("Neither page nor API tells her. Leads see it when they adjudicate."),
        )
        self.fields["filters"] = several(
            gettext("How media arrives"),
            Queue.Filter.choices,
            hint=gettext("She can ask for it as it is."),
        )

    def _actions(self) -> list[Action]:
        """Those offered, in their order; then the rest."""
        order = {slug: place for place, slug in enumerate(self.state["actions"])}
        rows = [
            action
            for action in self.queue.platform.actions.all()
            if not action.is_archived or action.slug in order
        ]
        return sorted(rows, key=lambda action: order.get(action.slug, len(order)))

    def _offer_of(self, action: Action) -> dict[str, Any]:
        state = self.state
        if action.slug not in state["actions"]:
            return {}
        return {
            "offer": "hidden" if action.slug in state["hidden_actions"] else "shown",
            "place": state["actions"].index(action.slug) + 1,
            "key": state["action_keys"].get(action.slug, ""),
        }


def _choices(rows: Iterable[Any], chosen: list[str]) -> list[tuple[str, str]]:
    """Those that can be chosen; one that was archived meanwhile stays in sight while chosen."""
    return [
        (row.slug, f"{row.name} (archived)" if row.is_archived else row.name)
        for row in rows
        if not row.is_archived or row.slug in chosen
    ]


_NUMBERS = (
    ("reviews_wanted", _("Answers by different people that make one decision."), True),
    (
        "page_size",
        _("1: one at a time. More: a grid, judged at a glance; no passages are marked there."),
        True,
    ),
    ("lease_minutes", _("Unanswered after that, the item goes to somebody else."), False),
    ("undo_seconds", _("Actions wait so long, so that she can take an answer back."), True),
    ("sla_minutes", _("From the item's arrival. Later it is overdue, and served first."), True),
    ("soon_minutes", _("Before it is due, a job is lifted. 0: no lift before."), True),
    (
        "handling_minutes",
        _("What one item takes. Longer ones rank lower for the same harm."),
        False,
    ),
    (
        "doubling_hours",
        _("Waiting that weighs as much as twice the harm. Small: age rules."),
        False,
    ),
    ("report_percent", _("How far reports move the rank. 0 %: not at all."), False),
    ("random_percent", _("Of new items, drawn by lot, to measure with."), False),
    (
        "learning_percent",
        _("Of scored items, drawn to teach the model; where learning rounds are on, these draw."),
        False,
    ),
    ("qa_percent", _("Of decisions, looked at again by somebody else."), False),
)
