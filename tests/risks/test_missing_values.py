from tests.platform import Platform
from tests.risks.story import a_bad_day, normal_rows
from watchkeeper.analysis.examples import AGE, history, normal
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.risks.missing_values import Params, evaluate


def judge(nulls: float, *, usual: float = 0.0, days: int = 30, rows: int = 1000, **params: object) -> Finding:
    before = [normal(rows, seed=day, nulls=usual) for day in range(days - 1)]
    found = history(AGE, reference=normal(5000, seed=77, nulls=usual), days=[*before, normal(rows, seed=78, nulls=nulls)])
    return evaluate(found, Params.model_validate(params))


def test_it_says_how_much_is_null_and_how_much_is_usual() -> None:
    finding = judge(0.4, usual=0.1)

    assert (finding.outcome, finding.parts) == (Outcome.FIRED, ("age",))
    assert "usual 9" in finding.explanation.render() or "usual 10" in finding.explanation.render()


def test_fewer_nulls_than_usual_are_no_reason() -> None:
    assert judge(0.0, usual=0.5).outcome == Outcome.QUIET


def test_growth_below_the_limit_is_quiet_however_significant() -> None:
    assert judge(0.04, rows=100_000).outcome == Outcome.QUIET
    assert judge(0.04, rows=100_000, increase=0.03).outcome == Outcome.FIRED


def test_a_feature_that_was_always_null_stays_quiet() -> None:
    assert judge(1.0, usual=1.0).outcome == Outcome.QUIET


def test_story_of_a_source_that_stops_sending(platform: Platform) -> None:
    good = normal_rows()
    bad = [{"x": row["x"] if n % 2 else None} for n, row in enumerate(good)]
    a_bad_day(platform, "missing_values", says="x: 50 % null", bad=bad, good=good)
