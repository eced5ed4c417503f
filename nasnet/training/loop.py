"""Trains one network, on one device or on many: one loop under any strategy. Does not know that search exists."""

from __future__ import annotations

import contextlib
import math
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from nasnet.data.augment import augment
from nasnet.data.dataset import DataSet, Split
from nasnet.data.input_pipeline import feed, in_order, training_order
from nasnet.networks.keras_model import BatchNorm, build, copy_weights
from nasnet.networks.layers import Dropping
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.errors import SettingError
from nasnet.runtime.seeds import name_seed
from nasnet.runtime.signals import Checkpointed, Stopping
from nasnet.training.checkpoints import resume
from nasnet.training.config import ReplicaConfig, TrainingConfig, TransferConfig, resolve_augmentation
from nasnet.training.metrics import Score, cross_entropy, sum_scores
from nasnet.training.optimizers import Schedule, freeze, groups, make_optimizer
from nasnet.training.progress import Meter, Progress
from nasnet.training.replicas import Replicas

_AGREE_STEPS = 10  # steps between looks at whether another machine's process was asked to stop


class Training:
    """One network in training. Bit-exact on CPU: the same arguments give the same weights, resumed or not."""

    def __init__(
        self,
        spec: NetworkSpec,
        data: DataSet,
        config: TrainingConfig,
        *,
        seed: int,
        replicas: Replicas | None = None,
        transfer: TransferConfig | None = None,
        source: keras.Model | None = None,
        dtype: str = "float32",
    ) -> None:
        """Builds the network, with fresh weights or with those of `source` where they fit.

        Args:
            spec: the network. It is built with what only training has (auxiliary head, drop-path, dropout) as well.
            data: its training split is trained on, its valid split scored.
            config: the recipe.
            seed: of weights, order of the pictures, augmentation and dropping.
            replicas: where it trains; this process's one device by default.
            transfer: what trains of it, and how fast.
            source: a network whose weights are taken over. The head is always fresh: as many classes need not be the
                same classes. `kept` names the weights that are.
            dtype: "float64" computes in it, for checking.

        Raises:
            SettingError: for a batch that cannot be divided among the replicas.
        """
        self.config = resolve_augmentation(config, data)
        self.replicas = replicas or Replicas(tf.distribute.get_strategy())
        self._strategy = self.replicas.strategy
        self._spec, self._data, self._seed = spec, data, seed
        self.batch_size = min(config.batch_size, len(data.train))
        number = self._strategy.num_replicas_in_sync
        if self.batch_size % number:
            rule = f"can't be divided among {number} replicas; expected a multiple of that"
            raise SettingError("batch_size", self.batch_size, rule)
        self.steps_per_epoch = len(data.train) // self.batch_size
        self.total_steps = config.steps or self.steps_per_epoch * config.epochs
        self.transfer = transfer or TransferConfig()
        self.kept: tuple[str, ...] = ()
        self._dtype = dtype
        with self._strategy.scope():
            self._build(source)
        self._train_step = tf.function(self._step, autograph=False, jit_compile=False)
        self._score_step: Any = None

    def _build(self, source: keras.Model | None) -> None:
        config, spec = self.config, self._spec
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        dropping = Dropping(self.step, self.total_steps, config.drop_path_keep, config.dropout_keep, self._seed)
        policy = self._dtype if config.precision == "float32" else config.precision
        self.model = build(
            spec,
            dropping=dropping,
            auxiliary=config.auxiliary_weight > 0,
            batch_norm=self._batch_norm(),
            seed=self._seed,
            dtype=policy,
        )
        if source is not None:
            self.kept = copy_weights(source, self.model, fresh="head.")
        freeze(self.model, spec.architecture.parts, self.transfer)
        self._variables: list[keras.Variable] = []
        self._optimizers: list[tuple[keras.optimizers.Optimizer, int]] = []
        lengths = {"total_steps": self.total_steps, "steps_per_epoch": self.steps_per_epoch}
        self.schedule = Schedule(config, **lengths)
        head_steps = round(self.transfer.head_epochs * self.steps_per_epoch)
        for (factor, waits), variables in groups(self.model, spec.architecture.parts, self.transfer).items():
            schedule = Schedule(config, **lengths, factor=factor, from_step=head_steps if waits else 0)
            optimizer = make_optimizer(config.optimizer, schedule)
            if config.precision == "mixed_float16":
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
            optimizer.build(variables)
            self._variables += variables
            self._optimizers.append((optimizer, len(variables)))
        self._kernels = [variable for variable in self._variables if variable.name == "kernel"]
        # Of the moving statistics too, as in slim: they belong to the averaged weights.
        averaged = self.model.weights if config.ema_decay else []
        self._averages = [tf.Variable(variable.value, trainable=False) for variable in averaged]

    def _batch_norm(self) -> BatchNorm:
        if self._strategy.num_replicas_in_sync > 1:
            return "synchronized"
        return "stock" if self._dtype == "float64" else "fused"

    def run(
        self,
        checkpoints: Path | None = None,
        report: Callable[[Progress], None] = lambda _: None,
        options: ReplicaConfig | None = None,
        stopping: Stopping | None = None,
    ) -> None:
        """Trains to the end, from the newest checkpoint if there is one.

        Args:
            checkpoints: folder that they are in. The processes of several machines must all see the same one.
            report: told where it stands, about every second and at the end of each epoch.
            options: how many checkpoints, and what is scored when.
            stopping: looked at after each step.

        Raises:
            DivergedError: if the loss is no longer finite.
            UserError: if a checkpoint cannot be read.
            Checkpointed: if it was asked to stop, or another process that trains with it was.
        """
        options, stopping = options or ReplicaConfig(), stopping or Stopping()
        save = resume(
            checkpoints,
            options.keep_checkpoints,
            self.replicas,
            step=self.step,
            model=self.model,
            optimizers=[optimizer for optimizer, _ in self._optimizers],
            averages=self._averages,
        )
        meter = Meter(
            report,
            step=int(self.step.numpy()),
            steps=self.total_steps,
            steps_per_epoch=self.steps_per_epoch,
            batch_size=self.batch_size,
            learning_rate=lambda step: float(self.schedule(tf.constant(step))),
        )
        epochs = math.ceil(self.total_steps / self.steps_per_epoch)
        order = training_order(
            len(self._data.train), self.batch_size, self._seed, range(int(self.step.numpy()), self.total_steps)
        )
        batches = feed(self._data.train, lambda: order, self.batch_size, self._strategy)
        for step in range(int(self.step.numpy()) + 1, self.total_steps + 1):
            loss, hits, heard = self._train_step(*next(batches), tf.constant(float(stopping.requested)))
            meter.add(loss, hits)
            ended = step % self.steps_per_epoch == 0 or step == self.total_steps
            number = self._signal(step, stopping, heard)
            if ended or number or (options.checkpoint_steps and step % options.checkpoint_steps == 0):
                meter.check()
                save(step)
            if ended:
                due = options.valid_epochs and (meter.epoch % options.valid_epochs == 0 or meter.epoch == epochs)
                meter.end(self.evaluate(self._data.valid) if due else None)
            else:
                meter.show()
            if number and step < self.total_steps:
                raise Checkpointed(number, step)

    def _signal(self, step: int, stopping: Stopping, heard: tf.Tensor) -> int | None:
        """The signal that ends the training after this step, if one does: at the same step in all processes."""
        if self.replicas.workers == 1:
            return stopping.signal
        if step % _AGREE_STEPS or float(heard) == 0:
            return None
        return stopping.signal or signal.SIGTERM

    def evaluate(self, split: Split, batch_size: int = 256) -> Score:
        """Scores the network as it would be saved, on all replicas."""
        if self._score_step is None:
            self._score_step = tf.function(self._score, autograph=False, jit_compile=False)
        number = self._strategy.num_replicas_in_sync
        batch_size = math.ceil(min(batch_size, len(split)) / number) * number
        hits, loss = 0.0, 0.0
        with self._averaged():
            batches = feed(split, lambda: in_order(len(split), batch_size), batch_size, self._strategy)
            for _ in range(math.ceil(len(split) / batch_size)):
                right, losses = self._score_step(*next(batches))
                hits, loss = hits + float(right), loss + float(losses)
        return Score(hits / len(split), loss / len(split), len(split))

    def inference_model(self) -> keras.Model:
        """The trained network without what only training has: stock Keras layers from raw pixels to logits."""
        model = build(self._spec)
        with self._averaged():
            kept = copy_weights(self.model, model)
        assert not kept, kept
        return model

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """The averages in the place of the weights, if there are any."""
        if not self._averages:
            yield
            return
        live = [variable.numpy() for variable in self.model.weights]
        for variable, average in zip(self.model.weights, self._averages, strict=True):
            variable.assign(average.numpy())
        try:
            yield
        finally:
            for variable, value in zip(self.model.weights, live, strict=True):
                variable.assign(value)

    def _step(self, images: Any, labels: Any, asked: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:  # noqa: ANN401
        """One step of all replicas: its loss, pictures that were right, how many were asked to stop."""
        told = self._strategy.run(self._replica_step, args=(images, labels, asked))
        loss, hits, heard = (self._strategy.experimental_local_results(value)[0] for value in told)
        with self._strategy.scope():
            if self._averages:
                self._average()
            self.step.assign_add(1)
        return loss, hits, heard

    def _replica_step(self, images: tf.Tensor, labels: tf.Tensor, asked: tf.Tensor) -> tuple[tf.Tensor, ...]:
        forward_backward = self._forward_backward
        if self.config.jit == "on":
            forward_backward = tf.function(forward_backward, autograph=False, jit_compile=True)
        loss, hits, grads = forward_backward(images, labels)
        context = tf.distribute.get_replica_context()
        number = context.num_replicas_in_sync
        if number > 1:
            # Clipping needs the whole gradient, and Keras' optimizers add up the replicas' once more. Between GPUs of a
            # machine that is little beside what batch norm has to agree on.
            told = tf.stack([tf.cast(value, loss.dtype) for value in (loss, hits, asked)])
            grads, told = context.all_reduce(tf.distribute.ReduceOp.SUM, [grads, told])
            loss, hits, asked = tf.unstack(told)
        grads = self._clipped(grads)
        first = 0
        for optimizer, size in self._optimizers:
            share = [grad / number for grad in grads[first : first + size]]
            optimizer.apply(share, self._variables[first : first + size])
            first += size
        return loss, hits, asked

    def _clipped(self, grads: list[tf.Tensor]) -> list[tf.Tensor]:
        scale = self._scaled(tf.constant(1.0))
        if self.config.clip_norm:
            grads, _ = tf.clip_by_global_norm(grads, self.config.clip_norm * tf.cast(scale, grads[0].dtype))
        if self.config.precision == "mixed_float16":
            # Each optimizer looks at its own; what one leaves out all must.
            finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(grad)) for grad in grads])
            grads = [tf.where(finite, grad, math.nan) for grad in grads]
        return grads

    def _scaled(self, loss: tf.Tensor) -> tf.Tensor:
        """A loss as its gradient is taken of: float16 would lose small gradients."""
        return self._optimizers[0][0].scale_loss(loss)

    def _average(self) -> None:
        # A young average would be mostly the first weights: its decay grows, as that of TensorFlow's
        # ExponentialMovingAverage does where it is told the step.
        step = tf.cast(tf.convert_to_tensor(self.step), tf.float32)
        decay = tf.minimum(self.config.ema_decay, (1.0 + step) / (10.0 + step))

        def move(average: tf.Variable, variable: tf.Tensor, decay: tf.Tensor) -> tf.Tensor:
            share = tf.cast(1.0 - decay, average.dtype)
            return average.assign_sub(share * (average - tf.cast(variable, average.dtype)))

        for average, variable in zip(self._averages, self.model.weights, strict=True):
            self._strategy.extended.update(average, move, args=(variable.value, decay), group=False)

    def _forward_backward(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        config = self.config
        seed = tf.stack([tf.constant(name_seed(self._seed, "augment"), tf.int64), tf.convert_to_tensor(self.step)])
        images = augment(
            tf.cast(images, tf.float32),
            seed,
            pad=config.pad or 0,
            flip=bool(config.flip),
            fill=self._spec.mean,
            cutout=config.cutout,
        )
        number = self._strategy.num_replicas_in_sync
        with tf.GradientTape() as tape:
            outputs = self.model(images, training=True)
            logits = outputs["logits"] if isinstance(outputs, dict) else outputs
            loss = cross_entropy(labels, logits, config.label_smoothing)
            if isinstance(outputs, dict):
                loss += config.auxiliary_weight * cross_entropy(labels, outputs["auxiliary"], config.label_smoothing)
            if config.weight_decay and self._kernels:
                norms = [tf.nn.l2_loss(tf.convert_to_tensor(kernel)) for kernel in self._kernels]
                loss += config.weight_decay * tf.add_n(norms)
            loss /= number  # each replica's is a mean over its own rows, and they are added up
            scaled = self._scaled(loss)
        right = tf.equal(tf.argmax(logits, 1, tf.int32), labels)
        hits = tf.reduce_sum(tf.cast(right, loss.dtype))
        return loss, hits, tape.gradient(scaled, self._variables)

    def _score(self, images: Any, labels: Any) -> tuple[tf.Tensor, tf.Tensor]:  # noqa: ANN401
        def score(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
            outputs = self.model(tf.cast(images, tf.float32), training=False)
            logits = outputs["logits"] if isinstance(outputs, dict) else outputs
            sums = tf.stack(sum_scores(logits, labels))
            context = tf.distribute.get_replica_context()
            return context.all_reduce(tf.distribute.ReduceOp.SUM, sums) if context.num_replicas_in_sync > 1 else sums

        sums = self._strategy.experimental_local_results(self._strategy.run(score, args=(images, labels)))[0]
        return sums[0], sums[1]
