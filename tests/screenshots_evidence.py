"""Pictures of what is known about an item: the desk's evidence, an item's life, an account.

Beside screenshots.py, on a world of its own: half a year of one account.
"""

import random
from datetime import timedelta

import pytest
from django.utils import timezone

from reviews import claims, enforcement
from reviews.models import (
    Enforcement,
    Item,
    ItemVersion,
    Report,
    Reporter,
    Strike,
    content_hash,
)
from tests import past
from tests.factories import (
    make_account,
    make_action,
    make_item,
    make_job,
    make_kind,
    make_platform,
    make_policy,
    make_queue,
)
from tests.people import CAST, make_person
from tests.pictures import Camera
from tests.test_similar import embed

FIELDS = [
    {"name": "body", "label": "Comment", "type": "text", "role": "text"},
    {"name": "thread", "label": "Thread", "type": "string", "role": "thread"},
    {"name": "answer_to", "label": "Answer to", "type": "string", "role": "parent"},
]
SAID = [
    ("The lake is frozen over; does anybody know where one can skate?", "clean"),
    ("Win a voyage now, only today: https://win.example/go", "spam"),
    ("You people deserve nothing and should leave", "hate"),
    ("Thank you, that was quick.", "clean"),
    ("Cheap watches at www.watches.example, tell your friends", "spam"),
    ("Does this path go on behind the mill?", "clean"),
]


