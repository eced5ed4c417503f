"""Models of what was observed: linear, of the reward; logistic, of which tokens are invalid."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

import numpy as np
from scipy.stats import norm, rankdata
from sklearn.linear_model import BayesianRidge, LogisticRegression

from cells.spaces.space import Decision, Tokens
from controller.config import LearnerConfig
from controller.strategy import Features, Outcome

FEW = 5
"""Invalid trials, and valid ones, that a model of which are invalid needs."""


def one_hot(decisions: tuple[Decision, ...], rows: np.ndarray) -> np.ndarray:
    """What is said of tokens `[n, T]` where a space says nothing itself: `[n, F]`, 1 for each option taken.

    T may be fewer than all decisions: those that were not taken have zeros.
    """
    columns = [np.zeros((len(rows), decision.size)) for decision in decisions]
    for place in range(rows.shape[1]):
        columns[place][np.arange(len(rows)), rows[:, place]] = 1.0
    return np.concatenate(columns, axis=1)


class _Standard:
    """Features less their mean over some trials, by their deviation; those that are the same in all are left out."""

    def __init__(self, features: np.ndarray) -> None:
        self._mean, deviation = features.mean(0), features.std(0)
        self.varies = deviation > 0
        self._deviation = np.where(self.varies, deviation, 1.0)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        return ((features - self._mean) / self._deviation)[:, self.varies]


class RewardModel:
    """Bayesian linear regression of rewards on features (scikit-learn's, which finds its two precisions itself).

    Features are standardised over the trials; those that are the same in all of them say nothing and are left out.
    Rewards are taken as normal scores, the normal distribution's quantiles of their ranks: a few children that learned
    nothing would else outweigh all differences between good ones. (On NAS-Bench-201, where one in eight is such, 150
    trials find the optimum so in 75 of 100 searches, and without in 5 of 10; docs/results.md.)
    """

    def __init__(self, features: np.ndarray, rewards: np.ndarray) -> None:
        """Fits features `[n, F]` and rewards `[n]`, n of 2 or more."""
        self._standard = _Standard(features)
        self._weights = self._spread = np.zeros(0)
        scores = norm.ppf((rankdata(rewards) - 0.5) / len(rewards))
        if self._standard.varies.any() and np.ptp(scores) > 0:
            model = BayesianRidge()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # fewer trials than features: its precisions are found approximately
                model.fit(self._standard(features), scores)
            variances, directions = np.linalg.eigh(model.sigma_)
            self._weights = model.coef_
            self._spread = directions * np.sqrt(np.maximum(variances, 0.0))

    def draw(self, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
        """A draw from the posterior: a function from features `[n, F]` to normal scores `[n]`, less a constant."""
        if not len(self._weights):
            return lambda features: np.zeros(len(features))
        weights = self._weights + self._spread @ rng.standard_normal(len(self._weights))
        return lambda features: self._standard(features) @ weights


class ValidityModel:
    """Logistic regression (scikit-learn's, at its own regularisation) of whether a trial was invalid."""

    def __init__(self, features: np.ndarray, invalid: np.ndarray) -> None:
        """Fits features `[n, F]` and booleans `[n]`, some of which are true and some false."""
        self._standard = _Standard(features)
        self._model = None
        if self._standard.varies.any():
            self._model = LogisticRegression(max_iter=1000).fit(self._standard(features), invalid)

    def invalid(self, features: np.ndarray) -> np.ndarray:
        """The probability `[n]` that each of features `[n, F]` is invalid; 0 where no feature tells."""
        if self._model is None:
            return np.zeros(len(features))
        return self._model.predict_proba(self._standard(features))[:, 1]


class Observed:
    """What was observed, and what models say of other tokens.

    The models are fitted once `uniform_trials` have been observed, and anew after every `refit_trials` more: one of the
    reward, and one of which tokens are invalid where `FEW` trials were and as many were not.

    A trial has a reward of each rung that it reached. The model of the reward is of all of them, each rung but the
    first with a column of its own, which is 1 from that rung on; what it says of other tokens is of the last rung.

    Args:
        decisions: those of the space.
        config: when models are fitted.
        features: what the space says of tokens in numbers; None: which options were taken.
    """

    def __init__(
        self, decisions: tuple[Decision, ...], config: LearnerConfig, features: Features | None = None
    ) -> None:
        self._decisions = decisions
        self._config = config
        self._features = functools.lru_cache(maxsize=100_000)(features) if features else None
        self._trials: list[tuple[Tokens, tuple[float, ...], Outcome]] = []
        self._rungs = 1
        self._rewards: RewardModel | None = None
        self._validity: ValidityModel | None = None

    @property
    def fitted(self) -> bool:
        """Whether there is a model yet."""
        return self._rewards is not None

    def add(self, tokens: Tokens, rewards: tuple[float, ...], outcome: Outcome) -> bool:
        """One more trial: the rewards heard, one for each rung. Returns whether the models were fitted anew."""
        self._trials.append((tokens, rewards, outcome))
        more = len(self._trials) - self._config.uniform_trials
        if more < 0 or more % self._config.refit_trials:
            return False
        features = np.concatenate([self._matrix(np.array([tokens])) for tokens, *_ in self._trials])
        reached = np.array([len(rewards) for _, rewards, _ in self._trials])
        self._rungs = max(reached)
        rungs = np.concatenate([np.arange(rungs) for rungs in reached])
        heard = np.concatenate([rewards for _, rewards, _ in self._trials])
        self._rewards = RewardModel(self._of_rungs(np.repeat(features, reached, axis=0), rungs), heard)
        bad = np.array([outcome is Outcome.INVALID for *_, outcome in self._trials])
        if min(bad.sum(), (~bad).sum()) >= FEW:
            self._validity = ValidityModel(features, bad)
        return True

    def best(self, length: int, number: int) -> list[Tokens]:
        """The best trials of so many decisions, those of the highest rung first, the earlier first of equals."""

        def rank(trial: tuple[Tokens, tuple[float, ...], Outcome]) -> tuple[int, float]:
            _, rewards, outcome = trial
            return -len(rewards) if outcome is Outcome.OK else -1, -rewards[-1]

        alike = sorted((trial for trial in self._trials if len(trial[0]) == length), key=rank)
        return [tokens for tokens, *_ in alike[:number]]

    def draw(self, rng: np.random.Generator) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """A draw from what the reward may be, once there is a model.

        Returns:
            A function from tokens `[n, T]` to their normal scores `[n]`, less a constant, and the probabilities `[n]`
            that they are invalid.
        """
        assert self._rewards is not None
        value = self._rewards.draw(rng)

        def of_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            features = self._matrix(rows)
            invalid = np.zeros(len(rows)) if self._validity is None else self._validity.invalid(features)
            return value(self._of_rungs(features, self._rungs - 1)), invalid

        return of_rows

    def _of_rungs(self, features: np.ndarray, rungs: np.ndarray | int) -> np.ndarray:
        """Features `[n, F]` with the columns of rungs, which are counted from 0: `[n, F + R - 1]`."""
        columns = np.broadcast_to(rungs, len(features))[:, None] >= np.arange(1, self._rungs)
        return np.concatenate([features, columns], axis=1)

    def _matrix(self, rows: np.ndarray) -> np.ndarray:
        if self._features is None:
            return one_hot(self._decisions, rows)
        return np.array([self._features(tokens) for tokens in map(tuple, rows.tolist())])
