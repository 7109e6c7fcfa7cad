"""Claims have 24 places more: those of a page. The rule is exchanged without reading the table,
which is hot and large; what stands there already is checked by the next migration."""

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models import Q

CLAIMED = Q(
    state="claimed",
    claim_token__isnull=False,
    claimed_by__isnull=False,
    claim_slot__range=(1, 26),
    claimed_at__isnull=False,
    expires_at__isnull=False,
)
FREE = ~Q(state="claimed") & Q(
    claim_token__isnull=True,
    claimed_by__isnull=True,
    claim_slot__isnull=True,
    expires_at__isnull=True,
)


class Migration(migrations.Migration):
    dependencies = [("reviews", "0045_jobs_side_by_side")]

    operations = [
        AddConstraintNotValid(
            model_name="job",
            constraint=models.CheckConstraint(
                condition=CLAIMED | FREE, name="a_claimed_job_has_its_claim"
            ),
        ),
        migrations.RemoveConstraint(model_name="job", name="a_claimed_job_has_a_claim"),
    ]
