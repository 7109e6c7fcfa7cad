"""Texts and questions as terms: folding, scripts without spaces, phrases, snippets."""

import pytest

from reviews import search_terms
from reviews.search_terms import phrase, snippet, terms, vector


def words(text):
    return [term.text for term in terms(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't  CLICK here!", ["don", "t", "click", "here"]),
        ("Café Ｆｕｌｌ Straße ÅNGSTRÖM", ["cafe", "full", "strasse", "angstrom"]),
        ("e\u0301te\u0301", ["ete"]),
        ("snake_case a-b", ["snake", "case", "a", "b"]),
        ("Привет, МИР", ["привет", "мир"]),
        ("مَرْحَبًا", ["مرحبا"]),
        # Pairs, and the last character alone.
        ("日本語", ["日本", "本語", "語"]),
        ("iPhone買う", ["iphone", "買う", "う"]),
        ("", []),
        ("!!! … —", []),
    ],
)
def test_a_text_is_cut_into_folded_words(text, expected):
    assert words(text) == expected


def test_a_term_knows_where_it_stands():
    text = "Zwei Äpfel"
    assert [text[term.start : term.end] for term in terms(text)] == ["Zwei", "Äpfel"]


def test_a_vector_is_words_with_places_and_facets_without():
    assert vector("a b a", ["=vclean"]) == "'a':1,3 'b':2 '=vclean'"


def test_what_has_a_meaning_to_postgresql_is_quoted():
    assert vector("", ["=xo'neil\\x"]) == "'=xo''neil\\\\x'"


def test_a_word_said_too_often_keeps_its_first_places():
    assert vector("spam " * 500).count(",") == search_terms.MOST_PLACES - 1


def test_a_phrase_in_a_script_without_spaces_is_its_pairs_in_a_row():
    assert phrase("日本語").terms == ("日本", "本語")
    assert phrase("語") == search_terms.Phrase(("語",), is_open=True)


def test_punctuation_alone_asks_for_nothing():
    assert phrase("?!") is None


def test_a_query_joins_phrases_and_facets():
    asked = [phrase("free prize"), phrase("scam", is_open=True), phrase("win", is_excluded=True)]
    assert search_terms.query(asked, [(["=va", "=vb"], False), (["=qx"], True)]) == (
        "('free' <-> 'prize') & ('scam':*) & !('win') & ('=va' | '=vb') & !('=qx')"
    )


def told(text, *asked, **options):
    return [
        f"[{part.text}]" if part.is_hit else part.text
        for part in snippet(text, list(asked), **options)
    ]


def test_a_snippet_marks_the_hits_as_they_were_written():
    assert told("Get the FREE  Prize now", phrase("free prize")) == [
        *("Get the ", "[FREE  Prize]", " now"),
    ]
    assert told("scams and Scammers", phrase("scam", is_open=True)) == [
        "[scams]",
        " and ",
        "[Scammers]",
    ]
    assert told("今日は日本語です", phrase("日本語")) == ["今日は", "[日本語]", "です"]


def test_a_snippet_begins_near_the_first_hit_and_ends_at_a_word():
    text = "word " * 200 + "needle " + "more " * 200
    parts = told(text, phrase("needle"), length=100)
    assert parts[0] == "… " and parts[-1] == " …"
    assert "[needle]" in parts and len("".join(parts)) < 115


def test_hits_that_overlap_are_one():
    assert told("a b c", phrase("a b"), phrase("b c")) == ["[a b c]"]


def test_what_is_excluded_is_not_marked():
    assert told("a b", phrase("a", is_excluded=True)) == ["a b"]
