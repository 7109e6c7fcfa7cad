"""What is said in a film or a sound, line by line, where its text says when. PURE: text in, lines
out; nothing of the text is left out."""

import re
from typing import NamedTuple

# "[0:02] so", "0:02 so", "1:02:03.500 so", and the line of times above a cue of WebVTT or SubRip.
_CLOCK = r"(?:(\d{1,3}):)?([0-5]?\d):([0-5]\d)(?:[.,]\d{1,3})?"
_STAMP = re.compile(rf"\s*[\[(]?({_CLOCK})[\])]?(?:[ \t]*-->[ \t]*{_CLOCK}[^\n]*)?(?=\s|$)[ \t]*")
# Not every end of a line that Python knows: the rarer ones are shown as marks.
_LINE_END = re.compile(r"\r\n|\r|\n")
_FEWEST = 2


class Cue(NamedTuple):
    """One line, the second it begins at (None: before the first) and that time as it is written."""

    seconds: int | None
    stamp: str
    text: str


def cues(text: str) -> list[Cue]:
    """The lines with times, in their order; [] where fewer than two have one: then it is a text.

    A line without a time goes on with the one before.
    """
    found: list[Cue] = []
    stamped = 0
    for line in _LINE_END.split(text):
        match = _STAMP.match(line)
        if match:
            stamped += 1
            hours, minutes, seconds = (int(part or 0) for part in match.group(2, 3, 4))
            at = hours * 3600 + minutes * 60 + seconds
            found.append(Cue(at, match.group(1), line[match.end() :]))
        elif found:
            last = found[-1]
            found[-1] = last._replace(text=f"{last.text}\n{line}" if last.text else line)
        elif line.strip():
            found.append(Cue(None, "", line))
    return found if stamped >= _FEWEST else []
