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
    """Chain what has committed, a batch at a time, until nothing is left."""
    total = 0
    while count := audit.seal():
        total += count
    return total


@shared_task
def run_replay(replay_run_id: int) -> None:
    # Simulation and its libraries are loaded by the worker that runs one, not by the web.
    from . import replays

    replays.run(replay_run_id)


@shared_task
def sweep_replays() -> int:
    from . import replays

    return replays.resume_stuck()
