"""What every channel's configuration has: strict fields, secrets that show as stars, and that stay when the stars come back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, SecretStr
from pydantic_core import to_jsonable_python

from watchkeeper.core.errors import InvalidInput

MASK = str(SecretStr("any"))


class ChannelConfig(BaseModel):
    """Base of every channel's configuration: each field has a description, secrets are `SecretStr`, unknown names are refused.

    `DESTINATION` names the fields that say where the secrets are sent: changing one asks for the secrets again, so that nobody who may edit
    a channel can have its secrets delivered to himself.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    DESTINATION: ClassVar[tuple[str, ...]] = ()

    def masked(self) -> dict[str, Any]:  # Any: JSON
        """JSON for answers and pages: every secret shows as stars."""
        return self.model_dump(mode="json")

    def revealed(self) -> dict[str, Any]:  # Any: JSON
        """JSON with the secrets in clear, from which the same configuration is parsed again: encrypt it before it rests."""
        revealed: dict[str, Any] = to_jsonable_python(_reveal(self.model_dump()))
        return revealed


def secret_fields(config: type[BaseModel]) -> frozenset[str]:
    """Names of the fields whose type holds a secret anywhere: `SecretStr`, `dict[str, SecretStr]`, a model with one."""
    return frozenset(name for name, field in config.model_fields.items() if _holds_secret(field.annotation))


def keep_secrets(given: Mapping[str, Any], config: type[ChannelConfig], previous: ChannelConfig | None) -> dict[str, Any]:  # Any: JSON
    """The given configuration, with the stars replaced by the secrets they stand for."""
    masked = {name: given[name] for name in sorted(secret_fields(config)) if name in given and _has_mask(given[name])}
    if not masked:
        return dict(given)
    stored = previous.revealed() if previous else {}
    moved = [name for name in config.DESTINATION if given.get(name, config.model_fields[name].default) != stored.get(name)]
    if moved:
        raise InvalidInput(
            f"{', '.join(masked)} cannot be kept: {', '.join(moved)} is not what it was given for.",
            remedy=f"Give {', '.join(masked)} again in clear, or leave it out.",
            fields=dict.fromkeys(masked, "give it again"),
        )
    return {**given, **{name: _unmask(value, stored.get(name)) for name, value in masked.items()}}


def _holds_secret(annotation: Any) -> bool:  # Any: a type annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return bool(secret_fields(annotation))
    return annotation is SecretStr or any(map(_holds_secret, get_args(annotation)))


def _has_mask(given: Any) -> bool:  # Any: JSON
    return any(map(_has_mask, given.values())) if isinstance(given, Mapping) else given == MASK


def _unmask(given: Any, stored: Any) -> Any:  # Any: JSON
    if isinstance(given, Mapping):
        known = stored if isinstance(stored, Mapping) else {}
        return {name: _unmask(value, known.get(name)) for name, value in given.items()}
    return stored if given == MASK else given


def _reveal(value: Any) -> Any:  # Any: a dumped model
    if isinstance(value, Mapping):
        return {name: _reveal(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_reveal(part) for part in value]
    return value.get_secret_value() if isinstance(value, SecretStr) else value
