"""`--mode=search`: finds a network, trains it, exports it, and says what became of every second."""

from __future__ import annotations

import dataclasses
import hashlib
import shlex
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from cells.spaces.space import Space
from controller.config import PolicyGradientConfig
from controller.strategy import Trial
from nasnet.data.dataset import DataSet
from nasnet.estimators.estimator import Timing
from nasnet.execution.config import ExecutionConfig
from nasnet.execution.start import open_engine
from nasnet.modes.compared.baselines import hold_against_baselines
from nasnet.modes.flags import RunConfig
from nasnet.modes.help import say_after_search
from nasnet.modes.inputs import open_data, space_of, write_skipped
from nasnet.modes.searched.end import Given, best_of, say_idle
from nasnet.modes.searched.made import check, estimators, fitting, say_short, set_up, strategy_of
from nasnet.modes.tables.latency import open_latency, say_front
from nasnet.modes.tables.report import reported, write_seconds
from nasnet.modes.train import say_unsettled
from nasnet.modes.trained.winner import train_winner
from nasnet.modes.workdir import claim_workdir
from nasnet.networks.config import NetworkConfig
from nasnet.networks.spec import Shape
from nasnet.reports.live import live_block
from nasnet.reports.search import at_work, say_pictures, say_search, say_seconds
from nasnet.reports.tensorboard.search import SearchEvents
from nasnet.reports.terminal import show_export, show_retry, show_rung, trials_shown
from nasnet.runtime.clock import doing
from nasnet.runtime.console import say
from nasnet.runtime.signals import Stopping
from nasnet.training.config import TrainingConfig
from nasnet.trials.config import BaselineConfig, FinalConfig, SearchConfig
from nasnet.trials.ending import STOP, Ending
from nasnet.trials.forecast import Forecast
from nasnet.trials.journal import Journal
from nasnet.trials.limits import Limits
from nasnet.trials.loop.rungs import Rungs
from nasnet.trials.plan import DRAWN, final_of, of_first_rung, plan_of, steps_of, without_size
from nasnet.trials.retries import RetryingEngine
from nasnet.trials.search import Search
from nasnet.trials.spaces import children_of, drawn_genotypes, say_space, start_tokens, trials_of
from nasnet.trials.weights.best import BestWeights
from nasnet.trials.weights.between import RungWeights


def run_search(config: RunConfig, workdir: Path) -> None:
    """Searches, trains the best network, exports it to `workdir/best` and says how it does on valid and test."""
    shape = drained(search_steps(config, workdir)).image_shape
    if config.group(FinalConfig).export:
        say_after_search(config, workdir, max(shape[:2]))


def search_steps(config: RunConfig, workdir: Path) -> Generator[Given, None, Searched]:
    """Does it trial by trial: gives each as it ends, after those that the workdir holds, and returns what came of it.

    One that is closed before its end leaves a workdir in which the same search goes on.
    """
    started = time.monotonic()
    options, execution = config.group(SearchConfig), config.group(ExecutionConfig)
    export = config.group(FinalConfig).export
    with Ending(workdir, options.stop_after) as ending:
        set_up(execution)
        data = open_data(config)
        space = space_of(config, data.image_shape)
        limits, start = check(config, data, space), list(start_tokens(options, space))
        if execution.cluster:
            from nasnet.execution.ray_workers import connect

            connect(execution.cluster)
        source = hashlib.sha256(str(start).encode()).hexdigest() if start else None
        with claim_workdir(workdir, config, data=data.fingerprint, source=source), reported(workdir, config):
            write_skipped(workdir, data)
            say_pictures(data, "--valid_fraction")
            say_space(options, space)
            sizes = config.group(FinalConfig), config.group(NetworkConfig)
            if without := without_size(space, *sizes, len(data.classes), data.image_shape):
                say(f"note: {without} of {DRAWN} drawn networks cannot be of such a size: such children are invalid")
            limits = dataclasses.replace(limits, latency=open_latency(config, workdir, data, space))
            found = yield from _search(config, workdir, data, space, limits, ending)
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
    return Searched(space, winner, search.journal, data.image_shape)


@dataclasses.dataclass(frozen=True)
class Searched:
    """A search that has ended: what was searched, the trial that won, all that happened, the shape of its pictures."""

    space: Space
    winner: Trial
    journal: Journal
    image_shape: Shape


def drained(steps: Generator[Given, None, Searched]) -> Searched:
    """What comes of a search, its trials passed over."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


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


def _search(
    config: RunConfig, workdir: Path, data: DataSet, space: Space, limits: Limits, ending: Ending
) -> Generator[Given, None, _Found]:
    options, final = config.group(SearchConfig), config.group(FinalConfig)
    child, training = config.group(NetworkConfig), config.group(TrainingConfig)
    execution, held = fitting(config.group(ExecutionConfig), data, space, limits), config.group(BaselineConfig)
    journal = Journal(workdir / "journal.jsonl")
    best_weights = BestWeights(workdir / "children", options.keep_weights)
    best_weights.resume(list(journal.so_far.values()))
    learning = config.group(PolicyGradientConfig)
    # Stopping comes second: Ray too sets a handler for SIGTERM.
    with (
        open_engine(estimators(config, data), execution, workdir / "logs") as engine,
        Stopping() as stopping,
        SearchEvents(workdir / "tb" / "search", journal, space, learning.update_trials) as events,
    ):
        retrying = RetryingEngine(
            engine,
            journal,
            retries=execution.retries,
            stopping=stopping,
            stop_seconds=execution.stop_seconds,
            report=show_retry,
        )
        strategy = strategy_of(options.strategy, space, config)
        search = Search(
            space,
            strategy,
            journal,
            retrying,
            trials_of(options, space),
            wave=learning.update_trials if options.deterministic else None,
            repeat_cells=options.repeat_cells,
            enough=lambda: ending.enough,
            why_invalid=limits.why_invalid,
            costs=limits.costs,
            latency=limits.latency,
            best_weights=best_weights,
            rungs=Rungs(options.rung_steps, RungWeights(workdir / "rungs")) if options.rungs else None,
            report=trials_shown(strategy, events.write),
            report_rung=show_rung,
            forecast=Forecast(plan_of(options, final, child, training, data, space, engine.slots, execution, held)),
        )
        strategy_called = config.own["strategy"][0] if "strategy" in config.own else options.strategy
        say_search(search, data, strategy_called, children_of(space, child), training, execution)
        _, recipe = final_of(final, child, training)
        settling = any(map(limits.has_statistics, drawn_genotypes(space, 1, limits.network)))
        for whose, of in (("a child's ", of_first_rung(options, training)), ("the winner's ", recipe)):
            if settling and (of is recipe or options.statistics == "moving"):
                say_unsettled(of, steps_of(of, data), whose)
        say_short(config, data)
        say(f"to end with the best so far, at any time: touch {shlex.quote(str(workdir / STOP))}")
        with doing(lambda: at_work(retrying)), live_block(search):
            winner = yield from best_of(search, config, ending, len(data.valid))
            if "estimator" not in config.own:  # what one of a program's own rewards need be no accuracy
                say_idle(winner, data)
            ended, timing = time.monotonic(), retrying.timing
            baselines = hold_against_baselines(search, winner, config, workdir, data, ending) if final.export else None
            return _Found(search, winner, ended, timing, baselines)
