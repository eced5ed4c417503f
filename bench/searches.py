"""Which strategy finds most on real pictures? Whole searches by train.py: every trial is a child that is trained.

    python examples/idx_to_npz.py /usr/share/datasets/fashion-mnist runs/fashion.npz
    python bench/searches.py --dataset=npz:$PWD/runs/fashion.npz --results=bench/measured/searches_fashion.csv \\
        -- --valid_fraction=0.05
    python bench/searches.py --results=bench/measured/searches_fashion.csv --report -- --valid_fraction=0.05

The first goes on where it was, the second is about the searches that have ended.

One search a strategy and seed, seed by seed, so that whatever has ended compares all strategies. Each ends with its
three best cells trained ten times as long from two starts, on the same pictures; the test split is never opened. What
is shown are means over seeds of the best reward so far and of the winner's longer trainings, with 95% intervals of the
differences from random search, seed by seed. What comes after `--` goes to train.py.

A search that has ended is a line of `--results` and is not run again: so hours of them outlive the machine and the
workdirs that they were made in.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import subprocess
import sys
from pathlib import Path
from typing import Self

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bench.machine import machine, start
from nasnet.reports.comparison import paired
from nasnet.reports.page.curves import best_so_far
from nasnet.runtime.errors import UserError
from nasnet.runtime.files import write_text
from nasnet.trials.journal import Journal

ROOT = Path(__file__).parent.parent
STRATEGIES = ("random", "evolution", "ppo", "dyna_ppo", "predictor")
SHOWN = (50, 100, 150, 200)
_MARK = 10  # a curve has a point every so many trials
_FINALISTS, _STARTS = 3, 2
_SETTING = ("dataset", "image_size", "trials", "steps", "rest")


def command(flags: argparse.Namespace, strategy: str, seed: int) -> list[str]:
    """The search of a strategy and a seed, which goes on where there is one."""
    return [
        *(
            sys.executable,
            "train.py",
            "--mode=search",
            f"--dataset={flags.dataset}",
            f"--image_size={flags.image_size}",
        ),
        *(f"--strategy={strategy}", f"--seed={seed}", f"--trials={flags.trials}", f"--steps={flags.steps}"),
        *(f"--finalists={_FINALISTS}", f"--finalist_steps={10 * flags.steps}", f"--finalist_seeds={_STARTS}"),
        *("--batch_size=64", "--learning_rate=0.1", "--baselines=none", "--noexport", "--quiet"),
        *(f"--workdir={workdir(flags, strategy, seed)}", *flags.rest),
    ]


def workdir(flags: argparse.Namespace, strategy: str, seed: int) -> Path:
    """Where a search of one strategy and seed lies."""
    return flags.out.absolute() / f"{strategy}_{seed}"


@dataclasses.dataclass(frozen=True)
class Ended:
    """A search that has ended.

    Attributes:
        curve: the best reward after every `_MARK` trials; None while none had succeeded.
        longer: the winner's mean reward after its longer trainings.
        winner: its decisions.
    """

    curve: tuple[float | None, ...]
    longer: float
    winner: tuple[int, ...]

    @classmethod
    def of(cls, path: Path, trials: int) -> Self | None:
        """Of the search in a workdir; None of one that has not made all trials or not trained all finalists."""
        if not (path / "journal.jsonl").exists():
            return None
        journal = Journal(path / "journal.jsonl", reads_only=True)
        if len(journal.trials) < trials or len(journal.finalists) < _FINALISTS * _STARTS:
            return None
        rewards: dict[int, list[float]] = {}
        for run in journal.finalists.values():  # a start that failed counts as nothing
            rewards.setdefault(run.trial_id, []).append(run.reward or 0.0)
        best = max(rewards, key=lambda trial_id: float(np.mean(rewards[trial_id])))
        curve = best_so_far(list(journal.trials.values()))[_MARK - 1 :: _MARK]
        points = (None if np.isnan(reward) else float(reward) for reward in curve)
        return cls(tuple(points), float(np.mean(rewards[best])), journal.proposals[best].tokens)

    def cells(self) -> list[str]:
        """As columns of the file of results."""
        curve = ["" if reward is None else f"{reward:.4f}" for reward in self.curve]
        return [" ".join(map(str, self.winner)), f"{self.longer:.4f}", *curve]

    @classmethod
    def read(cls, cells: list[str]) -> Self:
        """What `cells` wrote."""
        winner, longer, *curve = cells
        points = (float(reward) if reward else None for reward in curve)
        return cls(tuple(points), float(longer), tuple(map(int, winner.split())))


class Results:
    """The file of searches that have ended, one a line, all of one setting."""

    def __init__(self, path: Path, flags: argparse.Namespace) -> None:
        """Reads what is there. Raises UserError for a file of another setting, or that is none of ours."""
        self._path = path
        # Of a path the last part: where a file lies differs from machine to machine.
        shown = {**vars(flags), "rest": " ".join(flags.rest), "dataset": Path(flags.dataset).name}
        self._setting = [str(shown[name]) for name in _SETTING]
        curve = [f"best_at_{n}" for n in range(_MARK, flags.trials + 1, _MARK)]
        self._head = ["strategy", "seed", *_SETTING, "winner", "longer", *curve]
        self.searches = self._read()

    def _read(self) -> dict[tuple[str, int], Ended]:
        found: dict[tuple[str, int], Ended] = {}
        rows = list(csv.reader(self._path.read_text().splitlines())) if self._path.exists() else [self._head]
        for number, row in enumerate(rows, 1):
            if number == 1 and row == self._head:
                continue
            asked = ", ".join(f"{name} {value}" for name, value in zip(_SETTING, self._setting, strict=True))
            no_search = f"--results={self._path}: line {number} is no search of {asked}: {','.join(row)[:80]}"
            if number == 1 or len(row) != len(self._head) or row[2 : 2 + len(_SETTING)] != self._setting:
                raise UserError(no_search)
            try:
                found[row[0], int(row[1])] = Ended.read(row[2 + len(_SETTING) :])
            except ValueError as error:
                raise UserError(no_search) from error
        return found

    def add(self, strategy: str, seed: int, ended: Ended) -> None:
        """Writes one more line, beside those that another process has written since."""
        self.searches = {**self._read(), (strategy, seed): ended}
        written = io.StringIO()
        rows = csv.writer(written, lineterminator="\n")
        rows.writerow(self._head)
        for (name, number), found in sorted(self.searches.items(), key=lambda item: (item[0][1], item[0][0])):
            rows.writerow([name, str(number), *self._setting, *found.cells()])
        write_text(self._path, written.getvalue())


def report(flags: argparse.Namespace, results: Results) -> None:
    """The table of what has ended, and the last line."""
    places = [trials for trials in SHOWN if trials <= flags.trials]
    found: dict[str, dict[int, list[float]]] = {}
    for (strategy, seed), ended in results.searches.items():
        best = [np.nan if reward is None else reward for reward in ended.curve]
        found.setdefault(strategy, {})[seed] = [*(best[n // _MARK - 1] for n in places), ended.longer]
    shown = [*map(str, places), "longer"]
    figures: list[str] = []
    for strategy, of in found.items():
        print(f"{strategy:13} {len(of)} seeds")
        for place, name in enumerate(shown):
            values = {seed: numbers[place] for seed, numbers in of.items()}
            line = f"    {name:>6}: {np.mean([*values.values()]):.4f}"
            base = {seed: numbers[place] for seed, numbers in found.get("random", {}).items()}
            if strategy != "random" and (against := paired(values, base)):
                line += f", minus random {against.mean:+.4f}"
                if against.interval:
                    line += f" ({against.interval[0]:+.4f} to {against.interval[1]:+.4f})"
                if name == "longer" or name == shown[-2]:
                    figures.append(f"{strategy}_minus_random_{name}={against.mean:.4f}")
            print(line)
    print(machine("tensorflow"))
    print(f"RESULT searches searches={sum(map(len, found.values()))} {' '.join(figures)}")


def main() -> None:
    flags = _flags()
    if flags.trials < SHOWN[0] or flags.trials % _MARK:
        raise UserError(f"--trials={flags.trials}: a multiple of {_MARK}, {SHOWN[0]} or more")
    results = Results(flags.results, flags)
    for seed in range(flags.seeds):
        for strategy in flags.strategies:
            if flags.report or (strategy, seed) in results.searches:
                continue
            print(f"{strategy}, seed {seed}", flush=True)
            code = subprocess.run(command(flags, strategy, seed), cwd=ROOT, check=False).returncode
            ended = Ended.of(workdir(flags, strategy, seed), flags.trials)
            if code or ended is None:
                raise SystemExit(code or f"{workdir(flags, strategy, seed)}: not all of it was made")
            results.add(strategy, seed, ended)
    report(flags, results)


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="digits, or npz:PATH (absolute) of Fashion-MNIST")
    parser.add_argument("--out", type=Path, default=Path("runs/searches"), help="where the searches' workdirs lie")
    parser.add_argument("--results", type=Path, required=True, help="CSV file of the searches that have ended")
    parser.add_argument("--report", action="store_true", help="print from what is there, search nothing")
    parser.add_argument("--image_size", type=int, default=14)
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("rest", nargs="*", help="flags of train.py, after --")
    return parser.parse_args()


if __name__ == "__main__":
    start(main)
