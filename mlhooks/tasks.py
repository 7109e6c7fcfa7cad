"""Celery's doors to the model side. Each may run twice, or twice at once, unharmed."""

from celery import shared_task

from . import due, neighbours, scoring

NEIGHBOUR_SECONDS = 10.0
BUDGET_SECONDS = 20.0  # a task goes on so long, then makes room and asks for the next


@shared_task
def score_due() -> int:
    done = scoring.score_due(seconds=BUDGET_SECONDS)
    if done and scoring.is_any_due():
        due.nudge()
    return done


@shared_task
def score_pieces(item_version_id: int) -> bool:
    from . import strongest

    return strongest.work_out(item_version_id)


@shared_task
def score_texts(prediction_id: int) -> bool:
    from . import predictions

    return predictions.answer(prediction_id)


@shared_task
def sweep_policies() -> int:
    from . import new_policies

    return new_policies.sweep()


@shared_task
def sweep_predictions() -> int:
    from . import predictions

    return predictions.sweep()


@shared_task
def prune_strong_spans() -> int:
    from . import strongest

    return strongest.prune()


@shared_task
def prune_shadow_scores() -> int:
    from . import shadows

    return shadows.prune()


@shared_task
def sweep_scores() -> int:
    """The guarantee behind the nudges: parks what no worker survives, and has the rest scored.

    It scores nothing itself: the encoder stays in the workers that serve the score queue.
    """
    parked = scoring.park_lost()
    if scoring.is_any_due():
        due.nudge()
    return parked


@shared_task
def find_neighbours() -> int:
    done = neighbours.find_due(seconds=NEIGHBOUR_SECONDS)
    if done and neighbours.is_any_due():
        due.nudge_neighbours()
    return done


@shared_task
def sweep_neighbours() -> int:
    """The guarantee behind the nudges. It compares nothing itself."""
    if neighbours.is_any_due():
        due.nudge_neighbours()
    return 0


@shared_task
def build_snapshot(snapshot_id: int) -> None:
    from . import snapshots

    snapshots.build(snapshot_id)


@shared_task
def sweep_snapshots() -> int:
    from . import snapshots, withdrawals

    return withdrawals.sweep() + snapshots.resume_stuck()


@shared_task
def run_training(training_run_id: int) -> None:
    from . import learning

    learning.run(training_run_id)


@shared_task
def gather_evidence(evidence_id: int) -> None:
    from . import evidence

    evidence.gather(evidence_id)


@shared_task
def sweep_evidence() -> int:
    from . import evidence

    return evidence.resume_stuck()


@shared_task
def watch_models(monitoring_id: int) -> None:
    from . import monitoring

    monitoring.work_out(monitoring_id)


@shared_task
def start_monitoring() -> int:
    from . import monitoring

    return monitoring.start_due()


@shared_task
def sweep_monitoring() -> int:
    from . import monitoring

    return monitoring.resume_stuck()


@shared_task
def log_to_mlflow(model_version_id: int) -> bool:
    from . import sink

    return sink.log(model_version_id)


@shared_task
def deliver_alerts() -> int:
    from . import alerts

    return alerts.deliver_due()


@shared_task
def sweep_training() -> int:
    from . import learning

    return learning.resume_stuck()


@shared_task
def draw_round(round_id: int) -> None:
    from . import rounds

    rounds.run(round_id)


@shared_task
def sweep_rounds() -> int:
    from . import rounds

    return rounds.sweep()


@shared_task
def measure_learning(curve_id: int) -> None:
    from . import curves

    curves.run(curve_id)


@shared_task
def sweep_curves() -> int:
    from . import curves

    return curves.sweep()
