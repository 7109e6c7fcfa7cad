"""Celery's doors to the human side's sweeps. Each may run twice, or twice at once, unharmed."""

from celery import shared_task

from . import audit, claims, enforcement


@shared_task
def expire_claims() -> int:
    return claims.expire_claims()


@shared_task
def lift_overdue() -> int:
    return claims.lift_overdue()


@shared_task
def release_enforcements() -> int:
    return enforcement.release_planned()


@shared_task
def seal_audit() -> int:
    """Chain what has committed, until a batch comes back less than full. What comes in meanwhile
    is the next sweep's: where people never stop deciding, an empty batch never comes, and every
    other sweep would wait behind this one."""
    total = 0
    while True:
        count = audit.seal()
        total += count
        if count < audit.BATCH:
            return total
