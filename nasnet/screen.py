"""What a user sees while something runs."""

from __future__ import annotations

from pathlib import Path

from nasnet.search import SearchProgress
from nasnet.training import Progress
from nasnet.workdir import read_json


def say(line: str) -> None:
    """One line, at once."""
    print(line, flush=True)


def show_export(folder: Path) -> None:
    """An export's scores and the paths of its files."""
    metrics = read_json(folder / "metrics.json")
    for name in ("valid", "test"):
        say(f"{name} accuracy {metrics[name]['accuracy']:.4f} ({metrics[name]['pictures']} pictures)")
    for name in ("genotype.json", "model.keras", "saved_model", "metrics.json", "cell.svg"):
        say(f"  {folder / name}")


def show_trial(progress: SearchProgress) -> None:
    """A finished trial, the best so far, the time left."""
    trial, best = progress.trial, progress.best
    ended = f"reward {trial.reward:.4f}" if trial.reward is not None else f"{trial.outcome}: {trial.cause}"
    shown = "none yet" if best is None else f"{best.reward:.4f} (trial {best.proposal.trial_id})"
    say(
        f"trial {trial.proposal.trial_id:4d}  {ended}  best {shown}  {trial.seconds:.1f} s  "
        f"{progress.done}/{progress.trials}, {_clock(progress.seconds_left)} left"
    )


def show_epoch(progress: Progress) -> None:
    """Where a training stands."""
    say(
        f"epoch {progress.epoch:3d}/{progress.epochs}  step {progress.step}  loss {progress.loss:.4f}  "
        f"train accuracy {progress.accuracy:.4f}  {progress.images_per_second:.0f} images/s  "
        f"{_clock(progress.seconds_left)} left"
    )


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
