from tests.platform import Platform
from tests.risks.story import fires, is_unknown, resolves
from watchkeeper.wire import Stream


def test_story_of_a_retry_loop(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "duplicate_rows")
    platform.work()
    is_unknown(platform, risk)

    at = platform.clock.now().isoformat()
    rows = [{"id": f"{n}", "timestamp": at, "score": 0.5} for n in range(200)]
    platform.send(model, Stream.PREDICTIONS, rows)
    platform.send(model, Stream.PREDICTIONS, rows[:100])
    platform.work(minutes=1)
    platform.work(hours=2)
    fires(platform, risk, says="100 of 300 rows")

    platform.work(days=1)
    platform.predict(model, 200)
    platform.work(hours=2)
    resolves(platform, risk)
