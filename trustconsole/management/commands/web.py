"""The web server alone, for a deployment on several hosts."""

from django.core.management.base import BaseCommand

from trustconsole import programs


class Command(BaseCommand):
    help = "Run the web server (gunicorn) in the foreground. HOST, PORT, WEB_WORKERS, WEB_THREADS."
    requires_system_checks = []

    def handle(self, *args: object, **options: object) -> None:
        programs.become(programs.web())
