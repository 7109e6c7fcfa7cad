"""Every page there is, for tests that walk all of them in a browser: routes and who opens them come
from the role × route table (test_access.py), so that a page which is not walked cannot exist."""

from typing import NamedTuple

from tests.test_access import ROUTES, World

# Who looks, in the order in which she is asked: each page is walked once, by the first who may.
LOOKERS = ("lena", "rosa", "paul", "mila", "abel", "ada")
# What the browser shows in a page of its own making, or saves.
FILES = ("reviews:medium", "mlhooks:round-pool")
# Pages of the sign-in, which stand in no table of ours, for someone who has signed in.
SIGN_IN = ("/accounts/password/change/", "/accounts/2fa/", "/accounts/logout/")


class Stop(NamedTuple):
    """One URL of the walk, and who goes there."""

    route: str
    name: str
    url: str


def stops(world: World) -> list[Stop]:
    """Every page and fragment that answers GET, once each; those of one person together.

    The desk is rosa's: she holds a job.
    """
    found = []
    for route, methods in ROUTES.items():
        is_ours = "_api:" not in route and route not in ("healthz", "readyz", "metrics")
        if "GET" not in methods or not is_ours or route.endswith("-file") or route in FILES:
            continue
        allowed = methods["GET"].partition("|")[0].split()
        name = next((one for one in LOOKERS if one in allowed), None)
        if name is None:
            continue
        if route == "reviews:review" and "rosa" in allowed:
            name = "rosa"
        found.append(Stop(route, name, world.url(route)))
    found += [Stop(url, "rosa", url) for url in SIGN_IN]
    found.append(Stop("404", "rosa", "/no/such/page/"))
    return sorted(found, key=lambda stop: LOOKERS.index(stop.name))


def walk(world: World, page, live_app: str, sign_in, *, fragments: bool = False):
    """Yields each stop once `page` shows it, with the text that came. `fragments`: these too, bare
    as they are."""
    who = None
    for stop in stops(world):
        if stop.name != who:
            who = stop.name
            sign_in(page, world.people[who])
        text = page.goto(live_app + stop.url).text()
        if fragments or text.lstrip().lower().startswith("<!doctype"):
            yield stop, text
