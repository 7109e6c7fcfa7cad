"""Context every page needs: what the signed-in person may open. Lazy: fragments pay nothing."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from django.http import HttpRequest
from django.urls import reverse

from reviews import access


class Entry(NamedTuple):
    label: str
    url: str
    is_here: bool


# Label, URL name, the verb that opens it ("" for everybody who signed in).
PAGES = (
    ("Home", "reviews:home", ""),
    ("Queues", "reviews:queue-list", "queue.view"),
    ("My decisions", "reviews:decision-list", "review.record"),
    ("Policies", "reviews:policy-list", "policy.view"),
    ("Enforcements", "reviews:enforcement-list", "enforcement.view"),
    ("Snapshots", "mlhooks:snapshot-list", "snapshot.view"),
    ("Models", "mlhooks:model-list", "model.view"),
    ("Audit", "reviews:audit-list", "audit.view"),
)


def chrome(request: HttpRequest) -> dict[str, Callable]:
    return {"nav": lambda: list(_entries(request))}


def _entries(request: HttpRequest) -> Iterator[Entry]:
    for label, name, verb in PAGES:
        if verb and not access.may(request.user, verb):
            continue
        url = reverse(name)
        is_here = request.path == url if url == "/" else request.path.startswith(url)
        yield Entry(label, url, is_here)
