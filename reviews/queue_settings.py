"""What a lead sets on a queue, as data: read as a whole and checked as a whole.

By the slugs, names and units people use, as a revision keeps it and a form takes it: so a form's
save and the putting back of an old state are the same call (queues.py).
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db.models import Exists, OuterRef, QuerySet
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from . import access, desk, lanes
from .errors import Invalid
from .models import Action, ItemKind, Lane, Person, Platform, Policy, Queue, Report
from .refusals import Refusals, check_words, is_key
from .wording import noop

Data = Mapping[str, Any]

LABELS = {
    "name": lazy("Name"),
    "description": lazy("What it is for"),
    "position": lazy("Place in lists"),
    "is_default": lazy("Default queue"),
    "is_archived": lazy("Archived"),
    "policies": lazy("Policies"),
    "kinds": lazy("Item kinds"),
    "members": lazy("Who works it"),
    "actions": lazy("Actions"),
    "action_keys": lazy("Keys of actions"),
    "hidden_actions": lazy("Actions not on the desk"),
    "policy_required": lazy("A violation names its policy"),
    "note_required": lazy("Every answer needs a note"),
    "takes_escalations": lazy("Takes escalations of other queues"),
    "skip_reasons": lazy("Reasons to skip"),
    "canned_notes": lazy("Canned notes"),
    "reviews_wanted": lazy("Independent reviews"),
    "blind": lazy("Kept from the reviewer"),
    "filters": lazy("How media arrives"),
    "page_size": lazy("Items on a page"),
    "lease_minutes": lazy("A claim lasts"),
    "undo_seconds": lazy("Undo within"),
    "sla_minutes": lazy("Answer within"),
    "sla_by_source": lazy("Sooner when reported by"),
    "soon_minutes": lazy("Soon due"),
    "handling_minutes": lazy("Handling time"),
    "doubling_hours": lazy("Doubling time"),
    "report_percent": lazy("Weight of reports"),
    "lane_shares": lazy("Lane shares"),
    "random_percent": lazy("Random draw"),
    "learning_percent": lazy("Learning draw"),
    "qa_percent": lazy("Quality checks"),
}


class Bound(NamedTuple):
    least: float
    most: float
    unit: str

    def refusal(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return _("Give a number from %(least)s to %(most)s%(unit)s.") % {
            "least": f"{self.least:,g}",
            "most": f"{self.most:,g}",
            "unit": unit,
        }


MINUTES_OF_A_MONTH = 43_200
BOUNDS = {
    "position": Bound(0, 999, ""),
    "reviews_wanted": Bound(1, 5, ""),
    "page_size": Bound(1, 24, ""),
    "lease_minutes": Bound(0.5, 240, "min"),
    "undo_seconds": Bound(0, 3600, "s"),
    "sla_minutes": Bound(1, MINUTES_OF_A_MONTH, "min"),
    "soon_minutes": Bound(0, MINUTES_OF_A_MONTH, "min"),
    "handling_minutes": Bound(0.05, 240, "min"),
    "doubling_hours": Bound(0.1, 168, "h"),
    "report_percent": Bound(0, 100, "%"),
    "random_percent": Bound(0, 100, "%"),
    "learning_percent": Bound(0, 100, "%"),
    "qa_percent": Bound(0, 100, "%"),
}
# With their units, for a difference between two states.
LABELS_WITH_UNITS = {
    **LABELS,
    **{
        name: format_lazy("{} ({})", LABELS[name], bound.unit)
        for name, bound in BOUNDS.items()
        if bound.unit
    },
    "lane_shares": lazy("Lane shares (%)"),
    "sla_by_source": lazy("Sooner when reported by (min)"),
}
SHARED_LANES = [lane for lane in Lane.values if lane != Lane.RISK]  # risk takes what they leave
# A new queue, until somebody says otherwise.
NEW: Data = {
    "name": "",
    "description": "",
    "position": 0,
    "is_default": False,
    "is_archived": False,
    "policies": [],
    "kinds": [],
    "members": [],
    "actions": [],
    "action_keys": {},
    "hidden_actions": [],
    "policy_required": True,
    "note_required": False,
    "takes_escalations": False,
    "skip_reasons": [
        noop("I do not read this language"),
        noop("Too upsetting for me now"),
        noop("I know the author"),
        noop("It needs special knowledge"),
    ],
    "canned_notes": [],
    "reviews_wanted": 1,
    "blind": [],
    "filters": [],
    "page_size": 1,
    "lease_minutes": 10,
    "undo_seconds": 60,
    "sla_minutes": 240,
    "sla_by_source": {},
    "soon_minutes": 0,
    "handling_minutes": 1,
    "doubling_hours": 2,
    "report_percent": 50,
    "lane_shares": {},
    "random_percent": 10,
    "learning_percent": 0,
    "qa_percent": 0,
}
# A change of these moves, times or ranks waiting jobs anew (reranking.py).
RANKING = frozenset(
    {
        "is_default",
        "kinds",
        "sla_minutes",
        "sla_by_source",
        "policies",
        "soon_minutes",
        "handling_minutes",
        "doubling_hours",
        "report_percent",
    }
)
MOST_SKIP_REASONS = 9
MOST_CANNED_NOTES = 60
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


class Parts(NamedTuple):
    """What the data names, found on the queue's platform."""

    policies: list[Policy]
    kinds: list[ItemKind]
    actions: list[Action]  # in their order on the desk
    members: list[Person]


