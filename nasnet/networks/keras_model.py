"""A network as a functional `keras.Model`: built, its weights by name, copied."""

from __future__ import annotations

import keras
import numpy as np

from nasnet.networks.layers import DropConfig
from nasnet.networks.readings.keras_reading import BatchNorm, Layers, primitive_name
from nasnet.networks.spec import NetworkSpec


def build(
    spec: NetworkSpec,
    *,
    drops: DropConfig | None = None,
    auxiliary: bool = False,
    batch_norm: BatchNorm = "stock",
    seed: int = 0,
    dtype: str = "float32",
) -> keras.Model:
    """Builds a network with fresh weights as a functional model, from raw pixels to logits.

    Args:
        spec: the network.
        drops: what training drops. A network that has it is for training, and may have layers of ours; one that is
            built with None is of stock layers and drops nothing.
        auxiliary: whether to build the auxiliary heads, which training alone has.
        batch_norm: "stock" is Keras' own layer, "synchronized" the same with statistics over all replicas, "fused" one
            operation instead of a dozen, for training. What is to be exported has stock ones and no `drops`.
        seed: of the initial weights; each tensor's seed is derived from it and from the tensor's name.
        dtype: of weights and results, or a policy of Keras: with "mixed_bfloat16" layers compute in bfloat16, weights
            and logits are float32.

    Returns:
        A model from `[B, height, width, channels]` to logits `[B, classes]`, or to
        `{"logits": ..., "auxiliary": (..., )}` with `auxiliary`, those of each such head.

    Raises:
        ValueError: for sizes that cannot be built, in one line.
    """
    exact = keras.DTypePolicy(dtype).variable_dtype
    image = keras.Input(spec.image_shape, name="image", dtype=exact)
    # (x - mean) / std. Not keras.layers.Normalization, whose constants Keras' ONNX export makes inputs of the graph.
    scale, offset = 1 / np.array(spec.std), -np.array(spec.mean) / np.array(spec.std)
    if exact == "float32":  # lists are what every version of Keras reads back; TensorFlow rounds them to float32
        scale, offset = scale.tolist(), offset.tolist()
    whitening = keras.layers.Rescaling(scale, offset, name="whitening", dtype=exact)
    reading = Layers(spec, drops=drops, batch_norm=batch_norm, seed=seed, dtype=dtype)
    outputs = spec.architecture.walk(reading, whitening(image), auxiliary=auxiliary)
    if auxiliary:
        return keras.Model(image, {"logits": outputs.logits, "auxiliary": outputs.auxiliary_logits}, name="network")
    return keras.Model(image, outputs.logits, name="network")


def named_weights(model: keras.Model) -> dict[str, keras.Variable]:
    """The variables of a network by the names that `cells.count` gives them: `<primitive>/<role>`."""
    return {
        f"{primitive_name(layer)}/{variable.name}": variable for layer in model.layers for variable in layer.weights
    }


def is_older(model: keras.Model) -> bool:
    """Whether a network was saved when its layers had other names."""
    return any("." in layer.name for layer in model.layers)


def renewed(spec: NetworkSpec, model: keras.Model) -> keras.Model:
    """A saved network as it is built today; the one given where that would be another network."""
    if not is_older(model):
        return model
    built = build(spec)
    return model if copy_weights(model, built) else built


def copy_weights(source: keras.Model, target: keras.Model, fresh: str | None = None) -> tuple[str, ...]:
    """Copies every weight that both have by name and shape; returns the names of those that `target` kept.

    It keeps those whose name starts with `fresh` in any case.
    """
    values = named_weights(source)
    kept: list[str] = []
    for name, variable in named_weights(target).items():
        there = name in values and tuple(values[name].shape) == tuple(variable.shape)
        if there and not (fresh and name.startswith(fresh)):
            variable.assign(values[name])
        else:
            kept.append(name)
    return tuple(kept)
