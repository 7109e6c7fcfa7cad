"""Celery's doors to the human side's sweeps. Each may run twice, or twice at once, unharmed."""

from celery import shared_task

from . import audit, claims, dry_run, enforcement, handovers, queues, routing_versions, starts

BUDGET_SECONDS = 20.0  # a task goes on so long, then makes room and asks for the next


@shared_task
def expire_claims() -> int:
    return claims.expire_claims()


@shared_task
def lift_overdue() -> int:
    return claims.lift_overdue()


@shared_task
def hand_on_jobs() -> int:
    starts.forget()
    return handovers.sweep()


@shared_task
def rerank_queues() -> int:
    return queues.rerank()


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


@shared_task
def reroute_jobs() -> int:
    """Nudged by publishing; the sweep behind it is the same call."""
    done = routing_versions.reroute_waiting(seconds=BUDGET_SECONDS)
    if routing_versions.is_reroute_due():
        routing_versions.nudge()
    return done


@shared_task
def run_dry_run(run_id: int) -> None:
    dry_run.run_dry_run(run_id)


@shared_task
def sweep_dry_runs() -> int:
    return dry_run.resume_dry_runs()
