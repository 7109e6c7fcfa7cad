"""Snapshot files over HTTP, whole or in parts (RFC 9110 §14), for pages and API alike."""

import re
from collections.abc import Iterator
from pathlib import Path

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from . import snapshots
from .models import Snapshot

CHUNK = 256 * 1024
_RANGE = re.compile(r"bytes\s*=\s*(?:(\d{1,19})\s*-\s*(\d{0,19})|-\s*(\d{1,19}))")


class Unsatisfiable(Exception):
    """A range that begins behind the end of the file."""


def send_file(request: HttpRequest, snapshot: Snapshot, name: str) -> HttpResponseBase:
    """A file of a snapshot she may download; each answer that carries bytes is audited."""
    path, entry = snapshots.get_file(snapshot, name)
    response = file_response(
        request,
        path,
        name=f"snapshot-{snapshot.number}-{entry['name']}",
        sha256=entry["sha256"],
        content_type=entry["content_type"],
    )
    if request.method == "GET" and response.status_code in (200, 206):
        snapshots.record_download(
            snapshot, entry["name"], by=request.user, part=response.get("Content-Range", "")
        )
    return response


def file_response(
    request: HttpRequest, path: Path, *, name: str, sha256: str, content_type: str
) -> HttpResponseBase:
    """200 or 206 with the bytes, 304 when she has them, 416 when there are none so far out.

    The SHA-256 is the entity tag: a download is resumed only while the file is the same.
    """
    etag = f'"{sha256}"'
    size = path.stat().st_size
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    if _names(request.headers.get("If-None-Match", ""), etag):
        return HttpResponse(status=304, headers=headers)
    try:
        part = _part(request, etag, size)
    except Unsatisfiable:
        return HttpResponse(status=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    start, stop = part or (0, size)
    headers["Content-Length"] = str(stop - start)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    status = 206 if part is not None else 200
    if request.method == "HEAD":
        return HttpResponse(status=status, headers=headers, content_type=content_type)
    return StreamingHttpResponse(
        _chunks(path, start, stop), status=status, headers=headers, content_type=content_type
    )


def _part(request: HttpRequest, etag: str, size: int) -> tuple[int, int] | None:
    """[start, stop) of the one range asked for; None for the whole file.

    Several ranges, or words we cannot read, mean the whole file: a server may ignore Range.
    """
    condition = request.headers.get("If-Range")
    if condition is not None and condition != etag:
        return None
    found = _RANGE.fullmatch(request.headers.get("Range", "").strip())
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        if int(suffix) == 0:
            raise Unsatisfiable
        return max(size - int(suffix), 0), size
    start = int(first)
    stop = min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return start, stop


def _names(header: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return etag in tags or tags == ["*"]


def _chunks(path: Path, start: int, stop: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        left = stop - start
        while left > 0 and (chunk := file.read(min(CHUNK, left))):
            left -= len(chunk)
            yield chunk
