"""Strategies that learn without a network: evolution, local search, the model of the reward."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, rankdata
from sklearn.linear_model import BayesianRidge, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from cells.spaces.nasnet import NASNetSpace
from cells.spaces.space import Decision, Tokens
from controller.config import BadSetting, FailureConfig, LearnerConfig, PolicyGradientConfig
from controller.learners.draws import mutants, neighbours, sizes_of, uniform
from controller.learners.evolution import RegularizedEvolution
from controller.learners.local_search import LocalSearch
from controller.learners.predictor import Predictor
from controller.learners.reward_model import Observed, OptionsTaken, RewardModel
from controller.strategies import check_strategy
from controller.strategy import Outcome, Proposal, Strategy, Trial

DECISIONS = tuple(Decision(f"d{place}", size) for place, size in enumerate((4, 1, 5, 3, 4, 5, 2, 4)))
RNG = np.random.default_rng(5)
VALUES = [RNG.normal(size=decision.size) for decision in DECISIONS]
BEST = tuple(int(np.argmax(values)) for values in VALUES)


def additive(tokens: Tokens) -> float:
    return float(sum(values[token] for values, token in zip(VALUES, tokens, strict=False)))


def trial(trial_id: int, tokens: Tokens, reward: float | None) -> Trial:
    proposal = Proposal.chosen(trial_id, tokens)
    return Trial(proposal, Outcome.OK if reward is not None else Outcome.NAN, reward, 1.0, "" if reward else "nan")


def searched(strategy: Strategy, trials: int, reward=additive, wave: int = 10) -> list[Proposal]:
    made: list[Proposal] = []
    for first in range(0, trials, wave):
        proposals = [strategy.propose(trial_id) for trial_id in range(first, first + wave)]
        for proposal in proposals:
            strategy.observe(Trial(proposal, Outcome.OK, reward(proposal.tokens), 1.0))
        made += proposals
    return made


def evolution(seed: int, population: int = 8, sample: int = 4) -> RegularizedEvolution:
    return RegularizedEvolution(DECISIONS, LearnerConfig(population, sample), seed)


def predictor(seed: int) -> Predictor:
    return Predictor(DECISIONS, LearnerConfig(uniform_trials=10, refit_trials=10), seed)


def local_search(seed: int, start: int = 10) -> LocalSearch:
    return LocalSearch(DECISIONS, LearnerConfig(uniform_trials=start), seed)


MAKERS = pytest.mark.parametrize("make", [evolution, predictor, local_search])


@MAKERS
def test_the_same_trials_give_the_same_strategy_and_asking_changes_nothing(make):
    one, other = make(3), make(3)
    made = searched(one, 40)
    for proposal in made:
        other.propose(999)  # of no effect
        other.observe(Trial(proposal, Outcome.OK, additive(proposal.tokens), 2.0))
    assert [one.propose(trial_id) for trial_id in range(40, 60)] == [
        other.propose(trial_id) for trial_id in range(40, 60)
    ]
    assert [make(4).propose(trial_id) for trial_id in range(9)] != [make(3).propose(trial_id) for trial_id in range(9)]


@MAKERS
def test_a_failed_trial_is_heard_and_harms_nothing(make):
    strategy, proposals = make(1), []
    for trial_id in range(40):
        proposals.append(strategy.propose(trial_id))
        failed = trial_id % 3 == 0
        strategy.observe(trial(trial_id, proposals[-1].tokens, None if failed else additive(proposals[-1].tokens)))
    assert all(0 <= t < d.size for p in proposals for t, d in zip(p.tokens, DECISIONS, strict=True))


@MAKERS
def test_trials_of_a_growing_space_have_its_length(make):
    def length(trial_id: int) -> int:
        return 4 if trial_id < 30 else 8

    strategy = make(2)
    strategy = type(strategy)(DECISIONS, strategy._config if make is predictor else _config(make), 2, None, length)
    made = searched(strategy, 60)
    assert [len(proposal.tokens) for proposal in made] == [4] * 30 + [8] * 30


def _config(make):
    return LearnerConfig(8, 4) if make is evolution else LearnerConfig(uniform_trials=10)


@MAKERS
def test_it_finds_better_tokens_than_as_many_drawn_ones(make):
    for seed in range(2):
        rewards = [additive(proposal.tokens) for proposal in searched(make(seed), 100)]
        assert np.mean(rewards[50:]) > np.mean(rewards[:10]) + 0.5
        drawn = uniform(sizes_of(DECISIONS), 100, np.random.default_rng(seed))
        assert max(rewards) >= max(additive(tuple(row)) for row in drawn.tolist())


def test_the_oldest_dies_and_not_the_worst():
    """Algorithm 1 of arXiv 1802.01548: a parent is among the youngest, however good an older one was."""
    strategy = RegularizedEvolution(DECISIONS, LearnerConfig(2, 2), 0)
    good, younger, youngest = (0,) * 8, (1, 0, 1, 1, 1, 1, 1, 1), (3, 0, 3, 2, 3, 3, 0, 3)
    for trial_id, (tokens, reward) in enumerate([(good, 9.0), (younger, 2.0), (youngest, 1.0)]):
        strategy.observe(trial(trial_id, tokens, reward))
    for trial_id in range(3, 40):
        child = strategy.propose(trial_id).tokens
        assert sum(a != b for a, b in zip(child, younger, strict=True)) == 1


def test_a_parent_is_the_best_of_a_sample_without_replacement():
    """Of 4 trials, 2 sampled: the best is in 3 of 6 pairs, the second best of 2, the third of 1, the worst of none."""
    strategy = RegularizedEvolution(DECISIONS, LearnerConfig(4, 2), 7)
    parents = [(value, 0, value, min(value, 2), value, value, value % 2, value) for value in range(4)]
    for trial_id, tokens in enumerate(parents):
        strategy.observe(trial(trial_id, tokens, 1.0 + trial_id))
    counts = np.zeros(4)
    for trial_id in range(4, 1204):
        child = strategy.propose(trial_id).tokens
        near = [sum(a != b for a, b in zip(child, parent, strict=True)) for parent in parents]
        counts[int(np.argmin(near))] += 1
    np.testing.assert_allclose(counts / 1200, [0, 1 / 6, 2 / 6, 3 / 6], atol=0.045)


def test_local_search_exhausts_what_is_next_to_the_best_and_goes_on_from_the_next():
    decisions = (Decision("a", 3), Decision("b", 2))
    strategy = LocalSearch(decisions, LearnerConfig(uniform_trials=2), 0)
    tried = {(1, 1): 0.0, (0, 1): -1.0}
    for trial_id, (tokens, reward) in enumerate(tried.items()):
        strategy.observe(trial(trial_id, tokens, reward))
    for trial_id in range(2, 6):
        tokens = strategy.propose(trial_id).tokens
        assert tokens not in tried
        if trial_id < 4:  # the two that are left next to the best, and worse than it
            assert tokens in {(2, 1), (1, 0)}
        tried[tokens] = -1.0 * trial_id
        strategy.observe(trial(trial_id, tokens, tried[tokens]))
    assert len(tried) == 6


def test_once_a_space_has_grown_the_first_longer_trial_is_a_parent():
    """The population is full of shorter ones, of which none is one."""
    strategy = RegularizedEvolution(DECISIONS, LearnerConfig(6, 4), 0, None, lambda trial_id: 4 if trial_id < 9 else 8)
    searched(strategy, 9, wave=1)
    parent = strategy.propose(9)
    strategy.observe(trial(9, parent.tokens, -99.0))
    for trial_id in range(10, 20):
        assert sum(a != b for a, b in zip(strategy.propose(trial_id).tokens, parent.tokens, strict=True)) == 1


def test_of_the_same_tokens_the_last_reward_counts_and_each_trial_is_one():
    """Three trials, two of them alike: no more are uniform, and the best is no longer what it was at first."""
    strategy = LocalSearch((Decision("a", 3), Decision("b", 2)), LearnerConfig(uniform_trials=3), 0)
    for trial_id, (tokens, reward) in enumerate([((0, 0), 1.0), ((2, 1), 0.5), ((0, 0), 0.0)]):
        strategy.observe(trial(trial_id, tokens, reward))
    assert {strategy.propose(trial_id).tokens for trial_id in range(3, 40)} == {(0, 1), (1, 1), (2, 0)}


def test_neighbours_and_mutants_differ_in_one_decision():
    sizes = sizes_of(DECISIONS)
    tokens = tuple(uniform(sizes, 1, np.random.default_rng(0))[0].tolist())
    near = neighbours(sizes, tokens)
    assert len(near) == len(set(near)) == sum(sizes - 1)
    rows = mutants(sizes, np.array([tokens] * 6000), np.random.default_rng(1))
    assert {tuple(row) for row in rows.tolist()} == set(near)
    changed = (rows != tokens).mean(0)  # each of the seven with a choice alike, the one without never
    np.testing.assert_allclose(changed, np.where(sizes > 1, 1 / 7, 0), atol=0.015)
    assert (mutants(np.array([1, 1]), np.array([[0, 0]]), np.random.default_rng(2)) == 0).all()


def test_the_predictor_finds_the_best_of_an_additive_reward():
    for seed in range(3):
        made = [proposal.tokens for proposal in searched(predictor(seed), 100)]
        assert BEST in made
        waves = [set(made[first : first + 10]) for first in range(0, 100, 10)]
        assert all(wave.isdisjoint(set().union(*waves[:index])) for index, wave in enumerate(waves))  # none comes again
        assert len(waves[1]) > 5  # and proposals of one wave differ


def test_a_seventh_of_the_predictor_s_proposals_is_next_to_the_best():
    """Of 2,400 tokens with a choice a hundred are next to the five best; the model's own are seldom among those."""
    strategy = predictor(0)
    made = searched(strategy, 30, lambda tokens: float(np.random.default_rng(tokens).normal()))  # nothing to be learned
    best = sorted(made, key=lambda one: -np.random.default_rng(one.tokens).normal())[:5]
    near = {tokens for one in best for tokens in neighbours(sizes_of(DECISIONS), one.tokens)}
    share = np.mean([strategy.propose(trial_id).tokens in near for trial_id in range(30, 230)])
    assert 0.09 < share < 0.35


