"""Every flag of every mode: another value changes what the mode hands on, or is refused; and what is handed on is read.

A mode is run as `train.py` runs it, with all that trains, scores, or starts processes taken out and what it was called
with written down (`handed_on`): calls of the rooms below, without what only a person reads. So a flag that is resolved
and then forgotten, or overwritten, changes nothing and falls out. That the rooms below read each field of a config that
is handed on whole is the second half, over runs that are real.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib
import inspect
import json
import pkgutil
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import nasnet.modes
from bench.drawn import cheap_genotype, drawn_pictures, drawn_spec
from cells.spaces.nasnet import NASNetSpace
from controller.config import FailureConfig, LearnerConfig, PolicyGradientConfig
from controller.learners.evolution import RegularizedEvolution
from controller.learners.local_search import LocalSearch
from controller.learners.predictor import Predictor
from controller.policy.dyna import DynaPPO
from controller.policy.policy_gradient import PolicyGradient
from controller.random_search import RandomSearch
from controller.strategies import make_strategy
from controller.strategy import Outcome, Trial
from nasnet.data.dataset import DataSet, open_dataset
from nasnet.estimators.child import right_of
from nasnet.estimators.config import ChildConfig
from nasnet.estimators.estimator import Estimate, TrainedChild
from nasnet.estimators.proxy import ProxyEstimator
from nasnet.estimators.training import WholeTraining
from nasnet.execution.config import ExecutionConfig
from nasnet.execution.engine import InProcess
from nasnet.execution.job import Result
from nasnet.modes.flags import GROUPS, MODES, RunConfig, flag_names, groups_of, resolve
from nasnet.modes.inputs import check_inputs
from nasnet.modes.runners import runner
from nasnet.networks.config import NetworkConfig
from nasnet.networks.keras_model import build
from nasnet.networks.latency.match import AsFast
from nasnet.networks.latency.measure import alone
from nasnet.networks.latency.table import LatencyTable, Time
from nasnet.networks.saved import save_trained
from nasnet.runtime.errors import UserError
from nasnet.runtime.files import write_json
from nasnet.runtime.setting import Settings, broken_rule, field_kinds, setting
from nasnet.training.config import ReplicaConfig, TrainingConfig, TransferConfig
from nasnet.training.loop import Training
from nasnet.training.replicas import Replicas
from nasnet.training.score import Score
from nasnet.trials.config import ChainConfig
from tests.support.tfds import write_set

CASES = [(mode, group, field.name) for mode in MODES for group in GROUPS[mode] for field in dataclasses.fields(group)]
LATER = [
    case
    for case in CASES
    if case[0] in ("finetune", "tune", "compare")
    and (case[1] in (TrainingConfig, ExecutionConfig) or case[2] == "data_dir")
]
"""Modes train and search have these too, and CI has no time for all."""
HERE = object()
"""Stands for what `sources` made, under the name of the flag."""

VALUES: dict[str, Any] = {
    # What is no number and no word of a list, or a number that must fit others.
    **dict.fromkeys(("dataset", "data_dir", "from", "model", "recipe", "weights", "csv", "models", "table"), HERE),
    "image_size": 12,
    "channels": "1",
    "valid_fraction": 0.4,
    "pad": 3,
    "rate_drops": "0.25,0.5",
    "gpus_per_child": 1,
    "memory_per_child": 4000,
    "seconds_per_child": 100.0,
    "max_params": 1,
    "max_mult_adds": 1,
    "max_memory": 1,
    "trainable_cells": 1,
    "start": "nasnet_a",
    "finalist_steps": 9,
    "latency_ms": 5.0,
    "top": 1,
    "pool_at": "2,4",
    "replicas": 3,
    "deterministic": False,
    "rungs": "1,2",
    "stem_multiplier": 2.0,
    "parameters": 20_000,
    "final_parameters": 20_000,
    "baselines": "resnet20",
}
"""Another value of a flag, where the default's neighbour will not do."""

