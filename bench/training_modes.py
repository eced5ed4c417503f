"""What --precision and --jit cost or bring: a training step's time over that of float32 without XLA.

    python bench/training_modes.py

NASNet-A (N=1, F=8, batch 64, 28x28 pixels) by the training loop, threads as `--mode=train` sets them.
All variants are built first and take their steps in turns. `bfloat16=`, `float16=` and `jit=` are medians of the ratios
of one round.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bench.drawn import drawn_pictures, drawn_spec
from bench.machine import machine, spread
from cells.zoo.cells import NASNET_A
from nasnet.training.config import ReplicaConfig, TrainingConfig
from nasnet.training.loop import Training
from nasnet.training.replicas import open_replicas

VARIANTS = {
    "float32": {},
    "bfloat16": {"precision": "mixed_bfloat16"},
    "float16": {"precision": "mixed_float16"},
    "jit": {"jit": "on"},
}


def main() -> None:
    import tensorflow as tf  # after nasnet, which turns oneDNN on

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5, help="of each variant in a round")
    parser.add_argument("--filters", type=int, default=8)
    flags = parser.parse_args()
    open_replicas(ReplicaConfig())  # sets the threads
    print(machine("tensorflow", "keras"), flush=True)
    data = drawn_pictures(28, train=64, valid=8)
    spec = drawn_spec(NASNET_A, data, filters=flags.filters, mean=128.0, std=74.0)
    batch = tf.constant(data.train.images), tf.constant(data.train.labels), tf.constant(0.0)
    steps = {}
    for name, changes in VARIANTS.items():
        config = TrainingConfig(batch_size=64, steps=10_000, learning_rate=0.01, **changes)
        start = time.perf_counter()
        steps[name] = Training(spec, data, config, seed=0)._train_step
        float(steps[name](*batch)[0])
        print(f"{name}: {time.perf_counter() - start:.1f} s to build, trace and compile", flush=True)
    seconds: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(flags.rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            losses = [step(*batch)[0] for _ in range(flags.steps)]
            float(losses[-1])
            seconds[name].append((time.perf_counter() - start) / flags.steps)
    plain = np.array(seconds["float32"])
    print(f"float32: {spread(plain)} s a step")
    medians = {}
    for name in list(VARIANTS)[1:]:
        ratios = np.array(seconds[name]) / plain
        medians[name] = np.median(ratios)
        print(f"{name} over float32: {spread(ratios)}")
    print("RESULT training_modes " + " ".join(f"{name}={value:.2f}" for name, value in medians.items()))


if __name__ == "__main__":
    main()
