"""A real server and a real Chromium."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.patience import PATIENCE
from tests.servers import Server

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright keeps an event loop in this thread; the server has its own processes
expect.set_options(timeout=PATIENCE * 1000)
QUIET = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(
        tmp_path_factory.mktemp("browser") / "data", settings={"WATCHKEEPER_PROFILE_REFRESH_SECONDS": "0", "WATCHKEEPER_LOG_COMMIT_SECONDS": "0"}
    ) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert executable, "The browser tests need Chromium: install the package chromium."
    arguments = QUIET + (["--no-sandbox"] if os.getuid() == 0 else [])
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=arguments)
        yield running
        running.close()


@dataclass
class Visit:
    """A page whose errors count: a refused script, a missing file and an exception are failures of the test that saw them."""

    page: Page
    problems: list[str]


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
    context.set_default_timeout(PATIENCE * 1000)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("response", lambda response: problems.append(f"{response.status} {response.url}") if response.status >= 500 else None)
    yield Visit(page, problems)
    context.close()
    assert problems == []


def sign_in_link(server: Server) -> str:
    """The one-time link that `up` printed."""
    found = re.search(rf"{re.escape(server.url)}/sign-in/\S+", server.output)
    assert found, server.output
    return found[0]


def shot(page: Page, name: str) -> None:
    """Keep a picture when somebody wants to look: WATCHKEEPER_SHOTS=folder."""
    folder = os.environ.get("WATCHKEEPER_SHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
