"""`--mode=search`: finds a cell, trains it, exports it, and says what became of every second."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import tensorflow as tf

from cells.genotype import CellGenotype
from cells.spaces.nasnet import NASNetSpace
from cells.spaces.space import Space
from controller.config import FailureConfig, PolicyGradientConfig
from controller.policy.policy_gradient import PolicyGradient
from controller.random_search import RandomSearch
from controller.strategy import Strategy, Trial
from nasnet.data.dataset import DataSet
from nasnet.estimators.estimator import Estimator
from nasnet.estimators.proxy import ProxyEstimator
from nasnet.execution.config import ExecutionConfig
from nasnet.execution.engine import Engine, InProcess
from nasnet.execution.job import Resources
from nasnet.execution.workers import Workers
from nasnet.modes.export import export_trained
from nasnet.modes.flags import RunConfig
from nasnet.modes.help import command_after
from nasnet.modes.inputs import open_data, spec_on
from nasnet.modes.train import say_unsettled, train_to
from nasnet.modes.workdir import claim_workdir
from nasnet.networks.config import NetworkConfig
from nasnet.networks.spec import stacked
from nasnet.reports.terminal import show_export, show_retry, show_trial, show_update
from nasnet.runtime import devices
from nasnet.runtime.console import say
from nasnet.runtime.signals import Stopping
from nasnet.training.config import ReplicaConfig, TrainingConfig
from nasnet.trials.best_weights import BestWeights
from nasnet.trials.config import FinalConfig, LimitConfig, SearchConfig
from nasnet.trials.finalists import Finalist, rank_finalists
from nasnet.trials.journal import Journal
from nasnet.trials.limits import Limits
from nasnet.trials.retries import RetryingEngine
from nasnet.trials.search import Search, SearchProgress

LEARNS_AFTER = 500
"""Trials below which PPO has not beaten random search (docs/results.md)."""
_OWN_SIDE = 32  # pixels that the next command makes own pictures, which are of many sizes; the network's, if larger


def run_search(config: RunConfig, workdir: Path) -> None:
    """Searches, trains the best cell, exports it to `workdir/best` and says how it does on valid and test."""
    started = time.monotonic()
    options = config.group(SearchConfig)
    execution = config.group(ExecutionConfig)
    _set_up(execution)
    data, space = open_data(config), NASNetSpace(options.blocks)
    limits = _check(config, data, space)
    if execution.cluster:
        from nasnet.execution.ray_workers import connect

        connect(execution.cluster)
    with claim_workdir(workdir, config):
        journal = Journal(workdir / "journal.jsonl")
        best_weights = BestWeights(workdir / "children", execution.keep_weights)
        best_weights.resume(list(journal.trials.values()))
        # Stopping comes second: Ray too sets a handler for SIGTERM.
        with _engine(_estimators(config, data), execution, workdir / "logs") as engine, Stopping() as stopping:
            retrying = RetryingEngine(
                engine,
                journal,
                retries=execution.retries,
                stopping=stopping,
                stop_seconds=execution.stop_seconds,
                report=show_retry,
            )
            strategy = _strategy(options.strategy, space, config)
            search = Search(
                space,
                strategy,
                journal,
                retrying,
                options.trials,
                wave=config.group(PolicyGradientConfig).update_trials if execution.deterministic else None,
                why_invalid=limits.why_invalid,
                best_weights=best_weights,
                report=_reports(strategy),
            )
            _say_what(config, data, search)
            winner = _best(search, config)
        searched = time.monotonic()
        _train_winner(space.decode(winner.proposal.tokens), data, config, workdir, winner)
        show_export(workdir / "best")
    _say_seconds(search, searched - started, time.monotonic() - searched)
    own = {"from": workdir / "best", "dataset": "folder:PATH", "image_size": max(_OWN_SIDE, *data.image_shape[:2])}
    say("next, fine-tune it on your own pictures, a folder for each class, PATH/CLASS/*.png:")
    say(f"  {command_after(config, workdir, 'finetune', own)}")


def _set_up(execution: ExecutionConfig) -> None:
    """Threads and GPUs, before anything starts TensorFlow: a set of TensorFlow Datasets does when it is opened."""
    # One thread an operation: the controller is small, and the winner's operations run side by side (docs/results.md).
    tf.config.threading.set_intra_op_parallelism_threads(1)
    if not (execution.workers or execution.cluster):
        tf.config.threading.set_inter_op_parallelism_threads(execution.cpus_per_child)
    devices.grow_memory()  # the children's GPUs are the same ones


def _check(config: RunConfig, data: DataSet, space: Space) -> Limits:
    """Finds what is wrong with the flags before anything is written. Returns the children's limits."""
    training = config.group(TrainingConfig)
    child = config.group(NetworkConfig)
    final = config.group(FinalConfig)
    any_cell = space.decode((0,) * len(space.decisions))
    spec_on(any_cell, data, child, training)
    spec_on(any_cell, data, NetworkConfig(final.final_repeats, final.final_filters, child.stem), training)
    return Limits(
        config.group(LimitConfig),
        functools.partial(stacked, network=child, classes=len(data.classes)),
        data.image_shape,
        min(training.batch_size, len(data.train)),
    )


def _estimators(config: RunConfig, data: DataSet) -> dict[str, Estimator]:
    options = config.group(SearchConfig)
    training = config.group(TrainingConfig)
    child = config.group(NetworkConfig)
    proxy = ProxyEstimator(data, child, training, config.seed, options.child, options.reward)
    longer = dataclasses.replace(training, steps=options.finalist_steps)
    return {"proxy": proxy, "finalist": dataclasses.replace(proxy, training=longer)}


