"""Who may do what: the two tables of truth. What is not in them fails.

GRANTED is the role × action table, written out by hand beside access.GRANTS. ROUTES is every URL
of the product by who may send what there: names before the bar are answered, names after it are
let in but refused by the facts (409: not her claim; 422: too few labels to train on); everybody
else gets 403 or 404, and who has not signed in is sent to sign in (pages) or gets 401 or 403 (API).
"""

import uuid
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core import signing
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone

from mlhooks import alerts, drift, gates, predictions, promotions, registry, shadows, snapshots
from mlhooks.models import FunctionalCase, Monitoring, Prediction, ShadowScore, TrainingRun
from reviews import (
    access,
    actions,
    bulk_work,
    cluster_reach,
    cluster_work,
    clusters,
    consultations,
    decisions,
    dry_run,
    enforcement,
    gold,
    kinds,
    known,
    limits,
    media,
    notes,
    notifications,
    people,
    policies,
    policy_texts,
    questions,
    queues,
    replays,
    revisions,
    routing_versions,
    tokens,
)
from reviews.errors import DomainError, Forbidden, NotFound
from reviews.models import Cluster, Enforcement, Item, Medium, MediumUse, Role

from .factories import (
    claimed_job,
    make_account,
    make_action,
    make_evidence,
    make_item,
    make_job,
    make_kind,
    make_learning_curve,
    make_platform,
    make_policy,
    make_queue,
    make_round,
    make_rules,
)
from .people import CAST, make_person

pytestmark = pytest.mark.django_db

ALL_STAFF = "reviewer lead policy-owner ml-engineer auditor admin"
GRANTED = {
    "item.submit": "admin",
    "item.view": ALL_STAFF,
    "item.erase": "admin",
    "consultation.ask": "reviewer lead",
    "consultation.answer": "reviewer lead",
    "question.ask": "reviewer lead",
    "question.answer": "policy-owner admin",
    "notification.view": ALL_STAFF,
    "note.view": ALL_STAFF,
    "note.leave": "reviewer lead policy-owner",
    "medium.view": ALL_STAFF,
    "medium.upload": "admin",
    "report.file": "admin",
    "policy.view": ALL_STAFF,
    "kind.view": ALL_STAFF,
    "queue.view": ALL_STAFF,
    "job.view": "lead ml-engineer auditor admin",
    "job.claim": "reviewer lead",
    "job.adjudicate": "lead",
    "review.record": "reviewer lead",
    "decision.view": ALL_STAFF,
    "decision.undo": "reviewer lead",
    "decision.override": "lead",
    "enforcement.view": "lead auditor admin",
    "enforcement.approve": "lead",
    "setup.view": "lead policy-owner auditor admin",
    "queue.edit": "lead policy-owner admin",
    "routing.edit": "lead policy-owner admin",
    "action.edit": "lead policy-owner admin",
    "kind.edit": "lead policy-owner admin",
    "policy.edit": "policy-owner admin",
    "known.view": "lead policy-owner auditor admin",
    "known.edit": "policy-owner admin",
    "wellness.view": "lead",
    "wellness.edit": "lead admin",
    "person.view": "lead policy-owner auditor admin",
    "person.edit": "admin",
    "queue.staff": "lead admin",
    "roster.edit": "lead admin",
    "job.manage": "lead",
    "cluster.view": "lead ml-engineer auditor admin",
    "cluster.decide": "lead",
    "draw.create": "lead ml-engineer",
    "replay.view": "lead policy-owner ml-engineer auditor admin",
    "replay.run": "lead policy-owner ml-engineer",
    "design.view": "lead ml-engineer admin",
    "token.create": "admin",
    "token.revoke": "admin",
    "audit.view": "auditor admin",
    "snapshot.view": "ml-engineer policy-owner auditor",
    "snapshot.create": "ml-engineer",
    "snapshot.download": "ml-engineer",
    "model.view": "ml-engineer policy-owner lead auditor",
    "model.train": "ml-engineer",
    "model.predict": "ml-engineer policy-owner",
    "model.propose": "ml-engineer",
    "model.shadow": "ml-engineer",
    "model.approve": "ml-engineer policy-owner",
    "model.roll_back": "ml-engineer",
    "monitoring.run": "ml-engineer policy-owner",
    "alert.acknowledge": "ml-engineer policy-owner",
    "alert.edit": "ml-engineer policy-owner",
    "evidence.gather": "ml-engineer policy-owner",
    "round.draw": "lead ml-engineer",
    "round.edit": "ml-engineer",
    "gate.edit": "policy-owner",
    "gate.waive": "policy-owner",
    "functional.edit": "policy-owner",
}
SCOPED = {
    "item.submit": "items:write",
    "item.view": "items:read",
    "note.view": "notes:read",
    "note.leave": "notes:write",
    "medium.upload": "items:write",
    "report.file": "reports:write",
    "policy.view": "policies:read",
    "kind.view": "items:write",
    "queue.view": "queues:read",
    "job.view": "queues:read",
    "setup.view": "queues:read",
    "decision.view": "decisions:read",
    "snapshot.view": "snapshots:read",
    "snapshot.create": "snapshots:write",
    "snapshot.download": "snapshots:read",
    "model.view": "models:read",
    "model.train": "models:write",
    "model.predict": "models:write",
    "known.view": "policies:read",
    "known.edit": "known:write",
    "model.shadow": "models:write",
    "monitoring.run": "models:write",
    "round.draw": "models:write",
    "round.edit": "models:write",
    "draw.create": "models:write",
    "evidence.gather": "models:write",
}

