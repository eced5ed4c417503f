"""The LSTM that writes an architecture down, one decision after the other (arXiv 1707.07012, A.2 and A.3)."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from cells.spaces.space import Decision, Tokens
from controller.strategy import trial_rng

INITIAL_SCALE = 0.1  # all weights start uniform in +-0.1 (A.3)
IMPOSSIBLE = -1e9  # the logit of a padded option: its probability is exactly 0, and 0 * -1e9 is 0 where 0 * -inf is not


class Policy:
    """A one-layer LSTM with one softmax a decision; what it chose last is its next input.

    Every decision has its own table of embeddings and its own softmax, padded to the largest decision and masked. Own
    tables, because a policy does not know which decisions share a meaning: token 3 may be a state here and an operation
    there, and the table of its own also tells the LSTM where in the tuple it stands.

    It lives on the CPU, in float32: T small steps one after the other are nothing for a GPU, and a search is resumed
    by replay, which needs the same bits every time.

    Shapes: B trials, T decisions, K options of the largest decision, E embedding size, H units.
    """

    def __init__(self, decisions: tuple[Decision, ...], units: int, embedding_size: int, seed: int) -> None:
        self._seed = seed
        self._units = units
        self._steps = len(decisions)
        self._options = max(decision.size for decision in decisions)
        sizes = np.array([decision.size for decision in decisions])
        self._allowed = np.arange(self._options) < sizes[:, None]  # [T, K]
        with tf.device("CPU:0"):
            # Row t of the table is for what came before decision t; before the first came token 0 of nothing.
            self._embed = keras.layers.EinsumDense(
                "btk,tke->bte", output_shape=(self._steps, embedding_size), dtype="float32"
            )
            self._embed.build((None, self._steps, self._options))
            self._lstm = keras.layers.LSTM(units, return_sequences=True, use_cudnn=False, dtype="float32")
            self._lstm.build((None, self._steps, embedding_size))
            self._heads = keras.layers.EinsumDense(
                "bth,thk->btk", output_shape=(self._steps, self._options), bias_axes="tk", dtype="float32"
            )
            self._heads.build((None, self._steps, units))
            rng = np.random.default_rng(seed)
            for variable in self.variables:
                variable.assign(rng.uniform(-INITIAL_SCALE, INITIAL_SCALE, variable.shape))

    @property
    def variables(self) -> list[keras.Variable]:
        """All weights: embeddings `[T, K, E]`, LSTM `[E, 4H] [H, 4H] [4H]`, softmaxes `[T, H, K] [T, K]`."""
        layers = (self._embed, self._lstm, self._heads)
        return [variable for layer in layers for variable in layer.trainable_variables]

    def sample(self, trial_id: int) -> tuple[Tokens, tuple[float, ...]]:
        """Draws T tokens. The same weights, seed and `trial_id` give the same ones.

        Returns:
            T tokens and their T log-probabilities, each given the tokens before it.
        """
        # argmax(logits + Gumbel noise) is a draw from softmax(logits), and never a masked option.
        noise = trial_rng(self._seed, trial_id).gumbel(size=self._allowed.shape)
        with tf.device("CPU:0"):
            tokens, log_probs = self._sample(tf.constant(noise, tf.float32))
        return tuple(tokens.numpy().tolist()), tuple(log_probs.numpy().tolist())

    def score(self, tokens: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """How probable the policy finds these tokens. To be traced by its caller, as one graph with the gradient.

        Args:
            tokens: `[B, T]` int32, inside the decisions' sizes.

        Returns:
            log-probabilities `[B, T]` of each token given those before it, and entropies `[B, T]` of the choice.
        """
        before = tf.pad(tokens[:, :-1], [[0, 0], [1, 0]])
        hidden = self._lstm(self._embed(tf.one_hot(before, self._options)))
        log_softmax = tf.nn.log_softmax(tf.where(self._allowed, self._heads(hidden), IMPOSSIBLE))
        log_probs = tf.reduce_sum(tf.one_hot(tokens, self._options) * log_softmax, axis=2)
        return log_probs, -tf.reduce_sum(tf.exp(log_softmax) * log_softmax, axis=2)

    @tf.function(autograph=False, jit_compile=False, reduce_retracing=True)
    def _sample(self, noise: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Noise `[T, K]` to tokens `[T]` and log-probabilities `[T]`: the steps of `score`, one at a time."""
        table, heads, biases = self._embed.kernel, self._heads.kernel, self._heads.bias
        allowed = tf.constant(self._allowed)

        def step(
            t: tf.Tensor,
            token: tf.Tensor,
            hidden: tf.Tensor,
            carry: tf.Tensor,
            tokens: tf.TensorArray,
            log_probs: tf.TensorArray,
        ) -> tuple[tf.Tensor | tf.TensorArray, ...]:
            output, (hidden, carry) = self._lstm.cell(table[t, token][None], [hidden, carry])
            logits = tf.where(allowed[t], (output @ heads[t])[0] + biases[t], IMPOSSIBLE)
            token = tf.argmax(logits + noise[t], output_type=tf.int32)
            log_prob = tf.nn.log_softmax(logits)[token]
            return t + 1, token, hidden, carry, tokens.write(t, token), log_probs.write(t, log_prob)

        nothing = tf.zeros((1, self._units))
        tokens = tf.TensorArray(tf.int32, self._steps, element_shape=())
        log_probs = tf.TensorArray(tf.float32, self._steps, element_shape=())
        *_, tokens, log_probs = tf.while_loop(
            lambda t, *_: t < self._steps, step, (0, 0, nothing, nothing, tokens, log_probs)
        )
        return tokens.stack(), log_probs.stack()
