"""Collect every translatable string into locale/*/LC_MESSAGES/django.po, and compile them.

    python -m tools.messages [--check]

In Python alone: a new machine has no gettext. `{% translate %}` and `{% blocktranslate %}` are read
by Django's own parser, Python files as syntax trees. What nobody uses any more is dropped; what is
not translated yet is listed, and the exit status says so.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polib

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("reviews", "mlhooks", "trustconsole")
# What a call is named → the places of its context, its message and its plural.
_SINGLE, _PLURAL = (None, 0, None), (None, 0, 1)
CALLS: dict[str, tuple[int | None, int, int | None]] = {
    "_": _SINGLE,
    "gettext": _SINGLE,
    "gettext_lazy": _SINGLE,
    "gettext_noop": _SINGLE,
    "noop": _SINGLE,
    "lazy": _SINGLE,
    "kept": _SINGLE,
    "ngettext": _PLURAL,
    "ngettext_lazy": _PLURAL,
    "pgettext": (0, 1, None),
    "pgettext_lazy": (0, 1, None),
    "npgettext": (0, 1, 2),
}
HEADERS = {
    "Project-Id-Version": "Trust Console",
    "MIME-Version": "1.0",
    "Content-Type": "text/plain; charset=UTF-8",
    "Content-Transfer-Encoding": "8bit",
}


class Message(NamedTuple):
    context: str | None
    text: str
    plural: str | None


def in_python(source: str) -> Iterator[tuple[int, Message]]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name not in CALLS:
            continue
        parts = [
            arg.value if isinstance(arg, ast.Constant) and isinstance(arg.value, str) else None
            for arg in node.args
        ]
        context, text, plural = (
            parts[at] if at is not None and at < len(parts) else None for at in CALLS[name]
        )
        if text is not None:
            yield node.lineno, Message(context, text, plural)


_CALL = re.compile(
    r"\b(?:n?p?gettext|_)\((?:\s*u?(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|count)\s*,?)+\)"
)


def in_template(source: str) -> Iterator[tuple[int, Message]]:
    from django.utils.translation.template import templatize

    calls = templatize(source)
    for found in _CALL.finditer(calls):
        line = calls.count("\n", 0, found.start()) + 1
        for _, message in in_python(found[0]):
            # xgettext would read "%%" as a percent sign to be formatted; Django looks it up as is.
            yield line, message


def in_source() -> dict[Message, list[tuple[str, str]]]:
    """Every message → where it stands (file, line)."""
    found: dict[Message, list[tuple[str, str]]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix not in (".py", ".html", ".txt") or "migrations" in path.parts:
                continue
            read = in_python if path.suffix == ".py" else in_template
            name = str(path.relative_to(ROOT))
            for _, message in read(path.read_text()):
                places = found.setdefault(message, [])
                # By file only: a line added above a message is no change to it.
                if (name, "") not in places:
                    places.append((name, ""))
    return found


def catalogues() -> Iterator[Path]:
    yield from sorted(ROOT.glob("locale/*/LC_MESSAGES/django.po"))


def merged(path: Path, messages: dict[Message, list[tuple[str, str]]]) -> polib.POFile:
    """The catalogue with exactly these messages; translations it had are kept."""
    old = polib.pofile(str(path)) if path.exists() else polib.POFile()
    known = {(entry.msgctxt, entry.msgid): entry for entry in old}
    new = polib.POFile(wrapwidth=100)
    new.metadata = {
        **HEADERS,
        "Language": path.parent.parent.name,
        "Plural-Forms": old.metadata.get("Plural-Forms", "nplurals=2; plural=(n != 1);"),
    }
    for message in sorted(
        messages, key=lambda one: (messages[one][0], one.text, one.context or "")
    ):
        before = known.get((message.context, message.text))
        entry = polib.POEntry(
            msgctxt=message.context,
            msgid=message.text,
            occurrences=messages[message],
            flags=["python-format"] if re.search(r"%\(\w+\)", message.text) else [],
        )
        if message.plural is not None:
            entry.msgid_plural = message.plural
            kept = before.msgstr_plural if before else {}
            entry.msgstr_plural = {number: kept.get(number, "") for number in range(2)}
        elif before is not None:
            entry.msgstr = before.msgstr
        new.append(entry)
    return new


def untranslated(catalogue: polib.POFile) -> list[polib.POEntry]:
    return [entry for entry in catalogue if not entry.translated()]


def main() -> int:
    messages = in_source()
    missing = 0
    for path in catalogues():
        catalogue = merged(path, messages)
        if "--check" not in sys.argv:
            catalogue.save(str(path))
            catalogue.save_as_mofile(str(path.with_suffix(".mo")))
        gaps = untranslated(catalogue)
        missing += len(gaps)
        say(f"{path.relative_to(ROOT)}: {len(catalogue)} messages, {len(gaps)} not translated")
        for entry in gaps:
            say(f"  {entry.occurrences[0][0]}: {entry.msgid!r}")
    return 1 if missing else 0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
