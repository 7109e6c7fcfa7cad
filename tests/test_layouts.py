"""How an item's content becomes blocks: pure, and never refusing anything."""

import json
from datetime import UTC, datetime

from reviews import kind_parts, layouts
from reviews.layouts import Layout

FIELDS = [
    {"name": "subject", "label": "Subject", "type": "string", "role": "title"},
    {"name": "body", "label": "Text", "type": "text", "role": "text"},
    {"name": "picture", "label": "Picture", "type": "image", "role": "image"},
    {"name": "alt", "label": "Alt text", "type": "string", "role": ""},
    {"name": "link", "label": "Link", "type": "url", "role": "url"},
    {"name": "author", "label": "From", "type": "string", "role": "author"},
    {"name": "parent", "label": "Answer to", "type": "string", "role": "parent"},
    {"name": "at", "label": "Written", "type": "datetime", "role": "date"},
    {"name": "likes", "label": "Likes", "type": "number", "role": "number"},
    {"name": "more", "label": "More", "type": "key-value", "role": "key-value"},
    {"name": "paid", "label": "Paid", "type": "boolean", "role": ""},
]
CONTENT = {
    "subject": "Hello",
    "body": "Good day",
    "picture": "https://media.example/a.jpg",
    "alt": "A cat",
    "link": "https://shop.example/",
    "author": "dora",
    "parent": "m-1",
    "at": "2026-11-23T10:00:00+00:00",
    "likes": 12345.5,
    "more": {"colour": "blue", "count": 3, "is_new": False, "size": None},
    "paid": True,
}


def told(shown):
    """[(block, {field: value})]: what there is to see."""
    return [(one.block, {entry.name: entry.value for entry in one.entries}) for one in shown]


def entry_of(shown, name):
    return next(entry for one in shown for entry in one.entries if entry.name == name)


def test_the_usual_layout_follows_the_roles():
    assert told(Layout(FIELDS, []).show(CONTENT)) == [
        ("title", {"subject": "Hello"}),
        ("text", {"body": "Good day"}),
        ("image", {"picture": "https://media.example/a.jpg"}),
        ("link", {"link": "https://shop.example/"}),
        ("thread", {"parent": "m-1"}),
        (
            "facts",
            {
                "author": "dora",
                "at": datetime(2026, 11, 23, 10, tzinfo=UTC),
                "likes": "12,345.5",
                "more": [("colour", "blue"), ("count", "3"), ("is_new", "no"), ("size", "–")],
                "alt": "A cat",
                "paid": "yes",
            },
        ),
    ]


MEDIUM = layouts.Medium(
    7, "", "ready", "image", 2000, 1000, 0.0, "", {"image": {"width": 1600, "height": 800}}
)


def test_a_medium_is_fitted_into_a_box_and_found_by_what_the_field_says():
    (shown,) = Layout(FIELDS, []).show({"picture": "media:7"}, media={"media:7": MEDIUM})
    (seen,) = shown.entries[0].media
    assert (seen.reference, seen.medium, MEDIUM.box) == ("media:7", MEDIUM, (640, 320))


def test_a_list_of_pictures_may_be_mixed_and_what_is_none_is_shown_raw():
    fields = [{"name": "all", "label": "All", "type": "images", "role": "images"}]
    media = {"media:7": MEDIUM}
    pictures = [{"image": "media:7", "alt": "A cat"}, "https://media.example/b.jpg"]
    (shown,) = Layout(fields, []).show({"all": pictures}, media=media)
    assert shown.block == "gallery"
    assert [(one.alt, one.medium) for one in shown.entries[0].media] == [
        ("A cat", MEDIUM),
        ("", None),
    ]
    for broken in ({"image": "media:7"}, [{"alt": "x"}], [7], "media:7"):
        (shown,) = Layout(fields, []).show({"all": broken}, media=media)
        assert (shown.entries[0].form, shown.entries[0].wanted) == ("raw", "Images, a list")


def test_a_conversation_is_shown_around_the_item_and_nameless_where_the_author_is_hidden():
    fields = [{"name": "talk", "label": "Talk", "type": "messages", "role": "messages"}]
    talk = [{"author": f"a{n}", "text": f"t{n}", "is_this": n == 50} for n in range(100)]
    (shown,) = Layout(fields, []).show({"talk": talk})
    messages = shown.entries[0].value
    assert len(messages) == layouts.MESSAGES_SHOWN
    assert [one.text for one in messages if one.is_this] == ["t50"]
    (shown,) = Layout(fields, []).show({"talk": talk}, without=("author",))
    assert {one.author for one in shown.entries[0].value} == {""}
    (shown,) = Layout(fields, []).show({"talk": [{"text": 7}]})
    assert shown.entries[0].form == "raw"


def test_a_profile_knows_its_parts():
    fields = [
        {"name": "face", "label": "Face", "type": "image", "role": "avatar"},
        {"name": "name", "label": "Name", "type": "string", "role": "title"},
        {"name": "bio", "label": "Bio", "type": "text", "role": "text"},
        {"name": "fans", "label": "Fans", "type": "number", "role": "number"},
        {"name": "site", "label": "Site", "type": "url", "role": "url"},
    ]
    layout = [{"block": "profile", "fields": [one["name"] for one in fields]}]
    content = {
        "face": "media:7",
        "name": "Ada",
        "bio": "Hi",
        "fans": 3,
        "site": "https://a.example",
    }
    (shown,) = Layout(fields, layout).show(content)
    assert {
        part: [one.name for one in entries]
        for part, entries in layouts.parts_of(shown.entries).items()
    } == {
        "picture": ["face"],
        "title": ["name"],
        "text": ["bio"],
        "counts": ["fans"],
        "address": ["site"],
    }


