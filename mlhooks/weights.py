"""PURE. Which weights these are, told by their bytes. Needs no torch."""

import hashlib
from pathlib import Path


def sha256(path: Path) -> str:
    """Of one file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_folder(folder: Path) -> str | None:
    """Of all .safetensors below it, in the order of their names; None where there are none."""
    found = sorted(folder.rglob("*.safetensors"))
    if not found:
        return None
    return hashlib.sha256("".join(map(sha256, found)).encode()).hexdigest()
