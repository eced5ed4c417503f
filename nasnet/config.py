"""What a user can set, as small frozen values. No TensorFlow here: `--help` must answer at once.

Each field is a flag of `train.py` of the same name. Its `metadata["help"]` tells what it is, its unit and its source.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from pathlib import Path
from typing import IO, Any, Literal, get_args, get_type_hints

from controller.config import PolicyGradientConfig

VERSION = 1
_LOCK = ".lock"
MODES = ("search", "train", "evaluate", "export", "finetune")


class UserError(Exception):
    """Bad input. The message is one line: the flag or file, the value received, what would do. Exit code 2."""


class RunError(Exception):
    """A run that failed for a reason that is no fault of its input. The message is one line. Exit code 1."""


def setting(default: Any, text: str) -> Any:  # noqa: ANN401 - as dataclasses.field
    """A field with its help text."""
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which pictures."""

    dataset: str = setting("digits", "digits (embedded), tfds:NAME, folder:PATH (one folder a class) or npz:PATH")
    image_size: int | None = setting(None, "pixels a side to resize every picture to; unset keeps their size")


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """How cells are stacked."""

    repeats: int = setting(2, "Normal Cells a stage: N of the paper, section 4 (its proxy has 2, appendix A.1)")
    filters: int = setting(
        16, "channels in the first cell, doubled at each reduction; the paper's N@P has P = 24 times this for NASNet-A"
    )
    stem: Literal["cifar", "imagenet"] = setting(
        "cifar", "first layers: one convolution, or a strided one and two Reduction Cells"
    )


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How one network is trained."""

    epochs: int = setting(20, "passes over the training split (the paper's proxy: 20, appendix A.1)")
    steps: int | None = setting(None, "training steps in all, instead of epochs; unset: the epochs decide")
    batch_size: int = setting(32, "pictures a step (slim's CIFAR recipe: 32)")
    optimizer: Literal["momentum", "adam"] = setting("momentum", "momentum of 0.9 (appendix A.6), or adam")
    learning_rate: float = setting(
        0.025, "learning rate at the first step, cosine to zero over all steps (slim's CIFAR recipe: 0.025)"
    )
    weight_decay: float = setting(5e-4, "L2 on all kernels, as half the squared norm (slim's CIFAR recipe: 5e-4)")
    clip_norm: float = setting(5.0, "global norm that gradients are clipped to, 0 is off (slim's CIFAR recipe: 5)")
    label_smoothing: float = setting(0.0, "share of the label spread over all classes (the paper's ImageNet: 0.1)")
    auxiliary_weight: float = setting(
        0.0, "weight of the auxiliary head's loss, 0 builds none (appendix A.7: 0.4); needs 20 pixels a side or more"
    )
    drop_path_keep: float = setting(
        1.0, "ScheduledDropPath: share of paths kept at the end in the last cell, 1 is off (slim's CIFAR recipe: 0.6)"
    )
    dropout_keep: float = setting(1.0, "share of features kept in front of the classifier (appendix A.7: 0.5; CIFAR 1)")
    pad: int | None = setting(
        None,
        "pixels to pad by before a random crop (A.6: 4 of 32); unset: 0 for digits, an eighth of the side otherwise",
    )
    flip: bool | None = setting(None, "random horizontal flips (A.6); unset: off for digits, on otherwise")
    bn_momentum: float = setting(0.9, "of the moving statistics of batch norm (slim's CIFAR recipe: 0.9)")


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """What is searched, how, and for how long."""

    space: Literal["nasnet"] = setting("nasnet", "search space (section 3)")
    blocks: int = setting(5, "blocks a cell: B of the paper, section 3")
    strategy: Literal["ppo", "random"] = setting("ppo", "who proposes: the LSTM controller with PPO (A.2), or random")
    estimator: Literal["proxy"] = setting("proxy", "how a cell is scored: short training of a small network (A.1)")
    trials: int = setting(80, "cells to try in all (the paper: 20,000; A.3)")
    child: Literal["functions", "keras"] = setting(
        "functions", "how children are built: as plain functions, or as Keras models for checking (ten times slower)"
    )
    reward: Literal["last", "best_of_last_5"] = setting(
        "last", "valid accuracy at the end (A.1), or the best at the end of the last 5 epochs (2017 paper, there cubed)"
    )
    finalists: int = setting(
        3,
        "best trials to train longer and rank anew before one is exported, 0 is none (the paper: 250; A.3)",
    )
    finalist_steps: int = setting(100, "training steps of a finalist (the paper trains to convergence)")
    threads: int = setting(
        1,
        "threads of one operation: one is fastest at 8x8 pixels (docs/results.md); decides the last bits of a reward",
    )
    finalist_seeds: int = setting(2, "fresh starts of each finalist; its rank is by the mean of their rewards")


@dataclasses.dataclass(frozen=True)
class FinalConfig:
    """How the best cell of a search is trained for export."""

    final_repeats: int = setting(1, "Normal Cells a stage of the network that the best cell is exported in")
    final_filters: int = setting(16, "channels in its first cell")
    final_epochs: int = setting(15, "its passes over the training split")
    final_learning_rate: float = setting(0.05, "its learning rate at the first step")


@dataclasses.dataclass(frozen=True)
class SourceConfig:
    """Where a genotype or a trained network comes from."""

    model: str = setting("nasnet_a", "cells to train: a name of cells/zoo.py, or the path of a genotype.json")


@dataclasses.dataclass(frozen=True)
class FromConfig:
    """A folder that holds a trained network: what --mode=train works in, or what --mode=export wrote."""

    source: str | None = setting(None, "folder with genotype.json and model.keras: a run of --mode=train, or best/")


_CONTROLLER = "controller_"
GROUPS: dict[str, tuple[type, ...]] = {
    "search": (DataConfig, SearchConfig, NetworkConfig, TrainingConfig, FinalConfig, PolicyGradientConfig),
    "train": (DataConfig, SourceConfig, NetworkConfig, TrainingConfig),
    "evaluate": (DataConfig, FromConfig),
    "export": (DataConfig, FromConfig),
    "finetune": (DataConfig, FromConfig, TrainingConfig),
}
DEFAULTS: dict[str, dict[str, Any]] = {
    # Differs from the paper: the proxy of A.1 has N=2 and 20 epochs of CIFAR-10. This one fits minutes on two cores.
    # The paper gives no learning rate for it; this one is from docs/search.md.
    "search": {"repeats": 1, "filters": 8, "steps": 50, "batch_size": 64, "learning_rate": 0.05},
    "finetune": {"epochs": 5, "optimizer": "adam", "learning_rate": 1e-3, "batch_size": 64, "weight_decay": 0.0},
}


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag of `train.py`."""

    name: str
    kind: type
    choices: tuple[str, ...] | None
    help: str


