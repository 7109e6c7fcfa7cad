"""Fixed words of a template are translated when it is compiled, not with each answer.

The desk shows some eighty of them with every job. `{% load i18n %}` finds the library below (see
TEMPLATES in settings.py): the same tags as Django's, two of them quicker where nothing varies.
"""

from collections.abc import Iterable

from django.template.base import FilterExpression, Node, Parser, TextNode, Token, TokenType
from django.template.library import Library
from django.template.loaders import cached
from django.templatetags import i18n
from django.utils.translation import get_language, gettext

register = Library()
register.tags.update(i18n.register.tags)
register.filters.update(i18n.register.filters)


class Loader(cached.Loader):
    """Keeps compiled templates by language."""

    def cache_key(self, template_name: str, skip: Iterable | None = None) -> str:
        return f"{get_language()}-{super().cache_key(template_name, skip)}"


def _translate(parser: Parser, token: Token) -> Node:
    node = i18n.do_translate(parser, token)
    if node.noop or node.asvar or node.message_context or not _is_fixed(node.filter_expression):
        return node
    # As Django does it: catalogues hold percent signs doubled.
    message = node.filter_expression.var.literal.replace("%", "%%")
    return TextNode(gettext(message).replace("%%", "%"))


def _blocktranslate(parser: Parser, token: Token) -> Node:
    node = i18n.do_block_translate(parser, token)
    is_fixed = not (node.extra_context or node.plural or node.asvar or node.message_context)
    if not is_fixed or any(part.token_type != TokenType.TEXT for part in node.singular):
        return node
    message, _ = node.render_token_list(node.singular)
    return TextNode(gettext(message).replace("%%", "%"))


def _is_fixed(expression: FilterExpression) -> bool:
    return not expression.filters and getattr(expression.var, "lookups", ()) is None


register.tag("translate", _translate)
register.tag("trans", _translate)
register.tag("blocktranslate", _blocktranslate)
register.tag("blocktrans", _blocktranslate)
