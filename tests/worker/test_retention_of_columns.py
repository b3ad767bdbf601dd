"""What is kept of columns: counts of days as long as metric points, bins as long as the model."""

from datetime import timedelta

from tests.platform import Platform
from tests.risks.story import normal_rows
from watchkeeper.core.settings import settings
from watchkeeper.ingest.models import ColumnProfile, ProfileBins
from watchkeeper.worker import upkeep


def test_counts_of_days_go_when_points_go(platform: Platform) -> None:
    model = platform.register()
    platform.train(model, reference=normal_rows(count=200))
    platform.predict_features(model, normal_rows(count=50))
    platform.work(minutes=1)
    platform.work(minutes=2)
    assert ColumnProfile.objects.count() == 1

    platform.clock.advance(timedelta(days=settings().keep_points_days + 2))
    upkeep.run_due(platform.shop.telemetry, holder="test", now=platform.clock.now())

    assert ColumnProfile.objects.count() == 0
    assert ProfileBins.objects.filter(model=model).count() == 1
