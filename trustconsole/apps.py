from django.apps import AppConfig


class TrustConsoleConfig(AppConfig):
    name = "trustconsole"
