"""The flags of `train.py`, made from the fields of the configs; a run's flags, resolved; an error, said in flags."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from controller.config import BadSetting, FailureConfig, LearnerConfig, PolicyGradientConfig
from nasnet.data.config import DataConfig
from nasnet.execution.config import ExecutionConfig, resolve_execution
from nasnet.networks.config import CountConfig, FromConfig, NetworkConfig, SourceConfig
from nasnet.reports.config import CompareConfig, EvaluateConfig, ExportConfig, PredictConfig, ReportConfig, TableConfig
from nasnet.runtime.errors import SettingError, UserError
from nasnet.runtime.setting import Config, Settings, field_kinds, range_of
from nasnet.training.config import RecipeConfig, ReplicaConfig, TrainingConfig, TransferConfig, TuneConfig
from nasnet.training.recipes import OF_NETWORK, RECIPES, read_recipe
from nasnet.trials.config import (
    SPACE_DEFAULTS,
    BaselineConfig,
    ChainConfig,
    FinalConfig,
    LatencyConfig,
    LimitConfig,
    SearchConfig,
)
from nasnet.trials.plan import resolve_waves

C = TypeVar("C", bound=Config)

VERSION = 2
"""Of a run's config. 1 split pictures by their rank in a folder, and had Keras' momentum and other rewards."""
OWN = "own:"
"""What a value in a run's config begins with that was an object of a program."""
ONCE = ("evaluate", "predict")
"""Modes that only read: they write their few files anew into any workdir, and never go on."""
WITHOUT_TENSORFLOW = ("count", "table", "report")
"""Modes that load none, and go on in no workdir."""
ONLY_SAY = ("count", "table")
"""Modes that write no files: what they find is what they say."""
WITH_PATHS = ("predict", "report")
"""Modes that take paths beside their flags."""
MODES = ("search", "train", "evaluate", "predict", "export", "finetune", "tune", "compare", "report", "count", "table")

_SEARCHED = (SearchConfig, ChainConfig, NetworkConfig, RecipeConfig, TrainingConfig, ExecutionConfig)
_LIMITS = (LimitConfig, LatencyConfig, FailureConfig)
_AT_ITS_END = (FinalConfig, BaselineConfig)
GROUPS: dict[str, tuple[type[Config], ...]] = {
    "search": (DataConfig, *_SEARCHED, *_LIMITS, *_AT_ITS_END, PolicyGradientConfig, LearnerConfig),
    "train": (DataConfig, SourceConfig, NetworkConfig, RecipeConfig, TrainingConfig, ReplicaConfig),
    "evaluate": (DataConfig, FromConfig, EvaluateConfig),
    "predict": (FromConfig, PredictConfig),
    "export": (DataConfig, FromConfig, ExportConfig),
    "finetune": (DataConfig, FromConfig, RecipeConfig, TrainingConfig, TransferConfig, ReplicaConfig),
    "tune": (DataConfig, FromConfig, RecipeConfig, TrainingConfig, TransferConfig, TuneConfig),
    "compare": (DataConfig, CompareConfig, NetworkConfig, RecipeConfig, TrainingConfig, ExecutionConfig),
    "report": (ReportConfig,),
    "count": (SourceConfig, CountConfig, NetworkConfig),
    "table": (TableConfig,),
}
_RECIPE = {"search": "proxy", "finetune": "finetune", "tune": "finetune"}
DEFAULTS: dict[str, dict[str, Any]] = {mode: RECIPES[name] for mode, name in _RECIPE.items()}
# As the recipe, for the same reasons: a child small enough for minutes.
DEFAULTS["search"] = {"repeats": 1, "filters": 8, **DEFAULTS["search"]}
# A process for each training: Keras does not give back the memory of a model (docs/results.md).
DEFAULTS["compare"] = {"children_per_worker": 1}


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag of `train.py`, under the `title` of what it is about. `help` ends with its default and its range.

    `choices` are all texts that it takes; None where it takes any, or other ones in other modes.
    """

    name: str
    kind: type
    choices: tuple[str, ...] | None
    help: str
    title: str
    default: Any = None

    def read(self, text: str) -> Any:  # noqa: ANN401 - of the flag's kind
        """The value that a command line's text is. Raises SettingError for none; ranges are looked at by `resolve`."""
        value, rule = text, ""
        if self.choices:
            rule = "" if text in self.choices else f"must be one of {', '.join(self.choices)}"
        elif self.kind is str:
            rule = "" if text else "must not be empty"
        elif self.kind is bool:
            value, rule = _SWITCH.get(text.lower()), "" if text.lower() in _SWITCH else "must be true or false"
        else:
            try:
                value = self.kind(text)
            except ValueError:
                rule = f"must be {'a whole number' if self.kind is int else 'a number'}"
        if rule:
            raise SettingError(self.name, text, rule)
        return value


