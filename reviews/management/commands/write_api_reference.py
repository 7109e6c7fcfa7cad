"""Write docs/api.md from the OpenAPI schema: the reference is never written by hand."""

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from drf_spectacular.generators import SchemaGenerator

from reviews import access

_INTRODUCTION = """# API

<!-- Written by `manage.py write_api_reference` from the schema. Do not edit. -->

Everything is under `/api/v1`, JSON in UTF-8, described in OpenAPI 3.1 at `/api/v1/schema`.

**Who calls.** A program sends a token; a person's browser sends her session (and the CSRF token
with what changes something). A token belongs to one platform and reaches nothing of another.

```sh
TOKEN=$(.venv/bin/python manage.py create_token ingest --scope items:write --scope items:read)
curl -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
  -d '{"kind": "message", "external_id": "m-1", "content": {"body": "Win a prize"}}' \\
  http://localhost:8000/api/v1/items
```

**Refusals** have one shape, `{"error": "a sentence", "details": {"field": ["why"]}}`:

| status | means |
|---|---|
| 400 | not JSON |
| 401 | no token, or one that is unknown, revoked or out of date |
| 403 | the token lacks the scope (the sentence names it), or your role does not allow it |
| 404 | not there, or another platform's |
| 409 | the world moved on: already so, or the key was used for something else |
| 413 | more than a call may hold |
| 422 | understood, but it makes no sense; `details` says where |
| 503 | it would take too long, or the database is away: try again later |

Scopes: {scopes}.
"""


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="write nothing; fail if docs/api.md is out of date"
        )

    def handle(self, *, check: bool, **options: Any) -> None:
        path = settings.BASE_DIR / "docs" / "api.md"
        text = reference()
        if not check:
            path.write_text(text)
            self.stderr.write(f"Wrote {_short(path)}.")
        elif not path.exists() or path.read_text() != text:
            raise CommandError(f"{_short(path)} is out of date: manage.py write_api_reference")


def reference() -> str:
    generator = SchemaGenerator()
    schema = generator.get_schema(request=None, public=True)
    verbs = {
        (path, method.lower()): _verb(view, method)
        for path, _, method, view in generator._get_paths_and_endpoints()
    }
    scopes = ", ".join(f"`{scope}`" for scope in access.SCOPES)
    lines = [_INTRODUCTION.replace("{scopes}", scopes)]
    for path, methods in sorted(schema["paths"].items()):
        for method, operation in methods.items():
            lines += _operation(path, method, operation, verbs.get((path, method)))
    lines.append("## Objects\n")
    for name, component in sorted(schema["components"]["schemas"].items()):
        if name == "NullEnum":
            continue
        lines += _component(name, component)
    return "\n".join(lines).rstrip() + "\n"


def _verb(view: Any, method: str) -> str | None:
    verb = getattr(view, "verb", None)
    return verb.get(method) if isinstance(verb, dict) else verb


def _operation(
    path: str, method: str, operation: dict[str, Any], verb: str | None
) -> Iterator[str]:
    yield f"## {operation.get('summary') or operation['operationId']}\n"
    yield f"`{method.upper()} {path}`" + (f" · {_who(verb)}" if verb else "") + "\n"
    if operation.get("description"):
        yield operation["description"] + "\n"
    parameters = operation.get("parameters", [])
    if parameters:
        yield "| parameter | in | type | |\n|---|---|---|---|"
        for one in parameters:
            required = "required. " if one.get("required") and one["in"] != "path" else ""
            yield (
                f"| `{one['name']}` | {one['in']} | {_type(one['schema'])} "
                f"| {required}{one.get('description', '')} |"
            )
        yield ""
    body = operation.get("requestBody")
    if body:
        yield f"Body: {_content(body['content'])}\n"
    answers = [
        f"{status}: {_content(answer.get('content', {})) or 'nothing'}"
        for status, answer in sorted(operation["responses"].items())
        if _content(answer.get("content", {})) != _type({"$ref": "/Refusal"})
    ]
    yield "Answer: " + "; ".join(answers) + "\n"


def _who(verb: str) -> str:
    grant = access.GRANTS[verb]
    scope = f"scope `{grant.scope}`" if grant.scope else "no token"
    roles = ", ".join(sorted(grant.roles))
    return f"{scope}; people: {roles}"


def _component(name: str, component: dict[str, Any]) -> Iterator[str]:
    if component.get("enum"):
        yield f"### {name}\n\n{_values(component)}\n"
        return
    if "oneOf" in component:
        yield f"### {name}\n\n{_type(component)}\n"
        return
    yield f"### {name}\n"
    if component.get("description"):
        yield component["description"] + "\n"
    yield "| field | type | |\n|---|---|---|"
    required = component.get("required", [])
    for field, schema in component.get("properties", {}).items():
        note = schema.get("description", "")
        # Descriptions of choices repeat the enum's own.
        note = "" if note.startswith("* `") else note.split("\n\n* `")[0]
        optional = "" if field in required else "May be left out. "
        yield f"| `{field}` | {_type(schema)} | {(optional + note).strip()} |"
    yield ""


def _content(content: dict[str, Any]) -> str:
    return ", ".join(
        _type(body["schema"]) if media == "application/json" else media
        for media, body in content.items()
    )


def _values(schema: dict[str, Any]) -> str:
    if schema.get("type") == "integer":  # numbers say nothing: "* `1` - Low" does
        lines = schema.get("description", "").splitlines()
        return ", ".join(line.removeprefix("* ") for line in lines if line.startswith("* "))
    return ", ".join(f"`{value}`" for value in schema["enum"] if value is not None)


def _type(schema: dict[str, Any]) -> str:
    """A schema in a few words, references as links."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return "null" if name == "NullEnum" else f"[{name}](#{name.lower()})"
    for key in ("oneOf", "anyOf", "allOf"):
        if key in schema:
            return " or ".join(_type(one) for one in schema[key])
    if "enum" in schema:
        return _values(schema)
    kind = schema.get("type", "anything")
    kinds = kind if isinstance(kind, list) else [kind]
    words = []
    for one in kinds:
        if one == "array":
            words.append(f"list of {_type(schema['items'])}")
        elif one == "object" and isinstance(schema.get("additionalProperties"), dict):
            inner = schema["additionalProperties"]
            words.append(f"object of {_type(inner)}" if inner else "object")
        elif one == "null":
            words.append(one)
        else:
            words.append({"date-time": "time", "uri": "URL"}.get(schema.get("format", ""), one))
    most = f" (at most {schema['maxLength']:,})" if "maxLength" in schema else ""
    return " or ".join(dict.fromkeys(words)) + most


def _short(path: Path) -> str:
    return str(path.relative_to(settings.BASE_DIR))