STAFF = "rosa remy lena paul mila abel ada"
EVERYONE = f"{STAFF} otto"
ANYONE = f"{EVERYONE} anonymous"
ROUTES = {
    "healthz": {"GET": ANYONE},
    "readyz": {"GET": ANYONE},
    "metrics": {"GET": "mila paul lena abel"},
    "reviews:home": {"GET": EVERYONE},
    "reviews:profile": {"GET": EVERYONE},
    "reviews:own-keys": {"GET": EVERYONE, "POST": EVERYONE},
    "reviews:reading": {"POST": EVERYONE},
    "reviews:own-filters": {"GET": EVERYONE, "POST": EVERYONE},
    "reviews:own-wellness": {"GET": EVERYONE},
    "reviews:own-opt-outs": {"POST": EVERYONE},
    "reviews:own-break": {"GET": EVERYONE, "POST": EVERYONE},
    "reviews:own-break-end": {"POST": EVERYONE},
    "reviews:wellness": {"GET": "lena"},
    "reviews:setup-wellness": {"GET": "lena paul abel ada"},
    "reviews:setup-limits": {"GET": "lena paul abel ada", "POST": "lena ada"},
    "reviews:setup-limits-restore": {"POST": "lena ada"},
    "reviews:review": {"GET": "rosa remy lena"},
    "reviews:review-ahead": {"POST": "rosa remy lena"},
    "reviews:job-let-go": {"POST": "rosa remy lena"},
    "reviews:design": {"GET": "lena mila ada"},
    "reviews:grid": {"GET": "rosa remy lena"},
    "reviews:grid-answer": {"POST": "rosa remy lena"},
    "reviews:grid-renew": {"POST": "rosa remy lena"},
    "reviews:job-decide": {"POST": "rosa | remy lena"},
    "reviews:job-skip": {"POST": "rosa | remy lena"},
    "reviews:job-release": {"POST": "rosa | remy lena"},
    "reviews:job-renew": {"POST": "rosa | remy lena"},
    "reviews:job-evidence": {"GET": "rosa | remy lena"},
    "reviews:decision-list": {"GET": "rosa remy lena"},
    "reviews:decision-undo": {"POST": "rosa"},
    "reviews:decision-override": {"GET": "lena", "POST": "lena"},
    "reviews:item-detail": {"GET": STAFF},
    "reviews:search": {"GET": STAFF},
    "reviews:item-text": {"GET": STAFF},
    "reviews:item-notes": {"GET": STAFF, "POST": "rosa remy lena paul"},
    "reviews:note-withdraw": {"POST": "rosa"},
    "reviews:job-ask": {"GET": "rosa remy lena", "POST": "rosa | remy lena"},
    "reviews:consultation": {"GET": "rosa remy lena mila abel ada"},
    "reviews:consultation-answer": {"POST": "remy"},
    "reviews:consultation-looked": {"POST": "rosa remy lena"},
    "reviews:consultation-withdraw": {"POST": "rosa"},
    "reviews:question-list": {"GET": STAFF},
    "reviews:question-new": {"GET": "rosa remy lena", "POST": "rosa remy lena"},
    "reviews:question": {"GET": "rosa paul ada"},
    "reviews:question-answer": {"POST": "paul ada"},
    "reviews:question-publish": {"POST": "| paul ada"},
    "reviews:question-withdraw": {"POST": "rosa"},
    "reviews:notification-list": {"GET": EVERYONE},
    "reviews:notification-count": {"GET": EVERYONE},
    "reviews:notification-read": {"POST": EVERYONE},
    "reviews:notification": {"GET": "rosa"},
    "reviews:notification-choices": {"GET": EVERYONE, "POST": EVERYONE},
    "reviews:item-original-file": {"GET": STAFF},
    "reviews:medium-figure": {"GET": STAFF},
    "reviews:medium": {"GET": STAFF},
    "reviews:queue-list": {"GET": STAFF},
    "reviews:queue-detail": {"GET": STAFF},
    "reviews:item-gold": {"POST": "lena mila"},
    "reviews:draw-create": {"GET": "lena mila", "POST": "lena mila"},
    "reviews:draw-list": {"GET": "lena mila abel ada"},
    "reviews:draw-detail": {"GET": "lena mila abel ada"},
    "reviews:reporter-list": {"GET": "lena paul abel ada"},
    "reviews:replay-list": {"GET": "lena paul mila abel ada", "POST": "lena paul mila"},
    "reviews:replay-detail": {"GET": "lena paul mila abel ada"},
    "reviews:replay-progress": {"GET": "lena paul mila abel ada"},
    "reviews:replay-cancel": {"POST": "lena paul mila"},
    "reviews:roster": {"GET": "lena paul mila abel ada", "POST": "lena ada"},
    "reviews:forecast": {"GET": "lena paul mila abel ada"},
    "reviews:forecast-detail": {"GET": "lena paul mila abel ada"},
    "reviews:job-list": {"GET": "lena mila abel ada"},
    "reviews:job-change": {"GET": "lena", "POST": "lena"},
    "reviews:operation-list": {"GET": "lena mila abel ada"},
    "reviews:operation-undo": {"POST": "lena"},
    "reviews:cluster-list": {"GET": "lena mila abel ada"},
    "reviews:cluster-detail": {"GET": "lena mila abel ada", "POST": "lena mila abel ada"},
    "reviews:cluster-preview": {"POST": "lena"},
    "reviews:cluster-decide": {"POST": "lena"},
    "reviews:cluster-operation": {"GET": "lena mila abel ada"},
    "reviews:cluster-progress": {"GET": "lena mila abel ada"},
    "reviews:cluster-undo": {"POST": "lena"},
    "reviews:setup": {"GET": "lena paul abel ada"},
    "reviews:setup-routing-list": {"GET": "lena paul abel ada"},
    "reviews:setup-routing": {"GET": "lena paul abel ada"},
    "reviews:setup-routing-draft": {"GET": "lena paul abel ada", "POST": "lena paul ada"},
    "reviews:setup-routing-rule-new": {"GET": "lena paul ada", "POST": "lena paul ada"},
    "reviews:setup-routing-rule-edit": {"GET": "lena paul ada", "POST": "lena paul ada"},
    "reviews:setup-routing-check": {"POST": "lena paul ada"},
    "reviews:setup-routing-dry-run-create": {"POST": "lena paul ada"},
    "reviews:setup-routing-dry-run": {"GET": "lena paul abel ada"},
    "reviews:setup-routing-publish": {"GET": "lena paul ada", "POST": "lena paul ada"},
    "reviews:setup-routing-version": {"GET": "lena paul abel ada"},
    "reviews:setup-routing-put-back": {"POST": "| lena paul ada"},
    "reviews:setup-queue-list": {"GET": "lena paul abel ada"},
    "reviews:setup-queue-new": {"GET": "lena paul ada", "POST": "| lena paul ada"},
    "reviews:setup-queue-edit": {"GET": "lena paul abel ada", "POST": "| lena paul ada"},
    "reviews:setup-queue-restore": {"POST": "| lena paul ada"},
    "reviews:setup-queue-archive": {"POST": "| lena paul ada"},
    "reviews:setup-queue-unarchive": {"POST": "lena paul ada"},
    "reviews:setup-action-list": {"GET": "lena paul abel ada"},
    "reviews:setup-action-new": {"GET": "lena paul ada", "POST": "lena paul ada"},
    "reviews:setup-action-edit": {"GET": "lena paul abel ada", "POST": "lena paul ada"},
    "reviews:setup-action-restore": {"POST": "lena paul ada"},
    "reviews:setup-action-archive": {"POST": "| lena paul ada"},
    "reviews:setup-action-unarchive": {"POST": "lena paul ada"},
    "reviews:setup-person-list": {"GET": "lena paul abel ada"},
    "reviews:setup-person-new": {"GET": "ada", "POST": "ada"},
    "reviews:setup-person-edit": {"GET": "lena paul abel ada", "POST": "ada"},
    "reviews:setup-person-queues": {"POST": "lena ada"},
    "reviews:setup-person-deactivate": {"POST": "ada"},
    "reviews:setup-person-reactivate": {"POST": "ada"},
    "reviews:setup-person-remove": {"POST": "ada"},
    "reviews:setup-person-add": {"POST": "ada"},
    "reviews:setup-person-link": {"POST": "ada"},
    "reviews:setup-person-restore": {"POST": "ada"},
    "reviews:setup-kind-list": {"GET": "lena paul abel ada"},
    "reviews:setup-kind-new": {"GET": "lena paul ada", "POST": "lena paul ada"},
    "reviews:setup-kind-edit": {"GET": "lena paul abel ada", "POST": "lena paul ada"},
    "reviews:setup-kind-restore": {"POST": "lena paul ada"},
    "reviews:setup-kind-archive": {"POST": "lena paul ada"},
    "reviews:setup-kind-unarchive": {"POST": "lena paul ada"},
    "reviews:setup-policy-list": {"GET": "lena paul abel ada"},
    "reviews:setup-policy-new": {"GET": "paul ada", "POST": "paul ada"},
    "reviews:setup-policy-edit": {"GET": "lena paul abel ada", "POST": "paul ada"},
    "reviews:setup-policy-restore": {"POST": "paul ada"},
    "reviews:setup-policy-archive": {"POST": "| paul ada"},  # a queue judges it
    "reviews:setup-policy-unarchive": {"POST": "paul ada"},
    "reviews:setup-policy-version": {"GET": "paul ada", "POST": "paul ada"},
    "reviews:setup-policy-version-edit": {"GET": "paul ada", "POST": "paul ada"},
    "reviews:setup-policy-version-withdraw": {"POST": "paul ada"},
    "reviews:setup-policy-version-restore": {"POST": "paul ada"},
    "reviews:setup-policy-relabelling": {"GET": "lena paul abel ada", "POST": "lena paul ada"},
    "reviews:policy-list": {"GET": STAFF},
    "reviews:policy-detail": {"GET": STAFF},
    "reviews:enforcement-list": {"GET": "lena abel ada"},
    "reviews:enforcement-approve": {"POST": "lena"},
    "reviews:enforcement-refuse": {"POST": "lena"},
    "reviews:item-reports": {"GET": STAFF},
    "reviews:account-detail": {"GET": STAFF},
    "reviews:audit-list": {"GET": "abel ada"},
    "mlhooks:snapshot-list": {"GET": "mila paul abel"},
    "mlhooks:snapshot-preview": {"GET": "mila"},
    "mlhooks:snapshot-create": {"POST": "mila"},
    "mlhooks:snapshot-detail": {"GET": "mila paul abel"},
    "mlhooks:snapshot-difference": {"GET": "mila paul abel"},
    "mlhooks:snapshot-row": {"GET": "mila paul abel"},
    "mlhooks:snapshot-row-search": {"GET": "| mila paul abel"},  # no number given
    "mlhooks:snapshot-progress": {"GET": "mila paul abel"},
    "mlhooks:snapshot-file": {"GET": "mila"},
    "mlhooks:training-create": {"POST": "| mila"},
    "mlhooks:training-detail": {"GET": "mila paul lena abel"},
    "mlhooks:training-progress": {"GET": "mila paul lena abel"},
    "mlhooks:training-cancel": {"POST": "mila"},
    "reviews:setup-known-list": {"GET": "lena paul abel ada"},
    "reviews:setup-known-new": {"POST": "paul ada"},
    "reviews:setup-known-detail": {"GET": "lena paul abel ada"},
    "reviews:setup-known-add": {"POST": "paul ada"},
    "reviews:setup-known-change": {"POST": "paul ada"},
    "reviews:setup-known-remove": {"POST": "paul ada"},
    "mlhooks:job-similar": {"GET": "rosa | remy lena"},
    "mlhooks:job-strongest": {"POST": "| rosa remy lena"},
    "mlhooks:learning": {"GET": "mila paul lena abel"},
    "mlhooks:round-list": {"GET": "mila paul lena abel"},
    "mlhooks:round-detail": {"GET": "mila paul lena abel"},
    "mlhooks:round-pool": {"GET": "mila paul lena abel"},
    "mlhooks:round-draw": {"POST": "mila lena"},
    "mlhooks:round-settings": {"POST": "mila"},
    "mlhooks:model-list": {"GET": "mila paul lena abel"},
    "mlhooks:model-detail": {"GET": "mila paul lena abel"},
    "mlhooks:rescoring": {"GET": "mila paul lena abel"},
    "mlhooks:model-try": {"GET": "mila paul", "POST": "mila paul"},
    "mlhooks:try-answer": {"POST": "mila"},  # hers alone: she asked
    "mlhooks:try-policy": {"GET": "mila paul"},
    "mlhooks:evidence-detail": {"GET": "mila paul lena abel"},
    "mlhooks:evidence-gather": {"POST": "mila paul"},
    "mlhooks:gates-progress": {"GET": "mila paul lena abel"},
    "mlhooks:shadow-detail": {"GET": "mila paul lena abel"},
    "mlhooks:shadow-start": {"POST": "| mila"},
    "mlhooks:shadow-stop": {"POST": "mila"},
    "mlhooks:shadow-draw": {"POST": "lena mila"},
    "mlhooks:monitoring": {"GET": "mila paul lena abel"},
    "mlhooks:alerts-open": {"GET": "mila paul lena abel"},
    "mlhooks:monitoring-run": {"POST": "mila paul"},
    "mlhooks:monitoring-progress": {"GET": "mila paul lena abel"},
    "mlhooks:alert-bounds": {"GET": "mila paul lena abel", "POST": "mila paul"},
    "mlhooks:alert-acknowledge": {"POST": "mila paul"},
    "mlhooks:gate-list": {"GET": "mila paul lena abel"},
    "mlhooks:gate-edit": {"POST": "paul"},
    "mlhooks:gate-waive": {"POST": "paul"},
    "mlhooks:case-list": {"GET": "mila paul lena abel"},
    "mlhooks:case-add": {"POST": "paul"},
    "mlhooks:case-archive": {"POST": "paul"},
    "mlhooks:promotion-propose": {"POST": "mila"},
    "mlhooks:promotion-approve": {"POST": "paul"},
    "mlhooks:promotion-withdraw": {"POST": "mila"},
    "mlhooks:roll-back": {"POST": "mila"},
    "reviews_api:items": {"GET": STAFF, "POST": "ada"},
    "reviews_api:item": {"GET": STAFF},
    "reviews_api:account": {"GET": STAFF},
    "reviews_api:media": {"POST": "ada"},
    "reviews_api:medium": {"GET": "ada"},
    "reviews_api:notes": {"GET": STAFF, "POST": "rosa remy lena paul"},
    "reviews_api:questions": {"GET": STAFF},
    "reviews_api:notifications": {"GET": STAFF},
    "reviews_api:notifications-read": {"POST": STAFF},
    "reviews_api:item-search": {"GET": STAFF},
    "reviews_api:reports": {"POST": "ada"},
    "reviews_api:known-lists": {"GET": "lena paul abel ada"},
    "reviews_api:known-hashes": {"POST": "paul ada"},
    "reviews_api:decisions": {"GET": STAFF},
    "reviews_api:queues": {"GET": STAFF},
    "reviews_api:kinds": {"GET": STAFF},
    "reviews_api:policies": {"GET": STAFF},
    "reviews_api:routing": {"GET": "lena paul abel ada"},
    "reviews_api:schema": {"GET": EVERYONE},
    "mlhooks_api:snapshot-difference": {"GET": "mila paul abel"},
    "mlhooks_api:snapshot-row": {"GET": "mila paul abel"},
    "mlhooks_api:snapshot-dry-run": {"GET": "mila paul abel"},
    "mlhooks_api:snapshots": {"GET": "mila paul abel", "POST": "mila"},
    "mlhooks_api:snapshot": {"GET": "mila paul abel"},
    "mlhooks_api:snapshot-file": {"GET": "mila"},
    "mlhooks_api:training-runs": {"GET": "mila paul lena abel", "POST": "| mila"},
    "mlhooks_api:training-run": {"GET": "mila paul lena abel"},
    "mlhooks_api:learning-rounds": {"GET": "mila paul lena abel", "POST": "mila lena"},
    "mlhooks_api:learning-round": {"GET": "mila paul lena abel"},
    "mlhooks_api:learning-curve": {"GET": "mila paul lena abel"},
    "mlhooks_api:models": {"GET": "mila paul lena abel"},
    "mlhooks_api:model": {"GET": "mila paul lena abel"},
    "mlhooks_api:evidence": {"GET": "mila paul lena abel", "POST": "mila paul"},
    "mlhooks_api:monitoring": {"GET": "mila paul lena abel", "POST": "mila paul"},
    "mlhooks_api:shadow": {
        "GET": "mila paul lena abel",
        "POST": "| mila",
        "DELETE": "mila",
    },
    "mlhooks_api:predict": {"POST": "mila paul"},
    "mlhooks_api:prediction": {"GET": "mila paul"},
    "mlhooks_api:round-settings": {"GET": "mila paul lena abel", "PATCH": "mila"},
    "mlhooks_api:shadow-draws": {"POST": "mila lena"},
}
# Sign-in, passwords and second factors are allauth's, about the person herself only.
SIGN_IN = ("account_", "mfa_")
# What anybody may still do who belongs to no platform, or to another one.
OWN_BUSINESS = {
    "healthz",
    "readyz",
    "reviews:home",
    "reviews:profile",
    "reviews:own-keys",
    "reviews:reading",
    "reviews:own-filters",
    "reviews:notification-list",
    "reviews:notification-count",
    "reviews:notification-read",
    "reviews:notification-choices",
    "reviews:own-wellness",
    "reviews:own-opt-outs",
    "reviews:own-break",
    "reviews:own-break-end",
    "reviews:design",
}


