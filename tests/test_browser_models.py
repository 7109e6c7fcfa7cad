"""The engineer's loop in a real browser, with a real worker: freeze, train, propose; approve; see
the queue in its new order."""

import re

import pytest
from django.contrib.auth.models import Group

from mlhooks import registry
from mlhooks.models import ModelVersion, Snapshot
from reviews.models import Person, Role

from .factories import make_item, make_job, make_platform, make_policy, make_queue
from .people import CAST, make_person
from .test_learning import HAM, SPAM
from .test_snapshots import decide, group_in

TRAINING_MS = 90_000  # the worker loads the encoder first


@pytest.fixture
def platform(live_app):
    for name in Role.values:
        Group.objects.get_or_create(name=name)
    platform = make_platform(slug="mail", name="Mail")
    for name in CAST:
        make_person(name, platform=platform)
    platform.rosa = Person.objects.get(username="rosa")
    platform.spam = make_policy(platform=platform, slug="spam", name="Spam and scams")
    platform.queue = make_queue(
        platform=platform, slug="inbox", name="Inbox", policies=[platform.spam]
    )
    splits = ["train"] * 32 + ["valid"] * 4 + ["test"] * 12
    for n, split in enumerate(splits):
        texts = SPAM if n % 2 else HAM
        item = make_item(
            platform=platform, text=f"{texts[n // 2 % 4]} {n}", split_group=group_in(split)
        )
        decide(platform, violated=["spam"] if n % 2 else [], item=item)
    return platform


def test_from_labels_to_a_queue_in_a_new_order(live_app, worker, new_page, sign_in, platform):
    champion = registry.ensure_zero_shot(platform)
    # The harmless one stands first; nothing has scored them yet.
    harmless = make_item(platform=platform, title="Minutes", text=HAM[1])
    spam = make_item(platform=platform, title="Winner", text=SPAM[1])
    make_job(queue=platform.queue, item=harmless, rank=1e5)
    make_job(queue=platform.queue, item=spam, rank=1)

    mila = new_page()
    sign_in(mila, Person.objects.get(username="mila"))
    mila.goto(f"{live_app}/ml/snapshots/")
    mila.get_by_text("Labelled items").wait_for()
    mila.get_by_label("Note").fill("first labels")
    mila.get_by_role("button", name="Make a snapshot").click()
    mila.get_by_role("heading", name="Load it").wait_for(timeout=30_000)
    assert Snapshot.objects.get().rows_done == 48

    with mila.expect_download() as taking:
        mila.get_by_role("link", name="data-train.parquet").click()
    assert taking.value.suggested_filename == "snapshot-1-data-train.parquet"

    mila.get_by_role("button", name="Train a model").click()
    mila.get_by_role("link", name="See how good it is").click(timeout=TRAINING_MS)
    mila.get_by_role("heading", name="How good it is").wait_for()
    assert mila.locator("figure.plot svg").count() == 3
    assert mila.get_by_text(champion.label).first.is_visible()
    mila.get_by_label("Why").fill("It knows our mail.")
    mila.get_by_role("button", name="Propose to promote").click()
    mila.get_by_text("somebody else approves").wait_for()
    model_url = mila.url

    paul = new_page()
    sign_in(paul, Person.objects.get(username="paul"))
    paul.goto(model_url)
    paul.get_by_role("button", name="Approve and promote").click()
    paul.get_by_role("heading", name="It is the champion").wait_for()
    label = ModelVersion.objects.get(state="champion").label
    assert label == "v2 trained"
    # Re-scoring is watched on the same page, and over when the worker has done it.
    paul.get_by_text("in their new order").or_(
        paul.locator("#_rescoring:not([hx-get])")
    ).first.wait_for(state="attached", timeout=30_000)

    mila.goto(f"{live_app}/queues/inbox/")
    rows = mila.locator("tbody tr.link")
    assert re.search("Winner", rows.nth(0).inner_text())
    assert label in rows.nth(0).inner_text()
    assert re.search("Minutes", rows.nth(1).inner_text())

    mila.goto(model_url)
    mila.get_by_text(f"Roll back to {champion.label}").click()
    mila.get_by_role("button", name="Yes, roll back now").click()
    mila.get_by_text("Rolled back").wait_for()
    assert registry.champion(platform) == champion


@pytest.mark.parametrize("width", [390, 1440])
def test_model_pages_fit_the_screen(live_app, new_page, sign_in, platform, width):
    registry.ensure_zero_shot(platform)
    page = new_page(viewport={"width": width, "height": 844})
    sign_in(page, Person.objects.get(username="mila"))
    for path in ("snapshots/", "models/", f"models/{ModelVersion.objects.get().pk}/"):
        page.goto(f"{live_app}/ml/{path}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
