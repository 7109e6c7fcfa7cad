"""Every page as a reader of German has it: nothing of ours on it is left in English.

English is told by its small words, which German does not have. What people write, names and code
are no words of ours: they stand in <bdi>, in code, or in marks of the language they are in.
"""

import re
from html.parser import HTMLParser

import pytest
from django.test import Client

from reviews.models import Person
from tests import walking
from tests.test_access import World

pytestmark = pytest.mark.django_db

# Small words of English that are none of German, and are no name of anything here.
WORDS = frozenset(
    re.findall(
        r"\w+",
        """the of and to for with from by is are be been not no nor it its this that these those
        they them you your yours she hers his he who whom what when where which why how
        if or as than then there here has have had can may must would could should does
        did done into over under after before between until since while about against
        all any both each every few more most none only same some such too very yet
        again ever never nothing nobody somebody anybody everybody everything something
        one two three""",
    )
)
VOID = ("area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr")
KEPT = ("bdi", "code", "pre", "kbd", "script", "style", "textarea")
ATTRIBUTES = (
    "title",
    "aria-label",
    "placeholder",
    "alt",
    "data-label",
    "data-key-label",
    "data-more",
)
# Words of the fixtures: names and texts that people gave, wherever they stand.
GIVEN = re.compile(
    r"Buy now at\S*|Stricter\.|Looser\.|Have you seen this before\?|Seen before\.|Satire\?"
    r"|better still|better|as usual|Pills!|What it forbids(, in a line)?\.|hello there"
    r"|Links to|Sent from|About it"  # the design page's made-up kind
)


class Text(HTMLParser):
    """The words of a page that are ours, each with where it stands."""

    def __init__(self):
        super().__init__()
        self.open, self.found = [], []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        is_foreign = given.get("lang", "de")[:2] not in ("de", "") or given.get("dir") == "auto"
        if not self._is_kept:
            self.found += [
                value
                for name, value in given.items()
                if value and (name in ATTRIBUTES or name.startswith("data-words"))
            ]
        if tag not in VOID:
            self.open.append((tag, tag in KEPT or is_foreign or "mono" in given.get("class", "")))

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if data.strip() and not self._is_kept:
            self.found.append(" ".join(data.split()))

    @property
    def _is_kept(self):
        return any(kept for _tag, kept in self.open)


def english(page):
    """Stretches of the page with two small words of English, or one that makes a third of it."""
    reader = Text()
    reader.feed(page)
    for text in reader.found:
        words = re.findall(r"(?<![#._/-])\b[A-Za-zÄÖÜäöüß’']+\b(?![._]\w)", GIVEN.sub(" ", text))
        small = [word for word in words if word.lower() in WORDS and not word.isupper()]
        if len(small) > 1 or (small and 3 * len(small) >= len(words)):
            yield text


@pytest.fixture(scope="module")
def kept(keep):
    return keep(World)


def test_no_page_has_english_left_for_a_reader_of_german(kept):
    world = kept.copy()
    Person.objects.update(language="de")
    found, walked = [], 0
    clients = {}
    for stop in walking.stops(world):
        if stop.name not in clients:
            clients[stop.name] = Client()
            clients[stop.name].force_login(world.people[stop.name])
        page = clients[stop.name].get(stop.url, HTTP_ACCEPT_LANGUAGE="de")
        if "html" not in page["Content-Type"]:
            continue
        walked += 1
        found += [f"{stop.route}: {text[:160]}" for text in english(page.content.decode())]
    assert not found, "\n".join(dict.fromkeys(found))
    assert walked > 90


def test_english_would_be_found():
    page = """<p>Das ist <bdi>what she wrote to them</bdi>.</p><p title="What you can do">x</p>
    <p dir="auto">It is the text of an item</p><span>Nothing waits for it</span>"""
    assert list(english(page)) == ["What you can do", "Nothing waits for it"]
