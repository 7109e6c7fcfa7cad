"""Every Celery task, run twice: the second run finds nothing left to do."""

from datetime import timedelta

import pytest
from django.db.models import F

from reviews import audit, claims, decisions
from reviews.models import AuditEntry, Claim, Enforcement, Job, Strike
from reviews.tasks import expire_claims, lift_overdue, release_enforcements, seal_audit
from trustconsole.celery import app

from .factories import (
    claimed_job,
    make_account,
    make_action,
    make_item,
    make_job,
    make_platform,
    make_policy,
    make_queue,
)
from .people import make_person

pytestmark = pytest.mark.django_db

# Where each task is run twice. A task that stands nowhere here has not been shown to be harmless.
SHOWN_HERE = {
    "reviews.tasks.expire_claims",
    "reviews.tasks.lift_overdue",
    "reviews.tasks.release_enforcements",
    "reviews.tasks.seal_audit",
}
SHOWN_ELSEWHERE: dict[str, str] = {}


def test_every_task_is_shown_to_be_harmless_twice():
    app.loader.import_default_modules()
    ours = {name for name in app.tasks if not name.startswith("celery.")}
    assert ours == SHOWN_HERE | set(SHOWN_ELSEWHERE)


def twice(task, look):
    """What `look` sees after the first run and after the second."""
    first = task.apply(throw=True).get()
    seen = look()
    second = task.apply(throw=True).get()
    assert (first, second) == (1, 0)
    assert look() == seen
    return seen


def test_a_claim_expires_once():
    job = claimed_job(make_person("rosa"))
    Job.objects.filter(pk=job.pk).update(expires_at=F("claimed_at"))
    assert twice(expire_claims, lambda: list(Claim.objects.values_list("end"))) == [("expired",)]


def test_an_overdue_job_is_lifted_once():
    make_job(due_at=claims.clock() - timedelta(minutes=1), rank=5)
    assert twice(lift_overdue, lambda: Job.objects.get().rank) == 1e6 + 5


def test_an_enforcement_is_due_and_strikes_once():
    platform = make_platform()
    rosa = make_person("rosa", platform=platform)
    queue = make_queue(
        platform=platform,
        policies=[make_policy(platform=platform, slug="spam")],
        actions=[make_action(platform=platform, is_strike=True)],
        undo_seconds=0,
    )
    item = make_item(platform=platform, account=make_account(platform=platform))
    job = claimed_job(rosa, queue=queue, item=item)
    decisions.record_review(
        job.pk, job.claim_token, by=rosa, verdict="violating", policy_slugs=["spam"]
    )

    def look():
        states = list(Enforcement.objects.values_list("state", flat=True))
        return states, Strike.objects.count(), AuditEntry.objects.count()

    assert twice(release_enforcements, look) == (["due"], 1, 2)


def test_an_audit_entry_is_sealed_once():
    platform = make_platform()
    audit.record("item.submit", platform, by=None, platform=platform)
    assert twice(seal_audit, lambda: AuditEntry.objects.get().hash)
    assert audit.verify() == (1, 0, None)
