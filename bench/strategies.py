"""Which strategy finds most in how many trials? On tables of known networks, and on a stand-in for our own space.

    python bench/strategies.py --tables=/work/shared/benchmarks             # all strategies, half an hour on two cores
    python bench/strategies.py --tables=... --seeds=10 --only=nb201,random,predictor        # a part of it
    python bench/strategies.py --tables=... --results=strategies.csv        # keeps each search; none of it is run again

nb201: NAS-Bench-201 (15,625 cells of 6 decisions). A trial's reward is the valid accuracy after 12 epochs; what is
shown is the best so far, and in brackets the test accuracy after 200 epochs of that cell, which no strategy hears.
macro: NAS-Bench-Macro (6,561 networks of 8 decisions), the mean accuracy of three trainings.
space: NASNet's space of 50 decisions, by a forest of trees that was fitted to 2,239 children of ours on digits. A trial
hears its value with noise as large as that between two trainings; what is shown is the best true value of the three
trials that looked best. Limits: the forest knows what it was shown, cells of uniform draws and of two strong
strategies; beyond, it answers with the nearest of those. It counts operations, inputs and depths, as the model of
`predictor` does in part, which flatters what learns from those.

Trials are made as a search makes them, in waves of 20: all of one are proposed before the first of them is observed,
and a tuple that was tried before has the reward that it had. After +- stands half of a 95% t-interval over seeds. Last
comes one line: nb201_150 and macro_150 are the best strategy's mean best reward after 150 trials,
paper_minus_random_300 is that of ppo less random's after 300 on nb201, space_100 the best strategy's less random's.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import functools
import multiprocessing
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bench.machine import machine
from cells.spaces.nasnet import NASNetSpace
from cells.spaces.space import Decision, Tokens
from controller.config import FailureConfig, PolicyGradientConfig
from controller.strategies import STRATEGIES, make_strategy
from controller.strategy import Features, Outcome, Trial
from nasnet.estimators.table import Known, Table
from nasnet.reports.intervals import half_width

WAVE = 20
TRIALS = {"nb201": 300, "macro": 300, "space": 200}
"""Of each table."""
MARKS = (50, 100, 150, 200, 300)
LEFT_OUT = ("grid",)
"""It learns nothing, and each seed is the same."""
ONLY_NAMED = ("kt_random", "kt_bayesian")
"""The one is random; the other takes seconds for a proposal..."""
MOST = {"kt_bayesian": 50}
"""...and has so many trials."""
NOISE = 0.036
"""Of a reward between two trainings of a cell, standard deviation: reliability 0.88 of rewards whose own is 0.105."""

Key = tuple[str, str, int]
"""A search: its table, its strategy, its seed."""
Run = dict[int, tuple[float, float]]
"""What a search came to, at each mark: the best reward, and what that is elsewhere."""


@dataclasses.dataclass(frozen=True)
class Played:
    """What a strategy is played on.

    `values` is a function of a wave's tokens: their rewards `[n]`, to which noise is added, and what those come to
    elsewhere `[n]`.
    """

    decisions: tuple[Decision, ...]
    values: Callable[[list[Tokens]], tuple[np.ndarray, np.ndarray]]
    noise: float = 0.0
    features: Features | None = None
    best: float | None = None


@functools.cache
def played(name: str, folder: Path) -> Played:
    """A table of `TRIALS`."""
    if name == "space":
        space = NASNetSpace()
        return Played(space.decisions, _forest(space, folder), NOISE, space.features)
    table = nb201(folder) if name == "nb201" else macro(folder)

    def values(wave: list[Tokens]) -> tuple[np.ndarray, np.ndarray]:
        known = [table.known[tokens] for tokens in wave]
        rewards = np.array([one.reward for one in known])
        return rewards, np.array([one.judged for one in known]) if name == "nb201" else rewards

    return Played(table.decisions, values, best=table.best)


def nb201(folder: Path) -> Table:
    """NAS-Bench-201 (arXiv 2001.00326): an operation for each of six edges."""
    edges, rows = ("e10", "e20", "e21", "e30", "e31", "e32"), _rows(folder / "nb201_cifar10.csv")
    numbers = {name: [float(row[name]) for row in rows] for name in ("c10_valid_12ep", "c10_test_200ep")}
    known = [Known(reward, judged) for reward, judged in zip(*numbers.values(), strict=True)]
    return Table.of(edges, dict(zip([tuple(row[edge] for edge in edges) for row in rows], known, strict=True)))


def macro(folder: Path) -> Table:
    """NAS-Bench-Macro (arXiv 2103.11922): a block for each of eight layers."""
    rows = _rows(folder / "nasbench_macro.csv")
    return Table.of([f"layer_{i}" for i in range(8)], {tuple(row["arch"]): Known(float(row["mean"])) for row in rows})


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def _forest(space: NASNetSpace, folder: Path) -> Callable[[list[Tokens]], tuple[np.ndarray, np.ndarray]]:
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

    def values(wave: list[Tokens]) -> tuple[np.ndarray, np.ndarray]:
        predicted = forest.predict(np.array([_described(cell) for cell in wave]))
        return predicted, predicted

    return values


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


def play(key: Key, folder: Path) -> Run:
    """Plays one search."""
    table, name, seed = key
    of, trials = played(table, folder), _trials(table, name)
    strategy = make_strategy(
        name, of.decisions, None, PolicyGradientConfig(), FailureConfig(), seed, features=of.features
    )
    rng = np.random.default_rng([seed, 1])
    true, elsewhere, heard = np.zeros(trials), np.zeros(trials), np.zeros(trials)
    first: dict[Tokens, int] = {}
    for start in range(0, trials, WAVE):
        wave = [strategy.propose(trial_id) for trial_id in range(start, min(trials, start + WAVE))]
        at = slice(start, start + len(wave))
        true[at], elsewhere[at] = of.values([proposal.tokens for proposal in wave])
        heard[at] = true[at] + of.noise * rng.standard_normal(len(wave))
        for proposal in wave:
            trial_id = proposal.trial_id
            heard[trial_id] = heard[first.setdefault(proposal.tokens, trial_id)]
            strategy.observe(Trial(proposal, Outcome.OK, float(heard[trial_id]), 1.0))
    found: Run = {}
    for mark in (mark for mark in MARKS if mark <= trials):
        looked_best = np.argsort(-heard[:mark], kind="stable")[: 3 if of.noise else 1]
        best = max(looked_best.tolist(), key=lambda trial_id: true[trial_id])
        found[mark] = float(true[best]), float(elsewhere[best])
    return found


def _trials(table: str, name: str) -> int:
    return min(TRIALS[table], MOST.get(name, TRIALS[table]))


def _one_thread() -> None:
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", TF_CPP_MIN_LOG_LEVEL="3")


def _only(text: str) -> tuple[list[str], list[str]]:
    """The tables and the strategies that are named, all of a kind where none is."""
    strategies = [name for name in STRATEGIES if name not in LEFT_OUT]
    named = text.split(",") if text else []
    if unknown := set(named) - {*TRIALS, *strategies}:
        raise argparse.ArgumentTypeError(f"{min(unknown)!r}: expected {', '.join([*TRIALS, *strategies])}")
    usual = [name for name in strategies if name not in ONLY_NAMED]
    return [t for t in TRIALS if t in named] or list(TRIALS), [s for s in strategies if s in named] or usual


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True, help="folder of the CSV files")
    parser.add_argument("--only", type=_only, default=_only(""), help="tables and strategies, with commas between")
    parser.add_argument("--seeds", type=int, default=100, help="of the two tables")
    parser.add_argument("--space_seeds", type=int, default=30, help="of the stand-in for our own space")
    parser.add_argument("--results", type=Path, help="CSV file to which each search is added")
    parser.add_argument("--workers", type=int, default=2)
    flags = parser.parse_args()
    print(machine("numpy", "scikit-learn", "tensorflow"), flush=True)
    _one_thread()
    tables, strategies = flags.only
    kept = _read(flags.results)
    searches = [
        (table, name, seed)
        for table in tables
        for name in strategies
        for seed in range(flags.space_seeds if table == "space" else flags.seeds)
    ]
    runs = {key: kept[key] for key in searches if key in kept}
    left = Counter((table, name) for table, name, _ in searches)
    left.subtract((table, name) for table, name, _ in runs)
    with ProcessPoolExecutor(flags.workers, multiprocessing.get_context("spawn"), _one_thread) as pool:
        waiting = {pool.submit(play, key, flags.tables): key for key in searches if key not in runs}
        for done in [name for name, number in left.items() if not number]:
            _say(*done, runs, flags.tables)
        for future in as_completed(waiting):
            key = waiting[future]
            runs[key] = future.result()
            _add(flags.results, key, runs[key])
            left[key[:2]] -= 1
            if not left[key[:2]]:
                _say(*key[:2], runs, flags.tables)
    print("RESULT strategies " + " ".join(f"{key}={value:.3f}" for key, value in _figures(runs).items()))


def _read(path: Path | None) -> dict[Key, Run]:
    found: defaultdict[Key, Run] = defaultdict(dict)
    for row in _rows(path) if path and path.exists() else ():
        key = row["table"], row["strategy"], int(row["seed"])
        found[key][int(row["trials"])] = float(row["reward"]), float(row["elsewhere"])
    return dict(found)


def _add(path: Path | None, key: Key, run: Run) -> None:
    if path is None:
        return
    begins = not path.exists()
    lines = [",".join(map(str, (*key, mark, *values))) for mark, values in run.items()]
    with open(path, "a") as file:
        head = "table,strategy,seed,trials,reward,elsewhere\n" if begins else ""
        file.write(head + "\n".join(lines) + "\n")


def _at(runs: dict[Key, Run], table: str, name: str, mark: int) -> np.ndarray:
    """What the searches came to at a mark: `[seeds, 2]`, by seed."""
    return np.array([run[mark] for key, run in sorted(runs.items()) if key[:2] == (table, name)])


def _say(table: str, name: str, runs: dict[Key, Run], folder: Path) -> None:
    parts: list[str] = []
    best = played(table, folder).best if table != "space" else None  # which would fit the forest here too
    for mark in (mark for mark in MARKS if mark <= _trials(table, name)):
        rewards, shown = _at(runs, table, name, mark).T
        part = f"{mark}: {rewards.mean():.3f}"
        if len(rewards) > 1:
            part += f" +- {half_width([(float(rewards.var(ddof=1)) / len(rewards), len(rewards) - 1)]):.3f}"
        part += f" ({shown.mean():.2f})" if table == "nb201" else ""
        parts.append(part + (f", optimum in {np.mean(rewards >= best - 1e-9):.0%}" if best else ""))
    seeds = sum(key[:2] == (table, name) for key in runs)
    print(f"{table:6} {name:13} {seeds} seeds  " + "; ".join(parts), flush=True)


def _figures(runs: dict[Key, Run]) -> dict[str, float]:
    names: defaultdict[str, set[str]] = defaultdict(set)
    for table, name, _ in runs:
        names[table].add(name)

    def best(table: str, mark: int) -> float:
        there = [name for name in names[table] if mark <= _trials(table, name)]
        return max((_at(runs, table, name, mark)[:, 0].mean() for name in there), default=float("nan"))

    def less_random(table: str, name: str, mark: int) -> float:
        return float(_at(runs, table, name, mark)[:, 0].mean() - _at(runs, table, "random", mark)[:, 0].mean())

    figures: dict[str, float] = {}
    if names["nb201"]:
        figures |= {"nb201_150": best("nb201", 150), "nb201_300": best("nb201", 300)}
    if names["macro"]:
        figures["macro_150"] = best("macro", 150)
    if {"ppo", "random"} <= names["nb201"]:
        figures["paper_minus_random_300"] = less_random("nb201", "ppo", 300)
    if "random" in names["space"]:
        for mark in (100, 200):
            figures[f"space_{mark}"] = max(
                less_random("space", name, mark) for name in names["space"] if name not in MOST
            )
    return figures


if __name__ == "__main__":
    main()