class Life:
    """dora's half year, and the comment of hers that is being judged."""

    def __init__(self) -> None:
        self.now = timezone.now()
        self.platform = make_platform(slug="harbour", name="Harbour")
        self.people = {name: make_person(name, platform=self.platform) for name in CAST}
        self.people["otto"].platforms.clear()
        self.spam = make_policy(
            platform=self.platform, slug="spam", name="Spam and scams", key="1", position=1
        )
        self.hate = make_policy(
            platform=self.platform, slug="hate", name="Hateful conduct", key="2", position=2
        )
        self.strike = make_action(
            platform=self.platform, slug="strike", name="Strike", target="account", is_strike=True
        )
        self.remove = make_action(platform=self.platform, slug="remove", name="Remove", key="r")
        self.kind = make_kind(platform=self.platform, name="Comment", slug="comment", fields=FIELDS)
        members = [self.people[name] for name in ("rosa", "remy", "lena")]
        self.queue = make_queue(
            platform=self.platform,
            slug="comments",
            name="Comments",
            policies=[self.spam, self.hate],
            actions=[self.remove, self.strike],
            members=members,
        )
        self.account = make_account(
            platform=self.platform,
            external_id="u-1142",
            name="dora_1142",
            joined_at=self.now - timedelta(days=410),
        )
        self._years_work()
        self.item = self._judged()

    def _comment(self, text, at=None, **kw) -> Item:
        thread, parent = kw.pop("thread", ""), kw.pop("parent", "")
        item = make_item(
            kind=self.kind,
            text=text,
            **{"account": self.account, "language": "en", "submitted_at": at, **kw},
        )
        at = item.submitted_at
        content = {"body": text, "thread": thread, "answer_to": parent}
        ItemVersion.objects.filter(item=item).update(content=content, created_at=at)
        return item

    def _years_work(self) -> None:
        rng = random.Random(4)
        for number in range(70):
            at = self.now - timedelta(days=180 * rng.random() ** 1.6, hours=3)
            text, answer = SAID[number % len(SAID)]
            item = self._comment(text, at, report_count=number % 3)
            for n in range(number % 3):
                reason = "Spam" if answer == "spam" else "Rude"
                Report.objects.create(item=item, external_id=f"r-{n}", reason=reason, created_at=at)
            if number % 9 == 0:
                continue
            job = make_job(queue=self.queue, item=item, created_at=at)
            decision = past.answer(
                job,
                self.people["remy"],
                claimed_at=at + timedelta(minutes=20),
                ended_at=at + timedelta(minutes=22),
                violated={"spam": [self.spam], "hate": [self.hate]}.get(answer, ()),
                active_seconds=41,
            )
            if answer != "clean":
                self._carry_out(decision, at)

    def _carry_out(self, decision, at) -> None:
        for action in (self.remove, self.strike):
            carried = Enforcement.objects.create(
                decision=decision,
                action=action,
                state="acknowledged",
                requested_by=decision.decided_by,
                due_at=at,
                created_at=at,
                changed_at=at + timedelta(minutes=24),
            )
            if action == self.strike and decision.pk % 5 == 0:
                strike = Strike.objects.create(
                    account=self.account,
                    enforcement=carried,
                    expires_at=at + timedelta(days=90),
                    reversed_at=at if decision.pk % 2 else None,
                )
                Strike.objects.filter(pk=strike.pk).update(created_at=at)

    def _judged(self) -> Item:
        at = self.now - timedelta(minutes=25)
        ana = make_account(platform=self.platform, name="Ana Lúcia")
        before = {"account": ana, "thread": "t-88", "submitted_at": at - timedelta(hours=1)}
        asks = "Does anybody know whether the market is open on Sunday, and who sells watches?"
        self._comment(asks, external_id="c-1", **before)
        self._comment("It is. I am there from nine.", external_id="c-2", parent="c-1", **before)
        item = self._comment(
            "Then go back to where you came from, and take your watches with you.",
            at,
            thread="t-88",
            parent="c-2",
            report_count=42,
            risks={"hate": 0.82, "spam": 0.11},
            risk=0.82,
            risk_source="v1 zero-shot",
            scored_at=at + timedelta(seconds=40),
            views_per_hour=310,
        )
        for n in range(42):
            Report.objects.create(
                item=item,
                external_id=f"r-{n}",
                reporter=f"reader-{n % 20}",
                source="trusted_flagger" if n == 7 else "user",
                reason=["Hate", "Hate", "Rude", "Harassment"][n % 4],
                text="He says so to everybody who is not from here." if n % 6 == 0 else "",
                created_at=at + timedelta(seconds=30 * n),
            )
        Reporter.objects.create(
            platform=self.platform,
            source="user",
            external_id="reader-4",
            filed=40,
            settled=21,
            upheld=18,
            trust=0.8,
        )
        older = item.current_version
        content = {**older.content, "body": older.content["body"].replace("watches", "boat")}
        ItemVersion.objects.create(
            item=item,
            number=2,
            content=content,
            content_hash=content_hash(content),
            created_at=at + timedelta(minutes=4),
        )
        Item.objects.filter(pk=item.pk).update(version_number=2)
        make_job(queue=self.queue, item=item, rank=1e6)
        embed(Item.objects.get(pk=item.pk), 1, 0, 0, stands=False)
        decided = Item.objects.filter(decisions__isnull=False).order_by("-pk")
        for number, other in enumerate(decided[:4]):
            embed(other, 1, 0.1 + 0.25 * number, 0)
        enforcement.release_planned()
        return item


@pytest.fixture
def life(live_app):
    return Life()


def test_pictures_of_evidence(life, live_app, new_page, sign_in):
    empty = make_account(platform=life.platform, name="‮drowssap")
    claims.claim_next(life.queue, by=life.people["rosa"])
    camera = Camera(live_app, new_page, sign_in)

    def before(page, shot):
        if shot == "evidence-desk":
            page.locator("#_similar details").wait_for()

    camera.take(
        life.people["rosa"],
        {
            "evidence-desk": "/review/comments/",
            "evidence-item": f"/items/{life.item.pk}/",
            "account-reviewer": f"/accounts/{life.account.pk}/",
            "similar": f"/ml/jobs/{life.item.jobs.get().pk}/similar/",
        },
        before=before,
    )
    camera.take(
        life.people["lena"],
        {
            "account": f"/accounts/{life.account.pk}/",
            "account-none-fits": f"/accounts/{life.account.pk}/?q=nothing&since=2026-02-31",
            "account-empty": f"/accounts/{empty.pk}/",
            "evidence-item-lead": f"/items/{life.item.pk}/",
        },
        contrast=("account",),
    )
    assert camera.too_wide == []
