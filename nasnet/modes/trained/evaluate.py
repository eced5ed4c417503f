"""`--mode=evaluate`: a trained network scored, class by class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from nasnet.data.dataset import DataSet, Split
from nasnet.data.fingerprint import Fingerprint
from nasnet.modes.flags import RunConfig
from nasnet.modes.inputs import open_matching, open_source, source_of, write_skipped
from nasnet.modes.trained.export import of_known, trained_on_words
from nasnet.networks.config import KERAS
from nasnet.networks.saved import data_of, source_data_of
from nasnet.reports.config import EvaluateConfig
from nasnet.reports.evaluation import draw_confusion, figures, no_better_than_one_answer
from nasnet.runtime import devices
from nasnet.runtime.console import say
from nasnet.runtime.errors import SettingError
from nasnet.runtime.files import create_folder, write_json
from nasnet.training.metrics import check_answers, logits_of


def run_evaluate(config: RunConfig, workdir: Path) -> None:
    """Scores a trained network; writes `evaluation.json` and `confusion.png`, over those of an earlier evaluation."""
    devices.grow_memory()
    spec, model = open_source(config)
    data = open_matching(spec, config)
    splits = _splits(data, config.group(EvaluateConfig).split)
    create_folder(workdir)
    write_skipped(workdir, data)
    source = source_of(config)
    ours = not source.startswith(KERAS)  # theirs was trained on ImageNet
    known = (data_of(Path(source)), source_data_of(Path(source))) if ours else (None, None)
    found = {name: _scored(name, split, model, spec.classes, *known) for name, split in splits.items()}
    if ours and known[0] is None:
        say(f"which pictures it was trained on is not known: no data.json with --from={config.values['from']}")
    hidden = {} if data.has_test else {"test": None}
    write_json(
        workdir / "evaluation.json",
        {"version": 1, "from": config.values["from"], "dataset": config.values["dataset"], **hidden, **found},
    )
    draw_confusion(workdir / "confusion.png", found)
    for name in ("evaluation.json", "confusion.png"):
        say(f"  {workdir / name}")


def _splits(data: DataSet, asked: str) -> dict[str, Split]:
    if asked == "all":
        return {"all": data.whole()}
    names = asked.split("+")
    if "test" in names and not data.has_test:
        if names == ["test"]:
            raise SettingError("split", asked, f"{data.name} has no test pictures with labels")
        say("test: no score, there are no test pictures with labels")
    splits = {"train": lambda: data.train, "valid": lambda: data.valid, "test": data.test}
    found = {name: splits[name]() for name in names if name != "test" or data.has_test}
    there = {name: split for name, split in found.items() if len(split)}
    if not there:
        raise SettingError("split", asked, f"{data.name} has too few pictures for that; expected all")
    for name in sorted(set(found) - set(there)):
        say(f"{name}: no pictures")
    return there


def _scored(
    name: str,
    split: Split,
    model: keras.Model,
    classes: tuple[str, ...],
    trained_on: Fingerprint | None,
    source_data: Fingerprint | None,
) -> dict[str, Any]:
    logits = logits_of(model, split.images)
    check_answers(logits, f"{name} pictures")
    found = figures(split.labels, logits, classes)
    low, high = found["accuracy_95"]
    say(
        f"{name}: accuracy {found['accuracy']:.4f} (95% interval {low:.4f} to {high:.4f}), loss {found['loss']:.4f}, "
        f"{len(split)} pictures"
    )
    if idle := no_better_than_one_answer(found["accuracy"], split.labels, classes):
        say(f"  note: {idle}")
    known = of_known(split, trained_on, source_data)
    if known["trained_on"] and name != "train":
        say(f"  {trained_on_words(split, known)}")
    return {**found, **known}
