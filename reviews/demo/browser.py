"""A simulated reviewer's browser: sign in, read the desk, answer; for simulate_reviewers --http.

Keeps one connection open and sends the form as htmx does, so that the next job is in the reply.
"""

import html
import http.client
import re
from http.cookies import SimpleCookie
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

_FORM = re.compile(r'<form\b[^>]*\baction="(/jobs/(\d+)/decide/)"[^>]*>(.*?)</form>', re.S)
_INPUT = re.compile(r"<input\b[^>]*>")
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
_TIMEOUT_SECONDS = 30


class Trouble(Exception):
    """The page was not what a reviewer would expect; says which and what it said."""


class TooManySignIns(Trouble):
    """The server slows down sign-ins from one address."""


class DeskForm(NamedTuple):
    action: str
    job_id: int
    hidden: dict[str, str]


class Browser:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._connection = kind(parts.netloc, timeout=_TIMEOUT_SECONDS)
        self._cookies: dict[str, str] = {}

    def sign_in(self, username: str, password: str) -> None:
        status, page = self.request("GET", "/accounts/login/")
        if status != 200:
            raise Trouble(f"The sign-in page answered {status}.")
        form = {"login": username, "password": password, **_hidden_of(page)}
        status, page = self.request("POST", "/accounts/login/", form)
        if status == 429 or (status == 200 and "Too many" in page):
            raise TooManySignIns("The server takes no more sign-ins from here this minute.")
        if status not in (302, 303):
            raise Trouble(f"{username} could not sign in ({status}): {_words(page)}")

    def bring_cookie(self, name: str, value: str) -> None:
        """A session that was made elsewhere."""
        self._cookies[name] = value

    def open_desk(self, queue: str) -> DeskForm | None:
        """The job on the desk, None when the queue has none for her."""
        status, page = self.request("GET", f"/review/{queue}/")
        if status != 200:
            raise Trouble(f"The desk of {queue} answered {status}: {_words(page)}")
        return read_desk(page)

    def decide(self, desk: DeskForm, form: list[tuple[str, str]]) -> DeskForm | None:
        """Send the answer; returns the next job."""
        fields = [*desk.hidden.items(), *form]
        status, page = self.request("POST", desk.action, fields, htmx=True)
        if status != 200:
            raise Trouble(f"The answer to job {desk.job_id} got {status}: {_words(page)}")
        return read_desk(page)

    def skip(self, desk: DeskForm) -> DeskForm | None:
        action = desk.action.replace("/decide/", "/skip/")
        status, page = self.request("POST", action, list(desk.hidden.items()), htmx=True)
        if status != 200:
            raise Trouble(f"Skipping job {desk.job_id} got {status}: {_words(page)}")
        return read_desk(page)

    def release(self, desk: DeskForm) -> None:
        """Put the job back and leave."""
        self.request(
            "POST", desk.action.replace("/decide/", "/release/"), list(desk.hidden.items())
        )

    def close(self) -> None:
        self._connection.close()

    def request(
        self,
        method: str,
        path: str,
        form: dict[str, str] | list[tuple[str, str]] | None = None,
        *,
        htmx: bool = False,
    ) -> tuple[int, str]:
        headers = {"Origin": self._origin, "Referer": f"{self._origin}{path}"}
        if self._cookies:
            headers["Cookie"] = "; ".join(
                f"{name}={value}" for name, value in self._cookies.items()
            )
        if htmx:
            headers["HX-Request"] = "true"
        body = None
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            headers["X-CSRFToken"] = self._cookies.get("csrftoken", "")
            body = urlencode(form)
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError):
            # The server closes idle and worn-out connections; what was not answered is not done.
            self._connection.close()
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
        page = response.read().decode()
        for line in response.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                self._cookies[name] = morsel.value
        return response.status, page


def read_desk(page: str) -> DeskForm | None:
    """The form a decision is sent with, and what it carries along."""
    found = _FORM.search(page)
    if found is None:
        return None
    return DeskForm(found[1], int(found[2]), _hidden_of(found[3]))


def _hidden_of(page: str) -> dict[str, str]:
    hidden = {}
    for tag in _INPUT.findall(page):
        attributes = {name: html.unescape(value) for name, value in _ATTRIBUTE.findall(tag)}
        if attributes.get("type") == "hidden" and "name" in attributes:
            hidden[attributes["name"]] = attributes.get("value", "")
    return hidden


def _words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())[:200]