def routes():
    """Every named URL: "namespace:name"."""

    def walk(patterns, namespace=""):
        for pattern in patterns:
            if isinstance(pattern, URLPattern):
                yield f"{namespace}{pattern.name}"
            else:
                inner = f"{pattern.namespace}:" if pattern.namespace else ""
                yield from walk(pattern.url_patterns, namespace + inner)

    found = set(walk(get_resolver().url_patterns))
    return {name for name in found if not name.startswith(SIGN_IN)}


class World:
    """One of everything that a route may name."""

    def __init__(self):
        self.platform = platform = make_platform()
        self.people = {name: make_person(name, platform=platform) for name in CAST}
        self.kind = make_kind(platform=platform)
        self.queue = make_queue(
            platform=platform,
            policies=[make_policy(platform=platform, slug="spam")],
            actions=[
                make_action(platform=platform, slug="take-down"),
                make_action(platform=platform, slug="suspend", needs_approval=True),
            ],
            members=self.people.values(),
            is_default=True,
            undo_seconds=3600,  # longer than any machine needs for all the routes
        )
        self.side_by_side = make_queue(platform=platform, members=self.people.values(), page_size=4)
        make_job(queue=self.side_by_side, item=self.make_item())
        rosa = self.people["rosa"]
        self.decision = self.decide(rosa, action_slugs=["suspend"])
        self._keep_revisions()
        self.held = self.decision.enforcements.get()
        Enforcement.objects.update(due_at=self.decision.decided_at)
        enforcement.release_planned()
        asked = claimed_job(rosa, queue=self.queue, item=self.make_item())
        self.consultation = consultations.ask_colleague(
            asked.pk,
            asked.claim_token,
            consultations.Ask(self.people["remy"], "Have you seen this before?"),
            by=rosa,
        )
        self.job = claimed_job(rosa, queue=self.queue, item=self.make_item())
        self.draw = make_job(queue=self.queue, item=self.make_item(), lane="random").draw
        gold.mark(self.decision.item, by=self.people["lena"])
        self.waiting = make_job(queue=self.queue, item=self.make_item())
        kept = make_job(queue=self.queue, item=self.make_item())
        self.operation = bulk_work.raise_jobs(
            self.queue,
            bulk_work.Selection([kept.pk]),
            by=self.people["lena"],
            token=uuid.uuid4(),
        )
        self.note = notes.leave_note(self.job.item, by=rosa, text="Seen before.")
        self.question = questions.ask_question(self.queue.policies.get(), by=rosa, text="Satire?")
        notifications.tell(
            [rosa], "mention", by=self.people["lena"], platform=platform, item=self.job.item
        )
        self.notification = rosa.notifications.get(sort="mention")
        self._near_duplicates()
        self._media()
        mila = self.people["mila"]
        self._set_up()
        self.snapshot = snapshots.create_snapshot(platform, by=mila)
        snapshots.build(self.snapshot.pk)
        first = registry.ensure_zero_shot(platform)
        self.champion = self.register(first)
        promotions.approve(promotions.propose(self.champion, by=mila, reason="better"), by=None)
        self.proposed = self.register(first)
        self.promotion = promotions.propose(self.proposed, by=mila, reason="better still")
        self.candidate = self.register(first)
        self._shadow(first)
        self._alert()
        self.functional_case = FunctionalCase.objects.create(
            policy=self.queue.policies.get(), functionality="plain", text="Pills!", violates=True
        )
        self.prediction = Prediction.objects.create(
            platform=self.platform, model_version=self.candidate, texts=["Win a prize"]
        )
        self.tried = predictions.ask(
            self.candidate, ["Win a prize"], by=mila, with_spans=True, is_brief=True
        )
        known_list = known.create_list(self.queue.policies.get(), by=None, name="Known")
        known.add_hashes(known_list, [known.Given("0f" * 32)], by=None)
        self.known_hash = known_list.hashes.get()
        self.run = TrainingRun.objects.create(
            platform=platform, snapshot=self.snapshot, created_by=mila
        )
        self.round = make_round(platform)
        make_learning_curve(self.snapshot)
        now = self.decision.decided_at
        self.replay = replays.start_replay(
            self.queue,
            by=mila,
            candidate=replays.read_candidate(self.queue, {}),
            since=now - timedelta(days=1),
            until=now,
        )

        self.rule = {"name": "Reported", "queue": self.queue.slug, "condition": "report_count > 1"}
        make_rules(platform)
        make_rules(platform, self.rule)
        self.draft = routing_versions.save_draft(
            platform, [self.rule | {"condition": {"expression": "true"}}], edition=0, by=None
        )
        self.dry_run = dry_run.start_dry_run(self.draft, days=7, by=None)

    def _shadow(self, like):
        """In the shadow, and of another mind than the champion about what waits."""
        self.shadowed = self.register(like)
        shadows.start(self.shadowed, by=self.people["mila"])
        ShadowScore.objects.create(
            item_version=self.waiting.item.current_version,
            model_version=self.shadowed,
            policy=self.queue.policies.get(),
            probability=0.9,
            beside=self.champion,
            beside_probability=0.1,
        )

    def _alert(self):
        looked = Monitoring.objects.create(
            platform=self.platform,
            champion=self.champion,
            state=Monitoring.State.READY,
            finished_at=timezone.now(),
            figures={"days": 28, "labels": 0, "policies": {}},
        )
        alerts.judge(looked, {("spam", "score"): 0.4, ("", "length"): 0.1})
        self.alert = self.platform.alerts.get()

    def _keep_revisions(self):
        remy, remove = self.people["remy"], self.queue.actions.get(slug="take-down")
        for target, data in (
            (self.queue, queues.read(self.queue)),
            (remove, {**actions.read(remove), "name": "Take down"}),
            (remy, people.read(remy, self.platform)),
        ):
            revisions.record(target, data, by=None, platform=self.platform)
        limits.save_limits(self.platform, {"break_minutes": 50}, by=None)

    def _set_up(self):
        """A kind and a policy with a history; a version in force after rosa's decision, and one to
        come."""
        self.policy = self.queue.policies.get()
        kinds.save_kind(self.kind, by=None, name="Mail", fields=self.kind.fields, layout=[])
        policies.save_policy(self.policy, by=None, name="Spam", key="1", position=1)
        text = policy_texts.text_of(self.policy.versions.get())._asdict()
        policies.add_version(self.policy, by=None, text={**text, "summary": "Stricter."})
        later = timezone.now() + timedelta(days=7)
        policies.add_version(
            self.policy, by=None, text={**text, "summary": "Looser."}, effective_at=later
        )

    def _media(self):
        """A picture that an item shows."""
        rendition = {"name": media.store(self.platform.pk, "image.webp", ContentFile(b"RIFF"))}
        rendition |= {"type": "image/webp", "bytes": 4, "sha256": "0" * 64}
        self.medium = Medium.objects.create(
            platform=self.platform,
            source=Medium.Source.UPLOAD,
            key="0" * 64,
            state=Medium.State.READY,
            form=Medium.Form.IMAGE,
            renditions={"image": rendition},
        )
        version = self.job.item.current_version
        MediumUse.objects.create(item_version=version, medium=self.medium, field="body")

    def _near_duplicates(self):
        """A cluster of three: one decided together with others, two that wait."""
        items = [self.make_item() for _ in range(3)]
        for item in items:
            make_job(queue=self.queue, item=item)
        clusters.mark_versions([item.current_version.pk for item in items])
        Item.objects.update(fingerprint="said before")
        clusters.hash_due()
        self.cluster = Cluster.objects.get()
        done, self.near, _ = items
        self.cluster_operation = cluster_work.decide_members(
            self.cluster,
            [cluster_reach.Seen(done.pk, done.current_version.pk)],
            cluster_reach.Answer("clean"),
            by=self.people["lena"],
            token=uuid.uuid4(),
        )

    def make_item(self):
        account = make_account(platform=self.platform)
        return make_item(kind=self.kind, account=account)

    def decide(self, person, **kw):
        job = claimed_job(person, queue=self.queue, item=self.make_item())
        return decisions.record_review(
            job.pk, job.claim_token, by=person, verdict="violating", policy_slugs=["spam"], **kw
        )

    def register(self, like):
        model_version = registry.register(
            self.platform,
            registry.load(like),
            kind="trained",
            policy_versions=registry.in_force(self.platform),
            encoder_version=like.encoder,
            snapshot=self.snapshot,
            evaluation={},
            by=None,
        )
        make_evidence(model_version)
        return model_version

    def url(self, route):
        job, decision, held = self.job.pk, self.decision.pk, self.held.pk
        promotion, snapshot = self.promotion.pk, self.snapshot
        platform = self.platform.slug
        arguments = {
            "reviews:review": [self.queue.slug],
            "reviews:review-ahead": [self.queue.slug],
            "reviews:job-let-go": [job],
            "reviews:grid": [self.side_by_side.slug],
            "reviews:grid-answer": [self.side_by_side.slug],
            "reviews:grid-renew": [self.side_by_side.slug],
            "reviews:job-decide": [job],
            "reviews:job-skip": [job],
            "reviews:job-release": [job],
            "reviews:job-renew": [job],
            "reviews:job-evidence": [job],
            "mlhooks:job-similar": [job],
            "mlhooks:job-strongest": [job],
            "reviews:decision-undo": [decision],
            "reviews:decision-override": [decision],
            "reviews:item-detail": [self.job.item_id],
            "reviews:item-text": [self.job.item_id],
            "reviews:item-notes": [self.job.item_id],
            "reviews:note-withdraw": [self.note.pk],
            "reviews:notification": [self.notification.pk],
            "reviews:item-original-file": [self.job.item_id],
            "reviews:medium-figure": [self.medium.pk],
            "reviews:medium": [self.medium.pk, "image"],
            "reviews:job-ask": [job],
            **{
                f"reviews:consultation{deed}": [self.consultation.pk]
                for deed in ("", "-answer", "-looked", "-withdraw")
            },
            **{
                f"reviews:question{deed}": [self.question.pk]
                for deed in ("", "-answer", "-publish", "-withdraw")
            },
            "reviews:queue-detail": [self.queue.slug],
            "reviews:setup-kind-edit": [self.kind.slug],
            "reviews:setup-kind-restore": [self.kind.slug, 1],
            "reviews:setup-kind-archive": [self.kind.slug],
            "reviews:setup-kind-unarchive": [self.kind.slug],
            "reviews:setup-policy-edit": ["spam"],
            "reviews:setup-policy-restore": ["spam", 1],
            "reviews:setup-policy-archive": ["spam"],
            "reviews:setup-policy-unarchive": ["spam"],
            "reviews:setup-policy-version": ["spam"],
            "reviews:setup-policy-version-edit": ["spam", 3],
            "reviews:setup-policy-version-withdraw": ["spam", 3],
            "reviews:setup-policy-version-restore": ["spam", 1],
            "reviews:setup-policy-relabelling": ["spam"],
            "reviews:item-gold": [self.decision.item_id],
            "reviews:draw-create": [self.queue.slug],
            "reviews:draw-detail": [self.draw.pk],
            "reviews:replay-list": [self.queue.slug],
            "reviews:replay-detail": [self.replay.pk],
            "reviews:replay-progress": [self.replay.pk],
            "reviews:replay-cancel": [self.replay.pk],
            "reviews:roster": [self.queue.slug],
            "reviews:forecast-detail": [self.queue.slug],
            "reviews:job-list": [self.queue.slug],
            "reviews:job-change": [self.queue.slug],
            "reviews:operation-list": [self.queue.slug],
            "reviews:operation-undo": [self.operation.pk],
            "reviews:cluster-detail": [self.cluster.pk],
            "reviews:cluster-preview": [self.cluster.pk],
            "reviews:cluster-decide": [self.cluster.pk],
            "reviews:cluster-operation": [self.cluster_operation.pk],
            "reviews:cluster-progress": [self.cluster_operation.pk],
            "reviews:cluster-undo": [self.cluster_operation.pk],
            "reviews:item-reports": [self.job.item_id],
            "reviews:account-detail": [self.job.item.account_id],
            "reviews_api:account": [self.job.item.account.external_id],
            "reviews:policy-detail": ["spam"],
            "reviews:setup-limits": [platform],
            "reviews:setup-limits-restore": [platform, 1],
            "reviews:setup-routing": [platform],
            "reviews:setup-routing-draft": [platform],
            "reviews:setup-routing-rule-new": [platform],
            "reviews:setup-routing-rule-edit": [platform, 1],
            "reviews:setup-routing-check": [platform],
            "reviews:setup-routing-dry-run-create": [platform],
            "reviews:setup-routing-dry-run": [platform, self.dry_run.pk],
            "reviews:setup-routing-publish": [platform],
            "reviews:setup-routing-version": [platform, 1],
            "reviews:setup-routing-put-back": [platform, 1],
            **{
                f"reviews:setup-queue-{deed}": [self.queue.slug]
                for deed in ("edit", "archive", "unarchive")
            },
            "reviews:setup-queue-restore": [self.queue.slug, 1],
            **{
                f"reviews:setup-action-{deed}": ["take-down"]
                for deed in ("edit", "archive", "unarchive")
            },
            "reviews:setup-action-restore": ["take-down", 1],
            **{
                f"reviews:setup-person-{deed}": ["remy"]
                for deed in ("edit", "queues", "deactivate", "reactivate", "remove", "add", "link")
            },
            "reviews:setup-person-restore": ["remy", 1],
            "reviews:enforcement-approve": [held],
            "reviews:enforcement-refuse": [held],
            "mlhooks:snapshot-detail": [snapshot.pk],
            "mlhooks:snapshot-difference": [snapshot.pk],
            "mlhooks:snapshot-row": [self.decision.pk],
            "mlhooks:snapshot-progress": [snapshot.pk],
            "mlhooks:snapshot-file": [snapshot.pk, "manifest.json"],
            "mlhooks:training-create": [snapshot.pk],
            "mlhooks:training-detail": [self.run.pk],
            "mlhooks:training-progress": [self.run.pk],
            "mlhooks:training-cancel": [self.run.pk],
            "mlhooks:rescoring": [self.platform.pk],
            **{
                f"mlhooks:{page}": [self.platform.pk]
                for page in ("round-list", "round-draw", "round-settings")
            },
            "mlhooks:round-detail": [self.round.pk],
            "mlhooks:round-pool": [self.round.pk],
            "mlhooks_api:learning-round": [self.round.pk],
            "mlhooks:model-detail": [self.candidate.pk],
            **{
                f"mlhooks:{page}": [self.candidate.pk]
                for page in ("evidence-detail", "evidence-gather", "gates-progress")
            },
            **{
                f"mlhooks:shadow-{page}": [self.shadowed.pk]
                for page in ("detail", "start", "stop", "draw")
            },
            **{
                f"mlhooks:{page}": [self.platform.pk]
                for page in ("monitoring-run", "monitoring-progress", "alert-bounds")
            },
            "mlhooks:alert-acknowledge": [self.alert.pk],
            "mlhooks:gate-edit": [self.functional_case.policy_id],
            "mlhooks:gate-waive": [promotion],
            "mlhooks:case-add": [self.functional_case.policy_id],
            "mlhooks:case-archive": [self.functional_case.pk],
            "mlhooks:promotion-propose": [self.candidate.pk],
            "mlhooks:roll-back": [self.champion.pk],
            "mlhooks:promotion-approve": [promotion],
            "mlhooks:promotion-withdraw": [promotion],
            **{
                f"reviews:setup-known-{deed}": [self.known_hash.known_list_id]
                for deed in ("detail", "add", "change")
            },
            "reviews:setup-known-remove": [self.known_hash.pk],
            "reviews_api:known-hashes": [self.known_hash.known_list_id],
            "reviews_api:item": [self.job.item_id],
            "reviews_api:medium": [self.medium.pk],
            "reviews_api:notes": [self.job.item_id],
            "mlhooks_api:snapshot": [snapshot.number],
            "mlhooks_api:snapshot-difference": [snapshot.number, snapshot.number],
            "mlhooks_api:snapshot-row": [self.decision.pk],
            "mlhooks_api:snapshot-file": [snapshot.number, "manifest.json"],
            "mlhooks_api:training-run": [self.run.pk],
            "mlhooks_api:model": [self.candidate.number],
            "mlhooks_api:evidence": [self.candidate.number],
            "mlhooks_api:shadow": [self.shadowed.number],
            "mlhooks_api:predict": [self.candidate.number],
            "mlhooks_api:prediction": [self.prediction.pk],
            "mlhooks_api:shadow-draws": [self.shadowed.number],
            "mlhooks:model-try": [self.candidate.pk],
            "mlhooks:try-answer": [self.tried.pk],
            "mlhooks:try-policy": [self.functional_case.policy_id],
        }
        url = reverse(route, args=arguments.get(route, []))
        if route == "reviews:job-change":
            return f"{url}?verb=raise&job={self.waiting.pk}"
        if route == "reviews:item-original-file":
            return f"{url}?field=body"
        if route == "reviews_api:items":
            return f"{url}?kind={self.kind.slug}&external_id={self.job.item.external_id}"
        return url

    def cluster_answer(self):
        """As lena's page of the cluster sends it."""
        shown = [[self.near.pk, self.near.current_version.pk]]
        lena = self.people["lena"].pk
        seen = signing.dumps([self.cluster.pk, lena, shown], salt="cluster-seen", compress=True)
        return {"seen": seen, "item": self.near.pk, "verdict": "clean"}

    def body(self, route):
        """A form (pages) or JSON (API) that makes sense there."""
        item = {"kind": self.kind.slug, "external_id": "new", "content": {"body": "hi"}}
        report = {
            "kind": self.kind.slug,
            "item": self.job.item.external_id,
            "source": "user",
            "reason": "spam",
        }
        rule = {
            "name": "Reported",
            "queue": self.queue.slug,
            "edition": 1,
            "c.sort": "group",
            "c.type": "all",
            "c.0.sort": "expression",
            "c.0.text": "report_count > 2",
        }
        action = {"name": "Take down", "target": "item", "strike_days": "90", "position": "0"}
        return {
            "reviews:job-decide": {"token": self.job.claim_token, "clean": "1"},
            "reviews:job-let-go": {"token": self.job.claim_token},
            "reviews:grid-answer": {"do": "back"},
            "reviews:job-skip": {"token": self.job.claim_token},
            "reviews:job-release": {"token": self.job.claim_token},
            "reviews:job-renew": {"token": self.job.claim_token},
            "reviews:decision-override": {"verdict": "clean", "clean": "1", "note": "satire"},
            "reviews:job-change": {
                "verb": "raise",
                "job": self.waiting.pk,
                "token": str(uuid.uuid4()),
            },
            "reviews:cluster-preview": self.cluster_answer(),
            "reviews:cluster-decide": {**self.cluster_answer(), "token": str(uuid.uuid4())},
            "reviews:job-ask": {"token": self.job.claim_token, "text": "Do you know it?"},
            "reviews:consultation-answer": {"opinion": "clean"},
            "reviews:question-new": {"policy": "spam", "text": "And newsletters?"},
            "reviews:question-answer": {"text": "Satire is fine."},
            "reviews:item-notes": {"text": "Known since last week."},
            "reviews:own-break": {"minutes": "5"},
            "reviews:setup-limits": limits.read(self.platform) | {"budgets": "", "harms": ""},
            "reviews:reading": {"theme": "dark"},
            "reviews:own-filters": {"filter_blur": "on", "reveal": "hold", "strength": "3"},
            "reviews:setup-routing-draft": {"do": "toggle:0", "edition": 1},
            "reviews:setup-routing-rule-new": rule | {"name": "Another"},
            "reviews:setup-routing-rule-edit": rule | {"was": "Reported"},
            "reviews:setup-routing-check": {"path": "c.0", "c.0.text": "true"},
            "reviews:setup-routing-dry-run-create": {"days": 7},
            "reviews:setup-routing-publish": {"edition": 1},
            "mlhooks:round-settings": {
                "is_on": "on",
                "strategy": "risk",
                "every_hours": "12",
                "size": "50",
            },
            "reviews:setup-action-new": {**action, "slug": "hide", "name": "Hide"},
            "reviews:setup-action-edit": action,
            "reviews:setup-person-new": {"username": "nora", "roles": "reviewer"},
            "reviews:setup-person-edit": {"email": "remy@example.org", "roles": "reviewer"},
            "reviews:setup-person-queues": {"queues": [self.queue.slug]},
            "reviews:setup-kind-new": {"slug": "post", **_kind_form()},
            "reviews:setup-kind-edit": _kind_form(self.kind),
            "reviews:setup-policy-new": {"slug": "hate", "name": "Hate", **_version_form()},
            "reviews:setup-policy-edit": {"name": "Spam", "key": "2", "position": "2"},
            "reviews:setup-policy-version": _version_form(),
            "reviews:setup-policy-version-edit": _version_form(when="later", at="2030-01-01T09:00"),
            "reviews:setup-policy-relabelling": {"number": "1"},
            "reviews:draw-create": {"lane": "gold", "strategy": "certainty", "expected": "1"},
            "reviews:replay-list": {"days": "7", "seed": "1", "staff": "worked"},
            "reviews:roster": {"weekday": "0", "starts": "9", "ends": "17", "headcount": "2"},
            "mlhooks:snapshot-create": {"platform": self.platform.slug},
            "mlhooks:promotion-propose": {"reason": "better"},
            "mlhooks:alert-acknowledge": {"note": "A new campaign."},
            "mlhooks:alert-bounds": {
                f"{name}-{end}": getattr(drift.BOUNDS[name], end)
                for name in drift.PER_PLATFORM
                for end in ("opens", "closes")
            },
            "mlhooks:shadow-draw": {"queue": self.queue.slug, "expected": "5"},
            "mlhooks:gate-edit": {name: str(gate.bound) for name, gate in gates.GATES.items()},
            "mlhooks:gate-waive": {"waiver": "The old one leaks."},
            "mlhooks:case-add": {"functionality": "plain", "text": "Buy!", "answer": "violating"},
            "reviews_api:items": item,
            "reviews_api:notes": {"text": "From the trusted flagger."},
            "reviews_api:notifications-read": {"upto": 1},
            "reviews_api:reports": report,
            "reviews_api:media": {"file": SimpleUploadedFile("a.png", b"a picture")},
            "mlhooks_api:training-runs": {"snapshot": self.snapshot.number},
            "mlhooks_api:predict": {"texts": ["Win a prize"]},
            "mlhooks_api:round-settings": {"size": 40},
            "mlhooks_api:shadow-draws": {"queue": self.queue.slug, "expected": 5},
            "mlhooks:model-try": {"text": "Win a prize"},
            "reviews:setup-known-new": {
                "policy": str(self.known_hash.known_list.policy_id),
                "name": "N",
                "distance": "20",
            },
            "reviews:setup-known-add": {"file": SimpleUploadedFile("h.csv", b"12" * 32)},
            "reviews:setup-known-change": {"distance": "12"},
            "reviews_api:known-hashes": {"hashes": [{"hash": "ab" * 32}]},
        }.get(route, {})


