"""Check what stands in the table against the exchanged rule, while it is read and written."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("reviews", "0046_places_for_a_page")]

    operations = [ValidateConstraint(model_name="job", name="a_claimed_job_has_its_claim")]
