"""Help to read pages: who asks, what the page says, and that it is fit for the strict content security policy."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from django.test import Client

from watchkeeper.accounts.models import Person


def browser(person: Person | None = None) -> Client:
    client = Client()
    if person:
        client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def said(response: Any) -> str:  # Any: the test client's response
    """The text of a page, without its tags, as a reader sees it."""
    html = response.content.decode()
    body = html.partition('<main class="main')[2] or html
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body))).replace("\u00a0", " ")


def check_policy(response: Any) -> None:  # Any: the test client's response
    """No inline script, no inline style, no event handler."""
    html = response.content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", html)
