"""The LSTM that writes an architecture down, one decision after the other (arXiv 1707.07012, A.2; 1611.01578, 3.2)."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from cells.spaces.space import Decision, Tokens
from controller.policy.layout import Layout
from controller.strategy import trial_rng

INITIAL_SCALE = 0.1  # all weights start uniform in +-0.1 (1707.07012, A.3)
IMPOSSIBLE = -1e9  # the logit of a padded option: its probability is exactly 0, and 0 * -1e9 is 0 where 0 * -inf is not


class Policy:
    """An LSTM of one or more layers with one softmax a decision; what it chose last is its next input.

    Every decision has its own table of embeddings and its own softmax, padded to the largest decision and masked. Own
    tables, because a policy does not know which decisions share a meaning: token 3 may be a state here and an operation
    there, and the table of its own also tells the LSTM where in the tuple it stands.

    Skip decisions (those with an anchor) have sigmoids in place of softmaxes: `P(1) = sigmoid(v^T tanh(W_prev h_j +
    W_curr h_i))` with the LSTM's states at the anchor of the earlier layer j and at their own step i (1611.01578,
    equation 5). A layer's are drawn in one step (`Layout`), independently of one another given h_i. What follows them
    is not in that paper; here the next input is the sum of the embeddings of all of them, over the square root of their
    number, so that it is as large after one as after forty.

    It lives on the CPU, in float32: T small steps one after the other are nothing for a GPU, and a search is resumed
    by replay, which needs the same bits every time.

    Shapes: B trials, T decisions, K options of the largest decision, E embedding size, H units; S steps of the LSTM and
    G decisions of the largest step (T and 1 where no decision has an anchor).
    """

    def __init__(
        self,
        decisions: tuple[Decision, ...],
        units: int,
        embedding_size: int,
        seed: int,
        layers: int = 1,
        initial_scale: float = INITIAL_SCALE,
    ) -> None:
        self._seed = seed
        self._layout = layout = Layout(decisions)
        self._options = max(decision.size for decision in decisions)
        sizes = np.array([decision.size for decision in decisions])
        self._allowed = np.arange(self._options) < sizes[:, None]  # [T, K]
        self._plain = np.flatnonzero(~layout.skips)  # the decisions that have a softmax
        self._inputs = _inputs(layout)
        with tf.device("CPU:0"):
            # Row t of the table is for what came before decision t; before the first came token 0 of nothing.
            self._embed = keras.layers.EinsumDense(
                "btk,tke->bte", output_shape=(len(decisions), embedding_size), dtype="float32"
            )
            self._embed.build((None, len(decisions), self._options))
            self._lstms = [
                keras.layers.LSTM(units, return_sequences=True, use_cudnn=False, dtype="float32") for _ in range(layers)
            ]
            for layer, lstm in enumerate(self._lstms):
                lstm.build((None, layout.steps, units if layer else embedding_size))
            self._heads = keras.layers.EinsumDense(
                "bth,thk->btk", output_shape=(len(self._plain), self._options), bias_axes="tk", dtype="float32"
            )
            self._heads.build((None, len(self._plain), units))
            outputs = (units, units, 1) if layout.skips.any() else ()  # of W_prev, W_curr and v
            self._anchors = [keras.layers.Dense(n, use_bias=False, dtype="float32") for n in outputs]
            for dense in self._anchors:
                dense.build((None, None, units))
            rng = np.random.default_rng(seed)
            for variable in self.variables:
                variable.assign(rng.uniform(-initial_scale, initial_scale, variable.shape))

    @property
    def layout(self) -> Layout:
        """The steps of its decisions."""
        return self._layout

    @property
    def variables(self) -> list[keras.Variable]:
        """All weights.

        Embeddings `[T, K, E]`; each layer's `[E or H, 4H] [H, 4H] [4H]`; softmaxes `[P, H, K] [P, K]` of the P
        decisions without an anchor; where one has an anchor, W_prev `[H, H]`, W_curr `[H, H]` and v `[H, 1]`.
        """
        layers = (self._embed, *self._lstms, self._heads, *self._anchors)
        return [variable for layer in layers for variable in layer.trainable_variables]

    def sample(self, trial_id: int, length: int | None = None) -> tuple[Tokens, tuple[float, ...]]:
        """Draws tokens for the first `length` decisions (all T). The same weights, seed and numbers give the same ones.

        Returns:
            Tokens and their log-probabilities, each given the tokens before it.

        Raises:
            ValueError: for a length that ends within a step.
        """
        tokens, log_probs = self.sample_batch(1, trial_rng(self._seed, trial_id), length)
        return tuple(tokens[0].tolist()), tuple(log_probs[0].tolist())

    def sample_batch(
        self, number: int, rng: np.random.Generator, length: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """`number` independent draws at once: tokens `[number, length]` and their log-probabilities, as `sample`."""
        # argmax(logits + Gumbel noise) is a draw from softmax(logits), and never a masked option.
        noise = rng.gumbel(size=(number, *self._allowed.shape))
        steps = self._layout.steps if length is None else self._layout.steps_of(length)
        with tf.device("CPU:0"):
            tokens, log_probs = self._sample(tf.constant(noise, tf.float32), tf.constant(steps))
        used = self._layout.slots[:steps] >= 0
        return tokens.numpy().swapaxes(0, 1)[:, used], log_probs.numpy().swapaxes(0, 1)[:, used]

    def score(self, tokens: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """How probable the policy finds these tokens. To be traced by its caller, as one graph with the gradient.

        Args:
            tokens: `[B, T]` int32, inside the decisions' sizes. Of a trial that has fewer, the first are its tokens and
                the others anything: no decision depends on a later one.

        Returns:
            log-probabilities `[B, T]` of each token given those before it, and entropies `[B, T]` of the choice.
        """
        before = tf.pad(tokens[:, :-1], [[0, 0], [1, 0]])
        hidden = self._embed(tf.one_hot(before, self._options))
        if self._layout.skips.any():
            hidden = tf.einsum("st,bte->bse", tf.constant(self._inputs), hidden)
        for lstm in self._lstms:
            hidden = lstm(hidden)
        log_softmax = tf.nn.log_softmax(tf.where(self._allowed, self._logits(hidden), IMPOSSIBLE))
        log_probs = tf.reduce_sum(tf.one_hot(tokens, self._options) * log_softmax, axis=2)
        return log_probs, -tf.reduce_sum(tf.exp(log_softmax) * log_softmax, axis=2)

    def _logits(self, hidden: tf.Tensor) -> tf.Tensor:
        """The logits `[B, T, K]` of all decisions from the states `[B, S, H]` of all steps."""
        layout = self._layout
        if not layout.skips.any():
            return self._heads(hidden)
        of_plain = self._heads(tf.gather(hidden, layout.step_of[self._plain], axis=1))
        skips = np.flatnonzero(layout.skips)
        logits = anchor_logits(
            hidden, layout.anchor_step[skips], layout.step_of[skips], *(dense.kernel for dense in self._anchors)
        )
        of_skips = tf.pad(logits[..., None], [[0, 0], [0, 0], [1, self._options - 2]])  # 0, that of yes, nothing
        order = np.argsort(np.concatenate([self._plain, skips]))
        return tf.gather(tf.concat([of_plain, of_skips], axis=1), order, axis=1)

    # One trace for any B: which sizes came before must not decide the bits that a resumed search draws.
    @tf.function(
        input_signature=(tf.TensorSpec([None, None, None], tf.float32), tf.TensorSpec([], tf.int32)),
        autograph=False,
        jit_compile=False,
    )
    def _sample(self, noise: tf.Tensor, steps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Noise `[B, T, K]` to tokens and log-probabilities `[steps, B, G]`: `score`, one step at a time."""
        layout, table = self._layout, self._embed.kernel
        slots = np.maximum(layout.slots, 0)
        width = slots.shape[1]
        # What came before a step stands in the rows after those of the decisions before it.
        rows = np.concatenate([np.zeros((1, width), int), np.minimum(slots[:-1] + 1, len(layout.decisions) - 1)])
        shares = np.concatenate([np.eye(1, width), _shares(layout)[:-1]]).astype(np.float32)
        rows, shares, slots = tf.constant(rows, tf.int32), tf.constant(shares), tf.constant(slots, tf.int32)
        allowed, trials = tf.constant(self._allowed), tf.shape(noise)[0]

        def step(
            s: tf.Tensor,
            before: tf.Tensor,
            states: list[list[tf.Tensor]],
            seen: tf.Tensor,
            tokens: tf.TensorArray,
            log_probs: tf.TensorArray,
        ) -> tuple[object, ...]:
            places = tf.broadcast_to(rows[s], tf.shape(before))
            output = tf.gather_nd(table, tf.stack([places, before], axis=2))
            output = tf.reduce_sum(shares[s][:, None] * output, axis=1)
            new_states = []
            for lstm, state in zip(self._lstms, states, strict=True):
                output, state = lstm.cell(output, state)
                new_states.append(state)
            if layout.skips.any():
                seen = tf.tensor_scatter_nd_update(seen, [[s]], output[None])
            logits = tf.where(tf.gather(allowed, slots[s]), self._logits_at(s, output, seen), IMPOSSIBLE)
            chosen = tf.argmax(logits + tf.gather(noise, slots[s], axis=1), axis=2, output_type=tf.int32)
            log_prob = tf.gather(tf.nn.log_softmax(logits), chosen, batch_dims=2)
            return s + 1, chosen, new_states, seen, tokens.write(s, chosen), log_probs.write(s, log_prob)

        units = self._lstms[0].units
        nothing = [[tf.zeros((trials, units)), tf.zeros((trials, units))] for _ in self._lstms]
        seen = tf.zeros((layout.steps, trials, units))
        arrays = [tf.TensorArray(dtype, steps, element_shape=(None, width)) for dtype in (tf.int32, tf.float32)]
        *_, tokens, log_probs = tf.while_loop(
            lambda s, *_: s < steps, step, (0, tf.zeros((trials, width), tf.int32), nothing, seen, *arrays)
        )
        return tokens.stack(), log_probs.stack()

    def _logits_at(self, s: tf.Tensor, state: tf.Tensor, seen: tf.Tensor) -> tf.Tensor:
        """The logits `[B, G, K]` of step `s`, from its states `[B, H]` and those of the steps up to it `[S, B, H]`."""
        layout = self._layout
        first = np.maximum(layout.slots, 0)[:, 0]
        head = tf.constant(np.searchsorted(self._plain, first).clip(max=len(self._plain) - 1), tf.int32)
        kernel, bias = self._heads.kernel, self._heads.bias

        def softmax() -> tf.Tensor:
            logits = state @ kernel[head[s]] + bias[head[s]]
            return tf.pad(logits[:, None], [[0, 0], [0, layout.slots.shape[1] - 1], [0, 0]])

        def sigmoids() -> tf.Tensor:
            anchors = tf.constant(layout.anchor_step[np.maximum(layout.slots, 0)], tf.int32)[s]
            own = tf.fill(tf.shape(anchors), s)
            states = tf.transpose(seen, [1, 0, 2])
            logits = anchor_logits(states, anchors, own, *(dense.kernel for dense in self._anchors))
            return tf.pad(logits[..., None], [[0, 0], [0, 0], [1, self._options - 2]])

        if not layout.skips.any():
            return softmax()
        return tf.cond(tf.constant(layout.skips[first])[s], sigmoids, softmax)


