"""What each `--mode` of `train.py` does, from a resolved config to files and lines on the screen."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from cells.genotype import CellGenotype
from cells.zoo import ZOO
from nasnet.config import FromConfig, NetworkConfig, TrainingConfig, UserError
from nasnet.data import channel_statistics
from nasnet.export import load_trained
from nasnet.flags import RunConfig
from nasnet.screen import say, show_export
from nasnet.search_mode import run_search
from nasnet.steps import check_size, export_trained, open_data, open_matching, spec_of, train_to
from nasnet.training import evaluate
from nasnet.workdir import claim_workdir, read_json


def run_train(config: RunConfig, workdir: Path) -> None:
    """Trains a published or a found cell; leaves `genotype.json` and `model.keras` in the workdir."""
    genotype = _genotype(config.values["model"])
    data = open_data(config)
    training: TrainingConfig = config.group(TrainingConfig)
    network: NetworkConfig = config.group(NetworkConfig)
    check_size(genotype, data, network, training)
    with claim_workdir(workdir, config):
        train_to(workdir, spec_of(genotype, data, network, training), data, training, config.seed)
        _, model = load_trained(workdir)
        say(f"valid accuracy {evaluate(model, data.valid).accuracy:.4f}; in {workdir}: genotype.json, model.keras")
    say(f"next: python train.py --mode=export --from={workdir} --dataset={data.name}")


def run_evaluate(config: RunConfig, workdir: Path) -> None:  # noqa: ARG001 - every mode has the same form
    """Scores a trained network on the valid and test splits."""
    spec, model = load_trained(_source(config))
    data = open_matching(spec, config)
    for name, split in (("valid", data.valid), ("test", data.test())):
        score = evaluate(model, split)
        say(f"{name}: accuracy {score.accuracy:.4f}, loss {score.loss:.4f}, {score.pictures} pictures")


def run_export(config: RunConfig, workdir: Path) -> None:
    """Writes the checked export of a trained network to `workdir/best`."""
    source = _source(config)
    spec, _ = load_trained(source)
    open_matching(spec, config)
    with claim_workdir(workdir, config):
        if not (workdir / "best").exists():
            export_trained(source, workdir / "best", config, {})
        show_export(workdir / "best")


def run_finetune(config: RunConfig, workdir: Path) -> None:
    """Takes over a trained network's weights at new classes, channels and size, trains on, and exports."""
    source_spec, source = load_trained(_source(config))
    data = open_data(config)
    training: TrainingConfig = config.group(TrainingConfig)
    mean, std = channel_statistics(data.train)
    spec = dataclasses.replace(
        source_spec,
        classes=data.classes,
        image_shape=data.image_shape,
        mean=mean,
        std=std,
        bn_momentum=training.bn_momentum,
    )
    check_size(spec.genotype, data, NetworkConfig(spec.repeats, spec.filters, spec.stem), training)
    with claim_workdir(workdir, config):
        train_to(workdir / "final", spec, data, training, config.seed, source)
        if not (workdir / "best").exists():
            export_trained(workdir / "final", workdir / "best", config, {"from": config.values["from"]})
        show_export(workdir / "best")


def _source(config: RunConfig) -> Path:
    source = config.group(FromConfig).source
    if source is None:
        raise UserError("--from is missing; give the folder of a trained network, such as runs/search/best")
    return Path(source)


def _genotype(model: str) -> CellGenotype:
    if model in ZOO:
        return ZOO[model]
    path = Path(model)
    if not path.is_file():
        raise UserError(f"--model={model}: neither a file nor a known name; known: {', '.join(ZOO)}")
    try:
        return CellGenotype.from_json(read_json(path))
    except ValueError as error:
        raise UserError(f"--model={model}: {error}") from error


RUNNERS = {
    "search": run_search,
    "train": run_train,
    "evaluate": run_evaluate,
    "export": run_export,
    "finetune": run_finetune,
}
