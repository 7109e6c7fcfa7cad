"""Learning rounds: what is drawn from, with which chances, when, and what is kept of it."""

import io
from datetime import timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mlhooks import registry, rounds, scoring, selection, tasks
from mlhooks.models import Embedding, LearningRound, RoundPool, RoundSettings, Score
from reviews import claims
from reviews.errors import Conflict, Forbidden, Invalid, NotFound
from reviews.models import AuditEntry, Draw, Item, Job, Lane
from reviews.routing import draw_value

from .factories import (
    make_account,
    make_item,
    make_job,
    make_platform,
    make_policy,
    make_queue,
    make_round,
)
from .people import make_person
from .test_snapshots import decide, group_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folders(settings, tmp_path):
    settings.SNAPSHOT_DIR, settings.MODEL_DIR = tmp_path / "snapshots", tmp_path / "models"


@pytest.fixture
def platform():
    platform = make_platform(slug="mail", name="Mail")
    platform.spam = make_policy(platform=platform, slug="spam", severity_weight=1)
    platform.queue = make_queue(platform=platform, policies=[platform.spam], is_default=True)
    platform.people = {
        name: make_person(name, platform=platform) for name in ("rosa", "lena", "mila", "paul")
    }
    platform.rosa, platform.mila = platform.people["rosa"], platform.people["mila"]
    platform.queue.members.add(platform.rosa)
    platform.champion = registry.ensure_zero_shot(platform)
    return platform


def waits(platform, risk, *, vector=None, queue=None, split="train", **kw) -> Job:
    """An item that waits, scored by the champion, with a vector of its own."""
    queue = queue or platform.queue
    item = make_item(platform=platform, split_group=group_in(split), **kw)
    slugs = [policy.slug for policy in queue.policies.all()]
    Item.objects.filter(pk=item.pk).update(risks=dict.fromkeys(slugs, risk), risk=risk)
    scored(platform, item, dict.fromkeys(slugs, risk), vector)
    return make_job(queue=queue, item=item)


def scored(platform, item, risks, vector=None):
    version = item.current_version
    rng = np.random.default_rng(item.pk)
    vector = rng.normal(size=8) if vector is None else vector
    Embedding.objects.create(
        item_version=version,
        encoder=platform.champion.encoder,
        vector=(vector / np.linalg.norm(vector)).astype(np.float16),
    )
    for policy_version in registry.in_force(platform):
        slug = policy_version.policy.slug
        if slug in risks:
            Score.objects.create(
                item_version=version,
                model_version=platform.champion,
                policy_version=policy_version,
                probability=risks[slug],
            )


def drawn(platform, **kw) -> LearningRound:
    row = rounds.start_round(platform, by=platform.mila, **kw)
    rounds.run(row.pk)
    row.refresh_from_db()
    assert row.state == "done", row.error
    return row


def pool_of(row) -> dict[int, float]:
    """Item → its chance, as the round kept it."""
    table = pq.read_table(io.BytesIO(bytes(row.pool.table)))
    return dict(zip(table["item_id"].to_pylist(), table["probability"].to_pylist(), strict=True))


def test_a_round_moves_what_it_draws_into_the_learning_lane_and_keeps_how(platform):
    jobs = [waits(platform, 0.5 if n < 10 else 0.01) for n in range(60)]

    row = drawn(platform, size=12, seed=5)

    draw = row.draws.get()
    moved = Job.objects.filter(lane=Lane.LEARNING)
    assert (draw.lane, draw.strategy, draw.seed) == ("learning", Draw.Strategy.ROUND, 5)
    assert (draw.model_version, draw.created_by) == (platform.champion.label, platform.mila)
    assert (draw.pool_size, draw.drawn) == (60, moved.count()) == (row.pool_size, row.drawn)
    assert draw.parameters["strategy"] == "default" and draw.parameters["round"] == row.pk
    chances = pool_of(row)
    assert sum(chances.values()) == pytest.approx(12) == pytest.approx(row.expected)
    assert min(chances.values()) > 0
    assert {job.item_id: job.inclusion_probability for job in moved} == {
        job.item_id: chances[job.item_id] for job in moved
    }
    # Anybody can draw it again from what was kept.
    stream = draw.parameters["stream"]
    assert {job.item_id for job in moved} == {
        item for item, chance in chances.items() if draw_value(5, item, stream=stream) < chance
    }
    risky = np.mean([chances[job.item_id] for job in jobs[:10]])
    assert risky > 5 * np.mean([chances[job.item_id] for job in jobs[10:]])


