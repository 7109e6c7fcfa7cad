"""What moved the score, in Chromium: by one key, at its place in the text, and away again."""

from mlhooks.models import ModelVersion, StrongSpans
from reviews.models import AuditEntry, Item, ItemVersion, Job
from tests.browsing import press_and_wait, settle
from tests.test_pages_all import World

HIDDEN = "He\u200bllo 😀. "
BAD = "Buy n\u043ew at https://shop.example/ or be sorry."
PAINTED = """(name) => [...(CSS.highlights.get(name) ?? [])].map(String)"""


def test_y_marks_what_moved_the_score_and_hides_it_again(live_app, page, sign_in):
    world = World(jobs=2)
    for version in ItemVersion.objects.all():
        ItemVersion.objects.filter(pk=version.pk).update(
            content={**version.content, "body": f"{HIDDEN}{BAD} See you."}
        )
    Item.objects.update(risk=0.9)
    model = ModelVersion.objects.create(
        platform=world.platform, number=1, kind="trained", state="champion", encoder="e1/fp32"
    )
    sign_in(page, world.people["rosa"])
    page.goto(f"{live_app}/review/{world.queue.slug}/")
    settle(page)
    page.keyboard.press("y")
    page.get_by_text("Reading it again, piece by piece").wait_for()
    version = Job.objects.get(
        pk=page.locator("#_job").get_attribute("data-job")
    ).item.current_version
    place = ["body", len(HIDDEN), len(HIDDEN) + len(BAD)]
    spans = [[world.policy.slug, *place, 0.4]]
    StrongSpans.objects.create(item_version=version, model_version=model, spans=spans)
    page.get_by_text("pushes it up strongly").wait_for()
    (painted,) = page.evaluate(PAINTED, "moved-strongly")
    assert painted.startswith("Buy n") and painted.endswith("or be sorry.")
    assert "See you" not in painted
    assert page.locator("[data-strongest]").get_attribute("aria-expanded") == "true"
    page.locator("#_strongest button").click()
    page.locator("#_item").focus()
    page.keyboard.press("y")
    assert page.evaluate(PAINTED, "moved-strongly") == []
    assert not page.get_by_text("pushes it up strongly").is_visible()
    page.keyboard.press("y")
    assert page.evaluate(PAINTED, "moved-strongly") == [painted]
    assert AuditEntry.objects.filter(verb="item.strongest").count() == 1
    press_and_wait(page, "0", "Enter")
    assert page.evaluate(PAINTED, "moved-strongly") == []
    assert page.locator("[data-told]").count() == 0
