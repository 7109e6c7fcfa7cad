"""An included template is looked up once by what includes it, not with each answer: the desk
includes sixteen with every job, and a look-up costs as much as a row of a list.

Stands for Django's own tag (builtins in settings.py). What includes is kept by language
(early_translation.py), and so is what it has found.
"""

from django.template import Context, Library
from django.template.base import Parser, Template, Token
from django.template.loader_tags import IncludeNode, do_include

register = Library()


class _Found:
    """The name of a template, as an expression that says the template itself."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.template: Template | None = None

    def __str__(self) -> str:
        return repr(self.name)

    def resolve(self, context: Context) -> Template:
        # Found while rendering, not while compiling: a thread's replies include each other.
        if self.template is None:
            self.template = context.template.engine.get_template(self.name)
        return self.template


@register.tag
def include(parser: Parser, token: Token) -> IncludeNode:
    node = do_include(parser, token)
    expression = node.template
    if isinstance(expression.var, str) and not expression.filters:
        node.template = _Found(expression.var)
    return node
