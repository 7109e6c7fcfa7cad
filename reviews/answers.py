"""What an answer says, checked against what its queue judges and does: text becomes values."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from django.utils.translation import gettext
from django.utils.translation import gettext as _

from .errors import Invalid
from .models import Action, ItemVersion, Verdict
from .situations import Situation
from .statements import Statement
from .wording import figure

# A mark: the field of the content, its first and behind its last character there, the policy.
SPAN = ("field", "start", "end", "policy")
MOST_SPANS = 100
SETTLING = (Verdict.VIOLATING, Verdict.CLEAN)
_NOTE_LENGTH = 10_000

# What the queue does, in the order of its desk.
_OFFERED = Statement(
    "actions_offered",
    """
SELECT {columns}, offer.is_hidden
FROM reviews_queueaction AS offer JOIN reviews_action ON reviews_action.id = offer.action_id
WHERE offer.queue_id = %(queue)s AND NOT reviews_action.is_archived
  AND (%(has_author)s::boolean OR reviews_action.target <> 'account')
ORDER BY offer.position, reviews_action.position, reviews_action.id
""",
    model=Action,
)


def violated(now: Situation, verdict: str, slugs: Iterable[str]) -> dict[str, int]:
    chosen = list(dict.fromkeys(slugs))
    unknown = [slug for slug in chosen if slug not in now.policies]
    if unknown:
        raise Invalid(
            _("This queue does not judge: %(names)s.") % {"names": ", ".join(unknown)},
            details={"policies": _("not of this queue: %(names)s") % {"names": ", ".join(unknown)}},
        )
    if verdict == Verdict.VIOLATING and not chosen and now.policy_required:
        raise Invalid(
            _("Say which policy it violates."), details={"policies": _("choose at least one")}
        )
    if verdict != Verdict.VIOLATING and chosen:
        raise Invalid(
            _("Only a violating item violates a policy."),
            details={"policies": _("none with the verdict %(verdict)s") % {"verdict": verdict}},
        )
    return {slug: now.policies[slug] for slug in chosen}


def actions(now: Situation, verdict: str, slugs: Collection[str] | None) -> list[Action]:
    if verdict != Verdict.VIOLATING:
        if slugs:
            raise Invalid(
                _("Only a violating item is acted on."),
                details={"actions": _("none with the verdict %(verdict)s") % {"verdict": verdict}},
            )
        return []
    offered = _OFFERED.instances(Action, queue=now.queue_id, has_author=now.account_id is not None)
    if slugs is None:  # the usual one: what stands first on the desk
        return [action for action in offered if not action.is_hidden][:1]
    known = {action.slug: action for action in offered}
    unknown = [slug for slug in slugs if slug not in known]
    if unknown:
        raise Invalid(
            _("This queue cannot do this here: %(names)s.") % {"names": ", ".join(unknown)},
            details={
                "actions": _("not offered for this item: %(names)s") % {"names": ", ".join(unknown)}
            },
        )
    return [known[slug] for slug in dict.fromkeys(slugs)]


def severities(
    now: Situation, violated: Collection[str], given: Mapping[str, object] | None
) -> dict[str, int]:
    """The level of each policy that asks for one; None grades nothing, and none is missed."""
    if given is None:
        return {}
    graded = {}
    for slug in violated:
        most = now.levels.get(slug)
        if most is None:
            continue
        level = given.get(slug)
        if not isinstance(level, int) or not 1 <= level <= most:
            raise Invalid(
                gettext("Say how severe it is: choose one of the levels of %(policy)s.")
                % {"policy": slug},
                details={"severity": f"{slug}: 1 to {most}"},
            )
        graded[slug] = level
    return graded


def spans(
    now: Situation, violated: Collection[str], given: Sequence[Mapping[str, object]]
) -> list[dict[str, object]]:
    """What she marked, in order, held against the text as it stands in the version she answers."""
    if not given:
        return []
    if len(given) > MOST_SPANS:
        raise Invalid(
            gettext("Mark at most %(most)s places.") % {"most": MOST_SPANS},
            details={"spans": gettext("at most %(most)s") % {"most": MOST_SPANS}},
        )
    content = ItemVersion.objects.values_list("content", flat=True).get(pk=now.version_id)
    kept = []
    for span in given:
        field, start, end, policy = (span.get(name) for name in SPAN)
        text = content.get(field) if isinstance(content, dict) and isinstance(field, str) else None
        if policy not in violated:
            raise Invalid(
                gettext("A mark belongs to a policy that you did not choose."),
                details={"spans": gettext("not chosen: %(policy)s") % {"policy": policy}},
            )
        is_whole = all(type(at) is int for at in (start, end))
        if not isinstance(text, str) or not is_whole or not 0 <= start < end <= len(text):
            raise Invalid(
                gettext("A mark does not fit the text. Remove it and mark it again."),
                details={
                    "spans": gettext("not in %(field)s: %(start)s to %(end)s")
                    % {"field": field, "start": start, "end": end}
                },
            )
        kept.append(dict(zip(SPAN, (field, start, end, policy), strict=True)))
    unique = {tuple(span.values()): span for span in kept}
    return [unique[key] for key in sorted(unique)]


def as_verdict(verdict: str) -> str:
    if verdict not in Verdict.values:
        raise Invalid(
            _("Choose a verdict."),
            details={"verdict": _("one of %(names)s") % {"names": ", ".join(Verdict.values)}},
        )
    return str(verdict)


def clean_note(note: str, *, required: bool, escalates: bool = False) -> str:
    # PostgreSQL's text cannot hold a NUL.
    note = note.replace("\x00", "\ufffd").strip()
    if escalates and not note:
        raise Invalid(
            gettext("Say why you escalate it: whoever settles it reads that first."),
            details={"note": gettext("required to escalate")},
        )
    if required and not note:
        raise Invalid(gettext("Say why, in the note."), details={"note": gettext("required here")})
    if len(note) > _NOTE_LENGTH:
        raise Invalid(
            _("The note is too long (%(note)s characters of %(note_length)s).")
            % {"note": figure(len(note)), "note_length": figure(_NOTE_LENGTH)},
            details={
                "note": _("at most %(note_length)s characters")
                % {"note_length": figure(_NOTE_LENGTH)}
            },
        )
    return note


def as_seconds(active_seconds: float) -> float:
    """What the browser counted, made harmless: never negative, NaN, or more than a day."""
    return min(max(active_seconds, 0.0), 86_400.0) if active_seconds == active_seconds else 0.0
