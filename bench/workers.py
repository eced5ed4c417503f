"""One single-threaded worker a core against one worker with all cores' threads: children an hour, at 8x8 and 28x28.

    python bench/workers.py

The same random children (N=1, F=8, batch 64) are trained by `Workers` in both ways, in turns. Timed
from when as many children as workers have ended (they pay for TensorFlow) to the end of the last. `ratio_8=` and
`ratio_28=` are children an hour of one worker a core over those of one worker with all threads.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bench.drawn import drawn_genotypes, drawn_pictures
from bench.machine import machine, spread
from cells.genotype.cell import CellGenotype
from nasnet.data.dataset import DataSet
from nasnet.estimators.proxy import ProxyEstimator
from nasnet.execution.job import Job, Resources
from nasnet.execution.workers import Workers
from nasnet.networks.config import NetworkConfig
from nasnet.runtime.devices import cores
from nasnet.training.config import TrainingConfig


def pace(genotypes: list[CellGenotype], data: DataSet, steps: int, workers: int, threads: int) -> float:
    """Children an hour."""
    training = TrainingConfig(steps=steps, batch_size=64, learning_rate=0.02, pad=0, flip=False)
    estimator = ProxyEstimator(data, NetworkConfig(1, 8), training, 0)
    waiting = [Job(number, genotype) for number, genotype in enumerate(genotypes)]
    begun, ended = 0.0, 0
    with (
        tempfile.TemporaryDirectory() as logs,
        Workers({"proxy": estimator}, Resources(cpus=threads), Path(logs), workers) as engine,
    ):
        while ended < len(genotypes):
            while waiting and engine.free:
                engine.submit(waiting.pop(0))
            for end in engine.collect(1.0):
                assert end.reward is not None, end.cause
                ended += 1
                if ended == workers:
                    begun = time.perf_counter()
        return 3600 * (ended - workers) / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--children", type=int, default=12, help="beside the first of each worker")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    flags = parser.parse_args()
    print(machine("tensorflow", "numpy", "pebble"), flush=True)
    all_cores, medians = cores(), {}
    for size in (8, 28):
        data = drawn_pictures(size, train=512, valid=128)
        ratios = []
        for _ in range(flags.rounds):
            drawn = drawn_genotypes(flags.children + all_cores, 1)
            each = pace(drawn, data, flags.steps, all_cores, 1)
            one = pace(drawn[: flags.children + 1], data, flags.steps, 1, all_cores)
            ratios.append(each / one)
            print(f"{size}x{size}: {each:.0f} children an hour on {all_cores} workers of one thread, {one:.0f} on one "
                  f"worker of {all_cores}", flush=True)  # fmt: skip
        print(f"{size}x{size}: ratio {spread(np.array(ratios), '.2f')}", flush=True)
        medians[size] = np.median(ratios)
    print(f"RESULT workers ratio_8={medians[8]:.2f} ratio_28={medians[28]:.2f}")


if __name__ == "__main__":
    main()
