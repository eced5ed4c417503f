"""A second implementation of `--mode=train`, in PyTorch: many trainings at once on one GPU, no TensorFlow.

    python bench/torch_export.py --workdir=runs/compare --out=runs/torch              # of a comparison; TensorFlow
    python bench/torch_training.py runs/torch --seeds=10 --test --out=runs/torch.jsonl

The same steps of the same recipe (momentum of 0.9 that the present rate multiplies, cosine, warm-up, L2 on kernels,
gradients clipped to a global norm, padded crops and flips). The network is read by bench/torch_child.py, weights begin
by `Layout.fresh`; which pictures a step takes and how they move are other draws than TensorFlow's. PyTorch's moving
variance is the unbiased one: on 64 pictures of 7x7 that is 0.03% more.

A network of 70 thousand parameters keeps a GPU busy for microseconds: a step is hundreds of kernels that each wait for
the last. So every training's step is a CUDA graph on a stream of its own, and all trainings of a process step in turn.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import torch
import torch.nn.functional as F

from bench.torch_child import TorchChild, torch_layout
from cells.count import count
from cells.walks.stack import CellNetwork
from nasnet.estimators.flat_weights import Layout


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What `TrainingConfig` calls the same; `steps` in all."""

    steps: int
    warmup_steps: float
    batch_size: int
    learning_rate: float
    weight_decay: float
    clip_norm: float
    pad: int
    momentum: float = 0.9  # of batch norm's statistics

    def rates(self) -> np.ndarray:
        """The learning rate of each step."""
        step = np.arange(self.steps)
        rate = self.learning_rate * 0.5 * (1 + np.cos(np.pi * step / self.steps))
        return rate * np.minimum(1.0, (step + 1) / max(self.warmup_steps, 1.0))


class Pictures:
    """A split on the device: `[N, channels, height, width]` as bytes, and labels."""

    def __init__(self, data: dict[str, np.ndarray], split: str, device: str) -> None:
        images = np.ascontiguousarray(data[f"{split}_images"].transpose(0, 3, 1, 2))
        self.images = torch.from_numpy(images).to(device)
        self.labels = torch.from_numpy(data[f"{split}_labels"].astype(np.int64)).to(device)


