"""Which short training ranks cells as a long one does, also among good ones? And which finds good ones soonest?

    python examples/idx_to_npz.py /usr/share/datasets/fashion-mnist runs/fashion.npz
    python bench/ranking.py --dataset=npz:runs/fashion.npz --image_size=14 --path=runs/ranking.jsonl  # resumes
    python bench/ranking.py --path=runs/ranking.jsonl --report                                        # trains nothing

First a search by the predictor, each child as wide as gives it `--parameters`; cells that cannot be, or that have more
than 1.1 times the mult-adds of NASNet-A at that size, are not tried. Then NASNet-A, `--half` cells of the search's
first trials, which are uniform, and `--half` of its last ones are trained by every proxy from fresh starts, and long. A
proxy `50+100` is of two rungs: 50 steps, and 100 more from those weights. The test split is never opened.

Scores of a proxy: accuracy and loss on valid, as they are and with batch norm's statistics re-estimated, and the mean
training loss, an extrapolation of the learning curve that needs no scoring (arXiv 2006.04492).
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bench.fidelity_statistics import regret, regret_of, sampling_error, tau
from bench.machine import machine, start
from cells.count import count
from cells.genotype.genotype import Genotype
from cells.spaces.nasnet import NASNetSpace
from cells.walks.stack import CellNetwork
from cells.zoo.cells import NASNET_A
from controller.config import FailureConfig, PolicyGradientConfig
from controller.strategies import make_strategy
from controller.strategy import Outcome, Trial
from nasnet.networks.matching import matched
from nasnet.runtime.errors import UserError

SPACE = NASNetSpace()
RATE = 0.1
Run = tuple[tuple[int, ...] | None, str, int]
"""Tokens, None being NASNet-A; the proxy; the seed."""
Results = dict[Run, dict[str, Any]]
SCORES = ("accuracy", "reestimated_accuracy", "loss", "reestimated_loss", "training_loss")


@dataclasses.dataclass(frozen=True)
class Setting:
    """What makes runs comparable. It stands in the first line of the file; other runs need another file."""

    dataset: str
    image_size: int | None
    parameters: int
    batch_size: int
    valid_fraction: float
    search_trials: int
    search_steps: int
    half: int


_worker: dict[str, Any] = {}


def _start(setting: Setting) -> None:
    """One thread a worker: two such train more children an hour than one worker with two (docs/results.md)."""
    import tensorflow as tf

    from nasnet.data.dataset import open_dataset

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    data = open_dataset(setting.dataset, image_size=setting.image_size, valid_fraction=setting.valid_fraction)
    _worker.update(setting=setting, data=data)


def sized(genotype: Any, setting: Setting, shape: tuple[int, int, int]) -> CellNetwork | None:  # noqa: ANN401
    """The cell's network of that size; None where there is none, or none that is cheap enough."""

    def of(cells: Any) -> Any:  # noqa: ANN401
        return matched(CellNetwork(cells, 1, 8, 10), shape, setting.parameters, "params")

    found, most = of(genotype), 1.1 * count(of(NASNET_A).architecture, shape).mult_adds
    network = found.architecture
    fits = found.within and network.repeats == 1 and count(network, shape).mult_adds <= most
    return network if fits else None


def train(tokens: tuple[int, ...] | None, proxy: str, seed: int) -> dict[str, Any]:
    """One training of one cell, None being NASNet-A: its scores on valid, and the processor's seconds."""
    from nasnet.estimators.child import Child
    from nasnet.estimators.config import ChildConfig
    from nasnet.networks.spec import NetworkSpec
    from nasnet.runtime.errors import DivergedError
    from nasnet.runtime.seeds import name_seed
    from nasnet.training.config import TrainingConfig

    setting, data = _worker["setting"], _worker["data"]
    genotype: Genotype = NASNET_A if tokens is None else SPACE.decode(tokens)
    network = sized(genotype, setting, data.image_shape)
    key = {"tokens": tokens, "proxy": proxy, "seed": seed}
    if network is None:
        return {**key, "invalid": True}
    begun, config = time.process_time(), TrainingConfig(batch_size=setting.batch_size, learning_rate=RATE)
    spec = NetworkSpec.on(data, network, bn_momentum=config.bn_momentum)

    def of(rung: int, steps: str) -> Child:
        drawn = name_seed(seed, f"{tokens}, {proxy}, rung {rung}")
        longer = dataclasses.replace(config, steps=int(steps))
        return Child(spec, data, ChildConfig.of(longer, data), seed=drawn)

    try:
        children = [of(rung, steps) for rung, steps in enumerate(proxy.split("+"))]
        results = [children[0].run()]
        for before, child in itertools.pairwise(children):
            child.begin(before.named_weights())
            results.append(child.run())
        score, trained = results[-1].scores[-1], time.process_time()
        children[-1].reestimate()
        again = children[-1].score(data.valid)
    except DivergedError:
        return {**key, "diverged": True}
    return {
        **key,
        "accuracy": score.accuracy,
        "loss": score.loss,
        "reestimated_accuracy": again.accuracy,
        "reestimated_loss": again.loss,
        "training_loss": float(np.concatenate([result.losses for result in results]).mean()),
        "seconds": trained - begun,
        "pictures": len(data.valid),
    }


