"""What waits longest, without sorting a million jobs; without blocking a big table either."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("reviews", "0027_bulk_operations")]

    operations = [
        AddIndexConcurrently(
            "job",
            models.Index(
                fields=["queue", "created_at", "id"], condition=Q(state="ready"), name="job_by_age"
            ),
        ),
    ]
