"""From candidate to champion: proposed by one, held against the gates, approved by another.

And back: a rollback is one person's, one step, and asks no gate.
"""

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from reviews import access, audit
from reviews.errors import Conflict, Forbidden, Invalid
from reviews.models import Person, Platform

from . import due, evidence, gates, registry
from .models import ModelVersion, Promotion

State = ModelVersion.State


def propose(model_version: ModelVersion, *, by: Person | None, reason: str) -> Promotion:
    """Ask for a model version to become the champion. Somebody else approves it."""
    platform = model_version.platform
    access.check(by, "model.propose", platform)
    reason = " ".join(reason.split())
    if not reason:
        raise Invalid(_("Say why."), details={"reason": _("Whoever approves it needs a reason.")})
    if len(reason) > 300:
        raise Invalid(
            _("The reason is too long."), details={"reason": _("At most 300 characters.")}
        )
    registry.verify(model_version)
    with transaction.atomic():
        registry.lock(platform)
        model_version.refresh_from_db(fields=["state"])
        if model_version.state == State.CHAMPION:
            raise Conflict(_("%(label)s is the champion already.") % {"label": model_version.label})
        try:
            with transaction.atomic():
                promotion = Promotion.objects.create(
                    model_version=model_version,
                    previous=registry.champion(platform),
                    proposed_by=by,
                    reason=reason,
                )
        except IntegrityError as error:
            raise Conflict(
                _("%(label)s is proposed already.") % {"label": model_version.label}
            ) from error
        audit.record(
            "model.propose",
            model_version,
            by=by,
            platform=platform,
            label=model_version.label,
            promotion=promotion.pk,
            reason=reason,
        )
    return promotion


def approve(promotion: Promotion, *, by: Person | None) -> ModelVersion:
    """Make it the champion, and everything that waits for a reviewer due again.

    Conflict where its evidence is missing or a gate fails that nobody waived. What the gates said
    stays with the promotion.
    """
    model_version = promotion.model_version
    platform = model_version.platform
    access.check(by, "model.approve", platform)
    if by is not None and by.pk == promotion.proposed_by_id:
        raise Forbidden(_("You proposed this promotion, so somebody else has to approve it."))
    registry.verify(model_version)
    with transaction.atomic():
        registry.lock(platform)
        open_still = Promotion.objects.filter(pk=promotion.pk, approved_at=None, withdrawn_at=None)
        if not open_still.exists():
            raise Conflict(_("This promotion was approved or withdrawn meanwhile."))
        previous = registry.champion(platform)
        if previous is not None and previous.pk == model_version.pk:
            raise Conflict(_("%(label)s is the champion already.") % {"label": model_version.label})
        found = evidence.outcomes(evidence.valid(model_version, previous))
        promotion.refresh_from_db(fields=["waiver"])
        failed = [one for one in found if one.verdict == gates.FAIL]
        if failed and not promotion.waiver:
            raise Conflict(
                _("%(label)s does not pass: %(gates)s. Its page has the figures.")
                % {
                    "label": model_version.label,
                    "gates": ", ".join(f"{one.policy}/{one.gate}" for one in failed),
                }
            )
        open_still.update(
            approved_at=Now(),
            approved_by=by,
            previous=previous,
            gates=[one._asdict() for one in found],
        )
        registry.crown(model_version, instead_of=previous)
        audit.record(
            "model.approve",
            model_version,
            by=by,
            platform=platform,
            label=model_version.label,
            promotion=promotion.pk,
            previous=previous.label if previous else None,
            failed=[f"{one.policy}/{one.gate}" for one in failed],
            waiver=promotion.waiver,
            rescored=due.mark_open_items(platform),
        )
    promotion.refresh_from_db()
    return model_version


def waive(promotion: Promotion, *, by: Person | None, reason: str) -> Promotion:
    """Let it pass although a gate fails: a policy owner's word, never the proposer's own."""
    model_version = promotion.model_version
    access.check(by, "gate.waive", model_version.platform)
    if by is not None and by.pk == promotion.proposed_by_id:
        raise Forbidden(_("You proposed this promotion, so somebody else has to waive its gates."))
    reason = " ".join(reason.split())
    if not reason or len(reason) > 300:
        raise Invalid(
            _("Say why."),
            details={"waiver": _("Why it may pass all the same, in at most 300 characters.")},
        )
    with transaction.atomic():
        taken = Promotion.objects.filter(
            pk=promotion.pk, approved_at=None, withdrawn_at=None
        ).update(waiver=reason, waived_by=by)
        if not taken:
            raise Conflict(_("This promotion was approved or withdrawn meanwhile."))
        audit.record(
            "gate.waive",
            model_version,
            by=by,
            platform=model_version.platform,
            label=model_version.label,
            promotion=promotion.pk,
            reason=reason,
        )
    promotion.refresh_from_db()
    return promotion


def withdraw(promotion: Promotion, *, by: Person | None) -> Promotion:
    """Take an open proposal back."""
    model_version = promotion.model_version
    access.check(by, "model.propose", model_version.platform)
    with transaction.atomic():
        taken = Promotion.objects.filter(
            pk=promotion.pk, approved_at=None, withdrawn_at=None
        ).update(withdrawn_at=Now())
        if not taken:
            raise Conflict(_("This promotion was approved or withdrawn meanwhile."))
        audit.record(
            "model.withdraw",
            model_version,
            by=by,
            platform=model_version.platform,
            label=model_version.label,
            promotion=promotion.pk,
        )
    promotion.refresh_from_db()
    return promotion


def roll_back(platform: Platform, *, by: Person | None) -> ModelVersion:
    """One person, one step: the champion before this one is the champion again."""
    access.check(by, "model.roll_back", platform)
    with transaction.atomic():
        registry.lock(platform)
        current = registry.champion(platform)
        promotion = last_promotion(current)
        if current is None or promotion is None or promotion.previous is None:
            raise Conflict(_("There is no earlier champion to go back to."))
        previous = promotion.previous
        registry.verify(previous)
        Promotion.objects.filter(pk=promotion.pk).update(rolled_back_at=Now())
        registry.crown(previous, instead_of=current)
        audit.record(
            "model.roll_back",
            previous,
            by=by,
            platform=platform,
            label=previous.label,
            promotion=promotion.pk,
            instead_of=current.label,
            rescored=due.mark_open_items(platform),
        )
    return previous


def last_promotion(model_version: ModelVersion | None) -> Promotion | None:
    """The promotion that made this version champion and still stands."""
    if model_version is None:
        return None
    standing = model_version.promotions.filter(approved_at__isnull=False, rolled_back_at=None)
    return standing.select_related("previous__platform").order_by("-approved_at", "-id").first()
