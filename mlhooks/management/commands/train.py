"""Train a model on a snapshot and hold it against the champion."""

import time
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from mlhooks import learning
from mlhooks.models import Snapshot, TrainingRun
from reviews.errors import DomainError
from reviews.management.platforms import find_platform


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--snapshot", type=int, required=True, help="its number")
        parser.add_argument("--platform", help="its slug; may be left out where there is one only")
        parser.add_argument("--kind", default="trained", choices=["trained", "few-shot"])
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--wait", action="store_true", help="until a worker is done with it")
        parser.add_argument(
            "--inline", action="store_true", help="train in this process, without a worker"
        )

    def handle(self, *, snapshot, platform, kind, seed, wait, inline, **options) -> None:
        try:
            found = Snapshot.objects.get(platform=find_platform(platform), number=snapshot)
            run = learning.start_training(found, by=None, kind=kind, seed=seed)
        except Snapshot.DoesNotExist:
            raise CommandError(f"There is no snapshot {snapshot} on this platform.") from None
        except DomainError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Training {run.pk} on snapshot {snapshot}.")
        if inline:
            learning.run(run.pk)
        if wait or inline:
            self._watch(run)

    def _watch(self, run: TrainingRun) -> None:
        over = (TrainingRun.State.DONE, TrainingRun.State.FAILED, TrainingRun.State.CANCELLED)
        with tqdm(total=100, unit="%", disable=None) as bar:
            while True:
                run.refresh_from_db()
                bar.set_description(run.step or "Waiting for a worker")
                bar.update(round(100 * run.fraction) - bar.n)
                if run.state in over:
                    break
                time.sleep(0.3)
        if run.state != TrainingRun.State.DONE:
            raise CommandError(f"{run.get_state_display()}: {run.error or 'nothing registered'}")
        self.stdout.write(self.style.SUCCESS(f"{run.model_version.label} is a candidate."))
        evaluation = run.model_version.evaluation
        for slug, report in evaluation["candidate"].items():
            beside = evaluation["champion"].get(slug) or {}
            self.stdout.write(
                f"  {slug}: AUPRC {_figure(report['auprc'])} on {report['n']:,} test rows"
                + (
                    f", {evaluation['champion_label']} {_figure(beside.get('auprc'))}"
                    if beside
                    else ""
                )
            )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
