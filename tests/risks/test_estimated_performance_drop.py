"""The story of estimated_performance_drop: a population the model is unsure of fires before any label, labels that contradict make it distrusted."""

from datetime import timedelta

import numpy as np

from tests.platform import Platform
from tests.risks import story
from tests.risks.story import LabelledModel, scored_row
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.wire import Stream


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


def validated(platform: Platform, model: RegisteredModel, count: int = 4000, *, version: str = "1", truth=float) -> None:
    rng = np.random.default_rng(7)
    rows = [scored_row(rng, truth) for _ in range(count)]
    platform.send(model, Stream.TRAINING, [{"version": version, "validation": rows}])
    platform.work()


def test_story_validation_rows_tell_what_scores_mean_before_any_label_comes(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "estimated_performance_drop")
    validated(platform, model)
    labelled = LabelledModel(platform, model, delay=timedelta(days=400))
    platform.work()
    story.is_unknown(platform, risk)

    labelled.days(3, row=lambda rng: {**scored_row(rng), "version": "1"})
    assert platform.light(model) == "green"

    labelled.days(2, row=lambda rng: {**unsure(rng), "version": "1"})
    story.fires(platform, risk, says="estimated ROC AUC 0.5")


def test_validation_rows_of_another_version_say_nothing_about_this_one(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "estimated_performance_drop")
    validated(platform, model, version="2")

    LabelledModel(platform, model, delay=timedelta(days=400)).days(3, row=lambda rng: {**scored_row(rng), "version": "1"})

    story.is_unknown(platform, risk)
    assert "validation rows" in platform.explanation(risk)


def test_labels_that_contradict_the_validation_rows_make_the_estimate_distrusted(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "estimated_performance_drop", params={"tested_window": 2})
    validated(platform, model)

    LabelledModel(platform, model).days(6, rows=300, row=lambda rng: {**scored_row(rng, lambda score: 0.5), "version": "1"})

    assert "distrusted" in platform.explanation(risk)


def test_an_estimate_that_missed_the_truth_twice_is_distrusted(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "estimated_performance_drop", params={"tested_window": 3})
    labelled = LabelledModel(platform, model)
    labelled.days(30)
    assert platform.light(model) == "green"

    labelled.days(7, truth=lambda score: 0.5)

    assert "distrusted" in platform.explanation(risk)
    assert platform.light(model) == "grey"
