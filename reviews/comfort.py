"""How content arrives for one person: what she set for herself, over what her queue says.

Nothing here is anybody else's to read: who calls passes the person who is looking.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _

from . import access, audit
from .errors import Invalid
from .models import Person, Policy, PolicyVersion, Queue, Severity, Strength, Wellbeing
from .statements import Statement

MOST_BREAK_MINUTES = 60
NO_HARM = "-"
FILTERS = tuple(Queue.Filter.values)

_OWN = Statement(
    "own_wellbeing",
    "SELECT row_to_json(own) FROM reviews_wellbeing AS own WHERE person_id = %(person)s",
)


def harm_of(policy_slug: str, harm: str, severity: int) -> str:
    """The harm as it is counted: the policy's word for it, or its own name where it is severe; a
    dash says that it does none."""
    if harm == NO_HARM:
        return ""
    word = slugify(harm, allow_unicode=True)
    return word or (policy_slug if severity >= Severity.HIGH else "")


def own(person: Person) -> Wellbeing:
    """Her settings as they are, or the usual ones. Read once a request, with herself (access)."""
    # By getattr and setattr: a request's person is wrapped.
    found = getattr(person, "_comfort", None)
    if found is None:
        row = getattr(person, "_wellbeing", None)
        if row is None and person.pk and not hasattr(person, "_wellbeing"):
            row = next((row for (row,) in _OWN.rows(person=person.pk)), None)
        found = _from(row) if row else Wellbeing(person_id=person.pk)
        person._comfort = found
    return found


def arrives(person: Person, queues_filters: Iterable[str]) -> list[str]:
    """The filters that content arrives with, for her, where its queue asks for these."""
    wanted, hers = frozenset(queues_filters), own(person).filters
    if not hers:
        return [name for name in FILTERS if name in wanted]
    return [name for name in FILTERS if hers.get(name, "on" if name in wanted else "off") == "on"]


def save_filters(
    person: Person, *, by: Person, filters: Mapping[str, Any], reveal: str, strength: object
) -> Wellbeing:
    """How media arrives for her. `filters`: "on", "off" or "" (as the queue says) by name."""
    access.check_own_business(by, person)
    details: dict[str, list[str]] = {}
    for name, value in filters.items():
        if name not in FILTERS or value not in ("on", "off", ""):
            details.setdefault(f"filter_{name}", []).append(_("Choose one of the three."))
    if reveal not in Wellbeing.Reveal.values:
        details["reveal"] = [_("Choose how content is uncovered.")]
    try:
        number = int(str(strength or 0))
    except ValueError:
        number = -1
    if number != 0 and number not in Strength.values:
        details["strength"] = [_("Choose one of the strengths.")]
    if details:
        raise Invalid(_("Some of this does not work yet. Nothing was saved."), details=details)
    chosen = {name: filters[name] for name in FILTERS if filters.get(name)}
    values = {"filters": chosen, "reveal": reveal, "strength": number or None}
    return save_own(person, **values)


def harms_to_choose(person: Person) -> list[tuple[str, str]]:
    """(harm, its words) of the policies on her platforms, for her to opt out of."""
    return harms_of(access.platform_ids(person))


def harms_of(platform_ids: Collection[int]) -> list[tuple[str, str]]:
    rows = (
        Policy.objects.filter(platform__in=platform_ids, is_archived=False)
        .annotate(
            severity=Subquery(
                PolicyVersion.objects.in_force()
                .filter(policy=OuterRef("pk"))
                .values("severity")[:1]
            )
        )
        .order_by("position", "pk")
    )
    found: dict[str, str] = {}
    for policy in rows:
        harm = harm_of(policy.slug, policy.harm, policy.severity or 0)
        if harm:
            found.setdefault(harm, policy.harm or policy.name)
    return list(found.items())


def save_opt_outs(person: Person, *, by: Person, harms: Collection[str]) -> Wellbeing:
    """What she does not take. No reason is asked for, and nobody is told."""
    access.check_own_business(by, person)
    known = {harm for harm, _label in harms_to_choose(person)}
    kept = [harm for harm in own(person).opt_outs if harm not in known]  # of another platform
    if unknown := sorted(set(harms) - known):
        raise Invalid(
            _("There is no such harm here."), details={"opt_outs": [", ".join(unknown)[:200]]}
        )
    return save_own(person, opt_outs=sorted({*harms, *kept}))


def start_break(person: Person, *, by: Person, minutes: object) -> Wellbeing:
    """From now on nothing is served to her, until it is over. What she holds stays hers as long as
    its lease runs; nobody sees that she is on a break."""
    access.check_own_business(by, person)
    text = str(minutes)
    if not text.isdecimal() or not 1 <= int(text[:4]) <= MOST_BREAK_MINUTES:
        words = _("A break lasts from 1 to %(most)d minutes.") % {"most": MOST_BREAK_MINUTES}
        raise Invalid(words, details={"minutes": [words]})
    until = timezone.now() + timedelta(minutes=int(text))
    return save_own(person, break_until=until, severe_since_break=0)


def end_break(person: Person, *, by: Person) -> Wellbeing:
    access.check_own_business(by, person)
    return save_own(person, break_until=None)


def save_own(person: Person, **values: Any) -> Wellbeing:
    """Write her settings. The trail says that she changed some, and neither which nor to what."""
    with transaction.atomic():
        found, _created = Wellbeing.objects.update_or_create(person=person, defaults=values)
        audit.record("wellbeing.save", person, by=person, platform=None)
    person._comfort = found
    return found


def words(filters: Collection[str]) -> str:
    """["blur", "mute"] → "blurred and muted"; "" for none."""
    texts = {"blur": _("blurred"), "greyscale": _("in grey"), "mute": _("muted")}
    found = [texts[name] for name in FILTERS if name in filters]
    if len(found) < 2:
        return "".join(found)
    return _("%(first)s and %(last)s") % {"first": ", ".join(found[:-1]), "last": found[-1]}


def _from(row: Mapping[str, Any]) -> Wellbeing:
    """From the row as JSON, which knows no times."""
    until = row["break_until"]
    return Wellbeing(
        **{**row, "break_until": datetime.fromisoformat(until) if until is not None else None}
    )
