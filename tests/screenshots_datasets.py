"""Pictures of datasets: the dry run, a snapshot that was taken back and what took its place, what
changed between two, and why a row is there. A world of its own beside screenshots_models.py."""

import pytest

from mlhooks import snapshots, withdrawals
from mlhooks.models import ModelVersion
from reviews import audit, decisions, erasure
from reviews.models import Draw, Lane
from tests.factories import make_item, make_platform, make_policy, make_queue
from tests.people import CAST, make_person
from tests.pictures import Camera
from tests.test_snapshots import decide, group_in


class Archive:
    """Three snapshots: one withdrawn, its successor, and one with overrides and an appeal more."""

    def __init__(self) -> None:
        self.platform = platform = make_platform(slug="harbour", name="Harbour")
        self.people = {name: make_person(name, platform=platform) for name in CAST}
        policies = [
            make_policy(platform=platform, slug=slug, name=name, key=str(place), position=place)
            for place, (slug, name) in enumerate(
                [("phishing", "Phishing and credential theft"), ("spam", "Spam and scams")], start=1
            )
        ]
        platform.queue = make_queue(platform=platform, policies=policies, name="Mail")
        platform.rosa = self.people["rosa"]
        draw = Draw.objects.create(
            queue=platform.queue,
            lane=Lane.RANDOM,
            strategy="poisson",
            probability=0.2,
            seed=8_112_004,
            pool_size=120,
            drawn=24,
        )
        made = []
        for n, split in enumerate(["train"] * 26 + ["valid"] * 6 + ["test"] * 6):
            drawn = {"lane": Lane.RANDOM, "draw": draw, "inclusion_probability": 0.2}
            made.append(
                decide(
                    platform,
                    violated=[policies[n % 2].slug] if n % 3 == 0 else [],
                    item=make_item(
                        platform=platform,
                        split_group=group_in(split),
                        language=("en", "de", "fr")[n % 3],
                    ),
                    **(drawn if n % 4 == 0 else {}),
                )
            )
        self.withdrawn = self._snapshot("weekly")
        ModelVersion.objects.create(
            platform=platform, number=1, kind="trained", encoder="e", snapshot=self.withdrawn
        )
        erasure.erase_item(made[3].item, by=self.people["ada"], reason="The author asked.")
        audit.seal()
        withdrawals.sweep()
        self.withdrawn.refresh_from_db()
        snapshots.build(self.withdrawn.replaced_by.pk)
        for n in (0, 6, 9):
            decisions.override(
                made[n], by=self.people["lena"], verdict="clean", note="A newsletter she wanted."
            )
        decide(platform, violated=["spam"], item=make_item(platform=platform))
        decide(platform, item=make_item(platform=platform), by=self.people["remy"])
        decisions.undo(made[12], by=self.people["rosa"])
        self.newest = self._snapshot("after the week's checks")
        self.drawn, self.erased = made[4], made[3]

    def _snapshot(self, note):
        made = snapshots.create_snapshot(self.platform, by=self.people["mila"], note=note)
        snapshots.build(made.pk)
        made.refresh_from_db()
        return made


@pytest.fixture
def archive(live_app):
    return Archive()


def test_pictures_of_datasets(archive, live_app, new_page, sign_in):
    camera = Camera(live_app, new_page, sign_in)
    camera.take(
        archive.people["mila"],
        {
            "datasets-dry-run": "/ml/snapshots/",
            "datasets-snapshot": f"/ml/snapshots/{archive.newest.pk}/",
            "datasets-withdrawn": f"/ml/snapshots/{archive.withdrawn.pk}/",
            "datasets-difference": f"/ml/snapshots/{archive.newest.pk}/diff/",
            "datasets-erased": f"/ml/snapshots/{archive.withdrawn.pk}/diff/"
            f"?with={archive.withdrawn.replaced_by.number}",
            "datasets-row": f"/ml/snapshots/rows/{archive.drawn.pk}/",
            "datasets-row-erased": f"/ml/snapshots/rows/{archive.erased.pk}/",
            "datasets-item": f"/items/{archive.drawn.item_id}/",
        },
        before=lambda page, shot: page.evaluate(
            "document.querySelectorAll('details').forEach(one => { one.open = true; })"
        ),
    )
    assert camera.too_wide == []