class Runs:
    """The file of results, one run a line, and the workers that make more."""

    def __init__(self, path: Path, setting: Setting, pool: ProcessPoolExecutor | None) -> None:
        self._path, self._pool = path, pool
        self.results = read(path, setting)

    def make(self, runs: list[Run]) -> Iterator[dict[str, Any]]:
        """Those that are missing, as they end."""
        missing = [run for run in dict.fromkeys(runs) if run not in self.results]
        if self._pool is None:
            if missing:
                raise UserError(f"--path={self._path} has no whole search yet; there is nothing to report")
            return
        waiting: set[Future[dict[str, Any]]] = {self._pool.submit(train, *run) for run in missing}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                record = future.result()
                with open(self._path, "a") as file:
                    file.write(json.dumps(record) + "\n")
                self.results[_key(record)] = record
                print(f"{len(waiting)} to go: {record}", flush=True)
                yield record


def _key(record: dict[str, Any]) -> Run:
    return None if record["tokens"] is None else tuple(record["tokens"]), record["proxy"], record["seed"]


def read(path: Path, setting: Setting) -> Results:
    """What the file holds, a torn last line cut off; a fresh one gets its first line."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(dataclasses.asdict(setting)) + "\n")
    text = path.read_text()
    path.write_text(text := text[: text.rfind("\n") + 1])
    first, *records = map(json.loads, text.splitlines())
    if Setting(**first) != setting:
        raise UserError(f"--path={path} holds runs of {first}; use another file")
    return {_key(record): record for record in records}


def search(runs: Runs, setting: Setting) -> list[tuple[int, ...]]:
    """The search's tokens that could be tried, in order: waves of 20, so that it goes on as it was."""
    strategy = make_strategy(
        "predictor", SPACE.decisions, None, PolicyGradientConfig(), FailureConfig(), 0, features=SPACE.features
    )
    tried: list[tuple[int, ...]] = []
    for wave in range(0, setting.search_trials, 20):
        proposals = [strategy.propose(trial) for trial in range(wave, wave + 20)]
        asked: list[Run] = [(proposal.tokens, str(setting.search_steps), 0) for proposal in proposals]
        list(runs.make(asked))
        for proposal, run in zip(proposals, asked, strict=True):
            found = runs.results[run]
            outcome = Outcome.INVALID if "invalid" in found else Outcome.NAN if "diverged" in found else Outcome.OK
            reward = found["reestimated_accuracy"] if outcome is Outcome.OK else None
            strategy.observe(Trial(proposal, outcome, reward, 0.0, ""))
            if outcome is not Outcome.INVALID:
                tried.append(proposal.tokens)
        rewards = [runs.results[run].get("reestimated_accuracy", np.nan) for run in asked]
        print(f"wave {wave // 20}: mean {np.nanmean(rewards):.4f}, best {np.nanmax(rewards):.4f}", flush=True)
    return tried


def main() -> None:
    flags = _flags()
    if flags.report:
        with open(flags.path) as file:
            setting = Setting(**json.loads(file.readline()))
        runs = Runs(flags.path, setting, None)
        return report(runs.results, chosen(search(runs, setting), setting), flags)
    setting = Setting(**{field.name: getattr(flags, field.name) for field in dataclasses.fields(Setting)})
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(flags.workers, context, _start, (setting,)) as pool:
        runs = Runs(flags.path, setting, pool)
        cells = chosen(search(runs, setting), setting)
        asked = [(proxy, seed) for proxy in flags.proxies for seed in range(1, flags.seeds + 1)] + [(flags.long, 1)]
        first, last = cells[1 : setting.half + 1], cells[setting.half + 1 :]
        pairs = itertools.chain.from_iterable(zip(first, last, strict=True))  # what is there at any time has both
        list(runs.make([(cell, *run) for cell in (cells[0], *pairs) for run in asked]))
    return report(runs.results, cells, flags)