@contextlib.contextmanager
def _engine(estimators: dict[str, Estimator], execution: ExecutionConfig, logs: Path) -> Iterator[Engine]:
    resources = Resources(
        cpus=execution.cpus_per_child,
        memory=execution.memory_per_child,
        seconds=execution.seconds_per_child,
        children_per_worker=execution.children_per_worker,
    )
    if execution.cluster:
        from nasnet.execution.ray_workers import RayWorkers

        gpus = execution.gpus_per_child or 0
        with RayWorkers(execution.cluster, estimators, resources, logs, execution.workers, gpus) as engine:
            yield engine
    elif execution.workers:
        with Workers(estimators, resources, logs, execution.workers, _gpus_of_workers(execution)) as engine:
            yield engine
    else:
        yield InProcess(estimators)


def _gpus_of_workers(execution: ExecutionConfig) -> list[str] | None:
    """`CUDA_VISIBLE_DEVICES` of each worker; None where this machine has no GPU to share out or to hide."""
    gpus, each = devices.gpus(), execution.gpus_per_child or 0
    return [",".join(gpus[i * each : (i + 1) * each]) for i in range(execution.workers or 0)] if gpus else None


def _strategy(name: str, space: Space, config: RunConfig) -> Strategy:
    if name == "random":
        return RandomSearch(space.decisions, config.seed)
    return PolicyGradient(space.decisions, config.group(PolicyGradientConfig), config.seed, config.group(FailureConfig))


def _reports(strategy: Strategy) -> Callable[[SearchProgress], None]:
    """Shows each trial, and each update of a strategy that makes some."""
    shown = 0

    def report(progress: SearchProgress) -> None:
        nonlocal shown
        show_trial(progress)
        figures = strategy.last_update if isinstance(strategy, PolicyGradient) else None
        if figures is not None and figures.updates > shown:
            shown = figures.updates
            show_update(figures)

    return report


def _say_what(config: RunConfig, data: DataSet, search: Search) -> None:
    child = config.group(NetworkConfig)
    training = config.group(TrainingConfig)
    execution = config.group(ExecutionConfig)
    length = f"{training.steps} steps" if training.steps else f"{training.epochs} epochs"
    say(
        f"searching {len(search.space.decisions)} decisions with {config.values['strategy']}: {search.trials} children "
        f"of N={child.repeats} F={child.filters}, {length} on {len(data.train)} pictures of {data.name}"
    )
    where = f"on the Ray cluster {execution.cluster}" if execution.cluster else "on this machine"
    if not execution.cluster and not execution.workers:
        where = "in this process"
    order = f"in waves of {search.wave}" if search.wave else "each observed as it ends"
    say(f"{search.engine.slots} at a time {where}, {order}")
    batches = len(data.train) // min(training.batch_size, len(data.train))
    say_unsettled(training, training.steps or training.epochs * batches, "a child's ")
    say_unsettled(training, config.group(FinalConfig).final_epochs * batches, "the winner's ")
    if search.journal.trials:
        say(f"going on after {len(search.journal.trials)} finished trials")


def _best(search: Search, config: RunConfig) -> Trial:
    """The winner: the best of the search, or of its finalists."""
    options = config.group(SearchConfig)
    ranked = search.run()
    say(f"best is trial {ranked[0].proposal.trial_id}, reward {ranked[0].reward:.4f}")
    if options.strategy == "ppo" and options.trials < LEARNS_AFTER:
        updates = options.trials // config.group(PolicyGradientConfig).update_trials
        say(f"note: {options.trials} trials are {updates} updates of the controller; under {LEARNS_AFTER} trials it")
        say("  did no better than random search where that was measured (docs/results.md)")
    if not options.finalists:
        return ranked[0]
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
        search.space,
        search.engine,
        search.journal,
        ranked,
        finalists=options.finalists,
        starts=options.finalist_seeds,
        report=show,
    )
    order = " > ".join(f"trial {finalist.trial.proposal.trial_id}" for finalist in final)
    say(f"ranked by the longer training: {order}")
    return final[0].trial


def _train_winner(genotype: CellGenotype, data: DataSet, config: RunConfig, workdir: Path, trial: Trial) -> None:
    if (workdir / "best").exists():
        return
    final = config.group(FinalConfig)
    recipe = dataclasses.replace(
        config.group(TrainingConfig), epochs=final.final_epochs, steps=None, learning_rate=final.final_learning_rate
    )
    network = NetworkConfig(final.final_repeats, final.final_filters, config.group(NetworkConfig).stem)
    spec = spec_on(genotype, data, network, recipe)
    spec, model = train_to(workdir / "final", spec, data, recipe, config.seed, options=ReplicaConfig(valid_epochs=0))
    extra = {"trial_id": trial.proposal.trial_id, "reward": trial.reward}
    export_trained(spec, model, workdir / "best", config, extra)


def _say_seconds(search: Search, searching: float, rest: float) -> None:
    timing, slots = search.engine.timing, search.engine.slots
    longest_first = sorted(dataclasses.asdict(timing).items(), key=lambda part: -part[1])
    parts = [f"{seconds:.0f} s {name}" for name, seconds in longest_first]
    idle = max(0.0, slots * searching - timing.seconds)
    say(f"{searching + rest:.0f} s in all: {searching:.0f} s the search, {rest:.0f} s the winner and its export")
    say(
        f"the search's {slots} x {searching:.0f} s: {', '.join([*parts, f'{idle:.0f} s starting and waiting'])}; "
        f"{search.controller_seconds:.0f} s controller and journal"
    )
