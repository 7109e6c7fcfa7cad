"""What hides is shown, what could be clicked is defanged, and no character goes missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviews import marks
from reviews.templatetags.untrusted import marked, name


@pytest.mark.parametrize(
    ("url", "host", "oddities"),
    [
        ("https://shop.example/a.b", "shop[.]example", ()),
        ("https://bank.example@evil.example/", "evil[.]example", ("hidden_host",)),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva[.]example", ("punycode",)),
        ("https://p\u0430ypal.example/", "p\u0430ypal[.]example", ("mixed",)),
        ("https://10.0.0.1:8080/", "10[.]0[.]0[.]1", ("number", "port")),
    ],
)
def test_an_address_is_taken_apart_by_where_it_leads(url, host, oddities):
    where = marks.take_apart(url)
    assert (where.before, where.host, where.oddities) == ("hxxps://", host, oddities)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "no address", "https://[broken", ""])
def test_what_is_no_address_is_not_taken_apart(url):
    assert marks.take_apart(url) is None


def kinds(text):
    return [(run.kind, run.text) for run in marks.runs(text) if run.kind != marks.PLAIN]


def test_plain_text_is_one_run():
    assert list(marks.runs("Nothing to see.\nReally.")) == [
        marks.Run(marks.PLAIN, "Nothing to see.\nReally.")
    ]


@pytest.mark.parametrize(
    ("character", "shown"),
    [
        ("\u200b", "ZWSP"),
        ("\u202e", "RLO"),
        ("\u2066", "LRI"),
        ("\ufeff", "BOM"),
        ("\x00", "U+0000"),
    ],
)
def test_an_invisible_character_is_named(character, shown):
    assert kinds(f"a{character}b") == [(marks.GLYPH, shown)]


def test_a_letter_of_another_script_inside_a_word_is_pointed_at():
    [(kind, shown)] = kinds("pаypal")  # the second letter is Cyrillic
    assert (kind, shown) == (marks.GLYPH, "а U+0430")


@pytest.mark.parametrize("text", ["Привет, мир", "straße café", "東京 Tokyo", "Ελλάδα", "naïve"])
def test_honest_words_of_any_script_carry_no_mark(text):
    assert kinds(text) == []


@pytest.mark.parametrize("text", ["👨‍👩‍👧", "❤️‍🔥", "می‌خواهم"])
def test_joiners_that_belong_there_carry_no_mark(text):
    assert kinds(text) == []


def test_addresses_are_defanged_and_the_sentence_keeps_its_full_stop():
    text = "".join(run.text for run in marks.runs("Go to https://a.example/b.html. Now"))
    assert text == "Go to hxxps://a[.]example/b.html. Now"


def test_an_address_in_code_tells_how_it_reads():
    run = next(run for run in marks.runs("http://xn--80ak6aa92e.com/") if run.kind == marks.URL)
    assert "аррӏе[.]com" in run.title


def test_styled_letters_tell_what_they_read():
    [run] = marks.runs("𝓯𝓻𝓮𝓮")
    assert (run.kind, run.title) == (marks.STYLED, "styled letters; reads “free”")


def test_many_empty_lines_become_one_mark():
    assert kinds("a" + "\n" * 9 + "b") == [(marks.SPACE, "8 empty lines")]


@given(st.text(max_size=300))
def test_no_text_breaks_it_and_nothing_invisible_gets_through(text):
    shown = "".join(run.text for run in marks.runs(text))
    assert not set(shown) & set("\u200b\u202a\u202b\u202d\u202e\u2066\u2067\u2068\ufeff\x00\x1b")


@given(st.text(alphabet=st.characters(max_codepoint=0x24F, categories=["L", "N"]), max_size=100))
def test_ordinary_letters_and_digits_come_out_as_they_went_in(text):
    assert "".join(run.text for run in marks.runs(text)) == text


@given(st.text(max_size=200))
def test_what_is_shown_is_escaped(text):
    html = marked(f"<b>{text}</b>")
    assert "<b>" not in html


def test_a_name_is_isolated():
    assert name("\u202eanna") == (
        '<bdi><span class="glyph" title="right-to-left override, U+202E" data-n="1">RLO</span>'
        "anna</bdi>"
    )


PIECES = st.sampled_from(
    [
        "\u200b",
        "\u202e",
        "e" + "\u0301" * 6,
        "http://p\u0430ypal.example/\u00e9.",
        "\n \n\n\n\n\n",
        "r\u0430ypal",
        "😀",
        "\r\n",
        "\U0001d400b",
        "\U000e0041",
    ]
)


@given(st.lists(st.one_of(PIECES, st.text(max_size=20)), max_size=12))
def test_runs_count_every_character_of_the_original_once(pieces):
    text = "".join(pieces)
    sizes = [len(run.text) if run.size is None else run.size for run in marks.runs(text)]
    assert sum(sizes) == len(text)


def test_a_carriage_return_survives_the_browsers_reading():
    assert marked("a\r\nb") == "a&#13;\nb"
