"""What every kind of channel must do; its subjects are found by discovery, so a new file is tested before it has a test of its own."""

from __future__ import annotations

import inspect
import json
import socket
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from watchkeeper import channels
from watchkeeper.channels import ChannelConfig, ChannelKind, Outgoing, OutgoingPolicy, Receipt, Result
from watchkeeper.channels._config import MASK
from watchkeeper.core.errors import InvalidInput, NotFound

MESSAGE = Outgoing(
    key="contract", subject="Subject", text="Text", html="<p>Text</p>", body=b"{}", sent_at=datetime(2026, 11, 22, tzinfo=UTC), to="owner@example.com"
)

each_kind = pytest.mark.parametrize("kind", channels.catalogue().values(), ids=channels.catalogue())


def test_the_built_in_kinds_are_found() -> None:
    assert {"email", "webhook"} <= channels.catalogue().keys()


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(NotFound) as caught:
        channels.get("pigeon")

    assert "email" in caught.value.remedy


@each_kind
def test_it_has_a_title_a_page_and_examples(kind: ChannelKind) -> None:
    assert kind.title
    assert kind.page
    assert kind.examples


@each_kind
def test_every_setting_has_a_description(kind: ChannelKind) -> None:
    schema = json.loads(json.dumps(kind.config.model_json_schema()))

    assert [name for name, setting in schema["properties"].items() if not setting.get("description")] == []
    assert schema["additionalProperties"] is False


@each_kind
def test_its_examples_survive_storing(kind: ChannelKind) -> None:
    for example in kind.examples:
        config = kind.parse_config(example.config)

        assert kind.parse_config(json.loads(json.dumps(config.revealed()))) == config


@each_kind
def test_its_secrets_show_as_stars_and_stay_when_the_stars_come_back(kind: ChannelKind) -> None:
    for example in kind.examples:
        config = kind.parse_config(example.config)
        masked = config.masked()

        secrets = [secret for name in kind.secret_fields for secret in _leaves(config.revealed()[name])]
        assert [secret for secret in secrets if secret in f"{json.dumps(masked)} {config!r}"] == []
        assert kind.parse_config(masked, previous=config) == config


@each_kind
def test_its_secrets_do_not_move_to_another_destination(kind: ChannelKind) -> None:
    assert kind.config.DESTINATION or not kind.secret_fields
    for example in kind.examples:
        config = kind.parse_config(example.config)
        if MASK not in _leaves(config.masked()):
            continue
        for name in kind.config.DESTINATION:
            with pytest.raises(InvalidInput, match="cannot be kept"):
                kind.parse_config({**config.masked(), name: "elsewhere.example"}, previous=config)


@each_kind
def test_stars_without_a_secret_behind_them_are_not_taken_for_one(kind: ChannelKind) -> None:
    for name in kind.secret_fields:
        with pytest.raises(InvalidInput):
            kind.parse_config({**kind.examples[0].config, name: MASK})


@each_kind
def test_an_unknown_setting_is_refused_by_name(kind: ChannelKind) -> None:
    with pytest.raises(InvalidInput) as caught:
        kind.parse_config({**kind.examples[0].config, "no_such_setting": 1})

    assert list(caught.value.fields) == ["no_such_setting"]


@each_kind
def test_send_takes_a_message_its_config_and_the_policy(kind: ChannelKind) -> None:
    assert list(inspect.signature(kind.send).parameters) == ["outgoing", "config", "policy"]


@each_kind
@pytest.mark.parametrize(
    "fault", [OSError("no route to host"), TimeoutError(), socket.gaierror(-2, "unknown name"), ConnectionResetError()], ids=repr
)
def test_an_unreachable_receiver_is_tried_again_and_nothing_is_raised(kind: ChannelKind, fault: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(socket, "getaddrinfo", refuse)

    assert [_attempt(kind, config).result for config in _examples(kind)] == [Result.RETRY] * len(kind.examples)


@each_kind
def test_a_private_receiver_is_refused(kind: ChannelKind, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **options: real("127.0.0.1", *rest, **options))

    assert [_attempt(kind, config).result for config in _examples(kind)] == [Result.REFUSED] * len(kind.examples)


def test_secrets_are_found_wherever_they_are() -> None:
    class Inner(ChannelConfig):
        token: SecretStr

    class Config(ChannelConfig):
        plain: str
        bare: SecretStr
        maybe: SecretStr | None
        many: dict[str, SecretStr]
        inner: tuple[Inner, ...]

    assert channels._config.secret_fields(Config) == {"bare", "maybe", "many", "inner"}


def _examples(kind: ChannelKind) -> list[ChannelConfig]:
    return [kind.parse_config(example.config) for example in kind.examples]


def _attempt(kind: ChannelKind, config: ChannelConfig) -> Receipt:
    return kind.send(MESSAGE, config, OutgoingPolicy())


def _leaves(value: object) -> list[str]:
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in _leaves(part)]
    return [value] if isinstance(value, str) and value else []
