"""Each platform's rules become its version 1, published; conditions become trees where they can."""

from django.db import migrations
from django.db.models.functions import Now


def forwards(apps, schema_editor):
    # The text of old conditions is read by the code that reads expressions: writing rule-engine's
    # syntax tree down twice would be worse than leaning on a pure module.
    from reviews import conditions
    from reviews.catalogue import make_catalogue

    RoutingRule = apps.get_model("reviews", "RoutingRule")
    RoutingVersion = apps.get_model("reviews", "RoutingVersion")
    Platform = apps.get_model("reviews", "Platform")
    for platform in Platform.objects.filter(routing_rules__isnull=False).distinct():
        kinds = list(apps.get_model("reviews", "ItemKind").objects.filter(platform=platform))
        policies = apps.get_model("reviews", "Policy").objects.filter(platform=platform)
        catalogue = make_catalogue(
            policies=policies.values_list("slug", "name"),
            fields=[field for kind in kinds for field in kind.fields],
            kinds=[(kind.slug, kind.name) for kind in kinds],
        )
        rules, names = [], set()
        rows = RoutingRule.objects.filter(platform=platform).select_related("queue")
        for number, row in enumerate(rows.order_by("position", "id"), start=1):
            name = row.name.strip() or f"Rule {number}"
            if name in names:
                name = f"{name[:70]} ({number})"
            names.add(name)
            rules.append(
                {
                    "name": name,
                    "queue": row.queue.slug,
                    "is_active": row.is_active,
                    "condition": conditions.from_text(row.condition, catalogue),
                }
            )
        RoutingVersion.objects.create(
            platform=platform,
            number=1,
            state="published",
            rules=rules,
            note="The rules as they stood before rules had versions.",
            published_at=Now(),
            rerouted_at=Now(),
        )


def backwards(apps, schema_editor):
    """The published rules, as text again."""
    RoutingRule = apps.get_model("reviews", "RoutingRule")
    Queue = apps.get_model("reviews", "Queue")
    for version in apps.get_model("reviews", "RoutingVersion").objects.filter(state="published"):
        queues = dict(
            Queue.objects.filter(platform_id=version.platform_id).values_list("slug", "pk")
        )
        RoutingRule.objects.bulk_create(
            RoutingRule(
                platform_id=version.platform_id,
                name=rule["name"],
                position=position,
                condition=_text_of(rule["condition"]),
                queue_id=queues[rule["queue"]],
                is_active=rule["is_active"],
            )
            for position, rule in enumerate(version.rules)
            if rule["queue"] in queues
        )


def _text_of(tree):
    """A lone expression as it was written, broken or not."""
    from reviews import conditions

    if list(tree) == ["all"] and len(tree["all"]) == 1 and "expression" in tree["all"][0]:
        return tree["all"][0]["expression"]
    return conditions.to_text(tree)


class Migration(migrations.Migration):
    dependencies = [("reviews", "0015_routing_versions")]

    operations = [migrations.RunPython(forwards, backwards)]
