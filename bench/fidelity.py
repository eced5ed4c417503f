"""Is the proxy worth believing? Ranks cells by short trainings and by a long one, and compares the ranks.

    python examples/idx_to_npz.py /usr/share/datasets/fashion-mnist /tmp/fashion.npz
    python bench/fidelity.py                      # resumes where it was stopped
    python bench/fidelity.py --report             # from what is there, trains nothing
    python bench/fidelity.py --dataset=digits --path=runs/fidelity-digits.jsonl

Cells are NASNet-A and random ones of the NASNet space. Every run draws its own weights and order of pictures: a cell's
short and long trainings share the cell and the pictures, nothing else. The test split is never opened.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bench.drawn import drawn_genotypes
from bench.fidelity_statistics import Tau, chosen, sampling_error, spread, tau
from cells.count import count
from cells.genotype import CellGenotype
from cells.walks.stack import CellNetwork
from cells.zoo.cells import NASNET_A
from nasnet.data.dataset import DataSet, open_dataset
from nasnet.runtime.errors import UserError

VERSION = 1
VALID_FRACTION = 1 / 6  # 10,000 of Fashion-MNIST's 60,000; digits has a split of its own
DIVERGED = {"accuracy": 0.0, "loss": 100.0}  # worse than any that trains


@dataclasses.dataclass(frozen=True)
class Setting:
    """What makes runs comparable. It stands in the first line of the file; other runs need another file."""

    dataset: str
    image_size: int | None
    filters: int
    repeats: int
    batch_size: int
    learning_rate: float
    draw: int

    def genotypes(self, cells: int) -> list[CellGenotype]:
        """NASNet-A first, then random cells; more of them begin with the same."""
        return [NASNET_A, *drawn_genotypes(cells - 1, self.draw)]


@dataclasses.dataclass(frozen=True)
class Run:
    """One training: of which cell, how long, from which of its fresh starts."""

    cell: int
    steps: int
    seed: int


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
    """Cell by cell, so that what is there at any time can be reported; further seeds of the long training last."""
    runs: list[Run] = []
    for cell in range(flags.cells):
        # The long one first: the workers then finish a cell at about the same time.
        runs.append(Run(cell, flags.long_steps, 0))
        runs += [Run(cell, steps, seed) for steps in flags.proxy_steps for seed in range(flags.seeds)]
    return runs + [
        Run(cell, flags.long_steps, seed) for seed in range(1, flags.long_seeds) for cell in range(flags.cells)
    ]


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
    """The record of one run: its accuracy and loss on the valid split, and the seconds that went where."""
    from nasnet.estimators.child import Child
    from nasnet.estimators.config import ChildConfig
    from nasnet.networks.spec import NetworkSpec
    from nasnet.runtime.errors import DivergedError
    from nasnet.runtime.seeds import name_seed
    from nasnet.training.config import TrainingConfig

    setting, data = _worker["setting"], _worker["data"]
    config = TrainingConfig(steps=run.steps, batch_size=setting.batch_size, learning_rate=setting.learning_rate)
    network = CellNetwork(_worker["genotypes"][run.cell], setting.repeats, setting.filters, len(data.classes))
    spec = NetworkSpec.on(data, network, bn_momentum=config.bn_momentum, bn_epsilon=1e-5)
    seed = name_seed(run.seed, f"cell {run.cell}, {run.steps} steps")
    try:
        result = Child(spec, data, ChildConfig.of(config, data), seed=seed).run()
    except DivergedError:
        return {**dataclasses.asdict(run), **DIVERGED}
    score = result.scores[-1]
    seconds = {"tracing": result.seconds_tracing, "steps": result.seconds_training, "scoring": result.seconds_scoring}
    return {**dataclasses.asdict(run), "accuracy": score.accuracy, "loss": score.loss, "seconds": seconds}


def report(setting: Setting, results: dict[Run, dict[str, Any]], flags: argparse.Namespace) -> None:
    """Tables over the cells of which every proxy and the first long training are there."""
    needed = [Run(0, steps, seed) for steps in flags.proxy_steps for seed in range(flags.seeds)]
    needed.append(Run(0, flags.long_steps, 0))
    cells = [
        cell for cell in range(flags.cells) if all(dataclasses.replace(run, cell=cell) in results for run in needed)
    ]
    if len(cells) < 4:
        raise UserError(f"--path={flags.path}: {len(cells)} whole cells; 4 or more can be reported")

    def scores(steps: int, name: str, seeds: int) -> np.ndarray:
        sign = -1.0 if name == "loss" else 1.0
        return np.array([[sign * results[Run(cell, steps, s)][name] for s in range(seeds)] for cell in cells])

    data = _data(setting)
    long_seeds = flags.long_seeds
    while any(Run(cell, flags.long_steps, long_seeds - 1) not in results for cell in cells):
        long_seeds -= 1
    print(f"{setting}\n{len(cells)} cells (NASNet-A is one: {0 in cells}), {len(data.valid)} pictures of validation")
    print(f"diverged: {sum('seconds' not in result for result in results.values())} runs\n")
    truth = {name: scores(flags.long_steps, name, long_seeds) for name in ("accuracy", "loss")}
    _print_long(truth, flags.long_steps, len(data.valid))

    header = f"{'predictor':>22} {'s a run':>8} {'mean':>7} {'between':>8} {'within':>7} {'reliable':>8}"
    print(f"{header}  {'tau, long accuracy':>22}  {'tau, long -loss':>22} {'averaged':>8} {'first':>6} {'NASNet-A':>8}")
    for steps in flags.proxy_steps:
        seconds = np.median(
            [sum(r["seconds"].values()) for run, r in results.items() if run.steps == steps and "seconds" in r]
        )
        for name in ("accuracy", "loss"):
            _print_row(f"{steps} steps, {_label(name)}", scores(steps, name, flags.seeds), truth, cells, seconds)
    genotypes = setting.genotypes(flags.cells)
    networks = [CellNetwork(genotypes[i], setting.repeats, setting.filters, len(data.classes)) for i in cells]
    counts = [count(network, data.image_shape) for network in networks]
    for name in ("parameters", "mult_adds"):
        _print_row(name, np.array([[float(getattr(c, name))] for c in counts]), truth, cells)
    print("\naveraged: tau with the long accuracy of the mean over the seeds")
    print("first: long accuracy of the cell that one run ranks first, mean over seeds")
    print("NASNet-A: its rank, mean over seeds. Intervals: 95%, bootstrap over the cells.")

    best = scores(flags.recommended_steps, flags.recommended_reward, flags.seeds)
    found = tau(best, truth["accuracy"].mean(axis=1))
    print(f"for {flags.recommended_steps} steps and validation {_label(flags.recommended_reward)}:")
    print(
        f"RESULT fidelity tau={found.tau:.3f} low={found.low:.3f} high={found.high:.3f} "
        f"reliability={spread(best).reliability:.3f}"
    )


def _print_long(truth: dict[str, np.ndarray], steps: int, pictures: int) -> None:
    for name, scores in truth.items():
        first = scores[:, 0]
        line = (
            f"long: {steps} steps, {_label(name)}, {scores.shape[1]} seed(s): mean {scores.mean():.4f}, first seed "
            f"{first.min():.4f} to {first.max():.4f}, its deviation over cells {first.std(ddof=1):.4f}"
        )
        if name == "accuracy":
            line += f", sampling error {sampling_error(float(first.mean()), pictures):.4f}"
        print(line)
        if scores.shape[1] > 1:
            found, between = spread(scores), tau(scores[:, 1:], first)
            print(
                f"      between {found.between:.4f}, within {found.within:.4f}, reliability {found.reliability:.3f}; "
                f"tau of its first seed with the others {_show(between)}"
            )
    print()


def _print_row(
    label: str, scores: np.ndarray, truth: dict[str, np.ndarray], cells: list[int], seconds: float | None = None
) -> None:
    if scores.shape[1] > 1:
        found = spread(scores)
        left = f"{seconds:8.1f} {scores.mean():7.3f} {found.between:8.4f} {found.within:7.4f} {found.reliability:8.3f}"
    else:
        left = f"{'':8} {scores.mean():7.3g} {scores.std(ddof=1):8.3g} {'':7} {'':8}"
    taus = [_show(tau(scores, truth[name].mean(axis=1))) for name in ("accuracy", "loss")]
    rank = 1 + (scores > scores[cells.index(0)]).sum(axis=0).mean() if 0 in cells else float("nan")
    averaged = tau(scores.mean(axis=1, keepdims=True), truth["accuracy"].mean(axis=1)).tau
    first = chosen(scores, truth["accuracy"].mean(axis=1))
    print(f"{label:>22} {left}  {taus[0]:>22}  {taus[1]:>22} {averaged:8.2f} {first:6.4f} {rank:8.1f}")


def _show(found: Tau) -> str:
    return f"{found.tau:5.2f} [{found.low:5.2f}, {found.high:5.2f}]"


def _label(name: str) -> str:
    return "-loss" if name == "loss" else name


def _append(path: Path, record: dict[str, Any]) -> None:
    with open(path, "a") as file:
        file.write(json.dumps(record) + "\n")


def _cut_torn_line(path: Path) -> None:
    """Not while reporting: another process may be in the middle of that line."""
    if path.exists():
        with open(path, "rb+") as file:
            file.truncate(file.read().rfind(b"\n") + 1)


def _read(path: Path) -> tuple[Setting | None, dict[Run, dict[str, Any]]]:
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
    return Setting(**header), {Run(r["cell"], r["steps"], r["seed"]): r for r in records}


def _flags() -> argparse.Namespace:
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--dataset", default="npz:/tmp/fashion.npz", help="digits, or npz:PATH of Fashion-MNIST")
    digits = first.parse_known_args()[0].dataset == "digits"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, parents=[first]
    )
    parser.add_argument("--path", type=Path, default=Path("runs/fidelity.jsonl"), help="raw results, one run a line")
    parser.add_argument("--report", action="store_true", help="print from what is there, train nothing")
    # Sized for an hour on two cores; the pictures keep 12 of their 28 pixels a side.
    parser.add_argument("--image_size", type=int, default=None if digits else 12)
    parser.add_argument("--filters", type=int, default=8 if digits else 4)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--batch_size", type=int, default=64)
    # The best of 0.0125 to 0.2 at 50, 150 and 500 steps, or as good as it, on both data sets (docs/results.md).
    parser.add_argument("--learning_rate", type=float, default=0.1)
    parser.add_argument("--draw", type=int, default=3, help="seed of the random cells")
    parser.add_argument("--cells", type=int, default=25, help="NASNet-A and random ones, in all")
    parser.add_argument("--proxy_steps", type=int, nargs="+", default=[50, 100] if digits else [50, 150, 500])
    parser.add_argument("--seeds", type=int, default=3, help="fresh starts of each proxy")
    parser.add_argument("--long_steps", type=int, default=500 if digits else 2500)
    parser.add_argument("--long_seeds", type=int, default=3 if digits else 1, help="fresh starts of the long training")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--recommended_steps", type=int, default=50, help="what RESULT is about")
    parser.add_argument("--recommended_reward", choices=("accuracy", "loss"), default="accuracy")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"error: {error}") from error
