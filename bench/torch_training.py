"""A second implementation of `--mode=train`, in PyTorch: many trainings at once on one GPU, no TensorFlow.

    python bench/torch_export.py --workdir=runs/compare --out=runs/torch              # of a comparison; TensorFlow
    python bench/torch_training.py runs/torch --seeds=10 --test --out=runs/torch.jsonl

The same steps of the same recipe (momentum of 0.9 that the present rate multiplies, cosine, warm-up, L2 on kernels,
gradients clipped to a global norm, padded crops and flips). The network is read by bench/torch_child.py, weights begin
by `Layout.fresh`; which pictures a step takes and how they move are other draws than TensorFlow's. PyTorch's moving
variance is the unbiased one: on 64 pictures of 7x7 that is 0.03% more.

A network of 70 thousand parameters keeps a GPU busy for microseconds: a step is hundreds of kernels that each wait for
the last. So `--together` starts of a network are trained as one (bench/torch_starts.py), depthwise convolutions are our
own kernels (bench/triton_depthwise.py), each such training's step is a CUDA graph on a stream of its own, and all
trainings of a process step in turn.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import torch
import torch.nn.functional as F

from bench.torch_child import torch_layout
from bench.torch_starts import Depthwise, StartsReading
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
    """One network from some starts; on a GPU its step is a graph that `step` launches."""

    def __init__(
        self,
        network: CellNetwork,
        pictures: Pictures,
        whitening: tuple[float, float],
        recipe: Recipe,
        seeds: Sequence[int],
        fast_depthwise: Depthwise | None = None,
    ) -> None:
        self._network, self.seeds, self._fast_depthwise = network, tuple(seeds), fast_depthwise
        self._recipe, self._pictures, self._device = recipe, pictures, pictures.images.device
        self._mean, self._std = whitening
        _, channels, height, width = pictures.images.shape
        layout = Layout(count(network, (height, width, channels)), network.fan)
        fresh = [layout.named(*layout.fresh(seed)) for seed in self.seeds]
        named = {w.name: np.stack([torch_layout(w, of[w.name]) for of in fresh]) for w in (*layout.trainable, *layout.statistics)}
        # One vector of all trainable numbers, a weight of all starts being a part of it: an update is few kernels.
        parts = [named[weight.name] for weight in layout.trainable]
        self._shapes = {weight.name: part.shape for weight, part in zip(layout.trainable, parts, strict=True)}
        self.flat = self._on(np.concatenate([part.ravel() for part in parts])).requires_grad_()
        kernels = np.concatenate(
            [np.full(part.size, w.role == "kernel") for part, w in zip(parts, layout.trainable, strict=True)]
        )
        self._decay = self._on(recipe.weight_decay * kernels.astype(np.float32))
        starts = len(self.seeds)
        start_of = np.concatenate([np.repeat(np.arange(starts), part.size // starts) for part in parts])
        self._start_of = self._on(start_of)
        self._by_start = self._on(np.argsort(start_of, kind="stable").reshape(starts, -1))
        self._statistics = {w.name: self._on(named[w.name]) for w in layout.statistics}
        self._velocity = torch.zeros_like(self.flat)
        self._draw()
        self._rates = torch.zeros(recipe.steps, device=self._device)
        self._at = torch.zeros(1, dtype=torch.int64, device=self._device)
        self.losses = torch.zeros(recipe.steps, starts, device=self._device)
        self._rows, self._columns = (torch.arange(size, device=self._device) for size in (height, width))
        self._state = [self.flat, self._velocity, self._at, *self._statistics.values()]
        self._fresh = [t.detach().clone() for t in self._state]
        self._stream: Any = None
        if self._device.type == "cuda":
            self._capture()
        self.begin(recipe)

    def _on(self, value: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(value)).to(self._device)

    def _draw(self) -> None:
        """All that chance decides: `[steps, B, starts]`."""
        recipe, pictures = self._recipe, len(self._pictures.labels)
        epoch = pictures // recipe.batch_size
        orders, moves = [], []
        for seed in self.seeds:
            rng = np.random.default_rng([seed, 1])
            order = [rng.permutation(pictures)[: epoch * recipe.batch_size] for _ in range(-(-recipe.steps // epoch))]
            orders.append(np.concatenate(order)[: recipe.steps * recipe.batch_size].reshape(recipe.steps, -1))
            most = [2 * recipe.pad + 1, 2 * recipe.pad + 1, 2]
            moves.append(rng.integers(0, most, (recipe.steps, recipe.batch_size, 3)).astype(np.uint8))
        self._order = self._on(np.stack(orders, 2).astype(np.int32))
        self._moves = self._on(np.stack(moves, 2))

    def _capture(self) -> None:
        self._stream = torch.cuda.Stream()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(self._stream):
            self._take()
        torch.cuda.synchronize()
        with torch.cuda.graph(self._graph, stream=self._stream):
            self._take()

    @torch.no_grad()
    def begin(self, recipe: Recipe) -> None:
        """From the fresh weights, by the rates of `recipe`, whose steps may be fewer than the training was made for."""
        for tensor, value in zip(self._state, self._fresh, strict=True):
            tensor.copy_(value)
        self._rates[: recipe.steps] = self._on(recipe.rates().astype(np.float32))
        if self._stream is not None:
            torch.cuda.synchronize()

    def step(self) -> None:
        """Launches the next step; does not wait for it."""
        if self._stream is None:
            return self._take()
        with torch.cuda.stream(self._stream):
            self._graph.replay()
        return None

    def gradient(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Each start's cross-entropy of its batch of raw pictures, and the gradient of all, decay with it.

        `[B, starts * channels, height, width]` and `[B, starts]`.
        """
        logits, labels = self.logits(images, training=True), labels.T
        losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape).mean(1)
        (gradient,) = torch.autograd.grad(losses.sum(), self.flat)
        return losses, gradient + self._decay * self.flat.detach()

    def logits(self, images: torch.Tensor, *, training: bool) -> torch.Tensor:
        """`[starts, B, classes]` of raw pictures, float `[B, starts * channels, height, width]`."""
        sizes = [math.prod(shape) for shape in self._shapes.values()]
        parts = zip(self._shapes.items(), self.flat.split(sizes), strict=True)
        weights = {name: part.view(shape) for (name, shape), part in parts} | self._statistics
        reading: Any = StartsReading(weights, self._recipe.momentum, training, len(self.seeds), self._fast_depthwise)
        return self._network.walk(reading, (images - self._mean) / self._std).logits

    def _take(self) -> None:
        rows, moves = self._order[self._at][0].long(), self._moves[self._at][0].long()
        images = self._moved(self._pictures.images[rows.flatten()].float(), moves.flatten(0, 1))
        batch, starts = rows.shape
        losses, gradient = self.gradient(
            images.view(batch, -1, *images.shape[2:]), self._pictures.labels[rows.flatten()].view(batch, starts)
        )
        with torch.no_grad():
            norms = gradient[self._by_start].norm(dim=1)
            scale = torch.clamp(self._recipe.clip_norm / norms, max=1.0)
            self._velocity.mul_(0.9).add_(gradient * scale[self._start_of])
            self.flat.sub_(self._rates[self._at] * self._velocity)
            self.losses.index_copy_(0, self._at, losses.detach()[None])
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
    def scores(self, pictures: Pictures) -> list[tuple[float, float]]:
        """Of each start, by the moving statistics: accuracy and cross-entropy."""
        starts = len(self.seeds)
        right, losses = (torch.zeros(starts, dtype=torch.float64, device=self._device) for _ in range(2))
        for images, labels in zip(pictures.images.split(2500), pictures.labels.split(2500), strict=True):
            logits = self.logits(images.float().repeat(1, starts, 1, 1), training=False)
            right += (logits.argmax(2) == labels).sum(1)
            repeated = labels.repeat(starts)
            losses += F.cross_entropy(logits.flatten(0, 1), repeated, reduction="none").view(starts, -1).sum(1)
        told = torch.stack([right, losses], 1) / len(pictures.labels)
        return [(accuracy, loss) for accuracy, loss in told.tolist()]


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
    whitening, fast_depthwise = (described["mean"], described["std"]), None
    if device == "cuda" and not flags.plain:
        from bench.triton_depthwise import depthwise as fast_depthwise
    seeds = range(flags.first_seed, flags.first_seed + flags.seeds)
    begun = time.time()
    jobs = {
        (name, first): Training(
            networks[name], train, whitening, recipe, seeds[first : first + flags.together], fast_depthwise
        )
        for first in range(0, flags.seeds, flags.together)
        for name in flags.networks or networks
    }
    print(f"{len(jobs)} trainings of up to {flags.together} starts made in {time.time() - begun:.0f} s", flush=True)
    splits = {split: Pictures(data, split, device) for split in ("valid", *(["test"] if flags.test else []))}
    # A short training has no warm-up, as in a search.
    recipes = [dataclasses.replace(recipe, steps=steps, warmup_steps=0) for steps in flags.short]
    records, spent = [], 0.0
    with open(flags.out, "a") as out:
        for length in (*recipes, recipe):
            for job in jobs.values():
                job.begin(length)
            started = time.time()
            jobs = run(jobs, length.steps, flags.seconds - (started - begun))
            spent = time.time() - started
            scored = {"valid": splits["valid"]} if length is not recipe else splits
            records = list(_records(jobs, length.steps, scored))
            out.writelines(json.dumps(record) + "\n" for record in records)
            out.flush()  # what comes later may be cut off
    report(records, list(splits))
    where = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    print(f"{where}, torch {torch.__version__}; {len(records)} trainings of {recipe.steps} steps in {spent:.0f} s")
    each = 1e3 * spent / recipe.steps / len(records)
    print(f"RESULT torch_training trainings={len(records)} seconds={spent:.0f} ms_a_step={each:.2f}")


