"""The pages of the human side."""

from django.urls import path

from .views import (
    audit,
    decisions,
    enforcements,
    home,
    items,
    policies,
    profile,
    queues,
    review,
    setup,
    setup_kinds,
    setup_policies,
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
    path("setup/", setup.setup, name="setup"),
    path("setup/kinds/", setup_kinds.kind_list, name="setup-kind-list"),
    path("setup/kinds/new/", setup_kinds.new, name="setup-kind-new"),
    path("setup/kinds/<slug:slug>/", setup_kinds.edit, name="setup-kind-edit"),
    path(
        "setup/kinds/<slug:slug>/restore/<int:number>/",
        setup_kinds.restore,
        name="setup-kind-restore",
    ),
    path("setup/kinds/<slug:slug>/archive/", setup_kinds.archive, name="setup-kind-archive"),
    path("setup/kinds/<slug:slug>/unarchive/", setup_kinds.unarchive, name="setup-kind-unarchive"),
    path("setup/policies/", setup_policies.policy_list, name="setup-policy-list"),
    path("setup/policies/new/", setup_policies.new, name="setup-policy-new"),
    path("setup/policies/<slug:slug>/", setup_policies.edit, name="setup-policy-edit"),
    path(
        "setup/policies/<slug:slug>/restore/<int:number>/",
        setup_policies.restore,
        name="setup-policy-restore",
    ),
    path(
        "setup/policies/<slug:slug>/archive/", setup_policies.archive, name="setup-policy-archive"
    ),
    path(
        "setup/policies/<slug:slug>/unarchive/",
        setup_policies.unarchive,
        name="setup-policy-unarchive",
    ),
    path(
        "setup/policies/<slug:slug>/version/",
        setup_policies.write_version,
        name="setup-policy-version",
    ),
    path(
        "setup/policies/<slug:slug>/versions/<int:number>/",
        setup_policies.edit_version,
        name="setup-policy-version-edit",
    ),
    path(
        "setup/policies/<slug:slug>/versions/<int:number>/withdraw/",
        setup_policies.withdraw_version,
        name="setup-policy-version-withdraw",
    ),
    path(
        "setup/policies/<slug:slug>/versions/<int:number>/restore/",
        setup_policies.restore_version,
        name="setup-policy-version-restore",
    ),
    path(
        "setup/policies/<slug:slug>/relabelling/",
        setup_policies.relabelling_page,
        name="setup-policy-relabelling",
    ),
    path("policies/", policies.policy_list, name="policy-list"),
    path("policies/<slug:slug>/", policies.policy_detail, name="policy-detail"),
    path("enforcements/", enforcements.enforcement_list, name="enforcement-list"),
    path("enforcements/<int:pk>/approve/", enforcements.approve, name="enforcement-approve"),
    path("enforcements/<int:pk>/refuse/", enforcements.refuse, name="enforcement-refuse"),
    path("audit/", audit.audit_list, name="audit-list"),
    path("you/", profile.profile, name="profile"),
    path("you/theme/", profile.set_theme, name="theme"),
]
