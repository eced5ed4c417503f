"""`--mode=tune`: KerasTuner over the hyperparameters of fine-tuning. Ends in a recipe; never looks at the test split.

What is tried is a function of the seed and of how the trials before ended. So each trial leaves a file, and to go on is
to ask KerasTuner again from the start and answer from the files: its own state, written in place, is not needed.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras_tuner
import tensorflow as tf

from controller.strategy import Outcome
from nasnet.data.config import DataConfig
from nasnet.data.dataset import DataSet, Split
from nasnet.estimators.finetuning import FineTuning
from nasnet.execution.estimator_server import EstimatorServer
from nasnet.execution.job import Job, Resources, Result
from nasnet.execution.slot import Slot
from nasnet.modes.flags import RunConfig
from nasnet.modes.help import command_after
from nasnet.modes.inputs import open_data, open_source, source_of, transferred_to, write_skipped
from nasnet.modes.trained.hyperparameters import FACTOR, Values, chance, grid, hyperband_epochs, seconds_left, space_of
from nasnet.modes.workdir import claim_workdir
from nasnet.networks.config import FromConfig
from nasnet.networks.saved import weights_hash
from nasnet.networks.spec import NetworkSpec
from nasnet.reports.tensorboard.tuning import write_tuned
from nasnet.runtime import devices
from nasnet.runtime.clock import clock, doing
from nasnet.runtime.console import say
from nasnet.runtime.errors import RunError, UserError, shortened
from nasnet.runtime.files import write_json
from nasnet.runtime.schema import read_as
from nasnet.runtime.signals import Stopping
from nasnet.training.config import TrainingConfig, TransferConfig, TuneConfig
from nasnet.training.recipes import recipe_json

_OBJECTIVE = "accuracy"


def tune(config: RunConfig, workdir: Path, spec: NetworkSpec, data: DataSet, weights: str | None = None) -> None:
    """Tries hyperparameters of fine-tuning `--from`, whose network `spec` is, and writes the best to `recipe.json`.

    `data`, and `weights`, the network's hash, are what the workdir must have been begun with.

    Raises:
        RunError: if no trial succeeded.
    """
    options = config.group(TuneConfig)
    space = space_of(config.group(TrainingConfig), config.group(TransferConfig), spec.architecture, config.held)
    points = grid(space, options.tune_trials) if options.tuner == "grid" else []
    lengths = [options.tune_epochs] * len(points) or hyperband_epochs(options.tune_epochs)
    with claim_workdir(workdir, config, data=data.fingerprint, source=weights), Stopping() as stopping:
        write_skipped(workdir, data)
        trials = _Trials(config, workdir, stopping, lengths)
        _say_what(config, data, space, lengths)
        if points:
            for trial_id, values in enumerate(points):
                trials.run(trial_id, values, options.tune_epochs)
        else:
            _hyperband(config, space, trials)
        ended = [trial for trial in trials.ended if trial["accuracy"] is not None]
        if not ended:
            causes = "; ".join(dict.fromkeys(trial["cause"] for trial in trials.ended)) or "there was none"
            raise RunError(f"no trial succeeded: {shortened(causes, 2000)}")
        best = _best(ended)
        write_json(workdir / "recipe.json", recipe_json(trials.recipe(best["values"])))
        say(f"best is trial {best['trial_id']}, valid accuracy {best['accuracy']:.4f}: {_shown(best['values'])}")
        _say_chance(best["accuracy"], len(ended), data.valid)
        source = {name: config.values[name] for name in ("from", "weights")}
        say(f"next, fine-tune by it, {_length(config.group(TrainingConfig))}:")
        say(f"  {command_after(config, workdir, 'finetune', {**source, 'recipe': workdir / 'recipe.json'})}")


def _hyperband(config: RunConfig, space: Mapping[str, Sequence[float]], trials: _Trials) -> None:
    hyperparameters = keras_tuner.HyperParameters()
    for name, values in space.items():
        if name == "learning_rate":
            hyperparameters.Float(name, values[0] / 10, values[0] * 10, sampling="log")
        else:
            hyperparameters.Choice(name, values, ordered=False)
    oracle = keras_tuner.oracles.HyperbandOracle(
        keras_tuner.Objective(_OBJECTIVE, "max"),
        max_epochs=config.group(TuneConfig).tune_epochs,
        factor=FACTOR,
        hyperparameters=hyperparameters,
        seed=config.seed + 1,  # KerasTuner takes a seed of 0 for none
    )
    with tempfile.TemporaryDirectory() as scratch:
        try:
            _Tuner(oracle, trials, scratch).search(verbose=0)
        except keras_tuner.errors.FatalError as error:
            raise (error.__cause__ or error) from None


class _Tuner(keras_tuner.engine.base_tuner.BaseTuner):
    """KerasTuner's loop around our trials."""

    def __init__(self, oracle: keras_tuner.Oracle, trials: _Trials, scratch: str) -> None:
        super().__init__(oracle, directory=scratch, project_name="tune", overwrite=True)
        self._trials = trials

    def run_trial(self, trial: Any, **_: object) -> dict[str, float]:  # noqa: ANN401 - KerasTuner has no types
        """See `BaseTuner.run_trial`. A stop ends its loop.

        A failed trial counts as wrong on every picture: told of a failure, KerasTuner prints a traceback.
        """
        try:
            asked = dict(trial.hyperparameters.values)
            values = {name: value for name, value in asked.items() if not name.startswith("tuner/")}
            accuracy = self._trials.run(int(trial.trial_id), values, int(asked["tuner/epochs"]))
        except Exception as error:
            raise keras_tuner.errors.FatalError(str(error)) from error
        return {_OBJECTIVE: 0.0 if accuracy is None else accuracy}


