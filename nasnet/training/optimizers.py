"""Which weights train, how fast, and by which optimizer: values of a recipe made into Keras' optimizers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from nasnet.networks.readings.keras_reading import primitive_name
from nasnet.training.config import TrainingConfig, TransferConfig

Group = tuple[keras.optimizers.Optimizer, list[keras.Variable]]
"""Variables that train alike, and the optimizer that is theirs."""


class Momentum(keras.optimizers.Optimizer):
    """Gradient descent with a velocity that the present rate multiplies.

        velocity = momentum * velocity + gradient;  variable -= rate * velocity

    A step at a rate of 0 is not taken: who waits gathers no velocity.

    Source: TensorFlow 1's `MomentumOptimizer`, which the papers' code trains by. In Keras' SGD each gradient keeps the
    rate of its own step, which is another training where the rate falls within a few tens of steps (docs/results.md).
    """

    def __init__(self, learning_rate: Any, momentum: float = 0.9, name: str = "momentum") -> None:  # noqa: ANN401
        """`learning_rate` is a number or a schedule, as Keras' optimizers take it."""
        super().__init__(learning_rate, name=name)
        self.momentum = momentum

    def build(self, variables: list[keras.Variable]) -> None:
        """Makes a velocity of zero for each variable."""
        if self.built:
            return
        super().build(variables)
        self.velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        """Moves one variable, and its velocity."""
        rate = tf.cast(learning_rate, variable.dtype)
        velocity = self.velocities[self._get_variable_index(variable)]
        moved = self.momentum * tf.convert_to_tensor(velocity) + tf.cast(gradient, variable.dtype)
        moved = tf.where(rate > 0, moved, tf.convert_to_tensor(velocity))
        self.assign(velocity, moved)
        self.assign_sub(variable, rate * moved)

    def get_config(self) -> dict[str, Any]:
        """What it is made of, as JSON."""
        return {"learning_rate": self._learning_rate, "momentum": self.momentum, "name": self.name}


class RMSProp(keras.optimizers.RMSprop):
    """Keras' RMSprop, begun as TensorFlow 1 begins: its mean of the squared gradients is one at first, not zero.

        square = rho * square + (1 - rho) * gradient^2
        velocity = momentum * velocity + rate * gradient / sqrt(square + epsilon);  variable -= velocity

    Source: TensorFlow 1's `RMSPropOptimizer`; slim and tensorflow/tpu train ImageNet by it. There too the rate stands
    inside the velocity and epsilon inside the root, both other than in `Momentum` and in PyTorch.
    """

    def add_optimizer_variables(
        self, trainable_variables: list[keras.Variable], name: str, initializer: str = "zeros"
    ) -> list[keras.Variable]:
        """As Keras does, where "velocity" is its name for the mean of the squares."""
        initializer = "ones" if name == "velocity" else initializer
        return super().add_optimizer_variables(trainable_variables, name, initializer)


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate over the steps: a linear warm-up, times one of Keras' schedules, times a factor.

    The rate is 0 before `from_step`: what trains by it stands still until then.
    """

    def __init__(
        self,
        config: TrainingConfig,
        *,
        total_steps: int,
        steps_per_epoch: int,
        factor: float = 1.0,
        from_step: int = 0,
    ) -> None:
        self._factor, self._from_step = factor, from_step
        self._warmup_steps = config.warmup_epochs * steps_per_epoch
        schedules = keras.optimizers.schedules
        rate = config.learning_rate
        if config.schedule == "cosine":
            self._base: Any = schedules.CosineDecay(rate, total_steps)
        elif config.schedule == "exponential":
            decay_steps = max(1.0, config.decay_epochs * steps_per_epoch)
            self._base = schedules.ExponentialDecay(rate, decay_steps, config.decay_rate, config.staircase)
        elif config.schedule == "step":
            starts = tf.constant([float(round(share * total_steps)) for share, _ in config.drops])
            factors = tf.constant([factor for _, factor in config.drops])
            self._base = lambda step: rate * tf.reduce_prod(tf.where(step >= starts, factors, 1.0))
        else:
            self._base = lambda _: tf.constant(rate)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The rate of a step, counted from 0: float32."""
        step = tf.cast(tf.convert_to_tensor(step), tf.float32)
        rate = self._factor * self._base(step)
        if self._warmup_steps:
            rate *= tf.minimum(1.0, (step + 1.0) / self._warmup_steps)
        return tf.where(step < float(self._from_step), 0.0, rate)


