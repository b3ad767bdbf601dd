"""The story of segment_gap: unknown until days can be compared, decisions in the north lose their meaning and it fires, sound days resolve it."""

from dataclasses import replace

import numpy as np
import pytest

from tests.platform import Platform
from tests.risks import story
from tests.risks.story import LabelledModel
from watchkeeper.analysis.outcome_examples import numbers, scored, segment_history
from watchkeeper.analysis.outcomes import SegmentHistory
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.risks.segment_gap import Params, evaluate
from watchkeeper.telemetry.outcome_queries import NUMBER_SUMS, OutcomeKind
from watchkeeper.telemetry.outcomes import DayOutcomes

LAST = range(1, 16)
DAYS = range(1, 61)


def rows_of_regions(north: float = 1.0):
    """In the north the truth follows the scores only as far as told."""

    def row(rng):
        region = str(rng.choice(["north", "south", "east"]))
        part = north if region == "north" else 1.0
        return {**story.scored_row(rng, lambda score: 0.5 + (score - 0.5) * part), "region": region}

    return row


def slope(part: float):
    return lambda score: 0.5 + (score - 0.5) * part


def history(segments: list[DayOutcomes], others: list[DayOutcomes] | None = None, kind: OutcomeKind = OutcomeKind.DECISIONS) -> SegmentHistory:
    """All rows are those of the first field's segments, and others."""
    rows = [entry for entry in segments if entry.field == segments[0].field]
    whole = [replace(entry, field="", segment="") for entry in [*rows, *(others or [])]]
    return replace(segment_history(whole, segments), kind=kind)


def region(
    name: str, *, now: float = 0.6, before: float = 0.6, rows: int = 300, seed: int = 0, field: str = "region", days=DAYS
) -> list[DayOutcomes]:
    return [scored(back, rows, truth=slope(now if back in LAST else before), field=field, segment=name, seed=seed) for back in days]


def classes_of(back: int, right: int, name: str) -> DayOutcomes:
    """A hundred rows of two classes, so many of them right."""
    day = scored(back, 100, field="region", segment=name)
    half = (100 - right) / 2
    cells = np.array([[0.0, 0.0, right / 2], [1.0, 1.0, right / 2], [0.0, 1.0, half], [1.0, 0.0, half]])
    return replace(day, cells=cells, classes=("cat", "dog", ""))


def judged(history: SegmentHistory, **params: object) -> Finding:
    return evaluate(history, Params.model_validate(params))


def test_story_decisions_about_one_region_lose_their_meaning(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "segment_gap", params={"window": 3})
    labelled = LabelledModel(platform, model)
    platform.work()
    story.is_unknown(platform, risk)

    labelled.days(10, rows=150, row=rows_of_regions())
    story.is_unknown(platform, risk)
    labelled.days(22, rows=150, row=rows_of_regions())
    assert platform.light(model) == "green"

    labelled.days(4, rows=150, row=rows_of_regions(north=-0.2))
    story.fires(platform, risk, says="most region: north")

    labelled.days(4, rows=150, row=rows_of_regions())
    story.resolves(platform, risk)


def test_it_names_the_worst_segment_first_and_all_of_them() -> None:
    sound = [entry for seed, name in enumerate(("east", "west", "middle")) for entry in region(name, seed=seed)]

    found = judged(history([*region("north", now=0.0, seed=3), *region("south", now=-0.3, seed=4), *sound]))

    assert found.outcome is Outcome.FIRED
    assert found.parts == ("region: south", "region: north")
    assert "most region: south" in found.explanation.render()
    assert found.value == pytest.approx(0.19, abs=0.03)


def test_a_segment_that_is_better_than_the_rest_does_not_fire() -> None:
    found = judged(history([*region("north", now=1.0, seed=1), *region("south", seed=2), *region("east", seed=3)]), fields=["region"], tolerance=0.2)

    assert found.outcome is Outcome.QUIET


def test_a_gap_that_was_always_there_is_named_and_fires_only_when_asked() -> None:
    always = history([*region("north", now=0.1, before=0.1, seed=1), *region("south", seed=2), *region("east", seed=3)])

    quiet = judged(always)
    fired = judged(always, known_gaps=True)

    assert quiet.outcome is Outcome.QUIET
    assert "worse in region: north, as in the reference" in quiet.explanation.render()
    assert fired.outcome is Outcome.FIRED
    assert fired.parts == ("region: north",)


def test_a_known_gap_that_grows_fires() -> None:
    found = judged(history([*region("north", now=-0.3, before=0.2, seed=1), *region("south", seed=2), *region("east", seed=3)]))

    assert found.outcome is Outcome.FIRED
    assert found.value > 2 * found.explanation.args["before"]


