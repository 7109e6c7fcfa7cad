"""The database's word on prefetched claims; without blocking a big table."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations, models
from django.db.models import Q

_ONE = """
CREATE UNIQUE INDEX CONCURRENTLY one_prefetched_claim_a_reviewer ON reviews_job (claimed_by_id)
WHERE state = 'claimed' AND is_prefetched
"""
_ANY = "DROP INDEX CONCURRENTLY one_prefetched_claim_a_reviewer"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("reviews", "0012_prefetched_claims_and_erased_items")]

    operations = [
        ValidateConstraint("job", "only_a_claim_is_prefetched"),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(_ONE, _ANY)],
            state_operations=[
                migrations.AddConstraint(
                    "job",
                    models.UniqueConstraint(
                        fields=["claimed_by"],
                        condition=Q(state="claimed", is_prefetched=True),
                        name="one_prefetched_claim_a_reviewer",
                    ),
                )
            ],
        ),
    ]
