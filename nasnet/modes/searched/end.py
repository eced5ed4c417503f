"""The end of a search: its best trial, or the best of its finalists."""

from __future__ import annotations

import itertools
from collections.abc import Generator

from cells.genotype.genotype import Genotype
from controller.config import LearnerConfig, PolicyGradientConfig
from controller.strategy import Trial
from nasnet.data.dataset import DataSet
from nasnet.modes.flags import RunConfig
from nasnet.reports.evaluation import no_better_than_one_answer
from nasnet.reports.search import say_blind, say_ranking, say_updates, show_finalist, show_finalist_run
from nasnet.runtime.console import say
from nasnet.runtime.errors import RunError
from nasnet.trials.config import SearchConfig
from nasnet.trials.ending import Ending
from nasnet.trials.finalists import Finalist, choose_finalists, rank_finalists
from nasnet.trials.journal import FinalistRun
from nasnet.trials.search import Search

Given = tuple[Trial, Genotype]
"""A trial that has ended, and what its tokens stand for."""


def best_of(search: Search, config: RunConfig, ending: Ending, pictures: int) -> Generator[Given, None, Trial]:
    """Makes the trials, gives each as it ends, and returns the winner: the best, or the best of its finalists.

    `pictures` is how many they are scored on.
    """
    options = config.group(SearchConfig)
    try:
        told = len(search.journal.trials)
        for _ in search.turns():
            new = [*itertools.islice(search.journal.trials.values(), told, None)]
            told += len(new)
            yield from ((trial, search.space.decode(trial.proposal.tokens)) for trial in new)
        ranked, trials = search.ranked(), search.journal.trials
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
    if "strategy" not in config.own:
        say_learned(len(trials), options.strategy, config.group(PolicyGradientConfig), config.group(LearnerConfig))
    final = _ranked_anew(search, ranked, config, ending, pictures) if options.finalists else []
    if not final:
        return ranked[0]
    say_ranking(final, pictures)
    return final[0].trial


def say_learned(trials: int, strategy: str, policy: PolicyGradientConfig, learner: LearnerConfig) -> None:
    """What the strategy can have learned of so many trials, where that is little or nothing."""
    if strategy in ("ppo", "reinforce"):
        return say_updates(trials, policy.update_trials)
    return say_blind(strategy, trials, policy, learner)


def say_idle(winner: Trial, data: DataSet) -> None:
    """Says it where the best network of a search has learned no more than which class is the largest."""
    if winner.accuracy is None:
        return
    if idle := no_better_than_one_answer(winner.accuracy, data.valid.labels, data.classes):
        say(f"note: trial {winner.proposal.trial_id} has {winner.accuracy:.4f} of the valid pictures right, {idle}")


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