def _kind_form(kind=None):
    fields = kind.fields if kind else [{"name": "body", "type": "text", "role": "text"}]
    form = {"name": "Renamed", "is_own": "0"}
    for n, field in enumerate(fields):
        form |= {f"f-{n}-{name}": field.get(name, "") for name in ("name", "label", "type", "role")}
        if field.get("required"):
            form[f"f-{n}-required"] = "on"
    return form


def _version_form(**more):
    return {
        "summary": "In a line.",
        "definition": "At length.",
        "severity": "2",
        "severity_weight": "3",
        "position": "0",
        **more,
    }


@pytest.fixture
def world(settings, tmp_path):
    settings.SNAPSHOT_DIR, settings.MODEL_DIR = tmp_path / "snapshots", tmp_path / "models"
    return World()


def client_of(person=None):
    client = Client(raise_request_exception=False)
    if person is not None:
        client.force_login(person, backend=settings.AUTHENTICATION_BACKENDS[0])
    return client


def ask(client, world, route, method, **headers):
    """The status, with everything undone again."""
    url, is_api = world.url(route), "_api:" in route
    body = world.body(route) if method in ("POST", "PATCH") else {}
    is_json = is_api and method in ("POST", "PATCH") and route != "reviews_api:media"
    kind = {"content_type": "application/json"} if is_json else {}
    with transaction.atomic():
        response = getattr(client, method.lower())(url, body, headers=headers, **kind)
        if getattr(response, "streaming", False):
            response.text_sent = b"".join(response.streaming_content)
        transaction.set_rollback(True)
    return response


