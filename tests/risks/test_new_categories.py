from tests.platform import Platform
from tests.risks.story import a_bad_day
from watchkeeper.analysis.examples import history, spread
from watchkeeper.core.finding import Outcome
from watchkeeper.risks.new_categories import Params, evaluate
from watchkeeper.telemetry.bins import ColumnBins


def test_levels_that_were_merely_rare_are_not_new() -> None:
    many = ColumnBins(name="f.shop", kind="category", levels=("a", "b", "c"), has_rest=True)
    days = [spread(1000, (5, 3, 2, 0, 0, 0), seed=day) for day in range(29)]
    found = history(many, reference=days[0], days=[*days, spread(1000, (5, 3, 2, 5, 0, 0))])

    assert evaluate(found, Params()).outcome == Outcome.UNKNOWN


def test_story_of_a_code_that_was_recoded(platform: Platform) -> None:
    good = [{"region": ("north", "south", "east")[n % 3]} for n in range(900)]
    bad = [{"region": row["region"] if n % 3 else "N"} for n, row in enumerate(good)]
    a_bad_day(platform, "new_categories", says="region: 33.3", bad=bad, good=good)
