"""Times in a transcript: read in the ways people write them, and no word lost."""

import pytest

from reviews.transcripts import Cue, cues


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[0:00] Hello.\n[0:02] There.", [(0, "0:00", "Hello."), (2, "0:02", "There.")]),
        ("0:09 a\n1:02:03,5 b", [(9, "0:09", "a"), (3723, "1:02:03,5", "b")]),
        (
            "WEBVTT\n\n00:01.000 --> 00:04.000 align:start\nOne\ntwo\n\n00:05.000 --> 00:06.000\nx",
            [(None, "", "WEBVTT\n"), (1, "00:01.000", "One\ntwo\n"), (5, "00:05.000", "x")],
        ),
    ],
)
def test_times_are_read_as_people_write_them(text, found):
    assert cues(text) == [Cue(*one) for one in found]


@pytest.mark.parametrize(
    "text",
    ["", "Come at once", "10:30 is when we meet.\nBring it.", "0:99 a\n0:98 b", "3:4 goals\n1:2"],
)
def test_a_text_without_times_stays_a_text(text):
    assert cues(text) == []
