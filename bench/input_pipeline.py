"""Does a training step ever wait for its pictures? A step that is fed over one that is handed the same batch each time.

    pip install -r requirements-bench.txt
    python bench/input_pipeline.py

NASNet-A (N=1, F=8, batch 32) on 54,000 pictures of 28x28 pixels, by `nasnet/data/input_pipeline.py` and the step of
the training loop, in turns. `cost_ratio=` is the fed step's time over the other's, `wait_share=` the share of a fed
step in which its loop waits for the next batch, `augment_ratio=` a step with crops, flips and cutout over one without,
`profiler_percent=` what TensorFlow's profiler, read by xprof, says of input in the same steps.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bench.drawn import drawn_pictures, drawn_spec
from bench.machine import machine, spread
from cells.zoo.cells import NASNET_A
from nasnet.data.input_pipeline import feed, training_order
from nasnet.training.config import ReplicaConfig, TrainingConfig
from nasnet.training.loop import Training
from nasnet.training.replicas import open_replicas

BATCH = 32


def seconds_of(step: Callable[..., Any], batches: Callable[[], Any], steps: int) -> tuple[float, float]:
    """Seconds of a step, and how many of them the loop waited for a batch."""
    import tensorflow as tf  # after nasnet, which turns oneDNN on

    nobody = tf.constant(0.0)  # was asked to stop
    waited, start, loss = 0.0, time.perf_counter(), None
    for number in range(steps):
        with tf.profiler.experimental.Trace("train", step_num=number, _r=1):
            asked = time.perf_counter()
            batch = batches()
            waited += time.perf_counter() - asked
            loss = step(*batch, nobody)[0]
    float(loss)  # type: ignore[arg-type]
    return (time.perf_counter() - start) / steps, waited / steps


def profiled(step: Callable[..., Any], batches: Callable[[], Any], steps: int) -> float:
    """Per cent of step time that the profiler puts down to input."""
    import tensorflow as tf
    from xprof.convert import raw_to_tool_data

    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        seconds_of(step, batches, steps)
        tf.profiler.experimental.stop()
        files = [str(path) for path in Path(folder).rglob("*.xplane.pb")]
        found, _ = raw_to_tool_data.xspace_to_tool_data(files, "input_pipeline_analyzer", {})
    [times] = [table["p"] for table in json.loads(found) if "steptime_ms_average" in table.get("p", {})]
    print(f"the profiler: {times['infeed_time_ms_avg']} ms of input in a step of {times['steptime_ms_average']} ms")
    return 100 * float(times["infeed_time_ms_avg"]) / float(times["steptime_ms_average"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20, help="of each kind in a round")
    flags = parser.parse_args()
    replicas = open_replicas(ReplicaConfig())  # sets the threads
    print(machine("tensorflow", "keras", "xprof"), flush=True)
    data = drawn_pictures(28, train=54_000, valid=8)
    spec = drawn_spec(NASNET_A, data, filters=8, mean=128.0, std=74.0)
    kinds = {"augmented": {"pad": 3, "flip": True, "cutout": 8}, "plain": {"pad": 0, "flip": False}}
    steps = {}
    for name, augmentation in kinds.items():
        config = TrainingConfig(batch_size=BATCH, steps=10**6, learning_rate=1e-3, **augmentation)
        steps[name] = Training(spec, data, config, seed=0)._train_step
    order = training_order(54_000, BATCH, 0, range(10**6))
    fed = feed(data.train, lambda: order, BATCH, replicas.strategy)
    held = next(fed)
    for step in steps.values():
        seconds_of(step, lambda: held, 1)  # is traced
    ratios, waits, augments = [], [], []
    for _ in range(flags.rounds):
        with_feed, waited = seconds_of(steps["augmented"], lambda: next(fed), flags.steps)
        without, _ = seconds_of(steps["augmented"], lambda: held, flags.steps)
        plain, _ = seconds_of(steps["plain"], lambda: held, flags.steps)
        ratios.append(with_feed / without)
        waits.append(waited / with_feed)
        augments.append(without / plain)
        print(f"fed {with_feed:.4f} s a step, of which it waited {waited:.5f}; same batch {without:.4f}; "
              f"not augmented {plain:.4f}", flush=True)  # fmt: skip
    percent = profiled(steps["augmented"], lambda: next(fed), flags.steps)
    print(f"fed over same batch: {spread(np.array(ratios))}")
    print(f"share of a step that waits for its batch: {spread(np.array(waits), '.4f')}")
    print(f"augmented over not: {spread(np.array(augments))}")
    print(f"RESULT input_pipeline cost_ratio={np.median(ratios):.3f} wait_share={np.median(waits):.4f} "
          f"augment_ratio={np.median(augments):.3f} profiler_percent={percent:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
