"""Tune an encoder on a snapshot, and register a candidate that has it for its own."""

import os
from argparse import ArgumentParser
from dataclasses import replace

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from mlhooks.models import Snapshot
from reviews.errors import DomainError
from reviews.management.platforms import find_platform


class Command(BaseCommand):
    help = f"""{__doc__}

    Stopped, it goes on from its last checkpoint when it is started again. On several processes:
    torchrun --nproc-per-node 2 manage.py fine_tune --snapshot 3"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--snapshot", type=int, required=True, help="its number")
        parser.add_argument("--platform", help="its slug; may be left out where there is one only")
        parser.add_argument(
            "--kind",
            default="contrastive",
            choices=["contrastive", "full"],
            help="contrastive: a minute, for 8 to 64 labels of each class; full: all weights",
        )
        parser.add_argument("--epochs", type=int, help="of full tuning")
        parser.add_argument("--steps", type=int, help="of contrastive tuning, at most")
        parser.add_argument("--batch", type=int)
        parser.add_argument("--rate", type=float, help="learning rate")
        parser.add_argument("--seed", type=int, default=0)

    def handle(self, *, snapshot, platform, kind, seed, **options) -> None:
        import torch

        from mlhooks import finetuning, tuning

        own = {"epochs": "epochs", "steps": "most_steps", "batch": "batch", "rate": "rate"}
        config = replace(
            finetuning.TuningConfig(kind=kind),
            **{name: options[given] for given, name in own.items() if options[given] is not None},
        )
        is_group = int(os.environ.get("WORLD_SIZE", "1")) > 1
        if is_group:
            torch.distributed.init_process_group("gloo")
        try:
            found = Snapshot.objects.get(platform=find_platform(platform), number=snapshot)
            is_first = os.environ.get("RANK", "0") == "0"
            with tqdm(total=100, unit="%", disable=None if is_first else True) as bar:

                def say(fraction: float, step: str) -> None:
                    bar.set_description(step)
                    bar.update(round(100 * fraction) - bar.n)

                made = tuning.fine_tune(found, config, seed=seed, by=None, say=say)
        except Snapshot.DoesNotExist:
            raise CommandError(f"There is no snapshot {snapshot} on this platform.") from None
        except DomainError as error:
            raise CommandError(str(error)) from None
        finally:
            if is_group:
                torch.distributed.destroy_process_group()
        if made is not None:
            self.stdout.write(self.style.SUCCESS(f"{made.label} is a candidate."))
            for slug, report in made.evaluation["candidate"].items():
                figure = "–" if report["auprc"] is None else f"{report['auprc']:.3f}"
                self.stdout.write(f"  {slug}: AUPRC {figure} on {report['n']:,} test rows")
