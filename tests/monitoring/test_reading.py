"""Evidence is read once for all risks of a model."""

from __future__ import annotations

from tests.platform import Platform
from watchkeeper.analysis.outcomes import OutcomeHistory, SegmentHistory
from watchkeeper.monitoring.evaluation import read_evidence


def test_what_another_evidence_extends_is_read_with_it(platform: Platform) -> None:
    both, alone = platform.register(name="both").id, platform.register(name="alone").id

    found = read_evidence({OutcomeHistory: [both, alone], SegmentHistory: [both]}, now=platform.clock.now())

    assert found[OutcomeHistory][both] is found[SegmentHistory][both]
    assert type(found[OutcomeHistory][alone]) is OutcomeHistory
    assert found[SegmentHistory].keys() == {both}
