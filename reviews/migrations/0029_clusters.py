"""Near-duplicates: what waits to be hashed, anchors, clusters, answers given to many."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0028_jobs_by_age")]

    operations = [
        migrations.CreateModel(
            name="Anchor",
            fields=[
                (
                    "item_version",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="anchor",
                        serialize=False,
                        to="reviews.itemversion",
                    ),
                ),
                ("fingerprint", models.CharField(max_length=32)),
                ("minhash", models.BinaryField()),
            ],
        ),
        migrations.CreateModel(
            name="Cluster",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("size", models.PositiveIntegerField(default=0)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "joined_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ClusterAnswer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("decided", "Decided"),
                            ("skipped", "Skipped"),
                            ("undone", "Taken back"),
                        ],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=300)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="ClusterMember",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "how",
                    models.CharField(
                        choices=[
                            ("exact", "Same text"),
                            ("minhash", "Same words"),
                            ("embedding", "Same meaning"),
                        ],
                        max_length=10,
                    ),
                ),
                ("similarity", models.FloatField()),
                (
                    "joined_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ClusterOperation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "verdict",
                    models.CharField(
                        choices=[
                            ("violating", "Violating"),
                            ("clean", "Clean"),
                            ("unsure", "Unsure"),
                            ("escalate", "Escalate"),
                        ],
                        max_length=10,
                    ),
                ),
                ("policies", models.JSONField(default=list)),
                ("actions", models.JSONField(default=list)),
                ("note", models.TextField(blank=True)),
                ("radius", models.JSONField(default=dict)),
                ("token", models.UUIDField(unique=True)),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                ("finished_at", models.DateTimeField(null=True)),
                ("undone_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="DueHash",
            fields=[
                (
                    "item_version",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="reviews.itemversion",
                    ),
                ),
                (
                    "due_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("attempts", models.PositiveSmallIntegerField(db_default=0)),
                ("parked_at", models.DateTimeField(null=True)),
                ("error", models.TextField(blank=True, db_default="")),
            ],
        ),
        migrations.AddField(
            model_name="anchor",
            name="item",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="anchors",
                to="reviews.item",
            ),
        ),
        migrations.AddField(
            model_name="anchor",
            name="platform",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="reviews.platform",
            ),
        ),
        migrations.AddField(
            model_name="cluster",
            name="anchor",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="cluster",
                to="reviews.anchor",
            ),
        ),
        migrations.AddField(
            model_name="cluster",
            name="platform",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="clusters",
                to="reviews.platform",
            ),
        ),
        migrations.AddField(
            model_name="clusteranswer",
            name="decision",
            field=models.OneToOneField(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="cluster_answer",
                to="reviews.decision",
            ),
        ),
        migrations.AddField(
            model_name="clusteranswer",
            name="item",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="cluster_answers",
                to="reviews.item",
            ),
        ),
        migrations.AddField(
            model_name="clusteranswer",
            name="item_version",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="reviews.itemversion",
            ),
        ),
        migrations.AddField(
            model_name="clustermember",
            name="item_version",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="reviews.itemversion",
            ),
        ),
        migrations.AddField(
            model_name="clustermember",
            name="cluster",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="members",
                to="reviews.cluster",
            ),
        ),
        migrations.AddField(
            model_name="clustermember",
            name="item",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="cluster_member",
                to="reviews.item",
            ),
        ),
        migrations.AddField(
            model_name="clusteroperation",
            name="by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="cluster_operations",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="clusteroperation",
            name="cluster",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="operations",
                to="reviews.cluster",
            ),
        ),
        migrations.AddField(
            model_name="clusteroperation",
            name="platform",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="reviews.platform"
            ),
        ),
        migrations.AddField(
            model_name="clusteranswer",
            name="operation",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="answers",
                to="reviews.clusteroperation",
            ),
        ),
        migrations.AddIndex(
            model_name="anchor",
            index=models.Index(fields=["fingerprint"], name="anchor_by_fingerprint"),
        ),
        migrations.CreateModel(
            name="Band",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "key",
                        "anchor_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "anchor",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="bands",
                        to="reviews.anchor",
                    ),
                ),
                ("key", models.BigIntegerField()),
            ],
        ),
        migrations.AddIndex(
            model_name="cluster",
            index=models.Index(fields=["platform", "-joined_at"], name="cluster_by_newest"),
        ),
        migrations.AddIndex(
            model_name="clustermember",
            index=models.Index(fields=["cluster", "similarity", "id"], name="member_by_similarity"),
        ),
        migrations.AddConstraint(
            model_name="clustermember",
            constraint=models.CheckConstraint(
                condition=models.Q(("similarity__range", (0, 1))), name="similarity_is_a_fraction"
            ),
        ),
        migrations.AddIndex(
            model_name="clusteroperation",
            index=models.Index(
                condition=models.Q(("finished_at", None)),
                fields=["id"],
                name="cluster_operation_open",
            ),
        ),
        migrations.AddConstraint(
            model_name="clusteranswer",
            constraint=models.UniqueConstraint(
                fields=("operation", "item"), name="one_answer_a_member"
            ),
        ),
    ]
