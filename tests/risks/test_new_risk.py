"""The door is open: a new file, or another distribution's entry point, is a risk without a change anywhere else."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client

from tests.patience import PATIENCE
from tests.platform import Platform
from watchkeeper import risks
from watchkeeper.core.errors import InvalidInput
from watchkeeper.risks import _new

ROOT = Path(__file__).parents[2]


def as_distribution(folder: Path, *, risk: str, file: Path, group: str = risks.GROUP) -> None:
    """Makes `folder` look like an installed package that offers the file as a risk, or as another plugin."""
    (folder / f"{risk}.py").write_text(file.read_text())
    metadata = folder / "somebody_elses-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: somebody-elses\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{risk} = {risk}\n")


@pytest.fixture
def fresh_catalogue() -> Iterator[None]:
    risks.catalogue.cache_clear()
    yield
    risks.catalogue.cache_clear()
    sys.modules.pop("moon_phase", None)


@pytest.fixture
def moon_phase(fresh_catalogue: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> risks.RiskType:
    """The skeleton, installed by another distribution."""
    file, _ = _new.new_risk("moon_phase", root=tmp_path / "checkout")
    as_distribution(tmp_path, risk="moon_phase", file=file)
    monkeypatch.syspath_prepend(tmp_path)
    return risks.get("moon_phase")


def test_a_risk_of_another_distribution_appears_in_the_catalogue(moon_phase: risks.RiskType) -> None:
    assert (moon_phase.key, moon_phase.title) == ("moon_phase", "Moon phase")
    assert "no_predictions" in risks.catalogue()


def test_it_appears_in_the_api(moon_phase: risks.RiskType, platform: Platform, client: Client) -> None:
    client.force_login(platform.owner)

    listed = {item["type"]: item for item in client.get("/api/v1/risk-types").json()["items"]}

    assert listed["moon_phase"]["title"] == "Moon phase"
    assert listed["moon_phase"]["page"] == moon_phase.page
    assert "max_rows" in listed["moon_phase"]["params"]["properties"]


def test_it_appears_in_the_form_and_is_watched(moon_phase: risks.RiskType, platform: Platform, client: Client) -> None:
    model = platform.register()
    client.force_login(platform.owner)
    address = f"/models/{model.id}/risks/add/"
    common = {"criticality": "1", "schedule": "every", "every": "1h", "for_": "0s", "n": "1", "m": "1", "hold": "0s"}

    offered, form = client.get(address).content.decode(), client.get(f"{address}?type=moon_phase").content.decode()
    answer = client.post(f"{address}?type=moon_phase", common | {"p-max_rows": "7"})

    assert "?type=moon_phase" in offered
    assert 'name="p-max_rows"' in form
    assert 'href="/risks/moon_phase/"' in form
    assert answer.status_code == 302
    assert model.bindings.get(type="moon_phase").params == {"max_rows": 7}


def test_it_appears_in_the_documentation(moon_phase: risks.RiskType, platform: Platform, client: Client) -> None:
    client.force_login(platform.owner)

    catalogue, page = client.get("/risks/").content.decode(), client.get("/risks/moon_phase/").content.decode()

    assert 'href="/risks/moon_phase/"' in catalogue
    for shown in ("What went wrong when this fires", "max_rows", *moon_phase.plan, "two hundred rows were refused", "200 rows refused, limit 100"):
        assert shown in page


@pytest.mark.usefixtures("fresh_catalogue")
def test_a_key_that_is_taken_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, _ = _new.new_risk("moon_phase", root=tmp_path / "checkout")
    as_distribution(tmp_path, risk="no_owner", file=file)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(LookupError, match="Two plugins are called 'no_owner'"):
        risks.catalogue()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout, with all its files committed."""
    copy = tmp_path / "copy"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-q", "-m", "copy"]):
        subprocess.run(["git", *command], cwd=copy, check=True)
    return copy


def said_in(checkout: Path, *command: str, may_fail: bool = False) -> str:
    """What a program of the checkout says."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(checkout / "src"), str(checkout)])}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=checkout, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert may_fail or done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_built_in_risk_is_one_file_and_its_test(checkout: Path) -> None:
    files = [str(file) for file in _new.new_risk("moon_phase", root=checkout)]

    changed = subprocess.run(["git", "status", "--porcelain"], cwd=checkout, capture_output=True, text=True, check=True).stdout
    assert changed == "?? src/watchkeeper/risks/moon_phase.py\n?? tests/risks/test_moon_phase.py\n"

    said_in(checkout, "ruff", "format", "--check", "-q", *files)
    said_in(checkout, "ruff", "check", "-q", *files)
    said_in(checkout, "watchkeeper.api._pages", "docs/api", "--check")
    assert "warning, shown in English: 'Moon phase'" in said_in(checkout, "watchkeeper.web.messages", "check", may_fail=True)  # other texts may fail
    subjects = ("tests/risks/test_moon_phase.py", "tests/contracts/test_risks.py", "tests/web/test_policies.py")
    told = said_in(checkout, "pytest", "-p", "no:cacheprovider", "-k", "moon_phase", "-vv", *subjects)
    assert "test_story_of_refused_rows PASSED" in told
    assert "test_it_is_not_quiet_by_absence_of_evidence[moon_phase] PASSED" in told
    assert "test_it_has_a_story_in_its_own_test_file[moon_phase] PASSED" in told
    assert "test_every_risk_has_a_page[moon_phase] PASSED" in told


def test_the_skeleton_overwrites_nothing(tmp_path: Path) -> None:
    _new.new_risk("moon_phase", root=tmp_path)

    with pytest.raises(InvalidInput, match="Already there"):
        _new.new_risk("moon_phase", root=tmp_path)


@pytest.mark.parametrize("name", ["MoonPhase", "_moon", "moon-phase", "moon__phase", "", "../moon", "1moon"])
def test_a_name_that_is_no_file_name_of_a_risk_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot name a risk"):
        _new.new_risk(name, root=tmp_path)
