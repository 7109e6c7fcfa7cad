"""Security headers that Django has no setting for, on every answer."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

_UNUSED = [
    *("accelerometer", "autoplay", "browsing-topics", "camera", "display-capture"),
    *("encrypted-media", "fullscreen", "geolocation", "gyroscope", "hid", "idle-detection"),
    *("magnetometer", "microphone", "midi", "payment", "picture-in-picture", "screen-wake-lock"),
    *("serial", "sync-xhr", "usb", "xr-spatial-tracking"),
]
PERMISSIONS_POLICY = ", ".join(f"{feature}=()" for feature in _UNUSED)


class HeadersMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        # What people report about stays out of the disk caches of browsers and proxies.
        response.headers.setdefault("Cache-Control", "no-store, private")
        return response
