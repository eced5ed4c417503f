"""What bench/fuzz.py feeds mutations to: whole files of every kind that this program reads, and what reads them."""

from __future__ import annotations

import dataclasses
import functools
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench import fuzzed_runs
from bench.mutations import command_line

SEEDS = "seeds"
_SIDE = 8


@dataclasses.dataclass(frozen=True)
class Target:
    """A file below the seeds, what reads it, given the folder, how often it is drawn.

    Without a file it is a command line, as `line` draws it. Those that start TensorFlow their own way are each run in a
    process of its own.
    """

    file: str | None
    read: Callable[[Any], object]
    weight: float = 4
    line: Callable[[random.Random], list[str]] | None = None
    own_process: bool = False


def write_seeds(folder: Path) -> None:
    """Writes them: a trained network, a child, a search, checkpoints, data of every kind, tables, a recipe."""
    (folder / "work").mkdir(parents=True)
    _write_pictures(folder)
    _write_networks(folder)
    _write_search(folder / "search")
    (folder / "table.csv").write_text("op,width,reward,seconds\na,1,0.5,3\nb,1,0.6,4\na,2,0.7,5\n")
    recipe = {"version": 1, "epochs": 3, "steps": None, "learning_rate": 0.1, "optimizer": "momentum", "flip": False}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    table = {"on": "tensorflow", "rows": {"conv 3": [[10, 0.1], [20, 0.3]]}, "start": 0.1, "scale": 1.1}
    table |= {"version": 2, "whole": [[0.1, 0.2]], "spread": 0.1, "machine": {"cpu": "some"}, "errors": [0.1]}
    (folder / "latency.json").write_text(json.dumps(table))
    fuzzed_runs.write_tuned(folder)
    fuzzed_runs.write_compared(folder)


