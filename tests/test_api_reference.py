"""docs/api.md and the schema it comes from."""

import pytest
from django.core.management import CommandError, call_command

from reviews import access
from reviews.management.commands import write_api_reference


def test_the_schema_is_valid_and_warns_of_nothing(capsys):
    call_command("spectacular", validate=True, fail_on_warn=True)
    assert "openapi: 3.1" in capsys.readouterr().out


def test_the_reference_is_as_the_schema_is():
    call_command("write_api_reference", check=True)


def test_the_reference_names_every_scope_and_call():
    text = write_api_reference.reference()

    for scope in access.SCOPES:
        assert f"scope `{scope}`" in text, scope
    for call in ("POST /api/v1/items", "POST /api/v1/reports", "GET /api/v1/decisions"):
        assert f"`{call}`" in text


def test_a_stale_reference_is_noticed(settings, tmp_path):
    settings.BASE_DIR = tmp_path
    (tmp_path / "docs").mkdir()
    with pytest.raises(CommandError, match=r"docs.api.md is out of date"):
        call_command("write_api_reference", check=True)
    call_command("write_api_reference")
    call_command("write_api_reference", check=True)
