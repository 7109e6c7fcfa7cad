"""Fetches a snapshot into a verified local folder: by name, in parts, as often as the line breaks.

Needs Python 3.11 and nothing else: copy this one file to where you train, or

    python -m mlhooks.client https://console.example.com 12 --into data

The token (scope `snapshots:read`) comes from TRUST_CONSOLE_TOKEN, or is given to `Client`.
"""

import argparse
import hashlib
import http.client
import json
import os
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

CHUNK = 256 * 1024
TOKEN_VARIABLE = "TRUST_CONSOLE_TOKEN"  # noqa: S105
# What may pass if one asks again.
PASSING = {408, 425, 429, 500, 502, 503, 504}
LONGEST_WAIT_SECONDS = 60.0
_LOCAL = {"localhost", "127.0.0.1", "::1"}
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")

Progress = Callable[[str, int, int], None]  # file name, bytes there, bytes in all


class ClientError(Exception):
    """Something to tell the person: what went wrong, and what to do."""


class Refused(ClientError):
    """The console said no; `status` is its answer's number."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class Withdrawn(Refused):
    """The snapshot held an item that was erased since. `replaced_by` is the number of the one that
    takes its place; what of the old one lies on your disk should go."""

    def __init__(self, message: str, *, replaced_by: int | None) -> None:
        super().__init__(message, status=410)
        self.replaced_by = replaced_by


class NotReady(ClientError):
    """The snapshot has no files: they are not written yet, or could not be."""


class Unreachable(ClientError):
    """The console did not answer, as often as it was asked."""


class Damaged(ClientError):
    """What came is not what the console says it sent."""


@dataclass(frozen=True)
class SnapshotFile:
    name: str
    bytes: int
    sha256: str
    rows: int | None = None


@dataclass(frozen=True)
class Snapshot:
    number: int
    platform: str
    state: str
    note: str
    rows: int
    cutoff_at: str
    error: str = ""
    files: tuple[SnapshotFile, ...] = ()
    replaced_by: int | None = None
    withdrawn_because: str = ""

    @property
    def folder(self) -> str:
        return f"{self.platform}-snapshot-{self.number}"


class Client:
    """Reads snapshots of one platform: the token's.

    `attempts` are in a row without a byte of progress; between them it waits 0.5, 1, 2 … seconds,
    or as long as the console asks. The token is sent to `url` alone: a redirect is not followed.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout_seconds: float = 60,
        attempts: int = 6,
        allow_http: bool = False,
        opener: urllib.request.OpenerDirector | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._root = _root(url, allow_http=allow_http)
        self._token = (token or os.environ.get(TOKEN_VARIABLE, "")).strip()
        if not self._token:
            raise ClientError(
                f"No token. Set {TOKEN_VARIABLE}, or give one: it needs the scope snapshots:read."
            )
        if not self._token.isascii() or not self._token.isprintable():
            raise ClientError("The token holds a character that no token has. Copy it again.")
        if attempts < 1:
            raise ClientError("`attempts` is at least 1.")
        self._timeout = timeout_seconds
        self._attempts = attempts
        self._opener = opener or urllib.request.build_opener(_StayHere())
        self._sleep = sleep

    def list_snapshots(self) -> list[Snapshot]:
        """Newest first, without their files."""
        return [_snapshot(one) for one in self._json("snapshots")["results"]]

    def get_snapshot(self, which: int | Literal["latest"] = "latest") -> Snapshot:
        """One by number, or the newest that is ready."""
        if which == "latest":
            ready = [one for one in self.list_snapshots() if one.state == "ready"]
            if not ready:
                raise NotReady("No snapshot is ready yet. Make one on the Snapshots page.")
            which = ready[0].number
        return _snapshot(self._json(f"snapshots/{int(which)}"))

    def download(
        self,
        which: int | Literal["latest"] = "latest",
        *,
        into: Path | str = ".",
        names: Iterable[str] | None = None,
        progress: Progress | None = None,
    ) -> Path:
        """The folder that holds the snapshot's files (or those of `names`), each checked against
        the SHA-256 the console keeps. What is there already and right is not fetched again.

        Raises ClientError; files that came whole stay, and the next call goes on from there.
        """
        snapshot = self.get_snapshot(which)
        if snapshot.state == "withdrawn":
            raise _withdrawn(
                f"Snapshot {snapshot.number} was taken back. {snapshot.withdrawn_because}",
                snapshot.replaced_by,
            )
        if snapshot.state != "ready":
            why = f" ({snapshot.error})" if snapshot.error else ""
            raise NotReady(
                f"Snapshot {snapshot.number} is {snapshot.state}{why}: it has no files to download."
            )
        wanted = _wanted(snapshot, names)
        folder = Path(into) / snapshot.folder
        folder.mkdir(parents=True, exist_ok=True)
        for file in wanted:
            self._fetch(snapshot.number, file, folder, progress or _quietly)
        if names is None:
            _agree(snapshot, folder)
        return folder

    def _fetch(self, number: int, file: SnapshotFile, folder: Path, progress: Progress) -> None:
        final = folder / file.name
        if final.is_file() and final.stat().st_size == file.bytes and _sha256(final) == file.sha256:
            progress(file.name, file.bytes, file.bytes)
            return
        # Named after what it is a part of: a part of another version is never gone on with.
        part = folder / f".{file.name}.{file.sha256[:16]}.part"
        for is_last in (False, True):
            self._fill(number, file, part, progress)
            if part.stat().st_size == file.bytes and _sha256(part) == file.sha256:
                os.replace(part, final)
                return
            part.unlink()
            if is_last:
                raise Damaged(
                    f"{file.name} came twice with other bytes than its SHA-256 says "
                    f"({file.sha256}). Nothing of it was kept. Is something between you and the "
                    "console that changes files?"
                )

    def _fill(self, number: int, file: SnapshotFile, part: Path, progress: Progress) -> None:
        """Ask for what is missing until the part is as long as the file, or too long."""
        path = f"snapshots/{number}/files/{urllib.parse.quote(file.name)}"
        failures = 0
        while True:
            have = _size(part)
            if have > file.bytes:
                part.unlink()
                have = -1
            if have == file.bytes:
                return
            headers = {}
            if have > 0:
                headers = {"Range": f"bytes={have}-", "If-Range": f'"{file.sha256}"'}
            try:
                with self._open(path, headers) as answer:
                    self._receive(answer, file, part, max(have, 0), progress)
                problem = "the connection ended early"
            except (OSError, http.client.HTTPException) as error:
                problem = str(error) or type(error).__name__
                wait = _wait_asked_for(error)
            else:
                wait = None
            now = _size(part)
            if now >= file.bytes:
                return
            failures = 1 if now > max(have, 0) else failures + 1
            self._pause(failures, wait, what=file.name, problem=problem)

    def _receive(
        self,
        answer: http.client.HTTPResponse,
        file: SnapshotFile,
        part: Path,
        have: int,
        progress: Progress,
    ) -> None:
        goes_on = answer.status == 206
        if goes_on:
            found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
            if found is None or int(found[1]) != have:
                raise Damaged(
                    f"Asked for {file.name} from byte {have}, and got another part of it."
                )
        with part.open("ab" if goes_on else "wb") as out:
            there = have if goes_on else 0
            while chunk := answer.read(CHUNK):
                there += len(chunk)
                out.write(chunk)
                if there > file.bytes:
                    break  # more than was promised: these are other bytes
                progress(file.name, there, file.bytes)
            out.flush()
            os.fsync(out.fileno())

    def _json(self, path: str) -> Any:
        failures = 0
        while True:
            try:
                with self._open(path, {"Accept": "application/json"}) as answer:
                    return json.loads(answer.read())
            except (OSError, http.client.HTTPException) as error:
                failures += 1
                problem = str(error) or type(error).__name__
                self._pause(failures, _wait_asked_for(error), what=self._root, problem=problem)
            except ValueError as error:
                raise Damaged(
                    f"{self._root}/{path} did not answer in JSON. Is {self._root} the console?"
                ) from error

    def _open(self, path: str, headers: dict[str, str]) -> Any:
        """Raises Refused where asking again is no use, and OSError where it may be."""
        request = urllib.request.Request(  # noqa: S310  _root takes http and https alone
            f"{self._root}/{path}",
            headers={
                "Authorization": f"Bearer {self._token}",
                "Accept-Encoding": "identity",
                "User-Agent": "trust-console-client",
                **headers,
            },
        )
        try:
            return self._opener.open(request, timeout=self._timeout)
        except urllib.error.HTTPError as error:
            if error.code in PASSING:
                raise
            with error:
                raise _refusal(error, self._root) from error

    def _pause(self, failures: int, asked: float | None, *, what: str, problem: str) -> None:
        if failures >= self._attempts:
            raise Unreachable(f"{what}: gave up after {failures} attempts in a row: {problem}.")
        self._sleep(min(asked or 0.5 * 2 ** (failures - 1), LONGEST_WAIT_SECONDS))


