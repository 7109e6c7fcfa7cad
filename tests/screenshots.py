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

from mlhooks.models import ModelVersion, StrongSpans
from reviews import (
    audit,
    bulk_work,
    claims,
    cluster_work,
    clusters,
    consultations,
    decisions,
    draws,
    dry_run,
    enforcement,
    kinds,
    media_work,
    notes,
    planning,
    policies,
    questions,
    queues,
    ranking,
    relabelling,
    replays,
    routing_versions,
    search_entries,
)
from reviews.demo import board_loading, loading
from reviews.models import (
    Cluster,
    Enforcement,
    Item,
    ItemVersion,
    Job,
    Medium,
    Person,
    Queue,
    Report,
    Reporter,
    content_hash,
)
from tests import past
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
        self._report_and_draw()
        self._set_up()
        self._help()
        self._route()
        self._posts()
        self._new_versions()
        self._talk()
        audit.seal()
        search_entries.index_items(Item.objects.values_list("pk", flat=True))

    def _report_and_draw(self) -> None:
        for number, (settled, upheld) in enumerate([(21, 18), (4, 1), (0, 0), (14, 2), (9, 5)]):
            Reporter.objects.create(
                platform=self.platform,
                source="trusted_flagger" if number == 4 else "user",
                external_id=f"reader-{number}" if number < 4 else "consumer-alliance",
                filed=settled * 3 + 2,
                settled=settled,
                upheld=upheld,
                trust=ranking.trust(upheld, settled, prior=0.4),
            )
        Item.objects.filter(report_count__gt=0).update(report_trust=0.83, reporter_trust=0.74)
        values = {"strategy": "poisson_band", "expected": 8, "seed": 20261124}
        self.draw = draws.draw_jobs(self.queue, lane="learning", by=self.people["lena"], **values)

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
            is_default=True,
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
        press = make_queue(slug="press", name="Press", policies=[self.spam], position=2, **common)
        self._all_with_others(press)

    def _all_with_others(self, queue: Queue) -> None:
        """A queue with work, and none of it for rosa."""
        for lane, to in [("risk", None), ("risk", "remy"), ("adjudication", None)] * 2:
            make_job(
                queue=queue,
                item=make_item(platform=self.platform, title="Statement", text="For you."),
                lane=lane,
                assigned_to=self.people[to] if to else None,
            )
        for _ in range(2):
            job = claims.claim_next(queue, by=self.people["rosa"])
            claims.skip(job.pk, job.claim_token, by=self.people["rosa"])
        claims.claim_next(queue, by=self.people["lena"], lane="risk")

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
            rank=60_000 - number if risk is None else 60_000 + 10 * risk - number / 9,
            due_at=now + timedelta(minutes=20 + 15 * number) - timedelta(hours=2 * (number > 20)),
            is_overdue=number > 20,
        )

    def _route(self) -> None:
        """Rules in force, and a draft of others that has been tried."""
        adult = {
            "name": "Likely adult services",
            "queue": "adult",
            "condition": {"fact": "risk.adult", "op": ">=", "value": 0.08},
        }
        reported = {
            "name": "Reported by many",
            "queue": "spam-and-scams",
            "condition": {"fact": "report_count", "op": ">=", "value": 3},
        }
        english = {"fact": "language", "op": "is_not", "value": "en"}
        risky = {"fact": "risk.adult", "op": ">=", "value": 0.05}
        scanned = {"fact": "sources", "op": "has", "value": "rule"}
        lena, paul = self.people["lena"], self.people["paul"]
        draft = routing_versions.save_draft(self.platform, [adult], edition=0, by=lena)
        routing_versions.publish(draft, edition=1, by=lena, note="To begin with.")
        adult["condition"] = {"any": [{"all": [risky, english]}, scanned]}
        draft = routing_versions.save_draft(self.platform, [adult, reported], edition=0, by=paul)
        self.dry_run = dry_run.start_dry_run(draft, days=30, by=lena)

    def _posts(self) -> None:
        """A kind with everything in it, and a queue that judges it blind."""
        kind = kinds.create_kind(
            self.platform,
            by=None,
            slug="forum-post",
            name="Forum post",
            fields=[
                {"name": "heading", "label": "Heading", "type": "string", "role": "title"},
                {"name": "body", "label": "Post", "type": "text", "role": "text"},
                {"name": "quoted", "label": "Answers", "type": "text", "role": ""},
                {"name": "picture", "label": "Picture", "type": "image", "role": "image"},
                {"name": "alt", "label": "Alt text", "type": "string", "role": ""},
                {"name": "film", "label": "Clip", "type": "video", "role": "video"},
                {"name": "link", "label": "Links to", "type": "url", "role": "url"},
                {"name": "author", "label": "Author", "type": "string", "role": "author"},
                {"name": "answer_to", "label": "Answer to", "type": "string", "role": "parent"},
                {"name": "written", "label": "Written", "type": "datetime", "role": "date"},
                {"name": "likes", "label": "Likes", "type": "number", "role": "number"},
                {"name": "client", "label": "Sent from", "type": "key-value", "role": "key-value"},
            ],
            layout=[
                {"block": "title", "fields": ["heading"]},
                {"block": "quote", "fields": ["quoted"]},
                {"block": "text", "fields": ["body"]},
                {"block": "image", "fields": ["picture", "alt"]},
                {"block": "video", "fields": ["film"]},
                {"block": "link", "fields": ["link"]},
                {"block": "facts", "label": "About it", "fields": ["author", "written", "likes"]},
                {"block": "facts", "label": "Sent from", "fields": ["client"]},
            ],
        )
        content = {
            "heading": "Look at what I found",
            "body": "You would not believe it.\n\nAll of it is at https://shop.example/offer now.",
            "quoted": "Has anybody seen the new catalogue? I cannot find it anywhere.",
            "picture": "https://media.example/u/8817/catalogue.jpg",
            "alt": "A page of a catalogue, with prices crossed out",
            "film": "https://media.example/u/8817/clip.mp4",
            "link": "https://shop.example/offer?id=8817",
            "author": "dora_1142",
            "answer_to": "post-8816",
            "written": "2026-11-24T09:12:00+00:00",
            "likes": "many",
            "client": {"app": "Harbour for phones", "version": 4.2, "is_beta": True},
            "mood": "cheerful",
        }
        queue = make_queue(
            platform=self.platform,
            slug="posts",
            name="Forum posts",
            description="Judged without what others thought of it.",
            policies=[self.spam],
            members=[self.people["rosa"], self.people["lena"]],
            position=2,
            blind=["score", "reports"],
            filters=["blur", "greyscale"],
        )
        for number in range(2):
            item = make_item(kind=kind, external_id=f"post-{8817 + number}", views_per_hour=140)
            ItemVersion.objects.filter(item=item).update(content=content)
            make_job(queue=queue, item=item)

    def _new_versions(self) -> None:
        """Spam is stricter since a moment ago, and will be looser next week."""
        policy = self.spam
        text = policies.text_of(policy.version.__class__.objects.get(pk=policy.version.pk))
        definition = (
            f"{text.definition}\n\nNewsletters with no way to leave them count too, even when "
            "somebody once asked for them."
        )
        stricter = text._replace(definition=definition, severity=3, severity_weight=6.0)
        policies.add_version(policy, by=self.people["paul"], text=stricter._asdict())
        looser = stricter._replace(severity=2, examples=[*text.examples, "Last chance to buy."])
        policies.add_version(
            policy,
            by=self.people["paul"],
            text=looser._asdict(),
            effective_at=timezone.now() + timedelta(days=7),
        )
        relabelling.ask_again(policy, by=self.people["paul"], number=1, seed=11)

    def _talk(self) -> None:
        """What people say to each other: notes, opinions, questions, and what each is told."""
        rosa, remy, lena, paul = (self.people[name] for name in ("rosa", "remy", "lena", "paul"))
        queue = Queue.objects.get(pk=self.queue.pk)
        Job.objects.filter(claimed_by__in=[rosa, remy]).update(expires_at=timezone.now())
        claims.expire_claims()

        def ask(by, of, note):
            job = claims.claim_next(queue, by=by)
            while of and of not in consultations.colleagues(job, by=by):
                claims.skip(job.pk, job.claim_token, by=by)
                job = claims.claim_next(queue, by=by)
            wanted = consultations.Ask(of, note)
            return consultations.ask_colleague(job.pk, job.claim_token, wanted, by=by)

        self.asked = ask(remy, rosa, "Is “postponed” an idiom in this trade, or bait?")
        ask(rosa, None, "Does anybody know this newsletter? I cannot find who sends it.")
        answered = ask(rosa, remy, "Is this prize real? I cannot read the small print.")
        notes.leave_note(
            answered.item,
            by=lena,
            text="The same prize was offered under another name last week, @rosa.",
        )
        consultations.give_opinion(
            answered,
            by=remy,
            opinion="violating",
            policy_slugs=["spam"],
            text="It promises what is not there: the small print says that nobody has won yet.",
        )
        self.question = questions.ask_question(
            self.spam,
            by=rosa,
            item=answered.item,
            text="Is a raffle spam if somebody does win?",
        )
        questions.answer_question(
            self.question,
            by=paul,
            text="Not if who wins is said, and how to leave the list. Without either it is.",
            is_published=True,
        )
        questions.ask_question(self.spam, by=remy, text="And one that says so in an image only?")

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

    def _help(self) -> None:
        """Canned notes, and what moved the scores."""
        notes = [
            {"text": "Poses as a bank to get a password: {policy}.", "policy": "phishing"},
            {"text": "Gibt sich als Bank aus.", "policy": "phishing", "language": "de"},
            {"text": "Part of a campaign the leads know of."},
        ]
        canned = [{"policy": "", "language": "", **note} for note in notes]
        Queue.objects.filter(pk=self.queue.pk).update(canned_notes=canned)
        model = ModelVersion.objects.create(
            platform=self.platform, number=1, kind="trained", state="champion", encoder="e1/fp32"
        )
        for version in ItemVersion.objects.filter(item__jobs__queue=self.queue).distinct():
            half = len(version.content["body"]) // 2
            places = [(half, half + 60, 0.31), (0, half - 1, 0.06)]
            spans = [["phishing", "body", *place] for place in places]
            StrongSpans.objects.create(item_version=version, model_version=model, spans=spans)

    def _set_up(self) -> None:
        lena = self.people["lena"]
        queue = Queue.objects.get(pk=self.queue.pk)
        for note, change in (
            ("Complaints took too long.", {"sla_minutes": 120, "sla_by_source": {"user": 60}}),
            ("", {"actions": ["strike", "remove", "suspend"], "hidden_actions": ["suspend"]}),
            ("To measure", {"lane_shares": {"random": 10, "gold": 2.5}, "random_percent": 20}),
        ):
            data = {**queues.read(queue), **change}
            queue = queues.save_queue(queue, data, by=lena, note=note)