def anchor_logits(
    hidden: tf.Tensor,
    earlier: np.ndarray | tf.Tensor,
    own: np.ndarray | tf.Tensor,
    w_prev: tf.Tensor | keras.Variable,
    w_curr: tf.Tensor | keras.Variable,
    v: tf.Tensor | keras.Variable,
) -> tf.Tensor:
    """`v^T tanh(W_prev h_j + W_curr h_i)` (1611.01578, equation 5): the logits of layer j feeding layer i.

    Args:
        hidden: `[B, S, H]`, the LSTM's states.
        earlier: `[A]`, the step of each layer j.
        own: `[A]`, the step of each layer i.
        w_prev: `[H, H]`, from the right: `h @ w`.
        w_curr: `[H, H]`.
        v: `[H, 1]`.

    Returns:
        `[B, A]`.
    """
    mixed = tf.gather(hidden @ w_prev, earlier, axis=1) + tf.gather(hidden @ w_curr, own, axis=1)
    return (tf.tanh(mixed) @ v)[..., 0]


def _shares(layout: Layout) -> np.ndarray:
    """`[S, G]`: what each decision of a step adds to the next input; 0 where there is none."""
    used = layout.slots >= 0
    return used / np.sqrt(used.sum(axis=1, keepdims=True))


def _inputs(layout: Layout) -> np.ndarray:
    """`[S, T]` float32: how the LSTM's inputs are made of the embeddings of what came before each decision."""
    inputs = np.zeros((layout.steps, len(layout.decisions)), np.float32)
    inputs[0, 0] = 1
    for step, (places, shares) in enumerate(zip(layout.slots[:-1], _shares(layout)[:-1], strict=True)):
        inputs[step + 1, places[places >= 0] + 1] = shares[places >= 0]
    return inputs
