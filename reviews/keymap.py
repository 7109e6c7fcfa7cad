"""A person's own keys on the desk, and whether single keys act at all (WCAG 2.1.4).

Her page puts them in place of the usual ones (static/hotkeys.js): what is drawn for a queue is the
same for everybody.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import access, audit, desk
from .errors import Forbidden, Invalid
from .models import Person, Queue

# What the desk itself understands, by its usual key: that is its name too.
COMMANDS = {
    "0": gettext_lazy("Nothing here breaks a rule"),
    "v": gettext_lazy("Breaks a rule, none named"),
    "n": gettext_lazy("Write a note"),
    "m": gettext_lazy("Leave a note for the next reviewer"),
    "s": gettext_lazy("Skip"),
    "a": gettext_lazy("Ask a second reviewer"),
    "e": gettext_lazy("Escalate"),
    "p": gettext_lazy("Put it back and stop"),
    "u": gettext_lazy("Undo the last decision"),
    "b": gettext_lazy("Show the media as they are"),
    "g": gettext_lazy("Colour or grey"),
    "y": gettext_lazy("Show what moved the score"),
    "h": gettext_lazy("Home"),
}
# These open the overlay and the search on every page, whoever sits there.
_TAKEN = frozenset("?/")
_MOST = 500


class Row(NamedTuple):
    """One thing that a key does: its name in the map, its usual keys, where it is met."""

    name: str
    label: str
    usual: tuple[str, ...]
    own: str
    queues: tuple[str, ...]


def own_keys(person: Person) -> dict[str, str]:
    return dict((person.keys or {}).get("own", {}))


def are_off(person: Person) -> bool:
    return bool((person.keys or {}).get("off"))


def rows(person: Person, own: Mapping[str, str] | None = None) -> list[Row]:
    """All she can give a key of her own: the desk's commands, then what her queues offer."""
    own = own_keys(person) if own is None else own
    found = [
        Row(name, str(label), (name,), own.get(name, ""), ()) for name, label in COMMANDS.items()
    ]
    options: dict[str, tuple[str, list[str], list[str]]] = {}
    for queue, offered in _offers(person):
        for name, (label, key) in offered.items():
            _label, keys, queues = options.setdefault(name, (label, [], []))
            queues.append(queue.name)
            if key and key not in keys:
                keys.append(key)
    found += [
        Row(name, label, tuple(keys), own.get(name, ""), tuple(queues))
        for name, (label, keys, queues) in options.items()
    ]
    return found


def save_keys(
    person: Person, *, by: Person | None, own: Mapping[str, str], off: bool = False
) -> Person:
    """Replace her map. Raises Invalid with what is wrong, by name; nothing is saved then."""
    if by is not None and by.pk != person.pk:
        raise Forbidden(_("Keys are each person’s own."))
    own = {name: key.strip().lower() for name, key in own.items() if key.strip()}
    offers = [offered for _queue, offered in _offers(person)]
    wrong = _wrong(own, offers)
    if wrong:
        raise Invalid(_("Some keys cannot be used. Nothing was saved."), details=wrong)
    with transaction.atomic():
        keys = {"own": own, **({"off": True} if off else {})}
        Person.objects.filter(pk=person.pk).update(keys=keys if own or off else None)
        audit.record("person.keys", person, by=by, platform=None)
    person.keys = keys if own or off else None
    return person


def _wrong(own: Mapping[str, str], offers: list[dict[str, tuple[str, str]]]) -> dict[str, str]:
    wrong: dict[str, str] = {}
    labels = {name: str(label) for name, label in COMMANDS.items()}
    for offered in offers:
        labels |= {name: label for name, (label, _key) in offered.items()}
    for name, key in list(own.items())[:_MOST]:
        if name not in labels:
            wrong[name] = _("This is not on any desk of yours.")
        elif len(key) != 1 or not key.isprintable() or key.isspace():
            wrong[name] = _("One letter, digit or sign.")
        elif key in _TAKEN:
            wrong[name] = _("? and / mean the same on every page.")
    # On each desk of hers, and on the bare one: no key means two things.
    for offered in [{}, *offers]:
        usual = {name: name for name in COMMANDS} | {n: key for n, (_l, key) in offered.items()}
        holder: dict[str, str] = {}
        for name in sorted(usual, key=lambda one: one in own):  # what is hers is what gives way
            key = own.get(name, usual[name])
            other = holder.setdefault(key, name) if key else name
            if other != name and name in own and name not in wrong:
                wrong[name] = _("“%(label)s” has this key. Give that another one first.") % {
                    "label": labels[other]
                }
    return wrong


def _offers(person: Person) -> Iterable[tuple[Queue, dict[str, tuple[str, str]]]]:
    for queue in access.queues_to_work(person).order_by("name"):
        rules = desk.rules(queue.pk)
        yield (
            queue,
            {
                **{
                    f"policy:{option.version.policy.slug}": (option.version.policy.name, option.key)
                    for option in rules.policies
                },
                **{
                    f"action:{option.action.slug}": (option.action.name, option.key)
                    for option in rules.actions
                },
            },
        )
