"""Every Celery task, run twice: the second run finds nothing left to do."""

import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.models import F

from mlhooks import due, tasks
from mlhooks.models import (
    DueNeighbour,
    DueScore,
    Embedding,
    NearVector,
    Score,
    Snapshot,
    TrainingRun,
)
from reviews import (
    audit,
    claims,
    clusters,
    decisions,
    dry_run,
    intake,
    replays,
    reranking,
    routing_versions,
)
from reviews.models import (
    Anchor,
    AuditEntry,
    Claim,
    ClusterAnswer,
    ClusterOperation,
    Decision,
    DryRun,
    DueHash,
    Enforcement,
    Job,
    Queue,
    ReplayRun,
    Reporter,
    Strike,
)
from reviews.tasks import (
    answer_cluster,
    draw_for_quality,
    expire_claims,
    hand_on_jobs,
    hash_items,
    lift_overdue,
    refresh_reporters,
    release_enforcements,
    rerank_queues,
    reroute_jobs,
    seal_audit,
    sweep_cluster_answers,
    sweep_dry_runs,
    sweep_hashes,
    sweep_replays,
)
from trustconsole.celery import WORKER_SEEN, app, heartbeat

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
from .test_shingles import OFFER

pytestmark = pytest.mark.django_db

# Where each task is run twice. A task that stands nowhere here has not been shown to be harmless.
SHOWN = {
    "reviews.tasks.expire_claims": "test_tasks.test_a_claim_expires_once",
    "reviews.tasks.lift_overdue": "test_tasks.test_an_overdue_job_is_lifted_once",
    "reviews.tasks.prune_exposures": ("test_exposures.test_what_has_been_kept_long_enough_goes"),
    "reviews.tasks.hand_on_jobs": "test_tasks.test_a_job_nobody_can_take_is_handed_on_once",
    "reviews.tasks.refresh_reporters": "test_tasks.test_a_record_is_counted_once",
    "reviews.tasks.rerank_queues": "test_tasks.test_a_changed_queue_is_walked_once",
    "reviews.tasks.draw_for_quality": "test_tasks.test_a_decision_is_drawn_from_once",
    "reviews.tasks.release_enforcements": "test_tasks.test_an_enforcement_is_due_and_strikes_once",
    "reviews.tasks.let_consultations_go": (
        "test_consultations.test_what_nobody_answers_in_time_goes_back_to_everybody_once"
    ),
    "reviews.tasks.prune_notifications": (
        "test_notifications.test_what_is_old_goes_and_what_is_new_stays"
    ),
    "reviews.tasks.seal_audit": "test_tasks.test_an_audit_entry_is_sealed_once",
    "reviews.tasks.reroute_jobs": "test_tasks.test_what_waits_is_routed_anew_once",
    "reviews.tasks.run_dry_run": (
        "test_dry_run.test_a_large_run_waits_for_a_worker_and_is_run_once"
    ),
    "reviews.tasks.sweep_dry_runs": "test_tasks.test_sweeping_changes_no_dry_run_that_waits",
    "reviews.tasks.run_replay": "test_replays.test_a_run_that_is_done_or_at_work_is_left_alone",
    "reviews.tasks.sweep_replays": "test_tasks.test_sweeping_replays_changes_no_row_that_waits",
    "reviews.tasks.hash_items": "test_tasks.test_an_item_is_hashed_once",
    "reviews.tasks.index_items": (
        "test_search.test_the_sweep_finds_what_was_added_and_what_was_moved"
    ),
    "reviews.tasks.sweep_hashes": "test_tasks.test_sweeps_of_near_duplicates_do_nothing_themselves",
    "reviews.tasks.prepare_media": "test_media.test_a_worker_prepares_a_medium_once",
    "reviews.tasks.sweep_media": "test_media.test_the_sweep_prepares_nothing_itself",
    "reviews.tasks.match_known": "test_known.test_a_picture_is_held_against_the_lists_once",
    "reviews.tasks.sweep_known": "test_known.test_the_sweep_compares_nothing_itself",
    "reviews.tasks.erase_unused_media": (
        "test_media.test_an_upload_that_no_item_came_for_is_given_up_after_a_week"
    ),
    "reviews.tasks.answer_cluster": "test_tasks.test_a_cluster_is_answered_once",
    "reviews.tasks.sweep_cluster_answers": (
        "test_tasks.test_sweeps_of_near_duplicates_do_nothing_themselves"
    ),
    "mlhooks.tasks.find_neighbours": "test_tasks.test_a_vector_is_compared_once",
    "mlhooks.tasks.sweep_neighbours": (
        "test_tasks.test_sweeps_of_near_duplicates_do_nothing_themselves"
    ),
    "mlhooks.tasks.score_due": "test_tasks.test_an_item_is_scored_once",
    "mlhooks.tasks.score_pieces": (
        "test_strongest.test_the_task_may_run_twice_and_without_a_model_or_an_item"
    ),
    "mlhooks.tasks.sweep_policies": (
        "test_predictions.test_a_policy_written_a_minute_ago_is_ranked_by_and_honest"
    ),
    "mlhooks.tasks.score_texts": "test_predictions.test_a_worker_answers_once",
    "mlhooks.tasks.sweep_predictions": (
        "test_predictions.test_the_sweep_asks_again_and_forgets_after_a_day"
    ),
    "mlhooks.tasks.prune_strong_spans": "test_strongest.test_old_rows_go",
    "mlhooks.tasks.sweep_scores": "test_tasks.test_sweeping_scores_has_them_scored_elsewhere",
    "mlhooks.tasks.build_snapshot": (
        "test_snapshots.test_building_a_finished_snapshot_again_changes_nothing"
    ),
    "mlhooks.tasks.sweep_snapshots": "test_tasks.test_sweeping_changes_no_row_that_waits",
    "mlhooks.tasks.run_training": (
        "test_learning.test_a_run_that_is_done_or_at_work_is_left_alone"
    ),
    "mlhooks.tasks.sweep_training": "test_tasks.test_sweeping_changes_no_row_that_waits",
    "mlhooks.tasks.gather_evidence": "test_model_evidence.test_gathering_twice_is_gathering_once",
    "mlhooks.tasks.prune_shadow_scores": (
        "test_shadow.test_old_shadow_scores_go_and_what_was_drawn_is_kept"
    ),
    "mlhooks.tasks.watch_models": "test_monitoring.test_looking_twice_is_looking_once",
    "mlhooks.tasks.start_monitoring": "test_monitoring.test_a_look_is_begun_once_a_day",
    "mlhooks.tasks.sweep_monitoring": "test_monitoring.test_a_silent_look_is_begun_again",
    "mlhooks.tasks.log_to_mlflow": "test_sink.test_what_is_logged_twice_is_there_once",
    "mlhooks.tasks.deliver_alerts": "test_alerts.test_an_alert_is_delivered_once_and_signed",
    "mlhooks.tasks.sweep_evidence": "test_model_evidence.test_a_silent_gathering_is_begun_again",
    "mlhooks.tasks.draw_round": "test_rounds.test_a_round_is_drawn_once_however_often_it_is_asked",
    "mlhooks.tasks.sweep_rounds": "test_rounds.test_the_schedule_begins_one_round_when_it_is_due",
    "mlhooks.tasks.measure_learning": "test_curves.test_a_curve_is_worked_out_once",
    "mlhooks.tasks.sweep_curves": "test_curves.test_the_sweep_begins_the_newest_trained_snapshots",
    "trustconsole.heartbeat": "test_tasks.test_a_heartbeat_says_when_and_nothing_else",
}


