"""The model side's rows: snapshots, model versions, scores."""

from .evidence import Evidence, FunctionalCase, GateBounds
from .scores import DueNeighbour, DueScore, Embedding, NearVector, Score, StrongSpans
from .snapshots import Snapshot
from .versions import ModelVersion, Promotion, TrainingRun

__all__ = [
    "DueNeighbour",
    "DueScore",
    "Embedding",
    "Evidence",
    "FunctionalCase",
    "GateBounds",
    "ModelVersion",
    "NearVector",
    "Promotion",
    "Score",
    "Snapshot",
    "StrongSpans",
    "TrainingRun",
]
