"""The door is open: a new file, or another distribution's entry point, is a risk without a change anywhere else."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchkeeper import risks
from watchkeeper.core.errors import InvalidInput
from watchkeeper.risks import _new

ROOT = Path(__file__).parents[2]


def as_distribution(folder: Path, *, risk: str, file: Path) -> None:
    """Makes `folder` look like an installed package that offers the file as a risk."""
    (folder / f"{risk}.py").write_text(file.read_text())
    metadata = folder / "somebody_elses-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: somebody-elses\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{risks.GROUP}]\n{risk} = {risk}\n")


@pytest.fixture
def fresh_catalogue() -> Iterator[None]:
    risks.catalogue.cache_clear()
    yield
    risks.catalogue.cache_clear()


@pytest.mark.usefixtures("fresh_catalogue")
def test_a_risk_of_another_distribution_appears_in_the_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, _ = _new.new_risk("moon_phase", root=tmp_path / "checkout")
    as_distribution(tmp_path, risk="moon_phase", file=file)
    monkeypatch.syspath_prepend(tmp_path)

    found = risks.get("moon_phase")

    assert (found.key, found.title) == ("moon_phase", "Moon phase")
    assert "no_predictions" in risks.catalogue()


@pytest.mark.usefixtures("fresh_catalogue")
def test_a_key_that_is_taken_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, _ = _new.new_risk("moon_phase", root=tmp_path / "checkout")
    as_distribution(tmp_path, risk="no_owner", file=file)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(LookupError, match="Two plugins are called 'no_owner'"):
        risks.catalogue()


def test_a_new_risk_passes_the_contract_and_its_own_test(tmp_path: Path) -> None:
    file, test = _new.new_risk("moon_phase", root=tmp_path / "checkout")
    as_distribution(tmp_path, risk="moon_phase", file=file)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:django",
        "-p",
        "no:cacheprovider",
        "-c",
        str(ROOT / "pyproject.toml"),
        "--rootdir",
        str(ROOT),
    ]

    done = subprocess.run(
        [*command, str(test), str(ROOT / "tests/contracts/test_risks.py"), "-k", "moon_phase", "-vv"],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_it_is_not_quiet_by_absence_of_evidence[moon_phase] PASSED" in done.stdout


def test_the_skeleton_overwrites_nothing(tmp_path: Path) -> None:
    _new.new_risk("moon_phase", root=tmp_path)

    with pytest.raises(InvalidInput, match="Already there"):
        _new.new_risk("moon_phase", root=tmp_path)


@pytest.mark.parametrize("name", ["MoonPhase", "_moon", "moon-phase", "moon__phase", "", "../moon", "1moon"])
def test_a_name_that_is_no_file_name_of_a_risk_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot name a risk"):
        _new.new_risk(name, root=tmp_path)
