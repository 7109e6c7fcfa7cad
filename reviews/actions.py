"""What a decision can ask for, set up by leads and policy owners: saved as revisions, like queues.

What happens when one is asked for is enforcement.py's; where it is offered is queues.py's.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.utils.translation import ngettext

from . import access, desk, revisions
from .errors import Conflict
from .models import Action, Person, Platform, Revision
from .refusals import Refusals, check_words, is_key, slug_refusals

Data = Mapping[str, Any]

LABELS = {
    "name": lazy("Name"),
    "description": lazy("What it does"),
    "key": lazy("Key"),
    "target": lazy("Acts on"),
    "parameters": lazy("Parameters"),
    "asked": lazy("Asked of whoever decides"),
    "needs_approval": lazy("Held for a second person"),
    "is_strike": lazy("Counts as a strike"),
    "strike_days": lazy("A strike stands"),
    "position": lazy("Place in lists"),
    "is_archived": lazy("Archived"),
}
NEW: Data = {
    "name": "",
    "description": "",
    "key": "",
    "target": "item",
    "parameters": {},
    "asked": {},
    "needs_approval": False,
    "is_strike": False,
    "strike_days": 90,
    "position": 0,
    "is_archived": False,
}
MOST_PARAMETERS = 30
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,59}")


def read(action: Action) -> dict[str, Any]:
    """The action as it stands, as data."""
    return {name: getattr(action, name) for name in NEW}


def create_action(
    platform: Platform, slug: str, data: Data, *, by: Person | None, note: str = ""
) -> Action:
    """`slug` is what the platform's software knows it by, and stays."""
    access.check(by, "action.edit", platform)
    data = {**NEW, **data, "is_archived": False}
    details = slug_refusals(
        slug,
        Action,
        platform,
        by=by,
        new=_("“new” is the address of the page for new actions. Choose another."),
        taken=_("Another action has this name for programs. It may be an archived one."),
    )
    with transaction.atomic():
        action = Action(platform=platform, slug=slug)
        check(action, data, more=details)
        try:
            with transaction.atomic():
                _apply(action, data)
        except IntegrityError:
            raise Conflict(_("There is an action %(slug)s already.") % {"slug": slug}) from None
        revisions.record(action, read(action), by=by, platform=platform, note=note)
    return action


def save_action(
    action: Action,
    data: Data,
    *,
    by: Person | None,
    seen: int | None = None,
    note: str = "",
    restores: Revision | None = None,
) -> Action:
    """The action as `data` says. Decisions made before keep what they asked for."""
    access.check(by, "action.edit", action.platform_id)
    with transaction.atomic():
        action = _locked(action)
        if action.is_archived:
            raise Conflict(_("%(name)s is archived. Bring it back first.") % {"name": action.name})
        revisions.check_seen(action, seen)
        data = {**read(action), **data, "is_archived": False}
        check(action, data)
        revisions.keep_first(action, read(action), platform=action.platform_id)
        _apply(action, data)
        revisions.record(
            action, read(action), by=by, platform=action.platform_id, note=note, restores=restores
        )
    return action


def put_back(action: Action, number: int, *, by: Person | None, seen: int | None = None) -> Action:
    """The state that revision `number` kept, through the same checks as any other save."""
    access.check(by, "action.edit", action.platform_id)
    revision = revisions.get(action, number)
    with revisions.putting_back(number):
        return save_action(action, revision.data, by=by, seen=seen, restores=revision)


def archive_action(action: Action, *, by: Person | None, seen: int | None = None) -> Action:
    """No queue may offer it from now on. Refused while one does: a desk must not lose a button
    that nobody there knows to be gone."""
    access.check(by, "action.edit", action.platform_id)
    with transaction.atomic():
        action = _locked(action)
        if action.is_archived:
            return action
        revisions.check_seen(action, seen)
        queues = action.offers.filter(queue__is_archived=False).order_by("queue__position")
        names = list(queues.values_list("queue__name", flat=True))
        if names:
            words = ngettext(
                "%(names)s offers it. Take it out there first.",
                "%(names)s offer it. Take it out there first.",
                len(names),
            )
            raise Conflict(words % {"names": ", ".join(names)})
        return _set_archived(action, True, by=by)


def unarchive_action(action: Action, *, by: Person | None, seen: int | None = None) -> Action:
    access.check(by, "action.edit", action.platform_id)
    with transaction.atomic():
        action = _locked(action)
        if not action.is_archived:
            return action
        revisions.check_seen(action, seen)
        return _set_archived(action, False, by=by)


