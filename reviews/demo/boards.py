"""Mailhaven Boards, the demo's other side: kinds of item with pictures, films and sounds.

PURE: what there is, in our own words (boards.json); pictures.py draws what it shows.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).with_name("boards.json")
POLICIES = ("spam", "phishing", "adult")


def _field(name: str, label: str, type_: str, role: str = "", *, required: bool = False) -> dict:
    return {"name": name, "label": label, "type": type_, "role": role, "required": required}


KINDS: list[dict[str, Any]] = [
    {
        "slug": "pin",
        "name": "Pin",
        "fields": [
            _field("picture", "Picture", "image", "image", required=True),
            _field("alt", "Described as", "string", "alt"),
            _field("title", "Title", "string", "title"),
            _field("description", "Description", "text", "text"),
            _field("link", "Leads to", "url", "url"),
            _field("link_title", "Page title", "string"),
            _field("board", "Board", "string"),
            _field("saves", "Saves", "number", "number"),
            _field("author", "Pinned by", "string", "author"),
        ],
        "layout": [
            {"block": "image", "fields": ["picture", "alt"]},
            {"block": "title", "fields": ["title"]},
            {"block": "text", "fields": ["description"]},
            {"block": "card", "fields": ["link", "link_title"]},
            {"block": "facts", "fields": ["board", "saves", "author"]},
        ],
    },
    {
        "slug": "profile",
        "name": "Profile",
        "fields": [
            _field("picture", "Picture", "image", "image"),
            _field("name", "Name", "string", "title", required=True),
            _field("handle", "Handle", "string", "handle"),
            _field("bio", "About", "text", "text"),
            _field("website", "Website", "url", "url"),
            _field("followers", "Followers", "number", "number"),
            _field("following", "Following", "number", "number"),
            _field("pins", "Pins", "number", "number"),
        ],
        "layout": [
            {
                "block": "profile",
                "fields": [
                    *("picture", "name", "handle", "bio", "website"),
                    *("followers", "following", "pins"),
                ],
            },
        ],
    },
    {
        "slug": "comment",
        "name": "Comment",
        "fields": [
            _field("text", "Comment", "text", "text", required=True),
            _field("conversation", "Conversation", "messages", "messages"),
            _field("answers", "Answers", "string", "parent"),
            _field("pin", "Under the pin", "string", "thread"),
            _field("author", "Written by", "string", "author"),
        ],
        "layout": [
            {"block": "text", "fields": ["text"]},
            {
                "block": "thread",
                "label": "In its conversation",
                "fields": ["conversation", "answers", "pin"],
            },
            {"block": "facts", "fields": ["author"]},
        ],
    },
    {
        "slug": "clip",
        "name": "Short video",
        "fields": [
            _field("film", "Video", "video", "video", required=True),
            _field("title", "Title", "string", "title"),
            _field("transcript", "What is said", "text", "transcript"),
            _field("description", "Description", "text", "text"),
            _field("plays", "Plays", "number", "number"),
            _field("author", "Posted by", "string", "author"),
        ],
        "layout": [
            {"block": "title", "fields": ["title"]},
            {"block": "video", "fields": ["film", "transcript"]},
            {"block": "text", "fields": ["description"]},
            {"block": "facts", "fields": ["plays", "author"]},
        ],
    },
    {
        "slug": "listing",
        "name": "Listing",
        "fields": [
            _field("title", "Title", "string", "title", required=True),
            _field("pictures", "Pictures", "images", "images"),
            _field("description", "Description", "text", "text"),
            _field("price", "Price", "number", "number"),
            _field("about", "About it", "key-value", "key-value"),
            _field("author", "Offered by", "string", "author"),
        ],
        "layout": [],
    },
    {
        "slug": "voice-note",
        "name": "Voice note",
        "fields": [
            _field("sound", "Sound", "audio", "audio", required=True),
            _field("transcript", "What is said", "text", "transcript"),
            _field("author", "Sent by", "string", "author"),
        ],
        "layout": [
            {"block": "audio", "fields": ["sound", "transcript"]},
            {"block": "facts", "fields": ["author"]},
        ],
    },
]


class Drawn(NamedTuple):
    """A medium to be drawn: what pictures.py is asked for."""

    form: str  # picture, film or sound
    subject: str
    words: tuple[str, ...]
    alt: str


class Entry(NamedTuple):
    """One item. `known_answer` is {policy slug: does it violate}."""

    id: str
    kind: str
    language: str
    author: str
    content: dict[str, Any]
    media: dict[str, Drawn | list[Drawn]]  # by the field that shows it
    known_answer: dict[str, bool]
    reports: list[tuple[str, str]]  # reason and words
    views_per_hour: float


def read_entries() -> list[Entry]:
    rows = json.loads(FILE.read_text())
    return [_entry(number, row) for number, row in enumerate(rows, start=1)]


def _entry(number: int, row: dict[str, Any]) -> Entry:
    breaks = row.get("breaks", [])
    return Entry(
        f"b{number:04d}",
        row["kind"],
        row["language"],
        row["author"],
        row["content"],
        {
            name: [_drawn(one) for one in given] if isinstance(given, list) else _drawn(given)
            for name, given in row.get("media", {}).items()
        },
        {slug: slug in breaks for slug in POLICIES},
        [(reason, words) for reason, words in row.get("reports", [])],
        row["views"],
    )


def _drawn(row: dict[str, Any]) -> Drawn:
    words = tuple(row.get("words", ()))
    return Drawn(row["form"], row.get("subject", ""), words, row.get("alt", ""))


QUEUES: list[dict[str, Any]] = [
    {
        "slug": "boards",
        "name": "Boards",
        "description": "Profiles, comments and listings of Mailhaven Boards.",
        "policies": ["spam", "phishing", "adult"],
        "actions": ["remove", "limit", "strike", "suspend"],
        "sla_minutes": 720,
        "soon_minutes": 30,
        "handling_minutes": 0.5,
        "doubling_hours": 3.0,
        "random_rate": 0.1,
        "lane_shares": {"random": 0.1},
        "filters": ["mute"],
    },
    {
        "slug": "pins",
        "name": "Pins at a glance",
        "description": "Pins of Mailhaven Boards, 24 side by side: for what one glance decides.",
        "policies": ["spam", "phishing", "adult"],
        "actions": ["remove", "limit", "strike", "suspend"],
        "sla_minutes": 720,
        "soon_minutes": 30,
        "handling_minutes": 0.1,
        "doubling_hours": 3.0,
        "random_rate": 0.1,
        "lane_shares": {"random": 0.1},
        "page_size": 24,
    },
    {
        "slug": "clips",
        "name": "Videos and voice",
        "description": "Short videos and voice notes. They arrive blurred, in grey and muted.",
        "policies": ["spam", "phishing", "adult"],
        "actions": ["remove", "limit", "strike", "suspend"],
        "sla_minutes": 720,
        "soon_minutes": 30,
        "handling_minutes": 1.0,
        "doubling_hours": 3.0,
        "random_rate": 0.1,
        "lane_shares": {"random": 0.1},
        "filters": ["blur", "greyscale", "mute"],
    },
]


def _of_kind(*kinds: str) -> dict[str, Any]:
    return {"any": [{"fact": "kind", "op": "is", "value": kind} for kind in kinds]}


# Before the rules for mail: what is seen and heard goes to those who look at it.
ROUTING_RULES: list[dict[str, Any]] = [
    {
        "name": "Videos and voice",
        "queue": "clips",
        "condition": {"all": [_of_kind("clip", "voice-note")]},
    },
    {
        "name": "Pins at a glance",
        "queue": "pins",
        "condition": {"all": [_of_kind("pin")]},
    },
    {
        "name": "Boards",
        "queue": "boards",
        "condition": {"all": [_of_kind("profile", "comment", "listing")]},
    },
]
