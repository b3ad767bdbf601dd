"""A child gets no lock that nobody will open: what a background thread must finish, it finishes before the fork."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import watchkeeper
from tests.patience import PATIENCE
from watchkeeper.client._batches import Batch
from watchkeeper.client._forks import FORK_SECONDS, held_back
from watchkeeper.client._locks import lock, locked
from watchkeeper.client._spool import Spool
from watchkeeper.client._wire import JSON, Stream

TOKEN = "wk_a1b2_SecretSecretSecret"
FORKS = 12
FORKS_AT_THE_START = """
import os, sys, time, watchkeeper
client = watchkeeper.connect(*sys.argv[1:3], spool=sys.argv[3])
children = []
for number in range(int(sys.argv[4])):
    child = os.fork()
    if child == 0:
        client.log_event(f"child-{number}")
        client.flush(float(sys.argv[5]))
        os._exit(0)
    children.append(child)
    time.sleep(0.005)
sys.exit(max(os.waitpid(child, 0)[1] for child in children) and 1)
"""


def test_children_forked_while_their_parent_starts_deliver_their_rows(receiver: Any, spool: Path) -> None:
    """Its threads import, load certificates and make a folder meanwhile: in a process of its own, where nothing is loaded yet."""
    script = [sys.executable, "-c", FORKS_AT_THE_START, receiver.url, TOKEN, str(spool), str(FORKS), str(PATIENCE)]
    subprocess.run(script, check=True)

    assert sorted(row["type"] for row in receiver.rows("events")) == sorted(f"child-{number}" for number in range(FORKS))


def test_a_fork_waits_for_what_is_held_back() -> None:
    is_inside, steps = threading.Event(), []

    def work() -> None:
        with held_back(), held_back():  # one inside the other is one
            is_inside.set()
            time.sleep(0.2)
            steps.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    is_inside.wait()

    assert _of_a_child(lambda: len(steps)) == 1
    thread.join()


def test_a_thread_may_fork_in_the_middle_of_what_it_holds_back() -> None:
    started = time.monotonic()
    with held_back():
        assert _of_a_child(lambda: 7) == 7

    assert time.monotonic() - started < FORK_SECONDS  # it did not wait for itself


def test_a_child_keeps_no_lock_that_its_parent_has_opened(tmp_path: Path) -> None:
    told, tell = os.pipe()
    with locked(tmp_path / ".lock", wait=True):
        child = os.fork()
        if child == 0:
            os.read(told, 1)
            os._exit(0)
    handle = lock(tmp_path / ".lock")
    os.write(tell, b".")
    os.waitpid(child, 0)

    assert handle is not None
    for number in (handle, told, tell):
        os.close(number)


def test_the_spool_of_a_living_process_is_measured_while_it_empties(tmp_path: Path) -> None:
    living, other = Spool([tmp_path], 10**9), Spool([tmp_path], 10**9)
    is_over = threading.Event()

    def live() -> None:
        while not is_over.is_set():
            living.write(Batch("a1", Stream.EVENTS, 1, JSON, b"{}"))
            if taken := living.take():
                living.remove(taken)
            living.close()

    thread = threading.Thread(target=live)
    thread.start()
    try:
        for _ in range(2_000):
            other.adopt()
    finally:
        is_over.set()
        thread.join()
        other.close()


def test_a_client_that_is_off_may_be_forked() -> None:
    client = watchkeeper.connect("", "")

    assert _of_a_child(lambda: client.log_event("x") or 3) == 3


def _of_a_child(answer: Callable[[], int]) -> int:
    """What a forked child says, as its exit code."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(answer())
        except BaseException:  # the child must never go on as a second pytest
            traceback.print_exc()
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
