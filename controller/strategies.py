"""The strategies by name. No TensorFlow until one that needs it is made."""

from __future__ import annotations

from cells.spaces.space import Decision, Tokens
from controller.config import BadSetting, FailureConfig, PolicyGradientConfig
from controller.grid_search import GridSearch
from controller.random_search import RandomSearch
from controller.strategy import Length, Strategy

STRATEGIES = ("ppo", "reinforce", "random", "grid")
"""What `make_strategy` takes. All but random and grid are policy gradients, and have an LSTM."""


def check_strategy(
    name: str, decisions: tuple[Decision, ...], length: Length | None, policy_config: PolicyGradientConfig
) -> None:
    """Raises BadSetting where such a strategy cannot be, or cannot serve such a space: one line."""
    if name not in STRATEGIES:
        raise BadSetting("strategy", name, f"must be one of {', '.join(STRATEGIES)}")
    if name == "grid" and length is not None and length(0) < len(decisions):
        others = ", ".join(STRATEGIES[:-1])
        raise BadSetting("strategy", name, f"cannot exhaust a space that grows while it is searched; expected {others}")
    if name in ("ppo", "reinforce"):
        policy_config.epochs_of(name)


def make_strategy(
    name: str,
    decisions: tuple[Decision, ...],
    length: Length | None,
    policy_config: PolicyGradientConfig,
    failures: FailureConfig,
    seed: int,
    first: Tokens | None = None,
) -> Strategy:
    """A fresh strategy.

    Args:
        name: one of `STRATEGIES`.
        decisions: those of the space, all that any trial has.
        length: how many of them a trial takes; None where all trials take all.
        policy_config: of the policy gradients, ppo and reinforce; what decides between those is the name.
        failures: what they hear of a trial that failed.
        seed: of what is drawn.
        first: the tokens that grid begins with, such as those of a published network; the others do not hear of it.

    Raises:
        BadSetting: as `check_strategy`.
    """
    check_strategy(name, decisions, length, policy_config)
    if length is not None and length(0) == len(decisions):
        length = None  # it does not grow
    if name == "random":
        return RandomSearch(decisions, seed, length)
    if name == "grid":
        return GridSearch(decisions, first)
    from controller.policy.policy_gradient import PolicyGradient

    loss = "reinforce" if name == "reinforce" else "ppo"
    return PolicyGradient(decisions, policy_config, seed, failures, length, loss)