Jobs = dict[tuple[str, int], Training]
"""By network, and place of the first of their seeds."""


def _records(jobs: Jobs, steps: int, splits: Mapping[str, Pictures]) -> Iterator[dict[str, Any]]:
    for (name, _), job in jobs.items():
        scores = {split: job.scores(pictures) for split, pictures in splits.items()}
        for start, seed in enumerate(job.seeds):
            record: dict[str, Any] = {"network": name, "seed": seed, "steps": steps}
            for split, of in scores.items():
                record |= {split: of[start][0], f"{split}_loss": of[start][1]}
            curve = job.losses[:steps, start]
            yield record | {"loss": float(curve[-100:].mean()), "mean_loss": float(curve.mean())}


def run(jobs: Jobs, steps: int, seconds: float) -> Jobs:
    """All steps of all trainings, in turn; the last of them are dropped where `seconds` are too few for all."""
    started, networks = time.time(), len({name for name, _ in jobs})
    for taken in range(1, steps + 1):
        for job in jobs.values():
            job.step()
        if taken % 100 and taken != steps:
            continue
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # the trainings' streams do not wait for the one that reads
        loss = np.mean([float(job.losses[taken - 1].mean()) for job in jobs.values()])
        spent = (time.time() - started) / taken
        if taken == 200 and spent * steps > seconds:
            kept = int(len(jobs) * seconds / (spent * steps))
            kept = max(1, kept - kept % networks if kept > networks else kept)
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
            if name != first and (both := sorted(values.keys() & of[first].keys())):
                line += f"; minus {first} {_told(np.array([values[seed] - of[first][seed] for seed in both]))}"
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
    parser.add_argument("--short", type=int, nargs="*", default=[], help="steps of shorter trainings, which come first")
    parser.add_argument("--together", type=int, default=1, help="starts that are trained as one")
    parser.add_argument("--plain", action="store_true", help="PyTorch's depthwise convolution, not our kernels")
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--learning_rate", type=float, default=0.15)
    parser.add_argument("--warmup_epochs", type=float, default=0.3)
    parser.add_argument("--weight_decay", type=float, default=1e-4)
    parser.add_argument("--clip_norm", type=float, default=5.0)
    parser.add_argument("--pad", type=int, default=1)
    parser.add_argument(
        "--seconds", type=float, default=math.inf, help="the last starts are dropped where all of it takes longer"
    )
    parser.add_argument("--test", action="store_true", help="read the test split at the end")
    return parser.parse_args()


if __name__ == "__main__":
    main()
