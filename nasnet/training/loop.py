"""Trains one network, on one device or on many: one loop under any strategy. Does not know that search exists.

In the order of a training: the network and its first weights, the newest checkpoint, the epochs (`step.py` has what one
step does), a checkpoint and a score at their ends, the stop, and what is left at the end.
"""

from __future__ import annotations

import contextlib
import math
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import tensorflow as tf

from nasnet.data.dataset import DataSet, Split
from nasnet.data.input_pipeline import feed, training_order
from nasnet.networks.keras_model import BatchNorm, build, copy_weights
from nasnet.networks.layers import DropConfig
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.errors import SettingError
from nasnet.runtime.signals import Checkpointed, Stopping
from nasnet.training.checkpoints import Save, resume
from nasnet.training.config import ReplicaConfig, TrainingConfig, TransferConfig, resolve_augmentation
from nasnet.training.metrics import Scorer
from nasnet.training.optimizers import Schedule, freeze, optimizer_groups
from nasnet.training.progress import Meter, Progress
from nasnet.training.replicas import Replicas
from nasnet.training.score import Score
from nasnet.training.statistics import reestimate
from nasnet.training.step import Step, logits_of

_AGREE_STEPS = 10  # steps between looks at whether another machine's process was asked to stop


class Training:
    """One network in training. Bit-exact on CPU: the same arguments give the same weights, resumed or not.

    Attributes:
        config: the recipe, with what the data set decides filled in.
        fresh: names of the weights that were not taken over from a source; empty without one.
        model: what trains, with its auxiliary head, drop-path and dropout where it has them.
        step: int64 scalar, how many steps it has taken.
        steps_per_epoch, total_steps: how many there are.
    """

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
            seed: of weights, order of the pictures, augmentation and drops.
            replicas: where it trains; this process's one device by default.
            transfer: what trains of it, and how fast.
            source: a network whose weights are taken over. The head is always fresh: as many classes need not be the
                same classes.
            dtype: "float64" computes in it, for checking.

        Raises:
            SettingError: for a batch that cannot be divided among the replicas, and for XLA on several of them.
        """
        self.config = resolve_augmentation(config, data)
        self.replicas = replicas or Replicas(tf.distribute.get_strategy())
        self._strategy = self.replicas.strategy
        self._spec, self._data, self._seed = spec, data, seed
        self.batch_size = batch_size_on(config, len(data.train), self.replicas.count)
        self.steps_per_epoch = len(data.train) // self.batch_size
        self.total_steps = config.steps or self.steps_per_epoch * config.epochs
        self.transfer = transfer or TransferConfig()
        self._dtype = dtype
        with self._strategy.scope():
            self._build(source)
        step = Step(
            self.model,
            self._groups,
            self._averages,
            self.step,
            config=self.config,
            fill=spec.mean,
            seed=seed,
            strategy=self._strategy,
        )
        self._train_step = tf.function(step.__call__, autograph=False, jit_compile=False)
        self._scorer = Scorer(lambda images: logits_of(self.model(images, training=False)), self._strategy)

    def _build(self, source: keras.Model | None) -> None:
        config, spec = self.config, self._spec
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")

        # Which weights it begins with. Each goes over those before it:
        # 1. Fresh ones, drawn from the seed.
        # 2. Those of the source, if there is one, where name and shape are the same; never its head.
        # 3. Those of its own newest checkpoint, if there is one, with all else that it goes on with: see `run`.
        self.model = build(
            spec,
            drops=DropConfig(self.step, self.total_steps, config.drop_path_keep, config.dropout_keep, self._seed),
            auxiliary=config.auxiliary_weight > 0,
            batch_norm=self._batch_norm(),
            seed=self._seed,
            dtype=self._dtype if config.precision == "float32" else config.precision,
        )
        self.fresh = () if source is None else copy_weights(source, self.model, fresh="head.")

        # What trains of them, how fast, and by what.
        freeze(self.model, spec.architecture.parts, self.transfer, self.fresh)
        lengths = {"total_steps": self.total_steps, "steps_per_epoch": self.steps_per_epoch}
        self.schedule = Schedule(config, **lengths)
        self._groups = optimizer_groups(self.model, spec.architecture.parts, config, self.transfer, lengths)

        # Averages of the moving statistics too, as in slim: they belong to the averaged weights.
        averaged = self.model.weights if config.ema_decay else []
        self._averages = [tf.Variable(weight.value, trainable=False) for weight in averaged]

    def _batch_norm(self) -> BatchNorm:
        if self.replicas.count > 1:
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
        save = self._resume(checkpoints, options.keep_checkpoints)
        first_step = int(self.step.numpy())
        meter = self._meter(report, first_step)
        epochs = math.ceil(self.total_steps / self.steps_per_epoch)
        order = training_order(len(self._data.train), self.batch_size, self._seed, range(first_step, self.total_steps))
        batches = feed(self._data.train, lambda: order, self.batch_size, self._strategy)
        for step in range(first_step + 1, self.total_steps + 1):
            stop_requested = tf.constant(float(stopping.requested))
            loss, correct, stop_votes = self._train_step(*next(batches), stop_requested)
            meter.add(loss, correct)
            ended = step % self.steps_per_epoch == 0 or step == self.total_steps
            stop_signal = self._stop_signal(step, stopping, stop_votes)

            # A checkpoint at an epoch's end, before a stop, and as often as was asked for; never of a loss gone bad.
            if ended or stop_signal or (options.checkpoint_steps and step % options.checkpoint_steps == 0):
                meter.check()
                save(step)

            # Scored and shown after it is saved: who is killed meanwhile has lost nothing.
            if ended:
                due = options.valid_epochs and (meter.epoch % options.valid_epochs == 0 or meter.epoch == epochs)
                meter.end(self.evaluate(self._data.valid) if due else None)
            else:
                meter.show()
            if stop_signal and step < self.total_steps:
                raise Checkpointed(stop_signal, step)

    def _resume(self, folder: Path | None, keep: int) -> Save:
        """Goes to the newest checkpoint, if there is one; returns what writes the next. The names are its format."""
        # Keras' SGD saved a velocity of another meaning as "optimizers", which must not be taken for ours.
        name = "momentum" if self.config.optimizer == "momentum" else "optimizers"
        optimizers = {name: [optimizer for optimizer, _ in self._groups]}
        tracked = {"model": self.model, "averages": self._averages, **optimizers}
        return resume(folder, keep, self.replicas, step=self.step, **tracked)

    def _meter(self, report: Callable[[Progress], None], step: int) -> Meter:
        return Meter(
            report,
            step=step,
            steps=self.total_steps,
            steps_per_epoch=self.steps_per_epoch,
            batch_size=self.batch_size,
            learning_rate=lambda step: float(self.schedule(tf.constant(step))),
        )

    def _stop_signal(self, step: int, stopping: Stopping, stop_votes: tf.Tensor) -> int | None:
        """The signal that ends the training after this step, if one does: at the same step in all processes."""
        if self.replicas.workers == 1:
            return stopping.signal
        # Only the votes are the same everywhere, and to read them waits for the device: hence not after every step.
        if step % _AGREE_STEPS or float(stop_votes) == 0:
            return None
        return stopping.signal or signal.SIGTERM

    def evaluate(self, split: Split, batch_size: int = 256) -> Score:
        """Scores the network as it would be saved, on all replicas."""
        with self._averaged():
            return self._scorer(split, batch_size)

    def inference_model(self, *, reestimated: bool = False) -> keras.Model:
        """The trained network without what only training has: stock Keras layers from raw pixels to logits.

        With `reestimated` its batch norms that trained hold the statistics of the training split for the weights as
        they are, where a short training's moving ones have not come after them (`statistics.py`).
        """
        model = build(self._spec)
        with self._averaged():
            missing = copy_weights(self.model, model)
        assert not missing, missing
        if reestimated:
            freeze(model, self._spec.architecture.parts, self.transfer, self.fresh)
            reestimate(model, self._data.train.images)
            model.trainable = True
        return model

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """The averages in the place of the weights, if there are any."""
        if not self._averages:
            yield
            return
        live = [weight.numpy() for weight in self.model.weights]
        for weight, average in zip(self.model.weights, self._averages, strict=True):
            weight.assign(average.numpy())
        try:
            yield
        finally:
            for weight, value in zip(self.model.weights, live, strict=True):
                weight.assign(value)


def batch_size_on(config: TrainingConfig, pictures: int, replicas: int) -> int:
    """Pictures of a step on all replicas: those that were asked for, or all that there are."""
    found = min(config.batch_size, pictures)
    if found % replicas:
        short = f" the {pictures} training pictures are fewer and" if found < config.batch_size else ""
        rule = f"{short} can't be divided among {replicas} replicas; expected a multiple of {replicas}".lstrip()
        raise SettingError("batch_size", config.batch_size, rule + (f" up to {pictures}" if short else ""))
    if config.jit == "on" and replicas > 1:
        rule = f"goes with one replica, not with {replicas}: XLA cannot compile a batch norm that they agree on"
        raise SettingError("jit", config.jit, rule, see=("replicas",))
    return found
