"""Ask a model version about texts: a probability a policy, with its 95 % interval."""

import json
import sys
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from mlhooks import registry
from mlhooks.models import ModelVersion
from reviews.errors import DomainError
from reviews.management.platforms import find_platform

AT_ONCE = 64


class Command(BaseCommand):
    help = f"{__doc__} Without texts, one a line is read from standard input."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("texts", nargs="*", metavar="TEXT")
        parser.add_argument(
            "--model", type=int, metavar="NUMBER", help="3 for v3; else the champion"
        )
        parser.add_argument("--platform", help="its slug; may be left out where there is one only")
        parser.add_argument("--json", action="store_true", help="one JSON object a text")

    def handle(self, *, texts, model, platform, json, **options) -> None:
        try:
            model_version = self._find(find_platform(platform), model)
            lines = texts or (line.rstrip("\n") for line in sys.stdin)
            for some in _parts(lines):
                for text, answers in zip(some, registry.predict(model_version, some), strict=True):
                    self._say(text, answers, as_json=json)
        except DomainError as error:
            raise CommandError(str(error)) from None

    def _find(self, platform, number) -> ModelVersion:
        if number is None:
            return registry.ensure_zero_shot(platform)
        try:
            return ModelVersion.objects.get(platform=platform, number=number)
        except ModelVersion.DoesNotExist:
            raise CommandError(f"There is no model version {number} on this platform.") from None

    def _say(self, text: str, answers: dict[str, registry.Answer], *, as_json: bool) -> None:
        if as_json:
            found = {slug: one._asdict() for slug, one in answers.items()}
            self.stdout.write(json.dumps({"text": text, "answers": found}, ensure_ascii=False))
            return
        self.stdout.write(" ".join(text.split())[:100])
        for slug, one in answers.items():
            span = "not known" if one.low is None else f"{one.low:.2f} to {one.high:.2f}"
            self.stdout.write(f"  {slug:<20} {one.probability:.2f}  ({span}; {one.by})")


def _parts(lines):
    some: list[str] = []
    for line in lines:
        some.append(line)
        if len(some) == AT_ONCE:
            yield some
            some = []
    if some:
        yield some