SHOTS = {
    "rosa": {
        "home": "/",
        "decisions": "/decisions/",
        "notifications": "/notifications/",
        "notification-choices": "/you/notifications/",
        "consultation": "consultation",
        "question": "question",
        "questions": "/questions/?state=all",
        "question-new": "/questions/new/?policy=spam",
        "item-notes": "noted item",
        "review": "/review/spam-and-scams/",
        "review-canned": "/review/spam-and-scams/",
        "review-strongest": "/review/spam-and-scams/",
        "review-empty": "/review/adult/",
        "review-blocks": "/review/posts/",
        "review-shortage": "/review/press/",
        "item": "first item",
        "policy": "/policies/phishing/",
        "policies": "/policies/",
        "you": "/you/",
        "own-keys": "/you/keys/",
        "own-filters": "/you/filters/",
        "own-wellness": "/you/wellness/",
        "own-break": "/you/break/",
        "password": "/accounts/password/change/",
        "second-factor": "/accounts/2fa/",
        "sign-out": "/accounts/logout/",
        "not-here": "/no/such/page/",
        "forbidden": "/audit/",
    },
    "ada": {"person": "/setup/people/rosa/", "person-new": "/setup/people/new/"},
    "lena": {
        "home-lead": "/",
        "wellness": "/wellness/",
        "setup-limits": "/setup/wellness/harbour/",
        "setup-queues": "/setup/queues/",
        "setup-queue": "/setup/queues/spam-and-scams/",
        "setup-queue-new": "/setup/queues/new/",
        "setup-actions": "/setup/actions/",
        "setup-action": "/setup/actions/strike/",
        "people": "/setup/people/",
        "queues": "/queues/",
        "queue": "/queues/spam-and-scams/",
        "queue-lane": "/queues/press/?lane=adjudication",
        "review-lane": "/review/press/?lane=adjudication",
        "review-lane-empty": "/review/spam-and-scams/?lane=appeal",
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
        "item-why": "open item",
        "reporters": "/reporters/",
        "draws": "/draws/?empty=1",
        "draw": "draw",
        "sample": "/queues/spam-and-scams/draw/",
        "routing": "/setup/routing/",
        "routing-draft": "/setup/routing/harbour/draft/",
        "routing-rule": "/setup/routing/harbour/draft/1/",
        "routing-publish": "/setup/routing/harbour/publish/",
        "routing-version": "/setup/routing/harbour/versions/1/",
        "dry-run": "dry run",
        "setup-kinds": "/setup/kinds/",
        "setup-kind": "/setup/kinds/forum-post/",
        "setup-kind-new": "/setup/kinds/new/",
        "item-blocks": "post",
        "search": "/search/",
        "search-found": "/search/?q=account+-invoice",
        "search-filtered": "/search/?q=%22your+account%22&policy=spam",
        "search-wrong": "/search/?q=polcy:spam",
        "search-none": "/search/?q=qqqq",
    },
    "remy": {"home-asked": "/", "notifications-few": "/notifications/?unread=1"},
    "paul": {
        "home-owner": "/",
        "questions-open": "/questions/",
        "setup-policies": "/setup/policies/",
        "setup-policy": "/setup/policies/spam/",
        "setup-policy-version": "/setup/policies/spam/versions/3/",
        "setup-policy-new": "/setup/policies/new/",
        "setup-relabelling": "/setup/policies/spam/relabelling/",
        "setup-relabelling-empty": "/setup/policies/adult/relabelling/",
    },
    "abel": {"home-auditor": "/", "audit": "/audit/", "item-audit": "decided item"},
    "mila": {"home-engineer": "/", "snapshots": "/ml/snapshots/", "models": "/ml/models/"},
    "otto": {"home-no-role": "/"},
    "": {"sign-in": "/accounts/login/"},
}


