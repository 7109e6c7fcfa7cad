"""Who signs in, platforms, tokens, calls answered before, and what everybody did."""

import django.contrib.auth.models
import django.contrib.auth.validators
import django.utils.timezone
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models
from django.db.models.functions import Now

ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")

TABLES = [
    migrations.CreateModel(
        name="Person",
        fields=[
            ("id", ID),
            ("password", models.CharField(max_length=128, verbose_name="password")),
            ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
            (
                "is_superuser",
                models.BooleanField(
                    default=False,
                    help_text="Designates that this user has all permissions without explicitly assigning them.",
                    verbose_name="superuser status",
                ),
            ),
            (
                "username",
                models.CharField(
                    error_messages={"unique": "A user with that username already exists."},
                    help_text="Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.",
                    max_length=150,
                    unique=True,
                    validators=[django.contrib.auth.validators.UnicodeUsernameValidator()],
                    verbose_name="username",
                ),
            ),
            ("first_name", models.CharField(blank=True, max_length=150, verbose_name="first name")),
            ("last_name", models.CharField(blank=True, max_length=150, verbose_name="last name")),
            ("email", models.EmailField(blank=True, max_length=254, verbose_name="email address")),
            (
                "is_staff",
                models.BooleanField(
                    default=False,
                    help_text="Designates whether the user can log into this admin site.",
                    verbose_name="staff status",
                ),
            ),
            (
                "is_active",
                models.BooleanField(
                    default=True,
                    help_text="Designates whether this user should be treated as active. Unselect this instead of deleting accounts.",
                    verbose_name="active",
                ),
            ),
            (
                "date_joined",
                models.DateTimeField(default=django.utils.timezone.now, verbose_name="date joined"),
            ),
            (
                "theme",
                models.CharField(
                    choices=[
                        ("auto", "Like my system"),
                        ("light", "Light"),
                        ("dark", "Dark"),
                        ("contrast", "High contrast"),
                    ],
                    default="auto",
                    max_length=8,
                ),
            ),
            (
                "groups",
                models.ManyToManyField(
                    blank=True,
                    help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                    related_name="user_set",
                    related_query_name="user",
                    to="auth.group",
                    verbose_name="groups",
                ),
            ),
            (
                "user_permissions",
                models.ManyToManyField(
                    blank=True,
                    help_text="Specific permissions for this user.",
                    related_name="user_set",
                    related_query_name="user",
                    to="auth.permission",
                    verbose_name="user permissions",
                ),
            ),
            (
                "density",
                models.CharField(
                    choices=[("cosy", "Cosy"), ("compact", "Compact")],
                    db_default="cosy",
                    default="cosy",
                    max_length=8,
                ),
            ),
            ("language", models.CharField(blank=True, db_default="", default="", max_length=8)),
            ("time_zone", models.CharField(blank=True, db_default="", default="", max_length=40)),
            ("keys", models.JSONField(blank=True, null=True)),
        ],
        options={"verbose_name": "user", "verbose_name_plural": "users", "abstract": False},
        managers=[("objects", django.contrib.auth.models.UserManager())],
    ),
    migrations.CreateModel(
        name="PastCall",
        fields=[
            ("id", ID),
            ("key", models.CharField(max_length=200)),
            ("digest", models.CharField(max_length=64)),
            ("status", models.PositiveSmallIntegerField(null=True)),
            ("body", models.TextField(blank=True)),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            (
                "person",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="past_calls",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
        ],
        options={
            "indexes": [models.Index(fields=["created_at"], name="past_call_by_age")],
            "constraints": [
                models.UniqueConstraint(fields=("person", "key"), name="one_call_per_key")
            ],
        },
    ),
    migrations.CreateModel(
        name="Platform",
        fields=[
            ("id", ID),
            ("slug", models.SlugField(max_length=40, unique=True)),
            ("name", models.CharField(max_length=80)),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            (
                "members",
                models.ManyToManyField(
                    blank=True, related_name="platforms", to=settings.AUTH_USER_MODEL
                ),
            ),
            ("reports_settled", models.IntegerField(db_default=0, default=0)),
            ("reports_upheld", models.IntegerField(db_default=0, default=0)),
        ],
    ),
    migrations.CreateModel(
        name="ApiToken",
        fields=[
            ("id", ID),
            ("name", models.CharField(max_length=80)),
            ("digest", models.CharField(max_length=64, unique=True)),
            ("scopes", ArrayField(base_field=models.CharField(max_length=40), size=None)),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            ("expires_at", models.DateTimeField(blank=True, null=True)),
            ("revoked_at", models.DateTimeField(blank=True, null=True)),
            ("last_used_at", models.DateTimeField(blank=True, null=True)),
            (
                "person",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="tokens", to=settings.AUTH_USER_MODEL
                ),
            ),
            (
                "platform",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="tokens", to="reviews.platform"
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(fields=("platform", "name"), name="one_token_per_name")
            ]
        },
    ),
    migrations.CreateModel(
        name="AuditEntry",
        fields=[
            ("id", ID),
            ("at", models.DateTimeField(db_default=Now(), editable=False)),
            ("verb", models.CharField(max_length=40)),
            ("target_type", models.CharField(max_length=40)),
            ("target_id", models.CharField(max_length=40)),
            ("data", models.JSONField(default=dict)),
            ("position", models.BigIntegerField(null=True, unique=True)),
            ("hash", models.CharField(blank=True, max_length=64)),
            (
                "actor",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="deeds",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "platform",
                models.ForeignKey(
                    null=True, on_delete=models.PROTECT, related_name="+", to="reviews.platform"
                ),
            ),
        ],
        options={
            "verbose_name_plural": "audit entries",
            "indexes": [
                models.Index(fields=["target_type", "target_id"], name="audit_by_target"),
                models.Index(fields=["actor", "-id"], name="audit_by_actor"),
                models.Index(
                    condition=models.Q(("position", None)), fields=["id"], name="audit_unsealed"
                ),
            ],
        },
    ),
]