def test_the_predictor_hears_what_the_space_says_of_tokens_and_what_a_failure_is_worth():
    """Which options were taken tells nothing of whether two are alike; and what is no number is not invalid."""
    decisions = tuple(Decision(f"d{place}", 2) for place in range(8))

    def alike(tokens: Tokens) -> float:
        return float(tokens[0] == tokens[1])

    strategy = Predictor(
        decisions, LearnerConfig(), 0, FailureConfig(nan_reward=9.0), None, lambda tokens: (alike(tokens),)
    )
    for trial_id in range(20):
        tokens = strategy.propose(trial_id).tokens
        strategy.observe(trial(trial_id, tokens, None if alike(tokens) else 1.0))
    assert np.mean([alike(strategy.propose(trial_id).tokens) for trial_id in range(20, 50)]) > 0.8


def test_the_best_of_so_many_decisions_and_of_equals_the_earlier():
    observed = Observed(DECISIONS, LearnerConfig())
    for tokens, reward in [((2, 0), 0.5), ((1, 0), 0.5), ((0, 0, 0), 0.9), ((3, 0), 0.7), ((0, 0), 0.1)]:
        observed.add(tokens, (reward,), Outcome.OK)
    assert observed.best(2, 3) == [(3, 0), (2, 0), (1, 0)]
    observed.add((0, 1), (0.05, 0.2), Outcome.OK)
    observed.add((1, 1), (0.05, 0.6), Outcome.NAN)
    assert observed.best(2, 4) == [(0, 1), (3, 0), (1, 1), (2, 0)], "the highest rung first, where it was ended well"


