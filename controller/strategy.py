"""What every strategy is: it proposes tokens, hears how the trial ended, and nothing else."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from cells.spaces.space import Tokens
from controller.config import FailureConfig

Features = Callable[[Tokens], Sequence[float]]
"""What a space says of tokens in numbers: as many for each of them."""
Length = Callable[[int], int]
"""`cells.spaces.space.Space.length`: how many of the decisions, from the first, a trial of this number takes."""


class Outcome(enum.StrEnum):
    """How a trial ended. Only `OK` comes with a reward of its own."""

    OK = "ok"
    OOM = "oom"
    NAN = "nan"
    TIMEOUT = "timeout"
    INVALID = "invalid"
    CRASHED = "crashed"
    LOST = "lost"


@dataclasses.dataclass(frozen=True)
class Proposal:
    """What to try next: one token, and its log-probability under the strategy that chose it, for each decision.

    The log-probabilities (natural, in nats) are the behaviour policy's, given the tokens before. They travel with the
    trial, because the strategy may have learned something else by the time the trial ends.
    """

    trial_id: int
    tokens: Tokens
    log_probs: tuple[float, ...]

    @classmethod
    def chosen(cls, trial_id: int, tokens: Tokens) -> Proposal:
        """A proposal whose tokens were chosen together, not drawn one by one: their log-probabilities are 0, for 1."""
        return cls(trial_id, tokens, (0.0,) * len(tokens))

    @property
    def was_drawn(self) -> bool:
        """Whether a policy drew it: False where it was `chosen`."""
        return any(self.log_probs)

    def __post_init__(self) -> None:
        if self.trial_id < 0:
            raise ValueError(f"a trial_id is 0 or more, got {self.trial_id}")
        if len(self.tokens) != len(self.log_probs):
            raise ValueError(f"one log-probability a token, got {len(self.log_probs)} for {len(self.tokens)} tokens")


@dataclasses.dataclass(frozen=True)
class Trial:
    """A proposal and how it ended.

    `reward` (higher is better) is a finite number where the outcome is ok, and None everywhere else: what a strategy
    is to make of a failure is `FailureRewards`' business. `seconds` is wall time, `cause` one line on a failure.
    `figures` are what lies behind the reward, by name, where that is more than one number; no strategy reads them.

    Where trials are measured again and again, each time better than before and fewer of them (rungs), `reward` is the
    last measure and `earlier` are those before it; of a trial that failed, those that it had until then.
    """

    proposal: Proposal
    outcome: Outcome
    reward: float | None
    seconds: float
    cause: str = ""
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict, hash=False)
    earlier: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if (self.outcome is Outcome.OK) != (self.reward is not None):
            raise ValueError(f"a trial has a reward if its outcome is ok, got {self.outcome} with {self.reward}")
        if self.reward is not None and not math.isfinite(self.reward):
            raise ValueError(f"a reward is a finite number, got {self.reward}: such a trial's outcome is nan")

    @property
    def rewards(self) -> tuple[float, ...]:
        """That of each rung, in order: of the only one where there are no rungs, of none where that failed."""
        return self.earlier if self.reward is None else (*self.earlier, self.reward)

    @property
    def rung(self) -> int:
        """How many rungs it ended well: the last of them is the one that `reward` is of."""
        return len(self.rewards)

    @property
    def rank(self) -> tuple[int, float, int]:
        """Sorts trials with a reward: the highest rung first, then the highest reward, then the earliest."""
        assert self.reward is not None
        return -self.rung, -self.reward, self.proposal.trial_id

    @property
    def accuracy(self) -> float | None:
        """The reward before anything else was made part of it: the figure of that name, where there is one."""
        return None if self.reward is None else self.figures.get("accuracy", self.reward)


class Strategy(Protocol):
    """Decides what to try.

    `propose` is pure: its answer depends on the trials observed, the seed and `trial_id`, and asking changes nothing.
    `observe` is the only change, and its order counts: the same trials in the same order give the same strategy, bit
    for bit; in another order they may give another one. Keeping (and replaying) the order is the caller's part.
    """

    def propose(self, trial_id: int) -> Proposal:
        """The tokens to try as trial `trial_id`. Raises ValueError where there is nothing left to try (grid)."""
        ...

    def observe(self, trial: Trial) -> None:
        """Learns from one finished trial, which may be anyone's proposal over the same decisions."""
        ...


class FailureRewards:
    """The number a strategy hears for each trial, in the order of `reward_of`.

    An ok trial's reward is heard raised to `power`, its sign kept; the trial itself, and so the journal, keeps the
    reward as it is. A failed trial is heard as `failures` declares, to no power, and else as the worst that was heard
    of an ok one so far, 0 before there is one (for why not always as zero, see `FailureConfig`).
    """

    def __init__(self, failures: FailureConfig | None = None, power: float = 1.0) -> None:
        self._failures = failures or FailureConfig()
        self._power = power
        self._worst: float | None = None

    def rewards_of(self, trial: Trial) -> tuple[float, ...]:
        """Those of all rungs that it reached, the last one as `reward_of`. Always finite."""
        return (*map(self._heard, trial.earlier), self.reward_of(trial))

    def reward_of(self, trial: Trial) -> float:
        """The reward to learn from, that of the last rung. Always finite."""
        if trial.reward is None:
            declared = getattr(self._failures, f"{trial.outcome}_reward")
            return next((float(heard) for heard in (declared, self._worst) if heard is not None), 0.0)
        heard = self._heard(trial.reward)
        self._worst = heard if self._worst is None else min(self._worst, heard)
        return heard

    def _heard(self, reward: float) -> float:
        return reward if self._power == 1 else math.copysign(abs(reward) ** self._power, reward)


def trial_rng(seed: int, trial_id: int) -> np.random.Generator:
    """The random numbers of one trial: independent of those of every other trial and of `default_rng(seed)`.

    A spawn key, not `default_rng([seed, trial_id])`: numpy fills a short entropy with zeros, so that trial 0 would
    draw the very numbers of `default_rng(seed)`.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(trial_id,)))
