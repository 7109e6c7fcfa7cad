"""Pictures of the model side: snapshots, training runs, models, each in every state.

Beside screenshots.py, on a world of its own: figures are worked out from drawn scores by the code
that works them out after a training.
"""

from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from mlhooks import evaluation, functional, heads, promotions, registry, snapshots
from mlhooks.models import DueScore, ModelVersion, RoundSettings, Snapshot, TrainingRun
from tests.factories import (
    make_evidence,
    make_item,
    make_job,
    make_learning_curve,
    make_platform,
    make_policy,
    make_queue,
    make_round,
)
from tests.people import CAST, make_person
from tests.pictures import Camera
from tests.test_ml_pages import EVIDENCE
from tests.test_snapshots import decide, group_in

POLICIES = [
    ("phishing", "Phishing and credential theft", 2.6, 0.06),
    ("spam", "Spam and scams", 1.9, 0.31),
    ("adult", "Adult services", 1.1, 0.04),
    ("weapons", "Weapons", 0.0, 0.0),
]


class Workshop:
    """A platform with three snapshots, runs in every state, and a promotion that waits."""

    def __init__(self) -> None:
        self.platform = platform = make_platform(slug="harbour", name="Harbour")
        self.people = {name: make_person(name, platform=platform) for name in CAST}
        policies = [
            make_policy(platform=platform, slug=slug, name=name, key=str(place), position=place)
            for place, (slug, name, *_) in enumerate(POLICIES, start=1)
        ]
        platform.queue = make_queue(platform=platform, policies=policies, name="Mail")
        platform.rosa = self.people["rosa"]
        for n, split in enumerate(["train"] * 40 + ["valid"] * 8 + ["test"] * 8):
            item = make_item(platform=platform, split_group=group_in(split))
            violated = [policies[n % 3].slug] if n % 2 else []
            decide(platform, violated=violated, item=item, lane="random" if n % 5 == 0 else "risk")
        for n in range(3):
            make_job(queue=platform.queue, item=make_item(platform=platform, title=f"Waits {n}"))
        self.snapshot = self._snapshot("weekly", is_built=True)
        self.building = self._snapshot("before the new policy", state="building", rows_done=12)
        self.failed = self._snapshot("", state="failed", error="The disk is full.")
        self._models()
        functional.add_demo_cases(platform)
        self.waiting_run = self._run("running", step="Training", fraction=0.62, history=losses(9))
        self.failed_run = self._run("failed", error="The snapshot has no test rows.")
        self.stopped_run = self._run("cancelled", finished_at=timezone.now())
        self.queued_run = self._run("waiting", kind="few-shot")
        waiting = make_item(platform=platform, title="Waits for a score")
        DueScore.objects.get_or_create(item_version=waiting.current_version)

    def _snapshot(self, note, *, is_built=False, **values) -> Snapshot:
        made = snapshots.create_snapshot(self.platform, by=self.people["mila"], note=note)
        if is_built:
            snapshots.build(made.pk)
        Snapshot.objects.filter(pk=made.pk).update(**values) if values else None
        made.refresh_from_db()
        return made

    def _run(self, state, *, kind="trained", **values) -> TrainingRun:
        return TrainingRun.objects.create(
            platform=self.platform,
            snapshot=self.snapshot,
            kind=kind,
            seed=7,
            state=state,
            created_by=self.people["mila"],
            **values,
        )

    def _models(self) -> None:
        slugs = [slug for slug, *_ in POLICIES]
        near, away = np.random.default_rng(0).normal(size=(2, 4, 2, 8)).astype(np.float32)
        head = heads.ZeroShot(slugs, [*near], [*away])
        common = {
            "policy_versions": registry.in_force(self.platform),
            "encoder_version": "potion-base-8M@d7dcbd8/fp32",
            "by": None,
        }
        self.first = registry.register(
            self.platform, head, kind="zero-shot", snapshot=None, evaluation={}, **common
        )
        self._promote(self.first)
        older = registry.register(
            self.platform,
            head,
            kind="few-shot",
            snapshot=self.snapshot,
            evaluation=measured(0.6, self.first),
            **common,
        )
        self.champion = older
        self._promote(older)
        self.candidate = registry.register(
            self.platform,
            head,
            kind="trained",
            snapshot=self.snapshot,
            evaluation=measured(1.0, older),
            **common,
        )
        now = timezone.now()
        self.run = self._run(
            "done", model_version=self.candidate, finished_at=now, history=losses(20)
        )
        another = registry.register(
            self.platform,
            head,
            kind="trained",
            snapshot=self.snapshot,
            evaluation=measured(0.9, older),
            **common,
        )
        self.proposed = another
        make_evidence(another, spam=EVIDENCE)
        make_evidence(self.candidate, spam=EVIDENCE)
        promotions.propose(another, by=self.people["mila"], reason="AUPRC .81 against .62 on spam.")
        ModelVersion.objects.filter(pk=self.first.pk).update(created_at=now - timedelta(days=40))

    def _promote(self, version) -> None:
        make_evidence(version, spam=EVIDENCE)
        promotion = promotions.propose(
            version, by=self.people["mila"], reason="Better on all three."
        )
        promotions.approve(promotion, by=self.people["paul"])

    def add_rounds(self) -> None:
        """Rounds in every state, on a schedule, and the curve of the snapshot."""
        mila = self.people["mila"]
        RoundSettings.objects.create(
            platform=self.platform,
            is_on=True,
            size=200,
            next_at=timezone.now() + timedelta(hours=3),
            changed_by=mila,
        )
        self.round = make_round(
            self.platform, created_by=mila, size=80, model_version=self.champion
        )
        make_round(self.platform, is_scheduled=True, strategy="anchor", model_version=self.champion)
        none = dict.fromkeys(("pool_size", "expected", "drawn", "known"))
        make_round(self.platform, state="failed", error="There is no champion any more.", **none)
        make_round(self.platform, state="running", step="Working out chances", **none)
        points = {
            "phishing": ((0.1, 0.12, 0.2, 0.3, 0.38, 0.47), (0.1, 0.1, 0.12, 0.15, 0.2, 0.33)),
            "spam": ((0.4, 0.5, 0.6, 0.68, 0.72, 0.78), (0.4, 0.48, 0.6, 0.66, 0.7, 0.77)),
        }
        make_learning_curve(self.snapshot, **{slug: learnt(*both) for slug, both in points.items()})


