"""API routes of the model side. Each view names its verb of access.py."""

from django.urls import path

from .datasets import DifferenceView, RowView
from .learning import (
    LearningCurveView,
    LearningRoundsView,
    LearningRoundView,
    RoundSettingsView,
)
from .models import (
    EvidenceView,
    ModelsView,
    ModelView,
    PredictionView,
    PredictView,
    TrainingRunsView,
    TrainingRunView,
)
from .monitoring import MonitoringView
from .shadows import DisagreementsView, ShadowView
from .snapshots import DryRunView, SnapshotFileView, SnapshotsView, SnapshotView

urlpatterns = [
    path("snapshots", SnapshotsView.as_view(), name="snapshots"),
    path("snapshots/dry-run", DryRunView.as_view(), name="snapshot-dry-run"),
    path("snapshots/rows/<int:decision_id>", RowView.as_view(), name="snapshot-row"),
    path(
        "snapshots/<int:number>/diff/<int:other>",
        DifferenceView.as_view(),
        name="snapshot-difference",
    ),
    path("snapshots/<int:number>", SnapshotView.as_view(), name="snapshot"),
    path(
        "snapshots/<int:number>/files/<str:name>",
        SnapshotFileView.as_view(),
        name="snapshot-file",
    ),
    path("training-runs", TrainingRunsView.as_view(), name="training-runs"),
    path("training-runs/<int:pk>", TrainingRunView.as_view(), name="training-run"),
    path("learning-rounds", LearningRoundsView.as_view(), name="learning-rounds"),
    path("learning-rounds/settings", RoundSettingsView.as_view(), name="round-settings"),
    path("learning-rounds/<int:pk>", LearningRoundView.as_view(), name="learning-round"),
    path("learning-curve", LearningCurveView.as_view(), name="learning-curve"),
    path("models", ModelsView.as_view(), name="models"),
    path("models/<int:number>", ModelView.as_view(), name="model"),
    path("models/<int:number>/evidence", EvidenceView.as_view(), name="evidence"),
    path("monitoring", MonitoringView.as_view(), name="monitoring"),
    path("models/<int:number>/shadow", ShadowView.as_view(), name="shadow"),
    path("models/<int:number>/shadow/draws", DisagreementsView.as_view(), name="shadow-draws"),
    path("models/<int:number>/predict", PredictView.as_view(), name="predict"),
    path("predictions/<int:pk>", PredictionView.as_view(), name="prediction"),
]
