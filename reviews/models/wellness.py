"""What a person sets for her own sake: no page, API or audit entry shows it to anybody else."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from .people import Person


class Wellbeing(models.Model):
    """One person's own settings. Without a row, all is as her queues and platform have it."""

    class Reveal(models.TextChoices):
        CLICK = "click", _("One press shows it, another covers it")
        HOLD = "hold", _("Only while I hold the key or the button")

    class Strength(models.IntegerChoices):
        """How strongly what is blurred is blurred; wellness.css says what each means."""

        STRONG = 1, _("Strong")
        STRONGER = 2, _("Stronger")
        STRONGEST = 3, _("Strongest: only light and colour are left")

    person = models.OneToOneField(
        Person, on_delete=models.CASCADE, primary_key=True, related_name="wellbeing"
    )
    # {filter: "on" or "off"}; what is not named is as the queue says.
    filters = models.JSONField(default=dict)
    reveal = models.CharField(max_length=5, choices=Reveal.choices, default=Reveal.CLICK)
    strength = models.PositiveSmallIntegerField(choices=Strength.choices, null=True, blank=True)
    opt_outs = ArrayField(models.CharField(max_length=40), default=list)  # harms

    def __str__(self) -> str:
        return f"wellbeing of {self.person_id}"
