"""What an answer says, checked against what its queue judges and does: text becomes values."""

from collections.abc import Collection, Iterable

from django.utils.translation import gettext

from .errors import Invalid
from .models import Action, QueueAction, Verdict
from .situations import Situation

SETTLING = (Verdict.VIOLATING, Verdict.CLEAN)
_NOTE_LENGTH = 10_000


def violated(now: Situation, verdict: str, slugs: Iterable[str]) -> dict[str, int]:
    chosen = list(dict.fromkeys(slugs))
    unknown = [slug for slug in chosen if slug not in now.policies]
    if unknown:
        raise Invalid(
            f"This queue does not judge: {', '.join(unknown)}.",
            details={"policies": f"not of this queue: {', '.join(unknown)}"},
        )
    if verdict == Verdict.VIOLATING and not chosen and now.policy_required:
        raise Invalid("Say which policy it violates.", details={"policies": "choose at least one"})
    if verdict != Verdict.VIOLATING and chosen:
        raise Invalid(
            "Only a violating item violates a policy.",
            details={"policies": f"none with the verdict {verdict}"},
        )
    return {slug: now.policies[slug] for slug in chosen}


def actions(now: Situation, verdict: str, slugs: Collection[str] | None) -> list[Action]:
    if verdict != Verdict.VIOLATING:
        if slugs:
            raise Invalid(
                "Only a violating item is acted on.",
                details={"actions": f"none with the verdict {verdict}"},
            )
        return []
    offers = QueueAction.objects.filter(queue=now.queue_id, action__is_archived=False)
    if now.account_id is None:
        offers = offers.exclude(action__target=Action.Target.ACCOUNT)
    offers = offers.select_related("action").order_by("position", "action__position", "action_id")
    if slugs is None:  # the usual one: what stands first on the desk
        return [offer.action for offer in offers if not offer.is_hidden][:1]
    offered = {offer.action.slug: offer.action for offer in offers}
    unknown = [slug for slug in slugs if slug not in offered]
    if unknown:
        raise Invalid(
            f"This queue cannot do this here: {', '.join(unknown)}.",
            details={"actions": f"not offered for this item: {', '.join(unknown)}"},
        )
    return [offered[slug] for slug in dict.fromkeys(slugs)]


def as_verdict(verdict: str) -> str:
    if verdict not in Verdict.values:
        raise Invalid(
            "Choose a verdict.", details={"verdict": f"one of {', '.join(Verdict.values)}"}
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
            f"The note is too long ({len(note):,} characters of {_NOTE_LENGTH:,}).",
            details={"note": f"at most {_NOTE_LENGTH:,} characters"},
        )
    return note


def as_seconds(active_seconds: float) -> float:
    """What the browser counted, made harmless: never negative, NaN, or more than a day."""
    return min(max(active_seconds, 0.0), 86_400.0) if active_seconds == active_seconds else 0.0
