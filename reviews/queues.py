"""What a lead sets on a queue: read as a whole, checked as a whole, saved as one revision.

A queue's state is `data`: by the slugs, names and units people use, as a revision keeps it and its
form takes it. So a form's save and the putting back of an old state are the same call.
"""

import logging
import re
import secrets
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from . import access, claims, desk, lanes, reranking, revisions
from .errors import Conflict, Invalid
from .models import (
    Action,
    ItemKind,
    Job,
    Lane,
    Person,
    Platform,
    Policy,
    Queue,
    QueueAction,
    Report,
    Revision,
    RoutingVersion,
)
from .routing import hold_publishing

logger = logging.getLogger(__name__)

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
        "I do not read this language",
        "Too upsetting for me now",
        "I know the author",
        "It needs special knowledge",
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
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{1,39}")
_KEY = re.compile(r"[a-z0-9]")


class _Parts(NamedTuple):
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


def create_queue(
    platform: Platform, slug: str, data: Data, *, by: Person | None, note: str = ""
) -> Queue:
    """A queue with all its settings; `slug` is its address and stays."""
    access.check(by, "queue.edit", platform)
    data = {**NEW, **data, "is_archived": False}
    if data["members"]:
        access.check(by, "queue.staff", platform)
    with transaction.atomic():
        _lock(platform.pk)
        details = _slug_refusals(platform, slug, by)
        queue = Queue(platform=platform, slug=slug, draw_seed=secrets.randbelow(2**31))
        parts = check(queue, data, more=details)
        if not platform.queues.filter(is_default=True).exists():
            data["is_default"] = True  # a default always exists
        if data["is_default"]:
            _move_default(platform, to=None, by=by)
        try:
            with transaction.atomic():
                _apply(queue, data, parts)
        except IntegrityError:
            raise Conflict(_("There is a queue %(slug)s already.") % {"slug": slug}) from None
        reranking.keep_settings(queue)
        revisions.record(queue, read(queue), by=by, platform=platform, note=note)
    return queue


def save_queue(
    queue: Queue,
    data: Data,
    *,
    by: Person | None,
    seen: int | None = None,
    note: str = "",
    restores: Revision | None = None,
) -> Queue:
    """The queue as `data` says, whole. `seen` is the revision she started from (None: whichever).

    What it ranks by has changed: the jobs that wait are ranked again within seconds (reranking.py).
    """
    access.check(by, "queue.edit", queue.platform_id)
    with transaction.atomic():
        queue = _locked(queue)
        if queue.is_archived:
            raise Conflict(_("%(name)s is archived. Bring it back first.") % {"name": queue.name})
        revisions.check_seen(queue, seen)
        before = read(queue)
        data = {**before, **data, "is_archived": False}
        if restores is not None:
            data["is_default"] = before["is_default"]
        leaving = set(before["members"]) - set(data["members"])
        if set(before["members"]) != set(data["members"]):
            access.check(by, "queue.staff", queue.platform_id)
        parts = check(queue, data)
        revisions.keep_first(queue, before, platform=queue.platform_id)
        reranking.keep_settings(queue)
        if data["is_default"] and not before["is_default"]:
            _move_default(queue.platform, to=queue, by=by)
        _apply(queue, data, parts)
        after = read(queue)
        for person in Person.objects.filter(username__in=leaving):
            _send_off(person, queue, by=by)
        revisions.record(
            queue, after, by=by, platform=queue.platform_id, note=note, restores=restores
        )
    return queue


def put_back(queue: Queue, number: int, *, by: Person | None, seen: int | None = None) -> Queue:
    """The state that revision `number` kept, through the same checks as any other save.

    Which queue is the default, and whether this one is archived, is not taken from the past.
    """
    access.check(by, "queue.edit", queue.platform_id)
    revision = revisions.get(queue, number)
    try:
        return save_queue(queue, revision.data, by=by, seen=seen, restores=revision)
    except Invalid as error:
        reasons = " ".join(dict.fromkeys(sum(error.details.values(), [])))
        raise Invalid(
            _("Revision %(number)s cannot be put back as it is: %(reasons)s")
            % {"number": number, "reasons": reasons},
            details=error.details,
        ) from None


def archive_queue(queue: Queue, *, by: Person | None, seen: int | None = None) -> Queue:
    """It takes nothing new and is worked no more; what waits in it moves on by the rules."""
    access.check(by, "queue.edit", queue.platform_id)
    with transaction.atomic():
        queue = _locked(queue)
        if queue.is_archived:
            return queue
        revisions.check_seen(queue, seen)
        if queue.is_default:
            raise Conflict(
                _(
                    "%(name)s is the default queue: it takes what no rule routes. Make another "
                    "queue the default first."
                )
                % {"name": queue.name}
            )
        hold_publishing(queue.platform_id)
        if rules := _rules_to(queue):
            raise Conflict(
                _("Routing sends items to %(name)s (%(names)s). Change the routing first.")
                % {"name": queue.name, "names": ", ".join(rules)}
            )
        revisions.keep_first(queue, read(queue), platform=queue.platform_id)
        reranking.keep_settings(queue)
        Job.objects.ready().filter(queue=queue, assigned_to__isnull=False).update(assigned_to=None)
        queue.is_archived = True
        queue.save(update_fields=["is_archived"])
        revisions.record(queue, read(queue), by=by, platform=queue.platform_id)
    return queue