def test_the_chances_are_those_of_the_strategy_over_the_whole_platform(platform):
    other = make_queue(platform=platform, policies=[platform.spam], slug="other")
    jobs = [waits(platform, n / 40, queue=other if n % 2 else platform.queue) for n in range(1, 40)]
    row = drawn(platform, strategy="risk", size=6, seed=1)
    pool = rounds.read_pool(platform, platform.champion)
    pool = selection.Pool(
        np.zeros((39, 8), np.float32),
        np.array([[job.item.risk] for job in Job.objects.order_by("pk")]),
        np.array([0.5]),
        np.array([1.0]),
    )
    expected = selection.inclusion("risk", pool, expected=6, rng=np.random.default_rng(0))
    chances = pool_of(row)
    assert [chances[job.item_id] for job in jobs] == pytest.approx(
        expected.probabilities.tolist(), rel=1e-6
    )
    assert {draw.queue for draw in row.draws.all()} == {platform.queue, other}
    assert sum(draw.pool_size for draw in row.draws.all()) == 39


def test_frequencies_follow_the_chances(platform):
    """Over many seeds each item comes about as often as its chance says."""
    jobs = [waits(platform, 0.9 if n < 3 else 0.05) for n in range(12)]
    counts = dict.fromkeys((job.item_id for job in jobs), 0)
    for seed in range(60):
        row = drawn(platform, strategy="risk", size=4, seed=seed)
        for item_id in Job.objects.filter(lane="learning").values_list("item_id", flat=True):
            counts[item_id] += 1
        Job.objects.update(lane="risk", draw=None, inclusion_probability=None)
    for item_id, chance in pool_of(row).items():
        slack = 4 * (chance * (1 - chance) * 60) ** 0.5 + 1e-9
        assert abs(counts[item_id] - 60 * chance) <= slack, (item_id, chance, counts[item_id])


def test_only_what_could_teach_is_in_the_pool_and_the_rest_is_counted(platform):
    inside = waits(platform, 0.4)
    waits(platform, 0.4, split="test")
    waits(platform, 0.4, split="valid")
    without = make_item(platform=platform, split_group=group_in("train"))
    Item.objects.filter(pk=without.pk).update(risks={"spam": 0.4}, risk=0.4)
    make_job(queue=platform.queue, item=without)
    unscored = waits(platform, 0.4)
    Score.objects.filter(item_version__item=unscored.item_id).delete()
    held = waits(platform, 0.9)
    Job.objects.filter(pk=held.pk).update(rank=F("rank") + 1000)
    assert claims.claim_next(platform.queue, by=platform.rosa) == held
    assigned = waits(platform, 0.4)
    Job.objects.filter(pk=assigned.pk).update(assigned_to=platform.rosa)

    found = rounds.read_pool(platform, platform.champion)

    assert [one.job_id for one in found.waiting] == [inside.pk]
    assert found.left_out == {"split": 2, "vector": 1, "score": 1}


def test_what_is_labelled_on_the_training_side_is_known_to_the_strategy(platform):
    spam, ham = np.eye(8)[0], np.eye(8)[1]
    for split, violated, vector in (
        ("train", ["spam"], spam),
        ("train", [], ham),
        ("test", ["spam"], spam),
    ):
        item = make_item(platform=platform, split_group=group_in(split))
        decide(platform, violated=violated, item=item)
        scored(platform, item, {"spam": 0.5}, vector)
    near = waits(platform, 0.2, vector=spam + 0.05 * np.eye(8)[2])
    for _ in range(30):
        waits(platform, 0.2, vector=ham)
    known = rounds.read_pool(platform, platform.champion).pool.known
    assert known is not None
    assert known.labels.tolist() == [[1.0], [0.0]]
    assert known.vectors.argmax(axis=1).tolist() == [0, 1]
    row = drawn(platform, size=3)
    chances = pool_of(row)
    assert row.known == 2
    # A third of the draw asks near what is known; the risks are alike.
    assert chances[near.item_id] == max(chances.values()) > 0.5


def test_severity_is_a_cost_and_a_queue_s_other_policies_none(platform):
    hate = make_policy(platform=platform, slug="hate", severity_weight=4)
    grave = make_queue(platform=platform, policies=[hate], slug="grave")
    mild, severe = waits(platform, 0.6), waits(platform, 0.3, queue=grave)
    # The champion knows nothing of hate; what it scored for it, it scored by the policy's text.
    found = rounds.read_pool(platform, platform.champion)
    place = {one.job_id: n for n, one in enumerate(found.waiting)}
    assert found.policies == ["hate", "spam"]
    assert found.pool.costs[place[mild.pk]].tolist() == [0, 1]
    assert found.pool.costs[place[severe.pk]].tolist() == [4, 0]
    chances = selection.inclusion(
        "risk", found.pool, expected=1, rng=np.random.default_rng(0)
    ).probabilities
    assert chances[place[severe.pk]] > chances[place[mild.pk]]


