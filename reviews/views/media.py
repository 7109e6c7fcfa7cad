"""Pictures, films and sounds: the only place from which a browser gets any. What is served is what
a worker made; what came in never is."""

import logging
import re
from collections.abc import Iterator
from typing import Any

from csp.decorators import csp_replace
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.http import parse_etags, quote_etag
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_safe

from reviews import layouts, media
from reviews.errors import NotFound
from reviews.models import Medium, Queue

logger = logging.getLogger(__name__)

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_CHUNK = 256 * 1024
# So long a browser need not ask again whether she may still see it.
_FRESH_SECONDS = 300
_ENDINGS = {"image/webp": "webp", "video/webm": "webm", "audio/webm": "webm"}


@require_safe
@csp_replace({"default-src": ["'none'"], "sandbox": True})
def rendition(request: HttpRequest, pk: int, name: str) -> HttpResponseBase:
    """One rendition, whole or a range of it."""
    medium = media.get_to_show(request.user, pk)
    one = medium.renditions.get(name)
    if medium.state != Medium.State.READY or one is None or one["type"] not in _ENDINGS:
        raise NotFound(_("There is no such medium here."))
    etag = quote_etag(one["sha256"])
    if etag in parse_etags(request.headers.get("If-None-Match", "")):
        return _dressed(HttpResponse(status=304), medium, name, one, etag)
    size = one["bytes"]
    wanted = request.headers.get("Range", "")
    if wanted and request.headers.get("If-Range", etag) == etag:
        found = _read_range(wanted, size)
        if found == ():
            response = HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
            return _dressed(response, medium, name, one, etag)
        if found:
            return _dressed(_part(request, one, *found), medium, name, one, etag)
    if request.method == "HEAD":
        return _dressed(HttpResponse(headers={"Content-Length": size}), medium, name, one, etag)
    try:
        opened = media.storage().open(one["name"])
    except FileNotFoundError:
        logger.error("The file %s of medium %s is gone", one["name"], medium.pk)
        raise NotFound(_("There is no such medium here.")) from None
    file = FileResponse(opened, headers={"Content-Length": size})
    return _dressed(file, medium, name, one, etag)


@require_GET
def figure(request: HttpRequest, pk: int) -> HttpResponse:
    """What stands in a block for this medium, as it is now: a page asks while it is prepared."""
    medium = media.get_to_show(request.user, pk)
    known = set(request.GET.get("filters", "").split()) & set(Queue.Filter.values)
    shown = layouts.Medium(
        *(getattr(medium, name if name != "id" else "pk") for name in media.COLUMNS.split(", "))
    )
    return render(
        request,
        "reviews/_medium.html",
        {
            "seen": layouts.Seen(medium.reference, shown, request.GET.get("alt", "")[:2_000]),
            "filters": " ".join(sorted(known)),
            "said": "",
            "form": request.GET.get("form", "")[:10],
            "is_late": True,
        },
    )


def _dressed(
    response: HttpResponseBase, medium: Medium, name: str, one: dict[str, Any], etag: str
) -> HttpResponseBase:
    response["ETag"] = etag
    response["Cache-Control"] = f"private, max-age={_FRESH_SECONDS}, must-revalidate"
    response["Vary"] = "Cookie"
    if response.status_code != 304:
        response["Content-Type"] = one["type"]
        response["Accept-Ranges"] = "bytes"
        ending = _ENDINGS[one["type"]]
        response["Content-Disposition"] = f'inline; filename="medium-{medium.pk}-{name}.{ending}"'
    return response


def _read_range(text: str, size: int) -> tuple[int, int] | tuple[()] | None:
    """(first, last) byte of a single range, () where it lies outside, None where it is to be
    ignored: no range at all, or several."""
    match = _RANGE.fullmatch(text.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(size - int(last), 0), size - 1
        return (start, end) if int(last) else ()
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    return (start, end) if start < size else ()


def _part(request: HttpRequest, one: dict[str, Any], first: int, last: int) -> HttpResponseBase:
    headers = {
        "Content-Range": f"bytes {first}-{last}/{one['bytes']}",
        "Content-Length": str(last - first + 1),
    }
    if request.method == "HEAD":
        return HttpResponse(status=206, headers=headers)
    return StreamingHttpResponse(_read(one["name"], first, last), status=206, headers=headers)


def _read(name: str, first: int, last: int) -> Iterator[bytes]:
    with media.storage().open(name) as file:
        file.seek(first)
        left = last - first + 1
        while left and (chunk := file.read(min(_CHUNK, left))):
            left -= len(chunk)
            yield chunk
