"""Delivery channels: one file each, found by discovery. File name = key = its page /channels/kinds/KEY/ = test name. Knows no Django and keeps no state.

A file holds its docstring (first line = title, the rest = the page), `Config`, `IS_FOR_PEOPLE`, `send` and `EXAMPLES`. `make new-channel NAME`
writes one. Third parties use the entry-point group `watchkeeper.channels`. `send` tries once and says what became of it: grouping, retries and
dead letters belong to the outbox, and the inbox in the application is rows of the control store, not a channel.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from watchkeeper.channels._addresses import BlockedAddress, OutgoingPolicy, permitted_addresses
from watchkeeper.channels._config import ChannelConfig, keep_secrets, secret_fields
from watchkeeper.channels._message import Outgoing, Receipt, Result
from watchkeeper.channels._outgoing import LinkCheck, check_link, outgoing_client
from watchkeeper.core.errors import InvalidInput, NotFound
from watchkeeper.core.plugins import load_catalogue, title_and_page

__all__ = [
    "BlockedAddress",
    "ChannelConfig",
    "ChannelKind",
    "Example",
    "LinkCheck",
    "Outgoing",
    "OutgoingPolicy",
    "Receipt",
    "Result",
    "catalogue",
    "check_link",
    "get",
    "outgoing_client",
    "permitted_addresses",
]

GROUP = "watchkeeper.channels"
_PARTS = ("Config", "IS_FOR_PEOPLE", "send", "EXAMPLES")


@dataclass(frozen=True, kw_only=True)
class Example:
    """A configuration the documentation shows and the contract test validates."""

    title: str
    config: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON of the configuration


@dataclass(frozen=True, kw_only=True)
class ChannelKind:
    """A way to deliver. `is_for_people`: people read it, so messages are grouped and addressed (`Outgoing.to`); otherwise machines read `body`."""

    key: str
    title: str
    page: str
    config: type[ChannelConfig]
    send: Callable[[Outgoing, Any, OutgoingPolicy], Receipt]  # Any: the file's own Config, checked by the contract test
    secret_fields: frozenset[str]
    is_for_people: bool
    examples: tuple[Example, ...]

    def parse_config(self, given: Mapping[str, Any], *, previous: ChannelConfig | None = None) -> ChannelConfig:  # Any: JSON from outside
        """A validated configuration; a secret that comes back masked is kept from `previous`, as long as it still goes to the same place."""
        try:
            return self.config.model_validate(keep_secrets(given, self.config, previous))
        except ValidationError as problem:
            fields = {".".join(map(str, error["loc"])) or "config": error["msg"] for error in problem.errors()}
            raise InvalidInput(
                f"The configuration of {self.key} is wrong: " + "; ".join(f"{name}: {message}" for name, message in fields.items()),
                remedy=f"Known settings: {', '.join(sorted(self.config.model_fields))}. Its page is /channels/kinds/{self.key}/.",
                fields=fields,
            ) from problem


@cache
def catalogue() -> Mapping[str, ChannelKind]:
    """All kinds of channel by key."""
    return load_catalogue(sys.modules[__name__], group=GROUP, build=_build)


def get(key: str) -> ChannelKind:
    found = catalogue().get(key)
    if found is None:
        raise NotFound(f"No kind of channel {key!r}.", remedy=f"Known: {', '.join(catalogue())}.")
    return found


def _build(key: str, module: ModuleType) -> ChannelKind:
    title, page = title_and_page("Channel", key, module, parts=_PARTS, hint="`make new-channel NAME` writes a complete file.")
    return ChannelKind(
        key=key,
        title=title,
        page=page,
        config=module.Config,
        send=module.send,
        secret_fields=secret_fields(module.Config),
        is_for_people=module.IS_FOR_PEOPLE,
        examples=tuple(module.EXAMPLES),
    )
