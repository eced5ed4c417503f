"""Which strategy finds most in how many trials? On tables of known networks, and on a stand-in for our own space.

    python bench/strategies.py --tables=/work/shared/benchmarks          # all strategies, half an hour on two cores
    python bench/strategies.py --tables=... --seeds=10 --strategies random predictor

nb201: NAS-Bench-201 (15,625 cells of 6 decisions). A trial's reward is the valid accuracy after 12 epochs; what is
shown is the best so far, and in brackets the test accuracy after 200 epochs of that cell, which no strategy hears.
macro: NAS-Bench-Macro (6,561 networks of 8 decisions), the mean accuracy of three trainings.
space: NASNet's space of 50 decisions, by a forest of trees that was fitted to 2,239 children of ours on digits. A trial
hears its value with noise as large as that between two trainings; what is shown is the best true value of the three
trials that looked best, less random's. Limits: the forest knows what it was shown, cells of uniform draws and of two
strong strategies; beyond, it answers with the nearest of those. It counts operations, inputs and depths, as the model
of `predictor` does in part, which flatters that strategy.

Trials are made in waves of 20: all of one are proposed before the first of them is observed.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import functools
import multiprocessing
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bench.machine import machine
from cells.spaces.nasnet import NASNetSpace
from cells.spaces.space import Decision, Tokens
from controller.config import FailureConfig, PolicyGradientConfig
from controller.strategies import STRATEGIES, make_strategy
from controller.strategy import Features, Outcome, Proposal, Trial

WAVE = 20
MARKS = (50, 100, 150, 200, 300)
TABLES = ("nb201", "macro", "space")
NOISE = 0.036
"""Of a reward between two trainings of a cell, standard deviation: reliability 0.88 of rewards whose own is 0.105."""


@dataclasses.dataclass(frozen=True)
class Known:
    """Rewards that are known.

    `heard` and `shown` are functions of a wave's tokens: rewards `[n]` without noise, and what they come to elsewhere.
    """

    decisions: tuple[Decision, ...]
    heard: Callable[[list[Tokens]], np.ndarray]
    shown: Callable[[list[Tokens]], np.ndarray] | None = None
    noise: float = 0.0
    features: Features | None = None
    optimum: float | None = None


def _looked_up(table: dict[Tokens, float]) -> Callable[[list[Tokens]], np.ndarray]:
    return lambda wave: np.array([table[tokens] for tokens in wave])


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@functools.cache
def known(name: str, folder: Path) -> Known:
    """A table of `TABLES`."""
    if name == "nb201":
        rows = _rows(folder / "nb201_cifar10.csv")
        edges = ("e10", "e20", "e21", "e30", "e31", "e32")
        cells = [tuple(int(row[edge]) for edge in edges) for row in rows]
        valid = {cell: float(row["c10_valid_12ep"]) for cell, row in zip(cells, rows, strict=True)}
        test = {cell: float(row["c10_test_200ep"]) for cell, row in zip(cells, rows, strict=True)}
        decisions = tuple(Decision(edge, 5) for edge in edges)
        return Known(decisions, _looked_up(valid), _looked_up(test), optimum=max(valid.values()))
    if name == "macro":
        rows = _rows(folder / "nasbench_macro.csv")
        mean = {tuple(map(int, row["arch"])): float(row["mean"]) for row in rows}
        return Known(tuple(Decision(f"layer_{i}", 3) for i in range(8)), _looked_up(mean), optimum=max(mean.values()))
    space = NASNetSpace()
    forest = _forest(space, folder)
    return Known(space.decisions, forest, noise=NOISE, features=space.features)


def _forest(space: NASNetSpace, folder: Path) -> Callable[[list[Tokens]], np.ndarray]:
    from sklearn.ensemble import ExtraTreesRegressor

    tokens: list[Tokens] = []
    rewards: list[float] = []
    for file in ("nasnet_digits_50steps.csv", "nasnet_digits_50steps_proposals.csv"):
        for row in _rows(folder / file):
            if row["reward"]:
                tokens.append(tuple(int(row[decision.name]) for decision in space.decisions))
                rewards.append(float(row["reward"]))
    forest = ExtraTreesRegressor(200, min_samples_leaf=2, random_state=0)
    forest.fit([_described(cell) for cell in tokens], rewards)
    return lambda wave: forest.predict(np.array([_described(cell) for cell in wave]))


def _described(tokens: Tokens) -> list[float]:
    """Of each cell: each operation on state 0, on state 1 and on a block; depths; loose ends; how often it adds."""
    said: list[float] = []
    for cell in (tokens[:25], tokens[25:]):
        used, depths, loose = np.zeros((13, 3)), [0, 0], set(range(2, 7))
        for start in range(0, 25, 5):
            states, operations = cell[start : start + 2], cell[start + 2 : start + 4]
            for state, operation in zip(states, operations, strict=True):
                used[operation, min(state, 2)] += 1
                loose.discard(state)
            depths.append(1 + max(depths[state] for state in states))
        said += [*used.ravel(), max(depths), float(np.mean(depths)), len(loose), sum(cell[4::5])]
    return said


def play(name: str, table: str, folder: Path, seed: int, trials: int) -> np.ndarray:
    """What a search comes to after 1, 2, ... trials: `[trials, 2]`, its reward and what is shown of it."""
    of = known(table, folder)
    strategy = make_strategy(
        name, of.decisions, None, PolicyGradientConfig(), FailureConfig(), seed, features=of.features
    )
    rng = np.random.default_rng([seed, 1])
    made: list[Tokens] = []
    true: list[float] = []
    heard: list[float] = []
    for first in range(0, trials, WAVE):
        wave: list[Proposal] = [strategy.propose(trial_id) for trial_id in range(first, min(trials, first + WAVE))]
        values = of.heard([proposal.tokens for proposal in wave])
        for proposal, value in zip(wave, values.tolist(), strict=True):
            made.append(proposal.tokens)
            true.append(value)
            heard.append(value + of.noise * rng.standard_normal())
            strategy.observe(Trial(proposal, Outcome.OK, heard[-1] / (100 if of.optimum else 1), 1.0))
    shown = of.shown(made) if of.shown else np.array(true)
    found = np.zeros((trials, 2))
    for so_far in range(1, trials + 1):
        best = np.argsort(-np.array(heard[:so_far]), kind="stable")[: 3 if of.noise else 1]
        at = max(best.tolist(), key=lambda trial_id: true[trial_id])
        found[so_far - 1] = true[at], shown[at]
    return found


def _one_thread() -> None:
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", TF_CPP_MIN_LOG_LEVEL="3")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, help="folder of the CSV files")
    parser.add_argument("--strategies", nargs="+", default=[name for name in STRATEGIES if name != "grid"])
    parser.add_argument("--on", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--seeds", type=int, default=100, help="of the two tables")
    parser.add_argument("--space_seeds", type=int, default=30, help="of the stand-in for our own space")
    parser.add_argument("--workers", type=int, default=2)
    flags = parser.parse_args()
    print(machine("numpy", "scikit-learn", "tensorflow"), flush=True)
    _one_thread()
    results: dict[tuple[str, str], np.ndarray] = {}
    with ProcessPoolExecutor(flags.workers, multiprocessing.get_context("spawn"), _one_thread) as pool:
        for table in flags.on:
            seeds, trials = (flags.space_seeds, 200) if table == "space" else (flags.seeds, 300)
            for name in flags.strategies:
                runs = [pool.submit(play, name, table, flags.tables, seed, trials) for seed in range(seeds)]
                results[table, name] = np.array([run.result() for run in runs])
                _say(table, name, results[table, name], known(table, flags.tables).optimum)
    print("RESULT strategies " + " ".join(f"{key}={value:.3f}" for key, value in _figures(results).items()))


def _say(table: str, name: str, found: np.ndarray, optimum: float | None) -> None:
    parts: list[str] = []
    for mark in (mark for mark in MARKS if mark <= found.shape[1]):
        rewards, shown = found[:, mark - 1, 0], found[:, mark - 1, 1]
        error = rewards.std(ddof=1) / np.sqrt(len(rewards)) if len(rewards) > 1 else 0.0
        part = f"{mark}: {rewards.mean():.3f} +- {1.96 * error:.3f}"
        part += f" ({shown.mean():.2f})" if table == "nb201" else ""
        parts.append(part + (f", optimum in {np.mean(rewards >= optimum - 1e-9):.0%}" if optimum else ""))
    print(f"{table:6} {name:13} {len(found)} seeds  " + "; ".join(parts), flush=True)


def _figures(results: dict[tuple[str, str], np.ndarray]) -> dict[str, float]:
    def best(table: str, trials: int) -> float:
        return max(runs[:, trials - 1, 0].mean() for (of, _), runs in results.items() if of == table)

    def less_random(table: str, name: str, trials: int) -> float:
        return float(np.mean(results[table, name][:, trials - 1, 0] - results[table, "random"][:, trials - 1, 0]))

    figures: dict[str, float] = {}
    tables = {of for of, _ in results}
    if "nb201" in tables:
        figures |= {"nb201_150": best("nb201", 150), "nb201_300": best("nb201", 300)}
    if "macro" in tables:
        figures["macro_150"] = best("macro", 150)
    if {("nb201", "ppo"), ("nb201", "random")} <= set(results):
        figures["paper_minus_random_300"] = less_random("nb201", "ppo", 300)
    if ("space", "random") in results:
        names = [name for of, name in results if of == "space"]
        for trials in (100, 200):
            figures[f"space_{trials}"] = max(less_random("space", name, trials) for name in names)
    return figures


if __name__ == "__main__":
    main()
