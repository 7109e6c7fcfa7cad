"""Untrusted text made safe to read: what hides is shown, what could be clicked is defanged.

PURE: text in, runs out; templatetags/untrusted.py turns runs into HTML. Marked are invisible and
direction-changing characters, letters of a look-alike script inside a word, letters styled to
dodge a filter, piles of combining marks, and addresses (hxxps, [.]). Nothing is ever dropped
without a mark in its place. Method: Unicode TR36/TR39, cut down to what moderators meet.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from .wording import gettext as _

PLAIN, GLYPH, URL, STYLED, SPACE = "plain", "glyph", "url", "styled", "space"


class Run(NamedTuple):
    """`text` is what to show; `title` says what it is, for marks; `size` how many characters of the
    original it stands for, where these are not the text itself."""

    kind: str
    text: str
    title: str = ""
    size: int | None = None


_SHORT = {
    "\u00ad": "SHY",
    "\u061c": "ALM",
    "\u180e": "MVS",
    "\u200b": "ZWSP",
    "\u200c": "ZWNJ",
    "\u200d": "ZWJ",
    "\u200e": "LRM",
    "\u200f": "RLM",
    "\u202a": "LRE",
    "\u202b": "RLE",
    "\u202c": "PDF",
    "\u202d": "LRO",
    "\u202e": "RLO",
    "\u2060": "WJ",
    "\u2066": "LRI",
    "\u2067": "RLI",
    "\u2068": "FSI",
    "\u2069": "PDI",
    "\ufeff": "BOM",
}
_HIDDEN = (
    "\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffd"
    "\U000e0000-\U000e007f\ud800-\udfff"
)
_COMBINING_PILE = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]{4,}"
_URL = (
    r"(?:[a-zA-Z][a-zA-Z0-9+.-]{1,20}://|www\.)[^\s<>\"'\u200b-\u200f\u202a-\u202e\u2060-\u2069]+"
    r"|\b(?:[a-zA-Z0-9\u0400-\u04ff-]{1,63}\.){1,6}[a-z]{2,24}/[^\s<>\"'\u200b-\u200f]*"
)
_TOKENS = re.compile(
    rf"(?P<url>{_URL})"
    r"|(?P<space>\n(?:[ \t]*\n){4,})"
    rf"|(?P<hidden>[{_HIDDEN}])"
    rf"|(?P<pile>{_COMBINING_PILE})"
    r"|(?P<word>(?<![^\W\d_])[a-zA-Z]*[^\x00-\x7f\W\d_][^\W\d_]*)"
)
# Most text is plain: one search tells, and nothing else is done.
_ANYTHING = re.compile(r"[^\x20-\x7e\t\n\r]|://|www\.|\n[ \t]*\n[ \t]*\n|\.[a-z]{2,24}/", re.ASCII)

# Scripts whose letters pass for Latin ones.
_LOOKALIKE = ("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU")
_JOINING = re.compile("[\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\u0900-\u0dff\ufb50-\ufefc]")


def runs(text: str) -> Iterator[Run]:
    """The text cut into runs, in order. Joined PLAIN runs and marks stand for every character."""
    if not _ANYTHING.search(text):
        yield Run(PLAIN, text)
        return
    end = 0
    for match in _TOKENS.finditer(text):
        marked = list(_marked(match, text))
        if marked == [Run(PLAIN, match.group())]:
            continue  # an ordinary word: leave it in the surrounding run
        if match.start() > end:
            yield Run(PLAIN, text[end : match.start()])
        yield from marked
        end = match.end()
    if end < len(text):
        yield Run(PLAIN, text[end:])


def defang(url: str) -> str:
    """https://a.example/b.html → hxxps://a[.]example/b.html: legible, and no program follows it."""
    scheme, separator, rest = url.rpartition("://") if "://" in url else ("", "", url)
    host, slash, path = rest.partition("/")
    scheme = re.sub("^(h)tt(ps?)$", r"\1xx\2", scheme, flags=re.IGNORECASE)
    return f"{scheme}{separator}{host.replace('.', '[.]')}{slash}{path}"


class Address(NamedTuple):
    """An address taken apart for showing: what stands before the host, the host, and what is odd
    about it, as codes."""

    before: str
    host: str
    oddities: tuple[str, ...]
    reads: str = ""  # a name in punycode, as it reads


