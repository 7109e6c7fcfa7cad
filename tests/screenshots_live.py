"""Pictures of models on live traffic: in the shadow, watched, and out of bounds.

Beside screenshots_models.py, on a world of its own: figures are worked out from drawn scores by the
code that works them out in the product.
"""

from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from mlhooks import (
    alerts,
    drift,
    evaluation,
    heads,
    monitoring,
    promotions,
    rates,
    registry,
    shadows,
)
from mlhooks.models import Disagreement, Monitoring, ShadowScore
from reviews import claims, decisions
from reviews.models import Draw, Job
from tests.factories import (
    make_evidence,
    make_item,
    make_job,
    make_platform,
    make_policy,
    make_queue,
)
from tests.people import CAST, make_person
from tests.pictures import Camera

POLICIES = [("spam", "Spam and scams", 0.22), ("adult", "Adult services", 0.06)]
DAYS = 12


class Live:
    """A champion, a shadow of another mind, a month of looks, and two alerts."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(7)
        self.platform = platform = make_platform(slug="harbour", name="Harbour")
        self.people = {name: make_person(name, platform=platform) for name in CAST}
        self.policies = [
            make_policy(platform=platform, slug=slug, name=name, key=str(place), position=place)
            for place, (slug, name, _rate) in enumerate(POLICIES, start=1)
        ]
        self.queue = make_queue(platform=platform, policies=self.policies, name="Mail")
        self.queue.members.add(self.people["rosa"])
        self.champion, self.shadow, self.candidate = (self._model() for _ in range(3))
        make_evidence(self.champion)
        promotion = promotions.propose(self.champion, by=self.people["mila"], reason="Better.")
        promotions.approve(promotion, by=self.people["paul"])
        shadows.start(self.shadow, by=self.people["mila"])
        self._scores()
        self._disagreements()
        self._looks()

    def _model(self):
        slugs = [slug for slug, *_ in POLICIES]
        near, away = self.rng.normal(size=(2, len(slugs), 2, 8)).astype(np.float32)
        return registry.register(
            self.platform,
            heads.ZeroShot(slugs, [*near], [*away]),
            kind="trained",
            policy_versions=registry.in_force(self.platform),
            encoder_version="potion-base-8M@d7dcbd8/fp32",
            snapshot=None,
            evaluation=self._measured(slugs),
            by=None,
        )

    def _measured(self, slugs) -> dict:
        truth = (self.rng.random(400) < 0.3).astype(float)
        said = 1 / (1 + np.exp(-(2 * truth - 1 + self.rng.normal(size=400))))
        report = evaluation.report(truth, said, threshold=0.4, rng=np.random.default_rng(1))
        return {"candidate": dict.fromkeys(slugs, report), "champion": {}, "test_rows": 400}

    def _scores(self) -> None:
        rows, now = [], timezone.now()
        for n in range(260):
            item = make_item(platform=self.platform, title=f"Item {n}")
            if n >= 200:
                make_job(queue=self.queue, item=item)
            for policy, (_slug, _name, rate) in zip(self.policies, POLICIES, strict=True):
                logit = np.log(rate / (1 - rate)) + self.rng.normal() * 1.6
                mine, theirs = 1 / (1 + np.exp(-(logit + self.rng.normal(size=2) * 0.7)))
                rows.append(
                    ShadowScore(
                        item_version=item.current_version,
                        model_version=self.shadow,
                        policy=policy,
                        probability=mine,
                        beside=self.champion,
                        beside_probability=theirs,
                    )
                )
        made = ShadowScore.objects.bulk_create(rows)
        for n, row in enumerate(made):
            row.created_at = now - timedelta(days=DAYS * (1 - n / len(made)))
        ShadowScore.objects.bulk_update(made, ["created_at"])

    def _disagreements(self) -> None:
        mila, rosa = self.people["mila"], self.people["rosa"]
        shadows.draw_disagreements(self.shadow, self.queue, expected=9, by=mila)
        flags = dict(Disagreement.objects.values_list("job", "flags"))
        for job in list(Job.objects.filter(lane="learning").order_by("pk")[:6]):
            Job.objects.filter(pk=job.pk).update(assigned_to=rosa)
            held = claims.claim_next(self.queue, by=rosa)
            is_bad = flags[job.pk] if self.rng.random() < 0.7 else not flags[job.pk]
            decisions.record_review(
                held.pk,
                held.claim_token,
                by=rosa,
                verdict="violating" if is_bad else "clean",
                policy_slugs=["spam"] if is_bad else [],
                active_seconds=3,
            )

    def _looks(self) -> None:
        now = timezone.now()
        for day in range(20, -1, -1):
            figures = self._figures(1 - day / 20)
            look = Monitoring.objects.create(
                platform=self.platform,
                champion=self.champion,
                state=Monitoring.State.READY,
                figures=figures,
                finished_at=now - timedelta(days=day),
            )
            alerts.judge(look, monitoring.values_of(figures))
        alert = self.platform.alerts.filter(closed_at=None).first()
        alerts.acknowledge(
            alert, by=self.people["mila"], note="A wave of crypto offers; retraining."
        )

    def _figures(self, moved: float) -> dict:
        label, rng = self.champion.label, self.rng
        figures: dict = {
            "days": 28,
            "labels": 0,
            "cells": [],
            "policies": {},
            "items": [2000, 2000],
        }
        for slug, _name, rate in POLICIES:
            p = rng.beta(1, 1 / rate, 500 if slug == "spam" else 30)
            truth = rng.random(p.size) < p * (1 + moved)
            for language, part in (("en", slice(0, None, 2)), ("de", slice(1, None, 2))):
                band = drift.band_of(p[part])
                for number in sorted(set(band.tolist())):
                    own = band == number
                    weights = np.full(own.sum(), 10.0)
                    sums = rates.sums(truth[part][own], weights=weights)
                    promised = float((weights * p[part][own]).sum())
                    figures["cells"].append([slug, label, language, number, list(sums), promised])
            figures["labels"] += p.size
            look = Monitoring(figures=figures)
            cells = monitoring.cells_of(look)
            agreed = rates.rate((p >= 0.4) == truth)
            is_enough = p.size >= drift.LEAST_LABELS
            psi = drift.psi_of_values(
                rng.normal(size=2000), rng.normal(0.55 * moved if slug == "spam" else 0, size=2000)
            )
            figures["policies"][slug] = {
                "calibration": monitoring._calibration(cells, slug, self.champion),
                "agreement": {**agreed._asdict(), "kappa": 0.61}
                if is_enough
                else {"value": None, "n": p.size},
                "score": psi._asdict(),
            }
        lengths = rng.lognormal(5, 1, (2, 2000))
        figures["length"] = drift.psi_of_values(
            lengths[0], lengths[1] * (1 + 0.4 * moved)
        )._asdict()
        now = ["en"] * int(1500 - 900 * moved) + ["de"] * int(500 + 900 * moved)
        figures["language"] = drift.psi_of_categories(["en"] * 1500 + ["de"] * 500, now)._asdict()
        return figures


@pytest.fixture
def live(live_app, settings, tmp_path):
    return Live()


def test_pictures_of_models_on_live_traffic(live, live_app, new_page, sign_in):
    assert Draw.objects.filter(strategy="poisson_disagreement").exists()
    camera = Camera(live_app, new_page, sign_in)
    camera.take(
        live.people["mila"],
        {
            "live-home-engineer": "/",
            "live-model-shadow": f"/ml/models/{live.shadow.pk}/",
            "live-model-candidate": f"/ml/models/{live.candidate.pk}/",
            "live-shadow": f"/ml/models/{live.shadow.pk}/shadow/",
            "live-shadow-none": f"/ml/models/{live.candidate.pk}/shadow/",
            "live-monitoring": "/ml/monitoring/",
            "live-bounds": f"/ml/monitoring/{live.platform.pk}/bounds/",
        },
        contrast=("live-monitoring",),
    )
    Monitoring.objects.filter(platform=live.platform).update(platform=make_platform())
    live.platform.alerts.update(closed_at=timezone.now())
    camera.take(live.people["abel"], {"live-monitoring-empty": "/ml/monitoring/"})
    assert camera.too_wide == []