def _rules_to(queue: Queue) -> list[str]:
    """Names of the published rules that send items there."""
    published = RoutingVersion.objects.filter(
        platform=queue.platform_id, state=RoutingVersion.State.PUBLISHED
    ).first()
    rules = published.rules if published else []
    return [rule["name"] for rule in rules if rule["queue"] == queue.slug and rule["is_active"]]


def unarchive_queue(queue: Queue, *, by: Person | None, seen: int | None = None) -> Queue:
    """It is worked again, as it was. What was moved elsewhere stays there until routed anew."""
    access.check(by, "queue.edit", queue.platform_id)
    with transaction.atomic():
        queue = _locked(queue)
        if not queue.is_archived:
            return queue
        revisions.check_seen(queue, seen)
        queue.is_archived = False
        queue.save(update_fields=["is_archived"])
        revisions.record(queue, read(queue), by=by, platform=queue.platform_id)
    return queue


def staff(
    person: Person,
    platform: Platform,
    slugs: Collection[str],
    *,
    by: Person | None,
    is_leaving: bool = False,
) -> None:
    """She works these queues of the platform and no others; a revision of each that changes.

    A queue that wants several independent reviews keeps as many people, unless she `is_leaving`.
    """
    access.check(by, "queue.staff", platform)
    with transaction.atomic():
        rows = {queue.slug: queue for queue in _lock(platform.pk)}
        wrong = sorted(slug for slug in slugs if slug not in rows or rows[slug].is_archived)
        if wrong:
            raise Invalid(
                _("Not a queue one can work: %(names)s.") % {"names": ", ".join(wrong)},
                details={
                    "queues": [
                        _("Not a queue one can work: %(names)s.") % {"names": ", ".join(wrong)}
                    ]
                },
            )
        if slugs and not may_work(platform).filter(pk=person.pk).exists():
            message = _("%(username)s has no role that reviews. Give her one first.") % {
                "username": person.username
            }
            raise Invalid(message, details={"queues": [message]})
        works = set(person.queues.filter(platform=platform).values_list("slug", flat=True))
        for slug in sorted(works ^ set(slugs)):
            queue = rows[slug]
            before = read(queue)
            revisions.keep_first(queue, before, platform=platform)
            if slug in slugs:
                queue.members.add(person)
                note = f"{person.username} works it now."
            else:
                if not is_leaving and queue.reviews_wanted > max(len(before["members"]) - 1, 1):
                    message = _(
                        "%(name)s wants %(reviews_wanted)s independent reviews, so as many "
                        "people must work it. Lower that first, or add somebody."
                    ) % {"name": queue.name, "reviews_wanted": queue.reviews_wanted}
                    raise Invalid(message, details={"queues": [message]})
                queue.members.remove(person)
                _send_off(person, queue, by=by)
                note = f"{person.username} no longer works it."
            revisions.record(queue, read(queue), by=by, platform=platform, note=note)


def may_work(platform: Platform | int) -> QuerySet[Person]:
    """Who could be put into a queue: on the platform, active, with a role that may claim."""
    roles = access.GRANTS["job.claim"].roles
    return Person.objects.filter(
        Exists(Person.groups.through.objects.filter(person=OuterRef("pk"), group__name__in=roles)),
        platforms=platform,
        is_active=True,
    ).order_by("username")


def check(queue: Queue, data: Data, *, more: Mapping[str, list[str]] | None = None) -> _Parts:
    """Is the whole right? Raises Invalid: {field: [what is wrong]}, "field.name" within a field."""
    wrong: dict[str, list[str]] = {name: list(texts) for name, texts in (more or {}).items()}

    def refuse(name: str, text: str) -> None:
        wrong.setdefault(name, []).append(text)

    platform = queue.platform
    _check_words(queue, data, refuse)
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
    if wrong:
        raise Invalid(_("Some of this does not work yet. Nothing was saved."), details=wrong)
    return _Parts(policies, kinds, actions, members)


def _lock(platform_id: int) -> list[Queue]:
    """All queues of the platform: the default, keys and names are matters between them. Intake
    goes on (it needs their keys only)."""
    rows = Queue.objects.filter(platform=platform_id).select_related("platform").order_by("pk")
    return list(rows.select_for_update(of=("self",), no_key=True))


def _locked(queue: Queue) -> Queue:
    return next(row for row in _lock(queue.platform_id) if row.pk == queue.pk)


def _slug_refusals(platform: Platform, slug: str, by: Person | None) -> dict[str, list[str]]:
    """Free on all her platforms: the address of a page names no platform."""
    mine = {platform.pk} | (access.platform_ids(by) if by is not None else set())
    if not _SLUG.fullmatch(slug):
        return {
            "slug": [_("Use 2 to 40 small letters, digits and hyphens, a letter or digit first.")]
        }
    if slug == "new":
        return {"slug": [_("“new” is the address of the page for new queues. Choose another.")]}
    if Queue.objects.filter(platform__in=mine, slug=slug).exists():
        return {"slug": [_("Another queue has this address. It may be an archived one.")]}
    return {}