def take_apart(url: str) -> Address | None:
    """None where it is no address. The host alone says where it leads."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if not host or parts.scheme.lower() not in ("http", "https", "ftp"):
        return None
    oddities = []
    if "@" in parts.netloc:
        oddities.append("hidden_host")
    reads = _decoded(host).replace("[.]", ".") if "xn--" in host else ""
    if reads:
        oddities.append("punycode")
    letters = [_script(one) for one in (reads or host) if one.isalpha()]
    if any(script in _LOOKALIKE for script in letters) and "LATIN" in letters:
        oddities.append("mixed")
    elif not host.isascii():
        oddities.append("foreign")
    if re.fullmatch(r"[0-9.]+|\[?[0-9a-f:]*:[0-9a-f:.]*\]?|0x[0-9a-f]+", host):
        oddities.append("number")
    if port not in (None, 80, 443):
        oddities.append("port")
    scheme = re.sub("^(h)tt(ps?)$", r"\1xx\2", parts.scheme, flags=re.IGNORECASE)
    return Address(f"{scheme}://", host.replace(".", "[.]"), tuple(oddities), reads)


def _marked(match: re.Match[str], text: str) -> Iterator[Run]:
    token = match.group()
    if match.lastgroup == "url":
        yield from _url(token)
    elif match.lastgroup == "space":
        yield Run(PLAIN, "\n")
        yield Run(
            SPACE,
            _("%(count)s empty lines") % {"count": token.count(chr(10)) - 1},
            size=len(token) - 2,
        )
        yield Run(PLAIN, "\n")
    elif match.lastgroup == "pile":
        yield Run(PLAIN, token[:2])
        more = len(token) - 2
        yield Run(GLYPH, f"+{more} marks", _("combining marks piled on one letter"), more)
    elif match.lastgroup == "hidden":
        if _joins_rightly(token, text, match.start()):
            yield Run(PLAIN, token)
        else:
            yield _glyph(token)
    else:
        yield from _word(token)


def _url(token: str) -> Iterator[Run]:
    trailing = re.search(r"[).,;:!?\]}]*$", token)
    cut = trailing.start() if trailing else len(token)
    token, rest = token[:cut], token[cut:]
    host = token.rpartition("://")[2].partition("/")[0]
    title = _("address, defanged")
    if "xn--" in host.lower():
        title = _("address, defanged; its name reads %(name)s") % {"name": _decoded(host)}
    at = size = 0
    shown = defang(token)
    # A look-alike letter in an address matters most of all: marked even where all of it is one.
    for found, original in zip(
        re.finditer(r"[^\x00-\x7f]", shown), re.finditer(r"[^\x00-\x7f]", token), strict=True
    ):
        if found.start() > at:
            yield Run(URL, shown[at : found.start()], title, original.start() - size)
        character = found.group()
        yield Run(URL, character, title, 1)
        yield Run(GLYPH, f"U+{ord(character):04X}", _name(character), 0)
        at, size = found.end(), original.end()
    if at < len(shown):
        yield Run(URL, shown[at:], title, len(token) - size)
    if rest:
        yield Run(PLAIN, rest)


def _word(word: str) -> Iterator[Run]:
    scripts = [_script(character) for character in word]
    if "MATHEMATICAL" in scripts or "FULLWIDTH" in scripts:
        plain = unicodedata.normalize("NFKC", word)
        yield Run(STYLED, word, _("styled letters; reads “%(plain)s”") % {"plain": plain})
        return
    if "LATIN" not in scripts or not any(script in _LOOKALIKE for script in scripts):
        yield Run(PLAIN, word)
        return
    # The script with fewer letters in the word is the foreign one.
    latin = scripts.count("LATIN")
    foreign_is_latin = latin * 2 < len(word)
    run = ""
    for character, script in zip(word, scripts, strict=True):
        is_foreign = script == "LATIN" if foreign_is_latin else script in _LOOKALIKE
        if not is_foreign:
            run += character
            continue
        if run:
            yield Run(PLAIN, run)
            run = ""
        yield Run(GLYPH, f"{character} U+{ord(character):04X}", _name(character), 1)
    if run:
        yield Run(PLAIN, run)


def _glyph(character: str) -> Run:
    code = ord(character)
    if 0xE0020 <= code <= 0xE007E:
        return Run(GLYPH, f"TAG {chr(code - 0xE0000)}", _("invisible tag character"), 1)
    name = _name(character)
    return Run(GLYPH, _SHORT.get(character, f"U+{code:04X}"), f"{name}, U+{code:04X}", 1)


def _joins_rightly(character: str, text: str, at: int) -> bool:
    """A joiner between letters of a joining script, or a zero width joiner inside an emoji."""
    if character not in "\u200c\u200d":
        return False
    before = text[max(at - 2, 0) : at].rstrip("\ufe0f")[-1:]
    after = text[at + 1 : at + 2]
    if not before or not after:
        return False
    if _JOINING.match(before):
        return True
    return (
        character == "\u200d"
        and unicodedata.category(before) in ("So", "Sk")
        and unicodedata.category(after) in ("So", "Sk", "Sm")
    )


@lru_cache(maxsize=4096)
def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]


def _name(character: str) -> str:
    fallback = _("control character") if ord(character) < 0xA0 else _("unassigned character")
    return unicodedata.name(character, fallback).lower()


def _decoded(host: str) -> str:
    labels = []
    for label in host.split("."):
        try:
            labels.append(
                label.encode("ascii").decode("idna") if "xn--" in label.lower() else label
            )
        except UnicodeError:
            labels.append(label)
    return "[.]".join(labels)
