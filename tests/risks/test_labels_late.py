"""The story of labels_late: unknown until it is known when labels come, they stay away and it fires, they are sent and it resolves."""

from datetime import timedelta

import pytest

from tests.platform import Platform
from tests.risks import story
from tests.risks.story import LabelledModel
from watchkeeper.analysis.labels import recent_labels
from watchkeeper.analysis.outcome_examples import outcome_history, scored
from watchkeeper.core.finding import Outcome
from watchkeeper.risks.labels_late import Params, evaluate
from watchkeeper.wire import Stream


def test_story_labels_stay_away_and_are_sent_later(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "labels_late", params={"window": 2})
    labelled = LabelledModel(platform, model)
    platform.work()
    story.is_unknown(platform, risk)

    labelled.days(12)
    assert platform.light(model) == "green"

    labelled.delay = timedelta(days=300)
    labelled.days(3)
    story.fires(platform, risk, says="0 labels for 240 predictions")

    late, labelled.waiting, labelled.delay = labelled.waiting, [], timedelta(hours=6)
    platform.send(model, Stream.LABELS, [label | {"timestamp": platform.clock.now().isoformat()} for label in late])
    labelled.days(3)
    story.resolves(platform, risk)


def test_a_day_that_is_too_young_for_labels_is_not_missed() -> None:
    history = outcome_history([scored(back, delay=5.0, labelled=0.9) for back in range(1, 40)])

    found = recent_labels(history, window=3)

    assert found is not None
    assert history.age(found.last) > 4
    assert found.missing == pytest.approx(0, abs=0.02)


def test_slow_labels_that_become_slower_are_noticed_before_they_are_all_due() -> None:
    slower = [scored(back, delay=25.0) for back in range(1, 15)]
    history = outcome_history([*slower, *(scored(back, delay=10.0) for back in range(15, 60))])

    assert evaluate(history, Params()).outcome is Outcome.FIRED


def test_an_unusually_poor_day_among_days_that_differ_is_quiet() -> None:
    shares = [0.9 if back % 2 else 0.5 for back in range(60)]
    history = outcome_history([scored(back, labelled=shares[back]) for back in range(1, 60)])

    assert evaluate(history, Params(window=1)).outcome is Outcome.QUIET
