"""Architectures that a test writes down as it needs them, and some that use all that cells do without."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any, Literal

from cells.architecture import Outputs


@dataclasses.dataclass(frozen=True)
class Written:
    """A network that is one function, from primitives and a picture to the logits."""

    write: Callable[[Any, Any, int], Any]
    classes: int = 3
    parts: tuple[str, ...] = ("body", "head")
    batch_norm: tuple[float, float] = (0.9, 1e-5)
    fan: Literal["fan_in", "fan_out"] = "fan_out"

    def walk(self, p: Any, image: Any, *, auxiliary: bool = False) -> Outputs[Any]:
        """See `Architecture.walk`."""
        assert not auxiliary
        return Outputs(self.write(p, image, self.classes), (), {})

    def describe(self) -> str:
        """See `Architecture.describe`."""
        return self.write.__name__

    def to_json(self) -> dict[str, Any]:
        """See `Architecture.to_json`; nothing reads it."""
        return {"version": 1, "kind": "written", "network": {}}


SIZES = (1, 3, 5, 7)
CONVS = [*itertools.product(itertools.product(SIZES, SIZES), itertools.product((1, 2, 3), (1, 2, 3)))]
NORM = {"size": 5, "alpha": 0.5, "beta": 0.75, "bias": 2.0}


def summed(p, branches, classes):
    """The sum of what each branch ends in, by a dense layer of its own on the whole picture."""
    total = None
    for index, branch in enumerate(branches):
        logits = p.dense(branch, classes, name=f"head.dense_{index}")
        total = logits if total is None else p.add(total, logits, name=f"head.add_{index}")
    return total


def strided(p, x, classes):
    """Every fifth of the kernels and strides that a chain has, on the picture and on what a convolution made."""
    made = p.conv(x, 4, (3, 3), name="body.first", bias=True)
    convs = [
        p.conv((x, made)[i % 2], 2, kernel, stride=stride, padding=padding, bias=i % 3 == 0, name=f"body.conv_{i}")
        for i, (kernel, stride) in enumerate(CONVS[::5])
        for padding in [("same", "same", "valid")[i % 3] if max(kernel) <= 5 else "same"]
    ]
    return summed(p, convs, classes)


def channelwise(p, x, classes):
    """Depthwise with bias, slices, grouped convolutions, padding on all sides, local response norm."""
    made = p.conv(x, 5, (3, 3), name="body.first", bias=True)
    groups = [
        p.conv(p.select(made, *ends, name=f"body.half_{i}"), 3, (3, 3), name=f"body.group_{i}")
        for i, ends in enumerate([(0, 2), (2, 5)])
    ]
    grouped = p.concat(groups, name="body.groups")
    branches = [
        grouped,
        p.depthwise(made, 1, name="body.scaled", bias=True),
        p.depthwise(made, 1, stride=2, name="body.scaled_2", bias=True),
        p.depthwise(made, 3, stride=2, name="body.depthwise", bias=True),
        p.depthwise(made, 5, name="body.wide", bias=True),
        p.depthwise(made, 3, dilation=2, name="body.dilated", bias=True),
        p.local_response_norm(made, name="body.norm", **NORM),
        p.local_response_norm(made, name="body.norm_1", **{**NORM, "size": 1}),
        p.local_response_norm(made, name="body.norm_11", **{**NORM, "size": 11, "beta": 0.5}),
        p.pad(made, (1, 2), (0, 3), name="body.pad"),
        p.pad(made, (0, 1), (2, 0), channels=(2, 1), name="body.pad_2"),
        p.pad(x, (1, 0), (1, 0), channels=(0, 1), name="body.pad_image"),
        p.concat([p.max_pool(x, 2, stride=2, name="body.pool_image"), p.max_pool(made, 2, stride=2, name="body.pool")],
                 name="body.image_and_made"),
    ]  # fmt: skip
    return summed(p, branches, classes)


def pooled(p, x, classes):
    """Both poolings at each padding, overlapping or with gaps, and what stands on vectors."""
    made = p.tanh(p.conv(x, 3, (3, 3), name="body.first"), name="body.tanh", scale=1.7159, slope=2 / 3)
    branches = []
    for i, (size, stride, padding) in enumerate(itertools.product((1, 2, 3, 4), (1, 2, 3), ("same", "valid"))):
        branches.append(p.max_pool(made, size, stride=stride, padding=padding, name=f"body.max_{i}"))
        branches.append(p.avg_pool(made, size, stride=stride, padding=padding, name=f"body.avg_{i}"))
    hidden = p.tanh(p.dense(p.relu(made, name="body.relu"), 6, name="body.hidden"), name="body.tanh_hidden")
    hidden = p.relu(p.dropout(hidden, name="body.dropout"), name="body.relu_hidden")
    centers = tuple(tuple((-1) ** (place // 2**unit) for unit in range(6)) for place in range(classes))
    return p.add(summed(p, [hidden, *branches], classes), p.rbf(hidden, centers, name="head.rbf"), name="head.sum")


def plain(p, x, classes):
    """A small network of before batch norm."""
    x = p.tanh(p.conv(x, 8, (3, 3), name="body.conv", bias=True), name="body.tanh")
    x = p.max_pool(x, 2, stride=2, padding="valid", name="body.pool")
    x = p.local_response_norm(x, name="body.norm", size=3, alpha=1e-2, beta=0.75, bias=1.0)
    x = p.concat([p.select(x, 0, 4, name="body.half_1"), p.select(x, 4, 8, name="body.half_2")], name="body.halves")
    x = p.relu(p.dense(x, 24, name="body.dense"), name="body.relu")
    return p.dense(p.dropout(x, name="head.dropout"), classes, name="head.dense")