_SWITCH = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}  # absl's words, but for None


_QUIET = "say nothing but what is wrong; all is in the files, which count and table do not have (default False)"
RUN_FLAGS = (
    Flag("mode", str, MODES, "what to do (default search)", "The run", "search"),
    Flag("workdir", str, None, "folder of this run; the same command resumes it (default runs/MODE)", "The run"),
    Flag("seed", int, None, "seed of everything that is drawn (default 0; 0 or more)", "The run", 0),
    Flag("quiet", bool, None, _QUIET, "The run", False),
)
"""The flags that no config has."""


def flag_names(group: type[Config]) -> dict[str, str]:
    """The name of each field's flag."""
    return {field.name: field.metadata.get("flag") or field.name for field in dataclasses.fields(group)}


def groups_of(modes: tuple[str, ...]) -> tuple[type[Config], ...]:
    """The configs that some modes have, each once."""
    return tuple(dict.fromkeys(group for mode in modes for group in GROUPS[mode]))


def flags(modes: tuple[str, ...] = MODES) -> tuple[Flag, ...]:
    """Every flag that a field makes, with its default for each of these modes in its help.

    Where a flag is a field of two configs it stands with the first, and its help says what it is in the other's modes.
    """
    made: dict[str, Flag] = {}
    for group in groups_of(modes):
        having = [mode for mode in modes if group in GROUPS[mode]]
        title = (group.__doc__ or "").partition("\n")[0].rstrip(".")
        if len(having) < len(modes):
            title += f" ({', '.join(having)})"
        names, kinds = flag_names(group), field_kinds(group)
        for field in dataclasses.fields(group):
            name, (kind, *_) = names[field.name], kinds[field.name]
            defaults = {mode: _show(DEFAULTS.get(mode, {}).get(name, field.default)) for mode in having}
            text = f"{field.metadata['help']} ({'; '.join((_default(defaults), *_range(field, kind)))})"
            if name in made:
                more = f"{made[name].help}; in {', '.join(having)}: {text}"
                # Where modes take other texts, which are right is for the config to say: here the mode is not known.
                same = isinstance(kind, str) and made[name].choices == kinds[field.name]
                made[name] = dataclasses.replace(made[name], help=more, choices=made[name].choices if same else None)
            elif isinstance(kind, str):
                made[name] = Flag(name, str, kinds[field.name], text, title)
            else:
                made[name] = Flag(name, kind, None, text, title)
    return tuple(made.values())


def _default(defaults: dict[str, str]) -> str:
    having: dict[str, list[str]] = {}
    for mode, value in defaults.items():
        having.setdefault(value, []).append(mode)
    if len(having) == 1:
        return f"default {next(iter(having))}"
    return "default " + ", ".join(f"{value} in {' and '.join(modes)}" for value, modes in having.items())


def _range(field: dataclasses.Field[Any], kind: type | str) -> tuple[str, ...]:
    if kind not in (int, float):
        return ()
    return (f"{range_of(field.metadata) or 'any number'} {field.metadata.get('unit', '')}".rstrip(),)


def _show(value: object) -> str:
    return "unset" if value is None else str(value)


_FLAG_OF = {
    name: flag for group in groups_of(MODES) if issubclass(group, Settings) for name, flag in flag_names(group).items()
}  # not the controller's: what it raises passes through RunConfig.group, and some of its fields share a name with these


def flag_of(name: str) -> str:
    """The name of the flag of a setting; of anything else its own."""
    return _FLAG_OF.get(name, name)


def in_flags(error: UserError) -> str:
    """The message of an error on one line, with each setting written as its flag."""
    return " ".join(error.line(lambda name: f"--{flag_of(name)}").split())


def in_its_flags(error: BadSetting) -> SettingError:
    """What the controller raised, with its settings written as their flags."""
    name, *see = (_CONTROLLER_S.get(name, name) for name in (error.name, *error.see))
    return SettingError(name, error.value, error.rule, tuple(see))


_CONTROLLER_S = flag_names(FailureConfig) | flag_names(PolicyGradientConfig) | flag_names(LearnerConfig)

