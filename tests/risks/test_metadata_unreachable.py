from datetime import UTC, datetime, timedelta

from tests.platform import Platform
from tests.risks.story import fires, is_unknown, resolves
from watchkeeper.alerts import flow
from watchkeeper.core.evidence import Link, Passport
from watchkeeper.core.finding import DataState, Finding, Outcome
from watchkeeper.risks.metadata_unreachable import Params, evaluate

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def link(name: str, *, checked: timedelta | None = timedelta(0), failing: timedelta | None = None, failure: str = "") -> Link:
    return Link(
        name=name,
        url=f"https://{name}.example",
        checked_at=None if checked is None else NOW - checked,
        failing_since=None if failing is None else NOW - failing,
        failure=failure,
    )


def judge(*links: Link) -> Finding:
    return evaluate(Passport(now=NOW, registered_at=NOW, kind="model", problem_type="", links=links), Params())


def test_it_fires_exactly_at_the_end_of_the_grace() -> None:
    assert judge(link("wiki", failing=HOUR)).outcome == Outcome.FIRED


def test_within_the_grace_it_is_quiet_and_asks_for_a_recheck_at_its_end() -> None:
    finding = judge(link("wiki", failing=HOUR / 2))

    assert (finding.outcome, finding.recheck_at) == (Outcome.QUIET, NOW + HOUR / 2)


def test_it_names_only_the_dead_links() -> None:
    assert judge(link("wiki", failing=3 * HOUR), link("git")).parts == ("wiki",)


def test_a_dead_link_counts_even_when_another_was_never_checked() -> None:
    assert judge(link("wiki", failing=3 * HOUR), link("git", checked=None)).outcome == Outcome.FIRED


def test_one_unchecked_link_makes_it_unknown() -> None:
    assert judge(link("wiki"), link("git", checked=None)).outcome == Outcome.UNKNOWN


def test_an_old_check_says_nothing() -> None:
    finding = judge(link("wiki", checked=timedelta(days=8)))

    assert (finding.outcome, finding.data) == (Outcome.UNKNOWN, DataState.STALE)


def test_braces_in_a_failure_stay_text() -> None:
    finding = judge(link("wiki", failing=3 * HOUR, failure="{limit} %s"))

    assert "({limit} %s)" in finding.explanation.render()


def test_story_of_a_dead_link(platform: Platform) -> None:
    model = platform.register(documentation_link="http://127.0.0.1:9/gone")  # nobody listens on the discard port
    risk = platform.only(model, "metadata_unreachable", params={"grace": "2h"})
    flow.edit_model(model, fields={"documentation_link": ""}, actor=platform.actor, now=platform.clock.now())
    platform.work()
    is_unknown(platform, risk)

    flow.edit_model(model, fields={"documentation_link": "http://127.0.0.1:9/gone"}, actor=platform.actor, now=platform.clock.now())
    platform.run(every=timedelta(minutes=61), hours=6)
    fires(platform, risk, says="documentation")

    flow.edit_model(model, fields={"documentation_link": platform.reachable()}, actor=platform.actor, now=platform.clock.now())
    platform.run(every=timedelta(minutes=61), hours=3)
    resolves(platform, risk)
