"""A look at the champion on live items: real rows, a real head, and what it says when there is too
little to say."""

from datetime import timedelta

import numpy as np
import pytest
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from mlhooks import drift, monitoring, registry, scoring, shares, tasks
from mlhooks.models import Alert, ModelVersion, Monitoring, Promotion, Snapshot
from reviews.errors import Conflict, Forbidden
from reviews.models import AuditEntry, Item, Lane

from .factories import make_item, make_job, make_platform, make_policy, make_queue
from .people import make_person
from .test_access import client_of
from .test_learning import HAM, SPAM
from .test_snapshots import decide, group_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folders(settings, tmp_path):
    settings.SNAPSHOT_DIR, settings.MODEL_DIR = tmp_path / "snapshots", tmp_path / "models"
    scoring._scorers.clear()


@pytest.fixture
def platform():
    platform = make_platform(slug="mail", name="Mail")
    platform.spam = make_policy(platform=platform, slug="spam", name="Spam")
    platform.queue = make_queue(platform=platform, policies=[platform.spam])
    platform.rosa = make_person("rosa", platform=platform)
    platform.mila = make_person("mila", platform=platform)
    return platform


def label(platform, score, violates, *, chance=0.1, language="en", source="", lane=Lane.RANDOM):
    """A decision of the random lane on an item that a model had scored."""
    item = make_item(platform=platform, text="Buy now", language=language)
    Item.objects.filter(pk=item.pk).update(
        risks={"spam": score}, risk=score, risk_source=source or "v1 zero-shot"
    )
    more = {} if lane == Lane.RISK else {"inclusion_probability": chance}
    return decide(platform, violated=["spam"] if violates else [], item=item, lane=lane, **more)


def look(platform) -> Monitoring:
    found = monitoring.start_monitoring(platform, by=None)
    monitoring.work_out(found.pk)
    found.refresh_from_db()
    assert found.state == "ready", found.error
    return found


def come_in(platform, texts, *, days_ago, count=drift.LEAST_ITEMS, language="en"):
    items = [
        make_item(
            platform=platform,
            text=f"{texts[n % len(texts)]} {n % 7}",
            language=language,
            submitted_at=timezone.now() - timedelta(days=days_ago),
        )
        for n in range(count)
    ]
    return items


def test_a_band_is_confirmed_by_the_random_lane_weighted_back(platform):
    registry.ensure_zero_shot(platform)
    for violates, chance in [(True, 0.1), (False, 0.1), (False, 0.5), (False, 0.5)]:
        label(platform, 0.3, violates, chance=chance)
    label(platform, 0.9, True)
    label(platform, 0.3, True, lane=Lane.RISK)  # stands for nothing but itself
    found = look(platform)

    low, high = monitoring.bands_of(monitoring.cells_of(found), "spam")
    # Weights 10, 10, 2, 2: 10 of 24 violate.
    assert (low.low, low.confirmed.n) == (0.2, 4)
    assert low.confirmed.value == pytest.approx(10 / 24)
    assert low.confirmed.effective == pytest.approx(24**2 / 208)
    assert low.promised == pytest.approx(0.3)
    assert (high.low, high.confirmed.value) == (0.8, 1)
    assert found.figures["labels"] == 5


def test_bands_can_be_told_apart_by_model_and_language(platform):
    registry.ensure_zero_shot(platform)
    label(platform, 0.3, True, language="de")
    label(platform, 0.3, False, language="en")
    label(platform, 0.3, False, source="v9 trained")
    cells = monitoring.cells_of(look(platform))
    assert len(cells) == 3

    def n(**kw):
        return sum(one.confirmed.n for one in monitoring.bands_of(cells, "spam", **kw))

    assert (n(), n(model="v1 zero-shot"), n(model="v9 trained")) == (3, 2, 1)
    assert (n(language="de"), n(language="en"), n(language="fr")) == (1, 2, 0)
    (german,) = monitoring.bands_of(cells, "spam", language="de")
    assert german.confirmed.value == 1


