"""The pages of the human side."""

from django.urls import path

from .views import (
    audit,
    decisions,
    enforcements,
    home,
    items,
    jobs,
    operations,
    policies,
    profile,
    queues,
    review,
    setup,
)

app_name = "reviews"
urlpatterns = [
    path("", home.home, name="home"),
    path("review/<slug:slug>/", review.review, name="review"),
    path("jobs/<int:pk>/decide/", review.decide, name="job-decide"),
    path("jobs/<int:pk>/skip/", review.skip, name="job-skip"),
    path("jobs/<int:pk>/release/", review.release, name="job-release"),
    path("jobs/<int:pk>/renew/", review.renew, name="job-renew"),
    path("decisions/", decisions.decision_list, name="decision-list"),
    path("decisions/<int:pk>/undo/", decisions.undo, name="decision-undo"),
    path("decisions/<int:pk>/override/", decisions.override, name="decision-override"),
    path("items/<int:pk>/", items.item_detail, name="item-detail"),
    path("items/<int:pk>/text/", items.item_text, name="item-text"),
    path("queues/", queues.queue_list, name="queue-list"),
    path("queues/<slug:slug>/", queues.queue_detail, name="queue-detail"),
    path("queues/<slug:slug>/jobs/", jobs.job_list, name="job-list"),
    path("queues/<slug:slug>/jobs/change/", jobs.job_change, name="job-change"),
    path("queues/<slug:slug>/operations/", operations.operation_list, name="operation-list"),
    path("operations/<int:pk>/undo/", operations.undo, name="operation-undo"),
    path("setup/", setup.setup, name="setup"),
    path("policies/", policies.policy_list, name="policy-list"),
    path("policies/<slug:slug>/", policies.policy_detail, name="policy-detail"),
    path("enforcements/", enforcements.enforcement_list, name="enforcement-list"),
    path("enforcements/<int:pk>/approve/", enforcements.approve, name="enforcement-approve"),
    path("enforcements/<int:pk>/refuse/", enforcements.refuse, name="enforcement-refuse"),
    path("audit/", audit.audit_list, name="audit-list"),
    path("you/", profile.profile, name="profile"),
    path("you/theme/", profile.set_theme, name="theme"),
]
