"""Every page as a picture, to be looked at: `make screenshots` writes var/screenshots/*.png.

Not part of the suite. Wide and narrow, light and dark, full and empty, on a day's work made here.
"""

import hashlib
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models import F
from django.utils import timezone

from reviews import (
    audit,
    bulk_work,
    claims,
    cluster_work,
    clusters,
    decisions,
    enforcement,
)
from reviews.models import (
    Cluster,
    Enforcement,
    Item,
    ItemVersion,
    Job,
    Queue,
    Report,
    content_hash,
)
from tests.factories import (
    make_account,
    make_action,
    make_item,
    make_job,
    make_platform,
    make_policy,
    make_queue,
)
from tests.people import CAST, make_person

FOLDER = Path(__file__).resolve().parent.parent / "var" / "screenshots"
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}

PHISHING = """Dear customer, we noticed unusual activity on your account and have limited your \
access. To restore it you must confirm your password and card number within 24 hours, otherwise \
the account will be closed and all boards deleted.

Confirm now: https://pаypal-secure.example/verify?id=8817

If you did not request this, you do not need to do anything else.\u200b Thank you for helping us \
keep everyone safe.





The Support Team \u202esrevres ruo morf tnes\u202c"""

TEXTS = [
    ("Your account will be closed today", PHISHING, 0.92, 4, 1200),
    ("Re: invoice 4411", "Please find the invoice attached. Regards, Dora", 0.12, 0, 12),
    ("𝓕𝓻𝓮𝓮 pills, no prescription", "Order at www.pills.example/now " * 6, 0.97, 9, 340),
    ("Meeting notes", "We met on Tuesday and agreed to postpone the launch.", 0.05, 1, 3),
    ("عرض خاص", "اربح مليون دولار اليوم! https://win.example/ar?x=1 الآن فقط", 0.71, 2, 88),
    (
        "Quarterly newsletter",
        "\n\n".join(["A long paragraph about gardening. " * 30] * 40),
        0.3,
        0,
        51,
    ),
    ("", "no subject here, just a line", None, 0, 0),
    ("Hot singles near you", "Click http://hot.example/join and meet them tonight.", 0.66, 3, 450),
]


