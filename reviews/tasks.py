"""Celery's doors to the human side's sweeps. Each may run twice, or twice at once, unharmed."""

from celery import shared_task

from . import audit, claims, cluster_work, clusters, enforcement

HASH_SECONDS = 10.0


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
def hash_items() -> int:
    """Near-duplicates: a while of work, then room for others; nudges itself while some is left."""
    done = clusters.hash_due(seconds=HASH_SECONDS)
    if done and clusters.is_any_due():
        clusters.nudge()
    return done


@shared_task
def sweep_hashes() -> int:
    """The guarantee behind the nudges. It hashes nothing itself."""
    if clusters.is_any_due():
        clusters.nudge()
    return 0


@shared_task
def answer_cluster(operation_id: int) -> int:
    return cluster_work.answer_operation(operation_id)


@shared_task
def sweep_cluster_answers() -> int:
    """The guarantee behind the nudges: every operation that is not finished goes on."""
    for operation_id in cluster_work.unfinished():
        cluster_work.nudge(operation_id)
    return 0
