"""The pure state machine of conditions against the oracle: any readings, any rule, any gaps of time."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.conftest import Runs
from tests.machine.oracle import Reading, Saw, Wait, judge
from watchkeeper.core.finding import DataState, Finding
from watchkeeper.core.text import Text
from watchkeeper.monitoring.conditions import Condition, Rule, State, Step, fail, step

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOTHING = Text("")
SPANS = some.sampled_from([timedelta(0)]) | some.sampled_from([10, 60, 300, 600, 3600, 86_400, 7 * 86_400]).map(lambda s: timedelta(seconds=s))
WAITS = some.builds(
    lambda for_, hold, m, n: Wait(for_=for_, hold=hold, m=m, n=min(n, m)),
    for_=SPANS,
    hold=SPANS,
    m=some.integers(1, 5),
    n=some.integers(1, 5),
)


def finding(saw: Saw, since: datetime | None = None) -> Finding:
    if saw == "fired":
        return Finding.fired(NOTHING, value=18.0, limit=12.0, since=since)
    if saw == "unknown":
        return Finding.unknown(NOTHING)
    return Finding.quiet(NOTHING, value=9.0, limit=12.0, is_clear=saw == "quiet")


class Conditions(RuleBasedStateMachine):
    @initialize(wait=WAITS)
    def begin(self, wait: Wait) -> None:
        self.wait, self.rule = wait, Rule(for_=wait.for_, n=wait.n, m=wait.m, hold=wait.hold)
        self.now, self.history, self.condition = START, list[Reading](), Condition()
        self.steps: list[Step] = []

    def _see(self, saw: Saw, since: datetime | None = None) -> None:
        self.before = self.condition
        self.history.append(Reading(self.now, saw, since))
        if saw == "error":
            self.condition, done = fail(self.condition, at=self.now)
        else:
            self.condition, done = step(self.condition, finding(saw, since), self.rule, at=self.now)
        self.steps.append(done)

    @rule(span=SPANS)
    def wait_for(self, span: timedelta) -> None:
        self.now += span

    @rule(saw=some.sampled_from(["fired", "fired", "fired", "almost", "quiet", "quiet"]))
    def see(self, saw: Saw) -> None:
        self._see(saw)

    @rule(back=SPANS)
    def see_what_began_earlier(self, back: timedelta) -> None:
        self._see("fired", self.now - back)

    @rule()
    def see_what_begins_later(self) -> None:
        self._see("fired", self.now + timedelta(days=73_000))

    @rule(saw=some.sampled_from(["unknown", "error"]))
    def see_nothing(self, saw: Saw) -> None:
        self._see(saw)

        assert self.condition.state is self.before.state, "unknown never changes a condition"

    @invariant()
    def it_is_what_the_oracle_says(self) -> None:
        if not hasattr(self, "history"):
            return
        seen = judge(self.history, self.wait)
        assert (self.condition.state, self.condition.data) == (State(seen.state), DataState(seen.data))

    @invariant()
    def every_fire_ends_before_the_next_begins(self) -> None:
        told = [done for done in getattr(self, "steps", []) if done in (Step.FIRED, Step.RESOLVED)]
        assert told == [Step.FIRED, Step.RESOLVED] * (len(told) // 2) + [Step.FIRED] * (len(told) % 2)

    @invariant()
    def the_steps_tell_where_it_is(self) -> None:
        if not hasattr(self, "steps"):
            return
        told = [done for done in self.steps if done in (Step.FIRED, Step.RESOLVED)]
        assert self.condition.is_counted == (told[-1:] == [Step.FIRED])

    @invariant()
    def it_flaps_by_the_share_of_changes(self) -> None:
        states = [state for state, reading in zip(judge(self.history, self.wait).states, self.history, strict=True) if reading.saw in ("fired", "almost", "quiet")] if hasattr(self, "history") else []  # fmt: skip
        flaps = False
        for end in range(1, len(states) + 1):
            past = states[max(0, end - 21) : end]
            share = sum(a != b for a, b in itertools.pairwise(past)) / 20
            flaps = share > 0.30 or (flaps and share >= 0.15)
        assert not states or self.condition.is_flapping == flaps


def test_conditions_follow_the_oracle(runs: Runs) -> None:
    chosen = settings(
        max_examples=runs(60, 3000), stateful_step_count=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )

    run_state_machine_as_test(Conditions, settings=chosen)