def test_a_segment_too_new_for_a_reference_is_left_out_unless_known_gaps_fire() -> None:
    new = history([*region("north", now=-0.3, days=LAST, seed=1), *region("south", seed=2), *region("east", seed=3)])

    quiet = judged(new)
    fired = judged(new, known_gaps=True)

    assert quiet.outcome is Outcome.QUIET
    assert quiet.explanation.args["judged"] == 2
    assert fired.outcome is Outcome.FIRED
    assert "in the reference –" in fired.explanation.render()


def test_small_segments_are_not_judged() -> None:
    entries = [*region("north", now=-0.3, rows=5, seed=1), *region("south", seed=2), *region("east", seed=3)]

    assert judged(history(entries)).explanation.args["judged"] == 2
    assert judged(history(entries), least_rows=30).explanation.args["judged"] == 3


def test_only_the_wanted_fields_are_looked_at() -> None:
    both = history([*region("north", now=0.1, seed=1), *region("south", seed=2), *region("web", rows=600, seed=3, field="channel")])

    assert judged(both).outcome is Outcome.FIRED
    assert judged(both, fields=["channel"]).outcome is Outcome.UNKNOWN  # all rows are of the web: there is no rest
    assert "not logged" in judged(both, fields=["region", "branch"]).explanation.render()


def test_rows_of_no_segment_belong_to_the_rest() -> None:
    elsewhere = [scored(back, 600, truth=slope(0.6), seed=9) for back in DAYS]

    found = judged(history(region("north", now=0.0, seed=1), elsewhere))

    assert found.outcome is Outcome.FIRED
    assert found.explanation.args["rest"] == pytest.approx(0.65, abs=0.02)


def test_the_other_rows_are_all_rows_without_those_of_the_segment() -> None:
    north = [replace(numbers(back, 50, seed=1), field="region", segment="north") for back in DAYS]
    south = [replace(numbers(back, 80, error=2.0, seed=2), field="region", segment="south") for back in DAYS]
    both = history([*north, *south], kind=OutcomeKind.NUMBERS)

    def mean_error(entries: list[DayOutcomes]) -> float:
        sums = sum(entry.cells[0] for entry in entries if entry.day in both.periods.judged)
        return float(sums[NUMBER_SUMS.index("absolute")] / sums[NUMBER_SUMS.index("n")])

    found = judged(both, known_gaps=True, window=92)

    assert found.parts == ("region: south",)
    assert found.explanation.args["inside"] == pytest.approx(mean_error(south))
    assert found.explanation.args["rest"] == pytest.approx(mean_error(north))


def test_classes_are_judged_by_their_accuracy() -> None:
    entries = [classes_of(back, 60 if name == "north" and back in LAST else 90, name) for back in DAYS for name in ("north", "south", "east")]

    found = judged(history(entries, kind=OutcomeKind.CLASSES))

    assert found.outcome is Outcome.FIRED
    assert (found.explanation.args["inside"], found.explanation.args["rest"]) == (0.6, 0.9)
    assert found.value == pytest.approx(0.3)
    assert found.limit == pytest.approx(0.08)


def test_any_metric_can_be_asked_for_and_an_impossible_one_is_told() -> None:
    entries = history([*region("north", now=0.1, seed=1), *region("south", seed=2), *region("east", seed=3)])

    assert "ROC AUC" in judged(entries, metric="roc_auc").explanation.render()
    assert judged(entries, metric="roc_auc").parts == ("region: north",)
    assert judged(entries, metric="mean_absolute_error").outcome is Outcome.UNKNOWN


def test_a_gap_that_always_differed_much_between_days_takes_more() -> None:
    others = [*region("south", rows=150, seed=2), *region("east", rows=150, seed=3)]
    steady = region("north", now=0.0, rows=150, seed=1)
    restless = [entry for back in DAYS for entry in region("north", now=0.0, before=1.2 * (back % 2), rows=150, seed=1, days=[back])]

    assert judged(history([*steady, *others]), window=3).outcome is Outcome.FIRED
    assert "may be chance" in judged(history([*restless, *others]), window=3).explanation.render()


@pytest.mark.parametrize("seed", range(10))
def test_many_segments_without_a_gap_stay_quiet(seed: int) -> None:
    segments = [entry for place in range(20) for entry in region(f"branch {place}", rows=15, seed=100 * seed + place)]

    assert judged(history(segments)).outcome is Outcome.QUIET


def test_a_field_that_is_logged_since_yesterday_is_no_reference() -> None:
    before = [scored(back, 600, seed=9) for back in range(8, 61)]

    found = judged(history([*region("north", now=-0.3, days=range(1, 8), seed=1), *region("south", days=range(1, 8), seed=2)], before))

    assert found.outcome is Outcome.UNKNOWN
    assert "in the reference too" in found.explanation.render()
