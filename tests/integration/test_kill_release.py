"""SIGKILL between any two steps of a release, and at any time: nothing lost, doubled or half-visible; a rerun ends it.

More points in benchmarks/faults.py.
"""

import random

import pytest

from tests import kill_trials

POINTS = {"local": 20, "s3": 15}
PARTS_AGAIN = 1
"""Parts that the server holds already and a rerun may send once more."""


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_a_release_killed_between_two_steps_is_taken_up(tmp_path, kind):
    with kill_trials.trials(tmp_path, kind) as trial:
        assert min(trial.events.values()) > 50, "the points are not seen"
        outcomes = [trial.at(point, case) for point, case in trial.chosen(POINTS[kind], seed=6)]
    # Threads make the number of steps differ a little from run to run, so one of the last may not be reached.
    assert sum(outcome.killed for outcome in outcomes) >= len(outcomes) - 2
    assert {outcome.saw for outcome in outcomes} >= {"none", "old"}
    assert max(outcome.parts_again for outcome in outcomes) <= PARTS_AGAIN


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_a_release_killed_at_any_time_is_taken_up(tmp_path, kind):
    clock = random.Random(6)
    with kill_trials.trials(tmp_path, kind) as trial:
        outcomes = [trial.after(clock.uniform(0.02, trial.seconds), clock.choice(kill_trials.CASES)) for _ in range(8)]
    assert any(outcome.killed for outcome in outcomes)
