"""Scoring what is due: real encoder, real rows."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from mlhooks import due, encoder, registry, scoring
from mlhooks.models import DueScore, Embedding, ModelVersion, Score
from reviews.models import Draw, ItemVersion, content_hash
from tests.factories import make_item, make_job, make_kind, make_policy, make_queue

pytestmark = pytest.mark.django_db

SPAM = "You have won a prize of one million dollars, send us your bank details now!"
HAM = "Shall we have lunch on Tuesday? The place near the station is open again."


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.MODEL_DIR = tmp_path
    scoring._scorers.clear()


@pytest.fixture
def queue():
    queue = make_queue()
    version = queue.policies.get().versions.get()
    version.definition = "Spam and scams: unasked-for offers, false prizes, tricks to get money."
    version.examples = ["Congratulations, you won the lottery, send your account number."]
    version.counter_examples = ["Lunch tomorrow?"]
    version.save()
    return queue


def make_due(queue, *, title="", **kw) -> ItemVersion:
    item = make_item(platform=queue.platform, title=title, **kw)
    make_job(queue=queue, item=item)
    due.mark_versions([item.current_version.pk])
    return item.current_version


def test_a_due_item_gets_a_score_an_embedding_and_a_risk(queue):
    version = make_due(queue, text=SPAM)
    assert scoring.score_due() == 1
    version.item.refresh_from_db()
    policy = queue.policies.get()
    score = Score.objects.get(item_version=version)
    assert version.item.risks == {policy.slug: pytest.approx(score.probability)}
    assert version.item.risk == pytest.approx(score.probability)
    assert version.item.risk_source == "v1 zero-shot"
    assert score.policy_version.policy == policy
    assert Embedding.objects.get(item_version=version).encoder == registry.usual_encoder().version
    assert not DueScore.objects.exists()


def test_scores_draw_for_learning_around_the_threshold_of_the_champion(queue):
    slug = queue.policies.get().slug
    champion = registry.ensure_zero_shot(queue.platform)
    champion.evaluation = {"candidate": {slug: {"threshold": 0.2}}}
    champion.save()
    queue.learning_rate = 1
    queue.save()
    make_due(queue, text=SPAM)
    scoring.score_due()
    draw = Draw.objects.get()
    assert (draw.lane, draw.model_version) == ("learning", champion.label)
    assert draw.parameters["thresholds"] == {slug: 0.2}
    assert queue.jobs.get().draw == draw


def test_spam_scores_above_ham_and_its_job_ranks_higher(queue):
    ham, spam = make_due(queue, text=HAM), make_due(queue, text=SPAM)
    scoring.score_due()
    for version in (ham, spam):
        version.item.refresh_from_db()
    assert spam.item.risk > 2 * ham.item.risk
    assert spam.item.jobs.get().rank > ham.item.jobs.get().rank


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a" * 1_000_000,
        "word " * 200_000,
        "\ufffd\ufffd",
        "😀" * 5000,
        "مرحبا بالعالم \u202e txt.exe",
        "\u200b\u200d\ufeff",
        "e\u0301" * 3000,
    ],
    ids=["empty", "1 MB word", "1 MB words", "replaced NUL", "emoji", "bidi", "invisible", "marks"],
)
def test_odd_text_is_scored_like_any_other(queue, text):
    version = make_due(queue, text=text)
    neighbour = make_due(queue, text=HAM)
    scoring.score_due()
    assert Score.objects.filter(item_version__in=[version, neighbour]).count() == 2
    assert not DueScore.objects.exists()


def test_a_stored_embedding_is_used_again_and_gives_the_same_score(queue, monkeypatch):
    version = make_due(queue, text=SPAM)
    scoring.score_due()
    before = Score.objects.get().probability
    monkeypatch.setattr(encoder.Encoder, "encode", None)  # would raise if it were called
    due.mark_versions([version.pk])
    assert scoring.score_due() == 1
    assert Score.objects.get().probability == before


def test_a_bad_row_fails_alone_and_is_parked_after_three_attempts(queue, monkeypatch):
    good = [make_due(queue, text=HAM) for _ in range(3)]
    bad = make_due(queue, text="poison")
    encode = encoder.Encoder.encode

    def choke(self, texts):
        if any("poison" in text for text in texts):
            raise RuntimeError("cannot read this")
        return encode(self, texts)

    monkeypatch.setattr(encoder.Encoder, "encode", choke)
    scoring.score_due()
    assert Score.objects.filter(item_version__in=good).count() == 3
    row = DueScore.objects.get()
    assert (row.item_version, row.attempts, row.parked_at) == (bad, 1, None)
    assert "cannot read this" in row.error
    for _ in range(2):
        DueScore.objects.update(due_at=Now())
        scoring.score_due()
    row.refresh_from_db()
    assert row.attempts == 3
    assert row.parked_at is not None
    assert scoring.score_due() == 0


def test_rows_of_a_dead_worker_come_back_one_by_one(queue):
    versions = [make_due(queue, text=HAM) for _ in range(3)]
    assert len(scoring._lease(10, fresh=True)) == 3  # and then it dies
    assert scoring.score_due() == 0
    DueScore.objects.update(due_at=Now())
    assert scoring.score_due() == 3
    assert Score.objects.filter(item_version__in=versions).count() == 3


def test_a_row_that_took_three_workers_down_is_parked(queue):
    make_due(queue, text=HAM)
    DueScore.objects.update(attempts=3, due_at=Now() - timedelta(seconds=1))
    assert scoring.score_due() == 0
    assert scoring.park_lost() == 1
    assert "died" in DueScore.objects.get().error


def test_a_version_that_is_no_longer_the_newest_is_dropped(queue):
    old = make_due(queue, text=SPAM)
    content = {"subject": "", "body": HAM}
    new = ItemVersion.objects.create(
        item=old.item, number=2, content=content, content_hash=content_hash(content)
    )
    type(old.item).objects.filter(pk=old.item.pk).update(version_number=2)
    due.mark_versions([new.pk])
    scoring.score_due()
    assert [score.item_version for score in Score.objects.all()] == [new]
    assert not DueScore.objects.exists()


def test_a_late_answer_writes_nothing(queue):
    version = make_due(queue, text=SPAM)
    rows = scoring._lease(10, fresh=True)
    due.mark_versions([version.pk])  # asked for again, by a promotion say
    scoring._score(rows)
    assert not Score.objects.exists()
    assert scoring.score_due() == 1


def test_a_policy_the_champion_does_not_know_is_answered_from_its_own_words(queue):
    make_due(queue, text=SPAM)
    scoring.score_due()
    newer = make_policy(platform=queue.platform, slug="newer")
    version = make_due(queue, text=HAM)
    scoring.score_due()
    version.item.refresh_from_db()
    assert set(version.item.risks) == {queue.policies.get().slug, newer.slug}
    score = Score.objects.get(item_version=version, policy_version=newer.version)
    assert score.model_version == registry.champion(queue.platform)


def test_a_changed_artefact_stops_scoring_of_its_platform_and_costs_no_attempt(queue):
    model_version = registry.ensure_zero_shot(queue.platform)
    weights = registry.folder(model_version) / registry.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    make_due(queue, text=SPAM)
    other = make_due(make_queue(), text=SPAM)
    scoring.score_due()
    row = DueScore.objects.get()
    assert row.attempts == 0
    assert "changed" in row.error
    assert Score.objects.get().item_version == other


def test_a_model_of_another_encoder_is_not_used(queue):
    registry.ensure_zero_shot(queue.platform)
    ModelVersion.objects.update(encoder="another@0123/fp32")
    make_due(queue, text=SPAM)
    scoring.score_due()
    assert "another@0123" in DueScore.objects.get().error


def test_a_batch_takes_the_same_number_of_queries_for_five_rows_as_for_twenty(
    queue, django_assert_max_num_queries
):
    registry.ensure_zero_shot(queue.platform)
    scoring._scorer(queue.platform_id)

    def queries(count):
        for _ in range(count):
            make_due(queue, text=HAM)
        with django_assert_max_num_queries(100) as captured:
            assert scoring.score_due() == count
        return len(captured)

    assert queries(5) == queries(20)


def test_submitting_marks_due_and_nudges_once_a_transaction(queue):
    from reviews import intake

    kind = queue.platform.kinds.first() or make_kind(platform=queue.platform)
    queue.is_default = True
    queue.save()
    rows = [{"kind": kind.slug, "external_id": "a", "content": {"body": SPAM}}]
    intake.submit_items(queue.platform, rows, by=None)
    intake.submit_items(queue.platform, [{**rows[0], "external_id": "b"}], by=None)
    assert DueScore.objects.count() == 2
    nudges = [function for _, function, *_ in connection.run_on_commit if function is due.nudge]
    assert len(nudges) == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_score_every_row_once(queue):
    from concurrent.futures import ThreadPoolExecutor

    versions = [make_due(queue, text=f"{HAM} {n}") for n in range(40)]
    registry.ensure_zero_shot(queue.platform)

    def work(_):
        try:
            done = 0
            while count := scoring.score_due(limit=7):
                done += count
            return done
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(work, range(2))) == 40
    assert Score.objects.count() == len(versions)
    assert Embedding.objects.count() == len(versions)
    assert not DueScore.objects.exists()
