"""GoogLeNet and residual networks a second time, in NumPy, layer by layer from the papers and by nothing of ours.

Szegedy et al. 2014 (table 1, figures 2b and 3, section 5; normalisation as Caffe's bvlc_googlenet writes it out) and
He et al. 2015 (table 1, figure 5, section 4.2). Every function takes pictures `[B, height, width, channels]`.
"""

from __future__ import annotations

import numpy as np

from tests.ports.slim import convolution, pooling, relu


class Weights:
    """Weights by name; remembers which were asked for."""

    def __init__(self, values, epsilon=1e-5) -> None:
        self.values, self.epsilon, self.used = values, epsilon, set()

    def __call__(self, name):
        self.used.add(name)
        return self.values[name]

    def conv(self, x, name, stride=1):
        """Zeros of half the kernel on every side, as PyTorch and Caffe are told by `padding`."""
        kernel = self(f"{name}/kernel")
        half = kernel.shape[0] // 2
        x = np.pad(x, [(0, 0), (half, half), (half, half), (0, 0)])
        y = convolution(x, kernel, (stride, stride), "valid")
        return y + self(f"{name}/bias") if f"{name}/bias" in self.values else y

    def batch_norm(self, x, name):
        mean, variance, gamma, beta = (
            self(f"{name}/{role}") for role in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return gamma * (x - mean) / np.sqrt(variance + self.epsilon) + beta

    def dense(self, x, name):
        return x.reshape(len(x), -1) @ self(f"{name}/kernel") + self(f"{name}/bias")


def local_response_norm(x, size=5, alpha=1e-4, beta=0.75):
    """Each channel by its own loop: (1 + alpha / size * sum of the squares around) ** beta."""
    y = np.empty_like(x)
    for channel in range(x.shape[3]):
        around = x[..., max(0, channel - size // 2) : channel + size // 2 + 1]
        y[..., channel] = x[..., channel] / (1 + alpha / size * (around**2).sum(3)) ** beta
    return y


def inception(w, x, name):
    """Figure 2b."""
    ways = [
        relu(w.conv(x, f"{name}.conv_1x1")),
        relu(w.conv(relu(w.conv(x, f"{name}.reduce_3x3")), f"{name}.conv_3x3")),
        relu(w.conv(relu(w.conv(x, f"{name}.reduce_5x5")), f"{name}.conv_5x5")),
        relu(w.conv(pooling(x, "max", 3, 1), f"{name}.conv_pool")),
    ]
    return np.concatenate(ways, axis=3)


def googlenet(w, x, auxiliary=False):
    """Logits, and those of the heads on 4a and 4d."""
    x = pooling(relu(w.conv(x, "stem.conv_1", 2)), "max", 3, 2)
    x = relu(w.conv(local_response_norm(x), "stem.conv_2"))
    x = local_response_norm(relu(w.conv(x, "stem.conv_3")))
    heads = []
    for module in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        if module.endswith("a"):
            x = pooling(x, "max", 3, 2)
        x = inception(w, x, f"inception_{module}")
        if auxiliary and module in ("4a", "4d"):
            head = relu(w.conv(pooling(x, "average", 5, 3, "valid"), f"auxiliary.{module}.conv"))
            head = relu(w.dense(head, f"auxiliary.{module}.dense_1"))
            heads.append(w.dense(head, f"auxiliary.{module}.dense_2"))
    return w.dense(x.mean((1, 2)), "head.dense"), tuple(heads)


def residual(w, x, name, strides, shortcut):
    """Convolutions with these strides, each with batch norm, ReLU between them and behind the sum."""
    y = x
    for number, stride in enumerate(strides, 1):
        y = w.batch_norm(w.conv(y, f"{name}.conv_{number}", stride), f"{name}.bn_{number}")
        y = relu(y) if number < len(strides) else y
    return relu(y + shortcut(x, y))


def cifar_resnet(w, x, n):
    """Three stages of n blocks. Option A: every second pixel, zeros for the channels that are new."""

    def shortcut(x, y):
        x = x[:, ::2, ::2] if x.shape[1:3] != y.shape[1:3] else x
        return np.concatenate([x, np.zeros((*x.shape[:3], y.shape[3] - x.shape[3]))], axis=3)

    x = relu(w.batch_norm(w.conv(x, "stem.conv"), "stem.bn"))
    for block in range(3 * n):
        x = residual(w, x, f"block_{block + 1}", (2 if block in (n, 2 * n) else 1, 1), shortcut)
    return w.dense(x.mean((1, 2)), "head.dense")


def imagenet_resnet(w, x, stages, strides):
    """`strides` are those of a block's convolutions where it halves. A projection wherever a block has one."""
    x = relu(w.batch_norm(w.conv(x, "stem.conv", 2), "stem.bn"))
    x = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=-np.inf)
    x = pooling(x, "max", 3, 2, "valid")
    number = 0
    for stage, blocks in enumerate(stages):
        for block in range(blocks):
            number += 1
            name, halves = f"block_{number}", stage > 0 and block == 0

            def shortcut(x, y, name=name, halves=halves):
                if not halves and x.shape == y.shape:
                    return x
                return w.batch_norm(w.conv(x, f"{name}.shortcut.conv", 2 if halves else 1), f"{name}.shortcut.bn")

            x = residual(w, x, name, strides if halves else (1,) * len(strides), shortcut)
    return w.dense(x.mean((1, 2)), "head.dense")