def test_with_too_few_labels_and_items_it_says_so_and_raises_no_alarm(platform):
    registry.ensure_zero_shot(platform)
    for _ in range(3):
        label(platform, 0.99, False)
    found = look(platform)
    figures = found.figures["policies"]["spam"]
    assert figures["calibration"] == {"value": None, "n": 3}
    assert figures["agreement"] == {"value": None, "n": 3}
    assert found.figures["length"] is None and found.figures["language"] is None
    assert monitoring.values_of(found.figures) == {}
    assert not Alert.objects.exists()


def test_calibration_and_agreement_are_the_champions_own(platform):
    registry.ensure_zero_shot(platform)
    rng = np.random.default_rng(0)
    # It says 0.9 and one in two violates; another model's scores are not its fault.
    truth = rng.permutation([True, False] * 30)
    for violates in truth:
        label(platform, 0.9, bool(violates))
    for _ in range(10):
        label(platform, 0.1, True, source="v9 trained")
    found = look(platform)
    figures = found.figures["policies"]["spam"]
    assert figures["calibration"] == {"value": pytest.approx(0.4), "n": 60}
    assert figures["agreement"]["value"] == pytest.approx(0.5)
    assert figures["agreement"]["low"] < 0.5 < figures["agreement"]["high"]
    assert figures["agreement"]["threshold"] == 0.5
    opened = {(one.policy.slug, one.figure) for one in Alert.objects.all()}
    assert opened == {("spam", "calibration"), ("spam", "agreement")}


def test_drift_is_seen_in_score_length_and_language(platform):
    registry.ensure_zero_shot(platform)
    come_in(platform, HAM, days_ago=15)
    come_in(platform, [f"{one} " * 4 for one in SPAM], days_ago=2, language="de")
    found = look(platform)
    assert found.figures["items"] == [200, 200]
    values = monitoring.values_of(found.figures)
    assert values["", "length"] > 0.25
    assert values["", "language"] > 0.25
    assert values["spam", "score"] > 0.25
    assert found.figures["language"]["parts"] == [["de", 0.0, 1.0], ["en", 1.0, 0.0]]


def test_the_same_stream_does_not_drift(platform):
    registry.ensure_zero_shot(platform)
    come_in(platform, SPAM + HAM, days_ago=15)
    come_in(platform, SPAM + HAM, days_ago=2)
    values = monitoring.values_of(look(platform).figures)
    assert set(values) == {("spam", "score"), ("", "length"), ("", "language")}
    assert max(values.values()) < 0.1
    assert not Alert.objects.exists()


def test_what_a_model_was_trained_on_makes_nobody_believe_the_stream_has_moved(
    platform, monkeypatch
):
    """A head that is sure of what it was taught, and of nothing else; the stream is the same."""
    champion = registry.ensure_zero_shot(platform)
    snapshot = Snapshot.objects.create(
        platform=platform, number=1, cutoff_id=0, cutoff_at=timezone.now() - timedelta(days=7)
    )
    ModelVersion.objects.filter(pk=champion.pk).update(snapshot=snapshot)
    for days_ago in (15, 2):
        for n in range(2 * drift.LEAST_ITEMS):
            side = "train" if n % 2 else "test"
            make_item(
                platform=platform,
                text=f"{side} {days_ago} {n % 20}",
                split_group=group_in(side),
                submitted_at=timezone.now() - timedelta(days=days_ago),
            )

    class Overfitted:
        policies = ("spam",)

        def predict(self, vectors, texts):
            return np.array(
                [[0.99 if one.startswith("train 15") else 0.01 * int(one[-1])] for one in texts]
            )

    monkeypatch.setattr(registry, "load", lambda model_version: Overfitted())
    found = look(platform).figures
    assert found["policies"]["spam"]["score"]["value"] < 0.05
    assert found["scored"] == [drift.LEAST_ITEMS, drift.LEAST_ITEMS]
    assert found["items"] == [2 * drift.LEAST_ITEMS] * 2


