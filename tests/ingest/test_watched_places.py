"""Rows of a folder, a Delta table and a PostgreSQL table are taken once, whatever happens meanwhile, and what cannot be read is named."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from tests.proxy import Proxy
from watchkeeper.core.errors import Conflict, InvalidInput
from watchkeeper.core.settings import settings
from watchkeeper.history.models import Change
from watchkeeper.ingest import places
from watchkeeper.ingest.models import StreamTimer, WatchedPlace, WindowProfile
from watchkeeper.ingest.places import Wanted
from watchkeeper.telemetry.places import CannotWatch
from watchkeeper.wire import Stream

START = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    folder = tmp_path / "lake"
    folder.mkdir()
    monkeypatch.setattr(settings(), "watch_roots", str(folder))
    return folder


def scored(first=0, count=100, *, score=0.25, labelled=None, start=START):
    ids = range(first, first + count)
    columns = {
        "id": pa.array(ids),
        "ts": pa.array([start + timedelta(minutes=n) for n in ids], pa.timestamp("us", "UTC")),
        "proba": pa.array([score] * count),
        "model_version": pa.array(["v1"] * count),
        "age": pa.array([20 + n % 50 for n in ids]),
        "region": pa.array([["north", "south"][n % 2] for n in ids]).dictionary_encode(),
    }
    if labelled is not None:
        columns["target"] = pa.array([n % 2 if n < labelled else None for n in ids], pa.int64())
    return pa.table(columns)


def watch(platform, model, kind, address, **wanted):
    return places.watch_place(model, wanted=Wanted(kind=kind, address=str(address), **wanted), actor=platform.actor, now=platform.clock.now())


def taken(platform, model, stream=Stream.PREDICTIONS):
    rows = platform.shop.telemetry.rows(model.id, stream, date(2020, 1, 1), date(2030, 1, 1), limit=100_000)
    return rows.to_pylist() if rows.num_columns else []


def counted(model):
    return sum(WindowProfile.objects.filter(model=model).values_list("rows", flat=True))


def failure(place):
    return WatchedPlace.objects.get(id=place.id).failure


def test_the_rows_of_a_folder_are_taken_and_counted_like_those_that_are_sent(platform, root):
    pq.write_table(scored(), root / "a.parquet")
    (root / "day=2026-11-21").mkdir()
    pq.write_table(scored(100), root / "day=2026-11-21" / "b.parquet")
    model = platform.register()

    place = watch(platform, model, "folder", root)
    platform.work(minutes=1)
    platform.work(minutes=1)

    rows = taken(platform, model)
    assert sorted(int(row["id"]) for row in rows) == list(range(200))
    assert {row["version"] for row in rows} == {"v1"}
    assert rows[0]["score"] == 0.25
    assert {name for name in rows[0] if name.startswith("f.")} == {"f.age", "f.region"}
    assert counted(model) == 200
    assert StreamTimer.objects.get(model=model, stream="predictions").rows == 200
    place.refresh_from_db()
    assert (place.rows, place.failure, place.looked_at) == (200, "", platform.clock.now() - timedelta(minutes=1))
    change = Change.objects.get(model_id=model.id, action="place watched")
    assert (change.actor_id, change.after["address"]) == (str(platform.administrator.id), str(root))


def test_a_file_that_comes_later_is_taken_and_the_others_are_not_taken_again(platform, root):
    pq.write_table(scored(), root / "a.parquet")
    model = platform.register()
    watch(platform, model, "folder", root)
    platform.work(minutes=1)

    pq.write_table(scored(100, 50), root / "b.parquet")
    platform.work(minutes=15)
    platform.work(minutes=15)

    assert len(taken(platform, model)) == 150


def test_of_a_file_that_was_written_again_only_what_is_new_or_changed_is_taken(platform, root):
    pq.write_table(scored(), root / "a.parquet")
    model = platform.register()
    watch(platform, model, "folder", root)
    platform.work(minutes=1)

    changed = pa.concat_tables([scored(count=90), scored(90, 10, score=0.75), scored(100, 20)])
    pq.write_table(changed, root / "a.parquet")
    platform.work(minutes=15)
    platform.work(minutes=15)

    assert len(taken(platform, model)) == 130
    assert counted(model) == 120
    assert sum(WindowProfile.objects.filter(model=model).values_list("duplicates", flat=True)) == 10


def test_labels_of_the_same_table_are_taken_when_they_are_known(platform, root):
    pq.write_table(scored(labelled=40), root / "a.parquet")
    model = platform.register()
    watch(platform, model, "folder", root)
    platform.work(minutes=1)

    pq.write_table(scored(labelled=60), root / "a.parquet")
    platform.work(minutes=15)
    platform.work(minutes=15)

    assert len(taken(platform, model)) == 100
    labels = taken(platform, model, Stream.LABELS)
    assert sorted(int(row["id"]) for row in labels) == list(range(60))
    assert {row["label"] for row in labels} == {0.0, 1.0}
    assert labels[0]["prediction_timestamp"] == START


def test_a_broken_file_is_named_and_holds_up_no_other(platform, root):
    pq.write_table(scored(), root / "a.parquet")
    model = platform.register()
    binding = platform.only(model, "metadata_unreachable", params={"grace": "30m"})
    place = watch(platform, model, "folder", root)
    (root / "b.parquet").write_bytes(b"PAR1 half a file")
    os.utime(root / "b.parquet", (1, 1))

    platform.work(minutes=1)
    platform.work(hours=2)

    assert len(taken(platform, model)) == 100
    assert "b.parquet cannot be read as Parquet" in failure(place)
    assert platform.condition(binding) == "firing"
    assert "b.parquet" in platform.explanation(binding)


def test_a_folder_that_is_gone_fires_and_is_quiet_again_when_it_is_back(platform, root):
    pq.write_table(scored(), root / "a.parquet")
    model = platform.register()
    binding = platform.only(model, "metadata_unreachable", params={"grace": "30m"})
    place = watch(platform, model, "folder", root)
    platform.work(minutes=1)

    root.rename(root.with_name("elsewhere"))
    platform.work(minutes=30)
    platform.work(hours=2)
    gone = platform.condition(binding)
    assert f"The folder {root} is not there." in failure(place)
    root.with_name("elsewhere").rename(root)
    platform.work(minutes=30)
    platform.work(hours=25)

    assert gone == "firing"
    assert failure(place) == ""
    assert platform.condition(binding) == "ok"
    assert len(taken(platform, model)) == 100


def test_a_column_that_is_missing_later_is_named(platform, root):
    pq.write_table(scored(), root / "a.parquet")
    model = platform.register()
    place = watch(platform, model, "folder", root)
    platform.work(minutes=1)

    pq.write_table(scored(100).drop_columns(["proba"]), root / "b.parquet")
    platform.work(minutes=15)

    assert "There is no column proba." in failure(place)


def test_a_delta_table_is_read_commit_by_commit_and_its_compaction_takes_nothing_twice(platform, root):
    write_deltalake(root / "t", scored().drop_columns(["region"]), partition_by=["model_version"])
    model = platform.register()
    watch(platform, model, "delta", root / "t")
    platform.work(minutes=1)

    write_deltalake(root / "t", scored(100, 50).drop_columns(["region"]), mode="append")
    DeltaTable(root / "t").optimize.compact()
    platform.work(minutes=15)
    write_deltalake(root / "t", scored(150, 5).drop_columns(["region"]), mode="append")
    platform.work(minutes=15)
    platform.work(minutes=15)

    rows = taken(platform, model)
    assert sorted(int(row["id"]) for row in rows) == list(range(155))
    assert {row["version"] for row in rows} == {"v1"}


@pytest.mark.parametrize(
    ("protocol", "name"),
    [
        (
            {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]},
            "deletionVectors",
        ),
        ({"minReaderVersion": 2, "minWriterVersion": 5}, "columnMapping"),
        ({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["variantType"], "writerFeatures": ["variantType"]}, "variantType"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_delta_table_with_a_feature_that_we_cannot_read_is_refused_by_its_name(platform, root, protocol, name):
    write_deltalake(root / "t", scored().drop_columns(["region"]))
    (root / "t" / "_delta_log" / f"{1:020}.json").write_text(json.dumps({"protocol": protocol}) + "\n")

    with pytest.raises(CannotWatch, match=f"The Delta table uses {name}, which cannot be read here") as raised:
        watch(platform, platform.register(), "delta", root / "t")

    assert raised.value.remedy


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    """A PostgreSQL that answers on a port, and what to connect to it with."""
    from tests.databases import postgres_server

    for address in postgres_server(tmp_path_factory.mktemp("pg")):
        socket = parse_qs(urlsplit(address).query)["host"][0]
        with Proxy(f"{socket}/.s.PGSQL.5432") as proxy, psycopg.connect(address, autocommit=True) as company:
            yield company, f"postgresql://postgres@127.0.0.1:{proxy.port}/company"


def fill(company, table, first, count, score=0.25):
    company.execute(
        f"CREATE TABLE IF NOT EXISTS {table} (id bigint, ts timestamptz, score numeric, amount real, note json, is_new boolean, label int)"
    )
    company.execute(
        f"INSERT INTO {table} (id, ts, score, amount, note, is_new) SELECT n, %s::timestamptz + n * interval '1 minute', %s, n, '{{}}', n %% 2 = 0 FROM generate_series(%s::int, %s::int) n",  # noqa: S608 - names of this file
        [START, score, first, first + count - 1],
    )


def test_a_table_of_postgresql_is_taken_with_what_comes_late_and_what_changes(platform, warehouse):
    company, address = warehouse
    fill(company, "scored", 0, 300)
    model = platform.register()
    place = watch(platform, model, "postgres", f"{address}/scored")
    platform.work(minutes=1)
    first = len(taken(platform, model))

    fill(company, "scored", 300, 50)
    company.execute("INSERT INTO scored (id, ts, score, amount, note, is_new) VALUES (9999, %s, 0.5, 1, '{}', true)", [START + timedelta(minutes=30)])
    company.execute("UPDATE scored SET score = 0.75 WHERE id IN (10, 11)")
    company.execute("UPDATE scored SET label = 1 WHERE id < 20")
    platform.work(minutes=15)
    platform.work(minutes=15)

    rows = taken(platform, model)
    assert first == 300
    assert len(rows) == 353
    assert {row["id"] for row in rows} == {str(n) for n in (*range(350), 9999)}
    assert {name for name in rows[0] if name.startswith("f.")} == {"f.amount", "f.is_new"}
    assert len(taken(platform, model, Stream.LABELS)) == 20
    assert counted(model) == 351
    assert failure(place) == ""


def test_a_table_that_is_dropped_is_named(platform, warehouse):
    company, address = warehouse
    fill(company, "doomed", 0, 10)
    model = platform.register()
    place = watch(platform, model, "postgres", f"{address}/public.doomed")
    platform.work(minutes=1)

    company.execute("DROP TABLE doomed")
    platform.work(minutes=15)

    assert "public.doomed cannot be read: relation" in failure(place)
    assert len(taken(platform, model)) == 10


def test_a_password_is_kept_encrypted_and_told_to_nobody(platform, warehouse):
    company, address = warehouse
    fill(company, "guarded", 0, 10)

    place = watch(platform, platform.register(), "postgres", f"{address}/guarded", password="hunter2")

    told = json.dumps([change.after for change in Change.objects.all()]) + place.address + place.password + json.dumps(place.columns)
    assert place.password
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("postgresql://a:b@127.0.0.1:9/d/t", "The address holds a password"),
        ("postgresql://127.0.0.1:9/d", "is not the address of a table"),
        ("postgresql://10.1.2.3:5432/d/t", "10.1.2.3 is not on the internet"),
        ("postgresql://127.0.0.1:9/d/t", "PostgreSQL does not answer"),
        ("postgresql:///d/t?host=/tmp", "is not the address of a table"),
    ],
)
def test_an_address_that_may_not_or_cannot_be_called_is_refused(platform, address, what):
    with pytest.raises(CannotWatch, match=what):
        places.look(Wanted(kind="postgres", address=address))


def test_a_look_tells_what_is_there_and_what_was_guessed(platform, root):
    pq.write_table(scored(labelled=10).append_column("nested", pa.array([{"a": 1}] * 100)), root / "a.parquet")

    seen = places.look(Wanted(kind="folder", address=f"{root}/"))

    assert (seen.address, seen.rows, seen.problems) == (str(root), 100, ())
    assert seen.columns.named() == {"id": "id", "timestamp": "ts", "version": "model_version", "score": "proba", "label": "target"}
    assert ("nested", "struct<a: int64>", False) in seen.found
    assert WatchedPlace.objects.count() == 0


@pytest.mark.parametrize(
    ("prepare", "what"),
    [
        (lambda root: None, "has no Parquet files"),
        (lambda root: pq.write_table(scored().drop_columns(["ts"]), root / "a.parquet"), "No column is named as timestamp"),
        (
            lambda root: pq.write_table(pa.table({"id": [1], "timestamp": ["2026-11-22"], "score": [0.5]}), root / "a.parquet"),
            "No column is named as timestamp",
        ),
    ],
    ids=["empty", "no time", "time as text"],
)
def test_what_cannot_be_watched_is_refused_with_what_to_do(platform, root, prepare, what):
    prepare(root)

    with pytest.raises((CannotWatch, InvalidInput), match=what) as raised:
        watch(platform, platform.register(), "folder", root)

    assert raised.value.remedy


def test_a_time_that_is_text_is_refused_by_its_name(platform, root):
    pq.write_table(pa.table({"id": [1], "at": ["2026-11-22"], "score": [0.5]}), root / "a.parquet")

    with pytest.raises(InvalidInput, match="The column at is text, not a time") as raised:
        watch(platform, platform.register(), "folder", root, columns={"id": "id", "timestamp": "at", "score": "score"})

    assert "without a zone is read in the model's time zone" in raised.value.remedy


def test_a_time_without_a_zone_is_read_in_the_models_own(platform, root):
    table = scored(count=1)
    pq.write_table(
        table.set_column(1, "ts", pa.array([datetime(2026, 11, 20, 12, tzinfo=UTC).replace(tzinfo=None)], pa.timestamp("us"))), root / "a.parquet"
    )
    model = platform.register(timezone="Asia/Tokyo")

    watch(platform, model, "folder", root)
    platform.work(minutes=1)

    assert [row["timestamp"] for row in taken(platform, model)] == [datetime(2026, 11, 20, 3, tzinfo=UTC)]


def test_a_broken_file_does_not_keep_a_folder_from_being_looked_at(root):
    pq.write_table(scored(), root / "a.parquet")
    (root / "b.parquet").write_bytes(b"PAR1 half a file")

    seen = places.look(Wanted(kind="folder", address=str(root)))

    assert (seen.rows, seen.columns.score) == (100, "proba")


def test_folders_are_off_until_an_administrator_names_some(platform, root, monkeypatch):
    monkeypatch.setattr(settings(), "watch_roots", "")

    with pytest.raises(CannotWatch, match="Folders may not be watched here") as raised:
        places.look(Wanted(kind="folder", address=str(root)))

    assert "WATCHKEEPER_WATCH_ROOTS" in raised.value.remedy


@pytest.mark.parametrize("kind", ["folder", "delta"])
@pytest.mark.parametrize("way", ["{root}/../outside", "{root}/link", "/etc"])
def test_what_lies_elsewhere_is_refused_whatever_the_way_to_it(platform, root, kind, way):
    outside = root.parent / "outside"
    outside.mkdir()
    pq.write_table(scored(), outside / "a.parquet")
    (root / "link").symlink_to(outside)

    with pytest.raises(CannotWatch, match="is not below a folder that may be watched"):
        places.look(Wanted(kind=kind, address=way.format(root=root)))


def test_a_link_to_a_file_elsewhere_is_not_followed(platform, root):
    pq.write_table(scored(), root / "a.parquet")
    pq.write_table(scored(500), root.parent / "secret.parquet")
    (root / "b.parquet").symlink_to(root.parent / "secret.parquet")

    assert places.look(Wanted(kind="folder", address=str(root))).rows == 100


def test_a_delta_table_whose_commit_names_a_file_elsewhere_is_refused(platform, root):
    write_deltalake(root / "t", scored().drop_columns(["region"]))
    secret = root.parent / "secret.parquet"
    pq.write_table(scored(500).drop_columns(["region"]), secret)
    commit = root / "t" / "_delta_log" / f"{1:020}.json"
    add = {"path": str(secret), "partitionValues": {}, "size": secret.stat().st_size, "modificationTime": 1, "dataChange": True}
    commit.write_text(json.dumps({"add": add}) + "\n")
    model = platform.register()

    place = watch(platform, model, "delta", root / "t")
    platform.work(minutes=1)

    assert "is not below a folder that may be watched" in failure(place)
    assert len(taken(platform, model)) == 100


def test_a_place_is_watched_once_and_its_rows_stay_when_it_is_no_longer(platform, root):
    pq.write_table(scored(), root / "a.parquet")
    model = platform.register()
    place = watch(platform, model, "folder", root)
    platform.work(minutes=1)

    with pytest.raises(Conflict, match="is watched for this model already"):
        watch(platform, model, "folder", Path(f"{root}/"))
    places.stop_watching(place, actor=platform.actor, now=platform.clock.now())
    pq.write_table(scored(100), root / "b.parquet")
    platform.work(hours=1)

    assert len(taken(platform, model)) == 100
    assert Change.objects.filter(model_id=model.id, action="place no longer watched").count() == 1


@pytest.mark.parametrize("point", ["watch: read, not stored", "watch: stored, before commit", "watch: stored, after commit"])
def test_a_reading_that_is_cut_off_goes_on_where_it_was(platform, root, point, monkeypatch):
    class Killed(BaseException):
        pass

    for n in range(3):
        pq.write_table(scored(n * 100, labelled=1000), root / f"{n}.parquet", row_group_size=30)
    monkeypatch.setattr("watchkeeper.telemetry.places._parquet.ROWS_AT_ONCE", 30)
    model = platform.register()
    place = watch(platform, model, "folder", root)
    reached = []

    def dies(name):
        reached.append(name)
        if len(reached) % 7 == 0 and name == point:
            raise Killed

    for _ in range(12):
        with monkeypatch.context() as patch:
            patch.setattr("watchkeeper.ingest.taking.crash_point", dies)
            try:
                platform.work(minutes=10)
            except Killed:
                continue
    platform.work(minutes=15)

    assert sorted(int(row["id"]) for row in taken(platform, model)) == list(range(300))
    assert sorted(int(row["id"]) for row in taken(platform, model, Stream.LABELS)) == list(range(300))
    place.refresh_from_db()
    assert place.rows == 300