def test_caps_hold_one_account_and_one_group_down(platform):
    loud = make_account(platform=platform)
    for _ in range(20):
        waits(platform, 0.5, account=loud)
    for _ in range(20):
        waits(platform, 0.4, account=make_account(platform=platform))
    rounds.save_settings(platform, by=platform.mila, per_account=2)
    chances = pool_of(drawn(platform, strategy="risk", size=12))
    of_loud = sum(p for item, p in chances.items() if Item.objects.get(pk=item).account == loud)
    assert of_loud == pytest.approx(2)
    assert sum(chances.values()) == pytest.approx(12)


def test_nothing_to_draw_from_is_an_answer(platform):
    row = drawn(platform)
    assert (row.pool_size, row.drawn, row.draws.count()) == (0, 0, 0)
    assert not RoundPool.objects.exists()


def test_what_is_taken_while_chances_are_worked_out_is_not_drawn(platform, monkeypatch):
    for _ in range(4):
        waits(platform, 0.5)
    row = rounds.start_round(platform, by=platform.mila, size=4)
    honest = selection.inclusion

    def slow(*args, **kw):
        claims.claim_next(platform.queue, by=platform.rosa)
        return honest(*args, **kw)

    monkeypatch.setattr(selection, "inclusion", slow)
    rounds.run(row.pk)
    row.refresh_from_db()
    assert (row.pool_size, row.draws.get().pool_size, row.drawn) == (4, 3, 3)
    assert Job.objects.get(state="claimed").lane == "risk"


def test_a_round_by_a_program_is_drawn_though_it_has_no_role(platform):
    waits(platform, 0.5)
    row = rounds.start_round(platform, by=platform.mila, size=1)
    platform.mila.groups.clear()
    rounds.run(row.pk)
    assert row.draws.get().created_by == platform.mila


# Rows, tasks, sweeps


def test_a_round_is_drawn_once_however_often_it_is_asked(platform):
    for _ in range(20):
        waits(platform, 0.5)
    row = rounds.start_round(platform, by=platform.mila, size=5)
    for _ in range(2):
        tasks.draw_round(row.pk)
    assert Draw.objects.filter(lane="learning").count() == 1
    row.refresh_from_db()
    assert (row.state, row.drawn) == ("done", Job.objects.filter(lane="learning").count())


def test_two_rounds_at_once_are_refused_and_without_a_champion_none(platform):
    rounds.start_round(platform, by=platform.mila)
    with pytest.raises(Conflict, match="being drawn already"):
        rounds.start_round(platform, by=platform.mila)
    bare = make_platform()
    with pytest.raises(Conflict, match="no champion yet"):
        rounds.start_round(bare, by=None)


def test_who_may_draw_and_who_may_set(platform):
    for name in ("rosa", "paul"):
        with pytest.raises(Forbidden):
            rounds.start_round(platform, by=platform.people[name])
    for name in ("rosa", "paul", "lena"):
        with pytest.raises(Forbidden):
            rounds.save_settings(platform, by=platform.people[name], is_on=True)
    with pytest.raises(NotFound):
        rounds.start_round(make_platform(), by=platform.mila)
    rounds.start_round(platform, by=platform.people["lena"])
    entry = AuditEntry.objects.get(verb="round.start")
    assert (entry.actor, entry.data["strategy"]) == (platform.people["lena"], "default")


def test_settings_are_kept_checked_and_audited(platform):
    saved = rounds.save_settings(
        platform, by=platform.mila, is_on=True, every_hours=6, size=40, strategy="anchor"
    )
    assert (saved.is_on, saved.every_hours, saved.per_account) == (True, 6, 3)
    entry = AuditEntry.objects.get(verb="round.edit")
    assert (entry.data["before"]["is_on"], entry.data["after"]["size"]) == (False, 40)
    for wrong in (
        {"size": 0},
        {"size": 5_001},
        {"size": "many"},
        {"every_hours": 721},
        {"strategy": "bald"},
        {"strategy": "best"},
        {"per_account": 0},
    ):
        with pytest.raises(Invalid) as refused:
            rounds.save_settings(platform, by=platform.mila, **wrong)
        assert set(refused.value.details) == set(wrong)
    assert AuditEntry.objects.filter(verb="round.edit").count() == 1