# When it looks


def test_looking_twice_is_looking_once(platform):
    registry.ensure_zero_shot(platform)
    found = monitoring.start_monitoring(platform, by=platform.mila)
    with pytest.raises(Conflict):
        monitoring.start_monitoring(platform, by=platform.mila)
    with pytest.raises(Forbidden):
        monitoring.start_monitoring(platform, by=platform.rosa)
    tasks.watch_models(found.pk)
    found.refresh_from_db()
    before = found.finished_at
    tasks.watch_models(found.pk)
    found.refresh_from_db()
    assert (found.state, found.finished_at, found.attempts) == ("ready", before, 1)
    assert AuditEntry.objects.filter(verb="monitoring.run").count() == 1


def test_a_look_is_begun_once_a_day(platform):
    assert tasks.start_monitoring() == 0  # no champion, nothing to look at
    registry.ensure_zero_shot(platform)
    assert tasks.start_monitoring() == 1
    assert tasks.start_monitoring() == 0
    Monitoring.objects.update(state="ready", created_at=Now() - timedelta(hours=23, minutes=1))
    assert tasks.start_monitoring() == 1


def test_one_that_has_waited_for_a_day_holds_up_no_other(platform):
    """No worker came: the first platform's look still waits."""
    registry.ensure_zero_shot(platform)
    waiting = monitoring.start_monitoring(platform, by=None)
    other = make_platform(slug="other")
    make_policy(platform=other, slug="spam")
    registry.ensure_zero_shot(other)
    ago = Now() - timedelta(hours=24)
    Monitoring.objects.filter(pk=waiting.pk).update(created_at=ago)
    assert tasks.start_monitoring() == 1
    assert Monitoring.objects.exclude(pk=waiting.pk).get().platform == other


def test_a_silent_look_is_begun_again(platform):
    found = Monitoring.objects.create(platform=platform)
    assert tasks.sweep_monitoring() == 0
    Monitoring.objects.update(
        state="running", attempts=1, heartbeat_at=Now() - timedelta(minutes=5)
    )
    assert tasks.sweep_monitoring() == 1
    tasks.watch_models(found.pk)
    assert tasks.sweep_monitoring() == 0
    found.refresh_from_db()
    assert (found.state, found.attempts) == ("ready", 2)


# Pages and the metric


def test_the_page_shows_bands_drift_and_what_is_too_few(platform):
    client = client_of(platform.mila)
    empty = client.get(reverse("mlhooks:monitoring")).content.decode()
    assert "Nobody has looked yet" in empty
    registry.ensure_zero_shot(platform)
    for violates in [True] * 20 + [False] * 20:
        label(platform, 0.9, violates, language="de")
    look(platform)
    page = client.get(reverse("mlhooks:monitoring")).content.decode()
    assert "40 random-lane labels" in page
    assert "Not kept" in page and "50.0\u202f%" in page
    assert "it takes 50" in page
    other = client.get(reverse("mlhooks:monitoring"), {"language": "en"}).content.decode()
    assert "Not kept" in other  # no such language: all of them


