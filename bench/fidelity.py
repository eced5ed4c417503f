"""Is the proxy worth believing? Ranks cells by short trainings and by long ones, and compares the ranks.

    python bench/fidelity.py --path=runs/digits.jsonl           # resumes where it was stopped
    python bench/fidelity.py --path=runs/digits.jsonl --report  # from what is there, trains nothing
    python examples/idx_to_npz.py /usr/share/datasets/fashion-mnist /tmp/fashion.npz
    python bench/fidelity.py --dataset=npz:/tmp/fashion.npz --image_size=12 --filters=4 --path=runs/fashion.jsonl

Cells are NASNet-A and random ones of the NASNet space. Every run draws its own weights and order of pictures: a cell's
short and long trainings share the cell and the pictures, nothing else. The test split is never opened. Each run is
scored twice: as it is, and with its moving statistics re-estimated on a batch of training pictures.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bench.drawn import drawn_genotypes
from bench.fidelity_statistics import Tau, chosen, sampling_error, spread, tau
from bench.machine import start
from cells.count import count
from cells.genotype.cell import CellGenotype
from cells.walks.stack import CellNetwork
from cells.zoo.cells import NASNET_A
from nasnet.data.dataset import DataSet, open_dataset
from nasnet.runtime.errors import UserError

VERSION = 2
VALID_FRACTION = 1 / 12  # 5,000 of Fashion-MNIST's 60,000; digits has a split of its own
DIVERGED = {"accuracy": 0.0, "loss": 100.0, "reestimated_accuracy": 0.0, "reestimated_loss": 100.0}


@dataclasses.dataclass(frozen=True)
class Setting:
    """What makes runs comparable. It stands in the first line of the file; other runs need another file."""

    dataset: str
    image_size: int | None
    filters: int
    repeats: int
    batch_size: int
    draw: int

    def genotypes(self, cells: int) -> list[CellGenotype]:
        """NASNet-A first, then random cells; more of them begin with the same."""
        return [NASNET_A, *drawn_genotypes(cells - 1, self.draw)]


@dataclasses.dataclass(frozen=True)
class Proxy:
    """A training: how long, at which highest rate, and the share of its steps in which the rate rises to it."""

    steps: int
    rate: float
    warmup: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Proxy:
        """Reads `STEPS:RATE` or `STEPS:RATE:WARMUP`."""
        steps, *rest = text.split(":")
        return cls(int(steps), *map(float, rest))

    def __str__(self) -> str:
        return f"{self.steps} steps at {self.rate:g}" + (f", {self.warmup:g} warm-up" if self.warmup else "")


@dataclasses.dataclass(frozen=True)
class Run:
    """One training of one cell, from one of its fresh starts."""

    cell: int
    proxy: Proxy
    seed: int


Results = dict[Run, dict[str, Any]]


def main() -> None:
    flags = _flags()
    setting, results = _read(flags.path)
    if flags.report:
        if setting is None:
            raise UserError(f"--path={flags.path} has nothing to report yet")
        return report(setting, results, flags)
    asked = Setting(**{field.name: getattr(flags, field.name) for field in dataclasses.fields(Setting)})
    _data(asked)  # here an error is one line
    _cut_torn_line(flags.path)
    if setting is None:
        flags.path.parent.mkdir(parents=True, exist_ok=True)
        _append(flags.path, {"version": VERSION, **dataclasses.asdict(asked)})
    elif setting != asked:
        raise UserError(f"--path={flags.path} holds runs of {setting}, asked for {asked}; use another file")
    missing = [run for run in plan(flags) if run not in results]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(flags.workers, context, _start, (asked, flags.cells)) as pool:
        for done, future in enumerate(as_completed([pool.submit(train, run) for run in missing]), 1):
            record = future.result()
            _append(flags.path, record)
            print(f"{done} of {len(missing)}: {record}", flush=True)
    return report(asked, _read(flags.path)[1], flags)


def plan(flags: argparse.Namespace) -> list[Run]:
    """Cell by cell, so that what is there at any time can be reported; the longest trainings come last."""
    first, *later = sorted(flags.long, key=lambda proxy: proxy.steps)
    runs: list[Run] = []
    for cell in range(flags.cells):
        runs.append(Run(cell, first, 0))
        runs += [Run(cell, proxy, seed) for proxy in flags.proxies for seed in range(flags.seeds)]
    return runs + [Run(cell, proxy, 0) for proxy in later for cell in range(flags.cells)]


_worker: dict[str, Any] = {}


def _start(setting: Setting, cells: int) -> None:
    """One thread a worker: two such train more children an hour than one worker with two (docs/results.md)."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    _worker.update(setting=setting, data=_data(setting), genotypes=setting.genotypes(cells))