def test_the_model_is_of_the_rewards_of_all_rungs_and_tells_of_the_last():
    """Against one that is given its rows by hand: one for each rung of each trial."""
    rng = np.random.default_rng(2)
    strategy = Predictor(DECISIONS, LearnerConfig(uniform_trials=30), 0)
    rows, rewards = [], []
    for trial_id in range(30):
        tokens = strategy.propose(trial_id).tokens
        of_rungs = tuple(rng.uniform(size=rng.integers(1, 4)).tolist())
        proposal = Proposal.chosen(trial_id, tokens)
        strategy.observe(Trial(proposal, Outcome.OK, of_rungs[-1], 1.0, earlier=of_rungs[:-1]))
        options = np.concatenate([np.eye(d.size)[token] for d, token in zip(DECISIONS, tokens, strict=True)])
        for rung, reward in enumerate(of_rungs):
            rows.append([*options, rung >= 1, rung >= 2])
            rewards.append(reward)
    others = np.array([strategy._uniform(i).tokens for i in range(100, 130)])
    values, _ = strategy._observed.draw(np.random.default_rng(7))(others)
    by_hand = RewardModel(np.array(rows, float), np.array(rewards)).draw(np.random.default_rng(7))
    one_hot = [np.concatenate([np.eye(d.size)[t] for d, t in zip(DECISIONS, row, strict=True)]) for row in others]
    expected = np.column_stack([one_hot, np.ones((30, 2))]) @ by_hand
    np.testing.assert_allclose(values - values[0], expected - expected[0], atol=1e-9)
    assert np.ptp(values) > 0.1


