"""A child's training step against the same layers in eager PyTorch: `time_ratio=` is ours over PyTorch's time.

    pip install -r requirements-bench.txt
    python bench/step.py                             # 10 random children and NASNet-A, 8x8 and 28x28, F = 8 and 16
    python bench/step.py --children=2 --rounds=3     # shorter

Both as two one-thread processes at once, as a search runs children; ours, then PyTorch's, then ours again. All four
live through the whole run; those whose turn it is not wait on a pipe. Before any timing the opponent must have the same
number of parameters and, with our weights, the same loss to 1e-4.

A step is what a search pays for: pick the pictures, forward, backward, clip, momentum, moving statistics, loss.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bench.drawn import drawn_genotypes, drawn_pictures, drawn_spec
from bench.machine import machine, spread
from cells.genotype.cell import CellGenotype
from cells.walks.stack import CellNetwork
from cells.zoo.cells import NASNET_A

MEAN, STD, MOMENTUM, DECAY, CLIP, RATE = 128.0, 74.0, 0.9, 1e-4, 5.0, 0.02
Setting = tuple[CellGenotype, int, int, int]  # genotype, pixels a side, filters, batch size
Loss = float


def our_step(setting: Setting) -> tuple[Callable[[int], Loss], dict[str, np.ndarray]]:
    """A child's step, and the weights that it starts from."""
    from nasnet.estimators.child import Child
    from nasnet.estimators.config import ChildConfig
    from nasnet.training.config import TrainingConfig

    genotype, size, filters, batch_size = setting
    data = drawn_pictures(size, train=4 * batch_size, valid=batch_size)
    config = TrainingConfig(
        epochs=100, batch_size=batch_size, learning_rate=RATE, weight_decay=DECAY, clip_norm=CLIP, pad=0, flip=False
    )
    spec = drawn_spec(genotype, data, filters=filters, mean=MEAN, std=STD, bn_momentum=MOMENTUM)
    child = Child(spec, data, ChildConfig.of(config, data), seed=0)
    weights = child.named_weights()
    session = child.session()
    images = data.train.images.reshape(4, batch_size, *data.image_shape)
    labels = data.train.labels.reshape(4, batch_size)
    return lambda index: session(images[index % 4], labels[index % 4], index), weights


def torch_step(setting: Setting, weights: dict[str, np.ndarray]) -> Callable[[int], Loss]:
    """The same in PyTorch."""
    import torch

    from bench.torch_child import TorchChild

    genotype, size, filters, batch_size = setting
    data = drawn_pictures(size, train=4 * batch_size, valid=batch_size)
    model = TorchChild(
        CellNetwork(genotype, 1, filters, len(data.classes)), data.image_shape, weights, momentum=MOMENTUM
    )
    kernels, others = model.parameters_of("kernel"), model.parameters_of("other")
    groups: list[dict[str, Any]] = [{"params": kernels, "weight_decay": DECAY}, {"params": others}]
    optimizer = torch.optim.SGD(groups, lr=RATE, momentum=0.9, foreach=True)
    images, labels = torch.from_numpy(data.train.images.transpose(0, 3, 1, 2)), torch.from_numpy(data.train.labels)
    rows = torch.arange(4 * batch_size).reshape(4, batch_size)

    def step(index: int) -> Loss:
        x = images[rows[index % 4]].to(torch.float32, memory_format=torch.channels_last)
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(model((x - MEAN) / STD), labels[rows[index % 4]].long())
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*kernels, *others], CLIP, foreach=True)
        optimizer.step()
        with torch.no_grad():  # our loss has the decay in it
            decay = 0.5 * DECAY * sum(float((kernel * kernel).sum()) for kernel in kernels) if index == 0 else 0.0
        return loss.item() + decay

    step.parameters = sum(w.numel() for w in [*kernels, *others])  # type: ignore[attr-defined]
    return step


