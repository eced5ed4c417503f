"""What a user can set about a strategy. No TensorFlow here: `--help` must answer at once."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal, get_args

Loss = Literal["ppo", "reinforce"]
Optimizer = Literal["adam", "sgd"]
BaselineStart = Literal["first", "zero"]
RewardScale = Literal["std", "none"]


def _declared(outcome: str) -> float | None:
    text = f"Reward that the strategy hears for a child that ended as {outcome}; unset: the worst reward seen so far."
    return dataclasses.field(default=None, metadata={"help": text})


@dataclasses.dataclass(frozen=True)
class FailureConfig:
    """What a strategy hears for each way to fail.

    By default the worst reward seen so far, not zero: where accuracies lie between 0.6 and 0.7, one zero outweighs
    every difference between them, in an average, in a standard deviation and so in a whole batch.

    Raises ValueError, one line with the field and the value, for a value that is not finite.
    """

    oom_reward: float | None = _declared("oom (out of memory)")
    nan_reward: float | None = _declared("nan (its loss was not finite)")
    timeout_reward: float | None = _declared("timeout")
    invalid_reward: float | None = _declared("invalid (over a limit, never started)")
    crashed_reward: float | None = _declared("crashed")
    lost_reward: float | None = _declared("lost (its process was killed from outside, again and again)")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{field.name} is a finite number, got {value}")


@dataclasses.dataclass(frozen=True)
class PolicyGradientConfig:
    """How the LSTM policy learns. The numbers are those of arXiv 1707.07012, A.2 and A.3, where it gives them.

    Raises ValueError, one line with the field and the value, for a value out of range.
    """

    loss: Loss = dataclasses.field(
        default="ppo",
        metadata={"help": "What is minimised: ppo (the paper's) or reinforce, which needs update_epochs=1."},
    )
    learning_rate: float = dataclasses.field(
        default=3.5e-4, metadata={"help": "Step size of the policy's optimizer (paper A.3)."}
    )
    update_trials: int = dataclasses.field(
        default=20, metadata={"help": "Finished trials that make one update (paper A.3)."}
    )
    update_epochs: int = dataclasses.field(
        default=10,
        metadata={
            "help": "Passes, one optimizer step each, over the trials of an update. Not in the paper. At 600 trials, 1 "
            "and 3 have learned next to nothing and 5 less than 10; 20 and more narrow down too early."
        },
    )
    clip: float = dataclasses.field(
        default=0.2,
        metadata={
            "help": "PPO: how far a decision's probability ratio may move from 1 in one update, 0 to 1. Not in the "
            "paper; the best of those in arXiv 1707.06347, table 1. At 600 trials 0.1 is slower, 0.4 no better."
        },
    )
    entropy_weight: float = dataclasses.field(
        default=1e-5,
        metadata={"help": "Weight of the entropy, summed over decisions, in nats, that is rewarded (paper A.3)."},
    )
    baseline_decay: float = dataclasses.field(
        default=0.95,
        metadata={"help": "Weight, at each trial, of the old value in the moving average of rewards (paper A.3)."},
    )
    baseline_start: BaselineStart = dataclasses.field(
        default="first",
        metadata={
            "help": "Where the moving average starts: first (the mean of the first update's rewards) or zero. Not in "
            "the paper. From zero, the first updates call every trial a good one."
        },
    )
    reward_scale: RewardScale = dataclasses.field(
        default="std",
        metadata={
            "help": "std: rewards less baseline are divided by their root mean square over the update, that is their "
            "standard deviation about the baseline; none: as they are. Not in the paper. With std, the unit of the "
            "reward does not matter to sgd and to the entropy's weight."
        },
    )
    optimizer: Optimizer = dataclasses.field(
        default="adam",
        metadata={
            "help": "adam or sgd, for the policy. Not in the paper. At its learning rate, sgd learns nothing in 600 "
            "trials."
        },
    )
    units: int = dataclasses.field(default=100, metadata={"help": "Units of the LSTM (paper A.2)."})
    embedding_size: int = dataclasses.field(
        default=32,
        metadata={
            "help": "Numbers an earlier token is turned into, as the LSTM's input. Not in the paper. 8 learns a little "
            "slower, 100 no faster."
        },
    )

    def __post_init__(self) -> None:
        names = (
            ("loss", Loss),
            ("baseline_start", BaselineStart),
            ("reward_scale", RewardScale),
            ("optimizer", Optimizer),
        )
        for name, choices in names:
            self._require(name, f"is one of {', '.join(get_args(choices))}", getattr(self, name) in get_args(choices))
        for name in ("update_trials", "update_epochs", "units", "embedding_size"):
            self._require(name, "is 1 or more", getattr(self, name) >= 1)
        self._require("learning_rate", "is above 0 and finite", 0 < self.learning_rate < math.inf)
        self._require("clip", "is above 0 and below 1", 0 < self.clip < 1)
        self._require("entropy_weight", "is 0 or more and finite", 0 <= self.entropy_weight < math.inf)
        self._require("baseline_decay", "is 0 or more and below 1", 0 <= self.baseline_decay < 1)
        # A second step on the same trials needs the ratio to the policy before the first, and REINFORCE has none.
        self._require("update_epochs", "is 1 with loss=reinforce", self.loss == "ppo" or self.update_epochs == 1)

    def _require(self, name: str, what: str, met: bool) -> None:
        if not met:
            raise ValueError(f"{name} {what}, got {getattr(self, name)!r}")