class _StayHere(urllib.request.HTTPRedirectHandler):
    """The token would follow a redirect to any host."""

    def redirect_request(self, *given: Any) -> None:
        return None


def _root(url: str, *, allow_http: bool) -> str:
    parts = urllib.parse.urlsplit(url if "//" in url else f"https://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ClientError(f"{url!r} is no address of a console. One looks like https://host.")
    if parts.scheme == "http" and parts.hostname not in _LOCAL and not allow_http:
        raise ClientError(
            f"Over http:// anybody on the way can read the token. Use https://{parts.netloc}, "
            "or say allow_http (--allow-http) if this network is yours alone."
        )
    path = parts.path.rstrip("/").removesuffix("/api/v1")
    return f"{parts.scheme}://{parts.netloc}{path}/api/v1"


def _snapshot(body: dict[str, Any]) -> Snapshot:
    files = tuple(
        SnapshotFile(one["name"], one["bytes"], one["sha256"], one.get("rows"))
        for one in body.get("files", [])
    )
    for name in (body["platform"], *(file.name for file in files)):
        if not _FILE_NAME.fullmatch(name):
            raise Damaged(f"The console names a file {name!r}, which is no plain name.")
    return Snapshot(
        number=body["number"],
        platform=body["platform"],
        state=body["state"],
        note=body["note"],
        rows=body["rows_done"],
        cutoff_at=body["cutoff_at"],
        error=body["error"],
        files=files,
        replaced_by=body.get("replaced_by"),
        withdrawn_because=body.get("withdrawn_because", ""),
    )


def _wanted(snapshot: Snapshot, names: Iterable[str] | None) -> list[SnapshotFile]:
    if names is None:
        return list(snapshot.files)
    by_name = {file.name: file for file in snapshot.files}
    wanted = list(dict.fromkeys([names] if isinstance(names, str) else names))
    for name in wanted:
        if name not in by_name:
            raise ClientError(
                f"Snapshot {snapshot.number} has no file {name!r}. It has {', '.join(by_name)}."
            )
    return [by_name[name] for name in wanted]


def _agree(snapshot: Snapshot, folder: Path) -> None:
    """The manifest is what the folder is read by later: it must name the same bytes."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    there = {one["name"]: one["sha256"] for one in manifest["files"]}
    said = {file.name: file.sha256 for file in snapshot.files if file.name != "manifest.json"}
    if there != said:
        raise Damaged(f"The manifest of snapshot {snapshot.number} and the console disagree.")


def verify(folder: Path | str) -> None:
    """Check a folder by its own manifest, offline. Raises Damaged."""
    folder = Path(folder)
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
    except FileNotFoundError as error:
        raise Damaged(f"{folder} holds no manifest.json.") from error
    for one in manifest["files"]:
        path = folder / one["name"]
        if not path.is_file():
            raise Damaged(f"{path} is missing.")
        if _sha256(path) != one["sha256"]:
            raise Damaged(f"{path} was changed after it was written.")


def _withdrawn(message: str, replaced_by: int | None) -> Withdrawn:
    instead = (
        f" Fetch {replaced_by} instead, and delete your copy of the old one." if replaced_by else ""
    )
    return Withdrawn(f"{message.rstrip()}{instead}", replaced_by=replaced_by)


def _refusal(error: urllib.error.HTTPError, root: str) -> Refused:
    if 300 <= error.code < 400:
        return Refused(
            f"{root} sends on to {error.headers.get('Location', 'elsewhere')}. The token is not "
            "sent there: give that address if it is the console's.",
            status=error.code,
        )
    try:
        body = json.loads(error.read(64 * 1024))
    except (ValueError, OSError, http.client.HTTPException):
        body = {}
    body = body if isinstance(body, dict) else {}
    detail = body.get("error")
    if error.code == 410:
        details = body.get("details")
        number = details.get("replaced_by") if isinstance(details, dict) else None
        message = detail if isinstance(detail, str) else "This snapshot was taken back."
        return _withdrawn(message, number if isinstance(number, int) else None)
    say = {
        401: "The console does not know this token. Was it revoked, or has it expired?",
        403: "This token may not read snapshots. It needs the scope snapshots:read.",
        404: "There is no such snapshot or file, or the token is another platform's.",
    }.get(error.code, f"The console refused with {error.code}.")
    said = f" It says: {detail}" if isinstance(detail, str) and detail else ""
    return Refused(f"{say}{said}", status=error.code)


def _wait_asked_for(error: Exception) -> float | None:
    """Retry-After in seconds, where the console gave one."""
    if not isinstance(error, urllib.error.HTTPError):
        return None
    with error:
        asked = error.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else None


def _size(part: Path) -> int:
    """−1: there is none yet. (A file may well be empty.)"""
    return part.stat().st_size if part.is_file() else -1


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _quietly(name: str, there: int, total: int) -> None:
    pass


def _say_progress(name: str, there: int, total: int) -> None:
    if sys.stderr.isatty() or there == total:
        end = "\n" if there == total else ""
        sys.stderr.write(f"\r{name}  {there:,} of {total:,} bytes{end}")


def main(arguments: list[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    try:
        for line in _run(given):
            sys.stdout.write(f"{line}\n")
    except ClientError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. The same command goes on from here.\n")
        return 130
    return 0


def _run(given: argparse.Namespace) -> Iterator[str]:
    client = Client(given.url, allow_http=given.allow_http)
    if given.snapshot is None:
        for one in client.list_snapshots():
            yield f"{one.number}\t{one.state}\t{one.rows}\t{one.cutoff_at}\t{one.note}"
        return
    names = given.files or None
    yield str(client.download(given.snapshot, into=given.into, names=names, progress=_say_progress))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mlhooks.client",
        description="Fetch a snapshot into a verified local folder. Without a number: list them.",
        epilog=f"The token is read from {TOKEN_VARIABLE}; it needs the scope snapshots:read.",
    )
    parser.add_argument("url", help="the console's address, such as https://console.example.com")
    parser.add_argument("snapshot", nargs="?", type=_number, help="a number, or `latest`")
    parser.add_argument("--into", default=".", help="the folder to make the snapshot's folder in")
    parser.add_argument("--file", dest="files", action="append", help="this file alone; repeatable")
    parser.add_argument("--allow-http", action="store_true", help="send the token unencrypted")
    return parser


def _number(text: str) -> int | Literal["latest"]:
    if text == "latest":
        return "latest"
    if text.isdecimal():
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor `latest`")


if __name__ == "__main__":
    raise SystemExit(main())
