"""What in a text moved its score: where, by how much, for whom, and that it was shown."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.urls import reverse
from django.utils import timezone

from mlhooks import pieces, scoring, strongest, tasks
from mlhooks.heads import HeadRefused
from mlhooks.models import ModelVersion, StrongSpans
from reviews.models import AuditEntry, Item, Lane
from tests.factories import move_to_lane
from tests.test_evidence import HTMX, World

TEXT = "Hello Dora. 😀 Send me your bank details now! See you on Thursday."
BAD = "😀 Send me your bank details now!"


def toy(texts):
    """A head that hears one sentence only, and a second that hears a word of another."""
    return {
        "spam": [0.9 if "bank" in text else 0.1 for text in texts],
        "scam": [0.2 if "Thursday" in text else 0.15 for text in texts],
        "fraud": [0.5 for text in texts],
    }


def words_of(text, found=None):
    return [text[start:end] for start, end in found or pieces.cut(text)]


def test_a_text_is_cut_into_its_sentences():
    assert words_of(TEXT) == ["Hello Dora.", BAD, "See you on Thursday."]
    assert words_of("one\n\n two") == ["one", "two"]
    assert words_of("今日は。明日も!") == ["今日は。", "明日も!"]
    assert words_of(" \n ") == []


def test_a_lone_or_endless_sentence_is_cut_into_windows_of_words():
    assert words_of("a b c d e f g") == ["a b c", "d e f", "g"]
    long = " ".join(f"w{n}" for n in range(50))
    assert [len(one.split()) for one in words_of(f"Hi. {long}")] == [1, 12, 12, 12, 12, 2]
    assert len(words_of("x" * 300)) > 2


def test_a_long_text_has_few_pieces_and_loses_none_of_them():
    text = " ".join(f"Sentence {n}." for n in range(1000))
    found = pieces.cut(text)
    assert len(found) <= pieces.MOST
    assert " ".join(words_of(text, found)) == text


def test_the_sentence_that_carries_the_score_is_found_where_it_stands():
    found = strongest.find({"title": "An offer", "body": TEXT}, toy)
    spam, scam = found
    assert (spam.policy, spam.field, TEXT[spam.start : spam.end]) == ("spam", "body", BAD)
    assert (spam.effect, spam.is_strong) == (0.8, True)
    assert (scam.policy, TEXT[scam.start : scam.end]) == ("scam", "See you on Thursday.")
    assert not scam.is_strong


def test_it_is_one_batch_of_bounded_texts_and_three_spans_a_policy():
    asked = []

    def predict(texts):
        asked.append(texts)
        return {"spam": [len(text) / 100_000 for text in texts]}

    text = "".join(f"{'x' * 15_00} {n}. " for n in range(20))
    found = strongest.find({"title": text, "body": text}, predict)
    assert len(asked) == 1 and len(asked[0]) <= pieces.MOST + 1
    assert len(found) == 0  # each piece moves it by less than is worth saying
    many = strongest.find({"body": TEXT}, lambda texts: {"spam": [len(t) / 100 for t in texts]})
    assert [one.effect for one in many] == sorted((one.effect for one in many), reverse=True)
    assert len(many) == strongest.A_POLICY


def test_a_single_word_has_nothing_to_be_compared_with():
    assert strongest.find({"body": "Hello"}, toy) == []


class Floor(World):
    """rosa's item says TEXT and was scored; the worker's work is done by the test."""

    def __init__(self, monkeypatch, **kw):
        super().__init__(**kw)
        self.item = self.add(TEXT, risks={"spam": 0.9}, risk=0.9)
        self.model = ModelVersion.objects.create(
            platform=self.platform, number=1, kind="trained", state="champion", encoder="e1/fp32"
        )
        self.sent = []
        monkeypatch.setattr(scoring, "predictor", lambda platform_id: toy)
        broker = SimpleNamespace(
            send_task=lambda name, args, **kw: self.sent.append((name, args)),
        )
        monkeypatch.setattr(strongest, "current_app", broker)

    @property
    def version(self):
        return Item.objects.get(pk=self.item.pk).current_version

    def work(self):
        for _name, args in self.sent:
            tasks.score_pieces(*args)

    def ask(self, name="rosa", *, turn=0, headers=HTMX, **kw):
        if not hasattr(self, "job"):
            self.hold("rosa")
        return self.client(name).post(
            reverse("mlhooks:job-strongest", args=[self.job.pk]),
            {"version": self.version.pk, "turn": turn, **kw},
            headers=headers,
        )


@pytest.fixture
def floor(db, monkeypatch):
    return Floor(monkeypatch)


def test_the_first_turn_asks_a_worker_and_the_next_shows_its_answer(floor):
    waits = floor.ask().content.decode()
    assert "piece by piece" in waits and "delay:500ms" in waits
    assert floor.sent == [("mlhooks.tasks.score_pieces", [floor.version.pk])]
    assert "piece by piece" in floor.ask(turn=1).content.decode()
    assert len(floor.sent) == 1
    floor.work()
    shown = floor.ask(turn=2).content.decode()
    assert "bank details" in shown and "pushes it up strongly" in shown and "Spam" in shown
    start = TEXT.index(BAD)
    assert f'data-start="{start}" data-end="{start + len(BAD)}"' in shown


def test_a_policy_of_another_queue_is_not_named(floor):
    floor.ask()
    floor.work()
    assert [name for name, _spans in floor.ask().context["told"]] == ["Spam"]


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (HeadRefused("The weights were changed."), "The weights were changed."),
        (ZeroDivisionError("a secret of the text"), "ZeroDivisionError"),
    ],
)
def test_a_worker_that_fails_says_so_and_is_asked_again(floor, monkeypatch, trouble, said):
    def predictor(platform_id):
        raise trouble

    floor.ask()
    with monkeypatch.context() as broken:
        broken.setattr(scoring, "predictor", predictor)
        floor.work()
    page = floor.ask(turn=1).content.decode()
    assert f"It could not be worked out: {said}" in page
    assert "secret" not in page and "hx-post" not in page
    assert not AuditEntry.objects.filter(verb="item.strongest").exists()
    assert "piece by piece" in floor.ask().content.decode()
    floor.work()
    assert floor.ask(turn=1).context["told"]


def test_without_a_model_nobody_is_kept_waiting(floor):
    ModelVersion.objects.update(state="retired")
    assert "No model scores here" in floor.ask().content.decode()
    assert floor.sent == []


def test_it_gives_up_with_a_word(floor):
    page = floor.ask(turn=20).content.decode()
    assert "No worker answered. Try again." in page and "hx-post" not in page


def test_whoever_asks_next_has_it_at_once_and_a_new_champion_is_asked_anew(floor):
    floor.ask()
    floor.work()
    floor.sent.clear()
    assert floor.ask().context["told"]
    assert floor.sent == []
    ModelVersion.objects.update(state="retired")
    ModelVersion.objects.create(
        platform=floor.platform, number=2, kind="trained", state="champion", encoder="e1/fp32"
    )
    assert floor.ask().context["told"] is None
    assert len(floor.sent) == 1


def test_the_task_may_run_twice_and_without_a_model_or_an_item(floor):
    assert tasks.score_pieces(floor.version.pk) is True
    assert tasks.score_pieces(floor.version.pk) is False
    assert StrongSpans.objects.count() == 1
    assert tasks.score_pieces(0) is False
    ModelVersion.objects.update(state="retired")
    assert tasks.score_pieces(floor.version.pk) is False


def test_that_it_was_shown_is_in_the_trail_and_waiting_is_not(floor):
    floor.ask()
    assert not AuditEntry.objects.filter(verb="item.strongest").exists()
    floor.work()
    floor.ask(turn=1)
    entry = AuditEntry.objects.get(verb="item.strongest")
    assert entry.actor == floor.people["rosa"]
    assert (entry.target_id, entry.data) == (str(floor.item.pk), {"job": floor.job.pk})


@pytest.mark.django_db
def test_where_the_score_is_hidden_there_is_no_such_thing(monkeypatch):
    floor = Floor(monkeypatch, blind=["score"])
    floor.ask()
    tasks.score_pieces(floor.version.pk)
    answer = floor.ask()
    assert answer.status_code == 404
    assert "bank details" not in answer.content.decode() and floor.sent == []
    desk = floor.client().get(reverse("reviews:review", args=[floor.queue.slug]))
    assert "data-strongest" not in desk.content.decode()


@pytest.mark.parametrize("lane", Lane.blind())
def test_nor_in_a_lane_that_measures(floor, lane):
    floor.hold("rosa")
    move_to_lane(lane)
    assert floor.ask().status_code == 404


def test_who_does_not_hold_the_job_is_told_nothing(floor):
    floor.ask()
    floor.work()
    assert floor.ask("remy").status_code == 204
    assert floor.ask("remy", headers={}).status_code == 409
    url = reverse("mlhooks:job-strongest", args=[floor.job.pk])
    assert floor.client().get(url).status_code == 405
    assert not AuditEntry.objects.filter(verb="item.strongest").exists()


def test_places_in_an_older_text_are_not_shown(floor):
    assert floor.ask(version="1" + str(floor.version.pk)).status_code == 409


def test_what_arrives_covered_is_not_quoted(floor, monkeypatch):
    floor.ask()
    floor.work()
    monkeypatch.setattr("reviews.wellness.covered_by", lambda *args, **kw: ["Spam"])
    page = floor.ask().content.decode()
    assert "bank details" not in page and "Passage 1" in page


def test_old_rows_go(floor):
    tasks.score_pieces(floor.version.pk)
    assert tasks.prune_strong_spans() == 0
    StrongSpans.objects.update(created_at=timezone.now() - strongest.KEPT - timedelta(hours=1))
    assert tasks.prune_strong_spans() == 1
    assert tasks.prune_strong_spans() == 0
