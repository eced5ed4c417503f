"""Do strategies find what is best in a table of 3^n rewards that is known? No network is trained.

    python bench/known_table.py                # 3^4 tuples, 400 trials, seeds 0 to 2
    python bench/known_table.py --seeds=20 --workdirs runs/grid_0 runs/grid_1 runs/grid_2

The table of a seed: each option of each decision has a worth, each pair of neighbouring decisions one of its own, half
as large; all normal, added up, and scaled to 0 to 1. A trial hears its tuple's reward plus normal noise of 0.02. What
is shown is the tables' own reward, without noise, mean and standard deviation over the seeds: of the tuple that looked
best after so many trials, and the mean of the last 81 that were proposed.

With --workdirs the table is what several searches by grid found of one space, from different seeds: a trial hears what
one of them had, drawn anew each time, and a tuple's own reward is the mean over them.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bench.machine import machine, start
from bench.scale import controller_config
from cells.spaces.space import Decision
from controller.config import FailureConfig, PolicyGradientConfig
from controller.strategies import make_strategy
from controller.strategy import Outcome, Trial
from nasnet.runtime.errors import UserError
from nasnet.trials.journal import Journal

OPTIONS = 3
NOISE = 0.02
STRATEGIES = {
    "grid": ("grid", PolicyGradientConfig()),
    "random": ("random", PolicyGradientConfig()),
    "reinforce, 2 x 35 (2017)": ("reinforce", controller_config("chain")),
    "reinforce, 2 x 35, rate 0.01": ("reinforce", controller_config("chain", learning_rate=0.01)),
    "ppo, 1 x 100 (2018)": ("ppo", PolicyGradientConfig()),
    "evolution": ("evolution", PolicyGradientConfig()),
    "predictor": ("predictor", PolicyGradientConfig()),
}


def table(decisions: int, seed: int) -> np.ndarray:
    """Rewards `[3] * decisions`, 0 to 1."""
    rng = np.random.default_rng(seed)
    rewards = np.zeros((OPTIONS,) * decisions)
    for place in range(decisions):
        rewards += rng.normal(size=[OPTIONS if axis == place else 1 for axis in range(decisions)])
    for pair in itertools.pairwise(range(decisions)):
        rewards += 0.5 * rng.normal(size=[OPTIONS if axis in pair else 1 for axis in range(decisions)])
    return (rewards - rewards.min()) / np.ptp(rewards)


def found_by_grid(workdirs: list[Path]) -> np.ndarray:
    """Rewards `[searches, 3, ...]` of the same tuples. Raises UserError where a search has not tried all of them."""
    tables: list[np.ndarray] = []
    for workdir in workdirs:
        trials = Journal(workdir / "journal.jsonl").trials.values()
        decisions = max((len(trial.proposal.tokens) for trial in trials), default=1)
        rewards = np.full((OPTIONS,) * decisions, np.nan)
        for trial in trials:
            rewards[trial.proposal.tokens] = np.nan if trial.reward is None else trial.reward
        if np.isnan(rewards).any():
            raise UserError(f"{workdir}: {np.isnan(rewards).sum()} of {rewards.size} tuples have no reward")
        tables.append(rewards)
    return np.array(tables)


def play(name: str, config: PolicyGradientConfig, tables: np.ndarray, trials: int, seed: int) -> np.ndarray:
    """Rewards `[trials, 2]`: the mean over the tables `[n, 3, ...]`, and as heard; of one table, with noise."""
    decisions = tuple(Decision(f"d{place}", OPTIONS) for place in range(tables.ndim - 1))
    strategy = make_strategy(name, decisions, None, config, FailureConfig(), seed)
    rng = np.random.default_rng([seed, 1])
    found = np.zeros((trials, 2))
    for trial_id in range(trials):
        proposal = strategy.propose(trial_id)
        values = tables[(slice(None), *proposal.tokens)]
        heard = values[0] + rng.normal(0, NOISE) if len(values) == 1 else rng.choice(values)
        found[trial_id] = values.mean(), heard
        strategy.observe(Trial(proposal, Outcome.OK, float(found[trial_id, 1]), 1.0))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=4)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workdirs", type=Path, nargs="+", help="searches by grid: the table is what they found")
    flags = parser.parse_args()
    print(machine("tensorflow", "numpy"), flush=True)
    known = found_by_grid(flags.workdirs) if flags.workdirs else None
    tuples = known[0].size if known is not None else OPTIONS**flags.decisions
    if known is not None:
        mean = known.mean(0)
        within = known.std(0, ddof=1).mean() if len(known) > 1 else 0.0
        rewards = f"{mean.min():.3f} to {mean.max():.3f}, mean {mean.mean():.3f}"
        print(f"{tuples} tuples, rewards {rewards}, standard deviation between searches {within:.3f}")
    marks = [mark for mark in (tuples // 3, tuples, flags.trials) if mark <= flags.trials]
    for title, (name, config) in STRATEGIES.items():
        shown: list[list[float]] = []
        for seed in range(flags.seeds):
            trials = min(flags.trials, tuples) if name == "grid" else flags.trials
            tables = table(flags.decisions, seed)[None] if known is None else known
            found = play(name, config, tables, trials, seed)
            best = [found[np.argmax(found[:mark, 1]), 0] for mark in marks]
            shown.append([*best, found[-tuples:, 0].mean()])
        columns = [*(f"best of {mark}" for mark in marks), f"mean of the last {tuples}"]
        parts = (
            f"{column} {np.mean(values):.3f} ({np.std(values, ddof=1):.3f})"
            for column, values in zip(columns, zip(*shown, strict=True), strict=True)
        )
        print(f"{title}: {', '.join(parts)}", flush=True)


if __name__ == "__main__":
    start(main)