def _check_words(queue: Queue, data: Data, refuse) -> None:
    name = data["name"].strip()
    if not name or len(name) > 80:
        refuse("name", _("Give a name of 1 to 80 characters."))
    others = queue.platform.queues.exclude(pk=queue.pk).filter(is_archived=False)
    if name and others.filter(name__iexact=name).exists():
        refuse("name", _("Another queue has this name."))
    if len(data["description"]) > 300:
        refuse("description", _("At most 300 characters."))
    for field in ("name", "description"):
        if "\x00" in data[field]:
            refuse(field, _("There is a character in it that cannot be stored."))


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


def _find(rows: QuerySet, slugs: list[str], field: str, refuse) -> list:
    """The rows of these slugs; what is gone or archived is named."""
    found = {row.slug: row for row in rows.filter(slug__in=slugs)}
    for slug in slugs:
        if slug not in found:
            refuse(field, _GONE[field] % {"slug": slug})
        elif found[slug].is_archived:
            refuse(field, _ARCHIVED[field] % {"name": found[slug].name})
    return list(found.values())


def _check_members(platform: Platform, data: Data, refuse) -> list[Person]:
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
            f"{wanted} independent reviews take at least {wanted} people in the queue; there "
            f"{'is' if len(names) == 1 else 'are'} {len(names) or 'none'}.",
        )
    return members


def _check_keys(data: Data, policies: list[Policy], actions: list[Action], refuse) -> None:
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
        if own and not _KEY.fullmatch(own.lower()):
            refuse(field, _("A key is one letter from a to z or one digit."))
        elif key and action.slug not in hidden:
            if key in meanings:
                refuse(
                    field,
                    _("%(key)s is the key of %(key2)s already.")
                    % {"key": key.upper(), "key2": meanings[key]},
                )
            meanings.setdefault(key, action.name)


def _check_times(data: Data, refuse) -> None:
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


def _check_skip_reasons(data: Data, refuse) -> None:
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


def _check_canned_notes(data: Data, refuse) -> None:
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


def _check_shares(data: Data, refuse) -> None:
    """What claims can keep is lanes.py's to say; people write it in percent."""
    try:
        lanes.check_shares({lane: share / 100 for lane, share in data["lane_shares"].items()})
    except Invalid as error:
        for lane, message in error.details.items():
            refuse("lane_shares" if lane == Lane.RISK else f"lane_shares.{lane}", message)


def _apply(queue: Queue, data: Data, parts: _Parts) -> None:
    queue.name = data["name"].strip()
    queue.description = data["description"].strip()
    queue.lease_seconds = round(data["lease_minutes"] * 60)
    queue.report_weight = data["report_percent"] / 100
    queue.lane_shares = {lane: share / 100 for lane, share in data["lane_shares"].items()}
    for rate in ("random", "learning", "qa"):
        setattr(queue, f"{rate}_rate", data[f"{rate}_percent"] / 100)
    for name in (
        "position",
        "is_default",
        "policy_required",
        "note_required",
        "takes_escalations",
        "skip_reasons",
        "canned_notes",
        "reviews_wanted",
        "blind",
        "filters",
        "page_size",
        "undo_seconds",
        "sla_minutes",
        "sla_by_source",
        "soon_minutes",
        "handling_minutes",
        "doubling_hours",
    ):
        setattr(queue, name, data[name])
    queue.save()
    queue.policies.set(parts.policies)
    queue.kinds.set(parts.kinds)
    queue.members.set(parts.members)
    queue.offers.all().delete()
    QueueAction.objects.bulk_create(
        QueueAction(
            queue=queue,
            action=action,
            key=data["action_keys"].get(action.slug, "").lower(),
            is_hidden=action.slug in data["hidden_actions"],
            position=place,
        )
        for place, action in enumerate(parts.actions)
    )


def _move_default(platform: Platform, *, to: Queue | None, by: Person | None) -> None:
    """Take the flag from the queue that has it; what it held by default is routed again."""
    for other in platform.queues.filter(is_default=True):
        if to is not None and other.pk == to.pk:
            continue
        revisions.keep_first(other, read(other), platform=platform)
        reranking.keep_settings(other)
        other.is_default = False
        other.save(update_fields=["is_default"])
        note = "Another queue is the default now."
        revisions.record(other, read(other), by=by, platform=platform, note=note)


def _send_off(person: Person, queue: Queue, *, by: Person | None) -> None:
    claims.take_back(
        person,
        by=by,
        platform_id=queue.platform_id,
        queues=[queue.pk],
        reason=f"No longer works {queue.name}."[:200],
    )


def plain(number: float) -> float:
    """0.1 × 100 is 10, and reads so: whole numbers as whole, no dust of binary fractions."""
    rounded = round(number, 6)
    return int(rounded) if rounded == int(rounded) else rounded
