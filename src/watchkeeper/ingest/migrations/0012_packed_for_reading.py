import zlib

import numpy as np
import pyarrow as pa
from django.db import migrations

WIDTHS = {"decisions": 6, "classes": 3}
LZ4 = pa.Codec("lz4_raw")
AT_ONCE = 100


def repack(apps, schema_editor):
    """Stored tables and counts, in the form that is unpacked faster."""
    bins, profiles, outcomes, validations = (
        apps.get_model("ingest", name).objects for name in ("ProfileBins", "ColumnProfile", "OutcomeProfile", "ValidationOutcome")
    )
    widths = {id: len(columns) for id, columns in bins.values_list("id", "columns")}
    _change(bins.exclude(counts=None), {"counts": lambda row: _counts(row.counts, row.rows, widths[row.id])})
    _change(profiles, {"counts": lambda row: _counts(row.counts, row.rows, widths[row.bins_id])})
    _change(outcomes, {"cells": lambda row: _table(row.cells, WIDTHS.get(row.kind)), "delays": lambda row: _table(row.delays, 3)})
    _change(validations, {"cells": lambda row: _table(row.cells, WIDTHS["decisions"])})


def _change(rows, made):
    ids = list(rows.order_by("id").values_list("id", flat=True))
    for start in range(0, len(ids), AT_ONCE):
        part = list(rows.filter(id__in=ids[start : start + AT_ONCE]))
        for row in part:
            for name, make in made.items():
                setattr(row, name, make(row))
        rows.bulk_update(part, list(made), batch_size=100)


def _counts(blob, rows, columns):
    body = _zstd(bytes(blob))
    split = len(body) - 16 * columns
    numbers = np.frombuffer(body[:split], dtype="<i8").astype("<i4" if rows < 2**31 else "<i8")
    shuffled = np.ascontiguousarray(numbers.view(np.uint8).reshape(-1, numbers.itemsize).T).tobytes()
    return LZ4.compress(shuffled + body[split:], asbytes=True)


def _zstd(blob):
    with pa.CompressedInputStream(pa.BufferReader(blob), "zstd") as stream:
        return stream.read()


def _table(blob, width):
    numbers = np.frombuffer(zlib.decompress(bytes(blob)), dtype="<f8")
    body = np.ascontiguousarray(numbers.reshape(-1, width or numbers.size or 1).T).tobytes()
    return len(body).to_bytes(4, "little") + LZ4.compress(body, asbytes=True)


class Migration(migrations.Migration):
    dependencies = [("ingest", "0011_importances")]

    operations = [migrations.RunPython(repack, elidable=True)]
