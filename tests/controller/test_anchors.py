"""Skip decisions and their anchors (arXiv 1611.01578, section 3.3), several layers, trials of fewer decisions."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from cells.spaces.chain import ChainSpace
from cells.spaces.space import Decision
from controller.policy.layout import Layout
from controller.policy.lstm import Policy, anchor_logits

CHAIN = ChainSpace(4, strides=True)
TINY = (
    Decision("a", 2),
    Decision("b.skip_0", 2, 0),
    Decision("b", 1),
    Decision("c.skip_0", 2, 0),
    Decision("c.skip_1", 2, 1),
    Decision("c", 2),
)
"""Three layers of one decision, the middle one without a choice."""


def make(decisions: tuple[Decision, ...], layers: int = 2, scale: float = 10.0) -> Policy:
    """A small policy whose weights are `scale` times the untrained one's: each token counts."""
    policy = Policy(decisions, 6, 3, seed=0, layers=layers)
    for variable in policy.variables:
        variable.assign(scale * variable.numpy())
    return policy


def drawn(decisions: tuple[Decision, ...], trials: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, [d.size for d in decisions], (trials, len(decisions)))


def score(policy: Policy, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    log_probs, entropies = policy.score(tf.constant(tokens, tf.int32))
    return log_probs.numpy(), entropies.numpy()


class Oracle:
    """The policy for one trial in float64, decision by decision, written from the papers' text."""

    def __init__(self, decisions: tuple[Decision, ...], weights: list[np.ndarray]) -> None:
        self.decisions = decisions
        self.embed, *lstms = weights[: -5 if any(d.anchor is not None for d in decisions) else -2]
        self.layers = [lstms[i : i + 3] for i in range(0, len(lstms), 3)]
        self.heads, self.biases, *self.anchors = weights[1 + len(lstms) :]

    def log_probs(self, tokens: np.ndarray) -> np.ndarray:
        states = [[np.zeros(len(w)), np.zeros(len(w))] for _, w, _ in self.layers]
        seen: list[np.ndarray] = []  # the state at each decision
        group: list[np.ndarray] = []  # what the next input is made of
        coming, head, out = self.embed[0, 0], 0, []
        for t, (decision, token) in enumerate(zip(self.decisions, tokens, strict=True)):
            goes_on = t and decision.anchor is not None and self.decisions[t - 1].anchor is not None
            if not goes_on:
                coming = np.sum(group, axis=0) / math.sqrt(len(group)) if group else coming
                group = []
                for state, (w, u, b) in zip(states, self.layers, strict=True):
                    i, f, g, o = np.split(coming @ w + state[0] @ u + b, 4)
                    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
                    state[1] = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
                    state[0] = sigmoid(o) * np.tanh(state[1])
                    coming = state[0]
            seen.append(states[-1][0])
            if decision.anchor is None:
                logits = (seen[t] @ self.heads[head] + self.biases[head])[: decision.size]
                head += 1
            else:
                w_prev, w_curr, v = self.anchors
                yes = 1 / (1 + np.exp(-(np.tanh(seen[decision.anchor] @ w_prev + seen[t] @ w_curr) @ v)[0]))
                logits = np.log([1 - yes, yes])
            out.append(logits[token] - np.log(np.exp(logits).sum()))
            group.append(self.embed[t + 1, token] if t + 1 < len(self.decisions) else np.zeros_like(self.embed[0, 0]))
        return np.array(out)


def oracle_of(policy: Policy, decisions: tuple[Decision, ...]) -> Oracle:
    return Oracle(decisions, [np.asarray(variable, np.float64) for variable in policy.variables])


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("decisions", [CHAIN.decisions, TINY, TINY[:1], ChainSpace(3, skips=False).decisions])
def test_scores_are_those_of_a_written_out_controller(decisions, layers):
    policy = make(decisions, layers)
    oracle, tokens = oracle_of(policy, decisions), drawn(decisions, 12)
    log_probs, entropies = score(policy, tokens)
    np.testing.assert_allclose(log_probs, [oracle.log_probs(row) for row in tokens], rtol=1e-4, atol=1e-4)
    other = [[oracle.log_probs(np.where(np.arange(len(row)) == t, 1 - row[t], row))[t]
              if decisions[t].anchor is not None else np.nan for t in range(len(row))] for row in tokens]  # fmt: skip
    of_skips = [decision.anchor is not None for decision in decisions]
    p, q = np.exp(log_probs[:, of_skips]), np.exp(np.array(other)[:, of_skips])
    np.testing.assert_allclose(p + q, 1, atol=1e-4)  # Bernoullis
    np.testing.assert_allclose(entropies[:, of_skips], -p * np.log(p) - q * np.log(q), atol=1e-4)


def test_a_skip_is_drawn_independently_of_its_layer_s_others_and_what_follows_depends_on_all():
    policy, tokens = make(CHAIN.decisions), drawn(CHAIN.decisions, 8)
    names = [decision.name for decision in CHAIN.decisions]
    before, _ = score(policy, tokens)
    group = [names.index(f"layer_3.skip_{j}") for j in range(3)]
    for t in group:
        changed = tokens.copy()
        changed[:, t] = 1 - changed[:, t]
        after, _ = score(policy, changed)
        same = [i for i in range(group[-1] + 1) if i != t]
        np.testing.assert_array_equal(after[:, same], before[:, same])
        assert np.all(after[:, group[-1] + 1 :] != before[:, group[-1] + 1 :])


@pytest.mark.parametrize("layers", [1, 2])
def test_trials_of_any_length_are_scored_as_sampled(layers):
    """In one batch, with anything behind their ends; and a shorter trial is the beginning of the longer one."""
    policy = make(CHAIN.decisions, layers)
    lengths = [CHAIN._place(depth) for depth in (1, 2, 3, 4)] * 4
    samples = [policy.sample(trial_id, length) for trial_id, length in enumerate(lengths)]
    batch = drawn(CHAIN.decisions, len(samples), seed=1)
    for row, (tokens, _) in zip(batch, samples, strict=True):
        row[: len(tokens)] = tokens
    log_probs, _ = score(policy, batch)
    for trial_id, ((tokens, sampled), scored) in enumerate(zip(samples, log_probs, strict=True)):
        assert len(tokens) == len(sampled) == lengths[trial_id]
        assert CHAIN.encode(CHAIN.decode(tokens)) == tokens
        np.testing.assert_allclose(sampled, scored[: len(sampled)], rtol=1e-5, atol=5e-6)
        assert policy.sample(trial_id)[0][: len(tokens)] == tokens


def test_samples_are_as_frequent_as_scored():
    policy = make(TINY, scale=9.0)
    cells = list(itertools.product(*(range(decision.size) for decision in TINY)))
    joint = np.exp(score(policy, np.array(cells))[0].sum(axis=1, dtype=np.float64))
    assert joint.sum() == pytest.approx(1, abs=1e-5)
    assert joint.max() > 1.5 * joint.min()  # not a uniform policy
    trials = 1200
    samples = [policy.sample(trial_id)[0] for trial_id in range(trials)]
    expected = trials * joint
    assert expected.min() > 5
    counts = np.array([samples.count(cell) for cell in cells])
    assert np.sum((counts - expected) ** 2 / expected) < 61.1  # 31 degrees of freedom, p = 0.001


def test_the_anchors_gradient_is_that_of_finite_differences():
    """In float64, every entry: states, W_prev, W_curr and v."""
    rng = np.random.default_rng(0)
    values = [rng.normal(size=shape) for shape in ((2, 4, 3), (3, 3), (3, 3), (3, 1))]
    earlier, own, weight = [0, 0, 1, 0, 1, 2], [1, 2, 2, 3, 3, 3], rng.normal(size=(2, 6))

    def value(hidden, *weights) -> tf.Tensor:
        return tf.reduce_sum(weight * anchor_logits(hidden, np.array(earlier), np.array(own), *weights))

    variables = [tf.Variable(v) for v in values]
    with tf.GradientTape() as tape:
        of = value(*variables)
    for i, gradient in enumerate(tape.gradient(of, variables)):
        gradient = tf.convert_to_tensor(gradient).numpy()
        for place in np.ndindex(values[i].shape):
            step = np.zeros_like(values[i])
            step[place] = 1e-5
            ends = [float(value(*values[:i], values[i] + sign * step, *values[i + 1 :])) for sign in (1, -1)]
            assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-7, abs=1e-8)


