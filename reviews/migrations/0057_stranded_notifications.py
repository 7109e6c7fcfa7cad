"""One more sort of notification: what waits for nobody."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reviews", "0056_stranded_jobs"),
    ]

    operations = [
        migrations.AlterField(
            model_name="mutedsort",
            name="sort",
            field=models.CharField(
                choices=[
                    ("assigned", "Jobs are assigned to you"),
                    ("asked", "A colleague asks for your opinion"),
                    ("opinion", "A colleague answers you"),
                    ("question", "A question about a policy of yours"),
                    ("answered", "Your question about a policy is answered"),
                    ("mention", "You are mentioned in a note"),
                    ("overturned", "A decision of yours is decided otherwise"),
                    ("escalation", "What you escalated is decided"),
                    ("hold", "An action you asked for is approved or refused"),
                    ("taken", "A job is taken away from you"),
                    ("alert", "A figure of a model is out of its bounds"),
                    ("stranded", "Jobs that nobody in a queue can take"),
                ],
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="notification",
            name="sort",
            field=models.CharField(
                choices=[
                    ("assigned", "Jobs are assigned to you"),
                    ("asked", "A colleague asks for your opinion"),
                    ("opinion", "A colleague answers you"),
                    ("question", "A question about a policy of yours"),
                    ("answered", "Your question about a policy is answered"),
                    ("mention", "You are mentioned in a note"),
                    ("overturned", "A decision of yours is decided otherwise"),
                    ("escalation", "What you escalated is decided"),
                    ("hold", "An action you asked for is approved or refused"),
                    ("taken", "A job is taken away from you"),
                    ("alert", "A figure of a model is out of its bounds"),
                    ("stranded", "Jobs that nobody in a queue can take"),
                ],
                max_length=12,
            ),
        ),
    ]
