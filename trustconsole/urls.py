"""All URLs, from the top."""

from django.urls import include, path

urlpatterns = [
    path("accounts/", include("allauth.urls")),
    path("api/v1/", include(("reviews.api.urls", "reviews_api"))),
    path("api/v1/", include(("mlhooks.api.urls", "mlhooks_api"))),
    path("ml/", include("mlhooks.urls")),
    path("", include("reviews.urls")),
]