def test_every_task_is_shown_to_be_harmless_twice():
    app.loader.import_default_modules()
    ours = {name for name in app.tasks if not name.startswith("celery.")}
    assert ours == set(SHOWN)
    for where in SHOWN.values():
        module, _, test = where.partition(".")
        assert f"def {test}(" in (Path(__file__).parent / f"{module}.py").read_text(), where


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


def test_a_job_nobody_can_take_is_handed_on_once():
    rosa, remy = make_person("rosa"), make_person("remy")
    queue = make_queue(members=[rosa, remy])
    job = claimed_job(rosa, queue=queue)
    claims.skip(job.pk, job.claim_token, by=rosa)
    queue.members.remove(remy)
    look = lambda: (  # noqa: E731
        Job.objects.get().lane,
        AuditEntry.objects.filter(verb="job.hand_on").count(),
    )
    assert twice(hand_on_jobs, look) == ("adjudication", 1)


def test_a_record_is_counted_once():
    rosa = make_person("rosa")
    job = claimed_job(rosa)
    row = {
        "kind": job.item.kind.slug,
        "item": job.item.external_id,
        "reason": "Spam",
        "reporter": "n",
    }
    intake.file_reports(job.item.platform, [row], by=None)
    decisions.record_review(job.pk, job.claim_token, by=rosa, verdict="clean")
    look = Reporter.objects.values_list("settled", "upheld", "trust", "refreshed_at").get
    assert twice(refresh_reporters, look)[:2] == (1, 0)


