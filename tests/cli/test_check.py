"""`watchkeeper check`: the verdict in the terminal, as JSON, as a page, and as an exit code."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, sync_playwright
from rich.console import Console

from tests.patience import PATIENCE
from watchkeeper.analysis import check_files
from watchkeeper.cli.check import SHOWN, run_check
from watchkeeper.cli.report import render

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OVERFLOWING = "[...document.querySelectorAll('main th, main td, main div, main p, main dd')].filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth).map(e => e.innerText)"
CHANGED = ("age", "amount", "channel", "code", "price")


def columns(n: int, *, seed: int) -> dict[str, object]:
    chance = np.random.default_rng(seed)
    return {
        "age": chance.normal(40, 10, n),
        "amount": chance.lognormal(3, 1, n),
        "price": chance.normal(52, 7, n),
        "region": chance.choice(["north", "south"], n),
        "code": chance.integers(0, 9, n),
        "created": pa.array(np.datetime64("2026-01-01", "us") + chance.integers(0, 10**9, n).astype("timedelta64[us]")),
    }


@dataclass
class Said:
    code: int
    out: str
    err: str


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a baseline, rows like it, rows that differ in five columns, and too few rows."""
    pq.write_table(pa.table(columns(20_000, seed=1)), tmp_path / "reference.parquet")
    pq.write_table(pa.table(columns(5000, seed=2)), tmp_path / "same.parquet")
    pq.write_table(pa.table(columns(20, seed=3)), tmp_path / "few.parquet")
    data = columns(5000, seed=4)
    data |= {"age": data["age"] + 8, "price": data["price"] * 100, "code": [f"c{code}" for code in data["code"]], "channel": ["web"] * 5000}
    del data["amount"]
    pq.write_table(pa.table(data), tmp_path / "changed.parquet")
    return tmp_path


def run(
    folder: Path,
    current: str,
    *,
    html: str = "",
    as_json: bool = False,
    limits: Sequence[str] = (),
    width: int = 80,
    together: bool = False,
    **names: str,
) -> Said:
    out, err = StringIO(), StringIO()
    code = run_check(
        Console(file=out, width=width, soft_wrap=True, highlight=False),
        Console(file=err, width=80, soft_wrap=True, highlight=False),
        current=folder / current,
        baseline=folder / "reference.parquet",
        html=folder / html if html else None,
        as_json=as_json,
        columns=names.get("columns", ""),
        ignore=names.get("ignore", ""),
        timestamp=names.get("timestamp", ""),
        limits=limits,
        together=together,
    )
    return Said(code, out.getvalue(), err.getvalue())


def test_all_columns_together_are_told_before_the_columns(files: Path) -> None:
    same, changed = (run(files, f"{name}.parquet", together=True, html="report.html") for name in ("same", "changed"))

    assert (same.code, changed.code) == (0, 1)
    assert "All columns together: rows of the two cannot be told apart, AUC 0." in same.out
    assert "All columns together: rows of the two are told apart" in changed.out
    assert "are told apart" in (files / "report.html").read_text()


