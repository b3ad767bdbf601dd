"""Stored tables come back as they were, those of fewer sums with zeros."""

import numpy as np
import pytest

from watchkeeper.ingest.outcome_tables import WIDTHS, pack_table, unpack_table
from watchkeeper.telemetry.outcome_queries import NUMBER_SUMS, OutcomeKind


@pytest.mark.parametrize("kind", OutcomeKind)
@pytest.mark.parametrize("rows", [0, 1, 7])
def test_a_table_comes_back_as_it_was(kind, rows):
    table = np.random.default_rng(rows).normal(size=(rows, WIDTHS[kind]))

    assert np.array_equal(unpack_table(pack_table(table), WIDTHS[kind]), table)


def test_sums_of_before_there_were_quantiles_have_none():
    before = np.arange(1.0, 19.0).reshape(1, -1)

    [found] = unpack_table(pack_table(before), WIDTHS[OutcomeKind.NUMBERS])

    assert dict(zip(NUMBER_SUMS, found, strict=True)) == dict(zip(NUMBER_SUMS, [*before[0], 0.0, 0.0, 0.0], strict=True))