def _write_pictures(folder: Path) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (12, _SIDE, _SIDE, 1), np.uint8), np.arange(12) % 2
    np.savez(folder / "data.npz", x=images, y=labels, classes=np.array(["a", "b"]))
    np.savez_compressed(folder / "packed.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    for suffix in ("png", "jpg", "gif", "bmp", "tif", "webp", "ppm"):
        Image.fromarray(images[0, :, :, 0]).save(folder / f"picture.{suffix}")
    for number, image in enumerate(images):
        (folder / "pictures" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[:, :, 0]).save(folder / "pictures" / "ab"[number % 2] / f"{number}.png")


def _write_networks(folder: Path) -> None:
    import tensorflow as tf

    from bench.drawn import cheap_genotype
    from cells.walks.stack import CellNetwork
    from nasnet.data.fingerprint import Fingerprint
    from nasnet.networks.keras_model import build, named_weights
    from nasnet.networks.saved import save_trained, save_weights
    from nasnet.networks.spec import NetworkSpec
    from nasnet.runtime.files import write_json

    network = CellNetwork(cheap_genotype(), 1, 2, classes=2)
    spec = NetworkSpec(network, ("a", "b"), (_SIDE, _SIDE, 1), (127.5,), (64.0,))
    model = build(spec)
    save_trained(folder / "best", spec, model)
    write_json(folder / "best" / "data.json", Fingerprint(("a", "b"), {"train": {"a/0.png": "12:00ff"}}).to_json())
    save_weights(folder / "child", spec.to_json(), {n: np.asarray(v) for n, v in named_weights(model).items()})
    step, values = tf.Variable(3, dtype=tf.int64), tf.Variable(tf.ones((40, 3)))
    tf.train.CheckpointManager(tf.train.Checkpoint(step=step, values=values), str(folder / "checkpoints"), 1).save(3)


def _write_search(folder: Path) -> None:
    from cells.spaces.nasnet import NASNetSpace
    from controller.strategy import Outcome, Proposal, Trial
    from nasnet.modes.flags import resolve
    from nasnet.runtime.files import write_json
    from nasnet.trials.journal import FinalistRun, Journal

    write_json(folder / "config.json", resolve("search", 0, {"workers": 1, "dataset": "digits"}).to_json())
    journal, rng = Journal(folder / "journal.jsonl"), np.random.default_rng(0)
    for number in range(6):
        tokens = tuple(int(rng.integers(decision.size)) for decision in NASNetSpace(5).decisions)
        proposal = Proposal(number, tokens, (-0.5,) * len(tokens))
        journal.propose(proposal)
        ended = (Outcome.OK, 0.1 * number) if number % 3 else (Outcome.NAN, None)
        journal.finish(Trial(proposal, *ended, 1.5, "" if number % 3 else "it diverged"))
    journal.lose_attempt("trial 7", "the machine was taken away")
    journal.finish_finalist(FinalistRun(5, 0, Outcome.OK, 0.6, 3.0))
    path = folder / "journal.jsonl"  # mutations are of the same bytes at any time of day
    path.write_text(re.sub('"time": "[^"]*"', '"time": "2026-11-27T09:46:01.123Z"', path.read_text()))
    write_json(folder / "best" / "metrics.json", {"version": 1, "valid": {"accuracy": 0.5, "loss": 1.0}, "test": None})
    write_json(folder / "seconds.json", {"version": 1, "slots": 1, "seconds": {"searching": 3.0, "children": {}}})
    (folder / "pareto.csv").write_text("trial_id,accuracy,parameters,mult_adds,latency_ms\n5,0.5,1000,20000,\n")


@functools.cache
def flag_names_of_all() -> list[str]:
    """The flags of every mode."""
    from nasnet.modes.flags import MODES, flags

    return [flag.name for flag in flags(MODES)]


def run(arguments: list[str]) -> None:
    """One command in this process, as `train.main` runs it. Raises what that would tell and exit by."""
    from absl import flags

    import train
    from nasnet.runtime.errors import UserError

    flags.FLAGS.unparse_flags()
    for name in [name for name in flags.FLAGS if name not in ("help", "helpshort", "helpfull", "helpxml")]:
        delattr(flags.FLAGS, name)
    try:
        train._main(["train.py", *arguments])
    except flags.Error as error:
        raise UserError(" ".join(str(error).split())) from error


def _run_until_it_begins(arguments: list[str]) -> None:
    with fuzzed_runs.until_it_begins():
        run(arguments)


def _tuned(folder: Path) -> None:
    fuzzed_runs.goes_on(folder, run, "tune", fuzzed_runs.TUNED, "tuned")


def _compared(folder: Path) -> None:
    fuzzed_runs.goes_on(folder, run, "compare", fuzzed_runs.COMPARED, "compared")


def _line(rng: random.Random) -> list[str]:
    return command_line(flag_names_of_all(), ("count", "table", "report"), rng)


def _report(folder: Path) -> None:
    run(["--mode=report", f"--workdir={folder / 'search'}", f"--html={folder / 'work' / 'report.html'}"])


def _count(folder: Path) -> None:
    run(["--mode=count", f"--model={folder / 'best'}"])


def _network(folder: Path, name: str = "best") -> None:
    """A trained network, and what it makes of a picture."""
    from nasnet.networks.saved import data_of, load_source

    _, model = load_source(str(folder / name), None)
    data_of(folder / name)
    model(np.zeros((1, *model.input_shape[1:]), np.float32))


def _config(folder: Path) -> None:
    from nasnet.modes.flags import resolve
    from nasnet.modes.workdir import check_workdir, read_config, resolved_before

    resolved_before(folder / "search")
    read_config(folder / "search")
    check_workdir(folder / "search", resolve("search", 0, {"workers": 1, "dataset": "digits"}))


def _claimed(folder: Path) -> None:
    """The journal as a search that goes on opens it: for writing."""
    from cells.spaces.nasnet import NASNetSpace
    from nasnet.trials.journal import Journal

    journal = folder / "work" / "journal.jsonl"
    journal.write_bytes((folder / "search" / "journal.jsonl").read_bytes())
    Journal(journal).check(NASNetSpace(5))


def _recipe(folder: Path) -> None:
    from nasnet.modes.flags import resolve

    resolve("train", 0, {"recipe": str(folder / "recipe.json")})


def _table(folder: Path) -> None:
    from nasnet.estimators.table import read_table

    read_table(folder / "table.csv")


def _latency(folder: Path) -> None:
    from nasnet.modes.tables.latency import read_latency

    read_latency(folder / "latency.json").describe()


def _data(folder: Path, name: str = "folder:{}/pictures") -> None:
    from nasnet.data.dataset import open_dataset

    open_dataset(name.format(folder), allow_test=True, check_test=True)


def _prepared(folder: Path, suffix: str) -> None:
    from nasnet.data.pictures import DEFAULT_PREPARATION, prepare

    prepare(folder / f"picture.{suffix}", (_SIDE, _SIDE, 1), DEFAULT_PREPARATION)


def _checkpoint(folder: Path) -> None:
    import tensorflow as tf

    from nasnet.training.checkpoints import resume
    from nasnet.training.replicas import Replicas

    values = tf.Variable(tf.zeros((40, 3)))
    step = tf.Variable(0, dtype=tf.int64)
    resume(folder / "checkpoints", 1, Replicas(tf.distribute.get_strategy()), step=step, values=values)


TARGETS: dict[str, Target] = {
    "journal": Target("search/journal.jsonl", _report),
    "journal_for_writing": Target("search/journal.jsonl", _claimed),
    "config": Target("search/config.json", _config),
    "config_reported": Target("search/config.json", _report, 2),
    "metrics": Target("search/best/metrics.json", _report, 2),
    "seconds": Target("search/seconds.json", _report, 2),
    "pareto": Target("search/pareto.csv", _report, 1),
    "genotype_counted": Target("best/genotype.json", _count),
    "genotype": Target("best/genotype.json", _network),
    "genotype_of_child": Target("child/genotype.json", functools.partial(_network, name="child")),
    "weights": Target("child/weights.npz", functools.partial(_network, name="child")),
    "model": Target("best/model.keras", _network),
    "data_json": Target("best/data.json", _network, 1),
    "checkpoint_names": Target("checkpoints/checkpoint", _checkpoint, 1),
    "checkpoint_index": Target("checkpoints/ckpt-3.index", _checkpoint, 2),
    "checkpoint_values": Target("checkpoints/ckpt-3.data-00000-of-00001", _checkpoint, 2),
    "recipe": Target("recipe.json", _recipe),
    "table": Target("table.csv", _table),
    "latency": Target("latency.json", _latency),
    "npz": Target("data.npz", functools.partial(_data, name="npz:{}/data.npz")),
    "npz_packed": Target("packed.npz", functools.partial(_data, name="npz:{}/packed.npz")),
    "folder": Target("pictures/a/0.png", _data, 2),
    **{
        suffix: Target(f"picture.{suffix}", functools.partial(_prepared, suffix=suffix), 1)
        for suffix in ("png", "jpg", "gif", "bmp", "tif", "webp", "ppm")
    },
    "tune_trial": Target("tuned/trials/0001.json", _tuned, 0.5),
    "tune_data": Target("tuned/data.json", _tuned, 0.25),
    "compare_result": Target("compared/trainings/1_best_seed_1/result.json", _compared, 0.5),
    "compare_test": Target("compared/trainings/1_best_seed_0/test.json", _compared, 0.5),
    "compare_as_fast": Target("compared/as_fast.json", _compared, 0.5),
    "flags": Target(None, run, 8, _line),
    **{
        f"flags_{mode}": Target(
            None, _run_until_it_begins, 0.25, functools.partial(fuzzed_runs.command_of, mode), own_process=True
        )
        for mode in fuzzed_runs.MODES
    },
}