@pytest.mark.parametrize("change", [lambda r: 100 * r - 7, lambda r: np.exp(3 * r), lambda r: r - 1000 * (r < -2)])
def test_only_the_order_of_rewards_counts_for_the_predictor(change):
    assert searched(predictor(6), 60) == searched(predictor(6), 60, lambda tokens: float(change(additive(tokens))))


def test_equal_rewards_have_no_order_for_the_predictor():
    """Trials of three rewards, the same in another order: the same function."""
    rng = np.random.default_rng(3)
    features, rewards = rng.normal(size=(45, 3)), np.repeat([0.1, 0.5, 0.9], 15)
    order = rng.permutation(45)
    one, other = RewardModel(features, rewards), RewardModel(features[order], rewards[order])
    np.testing.assert_allclose(one._weights, other._weights, rtol=1e-6)


@pytest.mark.parametrize(("trials", "sizes"), [(60, (1.0, 1.0, 1.0, 1.0)), (10, (1.0, 0.2, 0.5, 2.0))])
def test_a_draw_of_the_model_is_from_its_posterior(trials, sizes):
    """Against the closed form: precisions as scikit-learn finds them, draws' mean and covariance as they follow.

    How large an effect is taken to be is its feature's deviation; of ten trials that makes a difference.
    """
    rng = np.random.default_rng(0)
    features = rng.normal(size=(trials, 4))
    rewards = features @ np.array([2.0, -1.0, 0.5, 0.0]) + 0.3 * rng.normal(size=trials)
    model = RewardModel(features, rewards, np.array(sizes))
    draws = np.array([model.draw(np.random.default_rng(seed)) for seed in range(3000)])
    scale = features.std(0) / sizes
    standard = (features - features.mean(0)) / scale
    fitted = BayesianRidge().fit(standard, norm.ppf((rankdata(rewards) - 0.5) / trials))
    error = np.sqrt(np.diag(fitted.sigma_) / 3000)
    assert (np.abs(draws.mean(0) * scale - fitted.coef_) < 4 * error).all()
    np.testing.assert_allclose(np.cov(draws.T) * np.outer(scale, scale), fitted.sigma_, rtol=0.1, atol=0.002)


def test_options_taken_are_counted_alone_and_two_at_a_time():
    options = OptionsTaken((Decision("a", 2), Decision("b", 3), Decision("c", 1)))
    alone, pairs = [0, 1, 1, 0, 0, 1], [0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0]  # a with b (six), a with c (two), b with c
    np.testing.assert_array_equal(options(np.array([[1, 0, 0]])).toarray(), [alone + pairs])
    np.testing.assert_array_equal(options(np.array([[1]])).toarray(), [[0, 1, *[0] * 15]])  # the others not taken yet
    np.testing.assert_array_equal(options.weights[0], [1] * 6 + [0] * 11)
    np.testing.assert_array_equal(options.weights[1], [1] * 6 + [0.5] * 11)
    many = OptionsTaken((Decision("a", 26), Decision("b", 40)))
    assert len(many.weights) == 1
    assert many(np.zeros((1, 2), int)).shape == (1, 66)