def serve(kind: str, threads: int, pipe: Connection) -> None:
    """A process's life: builds what it is sent, answers with the seconds of its steps."""
    if kind == "ours":
        import nasnet  # noqa: F401, I001 - sets what must stand before TensorFlow is imported
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    else:
        import torch

        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
    step, done = None, 0
    while (message := pipe.recv()) is not None:
        if isinstance(message, int):
            assert step is not None
            seconds = []
            for _ in range(message):
                start = time.perf_counter()
                step(done)
                seconds.append(time.perf_counter() - start)
                done += 1
            pipe.send(seconds)
        elif kind == "ours":
            step, weights = our_step(message)
            pipe.send((step(0), weights))
            done = 1
        else:
            step = torch_step(*message)
            pipe.send((step(0), step.parameters))  # type: ignore[attr-defined]
            done = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--children", type=int, default=10, help="random children, beside NASNet-A")
    parser.add_argument("--sizes", type=int, nargs="+", default=[8, 28])
    parser.add_argument("--filters", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each opponent a child")
    parser.add_argument("--seconds", type=float, default=0.2, help="length of a turn, at least 2 steps")
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()

    print(machine("tensorflow", "torch", "numpy"), flush=True)
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, list[Connection]] = {"ours": [], "torch": []}
    processes = []
    for kind in ("ours", "torch"):
        for _ in range(2):
            here, there = context.Pipe()
            processes.append(context.Process(target=serve, args=(kind, 1, there), daemon=True))
            processes[-1].start()
            pipes[kind].append(here)

    def ask(kind: str, message: object) -> list[Any]:
        for pipe in pipes[kind]:
            pipe.send(message)
        return [pipe.recv() for pipe in pipes[kind]]

    names = ["NASNet-A", *(f"random {index}" for index in range(flags.children))]
    genotypes = [NASNET_A, *drawn_genotypes(flags.children, flags.seed)]
    ratios: list[np.ndarray] = []
    for size in flags.sizes:
        for filters in flags.filters:
            of_setting = []
            for name, genotype in zip(names, genotypes, strict=True):
                setting = (genotype, size, filters, flags.batch_size)
                answers = ask("ours", setting)
                loss, weights = answers[0]
                other_loss, parameters = ask("torch", (setting, weights))[0]
                ours_parameters = sum(v.size for k, v in weights.items() if "/moving" not in k)
                if parameters != ours_parameters or abs(loss - other_loss) > 1e-4 * abs(loss):
                    raise SystemExit(f"{name}: {parameters} against {ours_parameters}, {loss} against {other_loss}")
                of_setting.append(_child(name, size, filters, ask, flags.rounds, flags.seconds))
            rounds = np.exp(np.log(of_setting).mean(0))
            print(f"{size}x{size} F={filters}: time_ratio {spread(rounds)}", flush=True)
            ratios += of_setting
    for pipe in pipes["ours"] + pipes["torch"]:
        pipe.send(None)
    for process in processes:
        process.join()
    rounds = np.exp(np.log(ratios).mean(0))  # geometric mean over children and settings, one of each round
    children = np.median(np.array(ratios), 1)
    print(f"all: time_ratio {spread(rounds)}; children from {children.min():.2f} to {children.max():.2f}")
    print(f"RESULT step time_ratio={np.median(rounds):.3f}")


def _child(
    name: str, size: int, filters: int, ask: Callable[[str, Any], list[Any]], rounds: int, seconds: float
) -> np.ndarray:
    """Ours over PyTorch's time, one ratio a round; each of medians of both processes' steps."""
    steps = {kind: max(2, int(seconds / np.median(np.array(ask(kind, 3))[:, 1:]))) for kind in ("ours", "torch")}
    times = {"ours": [], "torch": []}
    for _ in range(rounds):
        for kind, of_kind in times.items():
            of_kind.append(np.median(np.concatenate(ask(kind, steps[kind]))))
    ours, theirs = np.array(times["ours"]), np.array(times["torch"])
    line = f"  {size}x{size} F={filters} {name}: ours {1e3 * np.median(ours):.1f} ms"
    print(f"{line}, PyTorch {1e3 * np.median(theirs):.1f} ms, ratio {spread(ours / theirs)}", flush=True)
    return ours / theirs


if __name__ == "__main__":
    main()
