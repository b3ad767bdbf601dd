"""Profiles stored before are read as they were written: a migration packs them anew."""

import json
import zlib
from datetime import UTC, datetime
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
from django.apps import apps

from watchkeeper.ingest.models import ColumnProfile, OutcomeProfile, ProfileBins
from watchkeeper.ingest.outcome_tables import unpack_table
from watchkeeper.telemetry.bins import count_rows, make_bins, unpack

migration = import_module("watchkeeper.ingest.migrations.0012_packed_for_reading")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_stored_profiles_are_packed_anew(platform):
    model = platform.register().id
    rows = pa.table({"f.age": [1.0, 2.0, None, 7.5], "f.region": ["north", "south", "north", None]})
    layout, cells, delays = make_bins(rows), np.arange(12.0).reshape(2, 6), np.array([[1.0, 3.0, 5.0]])
    counted = count_rows(layout, rows)
    before = bytes(pa.compress(counted.counts.astype("<i8").tobytes() + counted.sums.astype("<f8").tobytes(), codec="zstd", asbytes=True))
    columns = json.loads(json.dumps(layout.as_json()))
    bins = ProfileBins.objects.create(model_id=model, number=1, made_at=NOON, columns=columns, rows=4, counts=before)
    profile = ColumnProfile.objects.create(bins=bins, day=NOON.date(), rows=4, counts=before)
    outcome = OutcomeProfile.objects.create(
        model_id=model,
        kind="decisions",
        day=NOON.date(),
        rows=4,
        labelled=2,
        cells=zlib.compress(cells.tobytes()),
        delays=zlib.compress(delays.tobytes()),
    )

    migration.repack(apps, SimpleNamespace())

    for row in (bins, profile, outcome):
        row.refresh_from_db()
    for row in (bins, profile):
        read = unpack(layout, row.rows, bytes(row.counts))
        assert read.counts.tolist() == counted.counts.tolist()
        assert read.sums.tolist() == counted.sums.tolist()
    assert unpack_table(bytes(outcome.cells), 6).tolist() == cells.tolist()
    assert unpack_table(bytes(outcome.delays), 3).tolist() == delays.tolist()
