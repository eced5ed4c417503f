"""What several modes do: open the pictures of a config, train a network to its end, score and export it."""

from __future__ import annotations

import dataclasses
import platform
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cells.count import count
from cells.genotype import CellGenotype
from nasnet.data.config import DataConfig
from nasnet.data.dataset import DataSet, open_dataset
from nasnet.flags import RunConfig
from nasnet.networks.config import NetworkConfig
from nasnet.networks.export.folder import export
from nasnet.networks.saved import load_trained, save_trained
from nasnet.networks.spec import NetworkSpec, spec_of
from nasnet.reports.terminal import TrainingScreen
from nasnet.runtime.console import say
from nasnet.runtime.errors import UserError
from nasnet.runtime.files import write_json
from nasnet.runtime.signals import Stopping
from nasnet.training.config import ReplicaConfig, TrainingConfig, TransferConfig
from nasnet.training.loop import Training
from nasnet.training.metrics import evaluate
from nasnet.training.recipes import recipe_json
from nasnet.training.replicas import Replicas


def open_data(config: RunConfig, *, allow_test: bool = False) -> DataSet:
    """The data set of a config."""
    options: DataConfig = config.group(DataConfig)
    return open_dataset(options.dataset, image_size=options.image_size, allow_test=allow_test)


def open_matching(spec: NetworkSpec, config: RunConfig) -> DataSet:
    """The data set of a trained network, its test split open."""
    data = open_data(config, allow_test=True)
    if (data.image_shape, len(data.classes)) != (spec.image_shape, len(spec.classes)):
        raise UserError(
            f"--dataset={config.values['dataset']} has pictures of {data.image_shape} in {len(data.classes)} classes, "
            f"the network takes {spec.image_shape} in {len(spec.classes)}; give its own data set and size, or fine-tune"
        )
    return data


def check_size(genotype: CellGenotype, data: DataSet, network: NetworkConfig, training: TrainingConfig) -> None:
    """Counts the network before anything is written. Raises UserError if it cannot be built at this size."""
    try:
        spec = spec_of(genotype, data, network, training)
        count(genotype, dataclasses.replace(spec.stack, auxiliary=training.auxiliary_weight > 0), data.image_shape)
    except ValueError as error:
        raise UserError(
            f"--repeats/--filters/--stem/--auxiliary_weight: {error}; other values, or --image_size"
        ) from error


def train_to(
    folder: Path,
    spec: NetworkSpec,
    data: DataSet,
    config: TrainingConfig,
    seed: int,
    *,
    source: keras.Model | None = None,
    transfer: TransferConfig | None = None,
    replicas: Replicas | None = None,
    options: ReplicaConfig | None = None,
) -> None:
    """Trains, or goes on training, until the folder holds the trained network.

    Leaves `genotype.json`, `model.keras`, `recipe.json`, `checkpoints/` and TensorBoard's `tb/` there. Of several
    processes only the chief writes and speaks.
    """
    if (folder / "model.keras").exists():
        return
    training = Training(spec, data, config, seed=seed, replicas=replicas, transfer=transfer, source=source)
    chief = training.replicas.chief
    if not chief:
        say(f"training on {training.replicas.describe()}; worker 0 says how it goes")
    else:
        _say_what(training, spec, source is not None)
        recipe = dataclasses.asdict(config) | (dataclasses.asdict(transfer) if transfer else {})
        write_json(folder / "recipe.json", recipe_json(recipe))
    screen = TrainingScreen(folder / "tb" if chief else None)
    with Stopping() as stopping:
        report = screen.show if chief else lambda _: None
        training.run(folder / "checkpoints", report, options, stopping)
    if chief:
        save_trained(folder, spec, training.inference_model())


def _say_what(training: Training, spec: NetworkSpec, taken_over: bool) -> None:
    if taken_over:
        fresh = ", ".join(training.kept)
        say(f"taken over: all weights but {fresh} (the head, and what depends on the channels, start fresh)")
    costs = count(spec.genotype, spec.stack, spec.image_shape)
    say(
        f"training N={spec.repeats} F={spec.filters} ({costs.parameters:,} parameters, {costs.mult_adds / 1e6:.2f}M "
        f"mult-adds) for {training.total_steps} steps, {training.steps_per_epoch} an epoch, on "
        f"{training.replicas.describe()}"
    )
    unused = {"epochs"} if training.config.steps else {"steps"}
    if training.config.schedule != "exponential":
        unused |= {"decay_rate", "decay_epochs"}
    values = dataclasses.asdict(training.config) | (dataclasses.asdict(training.transfer) if taken_over else {})
    say("  " + ", ".join(f"{name} {value}" for name, value in values.items() if name not in unused))


def export_trained(source: Path, folder: Path, config: RunConfig, extra: dict[str, Any]) -> None:
    """Scores a trained network on valid and, once, on test, and exports it."""
    spec, model = load_trained(source)
    data = open_matching(spec, config)
    costs = count(spec.genotype, spec.stack, spec.image_shape)
    scores = {name: dataclasses.asdict(evaluate(model, split)) for name, split in _splits(data)}
    metrics = {
        "version": 1,
        **scores,
        **extra,
        "parameters": costs.parameters,
        "mult_adds": costs.mult_adds,
        "config": config.to_json(),
        "made_with": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
    }
    export(folder, spec, model, metrics)


def _splits(data: DataSet) -> list[tuple[str, Any]]:
    return [("valid", data.valid), ("test", data.test())]
