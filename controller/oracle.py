"""Any of our strategies as a `keras_tuner.Oracle`: what KerasTuner's tuners ask what to try next."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner

from cells.spaces.space import Space, Tokens, ask, hyperparameter_values, lengths
from controller.config import FailureConfig, LearnerConfig, PolicyGradientConfig
from controller.oracle_journal import LOST, OracleJournal, cause_of, outcome_of
from controller.strategies import check_strategy, make_strategy
from controller.strategy import Outcome, Proposal, Strategy, Trial

JOURNAL = "oracle.jsonl"
"""Its file in the tuner's project folder."""
_Status = keras_tuner.engine.trial.TrialStatus
_POLL = 0.1
"""Seconds before a worker that has nothing to do asks again; KerasTuner's loop itself does not wait."""


class ControllerOracle(keras_tuner.Oracle):
    """One of our strategies, as the oracle of a `keras_tuner.Tuner`.

    Each decision of the space is a hyperparameter, a `Choice` of its name whose value is the token; where the space
    grows, a trial has those that its length comes to (`cells.spaces.space.ask`). Hyperparameters that a hypermodel
    asks for beyond these keep their defaults: a strategy decides about its space alone.

    What it knows is in `oracle.jsonl` of the project folder, a line for each begin and end of a trial, and nothing else
    is read when a project goes on: with the same results, that makes the trials that it would have made. Trials that
    had not ended then are run again first. KerasTuner's `trial.json` files are written beside, for others to read.

    A trial that failed reaches the strategy as such (`controller.strategy.Outcome`): invalid where the hypermodel
    raised `keras_tuner.errors.FailedTrialError` or the model was larger than the tuner's `max_model_size`, nan where
    its objective was not finite, oom, crashed, or lost.

    Args:
        space: what is searched.
        strategy: one of `controller.strategies.STRATEGIES`, or what makes a fresh strategy (it is called again whenever
            a project is reloaded).
        objective: see `keras_tuner.Oracle`. Where it is to be lowest, the strategy hears it with its sign turned.
        max_trials: see `keras_tuner.Oracle`; a reloaded project may have another.
        seed: of what the strategy draws.
        policy_config, learner_config, failures, start: see `controller.strategies.make_strategy`.
        seconds_per_trial: how long a worker may take for a trial before another one is given it; after
            `max_retries_per_trial` of that it is lost. KerasTuner's chief does not notice that a worker is dead, and
            waits for it for ever; so it does where this is None. A worker that is started again under its old
            KERASTUNER_TUNER_ID is given its trial again in any case.
        max_retries_per_trial, max_consecutive_failed_trials: see `keras_tuner.Oracle`.

    Raises:
        BadSetting: for a strategy that cannot be, or cannot serve such a space. When trials begin: for a project folder
            that another oracle has begun. It is a ValueError.
    """

    def __init__(
        self,
        space: Space,
        strategy: str | Callable[[], Strategy] = "predictor",
        objective: Any = None,  # noqa: ANN401 - as KerasTuner's: a name, an Objective, a list of them
        max_trials: int | None = 10,
        *,
        seed: int = 0,
        policy_config: PolicyGradientConfig | None = None,
        learner_config: LearnerConfig | None = None,
        failures: FailureConfig | None = None,
        start: tuple[Tokens, ...] = (),
        seconds_per_trial: float | None = None,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
    ) -> None:
        policy, learner = policy_config or PolicyGradientConfig(), learner_config or LearnerConfig()
        failures = failures or FailureConfig()
        decisions, length, features = space.decisions, space.length, getattr(space, "features", None)
        if isinstance(strategy, str):
            check_strategy(strategy, decisions, length, policy, learner)
        self._decisions, self._lengths = decisions, lengths(decisions, length)
        self._make: Callable[[], Strategy] = (
            (lambda: make_strategy(strategy, decisions, length, policy, failures, seed, None, learner, features, start))
            if isinstance(strategy, str)
            else strategy
        )
        self._seconds = seconds_per_trial
        hyperparameters = keras_tuner.HyperParameters()
        ask(hyperparameters, self._decisions, self._lengths)
        self._names = frozenset(hyperparameters.values)
        super().__init__(
            objective=objective,
            max_trials=max_trials,
            hyperparameters=hyperparameters,
            tune_new_entries=False,  # they keep their defaults
            seed=seed,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        self.seed = seed  # KerasTuner takes 0 for none
        self._said = {
            "strategy": strategy if isinstance(strategy, str) else getattr(strategy, "__qualname__", "custom"),
            "seed": seed,
            "decisions": [[decision.name, decision.size] for decision in self._decisions],
            "lengths": self._lengths,
            "objective": [str(self.objective.name), str(self.objective.direction)],
            "start": start,
            **{
                name: dataclasses.asdict(said)
                for name, said in (("policy_config", policy), ("learner_config", learner))
            },
            "failures": dataclasses.asdict(failures),
        }
        self._journal: OracleJournal | None = None
        self._strategy: Strategy | None = None
        self._heard: list[Trial] = []
        self._proposals: dict[str, Proposal] = {}
        self._since: dict[str, float] = {}

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """See `keras_tuner.Oracle.populate_space`."""
        if self._strategy is None:  # made when it is needed first: a worker of a chief needs none
            self._strategy = self._make()
            for trial in self._heard:
                self._strategy.observe(trial)
        try:
            proposal = self._strategy.propose(int(trial_id))
        except ValueError as error:  # there is nothing left to try (grid)
            print(error)
            return {"status": _Status.STOPPED}
        self._proposals[trial_id] = proposal
        return {"status": _Status.RUNNING, "values": self._values(proposal)}

    @keras_tuner.synchronized
    def create_trial(self, tuner_id: str) -> Any:  # noqa: ANN401 - KerasTuner has no types
        """See `keras_tuner.Oracle.create_trial`. The trial is on disk when this returns."""
        journal = self._opened()
        if tuner_id in self.ongoing_trials:
            return self.ongoing_trials[tuner_id]
        self._take_back()
        begun = set(self.trials)
        trial = super().create_trial(tuner_id)
        if trial.status == _Status.STOPPED and self._seconds is not None and self.ongoing_trials:
            time.sleep(_POLL)  # one of these may yet be this worker's
            self.tuner_ids.add(tuner_id)
            trial.status = _Status.IDLE
        if trial.status == _Status.RUNNING:
            self._since[trial.trial_id] = time.monotonic()
            if trial.trial_id in begun:
                trial.metrics = keras_tuner.engine.trial.Trial(trial.hyperparameters).metrics  # of this attempt alone
            else:
                proposal = self._proposals[trial.trial_id]
                journal.append({"begin": trial.trial_id, "tokens": proposal.tokens, "log_probs": proposal.log_probs})
        return trial

    def score_trial(self, trial: Any) -> None:  # noqa: ANN401 - KerasTuner has no types
        """See `keras_tuner.Oracle.score_trial`. An infinite score is none, as KerasTuner has it for nan."""
        super().score_trial(trial)
        if not math.isfinite(trial.score):
            trial.score = math.nan

    @keras_tuner.synchronized
    def end_trial(self, trial: Any) -> None:  # noqa: ANN401 - KerasTuner has no types
        """See `keras_tuner.Oracle.end_trial`. The end is on disk when this returns.

        One that has ended before, by another worker that was given it, is passed over.
        """
        if all(ongoing.trial_id != trial.trial_id for ongoing in self.ongoing_trials.values()):
            print(f"trial {trial.trial_id} comes to an end once more, and is passed over")
            return
        said, ends = trial.status, len(self.end_order)
        trial.hyperparameters.values.update(self._values(self._proposals[trial.trial_id]))
        try:
            super().end_trial(trial)
        except RuntimeError:  # too many failures in a row: this one has ended
            if len(self.end_order) > ends:
                self._end(trial.trial_id, said)
            raise
        self._end(trial.trial_id, said)

    def save(self) -> None:
        """Nothing is left to do: each begin and end was written when it came. A fresh project's file is begun."""
        self._opened()

    def reload(self) -> None:
        """Goes on with the project in the tuner's folder. Raises RuntimeError where it has none of this class."""
        path = self._path
        if not path.exists():
            raise RuntimeError(f"{path}: no such file; expected a project of ControllerOracle, or overwrite=True")
        self._journal = None
        self._opened()

    @property
    def _path(self) -> Path:
        return Path(self._project_dir) / JOURNAL  # the one thing of KerasTuner's that has no public name

    def _opened(self) -> OracleJournal:
        """The journal, read when it is opened: what it holds has happened, whether KerasTuner asks for it or not."""
        if self._journal is None:
            journal = OracleJournal(self._path, self._said)
            self._replay(journal)
            self._journal = journal
        return self._journal

    def _replay(self, journal: OracleJournal) -> None:
        self.trials, self._proposals, self._heard, self._strategy = {}, {}, [], None
        ends: list[str] = []
        runs: dict[str, int] = {}
        for record in journal.records:
            if "begin" in record:
                self._begun(record)
                continue
            trial_id = record["end"]
            if trial_id not in self.trials:
                raise ValueError(f"{self._path}: trial {trial_id!r} ends and has not begun")
            runs[trial_id] = runs.get(trial_id, 0) + 1
            self._ended(self.trials[trial_id], record)
            if not record["again"]:
                ends.append(trial_id)
                self._heard.append(self._heard_of(record))
        state = self.get_state()
        state["ongoing_trials"] = {}
        state["start_order"], state["end_order"], state["run_times"] = list(self.trials), ends, runs
        state["retry_queue"] = [trial_id for trial_id in reversed(self.trials) if trial_id not in set(ends)]
        self.set_state(state)

    def _begun(self, record: dict[str, Any]) -> None:
        trial_id = record["begin"]
        try:
            proposal = Proposal(int(trial_id), tuple(record["tokens"]), tuple(map(float, record["log_probs"])))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self._path}: trial {trial_id!r} can't be read ({error})") from None
        hyperparameters = self.get_space()
        hyperparameters.values = self._values(proposal)
        self._proposals[trial_id] = proposal
        self.trials[trial_id] = keras_tuner.engine.trial.Trial(hyperparameters, trial_id)

    def _ended(self, trial: Any, record: dict[str, Any]) -> None:  # noqa: ANN401 - KerasTuner has no types
        state = trial.get_state()
        state |= {name: record[name] for name in ("status", "score", "best_step", "message", "metrics")}
        trial.set_state(state)
        if record["more"]:
            more = keras_tuner.HyperParameters.from_config(record["more"])
            trial.hyperparameters.merge(more)
            trial.hyperparameters.values = {**more.values, **self._values(self._proposals[trial.trial_id])}

    def _end(self, trial_id: str, said: str) -> None:
        """Writes down how a trial ended, and tells the strategy where it is not to be run again."""
        trial = self.trials[trial_id]
        again = trial.status == _Status.INVALID
        outcome = outcome_of(trial.status, said, trial.message)
        sign = 1 if self.objective.direction == "max" else -1
        more = keras_tuner.HyperParameters()
        more.merge([hp for hp in trial.hyperparameters.space if hp.name not in self._names])
        more.values = {name: value for name, value in trial.hyperparameters.values.items() if name not in self._names}
        record = {
            "end": trial_id,
            "again": again,
            "outcome": str(outcome),
            "reward": sign * float(trial.score) if outcome is Outcome.OK else None,
            "seconds": time.monotonic() - self._since[trial_id],
            "cause": cause_of(trial.message, outcome),
            "status": trial.status,
            "score": trial.score,
            "best_step": trial.best_step,
            "message": trial.message,
            "metrics": trial.metrics.get_config(),
            "more": more.get_config() if more.space else None,
        }
        self._opened().append(record)
        if not again:
            heard = self._heard_of(record)
            self._heard.append(heard)
            if self._strategy is not None:
                self._strategy.observe(heard)

    def _heard_of(self, record: dict[str, Any]) -> Trial:
        try:
            outcome, proposal = Outcome(record["outcome"]), self._proposals[record["end"]]
            return Trial(proposal, outcome, record["reward"], float(record["seconds"]), record["cause"])
        except ValueError as error:
            raise ValueError(f"{self._path}: trial {record['end']!r} can't be read ({error})") from None

    def _take_back(self) -> None:
        """Ends what has run too long as invalid, which KerasTuner takes for a try that may be followed by another."""
        if self._seconds is None:
            return
        now = time.monotonic()
        for tuner_id, trial in list(self.ongoing_trials.items()):
            if now - self._since[trial.trial_id] > self._seconds:
                self.tuner_ids.discard(tuner_id)  # the chief ends when all of these have been told that nothing is left
                print(f"trial {trial.trial_id}: {LOST} {self._seconds:g} s ({tuner_id}); it is taken back")
                trial.status, trial.message = _Status.INVALID, f"{LOST} {self._seconds:g} s (seconds_per_trial)"
                self.end_trial(trial)

    def _values(self, proposal: Proposal) -> dict[str, int]:
        return hyperparameter_values(self._decisions, self._lengths, proposal.tokens)