_HELD = ("trainable_cells", "weight_decay", "drop_path_keep", "label_smoothing")
"""What tune tries beside the learning rate, which it tries around the given one."""


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """One run, resolved: what is written to `workdir/config.json` and compared when the workdir is used again.

    `paths` are the files and folders that the command names beside its flags, `given` the flags that it gives by name;
    they are no part of what is compared. `own` are the objects that a program gave in the place of values that are
    texts (`nasnet.search`), each with what it is called; the object is None where only that is known.
    """

    mode: str
    seed: int
    values: dict[str, Any]
    held: tuple[str, ...] = ()  # in mode tune: hyperparameters given as flags, which are taken as they are
    paths: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    own: Mapping[str, tuple[str, Any]] = dataclasses.field(default_factory=dict)

    def object(self, name: str) -> Any:  # noqa: ANN401 - whatever a program gave
        """What a program gave in the place of this value; None where it gave nothing, or is not this one."""
        return self.own[name][1] if name in self.own else None

    def given_of(self, cls: type[Config]) -> dict[str, Any]:
        """The fields of a config that the command gives, and their values."""
        return {name: self.values[flag] for name, flag in flag_names(cls).items() if flag in self.given}

    def group(self, cls: type[C]) -> C:
        """The part of the values that `cls` describes. Raises SettingError for one that it cannot have."""
        make: Callable[..., C] = cls
        try:
            return make(**{name: self.values[flag] for name, flag in flag_names(cls).items()})
        except BadSetting as error:
            raise in_its_flags(error) from error

    @property
    def fingerprint(self) -> str:
        """One text for all of it, the same in every process that was started by the same flags."""
        return str(sorted(self.to_json().items(), key=str))

    def to_json(self) -> dict[str, Any]:
        """Flat JSON."""
        held = {"held": list(self.held)} if self.held else {}
        own = {name: f"{OWN}{called}" for name, (called, _) in self.own.items()}
        return {"version": VERSION, "mode": self.mode, "seed": self.seed, **self.values, **own, **held}


def resolve(mode: str, seed: int, given: dict[str, Any], before: Mapping[str, Any] | None = None) -> RunConfig:
    """The given flags over the mode's defaults.

    `before` is what an earlier run in the same workdir resolved: what is unset and depends on the machine stays so.

    Raises:
        UserError: for a flag that the mode has no use for, or a value outside what it can be.
    """
    if not 0 <= seed < 2**63:  # NumPy's draws take no sign, TensorFlow's 64 bits
        raise SettingError("seed", seed, "must be 0 or more and below 2^63")
    values: dict[str, Any] = {}
    recipe = read_recipe(given["recipe"]) if given.get("recipe") is not None else {}
    of_space = SPACE_DEFAULTS.get(given.get("space", ""), {}) if mode == "search" else {}
    beneath = {**DEFAULTS.get(mode, {}), **of_space, **_without_old_length(recipe)}
    for group in GROUPS[mode]:
        names = flag_names(group)
        for field in dataclasses.fields(group):
            name = names[field.name]
            values[name] = {**beneath, **_without_old_length(given)}.get(name, field.default)
    foreign = [name for name in recipe if name not in values and name not in OF_NETWORK and recipe[name] is not None]
    if foreign:
        raise UserError(f"--recipe={given['recipe']} sets {foreign[0]}, which has no meaning with --mode={mode}")
    for name, value in given.items():
        if name not in values:
            raise UserError(
                f"--{name}={value} has no meaning with --mode={mode}; flags of this mode: {', '.join(values)}"
            )
    held = tuple(name for name in _HELD if mode == "tune" and name in given)
    config = RunConfig(mode, seed, values, held, given=tuple(given))
    for name in ("gpus_per_child", "deterministic"):
        if name in values and values[name] is None:
            values[name] = (before or {}).get(name)
    for group in GROUPS[mode]:
        config.group(group)  # a group's own checks, before anything is opened
    if ExecutionConfig in GROUPS[mode]:
        values.update(resolve_execution(values))
    if SearchConfig in GROUPS[mode]:
        values.update(resolve_waves(values, given))
    return config


def _without_old_length(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values; where they name epochs, those override the steps of a recipe or a default that they are laid over."""
    return {"steps": None, **values} if "epochs" in values else dict(values)


FREE = tuple(
    flag_names(group)[field.name]
    for group in groups_of(MODES)
    for field in dataclasses.fields(group)
    if field.metadata.get("free")
)
"""What may be another when a workdir is used again: it decides where things run and how far, not what comes of them."""
