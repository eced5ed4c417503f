"""The runs that bench/fuzz.py breaks: a tuning and a comparison that have ended, and commands that would train.

A tuning and a comparison read back what they left when they go on. Of a mode that trains, everything up to there is
run, in a process in which TensorFlow has not started: `Begins` is raised where it would train, time or export.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Never
from unittest import mock

from bench.mutations import TEXTS

MODES = ("search", "train", "finetune", "compare", "tune", "export", "evaluate", "predict")
"""Those that load TensorFlow."""
TUNED = ("--dataset=npz:../data.npz", "--from=../best", "--tuner=grid", "--tune_trials=3", "--tune_epochs=1")
COMPARED = (
    *("--dataset=npz:../packed.npz", "--models=../best,nasnet_a", "--match=latency", "--latency_on=tensorflow"),
    *("--filters=2", "--repeats=1", "--steps=1", "--seeds=2", "--test", "--workers=1"),
)
_SMALL = ("--filters=2", "--repeats=1", "--steps=2")
_FROM = ("--dataset=npz:../packed.npz", "--from=../best")
_BASE: dict[str, tuple[str, ...]] = {
    "search": ("--dataset=npz:../packed.npz", "--blocks=1", "--filters=2", "--steps=2", "--workers=1", "--trials=3"),
    "train": ("--dataset=npz:../packed.npz", "--model=nasnet_a", *_SMALL),
    "compare": ("--dataset=npz:../packed.npz", "--models=../best,nasnet_a", "--workers=1", *_SMALL),
    "predict": ("--from=../best", "../picture.png", "../pictures"),
    **dict.fromkeys(("finetune", "tune", "export", "evaluate"), _FROM),
}
"""What a mode is given beside what is drawn: it trains by that alone."""
_NAMES = (
    *("nasnet_a", "resnet20", "lenet5", "nasnet_a,resnet20", "random", "../best", "../best/genotype.json", "none"),
    *("../recipe.json", "../table.csv", "../latency.json", "../data.npz", "npz:../data.npz", "folder:../pictures"),
    *("digits", "2,4", "0.25,0.5", "1,2", "..", "../work"),
)
_GIVEN = {int: ("1", "2", "3", "5", "40", "1000000"), float: ("0.1", "0.5", "1", "2.5", "1e-9", "1e9"), str: _NAMES}
"""Values of each type that some flag of it takes."""
_WRITES = ("workdir", "csv")  # where a command says itself that it writes elsewhere, that is no escape
_NOT_DRAWN = ("mode", "cluster")  # Ray's would start processes


class Begins(BaseException):
    """Here a training would begin."""


def _begins(*_: object, **__: object) -> Never:
    raise Begins


@contextlib.contextmanager
def until_it_begins() -> Iterator[None]:
    """Ends where something would be trained, timed or exported in what is run meanwhile."""
    from nasnet.execution.engine import InProcess
    from nasnet.execution.slot import Slot
    from nasnet.modes.compared import timed
    from nasnet.modes.tables import latency
    from nasnet.modes.trained import export
    from nasnet.training.loop import Training

    places = ((Training, "run"), (Slot, "submit"), (Slot, "run"), (InProcess, "submit"))
    with contextlib.ExitStack() as stack:
        for of, name in (*places, (timed, "alone"), (latency, "alone"), (export, "export")):
            stack.enter_context(mock.patch.object(of, name, _begins))
        stack.enter_context(contextlib.suppress(Begins))
        yield


def command_of(mode: str, rng: random.Random) -> list[str]:
    """A command that trains, with a few flags more: some of them as they may be, some as no flag is."""
    given = [f"--mode={mode}", *_BASE[mode]]
    for _ in range(rng.choice((1, 2, 2, 4))):
        flag = rng.choice(_flags(mode))
        if flag.kind is bool and rng.random() < 0.8:
            given.append(rng.choice((f"--{flag.name}", f"--no{flag.name}")))
            continue
        values = flag.choices or _GIVEN.get(flag.kind, ())
        values = values if values and rng.random() < 0.85 else TEXTS
        value = rng.choice([of for of in values if flag.name not in _WRITES or not of.startswith("..")])
        given.append(f"--{flag.name}={value}")
    return given


@functools.cache
def _flags(mode: str) -> list[Any]:
    from nasnet.modes.flags import RUN_FLAGS, flags

    return [flag for flag in (*RUN_FLAGS, *flags((mode,))) if flag.name not in _NOT_DRAWN]


def write_tuned(folder: Path) -> None:
    """A tuning of three trials that has ended; its pictures and its network are named from `work/` beside it."""
    from controller.strategy import Outcome
    from nasnet.execution.job import Job, Result
    from nasnet.modes.trained import tune

    def answered(_: object, job: Job, __: object) -> Result:
        return Result(job, Outcome.OK, 0.2 * job.trial_id, 1.0)

    with mock.patch.object(tune._Trials, "_in_worker", answered):
        _run_in(folder, TUNED, "tune", "tuned")


def write_compared(folder: Path) -> None:
    """A comparison of two networks from two seeds that has ended, the second as fast as the first."""
    from controller.strategy import Outcome
    from nasnet.modes.compared import timed
    from nasnet.modes.compared.contenders import contenders_of
    from nasnet.modes.compared.trainings import Ended, planned_of
    from nasnet.modes.inputs import open_data
    from nasnet.networks.latency.match import AsFast
    from nasnet.networks.latency.table import Time
    from nasnet.runtime.files import write_json

    with contextlib.chdir(folder / "work"):
        config = _resolved("compare", COMPARED)
        first, other = contenders_of(config, open_data(config))
        trainings = planned_of([first.name, other.name], range(2))
    found = AsFast(other.spec, {"filters": 2}, Time(1e-3, 1e-5), Time(1e-3, 1e-5))
    networks = {timed._key(first, other, "tensorflow"): timed._to_json(found)}
    write_json(folder / "compared" / "config.json", config.to_json())
    write_json(folder / "compared" / "as_fast.json", {"version": 1, "networks": networks})
    for number, each in enumerate(trainings):
        ended = Ended(each, Outcome.OK, 0.1 * number, {"loss": 1.0, "train_seconds": 2.0}, 3.0)
        if number == 3:
            ended = dataclasses.replace(ended, outcome=Outcome.NAN, accuracy=None, figures={}, cause="it diverged")
        of_it = folder / "compared" / "trainings" / each.label
        write_json(of_it / "result.json", ended.to_json())
        write_json(of_it / "test.json", {"version": 1, "accuracy": 0.5, "loss": 1.0, "pictures": 12})


def _resolved(mode: str, words: tuple[str, ...]) -> Any:  # noqa: ANN401 - a RunConfig
    from nasnet.modes.flags import flags, resolve

    of = {flag.name: flag for flag in flags((mode,))}
    given = (word.removeprefix("--").partition("=") for word in words)
    return resolve(mode, 0, {name: of[name].read(value or "true") for name, _, value in given})


def _run_in(folder: Path, words: tuple[str, ...], mode: str, name: str) -> None:
    from nasnet.modes.runners import runner

    with contextlib.chdir(folder / "work"):
        config = _resolved(mode, words)
        with contextlib.redirect_stdout(None):
            runner(config)(config, Path("..") / name)


def goes_on(folder: Path, run: Callable[[list[str]], None], mode: str, words: tuple[str, ...], name: str) -> None:
    """The command again, in a copy of what it left."""
    shutil.copytree(folder / name, folder / "work" / name)
    with until_it_begins():
        run([f"--mode={mode}", *words, f"--workdir={name}"])
