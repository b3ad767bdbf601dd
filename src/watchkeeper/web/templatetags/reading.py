"""Filters for texts of the catalogue: titles of risks, words in backquotes."""

from __future__ import annotations

import re

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from watchkeeper import risks
from watchkeeper.web.present import translated

register = template.Library()


@register.filter
def risk_title(key: str) -> str:
    """The title of a type of risk in the reader's language; its key when it is not installed any more."""
    kind = risks.catalogue().get(key)
    return translated(kind.title) if kind else key


@register.filter
def codes(text: str) -> SafeString:
    """Escaped text, with what stands in backquotes as code."""
    return mark_safe(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))  # noqa: S308  # escaped first
