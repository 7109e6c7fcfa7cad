"""A draw may take so many of its pool, each as likely: those who are asked again."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0024_every_drawn_job_has_its_draw")]

    operations = [
        migrations.AlterField(
            "draw",
            "strategy",
            models.CharField(
                choices=[
                    ("poisson", "Poisson, one probability for all"),
                    ("poisson_sqrt", "Poisson, by the root of the risk"),
                    ("poisson_band", "Poisson, mostly near the threshold"),
                    ("sample", "So many, each as likely"),
                    ("certainty", "All of them"),
                    ("follows", "Follows an earlier draw"),
                ],
                max_length=20,
            ),
        ),
    ]