def test_the_whole_gradient_is_that_of_the_written_out_controller():
    """Of the policy, in float32, along drawn directions of each weight; the differences are float64's."""
    policy, tokens = make(CHAIN.decisions, scale=5.0), drawn(CHAIN.decisions, 3)
    values = [variable.value for variable in policy.variables]
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(policy.score(tf.constant(tokens, tf.int32))[0])
    rng = np.random.default_rng(1)
    weights = [np.asarray(variable, np.float64) for variable in policy.variables]
    for i, gradient in enumerate(tape.gradient(value, values)):
        direction = rng.normal(size=weights[i].shape)
        ends = []
        for sign in (1, -1):
            moved = [w + (sign * 1e-5 * direction if i == j else 0) for j, w in enumerate(weights)]
            oracle = Oracle(CHAIN.decisions, moved)
            ends.append(sum(oracle.log_probs(row).sum() for row in tokens))
        along = float(np.sum(np.asarray(gradient) * direction))
        assert along == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=2e-3, abs=2e-3)
        assert abs(along) > 0.01


def test_weights_of_two_layers_start_uniform_in_what_is_asked():
    policy = Policy(CHAIN.decisions, 35, 32, seed=0, layers=2, initial_scale=0.08)
    shapes = [tuple(variable.shape) for variable in policy.variables]
    assert shapes[1:7] == [(32, 140), (35, 140), (140,), (35, 140), (35, 140), (140,)]
    assert shapes[-3:] == [(35, 35), (35, 35), (35, 1)]
    values = np.concatenate([variable.numpy().ravel() for variable in policy.variables])
    np.testing.assert_allclose(np.quantile(values, np.linspace(0, 1, 11)), np.linspace(-0.08, 0.08, 11), atol=0.002)


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_neighbours_with_anchors_share_a_step(skips):
    skips[0] = False
    decisions = tuple(Decision(f"d{i}", 2, 0 if skip else None) for i, skip in enumerate(skips))
    groups = [len(list(those)) if skip else 1 for skip, those in itertools.groupby(skips)
              for _ in (range(1) if skip else those)]  # fmt: skip
    layout = Layout(decisions)
    assert layout.steps == len(groups)
    assert [int(np.sum(row >= 0)) for row in layout.slots] == groups
    np.testing.assert_array_equal(layout.slots[layout.slots >= 0], np.arange(len(skips)))
    assert [layout.steps_of(int(n)) for n in np.cumsum(groups)] == list(range(1, len(groups) + 1))
    for inside in set(range(len(skips) + 2)) - set(np.cumsum(groups).tolist()):
        with pytest.raises(ValueError, match=f"got {inside}$"):
            layout.steps_of(inside)


def test_a_chain_of_fifteen_layers_is_89_steps():
    """75 decisions of sizes and strides, and a step for the skips of each layer but the first."""
    space = ChainSpace(15, strides=True)
    layout = Layout(space.decisions)
    assert (len(space.decisions), int(layout.skips.sum()), layout.steps) == (180, 105, 75 + 14)
    assert layout.anchor_step[layout.skips].max() < layout.steps


@pytest.mark.parametrize(
    ("decisions", "told"),
    [
        ((Decision("a", 2), Decision("s", 3, 0)), "decision 's' has an anchor and so 2 options, got 3"),
        ((Decision("a", 2), Decision("s", 2, 1)), "decision 's' has anchor 1, which is no earlier step's"),
        ((Decision("a", 2), Decision("s", 2, 0), Decision("r", 2, 1)), "'r' has anchor 1, which is no earlier step's"),
        ((Decision("s", 2, -1), Decision("a", 2)), "decision 's' has anchor -1, which is no earlier step's"),
        ((), "at least 1 decision, got none"),
    ],
)
def test_anchors_that_cannot_be_are_refused(decisions, told):
    with pytest.raises(ValueError, match=told):
        Layout(decisions)
