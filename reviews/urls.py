"""The pages of the human side."""

from django.urls import path

from .views import (
    audit,
    decisions,
    draws,
    enforcements,
    home,
    items,
    people,
    policies,
    profile,
    queues,
    reporters,
    review,
    routing,
    setup,
    setup_actions,
    setup_kinds,
    setup_policies,
    setup_queues,
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
    path("items/<int:pk>/gold/", items.item_gold, name="item-gold"),
    path("items/<int:pk>/text/", items.item_text, name="item-text"),
    path("queues/", queues.queue_list, name="queue-list"),
    path("queues/<slug:slug>/", queues.queue_detail, name="queue-detail"),
    path("queues/<slug:slug>/draw/", draws.draw_create, name="draw-create"),
    path("draws/", draws.draw_list, name="draw-list"),
    path("draws/<int:pk>/", draws.draw_detail, name="draw-detail"),
    path("reporters/", reporters.reporter_list, name="reporter-list"),
    path("setup/", setup.setup, name="setup"),
    path("setup/routing/", routing.routing_list, name="setup-routing-list"),
    path("setup/routing/<slug:platform>/", routing.routing, name="setup-routing"),
    path("setup/routing/<slug:platform>/draft/", routing.draft, name="setup-routing-draft"),
    path(
        "setup/routing/<slug:platform>/draft/new/", routing.rule_edit, name="setup-routing-rule-new"
    ),
    path(
        "setup/routing/<slug:platform>/draft/<int:place>/",
        routing.rule_edit,
        name="setup-routing-rule-edit",
    ),
    path(
        "setup/routing/<slug:platform>/check/",
        routing.check_expression,
        name="setup-routing-check",
    ),
    path(
        "setup/routing/<slug:platform>/dry-runs/",
        routing.start_dry_run,
        name="setup-routing-dry-run-create",
    ),
    path(
        "setup/routing/<slug:platform>/dry-runs/<int:pk>/",
        routing.dry_run_detail,
        name="setup-routing-dry-run",
    ),
    path("setup/routing/<slug:platform>/publish/", routing.publish, name="setup-routing-publish"),
    path(
        "setup/routing/<slug:platform>/versions/<int:number>/",
        routing.version_detail,
        name="setup-routing-version",
    ),
    path(
        "setup/routing/<slug:platform>/versions/<int:number>/put-back/",
        routing.put_back,
        name="setup-routing-put-back",
    ),
    path("setup/queues/", setup_queues.queue_list, name="setup-queue-list"),
    path("setup/queues/new/", setup_queues.new, name="setup-queue-new"),
    path("setup/queues/<slug:slug>/", setup_queues.edit, name="setup-queue-edit"),
    path(
        "setup/queues/<slug:slug>/restore/<int:number>/",
        setup_queues.restore,
        name="setup-queue-restore",
    ),
    path("setup/queues/<slug:slug>/archive/", setup_queues.archive, name="setup-queue-archive"),
    path(
        "setup/queues/<slug:slug>/unarchive/", setup_queues.unarchive, name="setup-queue-unarchive"
    ),
    path("setup/actions/", setup_actions.action_list, name="setup-action-list"),
    path("setup/actions/new/", setup_actions.new, name="setup-action-new"),
    path("setup/actions/<slug:slug>/", setup_actions.edit, name="setup-action-edit"),
    path(
        "setup/actions/<slug:slug>/restore/<int:number>/",
        setup_actions.restore,
        name="setup-action-restore",
    ),
    path("setup/actions/<slug:slug>/archive/", setup_actions.archive, name="setup-action-archive"),
    path(
        "setup/actions/<slug:slug>/unarchive/",
        setup_actions.unarchive,
        name="setup-action-unarchive",
    ),
    path("setup/people/", people.person_list, name="setup-person-list"),
    path("setup/people/new/", people.new, name="setup-person-new"),
    path("setup/people/<str:username>/", people.edit, name="setup-person-edit"),
    path("setup/people/<str:username>/queues/", people.works, name="setup-person-queues"),
    path(
        "setup/people/<str:username>/deactivate/", people.deactivate, name="setup-person-deactivate"
    ),
    path(
        "setup/people/<str:username>/reactivate/", people.reactivate, name="setup-person-reactivate"
    ),
    path("setup/people/<str:username>/remove/", people.remove, name="setup-person-remove"),
    path("setup/people/<str:username>/add/", people.add_again, name="setup-person-add"),
    path("setup/people/<str:username>/link/", people.link, name="setup-person-link"),
    path(
        "setup/people/<str:username>/restore/<int:number>/",
        people.restore,
        name="setup-person-restore",
    ),
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
