"""Make an API token and print it, this once."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from reviews import access, tokens
from reviews.errors import DomainError
from reviews.management.platforms import find_platform


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="what the token is for, such as ingest-prod")
        parser.add_argument(
            "--scope",
            action="append",
            default=[],
            dest="scopes",
            metavar="SCOPE",
            help=f"may be given more than once; one of: {', '.join(access.SCOPES)}",
        )
        parser.add_argument("--platform", help="its slug; may be left out where there is one only")
        parser.add_argument("--days", type=int, help="how long it lives; for ever if left out")

    def handle(self, *, name, scopes, platform, days, **options) -> None:
        try:
            token, text = tokens.create_token(
                name, platform=find_platform(platform), scopes=scopes, by=None, days=days
            )
        except DomainError as error:
            raise CommandError(str(error)) from None
        until = f", until {token.expires_at:%Y-%m-%d}" if token.expires_at else ""
        self.stderr.write(
            f"{token.name} on {token.platform}: {', '.join(token.scopes)}{until}. "
            "Keep the token safe: it is not shown again."
        )
        self.stdout.write(text)