class _Trials:
    """Runs trials, each in a worker process of its own, and knows those that ended before.

    Attributes:
        ended: their records, as they stand in `trials/`.
    """

    def __init__(self, config: RunConfig, workdir: Path, stopping: Stopping, lengths: Sequence[int]) -> None:
        """`lengths` are the epochs of all trials, in order."""
        self._config, self._workdir, self._stopping, self._lengths = config, workdir, stopping, lengths
        self.ended: list[dict[str, Any]] = []

    def run(self, trial_id: int, values: Values, epochs: int) -> float | None:
        """The accuracy on valid of a trial; None if it failed. Raises Stopped if a signal came."""
        file = self._workdir / "trials" / f"{trial_id:04d}.json"
        if file.exists():
            record = _read(file, {"version": 1, "trial_id": trial_id, "values": values, "epochs": epochs})
        else:
            record = self._record(trial_id, values, epochs, file.with_suffix(""))
            write_json(file, record)
        shutil.rmtree(file.with_suffix(""), ignore_errors=True)  # the checkpoints of what has ended
        self.ended.append(record)
        write_tuned(self._workdir / "tb" / f"trial_{trial_id:04d}", values, epochs, record["accuracy"])
        self._show(record)
        return record["accuracy"]

    def _show(self, record: dict[str, Any]) -> None:
        result = record["cause"] if record["accuracy"] is None else f"valid accuracy {record['accuracy']:.4f}"
        good = [trial for trial in self.ended if trial["accuracy"] is not None]
        best = f"{_best(good)['accuracy']:.4f} (trial {_best(good)['trial_id']})" if good else "none yet"
        left = clock(seconds_left(self.ended, self._lengths[len(self.ended) :]))
        say(
            f"trial {record['trial_id']:3d}  {_count(record['epochs'], 'epoch')}  {_shown(record['values'])}  "
            f"{result}  best {best}  {record['seconds']:.0f} s  {len(self.ended)}/{len(self._lengths)}, {left} left"
        )

    def _record(self, trial_id: int, values: Values, epochs: int, checkpoints: Path) -> dict[str, Any]:
        config, (training, transfer) = self._config, self._configs(values)
        estimator = FineTuning(
            source_of(config),
            config.group(FromConfig).weights,
            config.group(DataConfig),
            dataclasses.replace(training, epochs=epochs, steps=None),
            transfer,
            config.seed,
            checkpoints,
        )
        start = time.monotonic()
        result = self._in_worker(Job(trial_id, estimator="fine-tuning"), estimator)
        if result.outcome == Outcome.LOST:
            raise RunError(f"trial {trial_id}: {result.cause}; the same command goes on from here")
        return {
            "version": 1,
            "trial_id": trial_id,
            "values": values,
            "epochs": epochs,
            "outcome": str(result.outcome),
            "accuracy": result.reward,
            "cause": result.cause,
            "seconds": time.monotonic() - start,
            "epoch_seconds": result.timing.steps / epochs,
            "recipe": self.recipe(values),
        }

    def recipe(self, values: Values) -> dict[str, Any]:
        """What a fine-tuning by these values is told, at the length that the run was asked for."""
        training, transfer = self._configs(values)
        return dataclasses.asdict(training) | dataclasses.asdict(transfer)

    def _configs(self, values: Values) -> tuple[TrainingConfig, TransferConfig]:
        training, transfer = self._config.group(TrainingConfig), self._config.group(TransferConfig)
        return (
            dataclasses.replace(training, **_fields(TrainingConfig, values)),
            dataclasses.replace(transfer, **_fields(TransferConfig, values)),
        )

    def _in_worker(self, job: Job, estimator: FineTuning) -> Result:
        # A process for each trial: Keras does not give back the memory of a model (docs/results.md).
        logs = self._workdir / "logs"
        logs.mkdir(exist_ok=True)
        estimators = EstimatorServer({job.estimator: estimator})
        slot = Slot(estimators, Resources(cpus=devices.cores()), logs)
        try:
            with doing(f"at work on trial {job.trial_id}"):
                return slot.run(job, self._stopping)
        finally:
            slot.stop()
            estimators.close()


