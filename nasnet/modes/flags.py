"""The flags of `train.py`, made from the fields of the configs; and a run's flags, resolved and checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from controller.config import FailureConfig, PolicyGradientConfig
from nasnet.data.config import DataConfig
from nasnet.execution.config import ExecutionConfig
from nasnet.networks.config import FromConfig, NetworkConfig, SourceConfig
from nasnet.runtime import devices
from nasnet.runtime.errors import UserError
from nasnet.training.config import RecipeConfig, ReplicaConfig, TrainingConfig, TransferConfig, TuneConfig
from nasnet.training.recipes import RECIPES, read_recipe
from nasnet.trials.config import FinalConfig, LimitConfig, SearchConfig

VERSION = 1
MODES = ("search", "train", "evaluate", "export", "finetune", "tune")

_CONTROLLER = "controller_"
GROUPS: dict[str, tuple[type, ...]] = {
    "search": (
        DataConfig,
        SearchConfig,
        NetworkConfig,
        RecipeConfig,
        TrainingConfig,
        ExecutionConfig,
        LimitConfig,
        FailureConfig,
        FinalConfig,
        PolicyGradientConfig,
    ),
    "train": (DataConfig, SourceConfig, NetworkConfig, RecipeConfig, TrainingConfig, ReplicaConfig),
    "evaluate": (DataConfig, FromConfig),
    "export": (DataConfig, FromConfig),
    "finetune": (DataConfig, FromConfig, RecipeConfig, TrainingConfig, TransferConfig, ReplicaConfig),
    "tune": (DataConfig, FromConfig, RecipeConfig, TrainingConfig, TransferConfig, TuneConfig),
}
_RECIPE = {"search": "proxy", "finetune": "finetune", "tune": "finetune"}
DEFAULTS: dict[str, dict[str, Any]] = {mode: RECIPES[name] for mode, name in _RECIPE.items()}
# As the recipe, for the same reasons: a child small enough for minutes.
DEFAULTS["search"] = {"repeats": 1, "filters": 8, **DEFAULTS["search"]}


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


def resolve(mode: str, seed: int, given: dict[str, Any], before: Mapping[str, Any] | None = None) -> RunConfig:
    """The given flags over the mode's defaults.

    `before` is what an earlier run in the same workdir resolved: what is unset and depends on the machine stays so.

    Raises:
        UserError: for a flag that the mode has no use for, or a value outside what it can be.
    """
    values: dict[str, Any] = {}
    recipe = read_recipe(given["recipe"]) if given.get("recipe") else {}
    before_flags = {**DEFAULTS.get(mode, {}), **_without_old_length(recipe)}
    for group in GROUPS[mode]:
        for field in dataclasses.fields(group):
            name = flag_name(group, field.name)
            values[name] = {**before_flags, **_without_old_length(given)}.get(name, field.default)
    foreign = [name for name in recipe if name not in values and recipe[name] is not None]
    if foreign:
        raise UserError(f"--recipe={given['recipe']} sets {foreign[0]}, which has no meaning with --mode={mode}")
    for name, value in given.items():
        if name not in values:
            raise UserError(
                f"--{name}={value} has no meaning with --mode={mode}; flags of this mode: {', '.join(values)}"
            )
    _check(values)
    if mode == "search":
        _resolve_execution(values, before or {})
    config = RunConfig(mode, seed, values)
    for group in GROUPS[mode]:
        config.group(group)  # a group's own checks, before anything is opened
    return config


def _without_old_length(values: Mapping[str, Any]) -> dict[str, Any]:
    """Whoever names epochs does not mean the steps of the recipe that his values go before."""
    return {"steps": None, **values} if "epochs" in values else dict(values)


def _resolve_execution(values: dict[str, Any], before: Mapping[str, Any]) -> None:
    """Fills in what depends on the machine, so that it stands in the config."""
    for name in ("gpus_per_child", "deterministic"):
        if values[name] is None:
            values[name] = before.get(name)
    gpus = [] if values["cluster"] else devices.gpus()
    if values["gpus_per_child"] is None:
        values["gpus_per_child"] = int(bool(gpus))
    if values["workers"] is None and not values["cluster"]:
        per_child = values["gpus_per_child"]
        values["workers"] = max(1, len(gpus) // per_child if per_child else devices.cores() // values["cpus_per_child"])
    needed = (values["workers"] or 0) * values["gpus_per_child"]
    if not values["cluster"] and (needed > len(gpus) or (values["gpus_per_child"] and not gpus)):
        raise UserError(
            f"--gpus_per_child={values['gpus_per_child']} for --workers={values['workers']}: this machine shows "
            f"{len(gpus)} GPU(s); fewer workers, or --gpus_per_child=0"
        )
    if values["workers"] == 0:
        if values["cluster"]:
            raise UserError("--workers=0 runs children in this process; with --cluster give 1 or more")
        for name in ("memory_per_child", "seconds_per_child"):
            if values[name] is not None:
                raise UserError(f"--{name}={values[name]}: has no meaning in this process; give --workers=1 or more")
    if values["deterministic"] is None:
        workers: int | None = values["workers"]
        values["deterministic"] = (
            workers is not None and not values["cluster"] and 4 * workers <= values["update_trials"]
        )


FREE = (
    *("workers", "cluster", "children_per_worker", "retries", "keep_weights", "stop_seconds"),
    *("distribute", "replicas", "keep_checkpoints", "checkpoint_steps", "valid_epochs"),
)
"""What may be another when a workdir is used again: it decides where things run, not what comes of them."""

_LEAST = {
    **dict.fromkeys(("image_size", "repeats", "epochs", "steps", "batch_size", "blocks", "trials"), 1),
    **dict.fromkeys(("finalist_steps", "finalist_seeds", "final_repeats", "final_epochs", "cpus_per_child"), 1),
    **dict.fromkeys(("children_per_worker", "memory_per_child", "max_params", "max_mult_adds", "max_memory"), 1),
    **dict.fromkeys(("replicas", "keep_checkpoints", "checkpoint_steps", "tune_epochs", "tune_trials"), 1),
    **dict.fromkeys(("workers", "gpus_per_child", "retries", "keep_weights", "stop_seconds"), 0),
    **dict.fromkeys(("cutout", "trainable_cells", "head_epochs", "warmup_epochs", "valid_epochs"), 0),
    **dict.fromkeys(("filters", "final_filters"), 2),
    **dict.fromkeys(("finalists", "pad", "weight_decay", "clip_norm", "auxiliary_weight"), 0),
}
_ABOVE_ZERO = (
    *("learning_rate", "final_learning_rate", "drop_path_keep", "dropout_keep", "seconds_per_child"),
    *("decay_rate", "decay_epochs", "layer_decay"),
)
_AT_MOST_ONE = ("drop_path_keep", "dropout_keep", "decay_rate", "layer_decay")
_BELOW_ONE = ("label_smoothing", "bn_momentum", "ema_decay")


def _check(values: dict[str, Any]) -> None:
    for name, value in values.items():
        if value is None or isinstance(value, str):
            continue
        if name in _LEAST and not value >= _LEAST[name]:
            raise UserError(f"--{name}={value}: must be {_LEAST[name]} or more")
        if name in _ABOVE_ZERO and not 0 < value < float("inf"):
            raise UserError(f"--{name}={value}: must be above 0")
        if name in _AT_MOST_ONE and value > 1:
            raise UserError(f"--{name}={value}: must be at most 1")
        if name in _BELOW_ONE and not 0 <= value < 1:
            raise UserError(f"--{name}={value}: must be 0 or more and below 1")
