"""What a user can set about a strategy. No TensorFlow here: a list of all settings must come at once."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args, get_type_hints


class BadSetting(ValueError):
    """A value that a field cannot have. Its message is one line: the field, the value, the rule that is broken."""

    def __init__(self, name: str, value: object, rule: str, see: tuple[str, ...] = ()) -> None:
        super().__init__(name, value, rule, see)
        self.name, self.value, self.rule, self.see = name, value, rule, see

    def __str__(self) -> str:
        return f"{self.name}={self.value}: {self.rule}" + (f" (see {', '.join(self.see)})" if self.see else "")


# This room imports nothing of nasnet/, and nothing that trains may import this room. So what a field says of itself and
# what its check says are written twice: here and, with types, in nasnet/runtime/setting.py. A test holds them equal.
_BOUNDS = {
    "least": (operator.ge, "{:g} or more"),
    "above": (operator.gt, "above {:g}"),
    "most": (operator.le, "at most {:g}"),
    "below": (operator.lt, "below {:g}"),
}


def _setting(default: Any, help: str, **said: Any) -> Any:  # noqa: ANN401 - as dataclasses.field
    return dataclasses.field(default=default, metadata={"help": help, **said})


def _check(config: object) -> None:
    hints = get_type_hints(type(config))
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        if field.default is None and getattr(config, field.name) is None:
            continue
        value, choices = getattr(config, field.name), get_args(hints[field.name])
        if choices and isinstance(choices[0], str):
            rule = None if value in choices else f"one of {', '.join(choices)}"
        else:
            rule = _broken_range(field.metadata, value)
        if rule:
            raise BadSetting(field.name, value, f"must be {rule}")


def _broken_range(said: Mapping[str, Any], value: float) -> str | None:
    bounds = {name: said[name] for name in _BOUNDS if name in said}
    finite = abs(value) < math.inf
    if finite and all(_BOUNDS[name][0](value, bound) for name, bound in bounds.items()):
        return None
    words = [_BOUNDS[name][1].format(bound) for name, bound in bounds.items() if abs(bound) < math.inf]
    return " and ".join(words + ["finite"] * (not finite))


def _declared(outcome: str) -> float | None:
    text = f"reward that the strategy hears for a child that ended as {outcome}; unset: the worst reward seen so far"
    return _setting(None, text, above=-math.inf, below=math.inf)


@dataclasses.dataclass(frozen=True)
class FailureConfig:
    """What a strategy hears for each way to fail.

    By default the worst reward seen so far, not zero: where accuracies lie between 0.6 and 0.7, one zero outweighs
    every difference between them, in an average, in a standard deviation and so in a whole batch.

    Raises BadSetting, a ValueError, for a value that is not finite.
    """

    oom_reward: float | None = _declared("oom (out of memory)")
    nan_reward: float | None = _declared("nan (its loss was not finite)")
    timeout_reward: float | None = _declared("timeout")
    invalid_reward: float | None = _declared("invalid (over a limit, never started)")
    crashed_reward: float | None = _declared("crashed")
    lost_reward: float | None = _declared("lost (its process was killed from outside, again and again)")

    def __post_init__(self) -> None:
        _check(self)


@dataclasses.dataclass(frozen=True)
class PolicyGradientConfig:
    """How the LSTM policy learns.

    The numbers are those of arXiv 1707.07012, A.2 and A.3, where it gives them.

    Raises BadSetting, a ValueError, for a value out of range.
    """

    learning_rate: float = _setting(
        3.5e-4, "step size of the policy's optimizer (paper A.3)", above=0, flag="controller_learning_rate"
    )
    update_trials: int = _setting(20, "finished trials that make one update (paper A.3)", unit="trials", least=1)
    update_epochs: int | None = _setting(
        None,
        "passes, one optimizer step each, over the trials of an update; unset: 10 with PPO, and 1, the only number, "
        "with REINFORCE. Not in the paper. At 600 trials, 1 and 3 have learned next to nothing and 5 less than 10; "
        "20 and more narrow down too early",
        unit="epochs",
        least=1,
        flag="controller_update_epochs",
    )
    clip: float = _setting(
        0.2,
        "PPO: how far a decision's probability ratio may move from 1 in one update, 0 to 1. Not in the "
        "paper; the best of those in arXiv 1707.06347, table 1. At 600 trials 0.1 is slower, 0.4 no better",
        above=0,
        below=1,
        flag="controller_clip",
    )
    entropy_weight: float = _setting(
        1e-5,
        "weight of the entropy, summed over decisions, in nats, that is rewarded (paper A.3)",
        least=0,
        flag="controller_entropy_weight",
    )
    baseline_decay: float = _setting(
        0.95,
        "weight, at each trial, of the old value in the moving average of rewards (paper A.3)",
        least=0,
        below=1,
        flag="controller_baseline_decay",
    )
    baseline_start: Literal["first", "zero"] = _setting(
        "first",
        "where the moving average starts: first (the mean of the first update's rewards) or zero. Not in "
        "the paper. From zero, the first updates call every trial a good one",
        flag="controller_baseline_start",
    )
    reward_scale: Literal["std", "none"] = _setting(
        "std",
        "std: rewards less baseline are divided by their root mean square over the update, that is their "
        "standard deviation about the baseline; none: as they are. Not in the paper. With std, the unit of the "
        "reward does not matter to sgd and to the entropy's weight",
        flag="controller_reward_scale",
    )
    optimizer: Literal["adam", "sgd"] = _setting(
        "adam",
        "adam or sgd, for the policy. Not in the paper. At its learning rate, sgd learns nothing in 600 trials",
        flag="controller_optimizer",
    )
    reward_power: float = _setting(
        1.0,
        "the power of a child's reward that the strategy hears (2017 paper: 3); screen and journal keep the reward",
        above=0,
        flag="controller_reward_power",
    )
    layers: int = _setting(
        1, "layers of the LSTM (paper A.2; 2017 paper: 2)", unit="layers", least=1, flag="controller_layers"
    )
    units: int = _setting(
        100,
        "units of each layer of the LSTM (paper A.2; 2017 paper: 35)",
        unit="units",
        least=1,
        flag="controller_units",
    )
    initial_scale: float = _setting(
        0.1,
        "weights of the LSTM start uniform between minus and plus this (paper A.3; 2017 paper: 0.08)",
        above=0,
        flag="controller_initial_scale",
    )
    embedding_size: int = _setting(
        32,
        "numbers an earlier token is turned into, as the LSTM's input. Not in the paper. 8 learns a little "
        "slower, 100 no faster",
        unit="numbers",
        least=1,
        flag="controller_embedding_size",
    )

    def __post_init__(self) -> None:
        _check(self)

    def epochs_of(self, loss: str) -> int:
        """The passes over an update's trials. Raises BadSetting for REINFORCE with more than one."""
        # A second step on the same trials needs the ratio to the policy before the first, and REINFORCE has none.
        if loss == "reinforce" and self.update_epochs not in (None, 1):
            raise BadSetting("update_epochs", self.update_epochs, "must be 1 with REINFORCE", see=("strategy",))
        return self.update_epochs or (1 if loss == "reinforce" else 10)


