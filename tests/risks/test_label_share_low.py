"""The story of label_share_low: unknown until a share is usual, fewer predictions get a label and it fires, all do again and it resolves."""

from tests.platform import Platform
from tests.risks import story
from tests.risks.story import LabelledModel, scored_row
from watchkeeper.analysis.outcome_examples import outcome_history, scored
from watchkeeper.core.finding import Outcome
from watchkeeper.risks.label_share_low import Params, evaluate


def rarely_labelled(rng):
    row = scored_row(rng)
    return row if rng.uniform() < 0.3 else row | {"label": None}


def test_story_fewer_predictions_get_a_label(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "label_share_low", params={"window": 2}, schedule={"every": "6h"})
    labelled = LabelledModel(platform, model)
    platform.work()
    story.is_unknown(platform, risk)

    labelled.days(31)
    assert platform.light(model) == "green"

    labelled.days(3, row=rarely_labelled)
    story.fires(platform, risk, says="of 240 predictions got a label")

    labelled.days(3)
    story.resolves(platform, risk)


def test_days_whose_labels_are_still_to_come_are_not_counted() -> None:
    history = outcome_history([scored(back, delay=20.0, labelled=0.8) for back in range(1, 90)])

    assert evaluate(history, Params()).outcome is Outcome.QUIET


def test_a_demanded_share_counts_even_where_less_is_usual() -> None:
    history = outcome_history([scored(back, labelled=0.3) for back in range(1, 60)])

    assert evaluate(history, Params()).outcome is Outcome.QUIET
    assert evaluate(history, Params(least=0.5)).outcome is Outcome.FIRED
