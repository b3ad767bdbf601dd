"""Rankings from the log equal what stats.ranking says of the same queries, query by query."""

import math
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest

from watchkeeper.analysis.metrics import metrics_of
from watchkeeper.stats.ranking import average_precision, hit_rate, mean_over_queries, ndcg_at_k
from watchkeeper.telemetry.decode import decode
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.outcomes import day_outcomes
from watchkeeper.wire import Stream

MODEL = UUID("00000000-0000-4000-8000-000000000005")
START = datetime(2026, 3, 2, 8, tzinfo=UTC)
DAYS = [date(2026, 3, 2), date(2026, 3, 3)]
TOP = 10


@pytest.fixture
def log(tmp_path):
    return TelemetryLog(tmp_path)


def write(log, stream, rows):
    decoded = decode(stream, rows, known={}, zone=UTC, batch=1, received_at=START + timedelta(days=9))
    assert decoded.refused == ()
    log.append(MODEL, stream, decoded.table, lane="worker", sequence=1)


def shown(queries, items, *, seed=1):
    """Queries of different length on two days, and their relevances: graded, missing, negative, infinite; every third query has none."""
    chance = np.random.default_rng(seed)
    rows, labels, relevances = [], [], defaultdict(list)
    for query in range(queries):
        at = START + timedelta(hours=query % 40)
        for rank in range(1, 1 + items(query)):
            id = f"{query}-{rank}"
            row = {"id": id, "timestamp": at, "query_id": f"q{query}", "rank": rank, "item": f"i{rank}", "region": ["north", "south"][query % 2]}
            rows.append(row)
            relevance = [None, 0.0, 0.0, 1.0, 3.0, -2.0, math.inf][chance.integers(0, 7)] if query % 3 else None
            relevances[at.date(), row["region"], query].append(relevance)
            if relevance is not None:
                labels.append({"id": id, "timestamp": at + timedelta(hours=1), "label": relevance})
    order = chance.permutation(len(rows))
    return [rows[place] for place in order], labels, relevances


def outcomes(engine, log, *fields):
    return day_outcomes(engine, log, MODEL, OutcomeKind.RANKINGS, fields, DAYS, UTC, label_days=30, last_only=False)


def told(entries):
    return {metric.name: metric.compute(entries) for metric in metrics_of(OutcomeKind.RANKINGS, entries)}


def expected(relevances):
    """As numbers that count: what is no finite number is not relevant."""
    lists = [[0.0 if value is None or not math.isfinite(value) else value for value in values] for values in relevances]
    return {
        "ndcg_at_10": mean_over_queries([ndcg_at_k(values, TOP) for values in lists]),
        "mean_average_precision": mean_over_queries([average_precision(values) for values in lists]),
        "hit_rate_at_10": mean_over_queries([hit_rate(values, TOP) for values in lists]),
    }


def assert_alike(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, result in ours.items():
        for part in ("estimate", "low", "high", "n"):
            assert getattr(result, part) == pytest.approx(getattr(theirs[name], part), abs=1e-12, nan_ok=True), (name, part)


def test_metrics_are_the_means_over_queries(each_engine, log):
    rows, labels, relevances = shown(60, lambda query: 1 + query % 25)
    write(log, Stream.PREDICTIONS, rows)
    write(log, Stream.LABELS, labels)

    found = outcomes(each_engine, log, "region")

    assert_alike(told([entry for entry in found if not entry.field]), expected(relevances.values()))
    for day in DAYS:
        for region in ("north", "south"):
            ours = [entry for entry in found if entry.day == day and entry.segment == region]
            assert_alike(told(ours), expected([values for key, values in relevances.items() if key[:2] == (day, region)]))
    whole = [entry for entry in found if not entry.field]
    assert sum(entry.rows for entry in whole) == len(rows)
    assert sum(entry.labelled for entry in whole) == len(labels)


def test_queries_without_anything_relevant_say_nothing(engine, log):
    rows, _, _ = shown(9, lambda query: 5)
    write(log, Stream.PREDICTIONS, rows)
    write(log, Stream.LABELS, [{"id": row["id"], "timestamp": START + timedelta(hours=2), "label": 0.0} for row in rows])

    results = told(outcomes(engine, log))

    assert all(not result.is_ok and math.isnan(result.estimate) for result in results.values())


def test_rows_without_a_query_or_a_rank_are_in_no_ranking(engine, log):
    rows, labels, relevances = shown(12, lambda query: 4)
    lost = [{**row, "id": f"{row['id']}-x", field: None} for row in rows for field in ("query_id", "rank")]
    write(log, Stream.PREDICTIONS, rows + lost)
    write(log, Stream.LABELS, labels + [{"id": row["id"], "timestamp": START + timedelta(hours=9), "label": 5.0} for row in lost])

    found = outcomes(engine, log)

    assert_alike(told(found), expected(relevances.values()))
    assert sum(entry.rows for entry in found) == 3 * len(rows)