def test_every_action_of_every_role_is_in_the_table():
    table = {verb: set(roles.split()) for verb, roles in GRANTED.items()}
    assert {verb: set(grant.roles) for verb, grant in access.GRANTS.items()} == table


def test_every_scope_is_in_the_table():
    assert {v: grant.scope for v, grant in access.GRANTS.items() if grant.scope} == SCOPED


@pytest.mark.parametrize("name", CAST)
def test_a_person_may_what_her_role_may_and_no_more(name):
    person = make_person(name)
    allowed = {verb for verb in GRANTED if access.may(person, verb)}
    assert allowed == {verb for verb, roles in GRANTED.items() if CAST[name] in roles.split()}


def test_who_has_not_signed_in_may_nothing():
    assert not any(access.may(AnonymousUser(), verb) for verb in GRANTED)


def test_who_has_left_may_nothing():
    ada = make_person("ada")
    ada.is_active = False
    assert not any(access.may(ada, verb) for verb in GRANTED)


def test_a_django_superuser_has_no_way_round_the_table():
    otto = make_person("otto")
    otto.is_superuser = otto.is_staff = True
    assert not any(access.may(otto, verb) for verb in GRANTED)


def test_a_token_may_what_its_scopes_may_whatever_roles_its_person_has():
    ada = make_person("ada")
    for scope in access.SCOPES:
        ada.token = type("Token", (), {"scopes": [scope]})()
        assert {v for v in GRANTED if access.may(ada, v)} == {
            verb for verb, needed in SCOPED.items() if needed == scope
        }


