"""The model side's pages in a real browser. What they do, from end to end: test_loop.py."""

import pytest

from mlhooks import registry
from reviews.models import Person

from .factories import make_item, make_platform, make_policy, make_queue
from .people import make_person
from .test_snapshots import decide


@pytest.mark.parametrize("width", [390, 1440])
def test_model_pages_fit_the_screen(live_app, new_page, sign_in, width):
    platform = make_platform(slug="mail", name="Mail")
    for name in ("rosa", "mila"):
        make_person(name, platform=platform)
    platform.rosa = Person.objects.get(username="rosa")
    platform.spam = make_policy(platform=platform, slug="spam", name="Spam and scams")
    platform.queue = make_queue(platform=platform, policies=[platform.spam])
    for n in range(4):
        violated = ["spam"] if n % 2 else []
        decide(platform, violated=violated, item=make_item(platform=platform))
    model_version = registry.ensure_zero_shot(platform)
    page = new_page(viewport={"width": width, "height": 844})
    sign_in(page, Person.objects.get(username="mila"))
    for path in ("snapshots/", "models/", f"models/{model_version.pk}/"):
        page.goto(f"{live_app}/ml/{path}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
