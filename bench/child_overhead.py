"""What a child costs beside its training steps, and how many more children an hour that is than KerasTuner's.

    python bench/child_overhead.py
    python bench/child_overhead.py --children=4      # shorter

`seconds=` is the median over random children (N=1, F=8, batch 64, `digits`, 8x8) of the wall time of `Child(...).run()`
less what its steps would have taken at their steady pace: drawing the weights, tracing, what the first step has to
prepare, and scoring the 397 valid pictures are all in it. `children_ratio=` is our children an hour over KerasTuner's,
whose tuner builds the Keras reading of the same genotypes and fits it for as many steps on the same pictures.

One process each, one after the other, on all cores: ours with one thread an operation, the default of a search,
KerasTuner with TensorFlow's default. Timed from the first child to the end of the last; the first child of
all, which also pays for TensorFlow's start, is not counted. KerasTuner compiles with `jit_compile=False`: with Keras'
default, XLA, its depthwise convolutions are far slower on CPU.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bench.drawn import drawn_genotypes, drawn_spec
from bench.machine import machine, spread
from cells.genotype.cell import CellGenotype
from nasnet.data.dataset import DataSet, open_dataset

FILTERS, BATCH_SIZE, RATE = 8, 64, 0.02


def ours(genotypes: list[CellGenotype], data: DataSet, steps: int) -> dict[str, list[float]]:
    """For each child its seconds, and those outside its steps."""
    import tensorflow as tf

    from nasnet.estimators.child import Child
    from nasnet.estimators.config import ChildConfig
    from nasnet.training.config import TrainingConfig

    tf.config.threading.set_intra_op_parallelism_threads(1)
    config = TrainingConfig(steps=steps, batch_size=BATCH_SIZE, learning_rate=RATE, pad=0, flip=False)
    total, outside = [], []
    gc.freeze()  # as a worker does
    for index, genotype in enumerate(genotypes):
        spec = drawn_spec(genotype, data, filters=FILTERS, mean=78.0, std=96.0)
        start = time.perf_counter()
        result = Child(spec, data, ChildConfig.of(config, data), seed=index).run()
        gc.collect()  # as a worker does
        total.append(time.perf_counter() - start)
        outside.append(total[-1] - steps * float(np.median(result.seconds_steps[1:])))
    return {"total": total, "outside": outside}


def keras_tuner(genotypes: list[CellGenotype], data: DataSet, steps: int) -> dict[str, list[float]]:
    """For each trial its seconds, from the end of the one before."""
    import keras
    import keras_tuner as kt

    from nasnet.networks.keras_model import build as build_model

    def build(parameters: kt.HyperParameters) -> keras.Model:
        index = parameters.Int("child", 0, len(genotypes) - 1)
        model = build_model(drawn_spec(genotypes[index], data, filters=FILTERS, mean=78.0, std=96.0), seed=index)
        optimizer = keras.optimizers.SGD(
            keras.optimizers.schedules.CosineDecay(RATE, steps), 0.9, weight_decay=1e-4, global_clipnorm=5.0
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
        return model

    rows = np.resize(np.random.default_rng(0).permutation(len(data.train)), steps * BATCH_SIZE)
    ends = [time.perf_counter()]

    class Tuner(kt.RandomSearch):
        def on_trial_end(self, trial: kt.engine.trial.Trial) -> None:
            super().on_trial_end(trial)
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        tuner = Tuner(build, "val_accuracy", max_trials=len(genotypes), seed=0, directory=folder, project_name="bench")
        tuner.search(
            data.train.images[rows].astype("float32"),
            data.train.labels[rows],
            batch_size=BATCH_SIZE,
            epochs=1,
            validation_data=(data.valid.images.astype("float32"), data.valid.labels),
            verbose=0,
        )
    return {"total": list(np.diff(ends))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--children", type=int, default=10)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repetitions", type=int, default=5, help="processes of ours")
    parser.add_argument("--opponent_repetitions", type=int, default=2, help="processes of KerasTuner, the slow part")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=["ours", "keras_tuner"], help="what the processes that it starts run")
    flags = parser.parse_args()

    if flags.only:
        genotypes = drawn_genotypes(flags.children + 1, flags.seed)
        run = {"ours": ours, "keras_tuner": keras_tuner}[flags.only]
        print(json.dumps(run(genotypes, open_dataset("digits"), flags.steps)))
        return

    print(machine("tensorflow", "keras", "keras-tuner", "numpy"), flush=True)
    results: dict[str, list[dict[str, list[float]]]] = {"ours": [], "keras_tuner": []}
    counts = {"ours": flags.repetitions, "keras_tuner": flags.opponent_repetitions}
    for repetition in range(max(counts.values())):
        for kind in results:
            if repetition < counts[kind]:
                command = [sys.executable, __file__, f"--only={kind}", f"--children={flags.children}"]
                command += [f"--steps={flags.steps}", f"--seed={flags.seed}"]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                results[kind].append(json.loads(done.stdout.splitlines()[-1]))
                seconds = results[kind][-1]["total"][1:]
                print(f"{kind} {repetition}: {3600 / np.mean(seconds):.0f} children an hour, seconds a child "
                      f"{spread(np.array(seconds), '.2f')}", flush=True)  # fmt: skip
    outside = np.array([result["outside"][1:] for result in results["ours"]])
    pace = {kind: np.array([3600 / np.mean(r["total"][1:]) for r in of]) for kind, of in results.items()}
    print(f"seconds outside the steps, medians of the repetitions: {spread(np.median(outside, 1))}; "
          f"children from {outside.min():.2f} to {outside.max():.2f}")  # fmt: skip
    for kind, paces in pace.items():
        print(f"{kind}: children an hour {spread(paces, '.0f')}")
    ratio = np.median(pace["ours"]) / np.median(pace["keras_tuner"])
    print(f"RESULT child_overhead seconds={np.median(outside):.3f} children_ratio={ratio:.2f}")


if __name__ == "__main__":
    main()