def read(queue: Queue) -> dict[str, Any]:
    """The queue as it stands, as data."""
    offers = list(
        queue.offers.select_related("action").order_by("position", "action__position", "action_id")
    )
    return {
        "name": queue.name,
        "description": queue.description,
        "position": queue.position,
        "is_default": queue.is_default,
        "is_archived": queue.is_archived,
        "policies": [policy.slug for policy in queue.policies.all()],
        "kinds": sorted(kind.slug for kind in queue.kinds.all()),
        "members": sorted(person.username for person in queue.members.all()),
        "actions": [offer.action.slug for offer in offers],
        "action_keys": {offer.action.slug: offer.key for offer in offers if offer.key},
        "hidden_actions": [offer.action.slug for offer in offers if offer.is_hidden],
        "policy_required": queue.policy_required,
        "note_required": queue.note_required,
        "takes_escalations": queue.takes_escalations,
        "skip_reasons": list(queue.skip_reasons),
        "canned_notes": [dict(note) for note in queue.canned_notes],
        "reviews_wanted": queue.reviews_wanted,
        "blind": list(queue.blind),
        "filters": list(queue.filters),
        "page_size": queue.page_size,
        "lease_minutes": plain(queue.lease_seconds / 60),
        "undo_seconds": queue.undo_seconds,
        "sla_minutes": queue.sla_minutes,
        "sla_by_source": dict(queue.sla_by_source),
        "soon_minutes": queue.soon_minutes,
        "handling_minutes": plain(queue.handling_minutes),
        "doubling_hours": plain(queue.doubling_hours),
        "report_percent": plain(queue.report_weight * 100),
        "lane_shares": {
            lane: plain(queue.lane_shares[lane] * 100)
            for lane in SHARED_LANES
            if lane in queue.lane_shares
        },
        "random_percent": plain(queue.random_rate * 100),
        "learning_percent": plain(queue.learning_rate * 100),
        "qa_percent": plain(queue.qa_rate * 100),
    }


def may_work(platform: Platform | int) -> QuerySet[Person]:
    """Who could be put into a queue: on the platform, active, with a role that may claim."""
    roles = access.GRANTS["job.claim"].roles
    return Person.objects.filter(
        Exists(Person.groups.through.objects.filter(person=OuterRef("pk"), group__name__in=roles)),
        platforms=platform,
        is_active=True,
    ).order_by("username")


