"""Context every page needs: what the signed-in person may open. Lazy: fragments pay nothing."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from django.http import HttpRequest
from django.urls import reverse

from reviews import access, comfort, notifications, questions, wellness


class Entry(NamedTuple):
    label: str
    about: str
    url: str
    is_here: bool
    count: int = 0  # what waits there for her


# Label, what it is for, URL name, the verb that opens it ("" for everybody who signed in).
PAGES = (
    ("Home", "Where your day starts", "reviews:home", ""),
    ("Queues", "What waits, how much and how long", "reviews:queue-list", "queue.view"),
    ("Clusters", "Messages that say nearly the same", "reviews:cluster-list", "cluster.view"),
    ("My decisions", "What you decided, and undo", "reviews:decision-list", "review.record"),
    ("Policies", "The rules, as they stand and stood", "reviews:policy-list", "policy.view"),
    ("Questions", "What reviewers ask about policies", "reviews:question-list", "question.answer"),
    (
        "Enforcements",
        "What decisions asked for, and what is held",
        "reviews:enforcement-list",
        "enforcement.view",
    ),
    ("Draws", "Who was drawn to measure, learn and check", "reviews:draw-list", "job.view"),
    ("Setup", "Queues, routing, policies, actions, people", "reviews:setup", "setup.view"),
    ("Snapshots", "Labels, frozen to train on", "mlhooks:snapshot-list", "snapshot.view"),
    ("Models", "What scores the items, and what could", "mlhooks:model-list", "model.view"),
    ("Audit", "Who did what to what, when", "reviews:audit-list", "audit.view"),
)

# Where what waits for her is counted in the bar.
_COUNTED = "reviews:question-list"


# The parts of the set-up, as tabs; the same columns.
SETUP: tuple[tuple[str, str, str, str], ...] = (
    (
        "Queues",
        "Who works on what, in which order, how fast",
        "reviews:setup-queue-list",
        "setup.view",
    ),
    ("Routing", "Which queue an item goes to, and why", "reviews:setup-routing-list", "setup.view"),
    (
        "Policies",
        "The rules, their versions, what they make old",
        "reviews:setup-policy-list",
        "setup.view",
    ),
    ("Actions", "What a decision can ask for", "reviews:setup-action-list", "setup.view"),
    (
        "Item kinds",
        "What is sent, and how the desk shows it",
        "reviews:setup-kind-list",
        "setup.view",
    ),
    ("Wellness", "How much is asked of those who look", "reviews:setup-wellness", "setup.view"),
    ("People", "Who works here, as what", "reviews:setup-person-list", "person.view"),
    (
        "Reporters",
        "Who reports, and how often she was right",
        "reviews:reporter-list",
        "setup.view",
    ),
)


def chrome(request: HttpRequest) -> dict[str, Callable]:
    return {
        "nav": lambda: list(_entries(request, PAGES)),
        "setup_tabs": lambda: list(_entries(request, SETUP)),
        "unread_count": lambda: _unread(request),
        "comfort": lambda: comfort.own(request.user),
        "blur": lambda: wellness.strength_for(request.user),
    }


def _unread(request: HttpRequest) -> int | None:
    """For the bell, with a page only: bell.js keeps it up to date over what htmx swaps in."""
    if request.htmx or not request.user.is_authenticated:
        return None
    if not hasattr(request, "unread_count"):
        request.unread_count = notifications.unread(request.user)
    return request.unread_count


def _entries(request: HttpRequest, pages: Iterable[tuple[str, str, str, str]]) -> Iterator[Entry]:
    for label, about, name, verb in pages:
        if verb and not access.may(request.user, verb):
            continue
        url = reverse(name)
        is_here = request.path == url if url == "/" else request.path.startswith(url)
        count = questions.open_for(request.user).count() if name == _COUNTED else 0
        yield Entry(label, about, url, is_here, count)
