"""How values of the platform look to a reader: texts in their language and zone."""

from __future__ import annotations

from typing import Any

from django.utils import timezone, translation
from django.utils.translation import gettext

from watchkeeper.core.text import Text


def words(text: Text | dict[str, Any] | None) -> str:  # Any: a stored Text
    """A stored sentence in the reader's language and time zone."""
    if not isinstance(text, Text):
        text = Text.from_json(text)
    return text.render(translate=lambda message: gettext(message) if message else "", language=translation.get_language() or "en", zone=timezone.get_current_timezone())
