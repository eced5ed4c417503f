"""`--mode=tune`: KerasTuner over the hyperparameters of fine-tuning. Ends in a recipe; never looks at the test split.

What is tried is a function of the seed and of how the trials before ended. So each trial leaves a file, and to go on is
to ask KerasTuner again from the start and answer from the files: its own state, written in place, is not needed.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from pathlib import Path
from typing import Any

import keras_tuner
import tensorflow as tf

from cells.walks.stack import CellNetwork
from controller.strategy import Outcome
from nasnet.data.config import DataConfig
from nasnet.estimators.finetuning import FineTuning
from nasnet.execution.estimator_server import EstimatorServer
from nasnet.execution.job import Job, Resources, Result
from nasnet.execution.slot import Slot
from nasnet.modes.flags import RunConfig
from nasnet.modes.help import command_after
from nasnet.modes.inputs import open_data, open_source, source_of, transferred_to
from nasnet.modes.workdir import claim_workdir
from nasnet.networks.config import FromConfig
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime import devices
from nasnet.runtime.console import say
from nasnet.runtime.errors import RunError, UserError
from nasnet.runtime.files import read_json, write_json
from nasnet.runtime.signals import Stopping
from nasnet.training.config import TrainingConfig, TransferConfig, TuneConfig
from nasnet.training.recipes import recipe_json

_OBJECTIVE = "accuracy"


def tune(config: RunConfig, workdir: Path, spec: NetworkSpec) -> None:
    """Tries hyperparameters of fine-tuning `--from`, whose network `spec` is, and writes the best to `recipe.json`.

    Raises:
        RunError: if no trial succeeded.
    """
    options = config.group(TuneConfig)
    with claim_workdir(workdir, config), Stopping() as stopping, tempfile.TemporaryDirectory() as scratch:
        trials = _Trials(config, workdir, spec, stopping)
        oracle = _oracle(options, config, spec)
        tuner = _Tuner(oracle, trials, scratch)
        say(f"tuning with {options.tuner}: {', '.join(oracle.get_space().values)}, up to {options.tune_epochs} epochs")
        try:
            tuner.search(verbose=0)
        except keras_tuner.errors.FatalError as error:
            raise (error.__cause__ or error) from None
        ended = [trial for trial in trials.ended if trial["accuracy"] is not None]
        if not ended:
            causes = "; ".join(dict.fromkeys(str(trial["cause"]) for trial in trials.ended)) or "there was none"
            raise RunError(f"no trial succeeded: {causes}")
        best = max(ended, key=lambda trial: trial["accuracy"])
        write_json(workdir / "recipe.json", recipe_json(best["recipe"]))
        say(f"best is trial {best['trial_id']}, valid accuracy {best['accuracy']:.4f}: {_shown(best['values'])}")
        source = {name: config.values[name] for name in ("from", "weights")}
        say("next, fine-tune by it to the end:")
        say(f"  {command_after(config, workdir, 'finetune', {**source, 'recipe': workdir / 'recipe.json'})}")


def _oracle(options: TuneConfig, config: RunConfig, spec: NetworkSpec) -> keras_tuner.Oracle:
    space = keras_tuner.HyperParameters()
    rate = config.group(TrainingConfig).learning_rate
    if options.tuner == "grid":
        space.Choice("learning_rate", [rate / 3, rate, rate * 3], ordered=True)
    else:
        space.Float("learning_rate", rate / 10, rate * 10, sampling="log")
    cells = len(spec.architecture.parts) - 2
    space.Choice("trainable_cells", [cells + 1, (cells + 1) // 2, 0], ordered=True)  # all and the stem, half, none
    space.Choice("weight_decay", [0.0, 5e-4], ordered=True)
    space.Choice("drop_path_keep", [1.0, 0.8], ordered=True)
    space.Choice("label_smoothing", [0.0, 0.1], ordered=True)
    objective = keras_tuner.Objective(_OBJECTIVE, "max")
    # KerasTuner takes a seed of 0 for none.
    fixed = {"hyperparameters": space, "seed": config.seed + 1}
    if options.tuner == "grid":
        return keras_tuner.oracles.GridSearchOracle(objective, max_trials=options.tune_trials, **fixed)
    return keras_tuner.oracles.HyperbandOracle(objective, max_epochs=options.tune_epochs, **fixed)


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
            accuracy = self._trials.run(int(trial.trial_id), dict(trial.hyperparameters.values))
        except Exception as error:
            raise keras_tuner.errors.FatalError(str(error)) from error
        return {_OBJECTIVE: 0.0 if accuracy is None else accuracy}


class _Trials:
    """Runs trials, each in a worker process of its own, and knows those that ended before."""

    def __init__(self, config: RunConfig, workdir: Path, spec: NetworkSpec, stopping: Stopping) -> None:
        self._config, self._workdir, self._spec, self._stopping = config, workdir, spec, stopping
        self.ended: list[dict[str, Any]] = []

    def run(self, trial_id: int, asked: dict[str, Any]) -> float | None:
        """The accuracy on valid of a trial; None if it failed. Raises Stopped if a signal came."""
        values = {name: value for name, value in asked.items() if not name.startswith("tuner/")}
        epochs = int(asked.get("tuner/epochs", self._config.group(TuneConfig).tune_epochs))
        file = self._workdir / "trials" / f"{trial_id:04d}.json"
        if file.exists():
            record = read_json(file)
            if not isinstance(record, dict) or (record.get("values"), record.get("epochs")) != (values, epochs):
                raise UserError(f"{file}: not the trial that this run would make; use a new --workdir")
        else:
            record = self._record(trial_id, values, epochs, file.with_suffix(""))
            write_json(file, record)
        shutil.rmtree(file.with_suffix(""), ignore_errors=True)  # the checkpoints of what has ended
        self.ended.append(record)
        result = record["cause"] if record["accuracy"] is None else f"valid accuracy {record['accuracy']:.4f}"
        say(f"trial {trial_id:3d}  {epochs} epochs  {_shown(values)}  {result}  {record['seconds']:.0f} s")
        return record["accuracy"]

    def _record(self, trial_id: int, values: dict[str, Any], epochs: int, checkpoints: Path) -> dict[str, Any]:
        training = self._config.group(TrainingConfig)
        transfer = self._config.group(TransferConfig)
        training = dataclasses.replace(training, epochs=epochs, steps=None, **_fields(TrainingConfig, values))
        transfer = dataclasses.replace(transfer, **_fields(TransferConfig, values))
        data = self._config.group(DataConfig)
        estimator = FineTuning(
            source_of(self._config),
            self._config.group(FromConfig).weights,
            data,
            training,
            transfer,
            self._config.seed,
            checkpoints,
        )
        network = self._spec.architecture
        assert isinstance(network, CellNetwork), "other networks have no genotype that a job could carry"
        result = self._in_worker(Job(trial_id, network.genotype, estimator="fine-tuning"), estimator)
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
            "seconds": result.seconds,
            "recipe": dataclasses.asdict(training) | dataclasses.asdict(transfer),
        }

    def _in_worker(self, job: Job, estimator: FineTuning) -> Result:
        # A process for each trial: Keras does not give back the memory of a model (docs/results.md).
        logs = self._workdir / "logs"
        logs.mkdir(exist_ok=True)
        estimators = EstimatorServer({job.estimator: estimator})
        slot = Slot(estimators, Resources(cpus=devices.cores()), logs)
        try:
            return slot.run(job, self._stopping)
        finally:
            slot.stop()
            estimators.close()


def _fields(group: type, values: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(group)}
    return {name: value for name, value in values.items() if name in names}


def _shown(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in values.items())


def run_tune(config: RunConfig, workdir: Path) -> None:
    """Tries hyperparameters of fine-tuning; leaves the best as `recipe.json`."""
    tf.config.set_visible_devices([], "GPU")  # they are the trials', which run in processes of their own
    source_spec, _ = open_source(config)
    data = open_data(config)
    training = config.group(TrainingConfig)
    spec = transferred_to(source_spec, data, training)
    tune(config, workdir, spec)