def test_a_layout_of_ones_own_is_kept_in_its_order_with_headings():
    layout = [
        {"block": "facts", "fields": ["author", "likes"], "label": "Who", "is_collapsed": True},
        {"block": "quote", "fields": ["body"]},
    ]
    first, second, rest = Layout(FIELDS, layout).show(CONTENT)
    assert (first.block, first.label, first.is_collapsed) == ("facts", "Who", True)
    assert (second.block, second.label, second.is_collapsed) == ("quote", "", False)
    assert (rest.block, rest.label, rest.is_collapsed) == ("data", "Other data", True)


def test_what_no_block_shows_stands_under_other_data_never_lost():
    shown = Layout(FIELDS, [{"block": "text", "fields": ["body"]}]).show({**CONTENT, "gone": "old"})
    assert {name for _, values in told(shown) for name in values} == {*CONTENT, "gone"}


def test_a_rest_block_takes_the_rest_where_it_stands():
    layout = [{"block": "data", "fields": []}, {"block": "text", "fields": ["body"]}]
    shown = Layout(FIELDS, layout).show(CONTENT)
    assert [one.block for one in shown] == ["data", "text"]
    assert "body" not in told(shown)[0][1]


def test_a_text_field_beside_an_image_is_its_caption():
    (image, *_) = Layout(FIELDS, [{"block": "image", "fields": ["picture", "alt"]}]).show(CONTENT)
    assert [entry.value for entry in image.captions] == ["A cat"]
    assert [entry.name for entry in image.entries] == ["picture"]


def test_empty_values_and_blocks_are_left_out():
    assert told(
        Layout(FIELDS, []).show({"body": "x", "subject": "", "likes": None, "more": {}})
    ) == [("text", {"body": "x"})]


def test_what_does_not_fit_its_type_is_shown_raw_and_says_what_was_wanted():
    wrong = {
        "likes": "many",
        "at": "yesterday",
        "paid": 1,
        "body": ["a", "list"],
        "more": {"deep": {"er": 1}},
        "link": 7,
    }
    shown = Layout(FIELDS, []).show(wrong)
    forms = {entry.name: (entry.form, entry.wanted) for one in shown for entry in one.entries}
    assert forms == {
        "likes": ("raw", "Number"),
        "at": ("raw", "Date and time"),
        "paid": ("raw", "Yes or no"),
        "body": ("raw", "Long text"),
        "more": ("raw", "Key-value"),
        "link": ("raw", "Address (URL)"),
    }
    assert entry_of(shown, "more").value == '{\n "deep": {\n  "er": 1\n }\n}'


def test_a_time_without_a_zone_is_not_taken_for_one():
    assert entry_of(Layout(FIELDS, []).show({"at": "2026-11-23T10:00"}), "at").form == "raw"


def test_a_long_text_is_cut_and_says_what_is_left():
    shown = Layout(FIELDS, []).show({"body": "x" * 12_345, "gone": list(range(2000))})
    body, gone = entry_of(shown, "body"), entry_of(shown, "gone")
    assert (len(body.value), body.left, body.shown) == (10_000, 2_345, 10_000)
    assert len(gone.value) + gone.left == len(layouts.text_of(list(range(2000))))


def test_without_the_author_her_field_is_gone_and_so_is_what_the_kind_does_not_know():
    shown = Layout(FIELDS, []).show({**CONTENT, "old_author": "dora"}, without=("author",))
    assert "dora" not in str(shown)
    assert "A cat" in str(shown)


BROKEN = [
    None,
    "text",
    7,
    {},
    [None],
    [{"name": None}],
    [{"name": "body"}],
    [{"name": "body", "type": "hologram", "role": "oracle", "label": 4}],
    [{"name": "body", "type": ["text"], "role": {}}],
]


def test_a_broken_kind_still_shows_all_that_an_item_has():
    for fields in BROKEN:
        for layout in (*BROKEN, [{"block": "text", "fields": "body"}], [{"block": ["x"]}]):
            for content in (CONTENT, {"body": {"a": [1]}}, {}, None, "text", [1]):
                shown = Layout(fields, layout).show(content)
                if content:
                    assert shown, (fields, layout, content)


def test_a_layout_is_compiled_once_and_again_only_when_it_changed():
    fields, layout = json.dumps(FIELDS), "[]"
    first = layouts.compiled(1, fields, layout)
    assert layouts.compiled(1, fields, layout) is first
    changed = layouts.compiled(1, fields, '[{"block": "text", "fields": ["body"]}]')
    assert changed is not first
    assert layouts.compiled(2, fields, layout) is not first
    assert [step.block for step in layouts.compiled(1, fields, layout).steps][0] == "title"


def test_every_type_can_be_shown_and_every_role_has_a_place():
    for name, role in kind_parts.ROLES.items():
        for type_ in role.types:
            fields = [{"name": "x", "label": "X", "type": type_, "role": name}]
            (one, *_) = layouts.usual(fields) or [None]
            if one is not None:
                assert type_ in kind_parts.BLOCKS[one["block"]].types
    for type_ in kind_parts.TYPES:
        assert (
            type_ in kind_parts.BLOCKS["facts"].types and type_ in kind_parts.BLOCKS["data"].types
        )
