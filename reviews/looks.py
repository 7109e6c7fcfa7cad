"""What a picture looks like, in 256 bits: a perceptual hash (pHash), near for near pictures.

Taken in the worker, from the rendition that we made ourselves: no hostile file is read here.
"""

import re
from typing import BinaryIO

BITS = 256
SIDE = 16  # of the square of frequencies that is kept: SIDE² bits
_HEX = re.compile(r"[0-9a-fA-F]{64}")


def look_of(picture: BinaryIO) -> str | None:
    """The hash in hexadecimal digits, or None for a picture that has nothing in it to go by: one of
    a single colour is near to every other such."""
    import imagehash
    from PIL import Image

    with Image.open(picture) as opened:
        # On white, as a page would show what shines through.
        flat = Image.new("RGB", opened.size, "white")
        shown = opened.convert("RGBA")
        flat.paste(shown, mask=shown.getchannel("A"))
    if max(high - low for low, high in flat.getextrema()) < 16:
        return None
    return str(imagehash.phash(flat, hash_size=SIDE))


def is_hash(text: str) -> bool:
    return bool(_HEX.fullmatch(text))


def as_bits(text: str) -> str:
    """64 hexadecimal digits as 256 zeros and ones."""
    return f"{int(text, 16):0{BITS}b}"


def distance(one: str, other: str) -> int:
    """How many bits differ, of two in hexadecimal digits."""
    return (int(one, 16) ^ int(other, 16)).bit_count()