def test_a_changed_queue_is_walked_once():
    job = make_job()
    reranking.rerank_queues()
    Queue.objects.update(handling_minutes=2)
    assert twice(rerank_queues, lambda: Job.objects.get().harm) == pytest.approx(0.2)
    assert Job.objects.get() == job


def test_a_decision_is_drawn_from_once():
    rosa = make_person("rosa")
    job = claimed_job(rosa, queue=make_queue(qa_rate=1, undo_seconds=0))
    decisions.record_review(job.pk, job.claim_token, by=rosa, verdict="clean")
    with connection.cursor() as cursor:  # half a minute passes
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE reviews_decision SET undo_until = undo_until - interval '30 s'")
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    lanes = twice(draw_for_quality, lambda: list(Job.objects.values_list("lane", "state")))
    assert sorted(lanes) == [("qa", "ready"), ("risk", "done")]


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


def make_draft():
    """A draft whose one rule takes everything away from the default queue."""
    platform = make_platform()
    policies = [make_policy(platform=platform)]
    make_queue(platform=platform, slug="general", is_default=True, policies=policies)
    make_queue(platform=platform, slug="urgent", policies=policies)
    rule = {"name": "All", "queue": "urgent", "condition": {"expression": "true"}}
    return routing_versions.save_draft(platform, [rule], edition=0, by=None)


def test_what_waits_is_routed_anew_once():
    draft = make_draft()
    make_job(queue=draft.platform.queues.get(slug="general"))
    routing_versions.publish(draft, edition=1, by=None)
    assert twice(reroute_jobs, lambda: Job.objects.get().queue.slug) == "urgent"


def test_sweeping_changes_no_dry_run_that_waits(monkeypatch):
    monkeypatch.setattr(dry_run, "AT_ONCE", -1)
    run = dry_run.start_dry_run(make_draft(), days=7, by=None)
    DryRun.objects.update(created_at=claims.clock() - timedelta(minutes=1))
    rows = [sweep_dry_runs.apply(throw=True).get() for _ in range(2)]
    run.refresh_from_db()
    assert rows == [1, 1]
    assert (run.state, run.attempts) == ("waiting", 0)


def test_sealing_ends_though_people_go_on_deciding(monkeypatch):
    platform = make_platform()
    audit.record("item.submit", platform, by=None, platform=platform)
    seal = audit.seal

    def seal_while_another_decides():
        count = seal()
        audit.record("item.submit", platform, by=None, platform=platform)
        return count

    monkeypatch.setattr(audit, "seal", seal_while_another_decides)
    assert seal_audit() == 1


def test_an_item_is_scored_once(settings, tmp_path):
    settings.MODEL_DIR = tmp_path
    queue = make_queue()
    version = make_item(platform=queue.platform).current_version
    due.mark_versions([version.pk])

    def look():
        return list(Score.objects.values_list("pk", "probability")), DueScore.objects.count()

    scores, left = twice(tasks.score_due, look)
    assert (len(scores), left) == (1, 0)


