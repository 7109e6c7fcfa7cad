"""Text in, a calibrated probability a policy out, with an interval: for people, programs, and a
policy that was written a minute ago."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mlhooks import due, predictions, registry, scoring, tasks
from mlhooks.models import ModelVersion, Prediction, Score
from reviews import policies
from reviews.errors import Conflict, Forbidden, Invalid, NotFound
from reviews.models import Job, Policy, PolicyVersion

from .factories import make_item, make_job, make_platform, make_policy, make_queue
from .people import make_person

pytestmark = pytest.mark.django_db

SPAM = "Buy cheap watches now, limited offer, click here"
TEXT = {
    "summary": "Announcing violence.",
    "definition": "Announcing or wishing violence against a person.",
    "examples": ["I will find you and kill you", "Somebody should beat her"],
    "counter_examples": [],
    "severity": 3,
    "severity_weight": 8,
    "legal_category": "",
}
HAM = "The meeting moved to Thursday, see you there"


@pytest.fixture(autouse=True)
def folders(settings, tmp_path):
    settings.SNAPSHOT_DIR, settings.MODEL_DIR = tmp_path / "snapshots", tmp_path / "models"


@pytest.fixture
def platform():
    platform = make_platform(slug="mail", name="Mail")
    platform.spam = make_policy(
        platform=platform,
        slug="spam",
    )
    PolicyVersion.objects.filter(pk=platform.spam.version.pk).update(
        definition="Unasked-for advertising.",
        examples=["Cheap watches, order now", "Click here for a limited offer", "You won a prize"],
    )
    platform.mila = make_person("mila", platform=platform)
    return platform


def asked(platform, texts=(SPAM, HAM)):
    return predictions.ask(registry.ensure_zero_shot(platform), list(texts), by=platform.mila)


def test_a_text_gets_a_probability_a_policy_and_how_sure_that_is(platform):
    spam, ham = registry.predict(registry.ensure_zero_shot(platform), [SPAM, HAM])

    assert spam["spam"].probability > ham["spam"].probability
    for one in (spam["spam"], ham["spam"]):
        assert 0 < one.low < one.probability < one.high <= 1
        assert one.by == "zero-shot"
    assert spam["spam"].high - spam["spam"].low > 0.5  # no label has confirmed anything


def test_it_is_what_scoring_stores(platform):
    make_queue(platform=platform, policies=[platform.spam])
    item = make_item(platform=platform, text=SPAM)
    due.mark_versions([item.current_version.pk])
    scoring.score_due()
    stored = Score.objects.get(item_version=item.current_version).probability
    found = registry.predict(registry.champion(platform), [item.current_version.text()])
    assert found[0]["spam"].probability == pytest.approx(stored, abs=2e-3)


def test_a_policy_written_a_minute_ago_is_ranked_by_and_honest(platform):
    """A model is live and its queue is scored; a policy owner writes another policy and puts it in
    force: what waits and what comes in is ranked by it, and it says how little is known."""
    queue = make_queue(platform=platform, policies=[platform.spam])
    grave = "I will find you and beat you to death"
    waiting = make_job(queue=queue, item=make_item(platform=platform, text=grave))
    due.mark_versions([waiting.item.current_version.pk])
    scoring.score_due()
    champion = registry.champion(platform)
    assert tasks.sweep_policies() == 0  # all that is in force is answered already
    before = Job.objects.get(pk=waiting.pk).rank

    paul = make_person("paul", platform=platform)
    threats = policies.create_policy(platform, by=paul, slug="threats", name="Threats", text=TEXT)
    queue.policies.add(threats)
    assert tasks.sweep_policies() == 1  # what waits is due again, …
    assert tasks.sweep_policies() == 0  # … once
    calm = make_job(queue=queue, item=make_item(platform=platform, text=HAM))
    due.mark_versions([calm.item.current_version.pk])
    scoring.score_due()

    waiting, calm = (Job.objects.get(pk=one.pk) for one in (waiting, calm))
    assert waiting.item.risks["threats"] > calm.item.risks["threats"]
    assert waiting.rank > max(calm.rank, before)
    assert registry.champion(platform) == champion  # nobody trained or promoted anything
    assert not champion.policy_versions.filter(policy=threats).exists()
    answer = registry.predict(champion, [waiting.item.current_version.text()])[0]["threats"]
    assert answer.probability == pytest.approx(waiting.item.risks["threats"], abs=2e-3)
    assert answer.by == "zero-shot"
    assert answer.high - answer.low > 0.5


def test_a_worker_answers_once(platform):
    row = asked(platform)
    assert tasks.score_texts(row.pk) is True
    assert tasks.score_texts(row.pk) is False
    row.refresh_from_db()
    assert (row.state, row.error, row.attempts) == ("ready", "", 1)
    assert [list(one) for one in row.answers] == [["spam"], ["spam"]]
    assert row.answers[0]["spam"]["probability"] > row.answers[1]["spam"]["probability"]


def test_what_went_wrong_is_said(platform):
    row = asked(platform)
    (registry.folder(row.model_version) / registry.WEIGHTS).unlink()
    tasks.score_texts(row.pk)
    row.refresh_from_db()
    assert row.state == "failed"
    assert "cannot be read" in row.error


def test_a_model_of_another_encoder_is_refused_in_words(platform):
    row = asked(platform)
    ModelVersion.objects.update(encoder="another@0123/fp32")
    tasks.score_texts(row.pk)
    row.refresh_from_db()
    assert row.state == "failed"
    assert "another@0123/fp32" in row.error


def test_the_sweep_asks_again_and_forgets_after_a_day(platform):
    lost, old, fresh = asked(platform), asked(platform), asked(platform)
    ago = timezone.now()
    Prediction.objects.filter(pk=lost.pk).update(created_at=ago - timedelta(minutes=1))
    Prediction.objects.filter(pk=old.pk).update(created_at=ago - timedelta(hours=25), state="ready")
    for _ in range(2):
        assert tasks.sweep_predictions() == 1
    left = set(Prediction.objects.values_list("pk", flat=True))
    assert left == {lost.pk, fresh.pk}


@pytest.mark.parametrize("texts", [[], ["x"] * 65, ["x" * 20_001]])
def test_none_too_many_or_too_long_texts_are_refused(platform, texts):
    with pytest.raises(Invalid):
        asked(platform, texts)


def test_too_many_waiting_are_refused(platform, monkeypatch):
    monkeypatch.setattr(predictions, "MOST_OPEN", 2)
    asked(platform), asked(platform)
    with pytest.raises(Conflict, match="wait"):
        asked(platform)


def test_only_who_may_asks_and_only_on_her_platform(platform):
    champion = registry.ensure_zero_shot(platform)
    with pytest.raises(Forbidden):
        predictions.ask(champion, [SPAM], by=make_person("rosa", platform=platform))
    stranger = make_person("paul", platform=make_platform(slug="other"))
    with pytest.raises(NotFound):
        predictions.ask(champion, [SPAM], by=stranger)


def test_over_the_api_asked_answered_and_read(platform):
    champion = registry.ensure_zero_shot(platform)
    client = Client()
    client.force_login(platform.mila)
    answer = client.post(
        reverse("mlhooks_api:predict", args=[champion.number]),
        json.dumps({"texts": [SPAM, "", "a\nb"]}),
        content_type="application/json",
    )
    assert answer.status_code == 202, answer.content
    body = answer.json()
    assert (body["state"], body["answers"]) == ("waiting", [])

    tasks.score_texts(body["id"])

    found = client.get(reverse("mlhooks_api:prediction", args=[body["id"]])).json()
    assert found["state"] == "ready"
    assert len(found["answers"]) == 3
    assert set(found["answers"][0]["spam"]) == {"probability", "low", "high", "by"}


def test_by_command(platform, capsys):
    registry.ensure_zero_shot(platform)
    call_command("predict", SPAM, HAM, "--json")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["text"] for line in lines] == [SPAM, HAM]
    assert 0 <= lines[0]["answers"]["spam"]["low"] < 1
    call_command("predict", SPAM)
    assert "zero-shot)" in capsys.readouterr().out
    with pytest.raises(CommandError, match="no model version 9"):
        call_command("predict", SPAM, "--model", "9")


def test_the_models_page_says_what_calibrated_it(platform):
    from mlhooks.views.models import _calibrated

    said = _calibrated(
        {"method": "isotonic", "rows": "random lane", "n": 900, "positives": 41, "level": 0.0}
    )
    assert "isotonic" in said
    assert "random lane" in said
    assert "900 rows, 41 violating" in said
    assert Policy.objects.count() == 1
