"""Celery's doors to the human side's sweeps. Each may run twice, or twice at once, unharmed."""

from celery import shared_task

from . import audit, claims, draws, enforcement, placement, reporters


@shared_task
def expire_claims() -> int:
    return claims.expire_claims()


@shared_task
def lift_overdue() -> int:
    return claims.lift_overdue()


@shared_task
def refresh_reporters() -> int:
    return reporters.refresh_reporters()


@shared_task
def rerank_changed() -> int:
    return placement.rerank_changed()


@shared_task
def draw_for_quality() -> int:
    return draws.draw_for_quality()


@shared_task
def release_enforcements() -> int:
    return enforcement.release_planned()


@shared_task
def seal_audit() -> int:
    """Chain what has committed, a batch at a time, until nothing is left."""
    total = 0
    while count := audit.seal():
        total += count
    return total