def flag_name(group: type, field: str) -> str:
    """The flag of a field. The controller's have a prefix: it too has a learning rate; `source` is `--from`."""
    if group is PolicyGradientConfig:
        return field if field in ("update_trials",) else _CONTROLLER + field
    return "from" if group is FromConfig and field == "source" else field


def flags() -> tuple[Flag, ...]:
    """Every flag that a field makes, with its default for each mode in its help."""
    groups = list(dict.fromkeys(group for mode in MODES for group in GROUPS[mode]))
    made: list[Flag] = []
    for group in groups:
        for field in dataclasses.fields(group):
            name = flag_name(group, field.name)
            defaults = {
                mode: DEFAULTS.get(mode, {}).get(name, field.default) for mode in MODES if group in GROUPS[mode]
            }
            if len(set(map(str, defaults.values()))) == 1:
                text = f"default {_show(next(iter(defaults.values())))}"
            else:
                text = "default " + ", ".join(f"{_show(value)} in {mode}" for mode, value in defaults.items())
            if set(defaults) != set(MODES):
                text += f"; with --mode={'|'.join(defaults)}"
            kind, choices = _kind(get_type_hints(group)[field.name])
            made.append(Flag(name, kind, choices, f"{field.metadata['help']} ({text})"))
    return tuple(made)


def _show(value: object) -> str:
    return "unset" if value is None else str(value)


def _kind(annotation: Any) -> tuple[type, tuple[str, ...] | None]:  # noqa: ANN401 - a type as get_type_hints gives it
    options = get_args(annotation)
    if options and isinstance(options[0], str):
        return str, options
    return (options[0] if options else annotation), None


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """One run, resolved: what is written to `workdir/config.json` and compared when the workdir is used again."""

    mode: str
    seed: int
    values: dict[str, Any]

    def group(self, cls: type) -> Any:  # noqa: ANN401 - the instance of `cls`
        """The part of the values that `cls` describes."""
        try:
            return cls(**{field.name: self.values[flag_name(cls, field.name)] for field in dataclasses.fields(cls)})
        except ValueError as error:
            field, _, rest = str(error).partition(" ")  # "<field> <rule>, got <value>"
            raise UserError(f"--{flag_name(cls, field)} {rest}") from error

    def to_json(self) -> dict[str, Any]:
        """Flat JSON."""
        return {"version": VERSION, "mode": self.mode, "seed": self.seed, **self.values}