def test_the_schedule_begins_one_round_when_it_is_due(platform):
    rounds.save_settings(platform, by=platform.mila, is_on=True, every_hours=6)
    for _ in range(2):
        tasks.sweep_rounds()
    row = LearningRound.objects.get()
    assert (row.is_scheduled, row.created_by) == (True, None)
    assert RoundSettings.objects.get().next_at > timezone.now() + timedelta(hours=5)
    rounds.run(row.pk)
    RoundSettings.objects.update(next_at=timezone.now() - timedelta(minutes=1))
    tasks.sweep_rounds()
    assert LearningRound.objects.count() == 2
    RoundSettings.objects.update(is_on=False, next_at=timezone.now() - timedelta(minutes=1))
    rounds.run(LearningRound.objects.latest("pk").pk)
    tasks.sweep_rounds()
    assert LearningRound.objects.count() == 2


def test_a_shorter_pace_brings_the_next_round_forward(platform):
    rounds.save_settings(platform, by=platform.mila, is_on=True, every_hours=48)
    rounds.sweep()
    rounds.save_settings(platform, by=platform.mila, every_hours=2)
    assert RoundSettings.objects.get().next_at < timezone.now() + timedelta(hours=3)


def test_a_round_whose_worker_died_is_begun_again(platform):
    waits(platform, 0.5)
    row = rounds.start_round(platform, by=platform.mila)
    silent = timezone.now() - timedelta(minutes=5)
    LearningRound.objects.update(state="running", attempts=1, heartbeat_at=silent)
    assert rounds.sweep() == 1
    rounds.run(row.pk)
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("done", 2)
    LearningRound.objects.update(state="running", attempts=3, heartbeat_at=silent)
    rounds.sweep()
    row.refresh_from_db()
    assert row.state == "failed" and AuditEntry.objects.filter(verb="round.fail").exists()


# One way into the lane


def test_where_rounds_are_on_scores_draw_nothing_for_learning(platform):
    type(platform.queue).objects.update(learning_rate=1)
    rounds.save_settings(platform, by=platform.mila, is_on=True)
    job = make_job(queue=platform.queue, item=make_item(platform=platform, text="buy pills"))
    from mlhooks import due

    due.mark_versions([job.item.current_version.pk])
    scoring.score_due()
    assert not Draw.objects.filter(lane="learning").exists()
    rounds.save_settings(platform, by=platform.mila, is_on=False)
    due.mark_versions([job.item.current_version.pk])
    scoring.score_due()
    assert "share" in Draw.objects.get(lane="learning").parameters


def test_a_round_by_real_scores_and_vectors(platform):
    """From a text to the lane, nothing put in by hand."""
    from mlhooks import due

    for n in range(12):
        item = make_item(platform=platform, text=f"offer {n}", split_group=group_in("train"))
        make_job(queue=platform.queue, item=item)
        due.mark_versions([item.current_version.pk])
    scoring.score_due()
    row = drawn(platform, size=4)
    assert (row.pool_size, row.expected) == (12, pytest.approx(4))
    assert row.left_out == {"split": 0, "vector": 0, "score": 0}


# Pages and the API


def test_the_page_draws_a_round_and_shows_what_came_of_it(platform, client):
    for _ in range(30):
        waits(platform, 0.5)
    client.force_login(platform.mila)
    page = client.get(reverse("mlhooks:learning")).content.decode()
    assert "No round yet" in page and "No curve yet" in page
    answer = client.post(reverse("mlhooks:round-draw", args=[platform.pk]))
    assert answer.status_code == 302
    row = LearningRound.objects.get()
    waiting = client.get(reverse("mlhooks:round-list", args=[platform.pk])).content.decode()
    assert 'hx-trigger="every 2s"' in waiting
    assert client.post(reverse("mlhooks:round-draw", args=[platform.pk])).status_code == 409
    rounds.run(row.pk)
    done = client.get(reverse("mlhooks:round-list", args=[platform.pk])).content.decode()
    assert "hx-trigger" not in done and f"Round {row.pk}" in done
    detail = client.get(reverse("mlhooks:round-detail", args=[row.pk])).content.decode()
    assert f'href="{reverse("reviews:draw-detail", args=[row.draws.get().pk])}"' in detail
    pool = client.get(reverse("mlhooks:round-pool", args=[row.pk]))
    assert pq.read_table(io.BytesIO(pool.content)).num_rows == 30
    draw = client.get(reverse("reviews:draw-detail", args=[row.draws.get().pk])).content.decode()
    assert reverse("mlhooks:round-detail", args=[row.pk]) in draw
    assert "probability: that of the item in the pool" in draw