def check(queue: Queue, data: Data, *, more: Mapping[str, list[str]] | None = None) -> Parts:
    """Is the whole right? Raises Invalid: {field: [what is wrong]}, "field.name" within a field."""
    refuse = Refusals(more)
    platform = queue.platform
    check_words(
        data,
        platform.queues.exclude(pk=queue.pk),
        refuse,
        taken=_("Another queue has this name."),
        longest_description=300,
    )
    for name, bound in BOUNDS.items():
        if not bound.least <= data[name] <= bound.most:
            refuse(name, bound.refusal())
    policies = _find(platform.policies.all(), data["policies"], "policies", refuse)
    if not data["policies"]:
        refuse("policies", _("Choose at least one policy: a decision is made under one."))
    kinds = _find(platform.kinds.all(), data["kinds"], "kinds", refuse)
    actions = _find(platform.actions.all(), data["actions"], "actions", refuse)
    order = {slug: place for place, slug in enumerate(data["actions"])}
    actions.sort(key=lambda action: order[action.slug])
    members = _check_members(platform, data, refuse)
    _check_keys(data, policies, actions, refuse)
    _check_times(data, refuse)
    _check_skip_reasons(data, refuse)
    _check_canned_notes(data, refuse)
    _check_shares(data, refuse)
    for name, choices in (("blind", Queue.Blind), ("filters", Queue.Filter)):
        for value in data[name]:
            if value not in choices.values:
                refuse(name, _("There is no %(value)s to choose.") % {"value": value})
    if queue.is_default and not data["is_default"]:
        refuse("is_default", _("One queue takes what no rule routes. Make another the default."))
    refuse.raise_any()
    return Parts(policies, kinds, actions, members)


_GONE = {
    "policies": lazy("There is no policy %(slug)s any more."),
    "kinds": lazy("There is no item kind %(slug)s any more."),
    "actions": lazy("There is no action %(slug)s any more."),
}
_ARCHIVED = {
    "policies": lazy("The policy %(name)s is archived."),
    "kinds": lazy("The item kind %(name)s is archived."),
    "actions": lazy("The action %(name)s is archived."),
}


def _find(rows: QuerySet, slugs: list[str], field: str, refuse: Refusals) -> list:
    """The rows of these slugs; what is gone or archived is named."""
    found = {row.slug: row for row in rows.filter(slug__in=slugs)}
    for slug in slugs:
        if slug not in found:
            refuse(field, _GONE[field] % {"slug": slug})
        elif found[slug].is_archived:
            refuse(field, _ARCHIVED[field] % {"name": found[slug].name})
    return list(found.values())


def _check_members(platform: Platform, data: Data, refuse: Refusals) -> list[Person]:
    names = set(data["members"])
    members = list(may_work(platform).filter(username__in=names))
    for name in sorted(names - {person.username for person in members}):
        refuse(
            "members",
            _("%(name)s cannot work here: gone, or without a role that reviews.") % {"name": name},
        )
    wanted = data["reviews_wanted"]
    if wanted > 1 and len(names) < wanted:
        refuse(
            "reviews_wanted",
            ngettext(
                "%(wanted)s independent reviews take at least %(wanted)s people in the queue; "
                "there is %(count)s.",
                "%(wanted)s independent reviews take at least %(wanted)s people in the queue; "
                "there are %(count)s.",
                len(names),
            )
            % {"wanted": wanted, "count": len(names)},
        )
    return members


