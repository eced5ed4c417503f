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
from nasnet.config import DataConfig, NetworkConfig, TrainingConfig, UserError
from nasnet.data import DataSet, channel_statistics, open_dataset
from nasnet.export import export, load_trained, save_trained
from nasnet.flags import RunConfig
from nasnet.network import NetworkSpec, copy_weights
from nasnet.screen import say, show_epoch
from nasnet.training import Training, evaluate


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


def spec_of(genotype: CellGenotype, data: DataSet, network: NetworkConfig, training: TrainingConfig) -> NetworkSpec:
    """The network that a config describes, whitening by the statistics of the training split."""
    mean, std = channel_statistics(data.train)
    return NetworkSpec(
        genotype,
        classes=data.classes,
        image_shape=data.image_shape,
        mean=mean,
        std=std,
        repeats=network.repeats,
        filters=network.filters,
        stem=network.stem,
        bn_momentum=training.bn_momentum,
    )


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
    source: keras.Model | None = None,
) -> None:
    """Trains, or goes on training, until the folder holds the trained network."""
    if (folder / "model.keras").exists():
        return
    training = Training(spec, data, config, seed=seed)
    if source is not None:
        # The head is always fresh: as many classes need not be the same classes.
        kept = copy_weights(source, training.model, fresh="head.")
        say(f"taken over: all weights but {', '.join(kept)} (the head, and what depends on the channels, start fresh)")
    costs = count(spec.genotype, spec.stack, spec.image_shape)
    say(
        f"training N={spec.repeats} F={spec.filters} ({costs.parameters:,} parameters, {costs.mult_adds / 1e6:.2f}M "
        f"mult-adds) for {training.total_steps} steps, {training.steps_per_epoch} an epoch"
    )
    unused = {"epochs"} if training.config.steps else {"steps"}
    recipe = {name: value for name, value in dataclasses.asdict(training.config).items() if name not in unused}
    say("  " + ", ".join(f"{name} {value}" for name, value in recipe.items()))
    training.run(folder / "checkpoints", show_epoch)
    save_trained(folder, spec, training.inference_model())


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
