"""Pictures, films and sounds, and where they are shown."""

from django.db import migrations, models
from django.db.models.functions import Now

ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")

TABLES = [
    migrations.CreateModel(
        name="Medium",
        fields=[
            ("id", ID),
            (
                "source",
                models.CharField(
                    choices=[("upload", "Uploaded"), ("address", "From an address")], max_length=10
                ),
            ),
            ("address", models.CharField(blank=True, max_length=4000)),
            ("key", models.CharField(max_length=64)),
            ("sha256", models.CharField(blank=True, max_length=64)),
            ("bytes_in", models.PositiveBigIntegerField(default=0)),
            ("original", models.CharField(blank=True, max_length=200)),
            (
                "state",
                models.CharField(
                    choices=[
                        ("due", "Being prepared"),
                        ("ready", "Ready"),
                        ("failed", "Cannot be shown"),
                        ("parked", "Waits for a person"),
                        ("erased", "Erased"),
                    ],
                    default="due",
                    max_length=10,
                ),
            ),
            (
                "form",
                models.CharField(
                    blank=True,
                    choices=[("image", "Picture"), ("video", "Film"), ("audio", "Sound")],
                    max_length=10,
                ),
            ),
            ("width", models.PositiveIntegerField(default=0)),
            ("height", models.PositiveIntegerField(default=0)),
            ("seconds", models.FloatField(default=0)),
            ("renditions", models.JSONField(default=dict)),
            ("attempts", models.PositiveSmallIntegerField(default=0)),
            ("due_at", models.DateTimeField(db_default=Now())),
            ("error", models.CharField(blank=True, max_length=300)),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            (
                "platform",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="media",
                    to="reviews.platform",
                ),
            ),
        ],
        options={
            "verbose_name_plural": "media",
            "indexes": [
                models.Index(
                    condition=models.Q(("state", "due")), fields=["due_at"], name="medium_due"
                ),
                models.Index(
                    condition=models.Q(("state", "erased")), fields=["id"], name="medium_erased"
                ),
                models.Index(
                    condition=models.Q(("source", "address")),
                    fields=["platform", "key", "-id"],
                    name="medium_by_address",
                ),
            ],
            "constraints": [
                models.UniqueConstraint(
                    condition=models.Q(("source", "upload")),
                    fields=("platform", "key"),
                    name="one_upload_per_content",
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="MediumUse",
        fields=[
            ("id", ID),
            ("field", models.CharField(max_length=40)),
            (
                "item_version",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="media",
                    to="reviews.itemversion",
                ),
            ),
            (
                "medium",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="uses", to="reviews.medium"
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("item_version", "field", "medium"), name="one_use_a_field"
                )
            ]
        },
    ),
]
