"""What each `--mode` of `train.py` does, from a resolved config to files and lines on the screen."""

from __future__ import annotations

import dataclasses
import platform
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cells.count import count
from cells.genotype import CellGenotype
from cells.spaces import NASNetSpace, Space
from cells.zoo import ZOO
from controller.config import PolicyGradientConfig
from controller.policy_gradient import PolicyGradient
from controller.random_search import RandomSearch
from controller.strategy import Strategy, Trial
from nasnet.child import CHILD_MUST_HAVE
from nasnet.config import (
    DataConfig,
    FinalConfig,
    FromConfig,
    NetworkConfig,
    RunConfig,
    SearchConfig,
    TrainingConfig,
    UserError,
    claim_workdir,
    read_json,
)
from nasnet.data import DataSet, channel_statistics, open_dataset
from nasnet.estimate import ProxyEstimator
from nasnet.export import export, load_trained, save_trained
from nasnet.journal import Journal
from nasnet.network import NetworkSpec, copy_weights
from nasnet.screen import say, show_epoch, show_export, show_trial
from nasnet.search import Finalist, Spent, rank_finalists, search
from nasnet.training import Training, evaluate

LEARNS_AFTER = 500
"""Trials below which PPO has not beaten random search (docs/results.md)."""


def run_search(config: RunConfig, workdir: Path) -> None:
    """Searches, trains the best cell, exports it to `workdir/best` and says how it does on valid and test."""
    started, spent = time.monotonic(), Spent()
    data = _open(config)
    options: SearchConfig = config.group(SearchConfig)
    child: NetworkConfig = config.group(NetworkConfig)
    training: TrainingConfig = config.group(TrainingConfig)
    space = NASNetSpace(options.blocks)
    final: FinalConfig = config.group(FinalConfig)
    any_cell = space.decode((0,) * len(space.decisions))
    _check_size(any_cell, data, child, training)
    _check_size(any_cell, data, NetworkConfig(final.final_repeats, final.final_filters, child.stem), training)
    _check_child(training, options)
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    with claim_workdir(workdir, config):
        journal = Journal(workdir / "journal.jsonl")
        before = time.monotonic()
        strategy = _strategy(options.strategy, space, config)
        spent.add({"controller": time.monotonic() - before})
        say(
            f"searching {len(space.decisions)} decisions with {options.strategy}: {options.trials} children of "
            f"N={child.repeats} F={child.filters}, {_length(training)} on {len(data.train)} pictures of {data.name}"
        )
        if journal.trials:
            say(f"going on after {len(journal.trials)} finished trials")
        estimator = _estimator(data, child, training, options, config.seed)
        ranked = search(space, strategy, estimator, journal, options.trials, show_trial, spent)
        winner = ranked[0]
        say(f"best is trial {winner.proposal.trial_id}, reward {winner.reward:.4f}")
        if options.strategy == "ppo" and options.trials < LEARNS_AFTER:
            updates = options.trials // config.values["update_trials"]
            say(
                f"note: {options.trials} trials are {updates} updates of the controller; under {LEARNS_AFTER} trials it"
            )
            say("  did no better than random search where that was measured (docs/results.md)")
        if options.finalists:
            winner = _finals(space, data, child, training, options, journal, ranked, config.seed, spent)
        _train_winner(space.decode(winner.proposal.tokens), data, config, workdir, winner)
        show_export(workdir / "best")
    seconds = time.monotonic() - started
    parts = [f"{value:.0f} s {name}" for name, value in spent.seconds.most_common()]
    say(f"{seconds:.0f} s in all: {', '.join(parts)}, {seconds - spent.seconds.total():.0f} s the winner and the rest")
    say("next, fine-tune it on your own pictures, a folder for each class:")
    say(f"  python train.py --mode=finetune --from={workdir / 'best'} --dataset=folder:PATH --workdir=runs/mine")


def _finals(
    space: Space,
    data: DataSet,
    child: NetworkConfig,
    training: TrainingConfig,
    options: SearchConfig,
    journal: Journal,
    ranked: list[Trial],
    seed: int,
    spent: Spent,
) -> Trial:
    longer = dataclasses.replace(training, steps=options.finalist_steps)
    say(
        f"{options.finalists} finalists, {options.finalist_steps} steps from {options.finalist_seeds} fresh starts each"
    )
    places = {trial.proposal.trial_id: place for place, trial in enumerate(ranked, 1)}

    def show(finalist: Finalist) -> None:
        trial = finalist.trial
        say(
            f"finalist: trial {trial.proposal.trial_id}, place {places[trial.proposal.trial_id]} in the search with "
            f"{trial.reward:.4f}; trained longer {' '.join(f'{reward:.4f}' for reward in finalist.rewards) or 'failed'}"
        )

    final = rank_finalists(
        space,
        _estimator(data, child, longer, options, seed),
        journal,
        ranked,
        finalists=options.finalists,
        starts=options.finalist_seeds,
        report=show,
        spent=spent,
    )
    order = " > ".join(f"trial {finalist.trial.proposal.trial_id}" for finalist in final)
    say(f"ranked by the longer training: {order}")
    return final[0].trial


def _train_winner(genotype: CellGenotype, data: DataSet, config: RunConfig, workdir: Path, trial: Trial) -> None:
    if (workdir / "best").exists():
        return
    final: FinalConfig = config.group(FinalConfig)
    recipe = dataclasses.replace(
        config.group(TrainingConfig), epochs=final.final_epochs, steps=None, learning_rate=final.final_learning_rate
    )
    network = NetworkConfig(final.final_repeats, final.final_filters, config.values["stem"])
    _train_to(workdir / "final", _spec(genotype, data, network, recipe), data, recipe, config.seed)
    extra = {"trial_id": trial.proposal.trial_id, "reward": trial.reward}
    _export(workdir / "final", workdir / "best", config, extra)


