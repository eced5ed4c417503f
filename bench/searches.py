"""Which strategy finds most on real pictures? Whole searches by train.py: every trial is a child that is trained.

    python examples/idx_to_npz.py /usr/share/datasets/fashion-mnist runs/fashion.npz
    python bench/searches.py --dataset=npz:runs/fashion.npz --out=runs/searches     # goes on where it was
    python bench/searches.py --out=runs/searches --report                             # of the searches that have ended

One search a strategy and seed, seed by seed, so that whatever has ended compares all strategies. Each ends with its
three best cells trained ten times as long from two starts, on the same pictures; the test split is never opened. What
is shown are means over seeds of the best reward so far and of the winner's longer trainings, with 95% intervals of the
differences from random search, seed by seed. What comes after `--` goes to train.py.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bench.machine import machine, start
from nasnet.reports.comparison import paired
from nasnet.reports.page.curves import best_so_far
from nasnet.runtime.errors import UserError
from nasnet.trials.journal import Journal

ROOT = Path(__file__).parent.parent
STRATEGIES = ("random", "evolution", "ppo", "dyna_ppo", "predictor")
SHOWN = (50, 100, 150, 200)
_FINALISTS, _STARTS = 3, 2


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


def ended(path: Path, trials: int) -> Journal | None:
    """The journal of a search that has made all trials and trained all finalists; None of any other."""
    if not (path / "journal.jsonl").exists():
        return None
    journal = Journal(path / "journal.jsonl", reads_only=True)
    whole = len(journal.trials) == trials and len(journal.finalists) == _FINALISTS * _STARTS
    return journal if whole else None


def winner(journal: Journal) -> float:
    """The best finalist's mean reward after its longer trainings; a start that failed counts as nothing."""
    rewards: dict[int, list[float]] = {}
    for run in journal.finalists.values():
        rewards.setdefault(run.trial_id, []).append(run.reward or 0.0)
    return max(float(np.mean(of)) for of in rewards.values())


def report(flags: argparse.Namespace) -> None:
    """The table of what has ended, and the last line."""
    places = [trials for trials in SHOWN if trials <= flags.trials]
    found: dict[str, dict[int, list[float]]] = {}
    for strategy in flags.strategies:
        for seed in range(flags.seeds):
            if journal := ended(workdir(flags, strategy, seed), flags.trials):
                curve = best_so_far(list(journal.trials.values()))
                found.setdefault(strategy, {})[seed] = [*(float(curve[n - 1]) for n in places), winner(journal)]
    shown = [*map(str, places), "longer"]
    results: list[str] = []
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
                    results.append(f"{strategy}_minus_random_{name}={against.mean:.4f}")
            print(line)
    print(machine("tensorflow"))
    print(f"RESULT searches searches={sum(map(len, found.values()))} {' '.join(results)}")


def main() -> None:
    flags = _flags()
    if flags.trials < SHOWN[0]:
        raise UserError(f"--trials={flags.trials}: {SHOWN[0]} or more, at which rewards are first shown")
    for seed in range(flags.seeds):
        for strategy in flags.strategies:
            if flags.report or ended(workdir(flags, strategy, seed), flags.trials):
                continue
            print(f"{strategy}, seed {seed}", flush=True)
            code = subprocess.run(command(flags, strategy, seed), cwd=ROOT, check=False).returncode
            if code:
                raise SystemExit(code)
    report(flags)


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="digits, or npz:PATH (absolute) of Fashion-MNIST")
    parser.add_argument("--out", type=Path, default=Path("runs/searches"), help="where the searches' workdirs lie")
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
