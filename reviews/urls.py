"""The pages of the human side."""

from django.urls import path

from .views import (
    audit,
    decisions,
    enforcements,
    forecasts,
    home,
    items,
    policies,
    profile,
    queues,
    replays,
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
    path("queues/<slug:slug>/replay/", replays.replay_list, name="replay-list"),
    path("queues/<slug:slug>/roster/", forecasts.roster, name="roster"),
    path("replays/<int:pk>/", replays.replay_detail, name="replay-detail"),
    path("replays/<int:pk>/progress/", replays.progress, name="replay-progress"),
    path("replays/<int:pk>/cancel/", replays.cancel, name="replay-cancel"),
    path("forecast/", forecasts.forecast_list, name="forecast"),
    path("forecast/<slug:slug>/", forecasts.forecast_detail, name="forecast-detail"),
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
