"""Pictures of the lists of known items, empty and full."""

import random

import pytest

from reviews import known
from reviews.models import KnownMatch

from .factories import make_platform, make_policy, make_queue
from .media import upload
from .people import make_person
from .pictures import Camera
from .test_known import PIN, look, make_kind, scene, submit


class Owner:
    def __init__(self) -> None:
        self.platform = make_platform(slug="pins", name="Pins")
        abuse = make_policy(platform=self.platform, slug="abuse", name="Child safety")
        make_policy(platform=self.platform, slug="terror", name="Violent extremism")
        make_queue(platform=self.platform, policies=[abuse], is_default=True)
        make_kind(platform=self.platform, slug="pin", fields=PIN)
        self.paul = make_person("paul", platform=self.platform)
        self.list = known.create_list(abuse, by=self.paul, name="Shared by the hotline, 2026")
        self.empty = known.create_list(abuse, by=self.paul, name="Own cases", distance=12)
        rng = random.Random(1)
        more = [
            known.Given(f"{rng.getrandbits(256):064x}", note=f"case {n}", sort=sort)
            for n, sort in enumerate(["phash", "sha256"] * 4)
        ]
        known.add_hashes(self.list, [*more, known.Given(look(scene()))], by=self.paul)
        for n, quality in enumerate((90, 30, 12)):
            medium = upload(self.platform, scene(form="JPEG", quality=quality), prepared=True)
            submit(self.platform, medium, f"pin-{n}")
        known.match_due()
        assert KnownMatch.objects.count() == 3


@pytest.fixture
def owner(live_app):
    return Owner()


def test_pictures_of_known_items(owner, live_app, new_page, sign_in):
    camera = Camera(live_app, new_page, sign_in)
    pages = {
        "known-lists": "/setup/known/",
        "known-list": f"/setup/known/{owner.list.pk}/",
        "known-list-empty": f"/setup/known/{owner.empty.pk}/",
    }
    camera.take(owner.paul, pages, contrast=("known-list",))
    assert camera.too_wide == []
