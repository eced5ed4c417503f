"""`nasnet.network` and `nasnet.load`: networks as Keras models, fresh and trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from nasnet.modes.inputs import counted, made
from nasnet.modes.library.arguments import in_arguments
from nasnet.networks.config import NetworkConfig
from nasnet.networks.keras_model import build
from nasnet.networks.models import named_model
from nasnet.networks.saved import load_trained, trained_folder
from nasnet.networks.spec import NetworkSpec, per_channel
from nasnet.runtime.environment import import_keras
from nasnet.runtime.errors import SettingError
from nasnet.runtime.files import expanded

_MIDDLE = 127.5  # of raw pixels, and half their range


def network(
    model: str | Path,
    *,
    classes: int | Sequence[str] | None = None,
    image_size: int | None = None,
    channels: int | None = None,
    mean: float | Sequence[float] = _MIDDLE,
    std: float | Sequence[float] = _MIDDLE,
    seed: int = 0,
    **sizes: Any,  # noqa: ANN401 - of NetworkConfig
) -> keras.Model:
    """A network with fresh weights, of stock Keras layers: compile and fit it as any other.

    >>> model = network("nasnet_a", classes=3, image_size=32, repeats=1, filters=4)
    >>> model.input_shape, model.output_shape
    ((None, 32, 32, 3), (None, 3))

    Args:
        model: any name that `--model` takes (`train.py --mode=train --model=all` lists them), a genotype.json or a
            folder like `best/`, whose weights are not taken: `load` gives those.
        classes: how many, or their names; None: as the network was published or trained, and so the next two.
        image_size: pixels a side of its input.
        channels: of its input.
        mean, std: what it takes from raw pixels, 0 to 255, and divides by; a number, or one a channel.
        seed: of the weights.
        sizes: what there is to set of it: repeats, filters, parameters, stem, stem_multiplier, skip_reduction_input of
            cells, width of networks drawn by hand.

    Returns:
        A model from raw pixels `[B, height, width, channels]` to logits `[B, classes]`, not compiled. `class_names` is
        a tuple of its classes' names.

    Raises:
        UserError: for an unknown name, and for sizes that it cannot have.
    """
    import_keras()
    with in_arguments():
        for name in sizes:
            if name not in NetworkConfig.__dataclass_fields__:
                rule = f"is no size of a network; expected {', '.join(NetworkConfig.__dataclass_fields__)}"
                raise SettingError(name, sizes[name], rule)
        named, config = named_model(str(model)), NetworkConfig(**sizes)
        named.check_settings(sizes)
        config.check_given(sizes)
        (height, width, depth), published = named.published(config)
        shape = (_given(image_size, height), _given(image_size, width), _given(channels, depth))
        named_by = published if classes is None else classes
        names = tuple(map(str, range(named_by))) if isinstance(named_by, int) else tuple(named_by)
        for name, value in (("image_size", shape[0]), ("channels", shape[2]), ("classes", len(names))):
            if value < 1:
                raise SettingError(name, value, "must be 1 or more")
        architecture = made(named, config, len(names), shape)
        counted(named.name, architecture, shape)
        try:
            means, stds = per_channel(mean, shape[2]), per_channel(std, shape[2])
            built = build(NetworkSpec(architecture, names, shape, means, stds), seed=seed)
        except ValueError as error:
            raise SettingError("model", model, str(error)) from error
    built.class_names = names
    return built


def _given(value: int | None, published: int) -> int:
    return published if value is None else value


def load(folder: str | Path) -> keras.Model:
    """A trained network: of a run's workdir, of its `best/`, of one of a search's `children/`.

    Returns:
        A model from raw pixels `[B, height, width, channels]`, 0 to 255, to logits `[B, classes]`, compiled with
        cross-entropy of whole-number labels and accuracy, so that `evaluate(x, y)` says both. `class_names` is a tuple
        of its classes' names, in the order of the logits.

    Raises:
        UserError: for a folder that holds none, and for a damaged file.
    """
    import_keras()
    with in_arguments(source="folder"):
        spec, model = load_trained(trained_folder(expanded(folder)))
    # On a CPU XLA's depthwise convolutions are many times slower than TensorFlow's own (docs/results.md).
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, metrics=["accuracy"], jit_compile=False)
    model.class_names = spec.classes
    return model
