"""Template filters for what comes from outside: every piece of platform text passes one of them."""

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from reviews import marks

register = template.Library()

# data-n says how many characters of the original a mark stands for (answer.js counts them).
_OPEN = {
    marks.GLYPH: '<span class="glyph" title="{}"{}>',
    marks.URL: '<span class="url" title="{}"{}>',
    marks.STYLED: '<span class="styled" title="{}"{}>',
    marks.SPACE: '<span class="glyph"{}{}>',
}


@register.filter
def marked(text: object) -> SafeString:
    """Escaped, with marks; white space is kept by the class around it (.text)."""
    return mark_safe("".join(_html(run) for run in marks.runs(str(text))))  # noqa: S308


@register.filter
def name(text: object) -> SafeString:
    """A short piece (a name, a title) kept from reordering what stands beside it."""
    return mark_safe(f"<bdi>{marked(text)}</bdi>")  # noqa: S308


def _html(run: marks.Run) -> str:
    if run.kind == marks.PLAIN:
        # A browser reads a bare carriage return as a line break, and would count one less.
        return escape(run.text).replace("\r", "&#13;")
    size = "" if run.size is None else f' data-n="{run.size}"'
    return f"{_OPEN[run.kind].format(escape(run.title), size)}{escape(run.text)}</span>"
