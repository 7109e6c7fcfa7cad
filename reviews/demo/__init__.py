"""The demo platform, Mailhaven: real mails, policies as a Trust team writes them, simulated people.

docs/demo-data.md says what is real, what is ours and what is made up.
"""

PLATFORM_SLUG = "mailhaven"
PLATFORM_NAME = "Mailhaven"
# Everybody's, on a demo database only: load_demo refuses any other.
PASSWORD = "trust-console-demo"  # noqa: S105
