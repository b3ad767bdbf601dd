import os
import time

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.machine.test_platform import WholePlatform, fragile, stage  # noqa


@pytest.mark.usefixtures("stage")
def test_dev():
    t = time.time()
    n = int(os.environ.get("N", "3"))
    s = int(os.environ.get("S", "15"))
    import cProfile
    import pstats

    pr = cProfile.Profile()
    if os.environ.get("PROF"):
        pr.enable()
    try:
        run_state_machine_as_test(
            WholePlatform,
            settings=settings(
                max_examples=n,
                stateful_step_count=s,
                deadline=None,
                derandomize=not os.environ.get("RAND"),
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate, Phase.shrink] if os.environ.get("SHRINK") else [Phase.generate],
            ),
        )
    finally:
        pr.disable()
        print("TOOK", time.time() - t)
        if os.environ.get("PROF"):
            pstats.Stats(pr).sort_stats("cumtime").print_stats(45)
