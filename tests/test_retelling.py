"""What rows keep in English is read in the reader's language, and nothing else is touched."""

import pytest
from django.utils import translation

from reviews.retelling import retold
from reviews.wording import kept

GERMAN = {
    kept("nothing waits for it"): "dazu wartet nichts",
    kept("%(person)s is working on it", person="rosa"): "rosa arbeitet gerade daran",
    kept("%(queue)s does not judge %(policies)s", queue="Mail", policies="spam, hate"): (
        "Mail beurteilt nicht nach spam, hate"
    ),
}


@pytest.mark.parametrize("text", GERMAN)
def test_a_kept_sentence_is_read_in_german_and_in_english(text):
    with translation.override("de"):
        assert retold(text) == GERMAN[text]
    with translation.override("en"):
        assert retold(text) == text


def test_what_a_sentence_was_kept_with_is_read_too():
    advice = "Try a shorter period."
    text = (
        "The process that ran it stopped 3 times without a word; it may be short of memory. "
        f"{advice} Look at the worker's log."
    )
    with translation.override("de"):
        told = retold(text)
    assert "3-mal" in told and "Versuchen Sie einen kürzeren Zeitraum. Sehen Sie" in told


@pytest.mark.parametrize("text", ["", "Seen in March, too.", "100 % of it (really)", "%(name)s"])
def test_what_people_wrote_stays_as_it_is(text):
    with translation.override("de"):
        assert retold(text) == text


def test_a_kept_sentence_is_english_whoever_writes_it():
    with translation.override("de"):
        assert kept("you do not work in %(queue)s", queue="Mail") == "you do not work in Mail"