# What is pressed before the picture is taken: of these only what is on screen is shown.
KEYS = {"review": "1", "review-canned": "1i", "review-strongest": "y"}


@pytest.fixture
def day(live_app):
    return Day()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_pictures(day, live_app, new_page, sign_in, theme, size):
    _take(day, live_app, new_page, sign_in, theme, size)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_pictures_in_german(day, live_app, new_page, sign_in, size):
    """Its words are longer: nothing may stand out of the page."""
    _take(day, live_app, new_page, sign_in, "light", size, language="de")


def _take(day, live_app, new_page, sign_in, theme, size, *, language="en"):
    FOLDER.mkdir(parents=True, exist_ok=True)
    ending = "" if language == "en" else f"-{language}"
    too_wide = []
    decision = decision_to_show(day)
    for name, pages in SHOTS.items():
        page = new_page(viewport=size, color_scheme=theme, locale=language)
        if name:
            sign_in(page, day.people[name])
        for shot, where in pages.items():
            url = {
                "first item": f"/items/{Item.objects.order_by('pk').first().pk}/",
                "open item": f"/items/{Job.objects.ready().latest('rank').item_id}/",
                "draw": f"/draws/{day.draw.pk}/",
                "consultation": f"/consultations/{day.asked.pk}/",
                "question": f"/questions/{day.question.pk}/",
                "noted item": f"/items/{day.question.item_id}/notes/",
                "decided item": f"/items/{decision.item_id}/",
                "post": f"/items/{Item.objects.order_by('pk').last().pk}/",
                "largest cluster": f"/clusters/{day.cluster.pk}/",
                "answered cluster": f"/clusters/operations/{day.answered.pk}/",
                "decision": f"/decisions/{decision.pk}/override/",
                "dry run": f"/setup/routing/harbour/dry-runs/{day.dry_run.pk}/",
            }.get(where, where)
            page.goto(live_app + url)
            for key in KEYS.get(shot, ()):
                page.wait_for_timeout(200)
                page.keyboard.press(key)
            if shot == "review-strongest":
                page.locator("#_strongest [data-told]").wait_for()
            page.screenshot(
                path=FOLDER / f"{shot}-{'wide' if size is WIDE else 'narrow'}-{theme}{ending}.png",
                full_page=shot not in KEYS or size is NARROW,
            )
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                too_wide.append(shot)
    assert too_wide == []


