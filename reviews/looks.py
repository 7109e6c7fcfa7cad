"""What a picture, or a moment of a film, looks like in 256 bits: a perceptual hash (pHash), near
for near pictures.

Taken in the worker, from the rendition that we made ourselves: no hostile file is read here.
"""

import re
from typing import Any, BinaryIO

BITS = 256
SIDE = 16  # of the square of frequencies that is kept: SIDE² bits
# Where a picture moves, a moment a quarter of a second off looks like another; an eighth does not.
STEP_SECONDS = 0.25
MOST_MOMENTS = 128
_HEX = re.compile(r"[0-9a-fA-F]{64}")


def look_of(picture: BinaryIO) -> str | None:
    """The hash in hexadecimal digits, or None for a picture that has nothing in it to go by: one of
    a single colour is near to every other such."""
    from PIL import Image

    with Image.open(picture) as opened:
        # On white, as a page would show what shines through.
        flat = Image.new("RGB", opened.size, "white")
        shown = opened.convert("RGBA")
        flat.paste(shown, mask=shown.getchannel("A"))
    return None if _is_flat(flat) else _hash(flat)


def moments_of(film: BinaryIO, *, seconds: float) -> list[tuple[float, str]]:
    """(seconds from the start, hash) of a film of that length four times a second; of one longer
    than half a minute twice, once, …: copies that begin later or end sooner have moments in common.
    Those that have nothing in them to go by are left out."""
    import av

    step = STEP_SECONDS
    while step * MOST_MOMENTS < seconds:
        step *= 2
    found, due = [], 0.0
    with av.open(film) as container:
        for frame in container.decode(video=0):
            at = float(frame.time or 0)
            if at < due:
                continue
            due = (at // step + 1) * step
            picture = frame.to_image()
            if not _is_flat(picture):
                found.append((round(at, 2), _hash(picture)))
    return found[:MOST_MOMENTS]


def _is_flat(picture: Any) -> bool:
    return max(high - low for low, high in picture.getextrema()) < 16


def _hash(picture: Any) -> str:
    import imagehash

    return str(imagehash.phash(picture, hash_size=SIDE))


def is_hash(text: str) -> bool:
    return bool(_HEX.fullmatch(text))


def as_bits(text: str) -> str:
    """64 hexadecimal digits as 256 zeros and ones."""
    return f"{int(text, 16):0{BITS}b}"


def distance(one: str, other: str) -> int:
    """How many bits differ, of two in hexadecimal digits."""
    return (int(one, 16) ^ int(other, 16)).bit_count()
