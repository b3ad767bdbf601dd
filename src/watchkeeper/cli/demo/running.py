"""Run the demo: found the company, serve, replay, hand over to a worker, stay live."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
import webbrowser
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from watchkeeper.core.clock import write_clock
from watchkeeper.core.errors import Conflict, Unavailable
from watchkeeper.core.settings import DEMO_MARK

if TYPE_CHECKING:
    from watchkeeper.cli.demo.replay import Feed, State

out = Console(highlight=False, soft_wrap=True)
START_SECONDS = 60.0
LIVE_SECONDS = 20.0
WEEK_SECONDS = 6.5 * 86_400


def run_demo(folder: Path, *, host: str, port: int, stay: bool, fresh: bool) -> int:
    """Everything, with progress. Ctrl-C ends it; the next start goes on where this one stopped."""
    began = time.monotonic()
    address = f"http://{host}:{port}"
    _prepare(folder, address, fresh=fresh)
    from watchkeeper.cli import use_folder

    use_folder(folder)
    from watchkeeper.cli.demo import flights
    from watchkeeper.cli.demo.replay import Feed
    from watchkeeper.cli.founding import first_sign_in

    is_new = not (folder / DEMO_MARK).exists()
    with (
        Progress(TextColumn("{task.description:24}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn(), console=out) as progress,
        ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_use_one_core) as other,
    ):
        task = progress.add_task("Training on Jan, Feb", total=1, said="")
        training = other.submit(flights.train)  # on the other core, while this one makes the schema and the company, and the server starts
        state = _founded(folder, address, flights.shift_to(_now())) if is_new else _resumed(folder)
        server = _serve(host, port)
        try:
            _wait_until_it_answers(address, server)
            scored = training.result()
            progress.update(task, completed=1, said=f"{len(scored.training):,} flights")
            feed = Feed(scored, state, address, folder, _now())
            _replay(feed, folder, progress, is_new=is_new)
        except BaseException:
            _end([server])
            raise
    write_clock(folder, offset_seconds=0)
    out.print(f"Ready after {time.monotonic() - began:.0f} seconds: [bold]{address}[/bold]")
    link = first_sign_in(address)
    if link:
        out.print(f"Sign in, once: [bold]{link}[/bold]", soft_wrap=True)
    if not stay:
        feed.close()
        _end([server])
        return 0
    _open(link or address)
    return _stay(feed, folder, server)


def _prepare(folder: Path, address: str, *, fresh: bool) -> None:
    """A folder of our own, and the settings that fit a moved clock."""
    if folder.exists() and any(folder.iterdir()) and not (folder / DEMO_MARK).exists() and not (folder / "demo.started").exists():
        raise Conflict(f"{folder} holds something else.", remedy="Give another folder with --data.")
    if fresh or not (folder / DEMO_MARK).exists():
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "demo.started").touch()
    os.environ.setdefault("WATCHKEEPER_COMPANY", "Meridian")
    os.environ["WATCHKEEPER_BASE_URL"] = address
    os.environ["WATCHKEEPER_OUTGOING_ALLOW"] = "127.0.0.1"
    os.environ["WATCHKEEPER_LOG_COMMIT_SECONDS"] = str(WEEK_SECONDS)  # of the moved clock: one commit of the log a week


def _use_one_core() -> None:
    """For the process that trains: threads that spin for each other on busy cores made it take four times as long."""
    os.environ["OMP_NUM_THREADS"] = "1"


def _now() -> datetime:
    from watchkeeper.cli.demo.replay import local

    return local(datetime.now(UTC))


def _founded(folder: Path, address: str, shift: timedelta) -> State:
    """Schema, company and models, as of the first of March."""
    from watchkeeper.cli.demo import flights, scenario
    from watchkeeper.cli.demo.replay import State, utc
    from watchkeeper.cli.founding import migrate

    start = flights.TRAINED_UNTIL + shift
    (folder / DEMO_MARK).write_text("{}")  # from here on the folder may move its clock
    write_clock(folder, now=utc(start))
    migrate()
    state = State(scenario.found_company(utc(start), base_url=address), shift, start)
    state.write(folder)
    return state


def _resumed(folder: Path) -> State:
    from watchkeeper.cli.demo.replay import State, utc
    from watchkeeper.cli.founding import migrate

    state = State.read(folder)
    write_clock(folder, now=utc(state.sent_until))
    migrate()
    return state


def _replay(feed: Feed, folder: Path, progress: Progress, *, is_new: bool) -> None:
    from watchkeeper.cli.demo.replay import replay, utc
    from watchkeeper.core.clock import clock_of
    from watchkeeper.monitoring.services import forget_missed
    from watchkeeper.worker import steps

    shop = steps.Workshop(clock_of(folder, is_demo=True))
    days = max((_now() - feed.state.sent_until).days, 1)
    bar = progress.add_task("Replaying the year", total=days, said="")
    rows = 0

    def work() -> None:
        for step in (steps.apply, steps.evaluate, steps.remind, steps.deliver, steps.seal):
            step(shop)

    began = feed.state.sent_until

    def on_day(sent: int) -> None:
        nonlocal rows
        rows += sent
        progress.update(bar, completed=(feed.state.sent_until - began).days, said=f"{feed.state.sent_until:%d %b %Y}, {rows:,} flights")

    if is_new:
        feed.log_trainings(utc(feed.state.sent_until))
        work()
    replay(feed, until=_now(), move_clock=lambda at: write_clock(folder, now=at), work=work, on_day=on_day)
    forget_missed()
    feed.state.write(folder)
    progress.update(bar, completed=days)


def _serve(host: str, port: int) -> subprocess.Popen[bytes]:
    from watchkeeper.cli.running import web_child

    return subprocess.Popen(web_child(host=host, port=port, processes=1))  # noqa: S603 - our own command line


def _wait_until_it_answers(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(timeout=5) as client:
        while time.monotonic() < deadline and server.poll() is None:
            try:
                client.get(f"{address}/static/watchkeeper/app.css")
            except httpx.HTTPError:
                time.sleep(0.1)
            else:
                return
    raise Unavailable(f"The server did not start at {address}.", remedy="Is the port taken? Choose another with --port.")


def _stay(feed: Feed, folder: Path, server: subprocess.Popen[bytes]) -> int:
    """Live: flights are sent as they are due, a worker works, until Ctrl-C."""
    from watchkeeper.cli.running import worker_child

    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    os.environ.pop("WATCHKEEPER_LOG_COMMIT_SECONDS", None)
    worker = subprocess.Popen(worker_child())  # noqa: S603 - our own command line
    out.print("Live: flights are sent as they leave. Ctrl-C ends it; `make run` goes on from here.")
    while not stop.wait(LIVE_SECONDS):
        now = _now()
        feed.send_between(feed.state.sent_until, now)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if feed.state.sent_until < midnight <= now and midnight.weekday() == 0:
            feed.send_week(midnight)
        feed.state.sent_until = now
        feed.state.write(folder)
    feed.close()
    _end([server, worker])
    return 0


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()


def _open(link: str) -> None:
    """In a browser, where there is one to see."""
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.name == "nt" or os.uname().sysname == "Darwin":
        webbrowser.open(link)
