"""What is deleted when: payloads after a week, refused rows after a month, the log after 400 days, points after five years, Changes never."""

from __future__ import annotations

from datetime import date

from tests.platform import Platform
from watchkeeper.history.models import Change
from watchkeeper.history.services import verify_history
from watchkeeper.incidents.models import Incident
from watchkeeper.ingest.models import Batch, MetricPoint, QuarantinedRow
from watchkeeper.monitoring.models import FiredFinding
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.wire import Stream


def kept(platform: Platform, model: RegisteredModel) -> dict[str, int]:
    return {
        "payloads": Batch.objects.exclude(payload=None, payload_path="").count(),
        "refused": QuarantinedRow.objects.count(),
        "logged": platform.shop.telemetry.rows(model.id, Stream.PREDICTIONS, date(2020, 1, 1), date(2040, 1, 1)).num_rows,
        "points": MetricPoint.objects.count(),
        "findings": FiredFinding.objects.count(),
    }


def test_each_thing_is_kept_as_long_as_promised(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12, "max_age": None}, schedule={"on": "event"})
    platform.predict(model, 3)
    platform.send(
        model,
        Stream.PREDICTIONS,
        [{"id": "good", "timestamp": platform.clock.now().isoformat(), "score": 0.5}, {"id": "no time at all", "timestamp": "yesterday"}],
    )
    platform.measure(model, "mape", 18)
    platform.work(minutes=1)
    assert kept(platform, model) == {"payloads": 3, "refused": 1, "logged": 4, "points": 1, "findings": 1}

    after = {}
    for days in (6, 8, 31, 399, 402, 1825, 1830):
        platform.work(days=days - max(after, default=0))
        after[days] = kept(platform, model)

    assert after[6] == {"payloads": 3, "refused": 1, "logged": 4, "points": 1, "findings": 1}
    assert after[8] == {"payloads": 0, "refused": 1, "logged": 4, "points": 1, "findings": 1}
    assert after[31] == {"payloads": 0, "refused": 0, "logged": 4, "points": 1, "findings": 1}
    assert after[399]["logged"] == 4
    assert after[402] == {"payloads": 0, "refused": 0, "logged": 0, "points": 1, "findings": 1}
    assert after[1825]["points"] == 1
    assert after[1830] == {"payloads": 0, "refused": 0, "logged": 0, "points": 0, "findings": 0}
    assert Incident.objects.filter(binding=risk).exists()
    assert verify_history().bad_number is None
    assert Change.objects.filter(object_type="risk", object_id=str(risk.id)).exists()