def run_train(config: RunConfig, workdir: Path) -> None:
    """Trains a published or a found cell; leaves `genotype.json` and `model.keras` in the workdir."""
    genotype = _genotype(config.values["model"])
    data = _open(config)
    training: TrainingConfig = config.group(TrainingConfig)
    network: NetworkConfig = config.group(NetworkConfig)
    _check_size(genotype, data, network, training)
    with claim_workdir(workdir, config):
        _train_to(workdir, _spec(genotype, data, network, training), data, training, config.seed)
        _, model = load_trained(workdir)
        say(f"valid accuracy {evaluate(model, data.valid).accuracy:.4f}; in {workdir}: genotype.json, model.keras")
    say(f"next: python train.py --mode=export --from={workdir} --dataset={data.name}")


def run_evaluate(config: RunConfig, workdir: Path) -> None:  # noqa: ARG001 - every mode has the same form
    """Scores a trained network on the valid and test splits."""
    spec, model = load_trained(_source(config))
    data = _matching(spec, config)
    for name, split in (("valid", data.valid), ("test", data.test())):
        score = evaluate(model, split)
        say(f"{name}: accuracy {score.accuracy:.4f}, loss {score.loss:.4f}, {score.pictures} pictures")


def run_export(config: RunConfig, workdir: Path) -> None:
    """Writes the checked export of a trained network to `workdir/best`."""
    source = _source(config)
    spec, _ = load_trained(source)
    _matching(spec, config)
    with claim_workdir(workdir, config):
        if not (workdir / "best").exists():
            _export(source, workdir / "best", config, {})
        show_export(workdir / "best")


def run_finetune(config: RunConfig, workdir: Path) -> None:
    """Takes over a trained network's weights at new classes, channels and size, trains on, and exports."""
    source_spec, source = load_trained(_source(config))
    data = _open(config)
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
    _check_size(spec.genotype, data, NetworkConfig(spec.repeats, spec.filters, spec.stem), training)
    with claim_workdir(workdir, config):
        _train_to(workdir / "final", spec, data, training, config.seed, source)
        if not (workdir / "best").exists():
            _export(workdir / "final", workdir / "best", config, {"from": config.values["from"]})
        show_export(workdir / "best")


RUNNERS = {
    "search": run_search,
    "train": run_train,
    "evaluate": run_evaluate,
    "export": run_export,
    "finetune": run_finetune,
}


def _open(config: RunConfig, *, allow_test: bool = False) -> DataSet:
    options: DataConfig = config.group(DataConfig)
    return open_dataset(options.dataset, image_size=options.image_size, allow_test=allow_test)


def _source(config: RunConfig) -> Path:
    source = config.group(FromConfig).source
    if source is None:
        raise UserError("--from is missing; give the folder of a trained network, such as runs/search/best")
    return Path(source)


def _matching(spec: NetworkSpec, config: RunConfig) -> DataSet:
    """The data set of a trained network, its test split open."""
    data = _open(config, allow_test=True)
    if (data.image_shape, len(data.classes)) != (spec.image_shape, len(spec.classes)):
        raise UserError(
            f"--dataset={config.values['dataset']} has pictures of {data.image_shape} in {len(data.classes)} classes, "
            f"the network takes {spec.image_shape} in {len(spec.classes)}; give its own data set and size, or fine-tune"
        )
    return data


def _strategy(name: str, space: Space, config: RunConfig) -> Strategy:
    if name == "random":
        return RandomSearch(space.decisions, config.seed)
    return PolicyGradient(space.decisions, config.group(PolicyGradientConfig), config.seed)


def _estimator(
    data: DataSet, child: NetworkConfig, training: TrainingConfig, options: SearchConfig, seed: int
) -> ProxyEstimator:
    mean, std = channel_statistics(data.train)
    return ProxyEstimator(data, mean, std, child, training, seed, options.child, options.reward)


def _check_child(training: TrainingConfig, options: SearchConfig) -> None:
    if options.child == "functions":
        for name, value in CHILD_MUST_HAVE.items():
            if getattr(training, name) != value:
                raise UserError(
                    f"--{name}={getattr(training, name)}: a child of --child=functions has {name} {value}; "
                    "leave the flag out, or build children with --child=keras"
                )
    elif options.reward != "last":
        raise UserError(f"--reward={options.reward} is for --child=functions; with --child=keras leave it out")


def _length(training: TrainingConfig) -> str:
    return f"{training.steps} steps" if training.steps else f"{training.epochs} epochs"


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


def _spec(genotype: CellGenotype, data: DataSet, network: NetworkConfig, training: TrainingConfig) -> NetworkSpec:
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


def _check_size(genotype: CellGenotype, data: DataSet, network: NetworkConfig, training: TrainingConfig) -> None:
    """Counts the network before anything is written. Raises UserError if it cannot be built at this size."""
    try:
        spec = _spec(genotype, data, network, training)
        count(genotype, dataclasses.replace(spec.stack, auxiliary=training.auxiliary_weight > 0), data.image_shape)
    except ValueError as error:
        raise UserError(
            f"--repeats/--filters/--stem/--auxiliary_weight: {error}; other values, or --image_size"
        ) from error


def _train_to(
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


def _export(source: Path, folder: Path, config: RunConfig, extra: dict[str, Any]) -> None:
    """Scores a trained network on valid and, once, on test, and exports it."""
    spec, model = load_trained(source)
    data = _matching(spec, config)
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
