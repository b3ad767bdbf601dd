"""The story of performance_drop: unknown until days can be compared, a bad week fires, good ones resolve."""

from datetime import timedelta

from tests.platform import Platform
from tests.risks import story
from tests.risks.story import LabelledModel


def meaningless(score: float) -> float:
    return 0.5 + (score - 0.5) * 0.1


def test_story_scores_lose_their_meaning(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "performance_drop", params={"window": 2})
    labelled = LabelledModel(platform, model)
    platform.work()
    story.is_unknown(platform, risk)

    labelled.days(10)
    assert "with which later days are compared" in platform.explanation(risk)
    story.is_unknown(platform, risk)
    labelled.days(21)
    assert platform.light(model) == "green"

    labelled.days(3, truth=meaningless)
    story.fires(platform, risk, says="ROC AUC 0.5")

    labelled.days(3)
    story.resolves(platform, risk)


def test_labels_that_come_late_are_waited_for(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "performance_drop", params={"window": 2})
    labelled = LabelledModel(platform, model, delay=timedelta(days=5))

    labelled.days(42)
    assert platform.light(model) == "green"
    days = platform.explanation(risk).rsplit(", ", 1)[1]

    assert days.endswith(str((platform.clock.now() - timedelta(days=6)).date()))


def test_a_worse_release_is_compared_with_the_one_before(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "performance_drop", params={"window": 2})
    labelled = LabelledModel(platform, model)
    labelled.days(30, row=lambda rng: {**story.scored_row(rng), "version": "1"})

    labelled.days(4, row=lambda rng: {**story.scored_row(rng, meaningless), "version": "2"})

    story.fires(platform, risk, says="ROC AUC 0.5")


def test_a_regression_is_judged_by_its_errors(platform: Platform) -> None:
    def row(sd: float):
        return lambda rng: {"prediction": 100.0, "label": 100.0 + float(rng.normal(0, sd))}

    model = platform.register(problem_type="regression")
    risk = platform.only(model, "performance_drop", params={"window": 2, "metric": "root_mean_squared_error"})
    labelled = LabelledModel(platform, model)
    labelled.days(30, row=row(1.0))
    assert platform.light(model) == "green"

    labelled.days(3, row=row(2.0))

    story.fires(platform, risk, says="root mean squared error")