@dataclasses.dataclass(frozen=True)
class LearnerConfig:
    """How evolution, local search, the predictor and the imagination of dyna_ppo learn.

    Raises BadSetting, a ValueError, for a value out of range.
    """

    population: int = _setting(
        20,
        "evolution: youngest trials, that parents are drawn from (P of arXiv 1802.01548: 100 for 20,000 trials)",
        unit="trials",
        least=2,
        flag="evolution_population",
    )
    sample: int = _setting(
        5,
        "evolution: of these, those whose best becomes a parent (S of arXiv 1802.01548: 25)",
        unit="trials",
        least=1,
        flag="evolution_sample",
    )
    uniform_trials: int = _setting(
        20,
        "local_search, predictor, dyna_ppo and kt_bayesian: trials that are drawn uniformly before they begin",
        unit="trials",
        least=2,
    )
    refit_trials: int = _setting(
        20, "predictor and dyna_ppo: trials from one fit of the model to the next", unit="trials", least=1
    )
    imagined_steps: int = _setting(
        20, "dyna_ppo: steps of the policy's optimizer on imagined trials after each fit", unit="steps", least=1
    )
    imagined_samples: int = _setting(64, "dyna_ppo: imagined trials of each of these steps", unit="trials", least=2)
    imagined_entropy_weight: float = _setting(
        0.1,
        "dyna_ppo: controller_entropy_weight of these steps, whose rewards have deviation 1. On cells 0.02 narrowed "
        "down too early and 0.2 was slow",
        least=0,
    )
    imagined_learning_rate: float = _setting(
        3e-3, "dyna_ppo: step size of these steps, which have an Adam of their own", above=0
    )

    def __post_init__(self) -> None:
        _check(self)


CHAIN_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "strategy": "reinforce",
        "controller_layers": 2,
        "controller_units": 35,
        "controller_initial_scale": 0.08,
        "controller_learning_rate": 6e-4,
        "controller_optimizer": "adam",
        "update_trials": 8,
        "controller_entropy_weight": 0.0,
        "controller_reward_scale": "none",
        "controller_reward_power": 3.0,
        "reward": "best_of_last_5",
    }
)
"""The flags of the layer-wise controller (arXiv 1611.01578, sections 3.2 and 4.1), by name.

Eight trials an update are its m = 8 children of a controller replica. It has no entropy bonus and divides by no
standard deviation. The decay of its moving baseline is not stated: that of the NASNet paper stays.
"""
