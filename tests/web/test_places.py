"""Where the data lives: looked at and watched from a page, with what is wrong beside the field."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.platform import Platform
from tests.web.reading import browser, check_policy, said
from watchkeeper.ingest.models import WatchedPlace


def written(platform: Platform, folder: Path) -> Path:
    folder.mkdir()
    times = pa.array([platform.clock.now()] * 3, pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"id": ["1", "2", "3"], "ts": times, "proba": [0.1, 0.2, 0.3], "age": [1, 2, 3]}), folder / "rows.parquet")
    return folder


def test_a_look_fills_in_what_it_guessed_and_then_the_place_is_watched(platform: Platform, tmp_path: Path) -> None:
    model, folder = platform.register(), written(platform, tmp_path / "lake")
    client, page = browser(platform.owner), f"/models/{model.id}/places/"
    typed = {"kind": "folder", "address": f"{folder}/", "every": "15m", "again": "3d"}

    seen = client.post(page, typed | {"do": "look"})
    saved_by_look = WatchedPlace.objects.count()
    watched = client.post(page, typed | {"do": "watch", "id": "id", "timestamp": "ts", "score": "proba"}, follow=True)
    platform.work(minutes=1)
    later = client.get(page)

    for answer in (seen, watched, later):
        check_policy(answer)
    assert saved_by_look == 0
    assert "3 rows" in said(seen)
    assert 'value="proba"' in seen.content.decode()
    assert "the first rows come with the worker" in said(watched)
    assert f"{folder}" in said(later)
    assert WatchedPlace.objects.get().rows == 3


def test_what_is_wrong_with_a_place_is_said_and_nothing_is_saved(platform: Platform, tmp_path: Path) -> None:
    client, page = browser(platform.owner), f"/models/{platform.register().id}/places/"
    typed = {"kind": "folder", "address": f"{tmp_path}/nothing", "every": "15m", "again": "3d", "do": "watch"}

    gone = client.post(page, typed)
    wrong = client.post(page, typed | {"address": str(written(platform, tmp_path / "lake")), "id": "id", "timestamp": "proba", "score": "age"})

    assert (gone.status_code, wrong.status_code) == (422, 422)
    assert "nothing is not there" in said(gone)
    assert "The column proba is double, not a time" in said(wrong)
    assert WatchedPlace.objects.count() == 0


def test_the_password_is_never_in_a_page(platform: Platform) -> None:
    client, page = browser(platform.owner), f"/models/{platform.register().id}/places/"
    typed = {"kind": "postgres", "address": "postgresql://reader@127.0.0.1:9/d/t", "password": "hunter2", "every": "15m", "again": "3d", "do": "look"}

    answer = client.post(page, typed)

    assert "PostgreSQL does not answer" in said(answer)
    assert "hunter2" not in answer.content.decode()
