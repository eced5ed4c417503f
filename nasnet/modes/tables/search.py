"""`--mode=search --space=table`: a search whose rewards are known. No TensorFlow but the LSTM's."""

from __future__ import annotations

from pathlib import Path

from controller.config import BadSetting, FailureConfig, LearnerConfig, PolicyGradientConfig
from controller.strategies import WITHOUT_LSTM, check_strategy, make_strategy
from controller.strategy import Trial
from nasnet.estimators.table import Table, TableEstimator
from nasnet.execution.engine import LookUp
from nasnet.modes.flags import RunConfig, in_its_flags
from nasnet.modes.inputs import open_table
from nasnet.modes.tables.report import reported
from nasnet.modes.workdir import claim_workdir
from nasnet.reports.search import say_blind
from nasnet.reports.tables.search import found_in, say_found, say_table
from nasnet.reports.tensorboard.table import TableEvents
from nasnet.reports.terminal import trials_shown
from nasnet.runtime.console import say
from nasnet.runtime.errors import RunError
from nasnet.runtime.files import write_json
from nasnet.runtime.signals import Stopping
from nasnet.trials.config import SearchConfig
from nasnet.trials.ending import Ending
from nasnet.trials.journal import Journal
from nasnet.trials.retries import RetryingEngine
from nasnet.trials.search import Search
from nasnet.trials.spaces import say_space, trials_of

METRICS = "metrics.json"


def run_table_search(config: RunConfig, workdir: Path) -> None:
    """Searches a table, says what was found and how it stands among all, and writes that as `workdir/metrics.json`."""
    options, learning = config.group(SearchConfig), config.group(PolicyGradientConfig)
    table = open_table(config)
    if options.strategy not in WITHOUT_LSTM:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)  # as in any search: the controller is small
    try:
        check_strategy(options.strategy, table.decisions, table.length, learning, config.group(LearnerConfig))
    except BadSetting as error:
        raise in_its_flags(error) from error
    with (
        Ending(workdir, options.stop_after) as ending,
        claim_workdir(workdir, config, source=table.sha256),
        Stopping() as stopping,
        reported(workdir),
    ):
        say_table(table, options.table or "")
        say_space(options, table)
        journal = Journal(workdir / "journal.jsonl")
        with TableEvents(workdir / "tb" / "search", journal, learning.update_trials) as events:
            search = _search(config, journal, events, table, ending, stopping)
            trials = f"{search.trials} trials are looked up"
            say(f"searching {len(table.decisions)} decisions with {options.strategy}: {trials}")
            best = _best(search, ending)
        found = found_in(table, search.journal, best)
        write_json(workdir / METRICS, {"version": 1, "strategy": options.strategy, **found.to_json()})
        say_found(found)
        say_blind(options.strategy, found.trials, learning, config.group(LearnerConfig))
        say(f"  {workdir / METRICS}")
        ending.done()
    if found.trials < search.trials:
        say(f"{found.trials} of {search.trials} trials were made; the same command goes on with the rest")


def _search(
    config: RunConfig, journal: Journal, events: TableEvents, table: Table, ending: Ending, stopping: Stopping
) -> Search:
    options, learning = config.group(SearchConfig), config.group(PolicyGradientConfig)
    others = config.group(FailureConfig), config.seed, None, config.group(LearnerConfig)
    strategy = make_strategy(options.strategy, table.decisions, table.length, learning, *others)
    return Search(
        table,
        strategy,
        journal,
        RetryingEngine(LookUp({"proxy": TableEstimator(table)}), journal, retries=0, stopping=stopping),
        trials_of(options, table),
        wave=learning.update_trials if options.deterministic else None,
        enough=lambda: ending.enough,
        why_invalid=table.why_invalid,
        report=trials_shown(strategy, events.write),
    )


def _best(search: Search, ending: Ending) -> Trial:
    try:
        return search.run()[0]
    except RunError:
        if ending.now:
            ending.done()  # there is nothing to end with, and the same command is to go on
        raise