def _check_keys(
    data: Data, policies: list[Policy], actions: list[Action], refuse: Refusals
) -> None:
    """Each action on the desk has a key of its own, and none that means something else there."""
    policies = sorted(policies, key=lambda policy: (policy.position, policy.pk))
    keys = desk.policy_keys(policy.key for policy in policies)
    meanings = {
        key: _("the policy %(name)s") % {"name": policy.name}
        for key, policy in zip(keys, policies, strict=True)
        if key
    }
    meanings |= dict.fromkeys(desk.RESERVED_KEYS, _("the desk itself"))
    hidden = set(data["hidden_actions"])
    for slug in sorted((hidden | set(data["action_keys"])) - set(data["actions"])):
        refuse("actions", _("%(slug)s has a setting here, but is not offered.") % {"slug": slug})
    for action in actions:
        own = data["action_keys"].get(action.slug, "")
        key = (own or action.key).lower()
        field = f"action_keys.{action.slug}"
        if own and not is_key(own.lower()):
            refuse(field, _("A key is one letter from a to z or one digit."))
        elif key and action.slug not in hidden:
            if key in meanings:
                refuse(
                    field,
                    _("%(key)s is the key of %(key2)s already.")
                    % {"key": key.upper(), "key2": meanings[key]},
                )
            meanings.setdefault(key, action.name)


def _check_times(data: Data, refuse: Refusals) -> None:
    bound = BOUNDS["sla_minutes"]
    shortest = data["sla_minutes"]
    for source, minutes in data["sla_by_source"].items():
        field = f"sla_by_source.{source}"
        if source not in Report.Source.values:
            refuse("sla_by_source", _("There is no source %(source)s.") % {"source": source})
        elif not bound.least <= minutes <= bound.most:
            refuse(field, bound.refusal())
        else:
            shortest = min(shortest, minutes)
    if data["soon_minutes"] and data["soon_minutes"] >= shortest:
        refuse(
            "soon_minutes",
            _("Less than the shortest time to answer (%(shortest)s min), or every job is soon due.")
            % {"shortest": f"{shortest:,g}"},
        )


def _check_skip_reasons(data: Data, refuse: Refusals) -> None:
    reasons = data["skip_reasons"]
    if len(reasons) > MOST_SKIP_REASONS:
        refuse(
            "skip_reasons",
            _("At most %(most_skip_reasons)s reasons: each has a key of its own.")
            % {"most_skip_reasons": MOST_SKIP_REASONS},
        )
    if any(not reason.strip() or len(reason) > 60 or "\x00" in reason for reason in reasons):
        refuse("skip_reasons", _("Each reason has 1 to 60 characters."))
    if len(set(reasons)) < len(reasons):
        refuse("skip_reasons", _("One reason stands there twice."))


def _check_canned_notes(data: Data, refuse: Refusals) -> None:
    notes = data["canned_notes"]
    if len(notes) > MOST_CANNED_NOTES:
        refuse(
            "canned_notes",
            _("At most %(most_canned_notes)s notes.") % {"most_canned_notes": MOST_CANNED_NOTES},
        )
    for place, note in enumerate(notes):
        field = f"canned_notes.{place}"
        if not 0 < len(note["text"].strip()) <= 2_000 or "\x00" in note["text"]:
            refuse(field, _("A note has 1 to 2,000 characters."))
        if note["policy"] and note["policy"] not in data["policies"]:
            refuse(field, _("This queue does not judge %(note)s.") % {"note": note["policy"]})
        if note["language"] and not _LANGUAGE.fullmatch(note["language"]):
            refuse(field, _("Give a language as items name it: en, de, pt-BR."))


def _check_shares(data: Data, refuse: Refusals) -> None:
    """What claims can keep is lanes.py's to say; people write it in percent."""
    try:
        lanes.check_shares({lane: share / 100 for lane, share in data["lane_shares"].items()})
    except Invalid as error:
        for lane, message in error.details.items():
            refuse("lane_shares" if lane == Lane.RISK else f"lane_shares.{lane}", message)


def plain(number: float) -> float:
    """0.1 × 100 is 10, and reads so: whole numbers as whole, no dust of binary fractions."""
    rounded = round(number, 6)
    return int(rounded) if rounded == int(rounded) else rounded
