"""How a person reads: theme, density, language and time zone. Nobody's business but hers."""

from collections.abc import Callable, Mapping
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.utils.translation import gettext as _

from .errors import Invalid
from .models import Person

# Each setting → is this a value of it?
_FIELDS: dict[str, Callable[[str], bool]] = {
    "theme": lambda value: value in Person.Theme.values,
    "density": lambda value: value in Person.Density.values,
    "language": lambda value: not value or value in dict(settings.LANGUAGES),
    "time_zone": lambda value: not value or value in time_zones(),
}


@cache
def time_zones() -> tuple[str, ...]:
    """Those of places people live in, by name; not the old names and offsets beside them."""
    areas = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian")
    kept = (*areas, "Pacific")
    names = {name for name in available_timezones() if name.partition("/")[0] in kept}
    return tuple(sorted(names | {"UTC"}))


def zone_of(person: Person) -> ZoneInfo | None:
    """None: that of the installation; also if the one she chose is known no more."""
    return ZoneInfo(person.time_zone) if person.time_zone in time_zones() else None


def set_reading(person: Person, given: Mapping[str, str]) -> list[str]:
    """Keep the settings named in `given`; all of them or none. Returns what was changed."""
    wanted = {name: given[name] for name in _FIELDS if name in given}
    wrong = {
        name: [_("Choose one of these.")] for name in wanted if not _FIELDS[name](wanted[name])
    }
    if wrong:
        raise Invalid(_("There is no such choice. Nothing was changed."), details=wrong)
    changed = [name for name, value in wanted.items() if getattr(person, name) != value]
    if changed:
        Person.objects.filter(pk=person.pk).update(**{name: wanted[name] for name in changed})
        for name in changed:
            setattr(person, name, wanted[name])
    return changed
