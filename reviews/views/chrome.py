"""Context every page needs: what the signed-in person may open. Lazy: fragments pay nothing."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from django.http import HttpRequest
from django.urls import reverse

from reviews import access


class Entry(NamedTuple):
    label: str
    about: str
    url: str
    is_here: bool


# Label, what it is for, URL name, the verb that opens it ("" for everybody who signed in).
PAGES = (
    ("Home", "Where your day starts", "reviews:home", ""),
    ("Queues", "What waits, how much and how long", "reviews:queue-list", "queue.view"),
    ("Clusters", "Messages that say nearly the same", "reviews:cluster-list", "cluster.view"),
    ("My decisions", "What you decided, and undo", "reviews:decision-list", "review.record"),
    ("Policies", "The rules, as they stand and stood", "reviews:policy-list", "policy.view"),
    (
        "Enforcements",
        "What decisions asked for, and what is held",
        "reviews:enforcement-list",
        "enforcement.view",
    ),
    ("Setup", "Queues, routing, policies, actions, people", "reviews:setup", "setup.view"),
    ("Snapshots", "Labels, frozen to train on", "mlhooks:snapshot-list", "snapshot.view"),
    ("Models", "What scores the items, and what could", "mlhooks:model-list", "model.view"),
    ("Audit", "Who did what to what, when", "reviews:audit-list", "audit.view"),
)


# The parts of the set-up, as tabs; the same columns.
SETUP: tuple[tuple[str, str, str, str], ...] = ()


def chrome(request: HttpRequest) -> dict[str, Callable]:
    return {
        "nav": lambda: list(_entries(request, PAGES)),
        "setup_tabs": lambda: list(_entries(request, SETUP)),
    }


def _entries(request: HttpRequest, pages: Iterable[tuple[str, str, str, str]]) -> Iterator[Entry]:
    for label, about, name, verb in pages:
        if verb and not access.may(request.user, verb):
            continue
        url = reverse(name)
        is_here = request.path == url if url == "/" else request.path.startswith(url)
        yield Entry(label, about, url, is_here)