@pytest.mark.parametrize("verb", GRANTED)
def test_a_person_of_another_platform_is_told_there_is_nothing(verb):
    platform = make_platform()
    for name, role in CAST.items():
        refusal = NotFound if role in GRANTED[verb].split() else Forbidden
        with pytest.raises(refusal):
            access.check(make_person(name), verb, platform)


def test_roles_are_what_the_code_says():
    assert set(Role.values) == set(ALL_STAFF.split())


def test_every_route_is_in_the_table():
    assert routes() == set(ROUTES)


def test_each_route_answers_those_it_should_and_nobody_else(world):
    people = {name: client_of(person) for name, person in world.people.items()}
    people["anonymous"] = client_of()
    wrong = []
    for route, methods in ROUTES.items():
        for method, names in methods.items():
            answered, _, let_in = names.partition("|")
            for name, client in people.items():
                response = ask(client, world, route, method)
                expected = _expected(name, answered.split(), let_in.split(), route)
                if not expected(response):
                    wrong.append(f"{method} {route} by {name}: {response.status_code}")
    assert not wrong, "\n".join(wrong)


def _expected(name, answered, let_in, route):
    if name in answered:
        # readyz says 503 where no worker runs: an answer.
        return lambda r: r.status_code < 400 and not _asks_to_sign_in(r) or route == "readyz"
    if name in let_in:
        return lambda r: r.status_code in (409, 422)
    if name == "anonymous":
        return lambda r: _asks_to_sign_in(r) or r.status_code in (401, 403)
    return lambda r: r.status_code in (403, 404)