def _data(setting: Setting) -> DataSet:
    return open_dataset(setting.dataset, image_size=setting.image_size, valid_fraction=VALID_FRACTION)


def train(run: Run) -> dict[str, Any]:
    """The record of one run: its scores on the valid split, and the processor's seconds that went where."""
    from nasnet.estimators.child import Child
    from nasnet.estimators.config import ChildConfig
    from nasnet.networks.spec import NetworkSpec
    from nasnet.runtime.errors import DivergedError
    from nasnet.runtime.seeds import name_seed
    from nasnet.training.config import TrainingConfig

    setting, data, proxy = _worker["setting"], _worker["data"], run.proxy
    warmup_epochs = proxy.warmup * proxy.steps / (len(data.train) // setting.batch_size)
    config = TrainingConfig(
        steps=proxy.steps, batch_size=setting.batch_size, learning_rate=proxy.rate, warmup_epochs=warmup_epochs
    )
    network = CellNetwork(_worker["genotypes"][run.cell], setting.repeats, setting.filters, len(data.classes))
    spec = NetworkSpec.on(data, network, bn_momentum=config.bn_momentum, bn_epsilon=1e-5)
    seed = name_seed(run.seed, f"cell {run.cell}, {proxy.steps} steps")
    child = Child(spec, data, ChildConfig.of(config, data), seed=seed)
    clock = [time.process_time()]
    try:
        score = child.run().scores[-1]
        clock.append(time.process_time())
        child.reestimate()
        clock.append(time.process_time())
        again = child.score(data.valid)
        clock.append(time.process_time())
    except DivergedError:
        return {**dataclasses.asdict(run), **DIVERGED}
    # Of another machine's load, processor time says less than wall time does. Scored once in a search.
    run_seconds, reestimating, scoring = np.diff(clock)
    return {
        **dataclasses.asdict(run),
        "accuracy": score.accuracy,
        "loss": score.loss,
        "reestimated_accuracy": again.accuracy,
        "reestimated_loss": again.loss,
        "seconds": {"run": run_seconds, "reestimating": reestimating, "scoring": scoring},
    }


def report(setting: Setting, results: Results, flags: argparse.Namespace) -> None:
    """Tables over the cells of which every proxy and every long training are there."""
    needed = [Run(0, proxy, seed) for proxy in flags.proxies for seed in range(flags.seeds)]
    data = _data(setting)
    print(f"{setting}, {len(data.valid)} pictures of validation, {flags.seeds} fresh starts a proxy")
    print(f"diverged: {sum('seconds' not in result for result in results.values())} of {len(results)} runs")
    for long in flags.long:
        runs = [*needed, Run(0, long, 0)]
        cells = [
            cell for cell in range(flags.cells) if all(dataclasses.replace(run, cell=cell) in results for run in runs)
        ]
        if len(cells) < 4:
            print(f"\n{long}: {len(cells)} whole cells; 4 or more can be reported")
            continue
        _report(setting, results, flags, data, cells, long)


def _report(
    setting: Setting, results: Results, flags: argparse.Namespace, data: DataSet, cells: list[int], long: Proxy
) -> None:
    def scores(proxy: Proxy, name: str) -> np.ndarray:
        sign = -1.0 if name.endswith("loss") else 1.0
        return np.array([[sign * results[Run(cell, proxy, s)][name] for s in range(flags.seeds)] for cell in cells])

    truth = np.array([results[Run(cell, long, 0)][flags.truth] for cell in cells])
    error = sampling_error(float(truth.mean()), len(data.valid))
    print(
        f"\nto be predicted: {flags.truth} of {len(cells)} cells after {long}, {truth.min():.4f} to {truth.max():.4f},"
    )
    print(f"mean {truth.mean():.4f}, deviation {truth.std(ddof=1):.4f}, sampling error {error:.4f}")
    header = f"{'predictor':>48} {'CPU s':>6} {'mean':>7} {'between':>8} {'within':>7} {'reliable':>8}"
    print(f"{header}  {'tau, one start':>20}  {'tau, two averaged':>20} {'first':>7}")
    for proxy in flags.proxies:
        parts = [r["seconds"] for run, r in results.items() if run.proxy == proxy and "seconds" in r]
        seconds = {name: float(np.median([part[name] for part in parts])) for name in ("run", "reestimating")}
        for name in flags.scores:
            cost = seconds["run"] + (seconds["reestimating"] if name.startswith("reestimated") else 0)
            _print_row(f"{proxy}, {name}", scores(proxy, name), truth, cost)
    genotypes = setting.genotypes(flags.cells)
    networks = [CellNetwork(genotypes[i], setting.repeats, setting.filters, len(data.classes)) for i in cells]
    counts = [count(network, data.image_shape) for network in networks]
    for name in ("parameters", "mult_adds"):
        found = tau(np.array([[float(getattr(c, name))] for c in counts]), truth)
        print(f"{name:>48} {'':40}  {_show(found):>20}")
    print("tau: Kendall's, mean over the starts, with 95% by bootstrap over the cells. first: what the cell that one")
    print("start ranks first comes to. reliable: share of a score's variance that is the cell's, of one start.")


def _print_row(label: str, scores: np.ndarray, truth: np.ndarray, seconds: float) -> None:
    found = spread(scores)
    left = f"{seconds:6.2f} {scores.mean():7.3f} {found.between:8.4f} {found.within:7.4f} {found.reliability:8.3f}"
    pairs = np.stack(
        [scores[:, pair].mean(1) for pair in map(list, itertools.combinations(range(scores.shape[1]), 2))], 1
    )
    taus = f"{_show(tau(scores, truth)):>20}  {_show(tau(pairs, truth)):>20}"
    print(f"{label:>48} {left}  {taus} {chosen(scores, truth):7.4f}")


def _show(found: Tau) -> str:
    return f"{found.tau:5.2f} [{found.low:5.2f}, {found.high:5.2f}]"


def _append(path: Path, record: dict[str, Any]) -> None:
    with open(path, "a") as file:
        file.write(json.dumps(record) + "\n")


def _cut_torn_line(path: Path) -> None:
    """Not while reporting: another process may be in the middle of that line."""
    if path.exists():
        with open(path, "rb+") as file:
            file.truncate(file.read().rfind(b"\n") + 1)


def _read(path: Path) -> tuple[Setting | None, Results]:
    """What the file holds, without a last line that was torn."""
    if not path.exists():
        return None, {}
    text = path.read_text()
    records = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    if not records:
        return None, {}
    header = records.pop(0)
    if header.pop("version") != VERSION:
        raise UserError(f"--path={path} is of another version than {VERSION}")
    return Setting(**header), {Run(r["cell"], Proxy(**r["proxy"]), r["seed"]): r for r in records}


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="digits, or npz:PATH of Fashion-MNIST")
    parser.add_argument("--path", type=Path, default=Path("runs/fidelity.jsonl"), help="raw results, one run a line")
    parser.add_argument("--report", action="store_true", help="print from what is there, train nothing")
    parser.add_argument("--image_size", type=int, default=None)
    parser.add_argument("--filters", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--draw", type=int, default=3, help="seed of the random cells")
    parser.add_argument("--cells", type=int, default=12, help="NASNet-A and random ones, in all")
    proxies = [f"{steps}:{rate}" for steps in (25, 50) for rate in (0.05, 0.1, 0.2)] + [
        "100:0.05",
        "100:0.1",
        "50:0.2:0.2",
    ]
    shape = {"type": Proxy.parse, "nargs": "+", "metavar": "STEPS:RATE[:WARMUP]"}
    parser.add_argument("--proxies", **shape, default=[Proxy.parse(text) for text in proxies])
    parser.add_argument("--long", **shape, default=[Proxy(500, 0.1), Proxy(2500, 0.1)], help="what is to be predicted")
    parser.add_argument("--seeds", type=int, default=3, help="fresh starts of each proxy")
    parser.add_argument("--workers", type=int, default=1, help="processes of one thread each")
    parser.add_argument("--scores", nargs="+", choices=DIVERGED, default=["accuracy", "reestimated_accuracy"])
    parser.add_argument("--truth", choices=DIVERGED, default="accuracy", help="score of the long training")
    return parser.parse_args()


if __name__ == "__main__":
    start(main)
