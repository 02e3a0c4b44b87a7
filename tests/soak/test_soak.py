"""A short soak in every test run; `make soak` runs the long one."""

import sys

import pytest

from queuectl.job import State
from tests.soak.soak import Options, Soak

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

_NAIVE = (sys.executable, "-m", "tests.soak.naive")


def test_runs_survive_that_everything_is_killed(tmp_path):
    report = Soak(tmp_path, Options(runs=300, kills=60, runners=3, seed=1, within=90)).run()

    assert report.violations == [], f"\n{report}"
    assert report.kills  # 60 and more on a machine that has nothing else to do; fewer when the killer gets no time


def test_a_naive_runner_works_as_long_as_nobody_is_killed(tmp_path):
    options = Options(runs=50, kills=0, runners=1, within=60, runner=_NAIVE)

    report = Soak(tmp_path, options).run()

    assert report.of("nothing lost") + report.of("no overlap") == [], f"\n{report}"
    assert {run.state for run in report.history.runs.values()} <= {State.COMPLETED, State.DEAD}


def test_a_naive_runner_does_not_survive_it(tmp_path):
    for seed in range(1, 6):  # where the kills fall is chance: one seed in a few may spare it
        options = Options(
            runs=100, kills=15, runners=2, within=30, seed=seed, runner=_NAIVE, victims={"runner": 2, "job": 1}
        )
        folder = tmp_path / str(seed)
        folder.mkdir()
        if Soak(folder, options).run().of("no overlap"):
            return
    pytest.fail("five soaks found no overlap in a runner that runs everything again")