def chosen(tried: list[tuple[int, ...]], setting: Setting) -> list[tuple[int, ...] | None]:
    """NASNet-A, the first of the search's cells and its last, different ones."""
    different = list(dict.fromkeys(tried))
    return [None, *different[: setting.half], *different[-setting.half :]]


def report(results: Results, asked: list[tuple[int, ...] | None], flags: argparse.Namespace) -> None:
    """Taus and regrets over those of the cells of which every run is there."""
    needed = [(proxy, seed) for proxy in flags.proxies for seed in range(1, flags.seeds + 1)] + [(flags.long, 1)]
    cells = [cell for cell in asked if all((cell, *run) in results for run in needed)]
    bad = {"accuracy": 0.0, "reestimated_accuracy": 0.0, "loss": 99.0, "reestimated_loss": 99.0, "training_loss": 99.0}

    def scores(proxy: str, name: str) -> np.ndarray:
        sign = -1.0 if name.endswith("loss") else 1.0
        found = [[{**bad, **results[cell, proxy, s]}[name] for s in range(1, flags.seeds + 1)] for cell in cells]
        return sign * np.array(found)

    truth = np.array([{**bad, **results[cell, flags.long, 1]}["accuracy"] for cell in cells])
    strong = np.array([asked.index(cell) > len(asked) // 2 for cell in cells])
    print(f"{len(cells)} cells, {strong.sum()} of them the search's last; after {flags.long} steps at {RATE}:")
    pictures = next(found["pictures"] for found in results.values() if "pictures" in found)
    for name, group in (("all", truth), ("first", truth[~strong]), ("last", truth[strong])):
        error = sampling_error(float(group.mean()), pictures)
        span = f"{group.mean():.4f}, {group.min():.4f} to {group.max():.4f}"
        print(f"  {name:6} {span}, deviation {group.std(ddof=1):.4f}, sampling error {error:.4f}")
    print(f"  nasnet_a {truth[cells.index(None)]:.4f}" if None in cells else "")
    print(
        f"{'predictor':>34} {'CPU s':>6} {'tau, all':>20} {'tau, last':>20} {'regret':>7} {'of last':>7} {'an hour':>8}"
    )
    for proxy in flags.proxies:
        cost = float(np.median([results[c, proxy, 1].get("seconds", np.nan) for c in cells]))
        for name in SCORES:
            found = scores(proxy, name)
            taus = [tau(found, truth), tau(found[strong], truth[strong])]
            shown = "".join(f" {t.tau:5.2f} [{t.low:5.2f}, {t.high:5.2f}]" for t in taus)
            regrets = 100 * regret(found, truth), 100 * regret(found[strong], truth[strong])
            soon = 100 * regret_of(max(1, int(flags.seconds / cost)), found, truth)
            print(f"{proxy + ' ' + name:>34} {cost:6.1f}{shown} {regrets[0]:7.2f} {regrets[1]:7.2f} {soon:8.2f}")
    print(
        "regret: points that the best of a proxy's first three is below the best cell. an hour: the same where only as"
    )
    print(f"many cells, drawn from these, are tried as {flags.seconds:g} processor seconds allow; mean of 2,000 draws.")
    print(machine())


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="digits, or npz:PATH of Fashion-MNIST")
    parser.add_argument("--path", type=Path, default=Path("runs/ranking.jsonl"), help="raw results, one run a line")
    parser.add_argument("--report", action="store_true", help="print from what is there, train nothing")
    parser.add_argument("--image_size", type=int, default=None)
    parser.add_argument("--parameters", type=int, default=72_000, help="of every network, within 5%%")
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--valid_fraction", type=float, default=1 / 12)
    parser.add_argument("--search_trials", type=int, default=120, help="a multiple of 20")
    parser.add_argument("--search_steps", type=int, default=50)
    parser.add_argument("--half", type=int, default=20, help="cells of the search's first trials, and of its last")
    parser.add_argument("--proxies", nargs="+", default=["25", "50", "150", "500", "50+100"])
    parser.add_argument("--long", default="1500", help="steps of what is to be predicted")
    parser.add_argument("--seeds", type=int, default=1, help="fresh starts of each proxy")
    parser.add_argument("--seconds", type=float, default=240, help="processor seconds of a search, for the last column")
    parser.add_argument("--workers", type=int, default=1, help="processes of one thread each")
    return parser.parse_args()


if __name__ == "__main__":
    start(main)