NO_CELLS: dict[str, Any] = dict.fromkeys(("blocks", "repeats", "filters", "final_filters"))
NO_CHILDREN = NO_CELLS | dict.fromkeys(
    ("dataset", "steps", "workers", "finalists", "final_epochs", "baselines", "baseline_seeds", "baseline_steps")
)
GOES_WITH: dict[str | tuple[str, str], Any] = {
    "space": NO_CELLS,
    "table": {"space": "table", "table": "known", "strategy": "random", **NO_CHILDREN},
    "start": {"blocks": 5},
    "free": {"space": "lenet5", **NO_CELLS},
    "width": {"space": "lenet5", "model": "resnet20", "models": "resnet20", "image_size": 32, **NO_CELLS},
    **{name: {"space": "chain", **NO_CELLS} for name in flag_names(ChainConfig).values()},
    "max_memory": {"filters": 64},  # MiB
    "stem": {"filters": 8, "final_filters": 8},
    "parameters": {"filters": None, "final_filters": None},
    "final_parameters": {"final_filters": None},
    "auxiliary_weight": {"image_size": 24, "child": "keras"},
    ("export", "weights"): {},
    "skip_broken": {"dataset": "broken"},
    "data_dir": {"dataset": "set", "data_dir": "sets"},
    "epochs": {"steps": None},
    "rungs": {"steps": None, "deterministic": None, "finalist_steps": None},
    "decay_rate": {"schedule": "exponential", "child": "keras"},
    "decay_epochs": {"schedule": "exponential", "child": "keras"},
    "staircase": {"schedule": "exponential", "child": "keras"},
    "rate_drops": {"schedule": "step", "child": "keras"},
    "tune_trials": {"tuner": "grid"},
    "match": {"models": "models"},
    **{name: {"strategy": "ppo"} for name in flag_names(PolicyGradientConfig).values() if name != "update_trials"},
    "evolution_population": {"strategy": "evolution"},
    "evolution_sample": {"strategy": "evolution"},
    "uniform_trials": {"strategy": "local_search"},
    "refit_trials": {"strategy": "predictor"},
    **{f"imagined_{of}": {"strategy": "dyna_ppo"} for of in ("steps", "samples", "entropy_weight", "learning_rate")},
    "latency_on": {"latency_ms": 5.0},
    ("compare", "latency_on"): {"models": "models", "match": "latency"},
    "objective": {"latency_ms": 5.0},
    "latency_weight": {"latency_ms": 5.0, "objective": "accuracy*latency"},
    "children_per_worker": {"workers": 2},
    "memory_per_child": {"workers": 2},
    "seconds_per_child": {"workers": 2},
    "weights": {"from": "keras:NASNetMobile"},
    **{
        name: {"child": "keras"}
        for name in (
            *(
                "optimizer",
                "schedule",
                "augment",
                "warmup_epochs",
                "drop_path_keep",
                "dropout_keep",
                "ema_decay",
            ),
            *("precision", "jit"),
        )
    },
}
"""Flags that a flag has a meaning with; those that a mode does not take are left out."""

ELSEWHERE = {
    ("search", "cluster"): "needs a Ray cluster: tests/execution/test_workers.py",
    ("compare", "cluster"): "needs a Ray cluster, as a search does",
    ("report", "html"): "reads a search: tests/modes/test_report.py",
    ("report", "csv"): "reads a search: tests/reports/test_trials.py",
    ("export", "format"): "a table is of a search: tests/reports/test_trials.py",
    ("export", "csv"): "as its format",
    ("table", "format"): "hands nothing on: tests/modes/test_table.py",
}
"""What cannot be another here, and why."""