def test_sweeping_scores_has_them_scored_elsewhere():
    """It parks what no worker survived and wakes a worker of the score queue for the rest."""
    versions = [make_item().current_version for _ in range(2)]
    due.mark_versions([version.pk for version in versions])
    DueScore.objects.filter(item_version=versions[0]).update(attempts=3)

    def look():
        return list(DueScore.objects.order_by("pk").values_list("parked_at", "attempts"))

    (parked, _), (waiting, attempts) = twice(tasks.sweep_scores, look)
    assert parked is not None
    assert (waiting, attempts) == (None, 0)


@pytest.mark.parametrize(
    ("task", "model"), [(tasks.sweep_snapshots, Snapshot), (tasks.sweep_training, TrainingRun)]
)
def test_sweeping_changes_no_row_that_waits(task, model):
    """It only nudges again the task that does the work, which is harmless twice itself."""
    platform = make_platform()
    now = claims.clock()
    snapshot = Snapshot.objects.create(
        platform=platform, number=1, cutoff_id=0, cutoff_at=now, state="waiting"
    )
    TrainingRun.objects.create(platform=platform, snapshot=snapshot, state="waiting")
    model.objects.update(created_at=now - timedelta(hours=1))
    before = list(model.objects.values())
    assert [task.apply(throw=True).get() for _ in range(2)] == [1, 1]
    assert list(model.objects.values()) == before


def test_sweeping_replays_changes_no_row_that_waits():
    queue = make_queue()
    now = claims.clock()
    replays.start_replay(
        queue,
        by=None,
        candidate=replays.read_candidate(queue, {}),
        since=now - timedelta(days=1),
        until=now,
    )
    ReplayRun.objects.update(created_at=now - timedelta(hours=1))
    before = list(ReplayRun.objects.values())
    assert [sweep_replays.apply(throw=True).get() for _ in range(2)] == [1, 1]
    assert list(ReplayRun.objects.values()) == before


def test_an_item_is_hashed_once():
    clusters.mark_versions([make_item(text=OFFER).current_version.pk])
    assert twice(hash_items, lambda: Anchor.objects.count()) == 1


def test_a_vector_is_compared_once():
    version = make_item(text=OFFER).current_version
    Embedding.objects.create(item_version=version, encoder="e", vector=[1.0, 0.0])
    due.mark_neighbours([version.pk])
    assert twice(tasks.find_neighbours, lambda: NearVector.objects.count()) == 1


def waiting_answer():
    platform = make_platform()
    lena = make_person("lena", platform=platform)
    queue = make_queue(platform=platform, members=[lena])
    item = make_item(platform=platform)
    make_job(queue=queue, item=item)
    operation = ClusterOperation.objects.create(
        platform=platform, verdict="clean", token=uuid.uuid4(), by=lena
    )
    ClusterAnswer.objects.create(operation=operation, item=item, item_version=item.current_version)
    return operation


def test_a_cluster_is_answered_once():
    operation = waiting_answer()
    first = answer_cluster.apply([operation.pk], throw=True).get()
    second = answer_cluster.apply([operation.pk], throw=True).get()
    assert (first, second) == (1, 0)
    assert Decision.objects.count() == 1


def test_sweeps_of_near_duplicates_do_nothing_themselves():
    """They nudge the tasks above, which are harmless twice."""
    version = make_item(text=OFFER).current_version
    clusters.mark_versions([version.pk])
    due.mark_neighbours([version.pk])
    waiting_answer()
    for task in (sweep_hashes, sweep_cluster_answers, tasks.sweep_neighbours):
        assert [task.apply(throw=True).get() for _ in range(2)] == [0, 0]
    assert (DueHash.objects.count(), DueNeighbour.objects.count()) == (1, 1)
    assert ClusterAnswer.objects.get().state == "waiting"


def test_a_heartbeat_says_when_and_nothing_else():
    for _ in range(2):
        heartbeat.apply(throw=True)
    assert cache.get(WORKER_SEEN) > 0