def check(action: Action, data: Data, *, more: Mapping[str, list[str]] | None = None) -> None:
    """Is the whole right? Raises Invalid: {field: [what is wrong]}."""
    refuse = Refusals(more)
    check_words(
        data,
        action.platform.actions.exclude(pk=action.pk),
        refuse,
        taken=_("Another action has this name."),
        longest_description=200,
    )
    key = data["key"].lower()
    if key and not is_key(key):
        refuse("key", _("A key is one letter from a to z or one digit."))
    elif key in desk.RESERVED_KEYS:
        refuse(
            "key", _("%(key)s is a key of the desk itself. Choose another.") % {"key": key.upper()}
        )
    elif key and (queue := _queue_where_it_clashes(action, key)):
        refuse(
            "key",
            _("In %(queue)s, %(key)s means something else. Give it another there.")
            % {"queue": queue, "key": key.upper()},
        )
    if data["target"] not in Action.Target.values:
        refuse("target", _("Choose what it acts on."))
    if not 1 <= data["strike_days"] <= 3650:
        refuse("strike_days", _("Give a number of days from 1 to 3,650."))
    if not 0 <= data["position"] <= 999:
        refuse("position", _("Give a number from 0 to 999."))
    for text in _parameter_refusals(data["parameters"]):
        refuse("parameters", text)
    if "parameters" not in refuse:
        for name, text in _asked_refusals(data["parameters"], data["asked"]):
            refuse(f"asked.{name}", text)
    refuse.raise_any()


def _parameter_refusals(parameters: object) -> list[str]:
    if not isinstance(parameters, Mapping):
        return [_("Parameters are names with values.")]
    if len(parameters) > MOST_PARAMETERS:
        return [_("At most %(most_parameters)s parameters.") % {"most_parameters": MOST_PARAMETERS}]
    texts = []
    for name, value in parameters.items():
        if not _PARAMETER.fullmatch(name):
            texts.append(
                _("%(name)s: a name has letters, digits and _ . - only, and starts with a letter.")
                % {"name": name}
            )
        if isinstance(value, float) and not math.isfinite(value):
            texts.append(_("%(name)s: not a number that can be sent.") % {"name": name})
    if len(json.dumps(parameters)) > 10_000:
        texts.append(_("All parameters together have at most 10,000 characters."))
    return texts


def _asked_refusals(
    parameters: Mapping[str, Any], asked: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """What is offered on the desk has to be a value that a small field can take."""
    for name, about in asked.items():
        usual = parameters.get(name)
        if name not in parameters:
            yield name, _("There is no parameter %(name)s to ask for.") % {"name": name}
            continue
        if not isinstance(usual, bool | int | float | str):
            yield name, _("Only a text, a number or a yes or no can be asked for.")
        if len(about.get("label") or "") > 60:
            yield name, _("What it is called has at most 60 characters.")
        choices = about.get("choices") or []
        if choices and (isinstance(usual, bool) or not isinstance(usual, str)):
            yield name, _("Only a text can be chosen from a list.")
        elif choices and usual not in choices:
            yield name, _("The usual value has to be one of the choices.")
        elif any(len(choice) > 60 for choice in choices) or len(choices) > 20:
            yield name, _("At most 20 choices of at most 60 characters.")
        least, most = about.get("least"), about.get("most")
        if least is None and most is None:
            continue
        if isinstance(usual, bool) or not isinstance(usual, int | float):
            yield name, _("Only a number has a least and a most.")
        elif least is None or most is None or not least <= usual <= most:
            yield name, _("The usual value has to lie between the least and the most.")


def _queue_where_it_clashes(action: Action, key: str) -> str | None:
    """A queue in which the action goes by its own key, and `key` is taken there."""
    if action.pk is None:
        return None
    offers = action.offers.filter(key="", is_hidden=False, queue__is_archived=False)
    for offer in offers.select_related("queue"):
        policies = offer.queue.policies.order_by("position", "pk")
        taken = set(desk.policy_keys(policy.key for policy in policies))
        others = offer.queue.offers.filter(is_hidden=False).exclude(action=action)
        taken |= {(one.key or one.action.key).lower() for one in others.select_related("action")}
        if key in taken:
            return offer.queue.name
    return None


def _locked(action: Action) -> Action:
    rows = Action.objects.select_related("platform").filter(pk=action.pk)
    return rows.select_for_update(of=("self",), no_key=True).get()


def _apply(action: Action, data: Data) -> None:
    for name in NEW:
        setattr(action, name, data[name])
    action.name, action.description = data["name"].strip(), data["description"].strip()
    action.key = data["key"].lower()
    action.save()


def _set_archived(action: Action, is_archived: bool, *, by: Person | None) -> Action:
    revisions.keep_first(action, read(action), platform=action.platform_id)
    action.is_archived = is_archived
    action.save(update_fields=["is_archived"])
    revisions.record(action, read(action), by=by, platform=action.platform_id)
    return action