def resolve(mode: str, seed: int, given: dict[str, Any]) -> RunConfig:
    """The given flags over the mode's defaults.

    Raises:
        UserError: for a flag that the mode has no use for, or a value outside what it can be.
    """
    values: dict[str, Any] = {}
    for group in GROUPS[mode]:
        for field in dataclasses.fields(group):
            name = flag_name(group, field.name)
            values[name] = given.get(name, DEFAULTS.get(mode, {}).get(name, field.default))
    if "epochs" in given and "steps" not in given and "steps" in values:
        values["steps"] = None  # whoever names epochs does not mean the mode's own steps
    for name, value in given.items():
        if name not in values:
            raise UserError(
                f"--{name}={value} has no meaning with --mode={mode}; flags of this mode: {', '.join(values)}"
            )
    _check(values)
    config = RunConfig(mode, seed, values)
    for group in GROUPS[mode]:
        config.group(group)  # a group's own checks, before anything is opened
    return config


_LEAST = {
    **dict.fromkeys(("image_size", "repeats", "epochs", "steps", "batch_size", "blocks", "trials"), 1),
    **dict.fromkeys(("finalist_steps", "finalist_seeds", "final_repeats", "final_epochs", "threads"), 1),
    **dict.fromkeys(("filters", "final_filters"), 2),
    **dict.fromkeys(("finalists", "pad", "weight_decay", "clip_norm", "auxiliary_weight"), 0),
}
_ABOVE_ZERO = ("learning_rate", "final_learning_rate", "drop_path_keep", "dropout_keep")
_BELOW_ONE = ("label_smoothing", "bn_momentum")


def _check(values: dict[str, Any]) -> None:
    for name, value in values.items():
        if value is None or isinstance(value, str):
            continue
        if name in _LEAST and not value >= _LEAST[name]:
            raise UserError(f"--{name}={value}: must be {_LEAST[name]} or more")
        if name in _ABOVE_ZERO and not 0 < value < float("inf"):
            raise UserError(f"--{name}={value}: must be above 0")
        if name in ("drop_path_keep", "dropout_keep") and value > 1:
            raise UserError(f"--{name}={value}: must be at most 1")
        if name in _BELOW_ONE and not 0 <= value < 1:
            raise UserError(f"--{name}={value}: must be 0 or more and below 1")


def check_workdir(workdir: Path, config: RunConfig) -> None:
    """Writes nothing. Raises UserError if the workdir was used with another config (the difference is shown)."""
    path = workdir / "config.json"
    if path.exists():
        found, wanted = read_json(path), json.loads(json.dumps(config.to_json()))
        if not isinstance(found, dict):
            raise UserError(f"{path}: not a run's config; use another --workdir")
        differing = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
        if differing:
            shown = ", ".join(f"{name}: {found.get(name)} there, {wanted.get(name)} now" for name in differing)
            raise UserError(f"--workdir={workdir} was used with another config ({shown}); use another workdir")
    elif workdir.exists() and not workdir.is_dir():
        raise UserError(f"--workdir={workdir} is not a folder; name a new one")
    elif workdir.exists() and any(entry.name != _LOCK for entry in workdir.iterdir()):
        raise UserError(f"--workdir={workdir} holds files but no config.json; use a new or an empty folder")


def claim_workdir(workdir: Path, config: RunConfig) -> IO[str]:
    """Creates the workdir with its `config.json`, or finds the same config there.

    Returns:
        The lock on the workdir. The operating system lets go of it when the process ends, however it ends.

    Raises:
        UserError: as `check_workdir`; if another process works there; if it cannot be written to.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock = open(workdir / _LOCK, "w")  # noqa: SIM115 - held for the whole run
    except OSError as error:
        raise UserError(f"--workdir={workdir}: cannot be written to ({error.strerror})") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise UserError(f"--workdir={workdir} is in use by another process; wait for it or use another") from error
    check_workdir(workdir, config)
    if not (workdir / "config.json").exists():
        write_json(workdir / "config.json", config.to_json())
    return lock


def read_json(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """Raises UserError with the file's name unless it holds JSON."""
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error})") from error


def write_json(path: Path, value: object) -> None:
    """Written beside and renamed into place, so that no reader ever sees half of it."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """As `write_json`, for any text. Raises UserError where the folder cannot be written to."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text)
        os.replace(beside, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
