"""Two servers never share a port: web processes would, and each would get every other call of the other."""

from __future__ import annotations

import socket

import pytest

from watchkeeper.cli.running import check_port
from watchkeeper.core.errors import Conflict


def test_a_port_in_use_is_refused_even_when_it_may_be_shared() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(Conflict, match=rf"Port {port} of 127.0.0.1 cannot be used: Address already in use.$"):
            check_port("127.0.0.1", port)

    check_port("127.0.0.1", port)
