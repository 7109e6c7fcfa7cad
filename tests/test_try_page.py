"""Try a text: pasted, answered by a worker, shown with what moved it, and gone."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.urls import reverse

from mlhooks import registry, tasks
from mlhooks.models import ModelVersion, Prediction, Score
from reviews.models import Item

from .factories import make_platform, make_policy
from .people import make_person
from .test_access import client_of
from .test_predictions import HAM, SPAM, folders, platform  # noqa: F401  (fixtures)

pytestmark = pytest.mark.django_db

TEXT = f"{HAM}. {SPAM}! The train was late."
HTMX = {"HX-Request": "true"}


@pytest.fixture
def model(platform):  # noqa: F811
    model = registry.ensure_zero_shot(platform)
    model.evaluation = {"candidate": {"spam": {"threshold": 0.04}}}
    model.save()
    return model


@pytest.fixture
def client(platform):  # noqa: F811
    return client_of(platform.mila)


def try_(client, model, text=TEXT, **kw):
    return client.post(reverse("mlhooks:model-try", args=[model.pk]), {"text": text}, **kw)


def answer(client, **given):
    url = reverse("mlhooks:try-answer", args=[Prediction.objects.get().pk])
    return client.post(url, given, headers=HTMX)


def test_a_text_is_tried_and_its_answer_tells_how_sure_and_why(client, model):
    waiting = try_(client, model, headers=HTMX).content.decode()
    row = Prediction.objects.get()
    assert reverse("mlhooks:try-answer", args=[row.pk]) in waiting
    assert "piece by piece" in answer(client).content.decode()

    tasks.score_texts(row.pk)
    row.refresh_from_db()
    found = row.answers[0]["spam"]
    page = answer(client).content.decode()

    assert f"{100 * found['probability']:.1f}\u202f%" in page
    assert "95 % interval" in page and "above its threshold of 4.0\u202f%" in page
    assert "answered by: Zero-shot" in page
    assert f'<q dir="auto" class="break">{SPAM}!</q>' in page and "without it" in page


def test_nothing_of_it_is_kept(client, model):
    try_(client, model)
    tasks.score_texts(Prediction.objects.get().pk)
    assert answer(client).status_code == 200
    assert not Prediction.objects.exists()
    assert not Item.objects.exists() and not Score.objects.exists()


def test_what_nobody_came_back_for_goes_after_ten_minutes(client, model):
    try_(client, model)
    Prediction.objects.update(created_at=Now() - timedelta(minutes=9))
    tasks.sweep_predictions()
    assert Prediction.objects.count() == 1
    Prediction.objects.update(created_at=Now() - timedelta(minutes=11))
    tasks.sweep_predictions()
    assert not Prediction.objects.exists()


def test_a_worker_that_is_still_at_it_writes_nothing_back(client, model, monkeypatch):
    try_(client, model)
    row = Prediction.objects.get()
    ready = registry.make_ready

    def forgotten_meanwhile(model_version):
        row.delete()
        return ready(model_version)

    monkeypatch.setattr(registry, "make_ready", forgotten_meanwhile)
    tasks.score_texts(row.pk)
    assert not Prediction.objects.exists()


def test_without_scripts_it_is_a_page_that_asks_for_the_answer(client, model):
    sent = try_(client, model)
    page = client.get(sent["Location"]).content.decode()
    assert "Show the answer" in page and SPAM in page
    row = Prediction.objects.get()
    tasks.score_texts(row.pk)
    page = client.post(reverse("mlhooks:try-answer", args=[row.pk])).content.decode()
    assert "<!doctype html>" in page.lower() and "without it" in page and SPAM in page
    assert "is deleted" in client.get(sent["Location"]).content.decode()


def test_what_is_no_text_is_sent_back_with_what_was_typed(client, model):
    empty = try_(client, model, text="  ")
    assert empty.status_code == 422 and "Paste a text." in empty.content.decode()
    long = try_(client, model, text="x" * 20_001)
    assert long.status_code == 422 and "x" * 20_001 in long.content.decode()
    assert try_(client, model, text="", headers=HTMX)["HX-Retarget"] == "#_notice"
    assert not Prediction.objects.exists()


def test_what_went_wrong_is_said(client, model):
    ModelVersion.objects.update(encoder="another@0123/fp32")
    try_(client, model)
    tasks.score_texts(Prediction.objects.get().pk)
    assert "another@0123/fp32" in answer(client).content.decode()
    assert not Prediction.objects.exists()


def test_a_worker_that_does_not_come_is_not_waited_for_for_ever(client, model):
    try_(client, model)
    page = answer(client, turn="40").content.decode()
    assert "No worker has answered yet" in page and "hx-trigger" not in page


def test_the_answer_is_hers_alone_and_not_the_apis(client, model, platform):  # noqa: F811
    try_(client, model)
    row = Prediction.objects.get()
    paul = client_of(make_person("paul", platform=platform))
    assert paul.post(reverse("mlhooks:try-answer", args=[row.pk])).status_code == 404
    assert client.get(reverse("mlhooks_api:prediction", args=[row.pk])).status_code == 404


def test_from_a_policys_page_its_own_answer_comes_first(client, model, platform):  # noqa: F811
    link = reverse("mlhooks:try-policy", args=[platform.spam.pk])
    rosa = client_of(make_person("rosa", platform=platform))
    url = reverse("reviews:policy-detail", args=["spam"])
    assert link in client.get(url).content.decode()
    assert link not in rosa.get(url).content.decode()
    to = client.get(link)["Location"]
    assert to == f"{reverse('mlhooks:model-try', args=[model.pk])}?policy=spam"
    assert 'name="policy" value="spam"' in client.get(to).content.decode()
    assert rosa.get(link).status_code == 403


def test_without_a_champion_a_policys_page_says_so():
    policy = make_policy(platform=make_platform(slug="new"), slug="threats")
    client = client_of(make_person("paul", platform=policy.platform))
    page = client.get(reverse("mlhooks:try-policy", args=[policy.pk]))
    assert page.status_code == 409 and "There is no champion yet" in page.content.decode()


def test_the_api_tells_spans_too(client, model):
    url = reverse("mlhooks_api:predict", args=[model.number])
    body = {"texts": [TEXT, "Hello"], "spans": True}
    asked = client.post(url, body, content_type="application/json").json()
    tasks.score_texts(asked["id"])
    found = client.get(reverse("mlhooks_api:prediction", args=[asked["id"]])).json()
    (strongest, *_more), none = found["spans"]
    assert strongest["policy"] == "spam"
    assert TEXT[strongest["start"] : strongest["end"]] == f"{SPAM}!"
    assert strongest["effect"] > 0.02 and none == []
    plain = client.post(url, {"texts": [TEXT]}, content_type="application/json").json()
    tasks.score_texts(plain["id"])
    assert client.get(reverse("mlhooks_api:prediction", args=[plain["id"]])).json()["spans"] == []
    many = client.post(url, {"texts": ["x"] * 9, "spans": True}, content_type="application/json")
    assert many.status_code == 422
