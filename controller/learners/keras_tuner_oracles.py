"""Strategies: KerasTuner's own oracles, asked anew for each proposal."""

from __future__ import annotations

import warnings
from typing import Any

import keras_tuner
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from cells.spaces.space import Decision, Tokens, ask
from controller.config import FailureConfig, LearnerConfig
from controller.learners.learner import Learner
from controller.strategy import Length, Proposal, Trial, trial_rng

_Status = keras_tuner.engine.trial.TrialStatus
_OBJECTIVE = keras_tuner.Objective("reward", "max")


class KerasTunerOracle(Learner):
    """Strategy: `RandomSearchOracle` or `BayesianOptimizationOracle` of KerasTuner, over any decisions.

    An oracle there has a state that each question changes. Here each proposal has a fresh one, which is given the
    trials observed and a seed, and only its `populate_space` is called, so that nothing is written anywhere.

    Bayesian optimization (a Gaussian process with a Matern kernel, the upper confidence bound) begins after
    `uniform_trials`, not after KerasTuner's three for each decision, which are 150 trials of NASNet's space. The
    proposals of trials that are not observed yet are made again, in order, and the oracle takes them for running ones,
    of which it thinks little: otherwise those of a wave were one and the same. A trial costs a fit and 50 searches by
    L-BFGS (docs/results.md). It answers tokens that were tried before where it thinks they are the best.

    Hyperband is no strategy here: it decides how long a trial trains, and a search's trials are equally long
    (`--mode=tune` has it; rungs are its like).

    Args:
        bayesian: whether it is that one.
        decisions, config, seed, failures, length: see `Learner`.
    """

    def __init__(
        self,
        bayesian: bool,
        decisions: tuple[Decision, ...],
        config: LearnerConfig,
        seed: int,
        failures: FailureConfig | None = None,
        length: Length | None = None,
    ) -> None:
        super().__init__(decisions, config, seed, failures, length)
        self._bayesian = bayesian
        self._observed: set[int] = set()
        self._asked: _Asked | None = None

    def propose(self, trial_id: int) -> Proposal:
        """See `Strategy.propose`."""
        length = self._length_of(trial_id)
        alike = [(tokens, reward) for tokens, reward in self._trials if len(tokens) == length]
        if not self._bayesian or len(alike) < self._config.uniform_trials:
            seed = int(trial_rng(self._seed, trial_id).integers(1, 2**31))  # KerasTuner takes a seed of 0 for none
            space = _space(self._decisions[:length])
            oracle = keras_tuner.oracles.RandomSearchOracle(_OBJECTIVE, None, seed, space)
            return Proposal.chosen(trial_id, _tokens(oracle, trial_id, self._decisions[:length]))
        pending = [earlier for earlier in range(trial_id) if earlier not in self._observed]
        trial_ids = [earlier for earlier in pending if self._length_of(earlier) == length] + [trial_id]
        asked = self._asked
        if asked is None or not asked.goes_on_with(trial_ids, length):
            seed = int(trial_rng(self._seed, len(self._trials)).integers(1, 2**31))
            asked = self._asked = _Asked(self._decisions[:length], alike, seed)
        return Proposal.chosen(trial_id, asked.tokens(trial_ids))

    def observe(self, trial: Trial) -> None:
        """See `Learner.observe`."""
        super().observe(trial)
        self._observed.add(trial.proposal.trial_id)
        self._asked = None

    def _length_of(self, trial_id: int) -> int:
        return len(self._decisions) if self._length is None else self._length(trial_id)


class _Asked:
    """An oracle of Bayesian optimization that is asked for one trial after the other, none of which ends."""

    def __init__(self, decisions: tuple[Decision, ...], observed: list[tuple[Tokens, float]], seed: int) -> None:
        self._decisions = decisions
        self._made: dict[int, Tokens] = {}
        self._oracle = keras_tuner.oracles.BayesianOptimizationOracle(
            _OBJECTIVE, None, num_initial_points=1, seed=seed, hyperparameters=_space(decisions)
        )
        for number, (tokens, reward) in enumerate(observed):
            trial = self._trial(f"observed {number}", tokens, _Status.COMPLETED)
            trial.score = reward

    def goes_on_with(self, trial_ids: list[int], length: int) -> bool:
        """Whether what it was asked for is where these begin, or they are where it begins."""
        both = zip(self._made, trial_ids, strict=False)
        return length == len(self._decisions) and all(made == asked for made, asked in both)

    def tokens(self, trial_ids: list[int]) -> Tokens:
        """Those of the last of these trials."""
        for trial_id in trial_ids[len(self._made) :]:
            # Its matrices are small: with a thread for each core a proposal took several times as long, and other bits.
            with warnings.catch_warnings(), threadpool_limits(1):
                warnings.simplefilter("ignore", ConvergenceWarning)  # of the kernel's length, where all is alike
                tokens = _tokens(self._oracle, trial_id, self._decisions)
            self._made[trial_id] = tokens
            name = f"running {trial_id}"
            self._oracle.ongoing_trials[name] = self._trial(name, tokens, _Status.RUNNING)
        return self._made[trial_ids[-1]]

    def _trial(self, name: str, tokens: Tokens, status: str) -> Any:  # noqa: ANN401 - KerasTuner has no types
        hyperparameters = keras_tuner.HyperParameters()
        names = [decision.name for decision in self._decisions]
        hyperparameters.values = dict(zip(names, tokens, strict=True))
        trial = keras_tuner.engine.trial.Trial(hyperparameters, name, status)
        self._oracle.trials[name] = trial
        return trial


def _space(decisions: tuple[Decision, ...]) -> keras_tuner.HyperParameters:
    space = keras_tuner.HyperParameters()
    ask(space, decisions, (len(decisions),))
    return space


def _tokens(oracle: keras_tuner.Oracle, trial_id: int, decisions: tuple[Decision, ...]) -> Tokens:
    values = oracle.populate_space(str(trial_id))["values"]
    return tuple(values[decision.name] for decision in decisions)
