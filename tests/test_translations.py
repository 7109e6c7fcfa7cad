"""Every word of a page can be translated, and is translated."""

import re

import polib
import pytest

from tools import messages

TEMPLATES = sorted(
    path
    for package in messages.PACKAGES
    for path in (messages.ROOT / package).rglob("*.html")
    if path.name != "design.html"  # shows samples of what people write
)
# Names, units and signs, the same in every language; and what stands for data in a form.
KEPT = re.compile(
    r"""&\w+; | &\#\w+; | \b(?:Trust\ Console|API|CSV|JSON|ECE|ID|URL|SHA-256|FIFO|AUPRC|Parquet
    |BPSN|BNSP|min|ms|log|log2|Ctrl|Alt|Esc|Enter|Shift|x|h|P|N)\b""",
    re.VERBOSE,
)
ATTRIBUTES = r"title|aria-label|placeholder|data-label|data-key-label|alt"
_GONE = [
    r"\{%\s*comment\b.*?\{%\s*endcomment\s*%\}",
    r"\{%\s*blocktranslate\b.*?\{%\s*endblocktranslate\s*%\}",
    r"\{\#.*?\#\}|<!--.*?-->",
    r"<(script|style|svg|pre|code|kbd)\b.*?</\1>",
]


def unmarked(source):
    """Words of a template outside of every translation tag."""
    for pattern in _GONE:
        source = re.sub(pattern, " ", source, flags=re.DOTALL)
    source = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "\x00", source, flags=re.DOTALL)
    yield from re.findall(rf'\s(?:{ATTRIBUTES})="([^"]*)"', source)
    yield from re.split(r"<[^>]*>|\x00", source)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_words_that_cannot_be_translated(path):
    found = [text.strip() for text in unmarked(path.read_text())]
    assert [text for text in found if re.search(r"[A-Za-z]{2}", KEPT.sub("", text))] == []


def test_the_search_for_unmarked_words_finds_them():
    source = """{% load i18n %}<p title="Bare">Hello {{ you }}, {% translate "you" %}
    {% blocktranslate %}Well{% endblocktranslate %}</p><a aria-label="{% translate "x" %}">CSV</a>
    <kbd>Esc</kbd>"""
    found = [text.strip() for text in unmarked(source)]
    assert [text for text in found if re.search(r"[A-Za-z]{2}", KEPT.sub("", text))] == [
        "Bare",
        "Hello",
    ]


@pytest.mark.parametrize("path", list(messages.catalogues()), ids=lambda path: path.parts[-3])
def test_the_catalogue_holds_what_is_in_the_source_and_no_more(path):
    """`make messages` collects them anew."""
    written = {(entry.msgctxt, entry.msgid) for entry in polib.pofile(str(path))}
    there = {(message.context, message.text) for message in messages.in_source()}
    assert (written - there, there - written) == (set(), set())


@pytest.mark.parametrize("path", list(messages.catalogues()), ids=lambda path: path.parts[-3])
def test_everything_is_translated_and_nothing_by_guess(path):
    catalogue = polib.pofile(str(path))
    assert [entry.msgid for entry in catalogue if not entry.translated()] == []
    assert catalogue.fuzzy_entries() == []
