"""Where a training step's time goes: `above_floor=` is its time over what its arithmetic and its bytes must take.

    python bench/floor.py

The machine's peak is that of a large float32 matrix product on one thread, its bandwidth that of a copy of 256 MB (both
directions counted). A primitive takes at least `max(operations / peak, bytes / bandwidth)`; all of them one after the
other are the floor of a forward pass. Operations are two a mult-add, one a window's element, four a number in batch
norm. Bytes are float32 inputs and results, each moved once: batch norm reads twice (statistics first). A backward
pass counts twice the forward's: the gradient of a convolution is two convolutions, that of any other primitive reads
the result's gradient beside its input. Nothing is granted for fusing two primitives, so a compiler could go below.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bench.drawn import drawn_genotypes
from bench.machine import machine, spread
from cells.count import Shape
from cells.genotype.cell import CellGenotype
from cells.primitives import Padding, Pair
from cells.walks.stack import CellNetwork
from cells.zoo.cells import NASNET_A


class Floor:
    """Implements `Primitives[Shape]`: operations and float32 numbers moved, of one picture, by kind of primitive."""

    def __init__(self) -> None:
        self.work: list[tuple[str, int, int, int]] = []  # kind, operations, numbers a picture, numbers a batch
        self._rectified: dict[int, tuple[Shape, Shape]] = {}

    def _moved(self, kind: str, operations: int, ins: int, out: Shape, weights: int = 0) -> Shape:
        self.work.append((kind, operations, ins + math.prod(out), weights))
        return out

    def seconds(self, batch_size: int, peak: float, bandwidth: float) -> dict[str, tuple[float, float]]:
        """Of a step, by kind: what arithmetic alone would take, and the floor."""
        kinds: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
        for kind, operations, picture, batch in self.work:
            arithmetic = 3 * operations * batch_size / peak
            moving = 3 * 4 * (picture * batch_size + batch) / bandwidth
            kinds[kind] = (kinds[kind][0] + arithmetic, kinds[kind][1] + max(arithmetic, moving))
        return dict(kinds)

    def conv(
        self,
        x: Shape,
        filters: int,
        kernel: Pair,
        *,
        name: str,
        stride: Pair = (1, 1),
        dilation: int = 1,
        padding: Padding = "same",
    ) -> Shape:
        del name, dilation
        if padding == "same":
            out = (-(-x[0] // stride[0]), -(-x[1] // stride[1]), filters)
        else:
            out = ((x[0] - kernel[0]) // stride[0] + 1, (x[1] - kernel[1]) // stride[1] + 1, filters)
        weights = math.prod(kernel) * x[2] * filters
        # A strided 1x1 convolution need not read the pixels that it skips.
        read = min(math.prod(x), out[0] * out[1] * math.prod(kernel) * x[2])
        return self._moved(
            "conv 1x1" if kernel == (1, 1) else "conv", 2 * weights * out[0] * out[1], read, out, weights
        )

    def depthwise(self, x: Shape, kernel: int, *, name: str, stride: int = 1) -> Shape:
        del name
        out = (-(-x[0] // stride), -(-x[1] // stride), x[2])
        return self._moved("depthwise", 2 * kernel**2 * math.prod(out), math.prod(x), out, kernel**2 * x[2])

    def full_conv(self, x: Shape, filters: int, *, name: str) -> Shape:
        return self.conv(x, filters, (x[0], x[1]), name=name, padding="valid")

    def batch_norm(self, x: Shape, *, name: str) -> Shape:
        del name
        return self._moved("batch norm", 4 * math.prod(x), 2 * math.prod(x), (*x,))

    def relu(self, x: Shape, *, name: str) -> Shape:
        del name
        # Once a state, however many operations rectify it. A tuple's id is its own as long as it is kept.
        if id(x) not in self._rectified:
            self._rectified[id(x)] = (x, self._moved("relu", math.prod(x), math.prod(x), (*x,)))
        return self._rectified[id(x)][1]

    def max_pool(self, x: Shape, size: int, *, name: str, stride: int = 1) -> Shape:
        return self.avg_pool(x, size, name=name, stride=stride)

    def avg_pool(self, x: Shape, size: int, *, name: str, stride: int = 1, padding: Padding = "same") -> Shape:
        del name
        height, width = (-(-n // stride) if padding == "same" else (n - size) // stride + 1 for n in x[:2])
        out = (height, width, x[2])
        return self._moved("pool", size**2 * math.prod(out), math.prod(x), out)

    def subsample(self, x: Shape, *, name: str) -> Shape:
        del name
        out = (-(-x[0] // 2), -(-x[1] // 2), x[2])
        return self._moved("other", 0, math.prod(out), out)

    def shift(self, x: Shape, *, name: str) -> Shape:
        del name
        return x  # a view

    def drop_path(self, x: Shape, depth: float, *, name: str) -> Shape:
        del depth, name
        return x

    def dropout(self, x: Shape, *, name: str) -> Shape:
        del name
        return x

    def add(self, x: Shape, y: Shape, *, name: str) -> Shape:
        del name
        return self._moved("add, concat", math.prod(x), math.prod(x) + math.prod(y), (*x,))

    def concat(self, xs: list[Shape], *, name: str) -> Shape:
        del name
        out = (*xs[0][:2], sum(x[2] for x in xs))
        return self._moved("add, concat", 0, math.prod(out), out)

    def global_avg_pool(self, x: Shape, *, name: str) -> Shape:
        del name
        return self._moved("other", math.prod(x), math.prod(x), (x[-1],))

    def dense(self, x: Shape, units: int, *, name: str) -> Shape:
        del name
        return self._moved("other", 2 * x[-1] * units, x[-1], (units,), x[-1] * units)


def measured_machine() -> tuple[float, float]:
    """Operations a second of a matrix product and bytes a second of a copy, on one thread; the best of several."""
    import tensorflow as tf

    a = tf.random.stateless_normal([2048, 2048], [0, 0])
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(a, a)), autograph=False, jit_compile=False)
    source, target = np.ones(2**25, np.float32), np.empty(2**25, np.float32)
    peak, bandwidth = 0.0, 0.0
    for _ in range(8):
        start = time.perf_counter()
        product().numpy()
        peak = max(peak, 2 * 2048**3 / (time.perf_counter() - start))
        start = time.perf_counter()
        np.copyto(target, source)
        bandwidth = max(bandwidth, 2 * source.nbytes / (time.perf_counter() - start))
    return peak, bandwidth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--children", type=int, default=3, help="random children, beside NASNet-A")
    parser.add_argument("--sizes", type=int, nargs="+", default=[8, 28])
    parser.add_argument("--filters", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()

    import nasnet  # noqa: F401, I001 - sets what must stand before TensorFlow is imported
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    print(machine("tensorflow", "numpy"))
    peak, bandwidth = measured_machine()
    print(f"one thread: {peak / 1e9:.0f} GFLOP/s in a matrix product, {bandwidth / 1e9:.1f} GB/s in a copy", flush=True)
    ratios = []
    genotypes = {"NASNet-A": NASNET_A} | {
        f"random {index}": genotype for index, genotype in enumerate(drawn_genotypes(flags.children, flags.seed))
    }
    for size in flags.sizes:
        for filters in flags.filters:
            for name, genotype in genotypes.items():
                ratios.append(_above(name, genotype, size, filters, flags.batch_size, flags.rounds, peak, bandwidth))
    rounds = np.exp(np.log(ratios).mean(0))
    print(f"all: above_floor {spread(rounds, '.2f')}")
    print(f"RESULT floor above_floor={np.median(rounds):.2f}")


def _above(
    name: str, genotype: CellGenotype, size: int, filters: int, batch_size: int, rounds: int, peak: float, width: float
) -> np.ndarray:
    """A step's seconds over its floor, one a round."""
    from bench.step import our_step

    floor = Floor()
    CellNetwork(genotype, 1, filters, 10).walk(cast("Any", floor), (size, size, 1))  # cells ask for a part
    kinds = floor.seconds(batch_size, peak, width)
    least = sum(seconds for _, seconds in kinds.values())
    step, _ = our_step((genotype, size, filters, batch_size))
    step(0)
    times = []
    for _ in range(rounds):
        for index in range(2):
            start = time.perf_counter()
            step(index)
            times.append(time.perf_counter() - start)
    above = np.array(times).reshape(rounds, 2).min(1) / least
    parts = ", ".join(f"{kind} {1e3 * seconds:.1f}" for kind, (_, seconds) in sorted(kinds.items()))
    arithmetic = 1e3 * sum(seconds for seconds, _ in kinds.values())
    took = 1e3 * np.median(times)
    print(f"{size}x{size} F={filters} {name}: step {took:.1f} ms, floor {1e3 * least:.1f} ms ({parts}; "
          f"arithmetic alone {arithmetic:.1f}), above_floor {spread(above, '.2f')}", flush=True)  # fmt: skip
    return above


if __name__ == "__main__":
    main()
