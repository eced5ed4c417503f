"""What a user sees while something runs. No TensorFlow."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from controller.policy.figures import UpdateFigures
from controller.strategy import Strategy, Trial
from nasnet.runtime.clock import clock
from nasnet.runtime.console import say
from nasnet.runtime.files import read_json
from nasnet.training.progress import Progress
from nasnet.trials.loop.rungs import Promotion, RungEnd
from nasnet.trials.retries import Retry
from nasnet.trials.search import SearchProgress

_SAID_SECONDS = 30.0


def show_export(folder: Path) -> None:
    """An export's scores and the paths of its files."""
    metrics = read_json(folder / "metrics.json")
    for name in ("valid", "test"):
        score = metrics.get(name)
        said = "not known, there are no pictures with labels"
        if score:
            said = f"{score['accuracy']:.4f} ({score['pictures']} pictures)"
        say(f"{name} accuracy {said}")
    names = ("genotype.json", "model.keras", "saved_model", "metrics.json", "classes.txt", "predict.py")
    for name in (*names, "cell.svg", "network.svg"):
        if (folder / name).exists():
            say(f"  {folder / name}")


def show_trial(progress: SearchProgress) -> None:
    """A finished trial, the best so far, the time until everything is done."""
    trial, best = progress.trial, progress.best
    result = _result(trial)
    if trial.earlier and trial.reward is not None:
        result += f" (rung {trial.rung}, before {' '.join(f'{reward:.4f}' for reward in trial.earlier)})"
    if trial.reward is not None and trial.cause:
        result += f" ({trial.cause})"
    left = "" if progress.seconds_left is None else f", {clock(progress.seconds_left)} left"
    shown = "none yet" if best is None else f"{best.reward:.4f} (trial {best.proposal.trial_id})"
    say(
        f"trial {trial.proposal.trial_id:4d}  {result}  best {shown}  {trial.seconds:.1f} s  "
        f"{progress.done}/{progress.trials}{left}"
    )


def _result(trial: Trial) -> str:
    result = f"reward {trial.reward:.4f}" if trial.reward is not None else f"{trial.outcome}: {trial.cause}"
    if "latency_ms" in trial.figures:
        result += f" (accuracy {trial.accuracy:.4f}, {trial.figures['latency_ms']:.3g} ms)"
    return result


def show_rung(told: RungEnd | Promotion) -> None:
    """A child that ended a rung from which it may go on; or, once all of its wave have, which of them do."""
    if isinstance(told, RungEnd):
        left = "" if told.seconds_left is None else f", {clock(told.seconds_left)} left"
        say(
            f"trial {told.trial.proposal.trial_id:4d}  {_result(told.trial)}  rung {told.trial.rung}/{told.rungs}  "
            f"{told.trial.seconds:.1f} s  {told.ended}/{told.children} of the wave{left}"
        )
        return
    say(
        f"rung {told.rung}/{told.rungs}: the best {len(told.going)} of {len(told.going) + len(told.ending)} go on for "
        f"{told.steps} more steps: trial {', '.join(map(str, told.going))}"
    )


def show_update(figures: UpdateFigures) -> None:
    """What an update of the controller did. Rewards are as it heard them: to their power, with those of failures."""
    say(
        f"update {figures.updates:3d}  mean reward heard {figures.mean_reward:.4f}  baseline {figures.baseline:.4f}  "
        f"entropy {figures.entropy:.1f} nats a trial  KL {figures.approx_kl:.2g} nats a decision  clipped "
        f"{figures.clip_fraction:.1%}"
    )


def trials_shown(strategy: Strategy, also: Callable[[], None] = lambda: None) -> Callable[[SearchProgress], None]:
    """Shows each trial, and each update of a strategy that makes some; calls `also` after each."""
    shown = 0

    def report(progress: SearchProgress) -> None:
        nonlocal shown
        show_trial(progress)
        figures = getattr(strategy, "last_update", None)
        if isinstance(figures, UpdateFigures) and figures.updates > shown:
            shown = figures.updates
            show_update(figures)
        also()

    return report


def show_retry(retry: Retry) -> None:
    """A child that is run again: which, as which attempt, and why. The line of a finished trial begins otherwise."""
    say(f"running {retry.job.said} again, attempt {retry.attempt} of {retry.attempts}: {retry.cause}")


class TrainingScreen:
    """Where a training stands: a line that moves on a terminal, or one now and then."""

    def __init__(self, seconds_after: float = 0.0) -> None:
        """`seconds_after` is how long what comes after the training will take: it is in the time left."""
        self._after = seconds_after
        self._moves, self._width = sys.stdout.isatty(), 0
        self._said = time.monotonic()

    def show(self, progress: Progress) -> None:
        """One look at it."""
        rate, left = progress.images_per_second, progress.seconds_left
        line = (
            f"epoch {progress.epoch:3d}/{progress.epochs}  step {progress.step}/{progress.steps}  "
            f"loss {progress.loss:.4f}  train accuracy {progress.accuracy:.4f}  "
            + (f"valid {progress.valid.accuracy:.4f}  " if progress.valid else "")
            + (f"{rate:.0f} images/s  " if rate is not None else "")
            + (f"{clock(left + self._after)} left" if left is not None else "")
        ).rstrip()
        if self._moves:
            say("\r" + line.ljust(self._width), end="\n" if progress.ended else "")
            self._width = 0 if progress.ended else len(line)
        elif progress.ended or time.monotonic() - self._said > _SAID_SECONDS:
            say(line)
            self._said = time.monotonic()
