"""Bodies of calls, bounded: JSON in, rows out; and whose platform they are for."""

import hashlib
import json
from collections.abc import Callable
from typing import Any, NoReturn

from django.http import HttpResponse
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from reviews import access, idempotency
from reviews.errors import Invalid, NotFound
from reviews.idempotency import Answer
from reviews.models import Platform
from reviews.submission import Outcome

from .errors import TooLarge

MAX_ROWS = 1000
MAX_BYTES = 32 * 2**20


class BoundedJSONParser(BaseParser):
    """JSON as Python reads it, but of a size that fits, and without NaN and Infinity."""

    media_type = "application/json"

    def parse(self, stream, media_type=None, parser_context=None) -> Any:  # noqa: ANN001
        body = stream.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise TooLarge(f"At most {MAX_BYTES // 2**20} MiB a call.")
        parser_context["request"].body_digest = hashlib.sha256(body).hexdigest()
        try:
            return json.loads(body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise ParseError(f"This is not JSON: {error}"[:300]) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def rows_of(request: Request) -> list[object]:
    """The rows of a body that is one object or an array of up to MAX_ROWS."""
    body = request.data
    if isinstance(body, dict):
        return [body]
    if not isinstance(body, list) or not body:
        raise Invalid(f"Send one object, or an array of 1 to {MAX_ROWS:,}.")
    if len(body) > MAX_ROWS:
        raise TooLarge(f"At most {MAX_ROWS:,} rows a call; these are {len(body):,}.")
    return body


def platform_of(request: Request) -> Platform:
    """The token's platform; for a person the one of ?platform=, or her only one."""
    if request.auth is not None:
        return request.auth.platform
    platforms = Platform.objects.filter(pk__in=access.platform_ids(request.user))
    slug = request.query_params.get("platform")
    if slug is not None:
        platforms = platforms.filter(slug=slug)
    found = list(platforms[:2])
    if not found:
        raise NotFound("There is no such platform here.")
    if len(found) > 1:
        raise Invalid("Say which platform: ?platform=<slug>.", details={"platform": ["Required."]})
    return found[0]


def answer_once(request: Request, work: Callable[[], list[Outcome]]) -> HttpResponse:
    """The outcomes of `work` as a response; with an Idempotency-Key, done once for all calls."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        done = _answer(work())
    else:
        body_digest = getattr(request, "body_digest", "")
        call = f"{request.method} {request.get_full_path()} {body_digest}"
        digest = hashlib.sha256(call.encode()).hexdigest()
        done = idempotency.once(request.user, key, digest=digest, work=lambda: _answer(work()))
    response = HttpResponse(done.body, status=done.status, content_type="application/json")
    if done.is_replay:
        response["Idempotent-Replayed"] = "true"
    return response


def _answer(outcomes: list[Outcome]) -> Answer:
    """200: every row is stored. 207: some are, the rest say why not. 422: none is."""
    counts = {"created": 0, "changed": 0, "unchanged": 0, "rejected": 0}
    results = []
    for outcome in outcomes:
        counts[outcome.status] += 1
        results.append(
            {
                "index": outcome.index,
                "status": outcome.status,
                "item_id": outcome.item_id,
                "version": outcome.version,
                "errors": outcome.errors,
            }
        )
    status = 200
    if counts["rejected"]:
        status = 422 if counts["rejected"] == len(outcomes) else 207
    body = json.dumps({"results": results, "counts": counts}, separators=(",", ":"))
    return Answer(status, body)


def whole_number(request: Request, name: str, *, default: int, least: int, most: int) -> int:
    """A query parameter that is a number, or Invalid in words."""
    text = request.query_params.get(name)
    if text is None:
        return default
    # int() alone would take "１２", "1_2" and numbers too long for the database.
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and least <= int(text) <= most):
        raise Invalid(
            f"{name} is a whole number from {least} to {most}.",
            details={name: [f"Give a whole number from {least} to {most}."]},
        )
    return int(text)
