"""`--mode=export`, and what every mode that exports does: a trained network scored, and written to leave the house."""

from __future__ import annotations

import dataclasses
import math
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cells.count import count
from nasnet.data.dataset import DataSet, Split, TestSplitClosed
from nasnet.data.fingerprint import Fingerprint
from nasnet.modes.flags import RunConfig
from nasnet.modes.inputs import open_matching, open_source, source_of, write_skipped
from nasnet.modes.workdir import claim_workdir
from nasnet.networks.config import KERAS
from nasnet.networks.export.folder import export, fingerprint_hash, is_export_of
from nasnet.networks.saved import data_of, source_data_of, weights_hash
from nasnet.networks.spec import NetworkSpec
from nasnet.reports.evaluation import no_better_than_one_answer
from nasnet.reports.terminal import show_export
from nasnet.runtime import devices
from nasnet.runtime.console import say
from nasnet.runtime.errors import UserError
from nasnet.runtime.files import read_json, write_json
from nasnet.training.metrics import check_answers, evaluate, logits_of


def export_trained(
    spec: NetworkSpec,
    model: keras.Model,
    folder: Path,
    config: RunConfig,
    extra: dict[str, Any],
    data: DataSet,
    trained_on: Fingerprint | None,
    source_data: Fingerprint | None = None,
) -> None:
    """Scores a trained network on valid and, once, on test, and exports it, in the place of another network's export.

    Where the folder is the export of this network already, `extra` alone is brought up to date: a later trial may have
    found the same network, or a trial's reward be of a higher rung now.

    Args:
        spec: the network.
        model: for inference.
        folder: where; `best` of a workdir.
        config: of the run.
        extra: goes into `metrics.json` too.
        data: what it is scored on; its test split is opened here, if it is not.
        trained_on: the pictures that it was trained on, which the export keeps; None where that is not known.
        source_data: those that the network that it was fine-tuned from has seen, which it keeps as well.
    """
    scored_on = fingerprint_hash(data.fingerprint)
    if is_export_of(folder, spec, model, trained_on, scored_on, source_data):
        known = read_json(folder / "metrics.json")
        if (now := {**known, **extra}) != known:
            write_json(folder / "metrics.json", now)
        return
    if folder.exists():
        say(f"{folder} is of other weights or of an older version; it is made anew")
    opened, test = _with_test(data, spec, config)
    changed = data.fingerprint.difference(opened.fingerprint)
    if changed:
        raise UserError(f"--dataset={config.values['dataset']} has changed since this run opened it ({changed})")
    write_skipped(folder.parent, opened)
    costs = count(spec.architecture, spec.image_shape)
    known = (spec.classes, trained_on, source_data)
    metrics = {
        "version": 1,
        "valid": _scored("valid", model, opened.valid, *known),
        "test": None if test is None else _scored("test", model, test, *known),
        "scored_on": scored_on,
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
    export(folder, spec, model, metrics, data=trained_on, source_data=source_data, replace=True)


def _scored(
    name: str,
    model: keras.Model,
    split: Split,
    classes: tuple[str, ...],
    trained_on: Fingerprint | None,
    source_data: Fingerprint | None,
) -> dict[str, Any]:
    known = of_known(split, trained_on, source_data)
    if known["trained_on"]:
        say(f"{name}: {trained_on_words(split, known)}")
    score = evaluate(model, split)
    if not math.isfinite(score.loss):
        check_answers(logits_of(model, split.images), f"{name} pictures")
    if idle := no_better_than_one_answer(score.accuracy, split.labels, classes):
        say(f"note: {name} accuracy {score.accuracy:.4f} is {idle}")
    return {**dataclasses.asdict(score), **known}


def of_known(split: Split, own: Fingerprint | None, earlier: Fingerprint | None) -> dict[str, int | None]:
    """How many of a split's pictures a network or its source was trained on, and how many its source; None: unknown."""
    seen = earlier if own is None else own.after(earlier)
    return {
        "trained_on": None if seen is None else seen.trained_on(split),
        "source_trained_on": None if earlier is None else earlier.trained_on(split),
    }


def trained_on_words(split: Split, known: Mapping[str, int | None]) -> str:
    """What `of_known` found, in words."""
    whose = "the network or its source" if known["source_trained_on"] else "the network"
    return f"{whose} was trained on {known['trained_on']} of these {len(split)} pictures"


def _with_test(data: DataSet, spec: NetworkSpec, config: RunConfig) -> tuple[DataSet, Split | None]:
    """The data set with its test split open, and that split; None where it has none that can be scored."""
    try:
        return data, data.test() if data.has_test else None
    except TestSplitClosed:
        opened = open_matching(spec, config)
        return opened, opened.test() if opened.has_test else None


def run_export(config: RunConfig, workdir: Path) -> None:
    """Writes the checked export of a trained network to `workdir/best`."""
    source = source_of(config)
    if source.startswith(KERAS):
        raise UserError(f"--from={source}: has no classes of yours to export; fine-tune it first")
    devices.grow_memory()
    spec, model = open_source(config)
    data = open_matching(spec, config)  # what does not fit is told before anything is written
    with claim_workdir(workdir, config, data=data.fingerprint, source=weights_hash(model), renews=True):
        known = data_of(Path(source)), source_data_of(Path(source))
        export_trained(spec, model, workdir / "best", config, {}, data, *known)
        show_export(workdir / "best")
