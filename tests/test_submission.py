"""Fields by their types: what is read, what is refused and why. Pure."""

import json
import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviews.submission import MAX_NUMBER, Shape, canonical, fold, read_item


def shape(type_, **more):
    field = {"name": "x", "label": "X", "type": type_, "role": "", **more}
    return Shape(1, "post", [field])


def read(type_, value, **more):
    """The value as stored, or what is wrong with it."""
    row = {"kind": "post", "external_id": "1", "content": {"x": value}}
    found = read_item(row, index=0, shapes={"post": shape(type_, **more)})
    return found["content.x"][0] if isinstance(found, dict) else found.content.get("x")


@pytest.mark.parametrize("type_", ["url", "image", "video"])
def test_an_address_is_kept_as_text_and_has_to_be_one_of_the_web(type_):
    assert read(type_, "https://media.example/a.jpg") == "https://media.example/a.jpg"
    assert "http://" in read(type_, "javascript:alert(1)")
    assert "http://" in read(type_, "data:image/png;base64,AAAA")
    assert "4,000" in read(type_, "https://x.example/" + "a" * 4_000)
    assert read(type_, 7).startswith("Give a URL")


@pytest.mark.parametrize("type_", ["image", "video", "audio"])
def test_a_medium_is_named_by_its_reference_or_its_address(type_):
    assert read(type_, "media:12") == "media:12"
    for wrong in ("media:", "media:0", "media:1x", "media:-1", "media:" + "1" * 19):
        assert "media:<id>" in read(type_, wrong)


def test_a_list_of_pictures_is_kept_as_objects():
    alt = {"image": "https://media.example/a.jpg", "alt": "A cat"}
    assert read("images", ["media:12", alt]) == [{"image": "media:12"}, alt]
    assert read("images", "media:12") == "Give a list of images."
    assert read("images", ["x"]).startswith("Image 1: Give a URL")
    assert read("images", [{"alt": "A cat"}]).startswith("Image 1: give image")
    assert read("images", ["media:1"] * 101).startswith("At most 100")


def test_a_conversation_is_a_list_of_messages():
    message = {"author": "ada", "text": "Hi", "at": "2026-11-23T10:00:00+00:00", "is_this": True}
    assert read("messages", [message, {}]) == [message, {}]
    assert read("messages", {"text": "Hi"}) == "Give a list of messages."
    assert read("messages", [{"says": "Hi"}]).startswith("Message 1: give an object")
    assert read("messages", [{}, {"text": 7}]).startswith("Message 2: text is text")
    assert read("messages", [{"at": "soon"}]).startswith("Message 1: Give a time")
    assert read("messages", [{}] * 201).startswith("At most 200")


def test_a_key_value_is_a_flat_object_of_scalars():
    value = {"colour": "blue", "count": 3, "ratio": 0.5, "is_new": True, "size": None}
    assert read("key-value", value) == value
    assert read("key-value", {}) == {}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("text", "Give an object"),
        ([["a", 1]], "Give an object"),
        ({"a": {"b": 1}}, "a: give text, a number"),
        ({"a": [1]}, "a: give text, a number"),
        ({"": 1}, "A name has 1 to 200"),
        ({"n" * 201: 1}, "A name has 1 to 200"),
        ({"a": "x" * 1_001}, "a: at most 1,000"),
        ({f"n{n}": n for n in range(101)}, "At most 100 names; this has 101"),
        ({"a": math.inf}, "a: give text, a number"),
        ({"a": math.nan}, "a: give text, a number"),
        ({"a": MAX_NUMBER + 1}, "a: give text, a number"),
        ({"a": 10**400}, "a: give text, a number"),
    ],
)
def test_what_is_wrong_with_a_key_value_is_named(value, why):
    assert read("key-value", value).startswith(why)


def test_text_that_cannot_be_stored_is_mended_in_names_and_values():
    assert read("key-value", {"a\x00": "b\x00\ud800"}) == {"a\ufffd": "b\ufffd\ufffd"}


@pytest.mark.parametrize("value", [10**400, -(10**400), math.nan, math.inf, MAX_NUMBER + 1])
def test_a_number_no_reader_agrees_on_is_refused(value):
    assert read("number", value) == "Give a finite number of at most 2^53."


def test_an_archived_kind_says_so():
    archived = Shape(1, "post", [], is_archived=True)
    row = {"kind": "post", "external_id": "1", "content": {}}
    found = read_item(row, index=0, shapes={"post": archived})
    assert found == {"kind": ["post is archived: it takes no items any more."]}


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text())))
def test_content_is_stored_as_the_recipe_of_its_hash_says(content):
    recipe = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical(content) == recipe


@given(st.text(st.characters() | st.sampled_from(" \t\n\u00a0\u2003ﬁßÉ\u0301")))
def test_two_texts_are_the_same_whatever_their_case_and_white_space(text):
    assert fold(text) == " ".join(unicodedata.normalize("NFKC", text).casefold().split())