REFUSED = {
    *((mode, "gpus_per_child") for mode in ("search", "compare")),  # on a machine without a GPU
    ("search", "estimator"),  # which goes with a space
    ("export", "weights"),  # they go with keras:NAME, which has no classes to export
    *((mode, flag) for mode in ("evaluate", "export") for flag in ("image_size", "channels")),  # the network's own
}
"""Flags whose other value is refused."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, str]:
    """What flags name: pictures and others, a broken one among them; two networks; cells; a recipe; weights."""
    home = tmp_path_factory.mktemp("every_flag")
    rng = np.random.default_rng(0)
    for name in ("pictures", "others", "broken"):
        for label in ("a", "b"):
            for number in range(12):
                path = home / name / label / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)).save(path)
    (home / "broken" / "a" / "0.png").write_bytes(b"no picture")
    for seed, name in enumerate(("sets", "other sets")):
        write_set(home / name / "drawn" / "1.0.0", {"train": 24, "test": 4}, names="ab", seed=seed)
    data = open_dataset(f"folder:{home / 'pictures'}")
    for name, filters in (("trained", 2), ("other", 4)):
        spec = drawn_spec(cheap_genotype(), data, filters=filters)
        save_trained(home / name, spec, build(spec))
    (home / "genotype.json").write_text(json.dumps(cheap_genotype().to_json()))
    (home / "recipe.json").write_text('{"version": 1, "batch_size": 5}')
    (home / "weights.h5").write_bytes(b"")
    (home / "known.csv").write_text("a,reward\nx,0.5\ny,0.25\n")
    (home / "others.csv").write_text("a,reward\nx,0.5\ny,0.75\n")
    return {
        "home": str(home),
        "pictures": f"folder:{home / 'pictures'}",
        "broken": f"folder:{home / 'broken'}",
        "trained": str(home / "trained"),
        "dataset": f"folder:{home / 'others'}",
        "set": "tfds:drawn",
        "sets": str(home / "sets"),
        "data_dir": str(home / "other sets"),
        "from": str(home / "other"),
        "model": str(home / "genotype.json"),
        "recipe": str(home / "recipe.json"),
        "weights": str(home / "weights.h5"),
        "csv": str(home / "table.csv"),
        "known": str(home / "known.csv"),
        "table": str(home / "others.csv"),
        "models": f"{home / 'genotype.json'},{home / 'other'}",
    }


def base_of(mode: str, sources: dict[str, str]) -> dict[str, Any]:
    """The flags of a run that is small, of those that the mode takes."""
    wanted = {"dataset": sources["pictures"], "from": sources["trained"], "blocks": 1, "filters": 2, "trials": 2}
    wanted |= {"models": sources["model"], "seeds": 2, "baselines": "resnet20,random", "baseline_seeds": 1}
    wanted |= {"steps": 2, "workers": 0, "finalists": 1, "final_filters": 2, "final_epochs": 2, "tune_epochs": 1}
    known = {name for group in GROUPS[mode] for name in flag_names(group).values()}
    return {name: value for name, value in wanted.items() if name in known}


class Log:
    """What was called, with what, in plain values that are the same for the same flags."""

    def __init__(self, home: str) -> None:
        self._home, self.calls = home, []

    def __call__(self, name: str, *values: object) -> None:
        self.calls.append((name, self.plain(values)))

    def plain(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str | Path):
            return str(value).replace(str(self._home), "")
        if isinstance(value, np.ndarray):
            return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest() + str(value.shape)
        if isinstance(value, RunConfig):
            return "all flags, as they were given"
        if isinstance(value, DataSet):
            return [self.plain(part) for part in (value.name, value.classes, value.train, value.valid)]
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in dataclasses.fields(value) if field.name not in _LEFT_OUT]
            return type(value).__name__, {name: self.plain(getattr(value, name)) for name in names}
        if isinstance(value, dict):
            return {str(key): self.plain(item) for key, item in value.items() if key not in _LEFT_OUT}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.plain(item) for item in value]
        if isinstance(value, functools.partial):
            return [value.func.__qualname__, self.plain(value.args), self.plain(value.keywords)]
        return type(value).__name__


def recorded(real: Any, log: Log) -> Any:
    """A function, or a class, of a room below that writes down what it is called with."""
    name = real.__name__
    if not inspect.isclass(real):

        def call(*args: Any, **kwargs: Any) -> Any:
            log(name, args, kwargs)
            return real(*args, **kwargs)

        return call

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        log(name, args, kwargs)
        real.__init__(self, *args, **kwargs)

    return type(name, (real,), {"__init__": init})


def _is_recorded(value: Any) -> bool:
    room = str(getattr(value, "__module__", ""))
    if not room.startswith(("nasnet.", "controller.", "cells.")) or room.startswith(("nasnet.modes", "nasnet.reports")):
        return False
    if room == "nasnet.runtime.console":
        return False
    if inspect.isclass(value):
        plain = not dataclasses.is_dataclass(value) and value.__init__ is not object.__init__
        return plain and not issubclass(value, BaseException | str) and not getattr(value, "_is_protocol", False)
    return inspect.isfunction(value)


def handed_on(mode: str, given: dict[str, Any], home: str, workdir: Path) -> list[Any]:
    """What a mode calls the rooms below with, for these flags; its last line is the error that it ends in."""
    log = Log(home)
    modules = [importlib.import_module(found.name) for found in pkgutil.walk_packages(_PATH, "nasnet.modes.")]
    with pytest.MonkeyPatch.context() as patch:
        _take_out(patch, log)
        for module in modules:
            if module.__name__.rpartition(".")[2] in ("flags", "help", "runners", "workdir"):
                continue  # what makes, shows and keeps the flags themselves
            for key, value in list(vars(module).items()):
                if _is_recorded(value):
                    patch.setattr(module, key, recorded(value, log))
        try:
            config = dataclasses.replace(resolve(mode, 3, given), paths=(f"{home}/pictures/a/0.png",))
            check_inputs(config)
            log.calls.clear()  # that a flag is looked at does not make it handed on
            runner(config)(config, workdir)
        except UserError as error:
            log("refused", str(error))
        except Exception as error:
            log(type(error).__name__, str(error))
    for table in sorted(workdir.rglob("*.csv")):
        log("written", table.read_text())
    return log.calls


def _take_out(patch: pytest.MonkeyPatch, log: Log) -> None:
    """Puts something quick in the place of all that trains, scores, loads, exports or starts processes."""
    from nasnet.execution.workers import Workers
    from nasnet.modes.trained import tune
    from nasnet.networks.export.folder import export
    from nasnet.networks.saved import load_source, load_trained
    from nasnet.training.metrics import evaluate, logits_of
    from nasnet.training.replicas import open_replicas

    class Trains(Training):
        def __init__(self, spec: Any, data: DataSet, config: Any, **others: Any) -> None:
            log("Training", spec, data, config, others)
            self.config, self.transfer, self.replicas = config, others.get("transfer"), Replicas(_strategy())
            self.model = MODEL
            self.fresh, self.total_steps, self.steps_per_epoch, self.batch_size = (), 2, 1, config.batch_size

        def run(
            self, checkpoints: Any = None, report: Any = None, options: Any = None, *others: Any, **more: Any
        ) -> None:
            log("Training.run", options)

        def inference_model(self, **_: Any) -> Any:
            return MODEL

    class Policy(PolicyGradient):
        last_update = None  # pyright: ignore - nothing is learned

        def __init__(self, decisions: Any, config: Any, seed: int, failures: Any, length: Any, loss: str) -> None:
            log("PolicyGradient", config, failures, loss)
            self._random = RandomSearch(decisions, seed, length)

        def propose(self, trial_id: int) -> Any:
            return self._random.propose(trial_id)

        def observe(self, trial: Trial) -> None:
            self._random.observe(trial)

    def learner(real: type) -> type:
        def __init__(self: Any, decisions: Any, config: Any, *others: Any) -> None:
            log(real.__name__, config, *(other for other in others if isinstance(other, LearnerConfig)))
            real.__init__(self, decisions, config, *others)

        return type(real.__name__, (real,), {"__init__": __init__})

    class Proxy(ProxyEstimator):
        def estimate(self, genotype: Any, name: str) -> Estimate:
            log("ProxyEstimator", self, name)
            drawn = hashlib.sha256(f"{genotype} {name}".encode()).digest()[0]
            return Estimate(drawn / 256, child=TrainedChild({"version": 1}, {"w": np.zeros(1)}))

        def train(self, architecture: Any, seed: int) -> Estimate:
            log("ProxyEstimator of a network", self, architecture, seed)
            return Estimate(0.5, child=TrainedChild({"version": 1}, {"w": np.zeros(1)}))

    def right(spec: Any, _: Any, split: Any) -> np.ndarray:
        log("right_of", spec, split)
        return np.ones(len(split), bool)

    class Whole(WholeTraining):
        def estimate(self, scored: Any, name: str) -> Estimate:
            log("WholeTraining", self, name)
            return Estimate(0.5, child=TrainedChild(self.spec.to_json(), {"w": np.zeros(1)}), figures={"loss": 1.0})

    @contextlib.contextmanager
    def workers(estimators: Any, *resources: Any) -> Iterator[InProcess]:
        log("Workers", *resources)
        yield InProcess(estimators)

    def in_worker(_: Any, job: Any, estimator: Any) -> Result:
        log("FineTuning", estimator)
        return Result(job, Outcome.OK, 0.5, 1.0)

    def loaded(folder: Any, *weights: Any, **more: Any) -> Any:
        from nasnet.networks.spec import NetworkSpec

        log("loaded", folder, weights, more)
        if str(folder).startswith("keras:"):
            folder = _default_source
        return NetworkSpec.from_json(json.loads((Path(folder) / "genotype.json").read_text())), MODEL

    def saved(folder: Path, spec: Any, *_: Any, **__: Any) -> None:
        write_json(folder / "genotype.json", spec.to_json())

    def exported(folder: Path, spec: Any, _: Any, metrics: Any, *others: Any, **more: Any) -> None:
        log("export", folder, spec, metrics, others, more)
        saved(folder, spec)
        write_json(folder / "metrics.json", {"valid": dataclasses.asdict(SCORE), "test": dataclasses.asdict(SCORE)})

    def scored(_: Any, split: Any, *__: Any, **___: Any) -> Score:
        log("evaluate", split)
        return SCORE

    def logits(_: Any, images: np.ndarray, *others: Any) -> np.ndarray:
        log("logits_of", images)
        return np.zeros((len(images), 2))

    def measured(_: Any, *asked: Any) -> Any:
        log("alone", asked)
        if len(asked) == 3 and not isinstance(asked[0], list):  # one network, and others to be as fast
            return [AsFast(other, {}, Time(0.001, 0.0), Time(0.001, 0.0)) for other in asked[1]]
        if len(asked) == 2:
            return Time(0.001, 0.0)  # of one network
        return LatencyTable(asked[-1], {"relu": ((1, 1e-6), (10**9, 1e-6))}, 0.0).calibrated([(1.0, 1.0), (1.0, 1.0)])

    def replicas(options: Any) -> Replicas:
        log("open_replicas", options)
        return Replicas(_strategy())

    for name in ("set_intra_op_parallelism_threads", "set_inter_op_parallelism_threads"):
        # This process' own cannot be set any more.
        patch.setattr(tf.config.threading, name, functools.partial(log, name))
    patch.setattr(tune._Trials, "_in_worker", in_worker)
    taken_out = {Training: Trains, PolicyGradient: Policy, ProxyEstimator: Proxy, Workers: workers, load_source: loaded}
    taken_out |= {
        load_trained: loaded,
        save_trained: saved,
        export: exported,
        evaluate: scored,
        open_replicas: replicas,
    }
    taken_out |= {logits_of: logits, WholeTraining: Whole, right_of: right, alone: measured}
    taken_out |= {real: learner(real) for real in (RegularizedEvolution, LocalSearch, Predictor, DynaPPO)}
    for name, module in list(sys.modules.items()):
        if name.startswith(("nasnet.", "controller.")):
            for key, value in list(vars(module).items()):
                if inspect.isroutine(value) or inspect.isclass(value):
                    for real, quick in taken_out.items():
                        if value is real:
                            patch.setattr(module, key, quick)


_PATH = nasnet.modes.__path__
_LEFT_OUT = ("config", "made_with", "seconds", "epoch_seconds")  # all flags as they were given; what a clock says
SCORE = Score(0.5, 1.0, 4)
MODEL = types.SimpleNamespace(layers=[], name="a model")
_default_source = ""


def _strategy() -> Any:
    return tf.distribute.get_strategy()


class Walker:
    """Runs modes for flags; a run of the same flags once."""

    def __init__(self, sources: dict[str, str], folder: Path) -> None:
        self._sources, self._folder, self._runs = sources, folder, {}

    def run(self, mode: str, given: dict[str, Any]) -> list[Any]:
        key = str((mode, sorted(given.items(), key=str)))
        if key not in self._runs:
            global _default_source
            _default_source = self._sources["trained"]
            workdir = self._folder / "a run"
            workdir.mkdir(exist_ok=True)
            self._runs[key] = handed_on(mode, given, self._sources["home"], workdir)
            for path in sorted(workdir.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
        return self._runs[key]

    def two(self, mode: str, group: type, name: str) -> tuple[list[Any], list[Any]]:
        """What is handed on by the base's flags, and with another value of this one."""
        flag = flag_names(group)[name]
        base = base_of(mode, self._sources)
        known = {flag for group in GROUPS[mode] for flag in flag_names(group).values()}
        for with_name, value in GOES_WITH.get((mode, flag), GOES_WITH.get(flag, {})).items():
            if with_name in known:
                named = isinstance(value, str) and with_name != "space"  # one of which is called table
                base[with_name] = self._sources.get(value, value) if named else value
        base = {name: value for name, value in base.items() if value is not None}
        value = VALUES.get(flag, _another(group, name, resolve(mode, 3, base).values[flag]))
        value = self._sources[flag] if value is HERE else value
        kinds = field_kinds(group)[name]
        said = {field.name: field.metadata for field in dataclasses.fields(group)}[name]
        assert broken_rule(kinds, said, value) is None, (
            f"{flag}={value} is out of its range: that it is refused says nothing"
        )
        return self.run(mode, base), self.run(mode, {**base, flag: value})


