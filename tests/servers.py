"""Loaded by pytest before Django: the embedded servers, in their own folder under var/."""

import os
from pathlib import Path

os.environ.setdefault(
    "TRUSTCONSOLE_VAR", str(Path(__file__).resolve().parent.parent / "var" / "test")
)
os.environ.setdefault("SECRET_KEY", "tests-only")

from trustconsole import embedded  # noqa: E402

embedded.lend_to(["test"])
