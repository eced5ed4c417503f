"""A short trial of a tuning, scored by its moving statistics or by re-estimated ones: which says more of the end?

    python bench/rungs.py [--pictures=300] [--recipes=10] [--cells=1]

A network trained on digits is fine-tuned to small colour pictures of a few classes (photographs' crops, drawn anew for
each cell) by drawn recipes, for 1, 3 and 9 epochs, as tune's Hyperband does, and to the end, 20 epochs. Printed for
each length: the mean accuracy on valid both ways, and Kendall's tau of each with the accuracy at the end on twice as
many pictures that no training saw. The opponent of each is the other.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from scipy.stats import kendalltau
from sklearn.datasets import load_sample_images

from bench.drawn import drawn_genotypes, drawn_spec
from nasnet.data.dataset import DataSet, Split, open_dataset
from nasnet.networks.spec import transferred
from nasnet.training.config import TrainingConfig, TransferConfig
from nasnet.training.loop import Training
from nasnet.training.metrics import evaluate

SIDE, CLASSES, RUNGS, END = 16, 6, (1, 3, 9), 20


def crops(train: int, rest: int, seed: int) -> tuple[DataSet, Split]:
    """Crops of six regions of two photographs: a data set, and as many pictures again of twice its valid split."""
    rng = np.random.default_rng(seed)
    photographs = load_sample_images().images
    regions = [photo[:, third * 213 : third * 213 + 213] for photo in photographs for third in range(3)]

    def split(count: int) -> Split:
        labels = np.arange(count, dtype=np.int32) % CLASSES
        corners = rng.integers(0, (regions[0].shape[0] - 2 * SIDE, 213 - 2 * SIDE), (count, 2))
        pictures = [
            regions[label][top : top + 2 * SIDE : 2, left : left + 2 * SIDE : 2]
            for label, (top, left) in zip(labels, corners, strict=True)
        ]
        return Split(np.stack(pictures), labels)

    names = tuple(f"region {number}" for number in range(CLASSES))
    return DataSet("crops", names, (SIDE, SIDE, 3), split(train), split(rest)), split(2 * rest)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=300, help="to train on")
    parser.add_argument("--recipes", type=int, default=10)
    parser.add_argument("--cells", type=int, default=1)
    flags = parser.parse_args()
    rng = np.random.default_rng(0)
    moving: dict[int, list[float]] = {epochs: [] for epochs in RUNGS}
    anew: dict[int, list[float]] = {epochs: [] for epochs in RUNGS}
    ends: list[float] = []
    for cell, genotype in enumerate(drawn_genotypes(flags.cells, seed=1, blocks=1)):
        digits = open_dataset("digits")
        before = Training(drawn_spec(genotype, digits, filters=8), digits, TrainingConfig(epochs=5), seed=cell)
        before.run()
        source_spec, source = drawn_spec(genotype, digits, filters=8), before.inference_model()
        data, rest = crops(flags.pictures, flags.pictures // 5, cell)
        spec = transferred(source_spec, data, 0.9)
        for _ in range(flags.recipes):
            values: dict[str, Any] = {
                "learning_rate": float(10 ** rng.uniform(-4, -2)),
                "weight_decay": float(rng.choice([0, 5e-4])),
                "label_smoothing": float(rng.choice([0, 0.1])),
            }
            transfer = TransferConfig(layer_decay=0.9, head_epochs=0.5, trainable_cells=int(rng.choice([9, 3, 0])))
            for epochs in (*RUNGS, END):
                config = TrainingConfig(epochs=epochs, batch_size=64, optimizer="adam", **values)
                training = Training(spec, data, config, seed=cell, transfer=transfer, source=source)
                training.run()
                if epochs == END:
                    ends.append(evaluate(training.inference_model(), rest).accuracy)
                    break
                moving[epochs].append(training.evaluate(data.valid).accuracy)
                anew[epochs].append(evaluate(training.inference_model(reestimated=True), data.valid).accuracy)
            print(
                values, transfer.trainable_cells, [f"{of[e][-1]:.2f}" for e in RUNGS for of in (moving, anew)], ends[-1]
            )
    print(
        f"{flags.pictures} pictures, {len(ends)} recipes; at the end {np.mean(ends):.4f} "
        f"({min(ends):.4f} to {max(ends):.4f})"
    )
    print("epochs  moving: mean, tau  re-estimated: mean, tau")
    for epochs in RUNGS:
        of_each = (moving[epochs], anew[epochs])
        print(f"{epochs:6d}  " + "  ".join(f"{np.mean(of):.4f} {kendalltau(of, ends).statistic:.3f}" for of in of_each))


if __name__ == "__main__":
    main()
