"""One account's record, by the platform's own id of it."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from reviews import access, accounts
from reviews.models import Account

from . import schemas
from .bodies import platform_of
from .items import PLATFORM, REFUSALS


class AccountView(APIView):
    verb = "item.view"

    @extend_schema(
        operation_id="read_account",
        summary="How an account stands",
        description="Its items, decisions and strikes in figures, over its newest "
        f"{accounts.MOST_ITEMS:,} items. A person is not told of items that wait for a blind "
        "review of hers; a token sees all.",
        parameters=[PLATFORM],
        responses={200: schemas.AccountOut, 404: schemas.Refusal, 422: schemas.Refusal, **REFUSALS},
    )
    def get(self, request: Request, external_id: str) -> Response:
        account = access.get(
            request.user,
            "item.view",
            Account.objects.filter(platform=platform_of(request)),
            "platform",
            external_id=external_id.replace("\x00", ""),
        )
        hidden = [] if request.auth is not None else accounts.hidden_items(request.user, account)
        figures = accounts.summary(account, hidden=hidden)
        now = timezone.now()
        return Response(
            {
                "id": account.pk,
                "external_id": account.external_id,
                "name": account.name,
                "joined_at": account.joined_at,
                "items": figures.items,
                "first_submitted_at": figures.first_at,
                "last_submitted_at": figures.last_at,
                "reports": figures.reports,
                "decisions": {"violating": figures.violating, "clean": figures.clean},
                "policies": [
                    {"slug": one.slug, "decisions": one.count, "last_decided_at": one.last_at}
                    for one in figures.policies
                ],
                "languages": dict(figures.languages),
                "strikes": [
                    {
                        "item": strike.enforcement.decision.item_id,
                        "decision": strike.enforcement.decision_id,
                        "created_at": strike.created_at,
                        "expires_at": strike.expires_at,
                        "reversed_at": strike.reversed_at,
                        "counts": strike.counts(now),
                    }
                    for strike in accounts.strikes(account, hidden=hidden)
                ],
            }
        )