def _another(group: type, name: str, value: Any) -> Any:
    kinds = field_kinds(group)[name]
    if isinstance(kinds[0], str):
        return next(kind for kind in kinds if kind not in (value, None))
    if kinds[0] is bool:
        return not value
    if kinds[0] is int:
        return 2 if value is None else value + 1
    if kinds[0] is float:
        return 0.5 if value in (None, 0.0) else value / 2
    return HERE


@pytest.fixture(scope="module")
def walker(sources, tmp_path_factory) -> Walker:
    return Walker(sources, tmp_path_factory.mktemp("walker"))


FAULTS = ("TypeError", "AttributeError", "ValueError", "RuntimeError", "KeyError", "AssertionError")
"""What a run that was taken apart wrongly ends in."""
QUIET = pytest.mark.filterwarnings("ignore:(currentThread|getName):DeprecationWarning")  # KerasTuner's


@QUIET
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode not in ("table", "report")])  # which hand nothing on
def test_a_mode_runs_through_and_the_same_flags_hand_on_the_same(walker, sources, mode):
    """Or each comparison below would be one of two errors, or of two times."""
    base = base_of(mode, sources)
    calls = walker.run(mode, base)
    assert len(calls) >= 2
    assert calls[-1][0] not in ("refused", "RunError", *FAULTS), calls[-1]
    walker._runs.clear()
    assert walker.run(mode, base) == calls


