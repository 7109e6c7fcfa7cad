"""How many jobs a page of a queue shows side by side; one, unless a lead says otherwise."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0044_own_keys")]

    operations = [
        migrations.AddField(
            model_name="queue",
            name="page_size",
            field=models.PositiveSmallIntegerField(db_default=1, default=1),
        ),
        migrations.AddConstraint(
            model_name="queue",
            constraint=models.CheckConstraint(
                condition=models.Q(("page_size__range", (1, 24))), name="queue_page_holds_up_to_24"
            ),
        ),
    ]