def optimizer_groups(
    model: keras.Model,
    parts: Sequence[str],
    config: TrainingConfig,
    transfer: TransferConfig,
    lengths: Mapping[str, int],
) -> list[Group]:
    """The trainable variables of a model, each group with an optimizer that is built for it.

    `lengths` are `total_steps` and `steps_per_epoch`, as `Schedule` takes them.
    """
    head_steps = round(transfer.head_epochs * lengths["steps_per_epoch"])
    found: list[Group] = []
    for (factor, waits), variables in groups(model, parts, transfer).items():
        schedule = Schedule(config, **lengths, factor=factor, from_step=head_steps if waits else 0)
        optimizer = make_optimizer(config.optimizer, schedule)
        if config.precision == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build(variables)
        found.append((optimizer, variables))
    return found


def make_optimizer(name: str, schedule: Schedule) -> keras.optimizers.Optimizer:
    """Gradients come clipped; no optimizer clips on its own, for it would see one replica's part."""
    if name == "adam":
        return keras.optimizers.Adam(schedule)
    if name == "rmsprop":
        # A.7 states 0.9 and 1.0; the momentum is that of tensorflow/tpu's amoeba_net, where the paper says nothing.
        return RMSProp(schedule, rho=0.9, momentum=0.9, epsilon=1.0)
    return Momentum(schedule, momentum=0.9)


def parts_to_head(parts: Sequence[str]) -> dict[str, int]:
    """How far each part of a network (`Architecture.parts`) is from the head: the last cell is 1, the heads are 0."""
    return {"auxiliary": 0, **{part: distance for distance, part in enumerate(reversed(parts))}}


def inner_parts(parts: Sequence[str]) -> int:
    """How many of the parts are cells, or what is counted in a network without them: not the first and not the head."""
    return len(parts) - 2


def freeze(model: keras.Model, parts: Sequence[str], transfer: TransferConfig, fresh: Collection[str] = ()) -> int:
    """Freezes all layers further from the head than `trainable_cells`; returns how many are left to train.

    Cells, or the parts of a network without them: neither the first one nor the head is counted. A layer of which a
    weight is in `fresh`, by name, has learned nothing that could be kept: it trains wherever it is. A frozen batch norm
    takes its moving statistics and leaves them as they are.
    """
    distances, inner = parts_to_head(parts), inner_parts(parts)
    if transfer.trainable_cells is None or transfer.trainable_cells > inner:
        return inner
    drawn = {name.split("/")[0] for name in fresh}
    for layer in model.layers:
        name = primitive_name(layer)
        if distances.get(part_of(name), 0) > transfer.trainable_cells and name not in drawn:
            layer.trainable = False
    return transfer.trainable_cells


def part_of(name: str) -> str:
    """The part of the network that a primitive or a weight belongs to: the start of its name."""
    return name.split("/")[0].split(".")[0]


def groups(
    model: keras.Model, parts: Sequence[str], transfer: TransferConfig
) -> dict[tuple[float, bool], list[keras.Variable]]:
    """The trainable variables by (share of the learning rate, whether they wait while the head warms up)."""
    distances = parts_to_head(parts)
    found: dict[tuple[float, bool], list[keras.Variable]] = {}
    for layer in model.layers:
        distance = distances.get(part_of(primitive_name(layer)), 0)
        waits = bool(transfer.head_epochs) and distance > 0
        for variable in layer.trainable_variables:
            found.setdefault((transfer.layer_decay**distance, waits), []).append(variable)
    return found