def _read(file: Path, trial: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a trial that ended before. Raises UserError for that of another, and for a damaged one."""
    record = read_as("tuned", file, "delete it to train anew")
    if {name: record[name] for name in trial} != trial:
        raise UserError(f"{file}: not the trial that this run would make; use a new --workdir")
    return {**record, **trial}


def _fields(group: type, values: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(group)}
    return {name: value for name, value in values.items() if name in names}


def _say_chance(accuracy: float, trials: int, valid: Split) -> None:
    share, luck = chance(valid, trials)
    if accuracy < luck or luck == 1:
        say(
            f"note: no trial is above chance: always naming the largest class scores {share:.4f} of the {len(valid)} "
            f"valid pictures, and the best of {_count(trials, 'trial')} by luck up to {luck:.4f}"
        )
        say("  this recipe is as good as another; train longer (--tune_epochs), or give more pictures")


def _say_what(config: RunConfig, data: DataSet, space: Mapping[str, Sequence[float]], lengths: Sequence[int]) -> None:
    options, training = config.group(TuneConfig), config.group(TrainingConfig)
    rungs = ", ".join(_count(epochs, "epoch") for epochs in sorted(set(lengths)))
    say(f"tuning with {options.tuner}: {', '.join(space)}; {_count(len(lengths), 'trial')} of {rungs}")
    if config.held:
        say(f"held as given: {', '.join(f'{name} {config.values[name]}' for name in config.held)}")
    say(f"recipe.json will say {_length(training)}; a trial has what --tune_epochs leaves it")
    say(
        f"always naming the largest class scores {chance(data.valid, 1)[0]:.4f} of the {len(data.valid)} valid pictures"
    )


def _length(training: TrainingConfig) -> str:
    return _count(training.steps, "step") if training.steps else _count(training.epochs, "epoch")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def _best(ended: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The best of those that succeeded; of equals the one that trained longest, and of those the first."""
    return max(ended, key=lambda trial: (trial["accuracy"], trial["epochs"]))


def _shown(values: Values) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in values.items())


def run_tune(config: RunConfig, workdir: Path) -> None:
    """Tries hyperparameters of fine-tuning; leaves the best as `recipe.json`."""
    tf.config.set_visible_devices([], "GPU")  # they are the trials', which run in processes of their own
    source_spec, source = open_source(config, fresh_head=True)
    data = open_data(config)
    spec = transferred_to(source_spec, data, config.group(TrainingConfig))
    tune(config, workdir, spec, data, weights_hash(source))
