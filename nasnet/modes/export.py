"""`--mode=export` and `--mode=evaluate`: a trained network scored, and written to leave the house."""

from __future__ import annotations

import dataclasses
import platform
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cells.count import count
from nasnet.data.dataset import DataSet, Split
from nasnet.modes.flags import RunConfig
from nasnet.modes.inputs import open_matching, open_source, source_of
from nasnet.modes.workdir import claim_workdir
from nasnet.networks.config import KERAS
from nasnet.networks.export.folder import export
from nasnet.networks.saved import load_trained
from nasnet.networks.spec import NetworkSpec
from nasnet.reports.terminal import show_export
from nasnet.runtime import devices
from nasnet.runtime.console import say
from nasnet.runtime.errors import UserError
from nasnet.training.metrics import evaluate


def export_trained(
    spec: NetworkSpec, model: keras.Model, folder: Path, config: RunConfig, extra: dict[str, Any]
) -> None:
    """Scores a trained network on valid and, once, on test, and exports it. `extra` goes into `metrics.json` too."""
    data = open_matching(spec, config)
    costs = count(spec.architecture, spec.image_shape)
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


def _splits(data: DataSet) -> list[tuple[str, Split]]:
    return [("valid", data.valid), ("test", data.test())]


def run_evaluate(config: RunConfig, workdir: Path) -> None:  # noqa: ARG001 - every mode has the same form
    """Scores a trained network on the valid and test splits."""
    devices.grow_memory()
    spec, model = open_source(config)
    data = open_matching(spec, config)
    for name, split in _splits(data):
        score = evaluate(model, split)
        say(f"{name}: accuracy {score.accuracy:.4f}, loss {score.loss:.4f}, {score.pictures} pictures")


def run_export(config: RunConfig, workdir: Path) -> None:
    """Writes the checked export of a trained network to `workdir/best`."""
    source = source_of(config)
    if source.startswith(KERAS):
        raise UserError(f"--from={source}: has no classes of yours to export; fine-tune it first")
    devices.grow_memory()
    spec, model = load_trained(Path(source))
    open_matching(spec, config)  # what does not fit is told before anything is written
    with claim_workdir(workdir, config):
        if not (workdir / "best").exists():
            export_trained(spec, model, workdir / "best", config, {})
        show_export(workdir / "best")