class Training:
    """One network from one start; on a GPU its step is a graph that `step` launches."""

    def __init__(
        self, network: CellNetwork, pictures: Pictures, whitening: tuple[float, float], recipe: Recipe, seed: int
    ) -> None:
        self._recipe, self._pictures, self._device = recipe, pictures, pictures.images.device
        self._mean, self._std = whitening
        _, channels, height, width = pictures.images.shape
        shape = (height, width, channels)
        layout = Layout(count(network, shape), network.fan)
        named = layout.named(*layout.fresh(seed))
        self._child = TorchChild(network, shape, named, momentum=recipe.momentum)
        # One vector of all trainable numbers, each weight a part of it: clipping and the update are few kernels.
        parts = [torch_layout(weight, named[weight.name]) for weight in layout.trainable]
        self._names = [weight.name for weight in layout.trainable]
        self._shapes = [part.shape for part in parts]
        kernels = [
            np.full(part.size, weight.role == "kernel") for part, weight in zip(parts, layout.trainable, strict=True)
        ]
        self.flat = self._on(np.concatenate([part.ravel() for part in parts])).requires_grad_()
        self._decay = self._on(recipe.weight_decay * np.concatenate(kernels).astype(np.float32))
        self._statistics = {w.name: self._on(named[w.name]) for w in layout.statistics}
        self._velocity = torch.zeros_like(self.flat)
        # All that is drawn, beforehand.
        rng = np.random.default_rng([seed, 1])
        epoch = len(pictures.labels) // recipe.batch_size
        orders = [
            rng.permutation(len(pictures.labels))[: epoch * recipe.batch_size] for _ in range(-(-recipe.steps // epoch))
        ]
        order = np.concatenate(orders)[: recipe.steps * recipe.batch_size]
        self._order = self._on(order.reshape(recipe.steps, recipe.batch_size).astype(np.int32))
        moves = rng.integers(0, [2 * recipe.pad + 1, 2 * recipe.pad + 1, 2], (recipe.steps, recipe.batch_size, 3))
        self._moves = self._on(moves.astype(np.uint8))
        self._rates = self._on(recipe.rates().astype(np.float32))
        self._at = torch.zeros(1, dtype=torch.int64, device=self._device)
        self.losses = torch.zeros(recipe.steps, device=self._device)
        self._rows, self._columns = (torch.arange(size, device=self._device) for size in (height, width))
        self._stream: Any = None
        if self._device.type == "cuda":
            self._capture()

    def _on(self, value: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(value)).to(self._device)

    def _capture(self) -> None:
        before = [t.detach().clone() for t in self._state()]
        self._stream = torch.cuda.Stream()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(self._stream):
            self._take()
        torch.cuda.synchronize()
        with torch.cuda.graph(self._graph, stream=self._stream):
            self._take()
        with torch.no_grad():
            for tensor, value in zip(self._state(), before, strict=True):
                tensor.copy_(value)
        torch.cuda.synchronize()

    def _state(self) -> list[torch.Tensor]:
        return [self.flat, self._velocity, self._at, *self._statistics.values()]

    def step(self) -> None:
        """Launches the next step; does not wait for it."""
        if self._stream is None:
            return self._take()
        with torch.cuda.stream(self._stream):
            self._graph.replay()
        return None

    def gradient(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The cross-entropy of a batch of raw pictures, and the gradient of all that is trained, decay with it."""
        loss = F.cross_entropy(self.logits(images, training=True), labels)
        (gradient,) = torch.autograd.grad(loss, self.flat)
        return loss, gradient + self._decay * self.flat.detach()

    def logits(self, images: torch.Tensor, *, training: bool) -> torch.Tensor:
        """Of raw pictures, float `[B, channels, height, width]`."""
        sizes = [math.prod(shape) for shape in self._shapes]
        parts = [part.view(shape) for part, shape in zip(self.flat.split(sizes), self._shapes, strict=True)]
        self._child.weights = {**dict(zip(self._names, parts, strict=True)), **self._statistics}
        return self._child((images - self._mean) / self._std, training=training)

    def _take(self) -> None:
        rows = self._order[self._at].flatten().long()
        moves = self._moves[self._at][0].long()
        loss, gradient = self.gradient(
            self._moved(self._pictures.images[rows].float(), moves), self._pictures.labels[rows]
        )
        with torch.no_grad():
            scale = torch.clamp(self._recipe.clip_norm / gradient.norm(), max=1.0)
            self._velocity.mul_(0.9).add_(gradient * scale)
            self.flat.sub_(self._rates[self._at] * self._velocity)
            self.losses.index_copy_(0, self._at, loss.detach()[None])
            self._at.add_(1)

    def _moved(self, images: torch.Tensor, moves: torch.Tensor) -> torch.Tensor:
        """Crops of the pictures padded by their mean, and mirrored ones."""
        pad = self._recipe.pad
        padded = F.pad(images - self._mean, (pad, pad, pad, pad)) + self._mean
        mirrored = moves[:, 2:] * (len(self._columns) - 1 - 2 * self._columns) + self._columns
        rows, columns = self._rows + moves[:, :1], mirrored + moves[:, 1:2]
        picture = torch.arange(len(images), device=images.device)
        moved = padded[picture[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        # One channel's strides pass for channels_last, in which cuDNN has no float32 depthwise convolution.
        return moved.clone(memory_format=torch.contiguous_format)

    @torch.no_grad()
    def accuracy(self, pictures: Pictures) -> float:
        """Share of the pictures that are classified right, by the moving statistics."""
        right = torch.zeros((), dtype=torch.int64, device=self._device)
        for images, labels in zip(pictures.images.split(1000), pictures.labels.split(1000), strict=True):
            right += (self.logits(images.float(), training=False).argmax(1) == labels).sum()
        return int(right) / len(pictures.labels)


def main() -> None:
    flags = _flags()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    described = json.loads((flags.folder / "networks.json").read_text())
    with np.load(flags.folder / "data.npz") as file:
        data = dict(file)
    train = Pictures(data, "train", device)
    recipe = _recipe(flags, len(train.labels))
    networks = {name: CellNetwork.from_json(made, described["classes"]) for name, made in described["networks"].items()}
    jobs = {
        (name, seed): Training(networks[name], train, (described["mean"], described["std"]), recipe, seed)
        for seed in range(flags.first_seed, flags.first_seed + flags.seeds)
        for name in flags.networks or networks
    }
    started = time.time()
    jobs = run(jobs, recipe.steps, flags.seconds)
    spent, records = time.time() - started, []
    splits = {split: Pictures(data, split, device) for split in ("valid", *(["test"] if flags.test else []))}
    with open(flags.out, "a") as out:
        for (name, seed), job in jobs.items():
            scores = {split: job.accuracy(pictures) for split, pictures in splits.items()}
            loss = float(job.losses[-100:].mean())
            records.append({"network": name, "seed": seed, "steps": recipe.steps, **scores, "loss": loss})
            out.write(json.dumps(records[-1]) + "\n")
            out.flush()  # what comes later may be cut off
    report(records, list(splits))
    where = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    print(f"{where}, torch {torch.__version__}; {len(jobs)} trainings of {recipe.steps} steps in {spent:.0f} s")
    each = 1e3 * spent / recipe.steps / len(jobs)
    print(f"RESULT torch_training trainings={len(jobs)} seconds={spent:.0f} ms_a_step={each:.2f}")


Jobs = dict[tuple[str, int], Training]
"""By network and seed."""


def run(jobs: Jobs, steps: int, seconds: float) -> Jobs:
    """All steps of all trainings, in turn; those of the last seeds are dropped where `seconds` are too few for all."""
    started, networks = time.time(), len({name for name, _ in jobs})
    for taken in range(1, steps + 1):
        for job in jobs.values():
            job.step()
        if taken % 100 and taken != steps:
            continue
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # reading a loss waits for no training: they have streams of their own
        loss = np.mean([float(job.losses[taken - 1]) for job in jobs.values()])
        spent = (time.time() - started) / taken
        if taken == 200 and spent * steps > seconds:
            kept = max(1, int(len(jobs) * seconds / (spent * steps)) // networks) * networks
            jobs = dict(list(jobs.items())[:kept])
            print(f"no time for all: {kept} trainings go on", flush=True)
        if taken % 500 == 0 or taken in (100, steps):
            print(f"step {taken}: loss {loss:.4f}, {1e3 * spent:.1f} ms a step of all", flush=True)
    return jobs


def _recipe(flags: argparse.Namespace, pictures: int) -> Recipe:
    epoch = pictures // flags.batch_size
    return Recipe(
        flags.steps or flags.epochs * epoch,
        flags.warmup_epochs * epoch,
        flags.batch_size,
        flags.learning_rate,
        flags.weight_decay,
        flags.clip_norm,
        flags.pad,
    )


def report(records: list[dict[str, Any]], splits: list[str]) -> None:
    """Mean and standard error over the starts of each network; differences from the first, start by start."""
    first = records[0]["network"]
    for split in splits:
        of = {}
        for record in records:
            of.setdefault(record["network"], {})[record["seed"]] = 100 * record[split]
        for name, values in of.items():
            line = f"{split:5} {name:16} {_told(np.array(list(values.values())))}, {len(values)} starts"
            if name != first:
                line += f"; minus {first} {_told(np.array([values[seed] - of[first][seed] for seed in values]))}"
            print(line)


def _told(values: np.ndarray) -> str:
    error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{values.mean():.3f} +- {error:.3f}"


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what bench/torch_export.py wrote")
    parser.add_argument("--networks", nargs="+", help="of those in the folder; unset: all")
    parser.add_argument("--out", type=Path, default=Path("torch_training.jsonl"), help="one line a training, appended")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first_seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--steps", type=int, default=None, help="in place of epochs")
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--learning_rate", type=float, default=0.15)
    parser.add_argument("--warmup_epochs", type=float, default=0.3)
    parser.add_argument("--weight_decay", type=float, default=1e-4)
    parser.add_argument("--clip_norm", type=float, default=5.0)
    parser.add_argument("--pad", type=int, default=1)
    parser.add_argument(
        "--seconds", type=float, default=math.inf, help="the last starts are dropped where it takes longer"
    )
    parser.add_argument("--test", action="store_true", help="read the test split at the end")
    return parser.parse_args()


if __name__ == "__main__":
    main()
