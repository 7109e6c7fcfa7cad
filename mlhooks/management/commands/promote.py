"""Propose a model version as champion, approve a proposal, or roll back. Two people promote."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from mlhooks import promotions
from mlhooks.models import ModelVersion
from reviews.errors import DomainError
from reviews.management.platforms import find_platform
from reviews.models import Person


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", type=int, nargs="?", help="of the model version: 3 for v3")
        parser.add_argument("--platform", help="its slug; may be left out where there is one only")
        parser.add_argument("--by", required=True, metavar="PERSON", help="who does it")
        parser.add_argument("--reason", default="", help="for whoever approves it")
        step = parser.add_mutually_exclusive_group()
        step.add_argument("--approve", action="store_true", help="approve the open proposal")
        step.add_argument("--withdraw", action="store_true", help="withdraw the open proposal")
        step.add_argument("--roll-back", action="store_true", help="to the champion before")

    def handle(self, *, number, platform, by, reason, **options) -> None:
        try:
            person = Person.objects.get(username=by)
            found = find_platform(platform)
            if options["roll_back"]:
                back = promotions.roll_back(found, by=person)
                self.stdout.write(f"Rolled back: {back.label} is the champion.")
                return
            if number is None:
                raise CommandError("Say which model version: manage.py promote 3 --by NAME")
            model_version = ModelVersion.objects.get(platform=found, number=number)
            self.stdout.write(self._step(model_version, person, reason, options))
        except Person.DoesNotExist:
            raise CommandError(f"There is no {by} here.") from None
        except ModelVersion.DoesNotExist:
            raise CommandError(f"There is no model version {number} on this platform.") from None
        except DomainError as error:
            raise CommandError(str(error)) from None

    def _step(self, model_version: ModelVersion, by: Person, reason: str, options: dict) -> str:
        if not options["approve"] and not options["withdraw"]:
            promotions.propose(model_version, by=by, reason=reason)
            return f"{model_version.label} is proposed; somebody else has to approve it."
        promotion = model_version.promotions.filter(approved_at=None, withdrawn_at=None).first()
        if promotion is None:
            raise CommandError(f"{model_version.label} has no open proposal.")
        if options["withdraw"]:
            promotions.withdraw(promotion, by=by)
            return f"The proposal of {model_version.label} is withdrawn."
        promotions.approve(promotion, by=by)
        return f"{model_version.label} is the champion; waiting items are scored again."
