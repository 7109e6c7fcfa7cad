"""Context every page needs: what the signed-in person may open. Lazy: fragments pay nothing."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from reviews import access, comfort, notifications, questions, wellness


class Entry(NamedTuple):
    label: str
    about: str
    url: str
    is_here: bool
    count: int = 0  # what waits there for her


# Label, what it is for, URL name, the verb that opens it ("" for everybody who signed in).
PAGES = (
    (_("Home"), _("Where your day starts"), "reviews:home", ""),
    (_("Search"), _("Find an item by what is known of it"), "reviews:search", "item.view"),
    (_("Queues"), _("What waits, how much and how long"), "reviews:queue-list", "queue.view"),
    (_("Clusters"), _("Messages that say nearly the same"), "reviews:cluster-list", "cluster.view"),
    (_("My decisions"), _("What you decided, and undo"), "reviews:decision-list", "review.record"),
    (_("Policies"), _("The rules, as they stand and stood"), "reviews:policy-list", "policy.view"),
    (
        _("Questions"),
        _("What reviewers ask about policies"),
        "reviews:question-list",
        "question.answer",
    ),
    (
        _("Enforcements"),
        _("What decisions asked for, and what is held"),
        "reviews:enforcement-list",
        "enforcement.view",
    ),
    (_("Draws"), _("Who was drawn to measure, learn and check"), "reviews:draw-list", "job.view"),
    (_("Setup"), _("Queues, routing, policies, actions, people"), "reviews:setup", "setup.view"),
    (_("Snapshots"), _("Labels, frozen to train on"), "mlhooks:snapshot-list", "snapshot.view"),
    (_("Models"), _("What scores the items, and what could"), "mlhooks:model-list", "model.view"),
    (_("Audit"), _("Who did what to what, when"), "reviews:audit-list", "audit.view"),
)

# Pages that stand under another in the bar, by how their routes begin.
_UNDER = {
    "reviews:queue-list": ("forecast/", "replays/"),
    "reviews:setup": ("reporters/",),
    "mlhooks:model-list": ("ml/learning/", "ml/monitoring/", "ml/training/"),
}
# Where what waits for her is counted in the bar.
_COUNTED = "reviews:question-list"


# The parts of the set-up, as tabs; the same columns.
SETUP: tuple[tuple[Promise, Promise, str, str], ...] = (
    (
        _("Queues"),
        _("Who works on what, in which order, how fast"),
        "reviews:setup-queue-list",
        "setup.view",
    ),
    (
        _("Routing"),
        _("Which queue an item goes to, and why"),
        "reviews:setup-routing-list",
        "setup.view",
    ),
    (
        _("Policies"),
        _("The rules, their versions, what they make old"),
        "reviews:setup-policy-list",
        "setup.view",
    ),
    (
        _("Known items"),
        _("Pictures and films that were judged before"),
        "reviews:setup-known-list",
        "known.view",
    ),
    (_("Actions"), _("What a decision can ask for"), "reviews:setup-action-list", "setup.view"),
    (
        _("Item kinds"),
        _("What is sent, and how the desk shows it"),
        "reviews:setup-kind-list",
        "setup.view",
    ),
    (
        _("Wellness"),
        _("How much is asked of those who look"),
        "reviews:setup-wellness",
        "setup.view",
    ),
    (_("People"), _("Who works here, as what"), "reviews:setup-person-list", "person.view"),
    (
        _("Reporters"),
        _("Who reports, and how often she was right"),
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


def _entries(
    request: HttpRequest, pages: Iterable[tuple[Promise, Promise, str, str]]
) -> Iterator[Entry]:
    route = request.resolver_match.route if request.resolver_match else ""
    for label, about, name, verb in pages:
        if verb and not access.may(request.user, verb):
            continue
        url = reverse(name)
        is_here = request.path == url if url == "/" else request.path.startswith(url)
        is_here = is_here or route.startswith(_UNDER.get(name, ()))
        count = questions.open_for(request.user).count() if name == _COUNTED else 0
        yield Entry(str(label), str(about), url, is_here, count)