def _asks_to_sign_in(response):
    return response.status_code == 302 and response["Location"].startswith("/accounts/login/")


def test_a_method_that_is_not_in_the_table_does_nothing(world):
    """Asked for by one who may open the route by another: nothing but the method is against it."""
    clients = {name: client_of(person) for name, person in world.people.items()}
    clients["anonymous"] = client_of()
    wrong = []
    for route, methods in ROUTES.items():
        asker = clients[next(iter(methods.values())).replace("|", " ").split()[0]]
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - set(methods):
            status = ask(asker, world, route, method).status_code
            if status not in (403, 404, 405):
                wrong.append(f"{method} {route}: {status}")
    assert not wrong, "\n".join(wrong)


def test_nothing_of_another_platform_can_be_reached(world):
    elsewhere = make_platform()
    for person in world.people.values():
        person.platforms.set([elsewhere])
        person.queues.clear()
    clients = {name: client_of(person) for name, person in world.people.items()}
    wrong = []
    for route, methods in ROUTES.items():
        names_something = world.url(route) != world.url("reviews:home") and any(
            part.isdigit() or part in (world.queue.slug, "spam", "take-down")
            for part in world.url(route).split("/")
        )
        if not names_something:
            continue
        for method, names in methods.items():
            for name in names.replace("|", " ").split():
                status = ask(clients[name], world, route, method).status_code
                if status != 404:
                    wrong.append(f"{method} {route} by {name}: {status}")
    assert not wrong, "\n".join(wrong)


