"""The cast, always the same. rosa and remy review; everyone else has one role of her own."""

from reviews.models import Person, Platform, Role

CAST = {
    "rosa": Role.REVIEWER,
    "remy": Role.REVIEWER,
    "lena": Role.LEAD,
    "paul": Role.POLICY_OWNER,
    "mila": Role.ML_ENGINEER,
    "abel": Role.AUDITOR,
    "ada": Role.ADMIN,
    "otto": None,
}


def make_person(name: str, *, platform: Platform | None = None) -> Person:
    """One of the cast, with her role; a member of `platform` if it is given."""
    from django.contrib.auth.models import Group

    person, created = Person.objects.get_or_create(username=name)
    if created:
        person.set_unusable_password()
        person.save()
    if CAST[name]:
        person.groups.add(Group.objects.get_or_create(name=CAST[name])[0])
    if platform is not None:
        platform.members.add(person)
    return person