def test_the_page_asks_the_database_as_often_for_many_rounds_as_for_few(platform, client):
    client.force_login(platform.mila)
    url = reverse("mlhooks:learning")
    make_round(platform, model_version=platform.champion, created_by=platform.mila)
    with CaptureQueriesContext(connection) as few:
        client.get(url)
    for _ in range(15):
        make_round(platform, model_version=platform.champion, created_by=platform.mila)
    with CaptureQueriesContext(connection) as many:
        page = client.get(url).content.decode()
    assert page.count("row-link") == 16
    assert len(many) <= len(few) < 25


def test_of_several_platforms_the_page_shows_the_one_that_is_asked_for(platform, client):
    other = make_platform(slug="forum", name="Forum")
    other.members.add(platform.mila)
    make_round(other, seed=1)
    client.force_login(platform.mila)
    row = LearningRound.objects.get()
    links = f'href="{reverse("mlhooks:round-detail", args=[row.pk])}"'
    assert links in client.get(reverse("mlhooks:learning") + "?platform=forum").content.decode()
    assert links not in client.get(reverse("mlhooks:learning") + "?platform=mail").content.decode()
    assert client.get(reverse("mlhooks:learning") + "?platform=nowhere").status_code == 404


def test_the_code_on_the_rounds_page_draws_it_again(
    platform, client, tmp_path, monkeypatch, capsys
):
    for _ in range(30):
        waits(platform, 0.5)
    row = drawn(platform, size=10)
    client.force_login(platform.mila)
    page = client.get(reverse("mlhooks:round-detail", args=[row.pk]))
    (tmp_path / f"round-{row.pk}-pool.parquet").write_bytes(bytes(row.pool.table))
    monkeypatch.chdir(tmp_path)
    exec(page.context["code"], {})  # noqa: S102 - what the page says to run
    moved = Job.objects.filter(lane="learning").order_by("-pk").values_list("item_id", flat=True)
    assert capsys.readouterr().out.strip() == f"{platform.queue.slug} {list(moved)}"


def test_what_is_typed_wrong_is_shown_with_the_reason_and_nothing_is_kept(platform, client):
    client.force_login(platform.mila)
    url = reverse("mlhooks:round-settings", args=[platform.pk])
    typed = {"is_on": "on", "strategy": "default", "every_hours": "soon", "size": "20"}
    answer = client.post(url, typed)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert 'value="soon"' in page and "Give a whole number from 1 to 720." in page
    assert not RoundSettings.objects.exists()
    assert client.post(url, typed | {"every_hours": "12"}).status_code == 302
    saved = RoundSettings.objects.get()
    assert (saved.every_hours, saved.size, saved.per_account) == (12, 20, None)


def test_the_api_draws_a_round_and_tells_of_it(platform, client):
    for _ in range(10):
        waits(platform, 0.5)
    client.force_login(platform.mila)
    body = {"size": 4, "strategy": "risk", "seed": 9}
    answer = client.post("/api/v1/learning-rounds", body, content_type="application/json")
    assert answer.status_code == 202, answer.content
    rounds.run(answer.json()["id"])
    (one,) = client.get("/api/v1/learning-rounds").json()["results"]
    assert (one["state"], one["strategy"], one["seed"], one["pool"]) == ("done", "risk", 9, 10)
    assert one["draws"][0]["queue"] == platform.queue.slug
    assert client.get(f"/api/v1/learning-rounds/{one['id']}").json() == one
    wrong = client.post(
        "/api/v1/learning-rounds", {"strategy": "bald"}, content_type="application/json"
    )
    assert wrong.status_code == 422 and "strategy" in wrong.json()["details"]


def test_the_api_tells_and_changes_how_rounds_are_drawn(platform, client):
    client.force_login(platform.mila)
    url = "/api/v1/learning-rounds/settings"
    usual = client.get(url).json()
    assert (usual["is_on"], usual["every_hours"], usual["next_at"]) == (False, 24, None)
    told = client.patch(
        url, {"is_on": True, "size": 40, "per_cluster": None}, content_type="application/json"
    )
    assert told.status_code == 200, told.content
    assert (told.json()["size"], told.json()["per_cluster"]) == (40, None)
    assert told.json()["changed_by"] == "mila" and told.json()["next_at"] is not None
    assert told.json()["strategy"] == usual["strategy"]  # what is not given stays
    assert client.get(url).json() == told.json()
    for wrong in ({"size": 0}, {"strategy": "bald"}, {"every_hours": 721}):
        answer = client.patch(url, wrong, content_type="application/json")
        assert answer.status_code == 422 and set(answer.json()["details"]) == set(wrong)
    assert client.get(url).json() == told.json()