@pytest.fixture
def weeks(live_app):
    """Three queues with two weeks behind them, rosters, and a replay that is done."""
    platform = make_platform(slug="harbour", name="Harbour")
    people = {name: make_person(name, platform=platform) for name in CAST}
    now = claims.clock()
    for slug, name, sla, per_day, who in (
        ("phishing", "Phishing", 240, 60, "rosa"),
        ("adult", "Adult services", 720, 25, "remy"),
        ("spam-and-scams", "Spam and scams", 480, 200, "lena"),
    ):
        policy = make_policy(platform=platform, slug=f"{slug}-rule", name=name)
        queue = make_queue(
            platform=platform, slug=slug, name=name, policies=[policy], sla_minutes=sla
        )
        past.work_days(queue, [people[who]], policy, until=now, days=8, per_day=per_day)
        if slug != "adult":
            times = [planning.Times(day, 8, 18, 1) for day in range(5)]
            planning.save_roster(queue, times, by=people["lena"], note="Autumn")
    queue = Queue.objects.get(slug="spam-and-scams")
    planning.save_roster(
        queue, [*planning.times_of(queue), planning.Times(5, 9, 13, 1)], by=people["lena"]
    )
    run = replays.start_replay(
        queue,
        by=people["lena"],
        candidate=replays.read_candidate(queue, {"doubling_hours": 12, "soon_minutes": 30}),
        since=now - timedelta(days=7),
        until=now,
    )
    replays.run(run.pk)
    people["run"] = run
    return people


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_pictures_of_weeks(weeks, live_app, new_page, sign_in, theme, size):
    FOLDER.mkdir(parents=True, exist_ok=True)
    page = new_page(viewport=size, color_scheme=theme)
    sign_in(page, weeks["lena"])
    too_wide = []
    for shot, url in {
        "replays": "/queues/spam-and-scams/replay/",
        "replay": f"/replays/{weeks['run'].pk}/",
        "forecast": "/forecast/",
        "forecast-what-if": "/forecast/?people=1&into=phishing&out=adult&hours=8-20&days=all",
        "forecast-queue": "/forecast/phishing/",
        "roster": "/queues/spam-and-scams/roster/",
    }.items():
        page.goto(live_app + url)
        page.screenshot(
            path=FOLDER / f"{shot}-{'wide' if size is WIDE else 'narrow'}-{theme}.png",
            full_page=True,
        )
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            too_wide.append(shot)
    assert too_wide == []


