"""Whom outgoing calls may reach. The canary listens on every loopback address and must never be visited without leave."""

from __future__ import annotations

import time

import pytest

from tests.channels.conftest import Canary, Names, RawServer, Receiver
from tests.patience import PROMPT
from watchkeeper import channels
from watchkeeper.channels import BlockedAddress, Outgoing, OutgoingPolicy, Result, check_link, outgoing_client
from watchkeeper.core.errors import InvalidInput

WEBHOOK = channels.get("webhook")
EMAIL = channels.get("email")

PRIVATE_HOSTS = [
    "127.0.0.1",
    "127.1",
    "127.255.255.254",
    "0",
    "0.0.0.0",  # noqa: S104  # called, not listened on
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "017700000001",
    "localhost",
    "LOCALHOST",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "192.0.0.10",
    "100.64.0.1",
    "169.254.169.254",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[fd00::1]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
]


@pytest.mark.parametrize("host", PRIVATE_HOSTS)
def test_a_private_address_is_never_called(host: str, canary: Canary, message: Outgoing) -> None:
    url = f"http://{host}:{canary.port}/"

    link = check_link(url, OutgoingPolicy())
    hook = WEBHOOK.send(message, WEBHOOK.parse_config({"url": url}), OutgoingPolicy())

    assert (link.ok, link.is_blocked) == (False, True)
    assert hook.result is Result.REFUSED
    assert "WATCHKEEPER_OUTGOING_ALLOW" in hook.detail.render()
    assert not canary.visits


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "0"])
def test_a_private_mail_server_is_never_called(host: str, canary: Canary, message: Outgoing) -> None:
    config = EMAIL.parse_config({"host": host, "port": canary.port, "from_address": "wk@example.com", "to": ["team@example.com"]})

    assert EMAIL.send(message, config, OutgoingPolicy()).result is Result.REFUSED
    assert not canary.visits


@pytest.mark.parametrize(
    "url", ["http://good.example@127.0.0.1:{port}", "http://good.example:80@127.0.0.1:{port}/", "http://127.0.0.1:{port}#@good.example"]
)
def test_an_address_in_disguise_is_never_called(url: str, canary: Canary) -> None:
    assert check_link(url.format(port=canary.port), OutgoingPolicy()).is_blocked
    assert not canary.visits


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1",
        "ftp://example.com",
        "//example.com",
        "example.com",
        "",
        "http://",
        "http://a b/",
        "http://x\r\ny",
        "http://x:99999",
    ],
)
def test_what_is_no_web_address_is_not_a_link(url: str) -> None:
    link = check_link(url, OutgoingPolicy())

    assert not link.ok
    assert not link.is_blocked


@pytest.mark.parametrize("host", [".example.com", "a..b", "a" * 70 + ".example", "xn--", "xn--a.example"])
def test_an_impossible_name_is_not_found(host: str) -> None:
    assert not check_link(f"https://{host}/", OutgoingPolicy()).ok


@pytest.mark.parametrize("host", ["0177.0.0.1", "127.0.0.1.", "localhost.", "localhost%00.example.com"])
def test_an_address_some_systems_do_not_read_is_not_called_either(host: str, canary: Canary) -> None:
    assert not check_link(f"http://{host}:{canary.port}", OutgoingPolicy()).ok
    assert not canary.visits


def test_a_name_that_resolves_to_a_private_address_is_never_called(names: Names, canary: Canary) -> None:
    names.answers["rebind.example"] = ["127.0.0.1"]

    assert check_link(f"http://rebind.example:{canary.port}", OutgoingPolicy()).is_blocked
    assert not canary.visits


def test_a_name_is_looked_up_once_so_its_second_answer_never_counts(names: Names, canary: Canary) -> None:
    names.answers["rebind.example"] = ["127.0.0.2", "127.0.0.1"]

    check_link(f"http://rebind.example:{canary.port}", OutgoingPolicy.parse("127.0.0.2"))

    assert names.asked == ["rebind.example"]
    assert set(canary.visits) == {"127.0.0.2"}  # the canary sings the address it was called by