@QUIET
@pytest.mark.parametrize(
    ("mode", "group", "name"),
    [pytest.param(*case, marks=[pytest.mark.slow] if case in LATER else []) for case in CASES],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_another_value_of_a_flag_changes_what_is_handed_on_or_is_refused(walker, mode, group, name):
    flag = flag_names(group)[name]
    if (mode, flag) in ELSEWHERE:
        return
    base, other = walker.two(mode, group, name)
    assert base[-1][0] not in FAULTS, base[-1]
    assert (base[-1][0] == "refused") == (flag == "skip_broken"), base[-1]
    assert other[-1][0] not in FAULTS, other[-1]
    assert (other[-1][0] == "refused") == ((mode, flag) in REFUSED), other[-1]
    assert base != other, f"--{flag} of --mode={mode} changes nothing"


def test_finalists_are_trained_longer_than_a_child_and_never_shorter(walker, sources):
    """Fewer steps than a child's are refused, and the default follows those."""
    for steps, least in ((2, 4), (7, 14)):
        base = {**base_of("search", sources), "steps": steps}
        for given, refused in (({}, False), ({"finalist_steps": least}, False), ({"finalist_steps": steps - 1}, True)):
            calls = walker.run("search", {**base, **given})
            assert (calls[-1][0] == "refused") == refused, calls[-1]
            if not refused:
                lengths = [values[0][1]["training"][1]["steps"] for call, values in calls if call == "ProxyEstimator"]
                assert set(lengths[:2]) == {steps}
                assert min(lengths[2:]) >= least


@dataclasses.dataclass(frozen=True)
class Planted(Settings):
    """A flag that nobody reads."""

    glow: int = setting(1, "how much it glows", least=0)


@pytest.mark.parametrize("mode", ["train", "search"])
def test_a_flag_that_nobody_reads_falls_out(walker, monkeypatch, mode):
    monkeypatch.setitem(GROUPS, mode, (*GROUPS[mode], Planted))
    base, other = walker.two(mode, Planted, "glow")
    assert base == other


READ_ELSEWHERE = {
    ("PolicyGradientConfig", "update_epochs"),  # by its own `epochs_of`
    ("RecipeConfig", "recipe"),  # is read before there is a config, by `resolve`
    ("ReplicaConfig", "distribute"),  # in `open_replicas`, which a process can do once: tests/training/test_replicas.py
    ("ReplicaConfig", "replicas"),
}


def read_by_code(runs: Callable[[], None]) -> set[tuple[str, str]]:
    """(config, field) for each field that code of ours reads meanwhile, but to copy, to check or to show it."""
    found: set[tuple[str, str]] = set()
    for_itself = ("dataclasses.py", "runtime/setting.py", "controller/config.py", "modes/flags.py", Path(__file__).name)
    with pytest.MonkeyPatch.context() as patch:
        for config in (*groups_of(MODES), ChildConfig):
            names = {field.name for field in dataclasses.fields(config)}

            def get(self: Any, name: str, config: type = config, names: set[str] = names) -> Any:
                if name in names:
                    caller = sys._getframe(1).f_code
                    shown = caller.co_name.lstrip("_").startswith(("say", "show"))
                    if not shown and not caller.co_filename.endswith((*for_itself, "estimators/config.py")):
                        found.add((config.__name__, name))
                return object.__getattribute__(self, name)

            patch.setattr(config, "__getattribute__", get)
        runs()
    return found


@QUIET
def test_each_field_of_a_config_that_is_handed_on_is_read(walker, sources, tmp_path):
    """By the modes, taken apart as above, and by what was taken out of them: a training, a child, the controller."""
    data = drawn_pictures(24, 3, train=8, valid=4, classes=2)
    spec = drawn_spec(cheap_genotype(), data, filters=2)
    all_on = TrainingConfig(epochs=1, batch_size=4, schedule="exponential", warmup_epochs=1.0, label_smoothing=0.1)
    all_on = dataclasses.replace(all_on, auxiliary_weight=0.4, drop_path_keep=0.8, dropout_keep=0.5, cutout=2)
    all_on = dataclasses.replace(all_on, ema_decay=0.9)
    transfer = TransferConfig(trainable_cells=2, layer_decay=0.9, head_epochs=0.5)
    failed = [outcome for outcome in Outcome if outcome != Outcome.OK]

    def runs() -> None:
        for mode in MODES:
            handed_on(mode, base_of(mode, sources), sources["home"], tmp_path / mode)
        handed_on("search", {**base_of("search", sources), "workers": 2}, sources["home"], tmp_path / "workers")
        for space in ("chain", "lenet5"):
            given = {name: value for name, value in base_of("search", sources).items() if name not in NO_CELLS}
            handed_on("search", {**given, "space": space}, sources["home"], tmp_path / space)
        timed = {**base_of("search", sources), "latency_ms": 5.0, "objective": "accuracy*latency"}
        handed_on("search", timed, sources["home"], tmp_path / "timed")
        fast = {**base_of("compare", sources), "models": sources["models"], "match": "latency"}
        handed_on("compare", fast, sources["home"], tmp_path / "fast")
        table = {"space": "table", "table": sources["known"], "strategy": "random", "trials": 2}
        handed_on("search", table, sources["home"], tmp_path / "table")
        handed_on("export", {"from": sources["trained"], "format": "csv"}, sources["home"], tmp_path / "export_csv")
        handed_on("count", {"model": "resnet20", "width": 0.1}, sources["home"], tmp_path / "count")
        Training(spec, data, all_on, seed=0, transfer=transfer).run(tmp_path / "checkpoints", options=ReplicaConfig())
        ProxyEstimator(data, NetworkConfig(1, 2), TrainingConfig(epochs=1), 0).estimate(cheap_genotype(), "trial_0")
        settings = PolicyGradientConfig(update_trials=1 + len(failed), update_epochs=1, units=2, embedding_size=2)
        policy = PolicyGradient(NASNetSpace(1).decisions, settings, 0, FailureConfig())
        for number, outcome in enumerate((Outcome.OK, *failed)):
            proposal = policy.propose(number)
            policy.observe(Trial(proposal, outcome, 0.5 if outcome == Outcome.OK else None, 1.0))

        for name in ("evolution", "local_search", "predictor", "dyna_ppo"):
            learner = LearnerConfig(2, 1, uniform_trials=2, refit_trials=2, imagined_steps=1, imagined_samples=2)
            strategy = make_strategy(
                name, NASNetSpace(1).decisions, None, settings, FailureConfig(), 0, learner_config=learner
            )
            for number in range(4):
                strategy.observe(Trial(strategy.propose(number), Outcome.OK, 0.1 * number, 1.0))

    every = {(config.__name__, field.name) for config in (*groups_of(MODES), ChildConfig) for field in fields(config)}
    assert every - read_by_code(runs) == READ_ELSEWHERE
