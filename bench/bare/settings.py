"""Settings of the bare control: the product's, with next to no middleware."""

from trustconsole.settings import *  # noqa: F403

ROOT_URLCONF = "bench.bare.pages"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",  # allauth does not start without it
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]