def test_metrics_are_for_the_token_and_for_who_may_see_models(platform, client, settings):
    registry.ensure_zero_shot(platform)
    come_in(platform, HAM, days_ago=15)
    come_in(platform, SPAM, days_ago=2, language='d"e')
    look(platform)
    url = reverse("metrics")
    assert client.get(url).status_code == 403
    assert client.get(url, headers={"Authorization": "Bearer "}).status_code == 403
    settings.METRICS_TOKEN = "s3cret"
    assert client.get(url, headers={"Authorization": "Bearer s3cre"}).status_code == 403
    page = client.get(url, headers={"Authorization": "Bearer s3cret"})
    lines = page.content.decode().splitlines()
    assert page["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "# TYPE trustconsole_model_alerts_open gauge" in lines
    opened = 'trustconsole_model_alerts_open{platform="mail",acknowledged="no"}'
    assert any(line.startswith(opened) and not line.endswith(" 0") for line in lines)
    assert any(
        line.startswith('trustconsole_model_figure{platform="mail",policy="spam",figure="score"}')
        for line in lines
    )
    assert "mail" in client_of(platform.mila).get(url).content.decode()
    assert client_of(platform.rosa).get(url).status_code == 403


def come_in_scored(platform, score, *, count, source="v1 zero-shot", submitted_at=None):
    """Items that nobody read, each with a job that waits in the queue."""
    for _ in range(count):
        more = {} if submitted_at is None else {"submitted_at": submitted_at}
        item = make_item(platform=platform, text="Buy now", **more)
        Item.objects.filter(pk=item.pk).update(
            risks={"spam": score}, risk=score, risk_source=source
        )
        make_job(item=item, queue=platform.queue)


def test_the_share_of_all_is_the_random_lane_weighted_back(platform):
    registry.ensure_zero_shot(platform)
    for violates, chance in [(True, 0.1), (False, 0.1), (False, 0.5), (False, 0.5)]:
        label(platform, 0.3, violates, chance=chance)
    label(platform, 0.9, True, lane=Lane.RISK)  # stands for nothing but itself
    share = look(platform).figures["policies"]["spam"]["share"]
    # Weights 10, 10, 2, 2: 10 of 24 violate; too few for the champion to be of help.
    assert (share["value"], share["n"], share["hits"]) == (pytest.approx(10 / 24), 4, 1)
    assert share["is_assisted"] is False


def test_what_the_champion_said_of_the_unread_moves_the_share(platform):
    registry.ensure_zero_shot(platform)
    for violates in [True] * 12 + [False] * 4:
        label(platform, 0.8, violates)
    for violates in [True] * 4 + [False] * 12:
        label(platform, 0.2, violates)
    come_in_scored(platform, 0.2, count=64)
    long_ago = timezone.now() - timedelta(days=2)  # before it was champion: not looked at
    come_in_scored(platform, 0.8, count=9, submitted_at=long_ago)
    come_in_scored(platform, 0.8, count=9, source="v9 trained")
    share = look(platform).figures["policies"]["spam"]["share"]
    # Drawn: half violate at a mean score of .5. Of all 96 it is (16 · .8 + 80 · .2) / 96 = .3; the
    # line rises by (.75 − .25) / (.8 − .2): .5 − .2 · .5 / .6.
    assert share["is_assisted"] is True
    assert share["value"] == pytest.approx(0.5 - 0.2 * 0.5 / 0.6)
    assert share["low"] < share["value"] < share["high"]
    page = client_of(platform.mila).get(reverse("mlhooks:monitoring")).content.decode()
    assert "33.3\u202f%" in page and "champion's word" in page


def test_the_champion_does_not_help_while_most_labels_are_of_another_model(platform):
    registry.ensure_zero_shot(platform)
    for n in range(20):
        label(platform, 0.8, n < 10)
    for n in range(21):
        label(platform, 0.1, n < 10, source="v9 trained")
    share = look(platform).figures["policies"]["spam"]["share"]
    assert (share["n"], share["is_assisted"]) == (41, False)
    assert share["value"] == pytest.approx(20 / 41)


def test_a_model_that_came_back_helps_from_then_on(platform):
    first = registry.ensure_zero_shot(platform)
    Promotion.objects.create(model_version=first, previous=None, approved_at=Now())
    second = Promotion.objects.create(
        model_version=first, previous=first, approved_at=None, rolled_back_at=Now()
    )
    second.refresh_from_db()
    assert shares.champion_since(first) == second.rolled_back_at
