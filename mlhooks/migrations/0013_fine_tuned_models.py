"""Models with an encoder of their own."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("mlhooks", "0012_predictions"),
    ]

    operations = [
        migrations.AlterField(
            model_name="modelversion",
            name="kind",
            field=models.CharField(
                choices=[
                    ("zero-shot", "Zero-shot"),
                    ("few-shot", "Few-shot"),
                    ("trained", "Trained head"),
                    ("fine-tuned", "Fine-tuned"),
                ],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="trainingrun",
            name="kind",
            field=models.CharField(
                choices=[
                    ("zero-shot", "Zero-shot"),
                    ("few-shot", "Few-shot"),
                    ("trained", "Trained head"),
                    ("fine-tuned", "Fine-tuned"),
                ],
                default="trained",
                max_length=10,
            ),
        ),
    ]
