"""The other side of `answering.py`: one process of the oracles' environment for a whole test run. Knows no library."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ANSWERING = Path(__file__).with_name("answering.py")


class OracleFailed(Exception):
    """The library of the oracle raised this."""


class Oracle:
    """Answers of NannyML and statsmodels. Tables travel as Parquet files in `folder`, each as often as it is asked with another name.

    The answers are what JSON says: dicts of lists. What is no number comes as NaN.
    """

    def __init__(self, python: str, folder: Path) -> None:
        self._folder = folder
        self._log = (folder / "oracle.log").open("wb")
        self._process = subprocess.Popen([python, str(ANSWERING)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._log.close()

    def __call__(self, question: str, **given: Any) -> Any:  # Any: JSON
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"question": question} | {name: self._sent(name, value) for name, value in given.items()}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise OracleFailed(f"The oracle ended: {Path(self._log.name).read_text()[-2000:]}")
        answer = json.loads(line)
        if "failed" in answer:
            raise OracleFailed(answer["failed"])
        return _with_nan(answer["answer"])

    def _sent(self, name: str, value: Any) -> Any:  # Any: JSON
        if not isinstance(value, pa.Table):
            return value.tolist() if isinstance(value, np.ndarray) else value
        path = self._folder / f"{name}.parquet"
        pq.write_table(value, path)
        return str(path)


def _with_nan(answer: Any) -> Any:  # Any: JSON
    if isinstance(answer, Mapping):
        return {key: _with_nan(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return [float("nan") if value is None else _with_nan(value) for value in answer]
    return answer
