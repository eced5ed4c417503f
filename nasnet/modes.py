"""What each `--mode` of `train.py` does, from a resolved config to files and lines on the screen."""

from __future__ import annotations

from pathlib import Path

import keras
import tensorflow as tf

from nasnet.flags import RunConfig
from nasnet.inputs import genotype_of
from nasnet.networks.config import KERAS, FromConfig, NetworkConfig
from nasnet.networks.saved import load_source, load_trained
from nasnet.networks.spec import NetworkSpec, spec_of, transferred
from nasnet.reports.terminal import show_export
from nasnet.runtime.console import say
from nasnet.runtime.errors import UserError
from nasnet.search_mode import run_search
from nasnet.steps import check_size, export_trained, open_data, open_matching, train_to
from nasnet.training.config import ReplicaConfig, TrainingConfig, TransferConfig
from nasnet.training.metrics import evaluate
from nasnet.training.replicas import open_replicas
from nasnet.tune import tune
from nasnet.workdir import claim_workdir


def run_train(config: RunConfig, workdir: Path) -> None:
    """Trains a published or a found cell; leaves `genotype.json` and `model.keras` in the workdir."""
    options: ReplicaConfig = config.group(ReplicaConfig)
    replicas = open_replicas(options)
    genotype = genotype_of(config.values["model"])
    data = open_data(config)
    training: TrainingConfig = config.group(TrainingConfig)
    network: NetworkConfig = config.group(NetworkConfig)
    check_size(genotype, data, network, training)
    with claim_workdir(workdir, config, replicas.worker), replicas.together():
        replicas.must_agree("their flags", str(sorted(config.to_json().items(), key=str)))
        spec = spec_of(genotype, data, network, training)
        train_to(workdir, spec, data, training, config.seed, replicas=replicas, options=options)
        if not replicas.chief:
            return
        _, model = load_trained(workdir)
        say(f"valid accuracy {evaluate(model, data.valid).accuracy:.4f}; in {workdir}: genotype.json, model.keras")
    say(f"next: python train.py --mode=export --from={workdir} --dataset={data.name}")


def run_evaluate(config: RunConfig, workdir: Path) -> None:  # noqa: ARG001 - every mode has the same form
    """Scores a trained network on the valid and test splits."""
    spec, model = _load(config)
    data = open_matching(spec, config)
    for name, split in (("valid", data.valid), ("test", data.test())):
        score = evaluate(model, split)
        say(f"{name}: accuracy {score.accuracy:.4f}, loss {score.loss:.4f}, {score.pictures} pictures")


def run_export(config: RunConfig, workdir: Path) -> None:
    """Writes the checked export of a trained network to `workdir/best`."""
    source = _source(config)
    if source.startswith(KERAS):
        raise UserError(f"--from={source}: has no classes of yours to export; fine-tune it first")
    spec, _ = load_trained(Path(source))
    open_matching(spec, config)
    with claim_workdir(workdir, config):
        if not (workdir / "best").exists():
            export_trained(Path(source), workdir / "best", config, {})
        show_export(workdir / "best")


def run_finetune(config: RunConfig, workdir: Path) -> None:
    """Takes over a trained network's weights at new classes, channels and size, trains on, and exports."""
    options: ReplicaConfig = config.group(ReplicaConfig)
    replicas = open_replicas(options)
    source_spec, source = _load(config)
    data = open_data(config)
    training: TrainingConfig = config.group(TrainingConfig)
    spec = transferred(source_spec, data, training)
    check_size(spec.genotype, data, NetworkConfig(spec.repeats, spec.filters, spec.stem), training)
    transfer: TransferConfig = config.group(TransferConfig)
    with claim_workdir(workdir, config, replicas.worker), replicas.together():
        replicas.must_agree("their flags", str(sorted(config.to_json().items(), key=str)))
        train_to(
            workdir / "final",
            spec,
            data,
            training,
            config.seed,
            source=source,
            transfer=transfer,
            replicas=replicas,
            options=options,
        )
        if not replicas.chief:
            return
        if not (workdir / "best").exists():
            export_trained(workdir / "final", workdir / "best", config, {"from": config.values["from"]})
        show_export(workdir / "best")


def _load(config: RunConfig) -> tuple[NetworkSpec, keras.Model]:
    options: FromConfig = config.group(FromConfig)
    return load_source(_source(config), options.weights)


def _source(config: RunConfig) -> str:
    source = config.group(FromConfig).source
    assert source is not None  # check_inputs comes first
    return source


def run_tune(config: RunConfig, workdir: Path) -> None:
    """Tries hyperparameters of fine-tuning; leaves the best as `recipe.json`."""
    tf.config.set_visible_devices([], "GPU")  # they are the trials', which run in processes of their own
    source_spec, _ = _load(config)
    data = open_data(config)
    training: TrainingConfig = config.group(TrainingConfig)
    spec = transferred(source_spec, data, training)
    check_size(spec.genotype, data, NetworkConfig(spec.repeats, spec.filters, spec.stem), training)
    tune(config, workdir, spec)


RUNNERS = {
    "search": run_search,
    "train": run_train,
    "evaluate": run_evaluate,
    "export": run_export,
    "finetune": run_finetune,
    "tune": run_tune,
}
