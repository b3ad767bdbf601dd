"""Days that are seldom looked at are read when they are asked for: what is found is the same as when all are read at once."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.platform import Platform
from watchkeeper import risks
from watchkeeper.analysis.examples import NOW
from watchkeeper.analysis.outcome_examples import day_back, scored
from watchkeeper.analysis.outcomes import LOOKED_BACK, SegmentHistory
from watchkeeper.analysis.service_levels import good_and_bad
from watchkeeper.ingest.models import OutcomeProfile
from watchkeeper.ingest.outcome_histories import segment_histories
from watchkeeper.ingest.outcomes import replace_outcomes
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.outcomes import DayOutcomes

DAYS = 160
MIDDLE, AFTER, LONG_AGO, LATELY = day_back(110), day_back(60), day_back(DAYS - 3), day_back(5)


@pytest.fixture
def model(platform: Platform) -> RegisteredModel:
    """Of its segments one ended long ago, one was there for some days in the middle, one is new; two versions served some days."""
    model = platform.register()
    counted: list[DayOutcomes] = []
    for back in range(DAYS, -1, -1):
        regions = ["north", "south"] + ["old"] * (back > DAYS - 10) + ["passing"] * (105 < back < 115) + ["new"] * (back < 30)
        counted += [scored(back, 100 * len(regions)), *(scored(back, 100, field="region", segment=name) for name in regions)]
        counted += [scored(back, 50, field="channel", segment="web")] if back < 120 else []
    counted += [replace(entry, version="2") for entry in counted if 100 < (day_back(0) - entry.day).days < 120]
    replace_outcomes(model.id, OutcomeKind.DECISIONS, sorted({entry.day for entry in counted}), counted)
    return model


def read(model: RegisteredModel, back: timedelta = LOOKED_BACK) -> SegmentHistory:
    return segment_histories([model.id], now=NOW, back=back)[model.id]


def at_once(model: RegisteredModel) -> SegmentHistory:
    return read(model, LOOKED_BACK + timedelta(days=1))


def contents(history: SegmentHistory) -> list[tuple[object, ...]]:
    return list(_contents(history))


def _contents(history: SegmentHistory) -> Iterator[tuple[object, ...]]:
    for field, of_field in history.segments.items():
        for segment, entries in of_field.items():
            for day, of_day in entries.items():
                tables = [(entry.version, entry.rows, entry.labelled, entry.cells.tolist(), entry.delays.tolist()) for entry in of_day]
                yield field, segment, day, tables


def test_all_is_there_in_the_order_in_which_it_came(model: RegisteredModel) -> None:
    history = read(model)

    named = [(field, list(of_field)) for field, of_field in history.segments.items()]
    assert named == [("region", ["north", "old", "south", "passing", "new"]), ("channel", ["web"])]
    assert contents(history) == contents(at_once(model))


def test_a_day_in_the_middle_is_read_when_it_is_asked_for_and_with_it_the_weeks_around(
    model: RegisteredModel, django_assert_num_queries: Callable[[int], AbstractContextManager[object]]
) -> None:
    region = read(model).segments["region"]
    expected = at_once(model).segments["region"]

    with django_assert_num_queries(0):
        near = [region["old"][LONG_AGO], region["new"][LATELY]]
        assert MIDDLE in region["passing"]
        assert (len(region["north"]), len(region["passing"])) == (DAYS, 9)
        assert region["passing"].get(LATELY, ()) == ()
    with django_assert_num_queries(1):
        middle = [region[name][MIDDLE] for name in ("passing", "north", "south")]
    with django_assert_num_queries(1):
        assert [entry.rows for entry in region["north"][AFTER]] == [100]

    assert [[entry.rows for entry in of_day] for of_day in near] == [[100], [100]]
    assert [[entry.version for entry in of_day] for of_day in middle] == [["1", "2"]] * 3
    assert middle[0][0].cells.tolist() == expected["passing"][MIDDLE][0].cells.tolist()


def test_cells_of_a_day_are_read_when_they_are_looked_at(
    model: RegisteredModel, django_assert_num_queries: Callable[[int], AbstractContextManager[object]]
) -> None:
    history, expected = read(model), at_once(model)

    with django_assert_num_queries(0):
        near = [entry.cells.tolist() for entry in history.of([LONG_AGO, LATELY])]
        assert [entry.delays.tolist() for entry in history.days] == [entry.delays.tolist() for entry in expected.days]
    with django_assert_num_queries(1):
        middle = [entry.cells.tolist() for entry in history.of([MIDDLE])]
    with django_assert_num_queries(1):
        assert history.of([AFTER])[0].cells.any()

    assert near == [entry.cells.tolist() for entry in expected.of([LONG_AGO, LATELY])]
    assert middle == [entry.cells.tolist() for entry in expected.of([MIDDLE])]
    assert len(middle) == 2  # versions
    assert [entry.cells.tolist() for entry in history.days] == [entry.cells.tolist() for entry in expected.days]


def test_cells_that_were_counted_again_meanwhile_are_read_as_they_are_now(model: RegisteredModel) -> None:
    of_first, of_second = read(model).of([MIDDLE])
    again = scored(110, 70)

    replace_outcomes(model.id, OutcomeKind.DECISIONS, [MIDDLE], [again])

    assert of_first.cells.tolist() == again.cells.tolist()
    assert of_second.cells.shape == (0, again.cells.shape[1])  # of that version nothing is left


def test_the_past_is_the_same(model: RegisteredModel) -> None:
    moment = NOW - timedelta(days=60)

    assert contents(read(model).at(moment)) == contents(at_once(model).at(moment))


def test_risks_find_the_same(model: RegisteredModel) -> None:
    kinds = [kind for kind in risks.catalogue().values() if kind.needs is SegmentHistory]
    assert kinds

    for kind in kinds:
        assert kind.findings(read(model), kind.parse_params({})) == kind.findings(at_once(model), kind.parse_params({}))


def test_a_day_that_was_counted_again_meanwhile_is_read_as_it_is_now(model: RegisteredModel) -> None:
    region = read(model).segments["region"]
    again = [scored(110, 70, field="region", segment=name) for name in ("north", "other")]

    replace_outcomes(model.id, OutcomeKind.DECISIONS, [MIDDLE], again)

    assert [entry.rows for entry in region["north"][MIDDLE]] == [70]
    assert region["passing"][MIDDLE] == []
    assert "other" not in region


def test_good_and_bad_are_known_without_the_cells_and_as_these_say(model: RegisteredModel) -> None:
    """Of days stored before they were counted, the cells tell."""
    OutcomeProfile.objects.filter(model=model, day=LATELY).update(bad=None, valid=None)

    days = read(model).days

    for entry in days:
        by_cells = good_and_bad(OutcomeKind.DECISIONS, [replace(entry, judged=None)])
        assert (entry.judged is None) == (entry.day == LATELY)
        assert good_and_bad(OutcomeKind.DECISIONS, [entry]) == by_cells
    assert good_and_bad(OutcomeKind.DECISIONS, days[:-20]) == good_and_bad(
        OutcomeKind.DECISIONS, [replace(entry, judged=None) for entry in days[:-20]]
    )
