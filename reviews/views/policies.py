"""The rules as they stand and as they stood."""

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from reviews import access
from reviews.models import Policy, PolicyVersion

from .questions import beside_policy


@require_GET
def policy_list(request: HttpRequest) -> HttpResponse:
    policies = list(
        access.visible(request.user, "policy.view", Policy.objects.all(), "platform")
        .select_related("platform")
        .prefetch_related("queues")
    )
    versions = PolicyVersion.objects.in_force().filter(policy__in=policies)
    in_force = {version.policy_id: version for version in versions}
    return render(
        request,
        "reviews/policy_list.html",
        {"rows": [(policy, in_force.get(policy.pk)) for policy in policies]},
    )


@require_GET
def policy_detail(request: HttpRequest, slug: str) -> HttpResponse:
    policy = access.get_policy(request.user, slug)
    versions = list(
        policy.versions.select_related("created_by")
        .annotate(decision_count=Count("decisions"))
        .order_by("-number")
    )
    in_force = policy.versions.in_force().first()
    return render(
        request,
        "reviews/policy_detail.html",
        {
            "policy": policy,
            "versions": versions,
            "in_force": in_force,
            "queues": policy.queues.all(),
            "may_set_up": access.may(request.user, "setup.view"),
            "may_try": in_force is not None and access.may(request.user, "model.predict"),
            **beside_policy(request, policy),
        },
    )