def test_vectors_and_unusual_rows_are_told(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = np.random.default_rng(7)

    def rows(n: int, mean: float, odd: float) -> pa.Table:
        cells = chance.normal(0, 1, (n, 10))
        cells[chance.random(n) < odd, :2] = 5.0
        cells = np.array([chance.permutation(row) for row in cells])
        return pa.table({f"c{place}": cells[:, place] for place in range(10)} | {"text": chance.normal(mean, 1, (n, 8)).tolist()})

    for name, given in (("reference", (9000, 1.0, 0.0)), ("same", (3000, 1.0, 0.0)), ("odd", (3000, 1.0, 0.025)), ("both", (3000, 0.4, 0.025))):
        pq.write_table(rows(*given), files / f"{name}.parquet")

    assert run(files, "same.parquet").code == 0
    odd, both = (run(files, f"{name}.parquet", html=f"{name}.html") for name in ("odd", "both"))
    assert (odd.code, both.code) == (1, 1)
    assert odd.out.startswith("No column differs by itself, more rows are unusual: ")
    told = "have two or more unusual values at once, usual"
    assert told in odd.out
    assert told in (files / "odd.html").read_text()
    assert re.search(r"^text +list of numbers +vectors, [a-z ]+: PSI [\d.]+, chance gives [\d.]+", both.out, flags=re.MULTILINE)
    assert "vectors, " in (files / "both.html").read_text()
    assert run(files, "odd.parquet", limits=["unusual=0.5"]).code == 0
    capsys.readouterr()
    run(files, "both.parquet", as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["unusual"]["grown"] == 1
    assert next(column for column in said["columns"] if column["column"] == "text")["differences"][0]["problem"] == "vector_drift"


def test_the_summary_comes_first_and_the_worst_column_after_it(files: Path) -> None:
    said = run(files, "changed.parquet")

    assert said.code == 1
    summary, *_, table = said.out.partition("\n\n")
    assert summary.startswith("5 of 7 columns differ: ")
    assert "(5,000 rows) against" in summary
    assert "Preliminary" in summary
    names = [line.split()[0] for line in table.splitlines()[1:]]
    assert names == ["amount", "code", "price", "age", "channel", "region", "created"]
    assert "column is missing" in table
    assert "other type: number → text" in table
    assert re.search(r"× 100: mean 5,\d+, usual 5\d", table)
    assert re.search(r"^age +number +drift +0\.\d+ +0\.002 +0\.8\d? +5,000$", table, flags=re.MULTILINE)


def test_nothing_found_is_zero(files: Path) -> None:
    said = run(files, "same.parquet")

    assert said.code == 0
    assert said.out.startswith("Nothing found in 6 columns: ")


def test_too_few_rows_are_no_all_clear(files: Path) -> None:
    said = run(files, "few.parquet")

    assert said.code == 2
    assert said.out.startswith("Not judged: too few rows: ")
    assert "not judged: too few rows (20)" in said.out


def test_without_a_terminal_there_are_no_colours_and_no_narrow_columns(files: Path) -> None:
    said = run(files, "changed.parquet", width=80)

    assert "\x1b" not in said.out
    assert max(map(len, said.out.splitlines())) > 80


def test_names_of_columns_cannot_command_the_terminal(files: Path) -> None:
    table = pa.table({"\x1b[31mred": [1.0] * 1000, "[bold]loud[/bold]": [1.0] * 1000})
    pq.write_table(table, files / "reference.parquet")

    said = run(files, "reference.parquet")

    assert said.code == 0
    assert "\x1b" not in said.out
    assert "[bold]loud[/bold]" in said.out
    refused = run(files, "reference.parquet", columns="nowhere")
    assert "There are: \\x1b[31mred, [bold]loud[/bold]." in refused.err


def test_of_many_columns_those_that_do_not_differ_are_counted(files: Path) -> None:
    wide = {f"c{n:02}": np.arange(1000.0) for n in range(60)}
    pq.write_table(pa.table(wide), files / "reference.parquet")
    pq.write_table(pa.table({name: values + (5000 if name < "c45" else 0) for name, values in wide.items()}), files / "most.parquet")

    assert "20 more columns that do not differ" in run(files, "reference.parquet").out
    most = run(files, "most.parquet").out
    assert SHOWN < 45
    assert "c44" in most
    assert "15 more columns that do not differ" in most


def test_json_is_the_report_for_programs(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(files, "changed.parquet", as_json=True).code == 1

    said = json.loads(capsys.readouterr().out)
    assert (said["exit_code"], said["outcome"], said["rows"], said["baseline_rows"]) == (1, "fired", 5000, 20_000)
    by_name = {column["column"]: column for column in said["columns"]}
    assert {name for name, column in by_name.items() if column["outcome"] == "fired"} == set(CHANGED)
    assert by_name["code"]["differences"][0]["kinds"] == ["double", "string"]
    assert by_name["price"]["differences"][0]["change"] == "× 100"
    assert by_name["age"]["test"]["verdict"] == "preliminary drift"
    assert by_name["region"]["test"]["distance"] is None
    assert sum(by_name["age"]["current_shape"]) == pytest.approx(1)


def test_limits_columns_and_what_is_ignored_are_options(files: Path) -> None:
    assert run(files, "changed.parquet", columns="age, region", limits=["psi=0.9"]).code == 0
    assert run(files, "changed.parquet", columns="age,region").code == 1
    assert run(files, "changed.parquet", ignore=",".join(CHANGED)).code == 0


@pytest.mark.parametrize("limit", ["psi", "psi=", "psi=much", "psi=-1", "psi=nan", "phi=2"])
def test_a_limit_that_is_none_says_which_there_are(files: Path, limit: str) -> None:
    said = run(files, "same.parquet", limits=[limit])

    assert said.code == 2
    assert f"--limit {limit} is not a limit. Write NAME=NUMBER, above 0; names are psi, distance, alpha, nulls, unseen, outside, unusual." in said.err


def test_a_report_never_replaces_what_is_checked(files: Path) -> None:
    before = (files / "same.parquet").read_bytes()

    assert "would replace" in run(files, "same.parquet", html="same.parquet").err
    assert "Name a file in a folder that exists" in run(files, "same.parquet", html="nowhere/report.html").err
    assert (files / "same.parquet").read_bytes() == before


def test_the_exit_code_of_the_command_with_neither_settings_nor_database(files: Path) -> None:
    """Django is not even loaded; no data folder appears."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("WATCHKEEPER_", "DJANGO_"))}

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "watchkeeper.cli", "check", *arguments]
        return subprocess.run(line, cwd=files, env=bare, capture_output=True, text=True, timeout=PATIENCE, check=False)

    known = {path.name for path in files.iterdir()}
    quiet = command("same.parquet", "--baseline", "reference.parquet")
    fired = command("changed.parquet", "--baseline", "reference.parquet", "--html", "report.html")
    refused = command("nowhere.parquet", "--baseline", "reference.parquet")
    unsaid = command("same.parquet")

    assert [done.returncode for done in (quiet, fired, refused, unsaid)] == [0, 1, 2, 2]
    assert refused.stdout == quiet.stderr == fired.stderr == ""
    assert refused.stderr.startswith("nowhere.parquet does not exist.")
    assert {path.name for path in files.iterdir()} == known | {"report.html"}


def test_help_tells_the_exit_codes() -> None:
    line = [sys.executable, "-m", "watchkeeper.cli", "check", "--help"]

    said = " ".join(subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout.split())

    assert "Exit code: 0 nothing found, 1 something found, 2 could not be judged" in said


class TestReport:
    @pytest.fixture
    def page(self, files: Path) -> Path:
        report = check_files(files / "changed.parquet", files / "reference.parquet")
        (files / "report.html").write_text(render(report, now=NOW), encoding="utf-8")
        return files / "report.html"

    def test_it_is_one_file_without_scripts(self, page: Path) -> None:
        text = page.read_text(encoding="utf-8")

        assert "<script" not in text
        assert re.findall(r'(?:href|src)="(?!#)[^"]*"|url\(|@import', text) == []
        assert text.index("5 of 7 columns differ") < text.index("<table")
        assert "Made 22 Nov 2026, 12:00 UTC" in text

    def test_names_of_columns_are_text(self, files: Path) -> None:
        table = pa.table({"<b>x</b>": [1.0] * 100})
        pq.write_table(table, files / "reference.parquet")

        text = render(check_files(files / "reference.parquet", files / "reference.parquet"), now=NOW)

        assert "<b>x</b>" not in text
        assert "&lt;b&gt;x&lt;/b&gt;" in text

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [1440, 390])
    def test_it_can_be_read_in_both_themes_on_wide_and_narrow_screens(self, page: Path, width: int, scheme: str) -> None:
        def look() -> tuple[int, list[str], str, list[str], int]:
            with opened(page, width=width, scheme=scheme) as browser_page:
                return (
                    browser_page.evaluate("document.documentElement.scrollWidth"),
                    browser_page.evaluate(OVERFLOWING),
                    browser_page.evaluate("getComputedStyle(document.body).backgroundColor"),
                    browser_page.locator("td.c-name .name").all_inner_texts(),
                    browser_page.locator("svg.spark").count(),
                )

        with ThreadPoolExecutor(1) as thread:  # another test may keep Playwright's loop in this one
            wide, overflowing, ground, names, pictures = thread.submit(look).result()

        assert (wide, overflowing) == (width, [])
        assert ground == {"light": "rgb(246, 247, 248)", "dark": "rgb(14, 17, 20)"}[scheme]
        assert names == ["amount", "code", "price", "age", "channel", "region", "created"]
        assert pictures == 3


@contextmanager
def opened(path: Path, *, width: int, scheme: str) -> Iterator[Page]:
    """The page of a file in Chromium."""
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.goto(path.as_uri())
        yield page
        browser.close()
