"""Strategies by name, and the settings of the layer-wise controller."""

import dataclasses

import pytest

from cells.spaces.chain import ChainSpace
from cells.spaces.nasnet import NASNetSpace
from controller.config import CHAIN_DEFAULTS, BadSetting, FailureConfig, LearnerConfig, PolicyGradientConfig
from controller.learners.evolution import RegularizedEvolution
from controller.learners.local_search import LocalSearch
from controller.learners.predictor import Predictor
from controller.policy.policy_gradient import PolicyGradient
from controller.strategies import blind_trials, check_strategy, make_strategy
from controller.strategy import Outcome, Trial

FLAGS = {field.name: field.metadata.get("flag") or field.name for field in dataclasses.fields(PolicyGradientConfig)}
CHAIN = PolicyGradientConfig(**{name: CHAIN_DEFAULTS[flag] for name, flag in FLAGS.items() if flag in CHAIN_DEFAULTS})
GROWING = ChainSpace(4, strides=True, start_layers=2, grow_layers=1, grow_every=5)
LEARNERS = ("evolution", "local_search", "predictor", "dyna_ppo")
SMALL = PolicyGradientConfig(update_trials=4, units=4, embedding_size=2)


@pytest.mark.parametrize(
    ("space", "name", "config"),
    [
        (NASNetSpace(2), "reinforce", CHAIN),
        (GROWING, "ppo", CHAIN),
        pytest.param(NASNetSpace(2), "ppo", CHAIN, marks=pytest.mark.slow),
        pytest.param(GROWING, "reinforce", CHAIN, marks=pytest.mark.slow),
        pytest.param(GROWING, "ppo", SMALL, marks=pytest.mark.slow),
        *((space, "random", SMALL) for space in (NASNetSpace(2), GROWING)),
        *((space, name, SMALL) for space in (NASNetSpace(2), GROWING) for name in LEARNERS[:-1]),
        (GROWING, "dyna_ppo", SMALL),
        pytest.param(NASNetSpace(2), "dyna_ppo", SMALL, marks=pytest.mark.slow),
        (GROWING, "kt_random", SMALL),
        *(pytest.param(space, "kt_bayesian", SMALL, marks=pytest.mark.slow) for space in (NASNetSpace(2), GROWING)),
        *((space, "grid", SMALL) for space in (NASNetSpace(2), ChainSpace(3, start_layers=3))),
    ],
)
def test_every_strategy_runs_on_every_space_that_it_serves(space, name, config):
    learner = LearnerConfig(4, 2, uniform_trials=4, refit_trials=4, imagined_steps=1, imagined_samples=3)
    strategy = make_strategy(
        name, space.decisions, space.length, config, FailureConfig(), 3, None, learner, getattr(space, "features", None)
    )
    for i in range(16):
        proposal = strategy.propose(i)
        assert len(proposal.tokens) == space.length(i)
        assert space.encode(space.decode(proposal.tokens)) == proposal.tokens
        strategy.observe(Trial(proposal, Outcome.OK, float(i % 3), 1.0))
    if isinstance(strategy, PolicyGradient):
        assert strategy.last_update is not None
        assert strategy.last_update.updates == 16 // config.update_trials


@pytest.mark.parametrize(
    ("name", "kind"), [("evolution", RegularizedEvolution), ("local_search", LocalSearch), ("predictor", Predictor)]
)
def test_by_its_name_a_strategy_has_all_that_it_was_given(name, kind):
    """What failures are worth, its own settings, the space's features: as if it had been made by hand."""
    space, learner, failures = NASNetSpace(2), LearnerConfig(4, 2, 4, 4), FailureConfig(nan_reward=9.0)
    more = (space.features,) if kind is Predictor else ()
    named = make_strategy(name, space.decisions, None, SMALL, failures, 3, None, learner, space.features)
    by_hand, deaf = (kind(space.decisions, learner, 3, heard, None, *more) for heard in (failures, None))
    differs = False
    for i in range(24):
        proposal = by_hand.propose(i)
        assert named.propose(i) == proposal
        differs |= deaf.propose(i) != proposal
        trial = Trial(proposal, Outcome.NAN, None, 1.0, "nan") if i % 4 == 1 else ok(proposal, float(i % 3))
        for strategy in (named, by_hand, deaf):
            strategy.observe(trial)
    assert differs


def ok(proposal, reward):
    return Trial(proposal, Outcome.OK, reward, 1.0)


def test_a_strategy_says_in_one_line_what_it_cannot_serve():
    with pytest.raises(
        BadSetting,
        match=r"^strategy=grid: cannot exhaust a space that grows[^\n]*; expected ppo, reinforce, random, evo[^\n]*$",
    ):
        check_strategy("grid", GROWING.decisions, GROWING.length, SMALL)
    check_strategy("grid", GROWING.decisions, None, SMALL)
    with pytest.raises(BadSetting, match=r"^update_epochs=3: must be 1 with REINFORCE \(see strategy\)$"):
        check_strategy("reinforce", GROWING.decisions, GROWING.length, PolicyGradientConfig(update_epochs=3))
    with pytest.raises(BadSetting, match=r"^strategy=anneal: must be one of ppo, reinforce, random, grid, evol[^\n]*$"):
        make_strategy("anneal", GROWING.decisions, None, SMALL, FailureConfig(), 0)


def test_the_layer_wise_controller_is_the_paper_s():
    """arXiv 1611.01578, section 4.1: REINFORCE, two layers of 35, +-0.08, Adam 0.0006, 8 children, the cube."""
    assert CHAIN_DEFAULTS["strategy"] == "reinforce"
    assert CHAIN_DEFAULTS["reward"] == "best_of_last_5"
    assert (CHAIN.layers, CHAIN.units, CHAIN.initial_scale) == (2, 35, 0.08)
    assert (CHAIN.optimizer, CHAIN.learning_rate, CHAIN.update_trials) == ("adam", 6e-4, 8)
    assert (CHAIN.reward_power, CHAIN.entropy_weight, CHAIN.reward_scale) == (3, 0, "none")
    assert set(CHAIN_DEFAULTS) <= {*FLAGS.values(), "strategy", "reward"}


@pytest.mark.parametrize(
    "name",
    [
        "ppo",
        "evolution",
        "local_search",
        "predictor",
        "random",
        "kt_random",
        pytest.param("dyna_ppo", marks=pytest.mark.slow),
    ],
)
def test_blind_trials_are_those_that_no_reward_changes(name):
    """The same trials with other rewards: so many proposals are the same, and among those after them one is not."""
    learner = LearnerConfig(6, 3, uniform_trials=6, refit_trials=1)
    blind = blind_trials(name, SMALL, learner)
    space = NASNetSpace(2)
    proposals = []
    for sign in (1, -1):
        strategy = make_strategy(name, space.decisions, None, SMALL, FailureConfig(), 3, learner_config=learner)
        proposals.append([])
        for i in range(blind or 8):
            strategy.observe(ok(strategy.propose(i), sign * float(i % 3)))
            proposals[-1].append(strategy.propose(i + 1))
    if blind is None:
        assert proposals[0] == proposals[1]
        return
    assert blind == (4 if name == "ppo" else 6)
    assert proposals[0][: blind - 1] == proposals[1][: blind - 1]
    assert proposals[0][blind - 1] != proposals[1][blind - 1]


def test_a_grid_draws_no_trial():
    assert blind_trials("grid", SMALL, LearnerConfig()) == 0
