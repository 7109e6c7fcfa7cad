"""All URLs, from the top."""

from django.urls import include, path

from . import health, metrics

handler500 = "trustconsole.outage.failed"

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
    path("accounts/", include("allauth.urls")),
    path("api/v1/", include(("reviews.api.urls", "reviews_api"))),
    path("api/v1/", include(("mlhooks.api.urls", "mlhooks_api"))),
    path("ml/", include("mlhooks.urls")),
    path("", include("reviews.urls")),
]