class Day:
    """One platform in the middle of a working day."""

    def __init__(self) -> None:
        self.platform = make_platform(slug="harbour", name="Harbour")
        self.people = {name: make_person(name, platform=self.platform) for name in CAST}
        self.people["otto"].platforms.clear()
        self._rules()
        for number, text in enumerate(TEXTS * 3):
            self._item(number, *text)
        self._decide()
        self._change_many()
        audit.seal()

    def _rules(self) -> None:
        def policy(position, slug, name, severity, weight, summary, definition):
            made = make_policy(
                platform=self.platform,
                slug=slug,
                name=name,
                key=str(position),
                position=position,
                severity_weight=weight,
            )
            made.version.__class__.objects.filter(pk=made.version.pk).update(
                severity=severity,
                summary=summary,
                definition=definition,
                examples=["Your account is limited, confirm your password here.", "You have won."],
                counter_examples=["We closed an unused session of yours."],
            )
            return made

        self.phishing = policy(
            1,
            "phishing",
            "Phishing and credential theft",
            4,
            16,
            "Pretends to be someone else to obtain a secret, a payment or an account.",
            "A message that poses as a bank, a shop, an employer or an authority in order to make "
            "somebody hand over a password, a code, money or an account.\n\nIt counts even when "
            "the link no longer works.",
        )
        self.spam = policy(
            2,
            "spam",
            "Spam and scams",
            2,
            4,
            "Unwanted, repeated, or promising what is not there.",
            "Bulk messages nobody asked for, and offers that cannot be true.",
        )
        self.adult = policy(
            3,
            "adult",
            "Adult services",
            3,
            8,
            "Offers of sexual services or content.",
            "Advertising of sexual services, or links to such content, to people who did not ask.",
        )
        actions = [
            make_action(
                platform=self.platform,
                slug="remove",
                name="Remove the message",
                key="r",
                position=1,
            ),
            make_action(
                platform=self.platform,
                slug="strike",
                name="Strike the account",
                description="Counts for 90 days.",
                key="t",
                position=2,
                target="account",
                is_strike=True,
            ),
            make_action(
                platform=self.platform,
                slug="suspend",
                name="Suspend the account",
                description="For 7 days.",
                key="l",
                position=3,
                target="account",
                needs_approval=True,
            ),
        ]
        members = [self.people[name] for name in ("rosa", "remy", "lena")]
        common = {"platform": self.platform, "actions": actions, "members": members}
        self.queue = make_queue(
            slug="spam-and-scams",
            name="Spam and scams",
            description="Mail that people or rules flagged.",
            policies=[self.phishing, self.spam, self.adult],
            random_rate=0.1,
            **common,
        )
        make_queue(
            slug="adult",
            name="Adult services",
            description="By those who chose this work.",
            policies=[self.adult],
            position=1,
            **common,
        )

    def _item(self, number, title, text, risk, reports, views) -> None:
        now = timezone.now()
        account = make_account(
            platform=self.platform,
            name=["dora_1142", "kiln88", "‮drowssap", "Ana Lúcia"][number % 4],
            joined_at=now - timedelta(days=2 + 37 * (number % 5)),
        )
        risks = {}
        if risk is not None:
            risks = {"phishing": risk, "spam": risk * 0.8, "adult": risk * 0.1}
        item = make_item(
            platform=self.platform,
            title=title,
            text=text,
            account=account,
            language="ar" if title.startswith("ع") else "en",
            posted_at=now - timedelta(minutes=14 + number * 9),
            submitted_at=now - timedelta(minutes=12 + number * 9),
            views_per_hour=views,
            report_count=reports,
            risks=risks,
            risk=risk,
            risk_source="v1 zero-shot" if risks else "",
            scored_at=now - timedelta(minutes=3) if risks else None,
        )
        for n in range(reports):
            Report.objects.create(
                item=item,
                external_id=f"report-{n}",
                source="rule" if n == 2 else "user",
                reporter=f"reader-{n}",
                reason=["Phishing", "Phishing", "Link scanner: look-alike domain", "Spam"][n % 4],
                text="It asks for my card number, and it is not my bank." if n == 0 else "",
            )
        if number == 0:
            content = {"subject": title, "body": text.replace("24 hours", "12 hours")}
            ItemVersion.objects.create(
                item=item, number=2, content=content, content_hash=content_hash(content)
            )
            Item.objects.filter(pk=item.pk).update(version_number=2)
        drawn = number % 6 == 5
        make_job(
            queue=self.queue,
            item=item,
            lane="random" if drawn else "risk",
            inclusion_probability=0.1 if drawn else None,
            rank=60_000 - number if risk is None else 60_000 + 10 * risk - number / 9,
            due_at=now + timedelta(minutes=20 + 15 * number) - timedelta(hours=2 * (number > 20)),
            is_overdue=number > 20,
        )

    def _change_many(self) -> None:
        """Bulk work, and clusters: every text of the day came three times, one a little changed."""
        lena, rosa = self.people["lena"], self.people["rosa"]
        for number, item in enumerate(Item.objects.order_by("-pk")[:6]):
            content = {"subject": item.current_version.content["subject"]}
            text = item.current_version.content["body"]
            content["body"] = text.replace("Confirm now", "Act at once").replace("weeks", "days")
            ItemVersion.objects.create(
                item=item, number=2, content=content, content_hash=content_hash(content)
            )
            Item.objects.filter(pk=item.pk).update(version_number=2, fingerprint=f"new{number}")
        versions = ItemVersion.objects.filter(number=F("item__version_number"))
        Item.objects.filter(version_number=1).update(fingerprint="")
        for item in Item.objects.filter(version_number=1):
            said = hashlib.sha256(item.current_version.text().encode()).hexdigest()[:32]
            Item.objects.filter(pk=item.pk).update(fingerprint=said)
        clusters.mark_versions(list(versions.values_list("pk", flat=True)))
        clusters.hash_due()
        ready = list(self.queue.jobs.ready().in_serving_order().values_list("pk", flat=True))
        for service, chosen, kw in (
            (bulk_work.raise_jobs, ready[6:8], {}),
            (bulk_work.assign_jobs, ready[2:5], {"to": rosa, "note": "She knows this wave."}),
            (bulk_work.cancel_jobs, ready[9:10], {"note": "A test post of ours."}),
        ):
            selection = bulk_work.Selection(chosen)
            done = service(self.queue, selection, by=lena, token=uuid.uuid4(), **kw)
        bulk_work.undo_operation(done, by=lena)
        self.cluster = Cluster.objects.order_by("-size", "pk").first()
        for other in Cluster.objects.exclude(pk=self.cluster.pk).order_by("-pk"):
            seen = [
                cluster_work.Seen(one.item_id, one.item_version_id) for one in other.members.all()
            ]
            found = cluster_work.obstacles([one.item_id for one in seen], by=lena)
            if any(job for job, _ in found.values()):
                break
        self.answered = cluster_work.decide_members(
            other,
            seen,
            cluster_work.Answer("violating", ["spam"], ["remove"], "One wave."),
            by=lena,
            token=uuid.uuid4(),
        )

    def _decide(self) -> None:
        keep_first = Item.objects.order_by("pk").first()
        Job.objects.filter(item=keep_first).update(rank=90_000_000)
        queue = Queue.objects.get(pk=self.queue.pk)
        done = []
        for name, verdict in [
            ("remy", "violating"),
            ("rosa", "violating"),
            ("rosa", "clean"),
            ("rosa", "violating"),
            ("lena", "violating"),
            ("rosa", "unsure"),
        ]:
            person = self.people[name]
            if name == "remy":
                Job.objects.filter(item=keep_first).update(rank=0)
            job = claims.claim_next(queue, by=person)
            is_violating = verdict == "violating"
            done.append(
                decisions.record_review(
                    job.pk,
                    job.claim_token,
                    by=person,
                    verdict=verdict,
                    policy_slugs=["spam"] if is_violating else (),
                    action_slugs=["remove", "suspend"] if is_violating else None,
                    note="Same text as yesterday." if is_violating else "",
                    active_seconds=14,
                )
            )
        Enforcement.objects.update(due_at=timezone.now() - timedelta(seconds=1))
        enforcement.release_planned()
        decisions.override(done[0], by=self.people["lena"], verdict="clean", note="A parody.")
        Job.objects.filter(item=keep_first).update(rank=90_000_000)


