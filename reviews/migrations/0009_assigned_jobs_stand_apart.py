"""Jobs kept for one person leave the serving order; without blocking a big table."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("reviews", "0008_tighten_queues")]

    operations = [
        AddIndexConcurrently(
            "job",
            models.Index(
                F("queue"),
                F("lane"),
                F("rank").desc(),
                F("id"),
                condition=Q(state="ready", assigned_to=None),
                name="job_in_serving_order",
            ),
        ),
        AddIndexConcurrently(
            "job",
            models.Index(
                F("assigned_to"),
                F("queue"),
                F("rank").desc(),
                F("id"),
                condition=Q(state="ready", assigned_to__isnull=False),
                name="job_assigned",
            ),
        ),
        RemoveIndexConcurrently("job", "job_serving_order"),
    ]
