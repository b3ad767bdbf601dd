"""The story of estimated_performance_drop: a population the model is unsure of fires before any label, labels that contradict make it distrusted."""

from datetime import timedelta

from tests.platform import Platform
from tests.risks import story
from tests.risks.story import LabelledModel


def unsure(rng):
    score = float(rng.beta(40, 40))
    return {"score": score, "prediction": score >= 0.5, "label": bool(rng.uniform() < score)}


def test_story_a_population_comes_of_which_the_model_is_unsure(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "estimated_performance_drop")
    labelled = LabelledModel(platform, model, delay=timedelta(days=4))
    platform.work()
    story.is_unknown(platform, risk)

    labelled.days(20)
    assert platform.light(model) == "green"

    labelled.days(2, row=unsure)
    story.fires(platform, risk, says="estimated ROC AUC 0.5")

    labelled.days(2)
    story.resolves(platform, risk)


def test_an_estimate_that_missed_the_truth_twice_is_distrusted(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "estimated_performance_drop", params={"tested_window": 3})
    labelled = LabelledModel(platform, model)
    labelled.days(30)
    assert platform.light(model) == "green"

    labelled.days(7, truth=lambda score: 0.5)

    assert "distrusted" in platform.explanation(risk)
    assert platform.light(model) == "grey"
