"""The world of most pictures: one platform in the middle of a working day."""

import hashlib
import uuid
from datetime import timedelta

from django.db.models import F
from django.utils import timezone

from mlhooks.models import ModelVersion, StrongSpans
from reviews import (
    audit,
    bulk_work,
    claims,
    cluster_reach,
    cluster_work,
    clusters,
    consultations,
    decisions,
    draws,
    dry_run,
    enforcement,
    kinds,
    notes,
    policies,
    policy_texts,
    questions,
    queues,
    ranking,
    relabelling,
    routing_versions,
    search_entries,
)
from reviews.models import (
    Cluster,
    Enforcement,
    Item,
    ItemVersion,
    Job,
    Queue,
    Report,
    Reporter,
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
from tests.screenshots_texts import POST, POST_FIELDS, POST_LAYOUT, TEXTS


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
            fields=POST_FIELDS,
            layout=POST_LAYOUT,
        )
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
            ItemVersion.objects.filter(item=item).update(content=POST)
            make_job(queue=queue, item=item)

    def _new_versions(self) -> None:
        """Spam is stricter since a moment ago, and will be looser next week."""
        policy = self.spam
        text = policy_texts.text_of(policy.version.__class__.objects.get(pk=policy.version.pk))
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
        self.open_question = questions.ask_question(
            self.spam, by=remy, text="And one that says so in an image only?"
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
                cluster_reach.Seen(one.item_id, one.item_version_id) for one in other.members.all()
            ]
            found = cluster_reach.obstacles([one.item_id for one in seen], by=lena)
            if any(job for job, _ in found.values()):
                break
        self.answered = cluster_work.decide_members(
            other,
            seen,
            cluster_reach.Answer("violating", ["spam"], ["remove"], "One wave."),
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
        reasons = ["I do not read this language", "Too upsetting for me now", "I know the sender"]
        Queue.objects.filter(pk=self.queue.pk).update(canned_notes=canned, skip_reasons=reasons)
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