def learnt(learning: tuple[float, ...], random: tuple[float, ...]) -> dict:
    """What curves.py keeps of one policy."""
    arms = {
        arm: [
            {"auprc": value, "interval": [0.7 * value, 1.2 * value], "violations": n * n}
            for n, value in enumerate(values)
        ]
        for arm, values in (("learning", learning), ("random", random))
    }
    gap = learning[-1] - random[-1]
    return {
        "n": 1400,
        "positives": 84,
        "of": "random lane",
        "labels": [0, 16, 37, 86, 199, 460],
        "arms": arms,
        "difference": {"value": gap, "interval": [gap - 0.06, gap + 0.08]},
        "area_ratio": 1.5,
    }


def measured(strength: float, champion: ModelVersion) -> dict:
    """What a training writes, for scores that part the classes by `strength`."""
    rng = np.random.default_rng(3)
    found = {"candidate": {}, "champion": {}}
    for slug, _, distance, rate in POLICIES:
        labels = (rng.random(1400) < rate).astype(float)
        for who, share in (("candidate", strength), ("champion", 0.45)):
            logits = rng.normal(size=1400) + share * distance * (2 * labels - 1) - 1.2
            found[who][slug] = evaluation.report(
                labels, 1 / (1 + np.exp(-logits)), threshold=0.4, rng=np.random.default_rng(1)
            )
        found["candidate"][slug]["answered_by"] = "trained" if rate else "zero-shot"
    return {**found, "test_rows": 1400, "champion_label": champion.label}


def losses(epochs: int) -> list[dict]:
    return [
        {
            "policy": slug,
            "epoch": epoch,
            "train_loss": 0.2 + 0.5 / epoch,
            "valid_loss": 0.1 * place + 0.62 / epoch**0.5,
        }
        for place, (slug, *_) in enumerate(POLICIES[:3], start=1)
        for epoch in range(1, epochs + 1)
    ]


@pytest.fixture
def workshop(live_app):
    return Workshop()


def test_pictures_of_models(workshop, live_app, new_page, sign_in):
    camera = Camera(live_app, new_page, sign_in)
    camera.take(workshop.people["mila"], {"learning-empty": "/ml/learning/"})
    workshop.add_rounds()
    camera.take(
        workshop.people["mila"],
        {
            "models-home-engineer": "/",
            "models": "/ml/models/",
            "model": f"/ml/models/{workshop.candidate.pk}/",
            "model-champion": f"/ml/models/{workshop.champion.pk}/",
            "model-zero-shot": f"/ml/models/{workshop.first.pk}/",
            "model-proposed": f"/ml/models/{workshop.proposed.pk}/",
            "learning": "/ml/learning/",
            "round": f"/ml/learning/rounds/{workshop.round.pk}/",
            "evidence": f"/ml/models/{workshop.candidate.pk}/evidence/",
            "snapshots": "/ml/snapshots/",
            "snapshot": f"/ml/snapshots/{workshop.snapshot.pk}/",
            "snapshot-building": f"/ml/snapshots/{workshop.building.pk}/",
            "snapshot-failed": f"/ml/snapshots/{workshop.failed.pk}/",
            "training": f"/ml/training/{workshop.run.pk}/",
            "training-running": f"/ml/training/{workshop.waiting_run.pk}/",
            "training-failed": f"/ml/training/{workshop.failed_run.pk}/",
            "training-stopped": f"/ml/training/{workshop.stopped_run.pk}/",
            "training-waiting": f"/ml/training/{workshop.queued_run.pk}/",
        },
        contrast=("models", "model", "snapshot"),
    )
    camera.take(
        workshop.people["paul"],
        {
            "gates": "/ml/models/gates/",
            "functional-cases": "/ml/models/cases/?policy=spam",
            "model-to-approve": f"/ml/models/{workshop.proposed.pk}/",
            "snapshot-owner": f"/ml/snapshots/{workshop.snapshot.pk}/",
        },
    )
    assert camera.too_wide == []
