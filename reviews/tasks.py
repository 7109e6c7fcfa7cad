"""Celery's doors to the human side's sweeps. Each may run twice, or twice at once, unharmed."""

from celery import shared_task

from . import (
    audit,
    claims,
    cluster_work,
    clusters,
    consultations,
    draws,
    dry_run,
    enforcement,
    exposures,
    handovers,
    known,
    media,
    media_work,
    notifications,
    reporters,
    reranking,
    routing_versions,
    search_entries,
    starts,
)

BUDGET_SECONDS = 20.0  # a task goes on so long, then makes room and asks for the next
HASH_SECONDS = 10.0
INDEX_SECONDS = 10.0


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
def prune_exposures() -> int:
    return exposures.prune()


@shared_task
def rerank_queues() -> int:
    return reranking.rerank_queues()


@shared_task
def refresh_reporters() -> int:
    return reporters.refresh_reporters()


@shared_task
def draw_for_quality() -> int:
    return draws.draw_for_quality()


@shared_task
def release_enforcements() -> int:
    return enforcement.release_planned()


@shared_task
def let_consultations_go() -> int:
    return consultations.sweep()


@shared_task
def prune_notifications() -> int:
    return notifications.prune()


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


@shared_task
def run_replay(replay_run_id: int) -> None:
    # Simulation and its libraries are loaded by the worker that runs one, not by the web.
    from . import replays

    replays.run(replay_run_id)


@shared_task
def sweep_replays() -> int:
    from . import replays

    return replays.resume_stuck()


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
def prepare_media() -> int:
    """Media that are due, a while of work; nudges itself while some is left."""
    done = media_work.prepare_due(seconds=BUDGET_SECONDS)
    media.remove_erased()
    if done and media_work.is_any_due():
        media.nudge()
    return done


@shared_task
def sweep_media() -> int:
    """The guarantee behind the nudges. It prepares nothing itself."""
    if media_work.is_any_due():
        media.nudge()
    return media.remove_erased()


@shared_task
def erase_unused_media() -> int:
    return media.erase_unused()


@shared_task
def index_items() -> int:
    """What items are found by: all that was added since the last time, a while of work at most."""
    return search_entries.index_due(seconds=INDEX_SECONDS)


@shared_task
def answer_cluster(operation_id: int) -> int:
    return cluster_work.answer_operation(operation_id)


@shared_task
def sweep_cluster_answers() -> int:
    """The guarantee behind the nudges: every operation that is not finished goes on."""
    for operation_id in cluster_work.unfinished():
        cluster_work.nudge(operation_id)
    return 0


@shared_task
def match_known() -> int:
    """Pictures and their libraries are for a worker to load."""
    done = known.match_due()
    if done and known.is_any_due():
        media.nudge_known()
    return done


@shared_task
def sweep_known() -> int:
    """The guarantee behind the nudges. It compares nothing itself."""
    if known.is_any_due():
        media.nudge_known()
    return 0