SHOTS = {
    "rosa": {
        "home": "/",
        "decisions": "/decisions/",
        "review": "/review/spam-and-scams/",
        "review-empty": "/review/adult/",
        "item": "first item",
        "policy": "/policies/phishing/",
        "policies": "/policies/",
        "you": "/you/",
        "password": "/accounts/password/change/",
        "second-factor": "/accounts/2fa/",
        "sign-out": "/accounts/logout/",
        "not-here": "/no/such/page/",
        "forbidden": "/audit/",
    },
    "lena": {
        "queues": "/queues/",
        "queue": "/queues/spam-and-scams/",
        "enforcements": "/enforcements/",
        "override": "decision",
        "item-decided": "decided item",
        "jobs": "/queues/spam-and-scams/jobs/",
        "jobs-wrong": "/queues/spam-and-scams/jobs/?least=2&account=nobody",
        "jobs-none": "/queues/spam-and-scams/jobs/?language=fi",
        "job-move": "/queues/spam-and-scams/jobs/change/?verb=move&all=1",
        "job-raise": "/queues/spam-and-scams/jobs/change/?verb=raise&all=1&lane=risk",
        "operations": "/queues/spam-and-scams/operations/",
        "operations-none": "/queues/adult/operations/",
        "clusters": "/clusters/",
        "cluster": "largest cluster",
        "cluster-operation": "answered cluster",
    },
    "abel": {"home-auditor": "/", "audit": "/audit/", "item-audit": "decided item"},
    "mila": {"home-engineer": "/", "snapshots": "/ml/snapshots/", "models": "/ml/models/"},
    "otto": {"home-no-role": "/"},
    "": {"sign-in": "/accounts/login/"},
}


@pytest.fixture
def day(live_app):
    return Day()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_pictures(day, live_app, new_page, sign_in, theme, size):
    FOLDER.mkdir(parents=True, exist_ok=True)
    too_wide = []
    decision = decision_to_show(day)
    for name, pages in SHOTS.items():
        page = new_page(viewport=size, color_scheme=theme)
        if name:
            sign_in(page, day.people[name])
        for shot, where in pages.items():
            url = {
                "first item": f"/items/{Item.objects.order_by('pk').first().pk}/",
                "decided item": f"/items/{decision.item_id}/",
                "largest cluster": f"/clusters/{day.cluster.pk}/",
                "answered cluster": f"/clusters/operations/{day.answered.pk}/",
                "decision": f"/decisions/{decision.pk}/override/",
            }.get(where, where)
            page.goto(live_app + url)
            if shot == "review":
                page.keyboard.press("1") if page.wait_for_timeout(200) is None else None
            page.screenshot(
                path=FOLDER / f"{shot}-{'wide' if size is WIDE else 'narrow'}-{theme}.png",
                full_page=shot != "review" or size is NARROW,
            )
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                too_wide.append(shot)
    assert too_wide == []


def decision_to_show(day):
    return day.people["rosa"].decisions.filter(verdict="violating").first()
