"""A platform's rules as a whole: check, save a draft, publish, put an old version back.

One draft and one published version a platform. Publishing has the waiting jobs routed anew, by
the row (rerouted_at is empty), a nudge and the sweep.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from celery import current_app
from django.db import transaction
from django.db.models import F, Max
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from . import access, audit, conditions, routing, rule_changes
from .catalogue import Fact
from .errors import Conflict, Invalid
from .facts import read_catalogue
from .models import Job, Person, Platform, RoutingVersion
from .placement import ROUTED, again_on_deadlock, rerank_jobs

Rules = list[dict[str, Any]]
Problems = dict[int, dict[str, str]]  # place of a rule → "name", "queue" or a node's path → words

MAX_RULES = 100
MAX_NAME = 80
MAX_NOTE = 300
_STRIDE = 5000  # job ids that are looked at in one transaction
_State = RoutingVersion.State


def find_published(platform: Platform | int) -> RoutingVersion | None:
    return _versions(platform).filter(state=_State.PUBLISHED).first()


def find_draft(platform: Platform | int) -> RoutingVersion | None:
    return _versions(platform).filter(state=_State.DRAFT).first()


def find_history(platform: Platform, *, most: int = 50) -> list[RoutingVersion]:
    """What was ever published, newest first."""
    return list(_versions(platform).exclude(state=_State.DRAFT)[:most])


def find_before(version: RoutingVersion) -> RoutingVersion | None:
    """The one that was in force before it."""
    rows = _versions(version.platform_id).exclude(state=_State.DRAFT)
    return rows.filter(number__lt=version.number).first()


def _versions(platform: Platform | int) -> Any:
    pk = platform if isinstance(platform, int) else platform.pk
    rows = RoutingVersion.objects.filter(platform_id=pk)
    return rows.select_related("published_by", "saved_by", "created_by", "restores")


def check_rules(
    platform: Platform, rules: object, *, catalogue: Mapping[str, Fact] | None = None
) -> tuple[Rules, Problems]:
    """The rules in canonical form, and what is wrong with which. Invalid if they are no list."""
    if not isinstance(rules, list) or not all(isinstance(rule, Mapping) for rule in rules):
        raise Invalid(_("Rules are a list of objects with name, queue, is_active and condition."))
    if len(rules) > MAX_RULES:
        raise Invalid(
            _("At most %(max_rules)s rules; these are %(rules)s.")
            % {"max_rules": MAX_RULES, "rules": len(rules)}
        )
    catalogue = read_catalogue(platform) if catalogue is None else catalogue
    archived = dict(platform.queues.values_list("slug", "is_archived"))
    clean: Rules = []
    problems: Problems = {}
    seen: set[str] = set()
    for place, rule in enumerate(rules):
        wrong: dict[str, str] = {}
        name = " ".join(str(rule.get("name") or "").split())
        if not name:
            wrong["name"] = _("Give the rule a name.")
        elif len(name) > MAX_NAME:
            wrong["name"] = _("At most %(max_name)s characters.") % {"max_name": MAX_NAME}
        elif name in seen:
            wrong["name"] = _("Another rule has this name.")
        seen.add(name)
        queue = str(rule.get("queue") or "")
        if not queue:
            wrong["queue"] = _("Choose a queue.")
        elif queue not in archived:
            wrong["queue"] = _("There is no queue %(queue)s here.") % {"queue": queue}
        elif archived[queue]:
            wrong["queue"] = _("This queue is archived and takes nothing new. Choose another.")
        tree, nodes = conditions.check(rule.get("condition"), catalogue)
        wrong |= nodes
        if not isinstance(rule.get("is_active", True), bool):
            wrong["is_active"] = _("Say true or false.")
        if wrong:
            problems[place] = wrong
        clean.append(
            {
                "name": name,
                "queue": queue,
                "is_active": rule.get("is_active", True),
                "condition": tree,
            }
        )
    return clean, problems


def save_draft(
    platform: Platform, rules: object, *, edition: int, by: Person | None
) -> RoutingVersion:
    """Write the draft; begin one where there is none (edition 0).

    `edition` is the one she had before her: if somebody saved meanwhile this is a Conflict and
    nothing is written. A rule that is wrong is refused; one that was there before and has become
    wrong (its queue was archived) stops nobody from working on the others, only from publishing.
    """
    access.check(by, "routing.edit", platform)
    with transaction.atomic():
        # Numbers have no gaps, so makers queue up; rows that point here are not held up by it.
        Platform.objects.select_for_update(no_key=True).get(pk=platform.pk)
        published = find_published(platform)
        draft = find_draft(platform)
        _check_edition(draft, edition)
        before = draft.rules if draft else published.rules if published else []
        clean, problems = check_rules(platform, rules)
        problems = {
            place: wrong
            for place, wrong in problems.items()
            if clean[place] not in before or "name" in wrong
        }
        if problems:
            raise refusal(clean, problems)
        if draft is None:
            draft = RoutingVersion.objects.create(
                platform=platform,
                number=_next_number(platform),
                rules=clean,
                created_by=by,
                saved_by=by,
            )
        elif draft.rules == clean:
            return draft
        else:
            RoutingVersion.objects.filter(pk=draft.pk).update(
                rules=clean, edition=F("edition") + 1, saved_by=by, saved_at=Now()
            )
        draft.refresh_from_db()
        audit.record(
            "routing.save",
            draft,
            by=by,
            platform=platform,
            number=draft.number,
            edition=draft.edition,
            changed=_names(before, clean),
        )
    return draft


def discard_draft(draft: RoutingVersion, *, edition: int, by: Person | None) -> None:
    """The draft and its dry runs go; the audit keeps what it held."""
    access.check(by, "routing.edit", draft.platform_id)
    with transaction.atomic():
        found = RoutingVersion.objects.select_for_update().filter(pk=draft.pk, state=_State.DRAFT)
        _check_edition(found.first(), edition)
        audit.record(
            "routing.discard",
            draft,
            by=by,
            platform=draft.platform_id,
            number=draft.number,
            rules=draft.rules,
        )
        draft.delete()


def put_back(version: RoutingVersion, *, by: Person | None) -> RoutingVersion:
    """A draft with the rules of an older version, through the checks that hold today."""
    access.check(by, "routing.edit", version.platform_id)
    platform = version.platform
    if version.state != _State.RETIRED:
        raise Conflict(_("Only a version that is no longer in force can be put back."))
    with transaction.atomic():
        Platform.objects.select_for_update(no_key=True).get(pk=platform.pk)
        if find_draft(platform) is not None:
            raise Conflict(_("There is a draft already. Publish or discard it first."))
        clean, problems = check_rules(platform, version.rules)
        if problems:
            raise refusal(clean, problems)
        draft = RoutingVersion.objects.create(
            platform=platform,
            number=_next_number(platform),
            rules=clean,
            restores=version,
            created_by=by,
            saved_by=by,
        )
        draft.refresh_from_db()
        audit.record(
            "routing.restore",
            draft,
            by=by,
            platform=platform,
            number=draft.number,
            restores=version.number,
        )
    return draft


def publish(
    draft: RoutingVersion, *, edition: int, by: Person | None, note: str = ""
) -> RoutingVersion:
    """From now on these rules decide; what waits is routed anew in a task."""
    access.check(by, "routing.edit", draft.platform_id)
    note = " ".join(note.split())
    if len(note) > MAX_NOTE:
        raise Invalid(
            _("The note has at most %(max_note)s characters.") % {"max_note": MAX_NOTE},
            details={
                "note": [
                    _("At most %(max_note)s characters; these are %(note)s.")
                    % {"max_note": MAX_NOTE, "note": len(note)}
                ]
            },
        )
    with transaction.atomic():
        routing.hold_publishing(draft.platform_id, to_publish=True)
        found = (
            RoutingVersion.objects.select_for_update(of=("self",))
            .select_related("platform")
            .filter(pk=draft.pk, state=_State.DRAFT)
            .first()
        )
        _check_edition(found, edition)
        clean, problems = check_rules(found.platform, found.rules)
        if problems:
            raise refusal(clean, problems)
        last = find_published(found.platform_id)
        before = last.rules if last else []
        if before == found.rules and last is not None:
            raise Invalid(_("These rules are the published ones. Change something first."))
        if last is not None:
            RoutingVersion.objects.filter(pk=last.pk).update(state=_State.RETIRED)
        RoutingVersion.objects.filter(pk=found.pk).update(
            state=_State.PUBLISHED, note=note, published_by=by, published_at=Now()
        )
        found.refresh_from_db()
        audit.record(
            "routing.publish",
            found,
            by=by,
            platform=found.platform_id,
            number=found.number,
            changed=_names(before, found.rules),
            **({"restores": found.restores.number} if found.restores else {}),
            **({"note": note} if note else {}),
        )
        transaction.on_commit(nudge, robust=True)
    return found


def nudge() -> None:
    current_app.send_task("reviews.tasks.reroute_jobs")


def reroute_waiting(*, seconds: float) -> int:
    """Route what waits by rules published since; returns how many jobs were looked at.

    In the order of their ids, some thousand a transaction; where it stopped stands in the row, so
    that anybody may go on. Jobs that somebody holds stay where they are.
    """
    until = time.monotonic() + seconds
    looked_at = 0
    for pk, platform_id in list(_to_reroute().values_list("pk", "platform_id")):
        while time.monotonic() < until:
            count = again_on_deadlock(lambda pk=pk, on=platform_id: _reroute_some(pk, on))
            if count is None:
                break
            looked_at += count
    return looked_at


def is_reroute_due() -> bool:
    return _to_reroute().exists()


def _to_reroute() -> Any:
    return RoutingVersion.objects.filter(state=_State.PUBLISHED, rerouted_at=None)


def _reroute_some(version_id: int, platform_id: int) -> int | None:
    """The next stretch of job ids; None if there is nothing to do, or another is at it."""
    # In this order, as publish() takes them.
    routing.hold_publishing(platform_id)
    version = (
        RoutingVersion.objects.select_for_update(skip_locked=True)
        .filter(pk=version_id, state=_State.PUBLISHED, rerouted_at=None)
        .first()
    )
    if version is None:
        return None
    last = Job.objects.aggregate(Max("pk"))["pk__max"] or 0
    through = min(version.rerouted_through + _STRIDE, last)
    jobs = Job.objects.ready().filter(
        pk__gt=version.rerouted_through,
        pk__lte=through,
        queue__platform_id=platform_id,
        lane__in=ROUTED,
    )
    item_ids = set(jobs.values_list("item_id", flat=True))
    if item_ids:
        rerank_jobs(item_ids, router=routing.Router(platform_id))
    version.rerouted_through = max(through, version.rerouted_through)
    if through >= last:
        version.rerouted_at = Now()
    version.save(update_fields=["rerouted_through", "rerouted_at"])
    return len(item_ids)


def refusal(rules: Sequence[Mapping[str, Any]], problems: Problems) -> Invalid:
    """In words which rules are wrong; `details["rules"]` says where in them."""
    first = min(problems)
    name = rules[first]["name"] or _("number %(number)s") % {"number": first + 1}
    words = next(iter(problems[first].values()))
    others = len(problems) - 1
    more = (
        ngettext(" One more is wrong too.", " %(count)s more are wrong too.", others)
        % {"count": others}
        if others
        else ""
    )
    return Invalid(
        _("Rule “%(name)s”: %(words)s%(more)s") % {"name": name, "words": words, "more": more},
        details={"rules": problems},
    )


def _check_edition(draft: RoutingVersion | None, edition: int) -> None:
    if draft is None:
        if edition:
            raise Conflict(_("The draft was published or discarded after you opened it."))
        return
    if draft.edition != edition:
        who = draft.saved_by.username if draft.saved_by else _("The system")
        at = f"{timezone.localtime(draft.saved_at):%H:%M}"
        raise Conflict(
            _("%(who)s saved this draft at %(at)s, after you opened it.") % {"who": who, "at": at}
        )


def _next_number(platform: Platform) -> int:
    newest = RoutingVersion.objects.filter(platform=platform).aggregate(Max("number"))
    return (newest["number__max"] or 0) + 1


def _names(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[str]:
    """ "added Likely spam", for the audit."""
    return [f"{change.sort} {change.name}" for change in rule_changes.compare_rules(before, after)]
