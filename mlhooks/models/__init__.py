"""The model side's rows: snapshots, model versions, scores."""

from .evidence import Evidence, FunctionalCase, GateBounds
from .monitoring import Alert, AlertBounds, AlertDelivery, Monitoring
from .predictions import Prediction
from .rounds import LearningCurve, LearningRound, RoundPool, RoundSettings
from .scores import (
    AnsweredPolicies,
    DueNeighbour,
    DueScore,
    Embedding,
    NearVector,
    Score,
    StrongSpans,
)
from .shadows import Disagreement, Shadow, ShadowScore
from .snapshots import Snapshot
from .versions import ModelVersion, Promotion, TrainingRun

__all__ = [
    "Alert",
    "AlertBounds",
    "AlertDelivery",
    "Disagreement",
    "AnsweredPolicies",
    "DueNeighbour",
    "DueScore",
    "Embedding",
    "Evidence",
    "FunctionalCase",
    "GateBounds",
    "LearningCurve",
    "LearningRound",
    "ModelVersion",
    "Monitoring",
    "NearVector",
    "Prediction",
    "Promotion",
    "RoundPool",
    "RoundSettings",
    "Score",
    "Shadow",
    "ShadowScore",
    "Snapshot",
    "StrongSpans",
    "TrainingRun",
]
