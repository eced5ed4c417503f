"""Several networks, each trained from several seeds, side by side. No TensorFlow."""

from __future__ import annotations

import dataclasses
import math
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from controller.strategy import Outcome
from nasnet.execution.job import Job, Result
from nasnet.networks.saved import save_weights
from nasnet.runtime.errors import RunError, UserError
from nasnet.runtime.files import write_json
from nasnet.runtime.schema import read_as
from nasnet.trials.retries import RetryingEngine

VERSION = 1
_RESULT = "result.json"
CHECKPOINTS = "checkpoints"
"""Folder of a training, in its own, while it has not ended."""


@dataclasses.dataclass(frozen=True)
class Planned:
    """One training of a comparison.

    Attributes:
        network: which one, counted from 0.
        seed: of the training.
        label: what its folder and its log are called.
    """

    network: int
    seed: int
    label: str


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a training ended: the accuracy on valid, None if it failed for the cause; its figures; its seconds."""

    training: Planned
    outcome: Outcome
    accuracy: float | None
    figures: Mapping[str, float]
    seconds: float
    cause: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        # A loss may be none; JSON has no NaN.
        figures = {name: value if math.isfinite(value) else None for name, value in self.figures.items()}
        rest = {"outcome": str(self.outcome), "figures": figures}
        return {"version": VERSION, **values, **rest, "training": dataclasses.asdict(self.training)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Ended:
        """Of what `read_as("result", ...)` gives."""
        values = {field.name: value[field.name] for field in dataclasses.fields(cls)}
        figures = {name: math.nan if figure is None else figure for name, figure in value["figures"].items()}
        rest = {"figures": figures, "outcome": Outcome(value["outcome"])}
        return cls(**{**values, **rest, "training": Planned(**value["training"])})


class Lost:
    """How often each training was taken away from outside, in this process."""

    def __init__(self) -> None:
        self.lost_attempts: Counter[str] = Counter()

    def lose_attempt(self, child: str, cause: str) -> None:  # noqa: ARG002 - of a journal
        """Counts one."""
        self.lost_attempts[child] += 1


def ended_before(trainings: Sequence[Planned], folder: Path) -> dict[Planned, Ended]:
    """Those that an earlier process has ended. Raises UserError for a damaged file, naming it."""
    found: dict[Planned, Ended] = {}
    for training in trainings:
        path = folder / training.label / _RESULT
        if path.exists():
            found[training] = Ended.from_json(read_as("result", path, "delete it to train anew"))
            if found[training].training != training:
                raise UserError(f"{path}: not of the training that this run would make; use a new workdir")
            # A kill between the result and this leaves them.
            shutil.rmtree(path.parent / CHECKPOINTS, ignore_errors=True)
    return found


def planned_of(names: Sequence[str], seeds: range, prefix: str = "") -> list[Planned]:
    """All trainings, a seed of each network before the next: what has ended at any time can be compared."""

    def label(number: int, seed: int) -> str:
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", Path(names[number]).name)[:40]
        return f"{prefix}{number + 1}_{name}_seed_{seed}"

    return [Planned(number, seed, label(number, seed)) for seed in seeds for number in range(len(names))]


def train_all(
    trainings: Sequence[Planned],
    engine: RetryingEngine,
    folder: Path,
    report: Callable[[Ended, dict[Planned, Ended]], None],
    *,
    job: Callable[[Planned], Job],
    may_lose: bool = False,
    cut_short: Callable[[], object] = lambda: None,
) -> dict[Planned, Ended]:
    """Trains what has not ended before, in this order, as many at a time as the engine has room for.

    Each leaves a folder of its own, `label/`: `genotype.json` and `weights.npz`, as a `FromConfig` takes them, and last
    `result.json`, which says that it has ended.

    Args:
        trainings: all of them, those that have ended too.
        engine: where they are trained.
        folder: that the folders are in.
        report: told of each that ends, and of all that have.
        job: what is submitted of each, under its label.
        may_lose: whether one that was taken away from outside too often has failed, and the others go on.
        cut_short: looked at while they are trained. Once it is true, those that run are cut off, and the answer holds
            those alone that have ended.

    Raises:
        RunError: if one was taken away from outside too often. The others that ran are begun again by the same command,
            from their checkpoints.
        Stopped: if it was asked to stop.
    """
    ended = ended_before(trainings, folder)
    waiting = [training for training in trainings if training not in ended]
    of_label = {training.label: training for training in waiting}
    missing = len(waiting)
    for training in waiting:
        for left in (folder / training.label).glob("*.json"):
            left.unlink()  # scores of weights that stood there before their result was deleted
    while missing and not cut_short():
        while waiting and engine.free > 0:
            engine.submit(job(waiting.pop(0)))
        for result in engine.collect():
            training = of_label[result.job.label]
            if result.outcome is Outcome.LOST and not may_lose:
                raise RunError(f"{training.label}: {result.cause}; the same command goes on from here")
            ended[training] = _kept(training, result, folder / training.label)
            missing -= 1
            report(ended[training], ended)
    if missing:
        engine.abandon()
    return ended


def _kept(training: Planned, result: Result, folder: Path) -> Ended:
    """Leaves in its folder what became of a training; its result comes last, and its checkpoints then go."""
    ended = Ended(training, result.outcome, result.reward, result.figures, result.seconds, result.cause)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if result.child is not None:
            save_weights(folder, result.child.spec, result.child.weights)
        write_json(folder / _RESULT, ended.to_json())
    except (OSError, UserError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RunError(f"{folder}: cannot be written ({reason}); make room, and the same command goes on") from error
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    return ended


def seconds_left(
    trainings: Sequence[Planned],
    ended: Mapping[Planned, Ended],
    running: Mapping[str, float],
    slots: int,
    mult_adds: Sequence[int],
) -> float:
    """What the trainings that have not ended will take on so many slots: as long as others of their network took.

    A network of which none has ended takes as long for each of its multiply-adds as the mean of the others does, and no
    shorter than the shortest of them. `running` are the seconds that those that run have had, by label; `mult_adds` are
    each network's.
    """
    known: dict[int, list[float]] = {}
    for training, of_it in ended.items():
        known.setdefault(training.network, []).append(of_it.seconds)
    means = {network: sum(seconds) / len(seconds) for network, seconds in known.items()}
    unknown: dict[int, float] = {}
    for network in {training.network for training in trainings} - means.keys():
        scaled = [seconds * mult_adds[network] / mult_adds[other] for other, seconds in means.items()]
        unknown[network] = max(min(means.values()), sum(scaled) / len(scaled))
    means |= unknown
    left = [
        max(0.0, means[training.network] - running.get(training.label, 0.0))
        for training in trainings
        if training not in ended
    ]
    return max([sum(left) / slots, *left])
