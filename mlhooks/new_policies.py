"""A policy that comes into force after its platform's champion was made: the champion answers it
from its own words (scoring.py), and what waits for a reviewer has to be scored again to be ranked
by it.
"""

from django.db import transaction

from . import due, registry
from .models import AnsweredPolicies, ModelVersion


def sweep() -> int:
    """Mark what waits where such a policy was not there before. Returns how many platforms."""
    champions = ModelVersion.objects.filter(state=ModelVersion.State.CHAMPION)
    return sum(_look(one) for one in champions.select_related("platform").order_by("id"))


def _look(champion: ModelVersion) -> bool:
    platform = champion.platform
    own = set(champion.policy_versions.values_list("policy_id", flat=True))
    now = {one.pk for one in registry.in_force(platform) if one.policy_id not in own}
    known = AnsweredPolicies.objects.filter(platform=platform).values_list(
        "policy_versions", flat=True
    )
    before = next(iter(known), None)
    if set(before or []) == now:
        return False
    with transaction.atomic():
        row, _is_new = AnsweredPolicies.objects.select_for_update().get_or_create(platform=platform)
        is_more = bool(now - set(row.policy_versions))
        row.policy_versions = sorted(now)
        row.save(update_fields=["policy_versions"])
        if is_more:
            due.mark_open_items(platform)
    return is_more
