#!/usr/bin/env python
"""Django's command line. Without DATABASE_URL it borrows the embedded servers while it runs."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trustconsole.settings")
    from trustconsole import embedded

    embedded.lend_to(sys.argv[1:])

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
