#!/usr/bin/env python
"""Django's command line. Without DATABASE_URL it borrows the embedded servers while it runs."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trustconsole.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit(
            "Django is not installed for this Python. Run `make run`, or use .venv/bin/python."
        )
    from trustconsole import embedded

    embedded.lend_to(sys.argv[1:])
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
