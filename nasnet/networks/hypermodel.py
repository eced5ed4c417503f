"""Our spaces as KerasTuner's hypermodels: what any of its tuners builds, compiles and fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import keras_tuner

from cells.genotype.genotype import Genotype
from cells.spaces.chain import ChainSpace
from cells.spaces.nasnet import NASNetSpace
from cells.spaces.space import Space, ask, lengths
from nasnet.networks.config import NetworkConfig
from nasnet.networks.keras_model import build
from nasnet.networks.spec import NetworkSpec, Shape, architecture_of, per_channel

Optimizer = str | Callable[[], Any]
"""What `compile` takes by name, or what makes a fresh `keras.Optimizer`: one serves one model."""


class SpaceHyperModel(keras_tuner.HyperModel):
    """A space of genotypes as a `keras_tuner.HyperModel`: each decision is a `Choice` of its name, its value the token.

    The models take raw pixels (0 to 255) `[B, height, width, channels]` and whole numbers as labels, and give logits.
    `fit` is KerasTuner's: what `Tuner.search` is given goes to `model.fit`.

    Args:
        space: what is searched; in one that grows, `decisions` is the number of decisions that a network has.
        classes: how many, or their names in the order of the labels.
        image_shape: (height, width, channels).
        network: how large the networks are.
        mean, std: what the models take from the pixels and divide by, for all channels or one number for each.
        optimizer: see `Optimizer`.
        metrics: names that `compile` takes.
        jit_compile: see `compile`. Each trial is another network, which XLA takes longer to compile than it trains.
        seed: of the initial weights.
    """

    def __init__(
        self,
        space: Space,
        classes: int | Sequence[str],
        image_shape: Shape,
        network: NetworkConfig | None = None,
        *,
        mean: float | Sequence[float] = 127.5,
        std: float | Sequence[float] = 127.5,
        optimizer: Optimizer = "adam",
        metrics: Sequence[str] = ("accuracy",),
        jit_compile: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.space = space
        self.classes = tuple(map(str, range(classes))) if isinstance(classes, int) else tuple(classes)
        self.image_shape = image_shape
        self.network = network or NetworkConfig()
        self.mean, self.std = (per_channel(value, image_shape[2]) for value in (mean, std))
        self.optimizer = optimizer
        self.metrics = metrics
        self.jit_compile = jit_compile
        self.seed = seed
        self._lengths = lengths(space.decisions, space.length)

    def genotype(self, hp: Any) -> Genotype:  # noqa: ANN401 - keras_tuner.HyperParameters, without types
        """The cells or layers that a trial's hyperparameters name."""
        return self.space.decode(ask(hp, self.space.decisions, self._lengths))

    def spec(self, hp: Any) -> NetworkSpec:  # noqa: ANN401 - keras_tuner.HyperParameters, without types
        """The whole network of a trial's hyperparameters, as a value; its JSON is a genotype.json for `--model`.

        Raises:
            ValueError: where the sizes cannot be built.
        """
        architecture = architecture_of(self.genotype(hp), self.network, len(self.classes), self.image_shape)
        return NetworkSpec(architecture, self.classes, self.image_shape, self.mean, self.std)

    def build(self, hp: Any) -> keras.Model:  # noqa: ANN401 - keras_tuner.HyperParameters, without types
        """See `keras_tuner.HyperModel.build`: compiled, of stock Keras layers, with fresh weights.

        Raises:
            keras_tuner.errors.FailedTrialError: for a network that cannot be built: its trial fails, others go on.
        """
        try:
            model = build(self.spec(hp), seed=self.seed)
        except ValueError as error:
            raise keras_tuner.errors.FailedTrialError(str(error)) from error
        model.compile(
            optimizer=self.optimizer if isinstance(self.optimizer, str) else self.optimizer(),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=list(self.metrics),
            jit_compile=self.jit_compile,
        )
        model.optimizer.build(model.trainable_variables)  # for the tuner's checkpoints, which hold its state
        return model


class NASNetHyperModel(SpaceHyperModel):
    """The Normal and Reduction Cells of NASNet (`cells.spaces.nasnet.NASNetSpace`), stacked as `network` says."""

    def __init__(
        self,
        classes: int | Sequence[str],
        image_shape: Shape,
        network: NetworkConfig | None = None,
        *,
        space: NASNetSpace | None = None,
        **more: Any,  # noqa: ANN401 - as SpaceHyperModel's
    ) -> None:
        super().__init__(space or NASNetSpace(), classes, image_shape, network, **more)


class ChainHyperModel(SpaceHyperModel):
    """Networks layer by layer (`cells.spaces.chain.ChainSpace`); a tuner that knows no growth takes all its layers."""

    def __init__(
        self,
        classes: int | Sequence[str],
        image_shape: Shape,
        network: NetworkConfig | None = None,
        *,
        space: ChainSpace | None = None,
        **more: Any,  # noqa: ANN401 - as SpaceHyperModel's
    ) -> None:
        super().__init__(space or ChainSpace(), classes, image_shape, network, **more)
