"""What an evaluation reads of one model must not grow with the others."""

from __future__ import annotations

import re

from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.platform import Platform
from watchkeeper import risks
from watchkeeper.monitoring.evaluation import read_evidence

OF_THE_PLATFORM = {"monitoring_outage"}  # its own tables, without models: as long as its life


def test_no_read_of_evidence_goes_through_the_rows_of_all_models(platform: Platform) -> None:
    model = platform.register()
    kinds = {kind.needs: [model.id] for kind in risks.catalogue().values()}

    with CaptureQueriesContext(connection) as reads:
        read_evidence(kinds, now=platform.clock.now())

    told = [read["sql"] for read in reads if read["sql"].startswith("SELECT")]
    assert len(told) > 20
    for sql in told:
        assert not _scanned(sql), sql


def _scanned(sql: str) -> set[str]:
    """Tables that are read from one end to the other."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        steps = [row[3] for row in cursor.fetchall()]
    tables = {found[1] for step in steps if (found := re.match(r"SCAN (\w+)", step))}
    return {name for name in tables if name in connection.introspection.table_names()} - OF_THE_PLATFORM
