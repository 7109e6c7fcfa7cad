import os

import pytest


@pytest.fixture(scope="session")
def django_db_modify_db_settings():
    """TEST_DATABASE lets several suites run side by side on one server."""
    from django.conf import settings

    name = os.environ.get("TEST_DATABASE", "test_trustconsole")
    settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = name
