"""The strategies by name. No TensorFlow or scikit-learn until one that needs it is made."""

from __future__ import annotations

from cells.spaces.space import Decision, Tokens
from controller.config import BadSetting, FailureConfig, LearnerConfig, PolicyGradientConfig
from controller.grid_search import GridSearch
from controller.learners.evolution import RegularizedEvolution
from controller.learners.local_search import LocalSearch
from controller.random_search import RandomSearch
from controller.start import Started
from controller.strategy import Features, Length, Strategy

KERAS_TUNER = ("kt_random", "kt_bayesian")
"""KerasTuner's own oracles; with it they load TensorFlow."""
STRATEGIES = ("ppo", "reinforce", "random", "grid", "evolution", "local_search", "predictor", "dyna_ppo", *KERAS_TUNER)
"""What `make_strategy` takes. The first two are policy gradients, as dyna_ppo is in part: they have an LSTM."""
WITHOUT_LSTM = ("random", "grid", "evolution", "local_search", "predictor")
"""Those that load no TensorFlow."""


def check_strategy(
    name: str,
    decisions: tuple[Decision, ...],
    length: Length | None,
    policy_config: PolicyGradientConfig,
    learner_config: LearnerConfig | None = None,
) -> None:
    """Raises BadSetting where such a strategy cannot be, or cannot serve such a space: one line."""
    if name not in STRATEGIES:
        raise BadSetting("strategy", name, f"must be one of {', '.join(STRATEGIES)}")
    if name == "grid" and length is not None and length(0) < len(decisions):
        others = ", ".join(other for other in STRATEGIES if other != "grid")
        raise BadSetting("strategy", name, f"cannot exhaust a space that grows while it is searched; expected {others}")
    if name in ("ppo", "reinforce"):
        policy_config.epochs_of(name)
    learner = learner_config or LearnerConfig()
    if name == "evolution" and learner.sample > learner.population:
        raise BadSetting("sample", learner.sample, "must be at most the population", see=("population",))


def make_strategy(
    name: str,
    decisions: tuple[Decision, ...],
    length: Length | None,
    policy_config: PolicyGradientConfig,
    failures: FailureConfig,
    seed: int,
    first: Tokens | None = None,
    learner_config: LearnerConfig | None = None,
    features: Features | None = None,
    start: tuple[Tokens, ...] = (),
) -> Strategy:
    """A fresh strategy.

    Args:
        name: one of `STRATEGIES`.
        decisions: those of the space, all that any trial has.
        length: how many of them a trial takes; None where all trials take all.
        policy_config: of the policy gradients, ppo, reinforce and dyna_ppo; what decides between those is the name.
        failures: what they hear of a trial that failed.
        seed: of what is drawn.
        first: the tokens that grid begins with, such as those of a published network; the others do not hear of it.
        learner_config: of evolution, local_search, predictor, dyna_ppo and kt_bayesian; None has its defaults.
        features: what the space says of tokens in numbers, for predictor and dyna_ppo; None: which options were taken.
        start: different tokens that are its first trials, in this order, as long as those are.

    Raises:
        BadSetting: as `check_strategy`.
    """
    check_strategy(name, decisions, length, policy_config, learner_config)
    if start and name != "grid":
        more = policy_config, failures, seed, first, learner_config, features
        return Started(make_strategy(name, decisions, length, *more), start)
    if length is not None and length(0) == len(decisions):
        length = None  # it does not grow
    if name == "random":
        return RandomSearch(decisions, seed, length)
    if name == "grid":
        return GridSearch(decisions, first, start)
    learner = learner_config or LearnerConfig()
    if name == "evolution":
        return RegularizedEvolution(decisions, learner, seed, failures, length)
    if name == "local_search":
        return LocalSearch(decisions, learner, seed, failures, length)
    if name == "predictor":
        from controller.learners.predictor import Predictor

        return Predictor(decisions, learner, seed, failures, length, features)
    if name in KERAS_TUNER:
        from controller.learners.keras_tuner_oracles import KerasTunerOracle

        return KerasTunerOracle(name == "kt_bayesian", decisions, learner, seed, failures, length)
    if name == "dyna_ppo":
        from controller.policy.dyna import DynaPPO

        return DynaPPO(decisions, policy_config, learner, seed, failures, length, features)
    from controller.policy.policy_gradient import PolicyGradient

    loss = "reinforce" if name == "reinforce" else "ppo"
    return PolicyGradient(decisions, policy_config, seed, failures, length, loss)


def blind_trials(name: str, policy_config: PolicyGradientConfig, learner_config: LearnerConfig) -> int | None:
    """How many trials, from the first on, a strategy draws before it has learned anything; None: all of them.

    They are drawn uniformly but for those of ppo and reinforce, which a fresh policy draws: within a tenth of a nat a
    trial of uniform, of 84.5 (docs/search.md). A grid draws none.
    """
    if name in ("random", "kt_random"):
        return None
    if name == "grid":
        return 0
    if name == "evolution":
        return learner_config.population
    if name in ("ppo", "reinforce"):
        return policy_config.update_trials
    return learner_config.uniform_trials