@pytest.fixture
def boards(live_app):
    """Mailhaven Boards as the demo has them, one medium still being prepared."""
    platform = loading.set_up_platform()
    board_loading.load_boards(platform)
    last = Medium.objects.latest("pk")
    Medium.objects.filter(pk=last.pk).update(due_at=timezone.now() + timedelta(hours=1))
    media_work.prepare_due(seconds=300)
    return platform


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_pictures_of_boards(boards, live_app, new_page, sign_in, theme, size):
    FOLDER.mkdir(parents=True, exist_ok=True)
    page = new_page(viewport=size, color_scheme=theme)
    sign_in(page, Person.objects.get(username="lena"))
    ids = dict(Item.objects.values_list("external_id", "pk"))
    too_wide = []
    for shot, url in {
        "boards-desk": "/review/boards/",
        "boards-clips": "/review/clips/",
        "boards-pin": f"/items/{ids['b0010']}/",
        "boards-pin-arabic": f"/items/{ids['b0005']}/",
        "boards-profile": f"/items/{ids['b0019']}/",
        "boards-comment": f"/items/{ids['b0023']}/",
        "boards-clip": f"/items/{ids['b0027']}/",
        "boards-listing": f"/items/{ids['b0031']}/",
        "boards-voice": f"/items/{ids['b0033']}/",
        "boards-waiting": f"/items/{ids['b0034']}/",
        "boards-kind": "/setup/kinds/pin/",
    }.items():
        page.goto(live_app + url)
        page.wait_for_load_state("networkidle")
        page.screenshot(
            path=FOLDER / f"{shot}-{'wide' if size is WIDE else 'narrow'}-{theme}.png",
            full_page=True,
        )
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            too_wide.append(shot)
    assert too_wide == []


