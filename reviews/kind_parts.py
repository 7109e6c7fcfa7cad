"""PURE. What an item kind is made of: types of fields, roles they play, blocks that show them."""

from typing import NamedTuple

from .wording import noop

OTHER = noop("Other data")  # what no block shows


# Type → what a person calls it; like all labels here, translated where it is shown.
TYPES = {
    "string": noop("Short text"),
    "text": noop("Long text"),
    "number": noop("Number"),
    "datetime": noop("Date and time"),
    "url": noop("Address (URL)"),
    "boolean": noop("Yes or no"),
    "image": noop("Image"),
    "images": noop("Images, a list"),
    "video": noop("Video"),
    "audio": noop("Audio"),
    "messages": noop("Messages, a list"),
    "key-value": noop("Key-value"),
}


TEXTS = frozenset({"string", "text"})


# One medium: `media:<id>`, or the address where it lies.
MEDIA = frozenset({"image", "video", "audio"})


ADDRESSES = MEDIA | {"url"}


class Role(NamedTuple):
    """What a field is to us; `types` are those that can play it."""

    label: str
    types: frozenset[str]
    is_single: bool = False  # at most one a kind


ROLES = {
    "": Role(noop("Plain"), frozenset(TYPES)),
    "title": Role(noop("Title"), TEXTS, is_single=True),
    "text": Role(noop("Text"), TEXTS),
    "image": Role(noop("Image"), frozenset({"image", "url"})),
    "images": Role(noop("Images"), frozenset({"images"})),
    "video": Role(noop("Video"), frozenset({"video", "url"})),
    "audio": Role(noop("Audio"), frozenset({"audio", "url"})),
    "alt": Role(noop("Description for those who cannot see it"), TEXTS),
    "transcript": Role(noop("Transcript"), TEXTS),
    "url": Role(noop("Address"), frozenset({"url"})),
    "author": Role(noop("Author"), frozenset({"string", "url"}), is_single=True),
    "handle": Role(noop("Author’s handle"), frozenset({"string"}), is_single=True),
    "avatar": Role(noop("Author’s picture"), frozenset({"image", "url"}), is_single=True),
    "parent": Role(noop("Parent"), frozenset({"string", "number", "url"}), is_single=True),
    "thread": Role(noop("Thread"), frozenset({"string", "number", "url"}), is_single=True),
    "messages": Role(noop("Conversation"), frozenset({"messages"})),
    "date": Role(noop("Date"), frozenset({"datetime"})),
    "number": Role(noop("Number"), frozenset({"number"})),
    "key-value": Role(noop("Key-value"), frozenset({"key-value"})),
}


# One of these makes an item something to look at.
SEEN_ROLES = ("title", "text", "image", "images", "video", "audio")


class Block(NamedTuple):
    """A way to show fields; `types` are those that it can show."""

    label: str
    types: frozenset[str]
    about: str


BLOCKS = {
    "title": Block(noop("Title"), TEXTS, noop("One line, large")),
    "text": Block(noop("Text"), TEXTS, noop("The text itself, in full reading size")),
    "quote": Block(noop("Quote"), TEXTS, noop("Set apart: what is answered or quoted")),
    "image": Block(
        noop("Image"), TEXTS | {"image", "url"}, noop("A picture; a text field is its caption")
    ),
    "gallery": Block(noop("Gallery"), TEXTS | {"images", "image"}, noop("Pictures side by side")),
    "video": Block(
        noop("Video"), TEXTS | {"video", "url"}, noop("A film; text is caption or transcript")
    ),
    "audio": Block(
        noop("Audio"), TEXTS | {"audio", "url"}, noop("A sound; text is caption or transcript")
    ),
    "link": Block(noop("Address"), ADDRESSES, noop("Made harmless; nobody can click it")),
    "card": Block(
        noop("Link card"),
        TEXTS | {"url", "image"},
        noop("An address with what the platform says of it"),
    ),
    "profile": Block(
        noop("Profile"),
        frozenset(TYPES) - {"images", "messages", "video", "audio"},
        noop("Picture, name, handle, text and counts of an account"),
    ),
    "facts": Block(noop("Facts"), frozenset(TYPES), noop("Names beside values")),
    "thread": Block(
        noop("Thread"),
        frozenset({"string", "number", "url", "messages"}),
        noop("What it answers or is in"),
    ),
    "data": Block(OTHER, frozenset(TYPES), noop("As it came; without fields: all the rest")),
}


CAPTIONED = frozenset({"image", "gallery", "video", "audio"})
