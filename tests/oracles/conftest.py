"""Our statistics beside NannyML and statsmodels. Collected only by `make oracles`, which builds their environment and names its Python."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from bench._generated import SIZES
from tests.oracles.oracle import Oracle

PYTHON = os.environ.get("WATCHKEEPER_ORACLES", "")

collect_ignore = ["answering.py"]  # belongs to the other environment
collect_ignore_glob = [] if PYTHON else ["*"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Sizes of the generated log: ten million rows only with `--long`."""
    if "size" in metafunc.fixturenames:
        is_long = metafunc.config.getoption("--long", default=False)
        metafunc.parametrize("size", list(SIZES) if is_long else list(SIZES)[:-1], scope="module")


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    if not PYTHON:
        pytest.fail("These tests need the environment of the oracles: run `make oracles`.")
    with Oracle(PYTHON, tmp_path_factory.mktemp("oracle")) as oracle:
        yield oracle