def test_a_redirect_to_a_private_address_is_not_followed(receiver: Receiver, canary: Canary, message: Outgoing, loopback: OutgoingPolicy) -> None:
    receiver.status, receiver.headers = 302, {"Location": f"http://localhost:{canary.port}/"}

    link = check_link(receiver.url, loopback)
    hook = WEBHOOK.send(message, WEBHOOK.parse_config({"url": receiver.url}), loopback)

    assert link.ok
    assert hook.result is Result.REFUSED
    assert not canary.visits


def test_proxies_of_the_environment_are_ignored(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver, canary: Canary, loopback: OutgoingPolicy
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)

    assert check_link(receiver.url, loopback).ok
    assert not canary.visits


@pytest.mark.parametrize("allow", ["127.0.0.1", "127.0.0.1:{port}", "127.0.0.0/8", "10.0.0.0/8, 127.0.0.1"])
def test_the_allow_list_lets_its_entries_through(allow: str, receiver: Receiver) -> None:
    assert check_link(receiver.url, OutgoingPolicy.parse(allow.format(port=receiver.port))).ok


@pytest.mark.parametrize("allow", ["127.0.0.1:1", "127.0.0.2", "10.0.0.0/8", "localhost", "27.0.0.1"])
def test_the_allow_list_lets_nothing_else_through(allow: str, receiver: Receiver) -> None:
    assert check_link(receiver.url, OutgoingPolicy.parse(allow)).is_blocked
    assert not receiver.requests


def test_an_allowed_name_may_be_private(names: Names, receiver: Receiver) -> None:
    names.answers["git.corp.example"] = ["127.0.0.1"]

    assert check_link(f"http://Git.Corp.Example:{receiver.port}", OutgoingPolicy.parse("GIT.corp.example")).ok


@pytest.mark.parametrize("setting", ["http://git.corp.example", "*", "*.corp.example", "10.0.0.0/40"])
def test_an_entry_that_would_never_match_is_an_error(setting: str) -> None:
    with pytest.raises(InvalidInput, match="not understood"):
        OutgoingPolicy.parse(setting)


@pytest.mark.parametrize("address", ["8.8.8.8", "192.0.1.1", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"])
def test_a_public_address_may_be_called(address: str) -> None:
    assert OutgoingPolicy().permits("public.example", 443, address)


def test_the_error_says_what_to_do_and_not_where_the_name_leads(names: Names) -> None:
    names.answers["git.corp.example"] = ["10.20.30.40"]

    with outgoing_client(OutgoingPolicy()) as client, pytest.raises(BlockedAddress) as caught:
        client.get("http://git.corp.example")

    assert "administrator" in caught.value.remedy
    assert "10.20.30.40" not in f"{caught.value}{caught.value.text.render()}"


@pytest.mark.parametrize(
    ("status", "ok"), [(200, True), (301, True), (401, True), (403, True), (429, True), (404, False), (410, False), (500, False), (503, False)]
)
def test_a_link_is_alive_or_dead_by_its_answer(status: int, ok: bool, receiver: Receiver, loopback: OutgoingPolicy) -> None:
    receiver.status = status

    link = check_link(receiver.url, loopback)

    assert (link.ok, link.detail.render()) == (ok, f"answers {status}")


@pytest.mark.parametrize("head", [404, 501])
def test_a_page_that_does_not_know_head_is_asked_with_get(head: int, receiver: Receiver, loopback: OutgoingPolicy) -> None:
    receiver.answers = {"HEAD": head, "GET": 200}

    assert check_link(receiver.url, loopback).ok
    assert [request.method for request in receiver.requests] == ["HEAD", "GET"]


def test_a_dead_host_is_a_dead_link(dead_port: int, loopback: OutgoingPolicy) -> None:
    link = check_link(f"http://127.0.0.1:{dead_port}", loopback)

    assert not link.ok
    assert not link.is_blocked


def test_a_silent_host_is_a_dead_link_in_time(raw_server: RawServer, loopback: OutgoingPolicy) -> None:
    started = time.monotonic()

    link = check_link(f"http://127.0.0.1:{raw_server(lambda connected: time.sleep(3 * PROMPT))}", loopback)

    assert (link.ok, link.detail.render()) == (False, "no answer in time")
    assert time.monotonic() - started < PROMPT
