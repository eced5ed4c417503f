"""NASNet's networks a second time, in NumPy: by the rules of slim's code and tpu's, and by nothing of ours.

Rules: tensorflow/models research/slim/nets/nasnet (nasnet.py, nasnet_utils.py); for the operations that NASNet-A does
not use, tensorflow/tpu models/official/amoeba_net/network_utils.py. The walk in cells/walks goes forward over features
that know their level; this asks backwards, from the logits, and looks at the pictures' sizes, as slim does.

Ours, where those codes say nothing (docs/design.md, "Choices"): "concat", a strided dilation, and that outputs are
fitted to the cell's channels and not to the last state's. What no logit needs is not computed.
"""

from __future__ import annotations

import dataclasses
import functools
import re

import numpy as np


@dataclasses.dataclass(frozen=True)
class Plan:
    """A cell: blocks of (state, operation, state, operation, how they are combined), and the states of its output."""

    blocks: tuple[tuple[int, str, int, str, str], ...]
    outputs: tuple[int, ...]


def windows(x, height, width, stride, fill, padding="same"):
    """`[B, rows, columns, height, width, channels]`: what each place of a kernel sees; SAME as TensorFlow has it."""
    margins = []
    for length, size, step in ((x.shape[1], height, stride[0]), (x.shape[2], width, stride[1])):
        total = max(0, (-(-length // step) - 1) * step + size - length) if padding == "same" else 0
        margins.append((total // 2, total - total // 2))
    x = np.pad(x, [(0, 0), *margins, (0, 0)], constant_values=fill)
    seen = np.lib.stride_tricks.sliding_window_view(x, (height, width), axis=(1, 2))
    return seen[:, :: stride[0], :: stride[1]].transpose(0, 1, 2, 4, 5, 3)


def convolution(x, kernel, stride=(1, 1), padding="same"):
    seen = windows(x, *kernel.shape[:2], stride, 0.0, padding)
    return np.tensordot(seen, kernel, axes=3)


def depthwise(x, kernel, stride):
    return np.einsum("brchwk,hwk->brck", windows(x, *kernel.shape[:2], (stride, stride), 0.0), kernel[..., 0])


def pooling(x, kind, size, stride, padding="same"):
    seen = windows(x, size, size, (stride, stride), np.nan, padding)
    return {"max": np.nanmax, "average": np.nanmean}[kind](seen, axis=(3, 4))


def relu(x):
    return np.maximum(x, 0.0)


class Network:
    """One network on one batch of whitened pictures."""

    def __init__(
        self, normal, reduction, weights, pictures, *, repeats, filters, stem, skip_reduction_input, epsilon
    ) -> None:
        self.weights, self.used, self.pictures, self.epsilon = weights, set(), pictures, epsilon
        self.stem, self.repeats, self.skip = stem, repeats, skip_reduction_input
        # Name, plan, filters, stride of each cell, in slim's order.
        self.cells = []
        if stem == "imagenet":
            self.cells += [("stem_0", reduction, filters // 4, 2), ("stem_1", reduction, filters // 2, 2)]
        for number in range(3 * repeats):
            scale = 2 ** (number // repeats)
            if number and number % repeats == 0:
                self.cells.append((f"reduction_{number // repeats - 1}", reduction, filters * scale, 2))
            self.cells.append((f"cell_{number}", normal, filters * scale, 1))
        self.output = functools.cache(self._output)
        self.state = functools.cache(self._state)

    # Heads.

    def logits(self):
        x = relu(self.output(len(self.cells) - 1)).mean(axis=(1, 2))
        return x @ self.weight("head.dense/kernel") + self.weight("head.dense/bias")

    def auxiliary_logits(self):
        names = [name for name, *_ in self.cells]
        x = pooling(relu(self.output(names.index(f"cell_{2 * self.repeats - 1}"))), "average", 5, 3, "valid")
        x = relu(self.batch_norm(convolution(x, self.weight("auxiliary.conv_1/kernel")), "auxiliary.bn_1"))
        x = convolution(x, self.weight("auxiliary.conv_2/kernel"), padding="valid")
        x = relu(self.batch_norm(x, "auxiliary.bn_2")).reshape(len(x), -1)
        return x @ self.weight("auxiliary.dense/kernel") + self.weight("auxiliary.dense/bias")

    # Cells. Number -1 is the stem's convolution.

    def _output(self, number):
        if number < 0:
            kernel = self.weight("stem.conv/kernel")
            strided = self.stem == "imagenet"
            x = convolution(self.pictures, kernel, (2, 2) if strided else (1, 1), "valid" if strided else "same")
            return self.batch_norm(x, "stem.bn")
        name, plan, filters, _ = self.cells[number]
        parts = []
        for state in plan.outputs:
            x, part = self.state(number, state), f"{name}.output_{state}"
            if x.shape[1:3] != self.size(number):
                x = self.factorized_reduction(x, part)
            elif x.shape[3] != filters:
                x = self.batch_norm(convolution(x, self.weight(f"{part}.conv/kernel")), f"{part}.bn")
            parts.append(x)
        return np.concatenate(parts, axis=3)

    def size(self, number):
        """Height and width of a cell's output."""
        if number < 0:
            height, width = self.pictures.shape[1:3]
            return ((height - 1) // 2, (width - 1) // 2) if self.stem == "imagenet" else (height, width)
        stride = self.cells[number][3]
        return tuple(-(-length // stride) for length in self.size(number - 1))

    def before(self, number):
        """Which output a cell has as h[i-1]; None in the first, where there is none."""
        if number == 0:
            return None
        follows_reduction = self.cells[number - 1][0].startswith("reduction")
        return number - (3 if follows_reduction and self.skip else 2)

    def _state(self, number, state):
        name, plan, filters, stride = self.cells[number]
        if state == 0:
            return self.relu_conv_bn(self.output(number - 1), f"{name}.input")
        if state == 1:
            return self._previous(number, name, filters)
        left, left_op, right, right_op, combine = plan.blocks[state - 2]
        sides = []
        for side, read, op in (("left", left, left_op), ("right", right, right_op)):
            step = stride if read < 2 else 1
            sides.append(
                self.operation(self.state(number, read), op, filters, step, f"{name}.block_{state - 2}.{side}")
            )
        return sides[0] + sides[1] if combine == "add" else np.concatenate(sides, axis=3)

    def _previous(self, number, name, filters):
        before = self.before(number)
        if before is None:
            return self.output(number - 1)  # as it is
        x = self.output(before)
        if self.size(before) != self.size(number - 1):
            return self.factorized_reduction(relu(x), f"{name}.previous")
        return x if x.shape[3] == filters else self.relu_conv_bn(x, f"{name}.previous")

    # Operations.

    def operation(self, x, op, filters, stride, name):
        if op == "identity":
            return x if stride == 1 and x.shape[3] == filters else self.relu_conv_bn(x, name, stride)
        if op == "1x1 convolution":
            return self.relu_conv_bn(x, name, stride)
        if separable := re.fullmatch(r"(\d)x\1 depthwise-separable conv", op):
            for layer, step in (("1", stride), ("2", 1)):
                kernel = self.weight(f"{name}.depthwise_{layer}/kernel")
                assert kernel.shape[:2] == (int(separable[1]),) * 2
                x = convolution(depthwise(relu(x), kernel, step), self.weight(f"{name}.pointwise_{layer}/kernel"))
                x = self.batch_norm(x, f"{name}.bn_{layer}")
            return x
        if pool := re.fullmatch(r"(\d)x\1 (max|average) pooling", op):
            x = pooling(x, pool[2], int(pool[1]), stride)
            if x.shape[3] == filters:
                return x
            return self.batch_norm(convolution(x, self.weight(f"{name}.conv/kernel")), f"{name}.bn")
        return self.bottleneck(x, op, filters, stride, name)

    def bottleneck(self, x, op, filters, stride, name):
        """tpu's `_apply_operation`: a quarter of the channels inside, three eighths for 1x3 then 3x1."""
        x = self.relu_conv_bn(x, f"{name}.narrow")
        assert x.shape[3] == (3 * filters // 8 if op.startswith("1x3") else filters // 4)
        if op == "3x3 convolution":
            x = convolution(relu(x), self.weight(f"{name}.conv_1/kernel"), (stride, stride))
        elif op == "3x3 dilated convolution":
            kernel = np.zeros((5, 5, *x.shape[3:], x.shape[3]))
            kernel[::2, ::2] = self.weight(f"{name}.conv_1/kernel")
            x = convolution(relu(x), kernel)[:, ::stride, ::stride]
        else:
            along = {"1x3 then 3x1 convolution": 3, "1x7 then 7x1 convolution": 7}[op]
            kernel = self.weight(f"{name}.conv_1/kernel")
            assert kernel.shape[:2] == (1, along)
            x = self.batch_norm(convolution(relu(x), kernel, (1, stride)), f"{name}.bn_1")
            x = convolution(relu(x), self.weight(f"{name}.conv_2/kernel"), (stride, 1))
            return self.relu_conv_bn(self.batch_norm(x, f"{name}.bn_2"), f"{name}.widen")
        return self.relu_conv_bn(self.batch_norm(x, f"{name}.bn_1"), f"{name}.widen")

    def relu_conv_bn(self, x, name, stride=1):
        return self.batch_norm(convolution(relu(x), self.weight(f"{name}.conv/kernel"), (stride, stride)), f"{name}.bn")

    def factorized_reduction(self, x, name):
        moved = np.pad(x, [(0, 0), (0, 1), (0, 1), (0, 0)])[:, 1:, 1:]
        paths = [
            convolution(part[:, ::2, ::2], self.weight(f"{name}.{path}/kernel"))
            for part, path in ((x, "path_1"), (moved, "path_2"))
        ]
        return self.batch_norm(np.concatenate(paths, axis=3), f"{name}.bn")

    def batch_norm(self, x, name):
        gamma, beta, mean, variance = (
            self.weight(f"{name}/{role}") for role in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return (x - mean) / np.sqrt(variance + self.epsilon) * gamma + beta

    def weight(self, name):
        self.used.add(name)
        return self.weights[name]