def decision_to_show(day):
    return day.people["rosa"].decisions.filter(verdict="violating").first()


@pytest.fixture
def side_by_side(live_app):
    """A queue that shows 24 posts on a page, and one of them decided."""
    platform = make_platform(slug="harbour", name="Harbour")
    people = {name: make_person(name, platform=platform) for name in CAST}
    policy = [
        make_policy(platform=platform, slug=slug, name=name, key=str(place))
        for place, (slug, name) in enumerate(
            [("nudity", "Nudity"), ("violence", "Violence"), ("spam", "Spam and scams")], start=1
        )
    ]
    policy[1].versions.update(severity_levels=["Mild", "Serious", "Severe"])
    queue = make_queue(
        platform=platform,
        slug="pins",
        name="Pins",
        policies=policy,
        actions=[make_action(platform=platform, slug="remove", name="Remove")],
        members=[people["rosa"], people["lena"]],
        page_size=24,
    )
    for number, (title, text, risk, _, _) in enumerate(TEXTS * 4):
        item = make_item(
            platform=platform,
            title=title,
            text=text,
            risk=risk,
            risks={"spam": risk} if risk else {},
            account=make_account(platform=platform),
        )
        make_job(queue=queue, item=item, rank=-number)
    return people


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_pictures_of_a_page_of_items(side_by_side, live_app, new_page, sign_in, theme, size):
    FOLDER.mkdir(parents=True, exist_ok=True)
    name = f"{'wide' if size is WIDE else 'narrow'}-{theme}"
    for person in side_by_side.values():
        person.theme = theme
        person.save()
    page = new_page(viewport=size)
    sign_in(page, side_by_side["rosa"])
    page.goto(f"{live_app}/grid/pins/")
    page.wait_for_timeout(900)
    for key in ("1", "ArrowRight", "0", "ArrowRight", "3", "Enter"):
        page.keyboard.press(key)
    page.get_by_text("3 answered.").wait_for()
    page.wait_for_timeout(700)
    for key in ("1", "ArrowRight"):
        page.keyboard.press(key)
    page.screenshot(path=FOLDER / f"grid-{name}.png", full_page=size is NARROW)
    page.keyboard.press("2")
    page.screenshot(path=FOLDER / f"grid-levels-{name}.png")
    page.keyboard.press("Escape")
    page.keyboard.press(" ")
    page.screenshot(path=FOLDER / f"grid-enlarged-{name}.png")
    sign_in(page, side_by_side["lena"])
    page.goto(f"{live_app}/design/")
    page.screenshot(path=FOLDER / f"design-{name}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
