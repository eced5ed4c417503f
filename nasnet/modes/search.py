"""`--mode=search`: finds a network, trains it, exports it, and says what became of every second."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import shlex
import time
from pathlib import Path
from typing import Any

import tensorflow as tf

from cells.spaces.space import Space
from controller.config import FailureConfig, LearnerConfig, PolicyGradientConfig
from controller.strategies import make_strategy
from controller.strategy import Strategy, Trial
from nasnet.data.dataset import DataSet
from nasnet.estimators.estimator import Estimator, Timing
from nasnet.estimators.proxy import ProxyEstimator
from nasnet.execution.config import ExecutionConfig
from nasnet.execution.memory import MemoryNeed
from nasnet.execution.start import open_engine
from nasnet.modes.compared.baselines import baseline_estimators, hold_against_baselines
from nasnet.modes.flags import RunConfig
from nasnet.modes.help import say_after_search
from nasnet.modes.inputs import check_children, open_data, write_skipped
from nasnet.modes.tables.latency import open_latency, say_front
from nasnet.modes.tables.report import reported, write_seconds
from nasnet.modes.train import say_unsettled
from nasnet.modes.trained.winner import train_winner
from nasnet.modes.workdir import claim_workdir
from nasnet.networks.config import NetworkConfig
from nasnet.networks.spec import architecture_of
from nasnet.reports.search import (
    at_work,
    fit_memory,
    say_pictures,
    say_ranking,
    say_search,
    say_seconds,
    say_updates,
    show_finalist,
    show_finalist_run,
)
from nasnet.reports.terminal import show_export, show_retry, show_rung, trials_shown
from nasnet.runtime import devices
from nasnet.runtime.clock import doing
from nasnet.runtime.console import say
from nasnet.runtime.errors import RunError
from nasnet.runtime.signals import Stopping
from nasnet.training.config import TrainingConfig
from nasnet.trials.config import BaselineConfig, ChainConfig, FinalConfig, LimitConfig, SearchConfig
from nasnet.trials.ending import STOP, Ending
from nasnet.trials.finalists import Finalist, choose_finalists, rank_finalists
from nasnet.trials.forecast import Forecast
from nasnet.trials.journal import FinalistRun, Journal
from nasnet.trials.limits import Limits
from nasnet.trials.plan import (
    DRAWN,
    exported,
    final_of,
    finalist_steps,
    of_first_rung,
    plan_of,
    steps_of,
    without_size,
)
from nasnet.trials.retries import RetryingEngine
from nasnet.trials.rungs import PROXY, Rungs, rung_estimators
from nasnet.trials.search import Search
from nasnet.trials.spaces import (
    children_of,
    drawn_genotypes,
    features_of,
    first_tokens,
    make_space,
    say_space,
    start_tokens,
    trials_of,
)
from nasnet.trials.weights.best import BestWeights
from nasnet.trials.weights.between import RungWeights

_DRAWN = 8  # networks that are counted to say what a child takes


def run_search(config: RunConfig, workdir: Path) -> None:
    """Searches, trains the best network, exports it to `workdir/best` and says how it does on valid and test."""
    started = time.monotonic()
    options, execution = config.group(SearchConfig), config.group(ExecutionConfig)
    export = config.group(FinalConfig).export
    with Ending(workdir, options.stop_after) as ending:
        _set_up(execution)
        data = open_data(config)
        space = make_space(options, config.group(ChainConfig), config.group(NetworkConfig), data.image_shape)
        limits, start = _check(config, data, space), list(start_tokens(options, space))
        if execution.cluster:
            from nasnet.execution.ray_workers import connect

            connect(execution.cluster)
        source = hashlib.sha256(str(start).encode()).hexdigest() if start else None
        with claim_workdir(workdir, config, data=data.fingerprint, source=source), reported(workdir):
            write_skipped(workdir, data)
            say_pictures(data, "--valid_fraction")
            say_space(options, space)
            sizes = config.group(FinalConfig), config.group(NetworkConfig)
            if without := without_size(space, *sizes, len(data.classes), data.image_shape):
                say(f"note: {without} of {DRAWN} drawn networks cannot be of such a size: such children are invalid")
            limits = dataclasses.replace(limits, latency=open_latency(config, workdir, data, space))
            found = _search(config, workdir, data, space, limits, ending)
            search, winner, held = found.search, found.winner, time.monotonic()
            say_front(config, workdir, data, space, search.journal)
            if export:
                genotype = space.decode(winner.proposal.tokens)
                train_winner(genotype, data, config, workdir, winner, search.forecast, found.baselines)
                show_export(workdir / "best")
            ending.done()
            made, searching = len(search.journal.trials), found.ended - started
            after = (held - found.ended, time.monotonic() - held) if export else None
            write_seconds(workdir, found.timing, search.engine.slots, search.controller_seconds, searching, after)
    say_seconds(found.timing, search.engine.slots, search.controller_seconds, searching, after)
    if made < search.trials:
        say(f"{made} of {search.trials} trials were made; the same command goes on with the rest")
    if export:
        say_after_search(config, workdir, max(data.image_shape[:2]))


@dataclasses.dataclass(frozen=True)
class _Found:
    """A search as it stands at its end: its winner, what that was held against, when it ended, its children's seconds.

    What it was held against comes after that end.
    """

    search: Search
    winner: Trial
    ended: float
    timing: Timing
    baselines: dict[str, Any] | None


def _search(config: RunConfig, workdir: Path, data: DataSet, space: Space, limits: Limits, ending: Ending) -> _Found:
    options, final = config.group(SearchConfig), config.group(FinalConfig)
    child, training = config.group(NetworkConfig), config.group(TrainingConfig)
    execution, held = _fitting(config.group(ExecutionConfig), data, space, limits), config.group(BaselineConfig)
    journal = Journal(workdir / "journal.jsonl")
    best_weights = BestWeights(workdir / "children", options.keep_weights)
    best_weights.resume(list(journal.so_far.values()))
    # Stopping comes second: Ray too sets a handler for SIGTERM.
    with open_engine(_estimators(config, data), execution, workdir / "logs") as engine, Stopping() as stopping:
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
            trials_of(options, space),
            wave=config.group(PolicyGradientConfig).update_trials if options.deterministic else None,
            repeat_cells=options.repeat_cells,
            enough=lambda: ending.enough,
            why_invalid=limits.why_invalid,
            latency=limits.latency,
            best_weights=best_weights,
            rungs=Rungs(options.rung_steps, RungWeights(workdir / "rungs")) if options.rungs else None,
            report=trials_shown(strategy),
            report_rung=show_rung,
            forecast=Forecast(plan_of(options, final, child, training, data, space, engine.slots, execution, held)),
        )
        say_search(search, data, options.strategy, children_of(space, child), training, execution)
        _, recipe = final_of(final, child, training)
        settling = any(map(limits.has_statistics, drawn_genotypes(space, 1, limits.network)))
        for whose, of in (("a child's ", of_first_rung(options, training)), ("the winner's ", recipe)):
            if settling and (of is recipe or options.statistics == "moving"):
                say_unsettled(of, steps_of(of, data), whose)
        say(f"to end with the best so far, at any time: touch {shlex.quote(str(workdir / STOP))}")
        with doing(lambda: at_work(retrying)):
            winner, ended, timing = _best(search, config, ending, len(data.valid)), time.monotonic(), retrying.timing
            baselines = hold_against_baselines(search, winner, config, workdir, data, ending) if final.export else None
            return _Found(search, winner, ended, timing, baselines)


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
    pictures: dict[str, Any] = {"classes": len(data.classes), "image_shape": data.image_shape}
    check_children(config, space, **pictures)
    finalist_steps(config.group(SearchConfig), training, data)
    child = config.group(NetworkConfig)
    return Limits(
        config.group(LimitConfig),
        functools.partial(architecture_of, network=child, **pictures),
        data.image_shape,
        min(training.batch_size, len(data.train)),
        exported=functools.partial(exported, final=config.group(FinalConfig), child=child, **pictures),
    )


def _fitting(execution: ExecutionConfig, data: DataSet, space: Space, limits: Limits) -> ExecutionConfig:
    """As many workers as there is memory for, which is said. Their number is no part of what comes of a search."""
    if execution.cluster or not execution.workers:
        return execution
    child = max(map(limits.memory, drawn_genotypes(space, _DRAWN, limits.network)))
    return fit_memory(execution, MemoryNeed.of(data, child, execution.memory_per_child))


def _estimators(config: RunConfig, data: DataSet) -> dict[str, Estimator[Any]]:
    options = config.group(SearchConfig)
    training = config.group(TrainingConfig)
    child = config.group(NetworkConfig)
    first = of_first_rung(options, training)
    proxy = ProxyEstimator(data, child, first, config.seed, options.child, options.reward, options.statistics)
    longer = dataclasses.replace(training, steps=finalist_steps(options, training, data))
    finalist = dataclasses.replace(proxy, training=longer)
    later = rung_estimators(proxy, options.rung_steps)
    return {PROXY: proxy, **later, "finalist": finalist, **baseline_estimators(config, proxy)}


def _strategy(name: str, space: Space, config: RunConfig) -> Strategy:
    learning, failures = config.group(PolicyGradientConfig), config.group(FailureConfig)
    others = config.seed, first_tokens(space), config.group(LearnerConfig), features_of(space)
    start = tuple(start_tokens(config.group(SearchConfig), space))
    return make_strategy(name, space.decisions, space.length, learning, failures, *others, start)


def _best(search: Search, config: RunConfig, ending: Ending, pictures: int) -> Trial:
    """The winner: the best of the search, or of its finalists, scored on so many pictures."""
    options = config.group(SearchConfig)
    try:
        ranked, trials = search.run(), search.journal.trials
    except RunError:
        if ending.now and all(trial.reward is None for trial in search.journal.so_far.values()):
            ending.done()  # there is nothing to end with, and the same command is to go on
        raise
    if len(trials) < search.trials:
        waiting = len(search.journal.so_far) - len(trials)
        made = f"{len(trials)} of {search.trials} trials" + (f" and {waiting} up to a rung" if waiting else "")
        say(f"ended by {ending.enough} after {made}; children that ran were cut off")
    rung = f" (rung {ranked[0].rung}/{len(options.rung_steps)})" if options.rungs else ""
    say(f"best is trial {ranked[0].proposal.trial_id}, reward {ranked[0].reward:.4f}{rung}")
    if twins := sum(trial.reward is not None and bool(trial.cause) for trial in trials.values()):
        say(f"{twins} of {len(trials)} trials were of a network that had been trained before")
    if options.strategy in ("ppo", "reinforce"):
        say_updates(len(trials), config.group(PolicyGradientConfig).update_trials)
    final = _ranked_anew(search, ranked, config, ending, pictures) if options.finalists else []
    if not final:
        return ranked[0]
    say_ranking(final, pictures)
    return final[0].trial


def _ranked_anew(
    search: Search, ranked: list[Trial], config: RunConfig, ending: Ending, pictures: int
) -> list[Finalist]:
    options, forecast = config.group(SearchConfig), search.forecast
    assert forecast is not None
    places = {trial.proposal.trial_id: place for place, trial in enumerate(ranked, 1)}
    runs = len(choose_finalists(search.space, ranked, options.finalists)) * options.finalist_seeds

    def ended(run: FinalistRun, missing: int) -> None:
        forecast.finalist(run.seconds)
        show_finalist_run(run, runs - missing, runs, forecast.left(0, finalist_runs=missing))

    cells, steps = runs // options.finalist_seeds, forecast.plan.finalist_steps
    if ending.now is None:
        starts = "one fresh start" if options.finalist_seeds == 1 else f"{options.finalist_seeds} fresh starts"
        say(f"{cells} finalist{'s' * (cells > 1)}, {steps} steps from {starts} each")
    final = rank_finalists(
        search.space,
        search.engine,
        search.journal,
        ranked,
        finalists=options.finalists,
        starts=options.finalist_seeds,
        factor=search.factor,
        report=lambda finalist: show_finalist(finalist, places[finalist.trial.proposal.trial_id], pictures),
        ended=ended,
        cut_short=lambda: ending.now,
    )
    if not final:
        say(f"ended by {ending.now} before the finalists could be ranked: the best of the search is taken")
    return final
