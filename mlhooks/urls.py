"""The pages of the model side."""

from django.urls import path

from .views import evidence, models, runs, similar, snapshots, strongest

app_name = "mlhooks"
urlpatterns = [
    path("snapshots/", snapshots.snapshot_list, name="snapshot-list"),
    path("snapshots/preview/", snapshots.preview, name="snapshot-preview"),
    path("snapshots/new/", snapshots.create, name="snapshot-create"),
    path("snapshots/<int:pk>/", snapshots.snapshot_detail, name="snapshot-detail"),
    path("snapshots/<int:pk>/progress/", snapshots.progress, name="snapshot-progress"),
    path("snapshots/<int:pk>/files/<str:name>", snapshots.download, name="snapshot-file"),
    path("snapshots/<int:pk>/train/", runs.create, name="training-create"),
    path("training/<int:pk>/", runs.training_detail, name="training-detail"),
    path("training/<int:pk>/progress/", runs.progress, name="training-progress"),
    path("training/<int:pk>/cancel/", runs.cancel, name="training-cancel"),
    path("jobs/<int:pk>/similar/", similar.job_similar, name="job-similar"),
    path("jobs/<int:pk>/strongest/", strongest.job_strongest, name="job-strongest"),
    path("models/", models.model_list, name="model-list"),
    path("models/rescoring/<int:platform_pk>/", models.rescoring, name="rescoring"),
    path("models/<int:pk>/", models.model_detail, name="model-detail"),
    path("models/<int:pk>/evidence/", evidence.evidence_detail, name="evidence-detail"),
    path("models/<int:pk>/evidence/gather/", evidence.gather, name="evidence-gather"),
    path("models/<int:pk>/gates/", evidence.gates_progress, name="gates-progress"),
    path("models/gates/", evidence.gate_list, name="gate-list"),
    path("models/gates/<int:pk>/", evidence.gate_edit, name="gate-edit"),
    path("models/cases/", evidence.case_list, name="case-list"),
    path("models/cases/<int:pk>/add/", evidence.case_add, name="case-add"),
    path("models/cases/<int:pk>/archive/", evidence.case_archive, name="case-archive"),
    path("models/<int:pk>/propose/", models.propose, name="promotion-propose"),
    path("models/<int:pk>/roll-back/", models.roll_back, name="roll-back"),
    path("promotions/<int:pk>/approve/", models.approve, name="promotion-approve"),
    path("promotions/<int:pk>/waive/", evidence.waive, name="gate-waive"),
    path("promotions/<int:pk>/withdraw/", models.withdraw, name="promotion-withdraw"),
]
