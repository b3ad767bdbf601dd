"""A worker that wakes up after its lease finds its claim taken over, and stores nothing."""

from __future__ import annotations

from datetime import timedelta

from tests.platform import Platform
from watchkeeper.alerts import flow
from watchkeeper.monitoring import evaluation
from watchkeeper.monitoring.due import claimed
from watchkeeper.monitoring.models import FindingCount


def test_only_who_holds_the_claim_stores(platform: Platform) -> None:
    model = platform.register()
    platform.only(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12})
    now = platform.clock.now()
    frozen = evaluation.claim_due(now=now)
    assert frozen
    late = list(evaluation.evaluate(claimed(frozen), now=now))

    now += timedelta(minutes=5)
    taken = evaluation.claim_due(now=now)
    assert taken
    fresh = list(evaluation.evaluate(claimed(taken), now=now))

    assert flow.settle(frozen, late, now=now) == 0
    assert claimed(frozen) == []
    assert flow.settle(taken, fresh, now=now) == len(fresh) == 1
    assert FindingCount.objects.count() == 1
