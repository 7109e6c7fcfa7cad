"""Celery beat alone, for a deployment on several hosts: run one of it."""

from django.core.management.base import BaseCommand

from trustconsole import programs


class Command(BaseCommand):
    help = "Run Celery beat, which sends the sweeps, in the foreground."
    requires_system_checks = []

    def handle(self, *args: object, **options: object) -> None:
        programs.become(programs.beat())
