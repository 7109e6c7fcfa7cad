"""A Celery worker alone, for a deployment on several hosts."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from trustconsole import programs


class Command(BaseCommand):
    help = "Run a Celery worker in the foreground."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--queues",
            default=",".join(programs.QUEUES),
            help=f"which queues it serves, e.g. score,train (default: {','.join(programs.QUEUES)})",
        )
        parser.add_argument("--processes", type=int, default=1, help="how many at once (default 1)")
        parser.add_argument("--name", default="worker", help="its name in front of @host")

    def handle(self, *args: object, **options) -> None:
        queues = [name.strip() for name in options["queues"].split(",") if name.strip()]
        unknown = [name for name in queues if name not in programs.QUEUES]
        if unknown or not queues:
            raise CommandError(
                f"There is no queue {', '.join(unknown) or '“”'}. "
                f"Queues: {', '.join(programs.QUEUES)}."
            )
        if options["processes"] < 1:
            raise CommandError("--processes must be 1 or more.")
        programs.become(
            programs.worker(queues, processes=options["processes"], name=options["name"])
        )