def test_lists_show_nothing_of_another_platform(world):
    elsewhere = make_platform()
    policy = world.queue.policies.get().name
    secrets = [world.queue.name, world.job.item.external_id, policy, "manifest", world.kind.slug]
    for person in world.people.values():
        person.platforms.set([elsewhere])
        person.queues.clear()
    clients = {name: client_of(person) for name, person in world.people.items()}
    clients["anonymous"] = client_of()
    for route, methods in ROUTES.items():
        if "GET" not in methods or world.url(route).count("/") > 4 or route in OWN_BUSINESS:
            continue
        for name in methods["GET"].replace("|", " ").split():
            response = ask(clients[name], world, route, "GET")
            if response.status_code != 200 or response.streaming or route.endswith("schema"):
                continue
            text = response.content.decode()
            assert not [secret for secret in secrets if secret in text], f"{route} by {name}"


def test_a_token_reaches_what_its_scope_names_and_nothing_else(world):
    """Each API route with every single scope in turn."""
    needed = {
        ("reviews_api:items", "POST"): "items:write",
        ("reviews_api:items", "GET"): "items:read",
        ("reviews_api:item", "GET"): "items:read",
        ("reviews_api:account", "GET"): "items:read",
        ("reviews_api:media", "POST"): "items:write",
        ("reviews_api:medium", "GET"): "items:write",
        ("reviews_api:notes", "GET"): "notes:read",
        ("reviews_api:notes", "POST"): "notes:write",
        ("reviews_api:questions", "GET"): "policies:read",
        ("reviews_api:item-search", "GET"): "items:read",
        ("reviews_api:reports", "POST"): "reports:write",
        ("reviews_api:decisions", "GET"): "decisions:read",
        ("reviews_api:queues", "GET"): "queues:read",
        ("reviews_api:kinds", "GET"): "items:write",
        ("reviews_api:policies", "GET"): "policies:read",
        ("reviews_api:routing", "GET"): "queues:read",
        ("mlhooks_api:snapshot-dry-run", "GET"): "snapshots:read",
        ("mlhooks_api:snapshot-difference", "GET"): "snapshots:read",
        ("mlhooks_api:snapshot-row", "GET"): "snapshots:read",
        ("reviews_api:known-lists", "GET"): "policies:read",
        ("reviews_api:known-hashes", "POST"): "known:write",
        ("mlhooks_api:snapshots", "GET"): "snapshots:read",
        ("mlhooks_api:snapshots", "POST"): "snapshots:write",
        ("mlhooks_api:snapshot", "GET"): "snapshots:read",
        ("mlhooks_api:snapshot-file", "GET"): "snapshots:read",
        ("mlhooks_api:training-runs", "GET"): "models:read",
        ("mlhooks_api:training-runs", "POST"): "models:write",
        ("mlhooks_api:training-run", "GET"): "models:read",
        ("mlhooks_api:models", "GET"): "models:read",
        ("mlhooks_api:model", "GET"): "models:read",
        ("mlhooks_api:evidence", "GET"): "models:read",
        ("mlhooks_api:evidence", "POST"): "models:write",
        ("mlhooks_api:monitoring", "GET"): "models:read",
        ("mlhooks_api:monitoring", "POST"): "models:write",
        ("mlhooks_api:shadow", "GET"): "models:read",
        ("mlhooks_api:shadow", "POST"): "models:write",
        ("mlhooks_api:shadow", "DELETE"): "models:write",
        ("mlhooks_api:learning-rounds", "GET"): "models:read",
        ("mlhooks_api:learning-rounds", "POST"): "models:write",
        ("mlhooks_api:learning-round", "GET"): "models:read",
        ("mlhooks_api:learning-curve", "GET"): "models:read",
        ("mlhooks_api:predict", "POST"): "models:write",
        ("mlhooks_api:prediction", "GET"): "models:write",
        ("mlhooks_api:round-settings", "GET"): "models:read",
        ("mlhooks_api:round-settings", "PATCH"): "models:write",
        ("mlhooks_api:shadow-draws", "POST"): "models:write",
    }
    listed = {(r, m) for r, methods in ROUTES.items() for m in methods if "_api:" in r}
    for_people = {
        ("reviews_api:schema", "GET"),
        ("reviews_api:notifications", "GET"),
        ("reviews_api:notifications-read", "POST"),
    }
    assert listed - for_people == set(needed)
    texts = {
        scope: tokens.create_token(scope, platform=world.platform, scopes=[scope], by=None)[1]
        for scope in access.SCOPES
    }
    wrong = []
    for (route, method), scope in needed.items():
        for held, text in texts.items():
            response = ask(client_of(), world, route, method, authorization=f"Bearer {text}")
            is_let_in = response.status_code < 300 or response.status_code in (409, 422)
            is_right = is_let_in if held == scope else response.status_code == 403
            if not is_right:
                wrong.append(f"{method} {route} with {held}: {response.status_code}")
    assert not wrong, "\n".join(wrong)


def test_a_service_refuses_with_a_sentence(world):
    with pytest.raises(DomainError, match="It takes: Lead"):
        decisions.override(world.decision, by=world.people["rosa"], verdict="clean", note="n")


def test_an_undo_window_that_closed_is_no_matter_of_rights(world):
    """409, not 403: she might have, a minute earlier."""
    late = world.decision.undo_until + timedelta(days=1)
    assert not world.decision.can_be_undone(late)
