"""Evidence is read once for all risks of a model, and what is large of a few models at a time."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.platform import Platform
from watchkeeper.analysis.columns import ColumnHistory
from watchkeeper.analysis.outcomes import OutcomeHistory, SegmentHistory
from watchkeeper.core.evidence import Heartbeats
from watchkeeper.monitoring.due import due_of
from watchkeeper.monitoring.evaluation import LARGE_AT_ONCE, evaluate, read_evidence
from watchkeeper.risks import catalogue


def test_what_another_evidence_extends_is_read_with_it(platform: Platform) -> None:
    both, alone = platform.register(name="both").id, platform.register(name="alone").id

    found = read_evidence({OutcomeHistory: [both, alone], SegmentHistory: [both]}, now=platform.clock.now())

    assert found[OutcomeHistory][both] is found[SegmentHistory][both]
    assert type(found[OutcomeHistory][alone]) is OutcomeHistory
    assert found[SegmentHistory].keys() == {both}


def test_large_evidence_is_read_of_a_few_models_at_a_time(platform: Platform) -> None:
    """All risks of a model together, and each binding once."""
    models = [platform.register(name=f"Model {number}") for number in range(2 * LARGE_AT_ONCE + 1)]
    types = ("feature_drift", "missing_values", "no_predictions")
    assert [catalogue()[type].needs for type in types] == [ColumnHistory, ColumnHistory, Heartbeats]
    bindings = [due_of(platform.bind(model, type).id) for type in types for model in models]

    with CaptureQueriesContext(connection) as reads:
        evaluated = list(evaluate(bindings, now=platform.clock.now()))

    assert sorted(entry.binding.id for entry in evaluated) == sorted(binding.id for binding in bindings)
    assert not any(entry.error for entry in evaluated)
    assert len([read for read in reads if 'FROM "ingest_profilebins"' in read["sql"]]) == 3