@pytest.mark.parametrize("together", [False, True])
def test_effects_of_pairs_are_believed_where_the_trials_speak_for_them(together):
    """What only two options together decide is foretold by pairs; where each counts for itself, they are left out."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(4, 5)), rng.normal(size=(4, 5))

    def reward(tokens: Tokens) -> float:
        return float(first[tokens[0], tokens[2]] + second[tokens[4], tokens[5]]) if together else additive(tokens)

    observed = Observed(DECISIONS, LearnerConfig(uniform_trials=120, refit_trials=60))
    seen, unseen = np.split(uniform(sizes_of(DECISIONS), 320, rng), [120])
    for row in seen.tolist():
        observed.add(tuple(row), (reward(tuple(row)),), Outcome.OK)
    foretold = np.mean([observed.draw(np.random.default_rng(seed))(unseen)[0] for seed in range(50)], axis=0)
    assert np.corrcoef(foretold, [reward(tuple(row)) for row in unseen.tolist()])[0, 1] > (0.75 if together else 0.97)


def test_where_all_rewards_are_equal_nothing_is_foretold():
    observed = Observed(DECISIONS, LearnerConfig(uniform_trials=20))
    rows = uniform(sizes_of(DECISIONS), 20, np.random.default_rng(0))
    for row in rows.tolist():
        observed.add(tuple(row), (0.5,), Outcome.OK)
    values, _ = observed.draw(np.random.default_rng(0))(rows)
    assert (values == 0).all()


def test_a_tuple_that_comes_again_is_no_new_evidence():
    def drawn(times: int) -> np.ndarray:
        observed = Observed(DECISIONS, LearnerConfig(uniform_trials=30 * times, refit_trials=30))
        rows = uniform(sizes_of(DECISIONS), 30, np.random.default_rng(2))
        for row in rows.tolist() * times:
            observed.add(tuple(row), (additive(tuple(row)),), Outcome.OK)
        return observed.draw(np.random.default_rng(0))(rows)[0]

    np.testing.assert_allclose(drawn(1), drawn(3), rtol=1e-9)


def test_a_tuple_that_was_heard_of_twice_has_the_mean_of_its_rewards():
    """0.9 and 0.1 are less than 0.6 and more than 0.3, whichever comes last."""
    heard = {(0, 0): (0.9, 0.1), (1, 0): (0.3, 0.3), (2, 0): (0.6, 0.6)}
    observed = Observed((Decision("one", 3), Decision("other", 2)), LearnerConfig(uniform_trials=6))
    for place in (0, 1):
        for tokens, rewards in heard.items():
            observed.add(tokens, (rewards[place],), Outcome.OK)
    draws = [observed.draw(np.random.default_rng(seed))(np.array(list(heard)))[0] for seed in range(400)]
    middle, low, high = np.mean(draws, axis=0)
    assert low < middle < high


@pytest.mark.parametrize(("bad", "good"), [(5, 5), (5, 9), (8, 5), (4, 9), (9, 4)])
def test_which_tokens_are_invalid_is_foretold_from_five_of_each_kind(bad, good):
    """The first decision's last option is invalid."""
    observed = Observed((Decision("one", 3), Decision("other", 9)), LearnerConfig(uniform_trials=bad + good))
    for place in range(bad):
        observed.add((2, place), (0.0,), Outcome.INVALID)
    for place in range(good):
        observed.add((place % 2, place), (place / 10,), Outcome.OK)
    asked = np.array([(2, 0), (0, 0), (1, 8)])
    invalid = observed.draw(np.random.default_rng(0))(asked)[1]
    if min(bad, good) < 5:
        assert not invalid.any()
        return
    seen = np.array([*((2, place) for place in range(bad)), *((place % 2, place) for place in range(good))])
    options = OneHotEncoder(categories=[range(3), range(9)])
    by_hand = make_pipeline(options, StandardScaler(with_mean=False), LogisticRegression(max_iter=1000))
    by_hand.fit(seen, np.arange(len(seen)) < bad)
    np.testing.assert_allclose(invalid, by_hand.predict_proba(asked)[:, 1], atol=1e-3)
    assert invalid[0] > 0.5 > invalid[1]


def test_models_are_fitted_once_there_are_so_many_trials_and_after_every_so_many_more():
    observed = Observed(DECISIONS, LearnerConfig(uniform_trials=7, refit_trials=3))
    rng = np.random.default_rng(0)
    drawn = [tuple(int(rng.integers(decision.size)) for decision in DECISIONS) for _ in range(17)]
    fitted = [observed.add(tokens, (rng.uniform(),), Outcome.OK) for tokens in drawn]
    assert np.flatnonzero(fitted).tolist() == [6, 9, 12, 15]


def test_a_cells_features_count_its_graph():
    """One cell by hand: five blocks, who reads what, which operations, and what is left loose."""
    block = [(0, 1, 0, 12), (2, 2, 12, 12), (0, 3, 5, 0), (1, 1, 7, 7), (5, 0, 0, 1)]
    tokens = tuple(value for left, right, one, two in block for value in (left, right, one, two, 0))
    operations = [3, 1, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 3]
    reads, outputs = [3, 3, 4], 2  # states 4 and 6 are read by nobody
    expected = [*operations, *reads, outputs]
    assert NASNetSpace().features(tokens * 2) == tuple(map(float, expected * 2))


def test_settings_out_of_range():
    with pytest.raises(BadSetting, match=r"sample=9: must be at most the population \(see population\)"):
        check_strategy("evolution", DECISIONS, None, PolicyGradientConfig(), LearnerConfig(8, 9))
    with pytest.raises(BadSetting, match="uniform_trials=1: must be 2 or more"):
        LearnerConfig(uniform_trials=1)
