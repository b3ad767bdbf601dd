"""Days of columns are read as they were stored, those of several versions added up."""

from datetime import timedelta

import pyarrow as pa

from tests.platform import Platform
from watchkeeper.analysis.examples import NOW
from watchkeeper.ingest.columns import column_histories
from watchkeeper.ingest.models import ColumnProfile, ProfileBins
from watchkeeper.telemetry.bins import count_rows, make_bins, pack


def test_versions_of_a_day_are_added_up(platform: Platform) -> None:
    model = platform.register()
    rows = pa.table({"f.age": [1.0, 2.0, None, 7.5], "f.region": ["north", "south", "north", None]})
    layout = make_bins(rows)
    counted = count_rows(layout, rows)
    bins = ProfileBins.objects.create(model_id=model.id, number=1, made_at=NOW, columns=layout.as_json(), rows=4, counts=pack(counted))
    for back, versions in ((3, ("1",)), (2, ("1", "2", "3")), (1, ("2", "3"))):
        for version in versions:
            day = (NOW - timedelta(days=back)).date()
            ColumnProfile.objects.create(bins=bins, version=version, day=day, rows=4, counts=pack(counted))

    history = column_histories([model.id], now=NOW)[model.id]

    assert [(NOW.date() - day).days for day in history.days] == [3, 2, 1]
    assert history.rows.tolist() == [4, 12, 8]
    assert history.counts.tolist() == [(counted.counts * versions).tolist() for versions in (1, 3, 2)]
    assert history.sums.tolist() == [(counted.sums * versions).tolist() for versions in (1, 3, 2)]
