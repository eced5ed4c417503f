"""Does the driver keep up with 800 children at once (arXiv 1611.01578), and for 20,000 trials (arXiv 1707.07012)?

    python bench/scale.py                                              # 20,000 trials, 800 at once: about 13 minutes
    python bench/scale.py --trials=400 --width=40 --mean_seconds=1     # short
    python bench/scale.py --deterministic                              # what waves cost, simulated: at once
    python bench/scale.py --space=chain                                # 12,800 chains of 6 to 20 layers

800 training processes do not fit on this machine, so children are sleeps, of log-normal length, in asynchronous Ray
actors (`bench/sleepers.py`); their reward is the share of separable convolutions in the cell, or of layers that read
the first in the chain, plus noise seeded by the child's name. All else is what a search runs: `NASNetSpace(5)` and the
LSTM controller with PPO at its defaults, or chains that grow from 6 layers by 2 every 1,600 trials and REINFORCE with
that paper's controller; `Search`, `RetryingEngine`, `RayEngine`, and a journal that is synced to the disk record by
record.

A child takes `--mean_seconds`, 22 by default, so that 20,000 of them take ten minutes. That is harder than the papers'
searches: where a child takes two hours, one ends every 9 s at this width, and here 36 do in a second. The driver has
0.03 s a trial for what it may take seconds for there, and a slot that waits 0.2 s loses one percent, not 0.003.

`idle_share=` is the share of slot-seconds without a child, measured by the children's own clocks, from the first
submission to the start of the last child: after that nothing is left to start. `cost_ratio=` is the driver's CPU
seconds a trial (all threads, Ray's too) in the last 900 trials before none are left to start, over that in trials 100
to 1,000. Chains are longer by then, and their controller's part grows with the number of decisions.
`resume_seconds=` is how long a fresh process takes, TensorFlow's import included, to open the journal and to tell a
fresh controller all of it; its weights must then be the live controller's, bit for bit, or the script fails.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import heapq
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bench.machine import machine
from bench.ray_cluster import OBJECT_STORE, keep_to_loopback
from bench.sleepers import SIGMA, Nowhere, Sleepers, idle_share, lengths
from cells.spaces.chain import ChainSpace
from cells.spaces.nasnet import NASNetSpace
from cells.spaces.space import Space
from controller.config import CHAIN_DEFAULTS, FailureConfig, PolicyGradientConfig
from nasnet.execution.ray_workers import RayEngine
from nasnet.trials.journal import Journal
from nasnet.trials.retries import RetryingEngine
from nasnet.trials.search import Search, SearchProgress

ROOT = Path(__file__).parent.parent
ACTORS = 4
SPACES: dict[str, Space] = {"nasnet": NASNetSpace(5), "chain": ChainSpace(20)}
TRIALS = {"nasnet": 20_000, "chain": 12_800}
"""Those of the papers."""
WAVES = {"nasnet": PolicyGradientConfig().update_trials, "chain": CHAIN_DEFAULTS["update_trials"]}


@dataclasses.dataclass
class Cost:
    """What the driver has used after some number of trials: CPU and wall seconds, MiB of resident memory."""

    cpu: float
    controller: float
    memory: float


def cost(search: Search) -> Cost:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Cost(time.process_time(), search.controller_seconds, pages * os.sysconf("SC_PAGESIZE") / 2**20)


def a_trial(costs: dict[int, Cost], first: int, last: int) -> tuple[float, float]:
    """CPU seconds, and wall seconds of controller and journal, a trial."""
    number = last - first
    cpu, controller = costs[last].cpu - costs[first].cpu, costs[last].controller - costs[first].controller
    return cpu / number, controller / number


def controller_config(name: str, **changes: float) -> PolicyGradientConfig:
    """The controller's settings that a search of a space has by default, but for the changes."""
    said = CHAIN_DEFAULTS if name == "chain" else {}
    flags = {field.name: field.metadata.get("flag", field.name) for field in dataclasses.fields(PolicyGradientConfig)}
    return PolicyGradientConfig(**{**{field: said[flag] for field, flag in flags.items() if flag in said}, **changes})


def strategy(name: str, seed: int) -> Any:  # noqa: ANN401 - its module imports TensorFlow
    """A fresh controller for a space, with the threads that a search gives it."""
    import tensorflow as tf

    from controller.strategies import make_strategy

    tf.config.threading.set_intra_op_parallelism_threads(1)
    space, loss = SPACES[name], CHAIN_DEFAULTS["strategy"] if name == "chain" else "ppo"
    return make_strategy(loss, space.decisions, space.length, controller_config(name), FailureConfig(), seed)


def digest(controller: Any) -> str:  # noqa: ANN401 - see above
    """A hash of all the controller's weights."""
    weights = [np.asarray(variable) for variable in controller.policy.variables]
    return hashlib.sha256(b"".join(weight.tobytes() for weight in weights)).hexdigest()


def resume(path: Path, name: str, seed: int) -> None:
    """What a search does first when it goes on. Prints the seconds and the hash of the weights as JSON."""
    start = time.monotonic()
    controller = strategy(name, seed)
    imported = time.monotonic()
    journal = Journal(path)
    opened = time.monotonic()
    search = Search(SPACES[name], controller, journal, RetryingEngine(Nowhere(), journal), len(journal.trials))
    search.run()
    replayed = time.monotonic()
    seconds = {"import": imported - start, "open": opened - imported, "replay": replayed - opened}
    print(json.dumps({"digest": digest(controller), "trials": len(journal.trials), "seconds": seconds}))


def live(
    folder: Path, name: str, trials: int, width: int, mean_seconds: float, seed: int, marks: Iterable[int]
) -> dict[str, Any]:
    """The search. Returns the idle share, the cost at each of the marks and the hash of the controller's weights."""
    import ray

    os.environ["PYTHONPATH"] = str(ROOT)  # of the actors
    ray.init(
        num_cpus=ACTORS,
        _node_ip_address="127.0.0.1",
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=OBJECT_STORE,
    )
    each = width // ACTORS
    actor = ray.remote(Sleepers).options(num_cpus=1, max_concurrency=each + 10)
    handles: list[Any] = []

    def make_actor() -> Any:  # noqa: ANN401 - Ray's handle
        handles.append(actor.remote(mean_seconds))
        return handles[-1]

    costs: dict[int, Cost] = {}
    rewards: list[float] = []
    shown = time.monotonic()

    def report(progress: SearchProgress) -> None:
        nonlocal shown
        if progress.done in wanted:
            costs[progress.done] = cost(search)
        rewards.append(progress.trial.reward or 0.0)
        if time.monotonic() - shown > 20 or progress.done == trials:
            shown = time.monotonic()
            print(f"{progress.done}/{trials} trials, reward {np.mean(rewards[-500:]):.3f}", flush=True)

    wanted = set(marks)
    journal = Journal(folder / "journal.jsonl")
    engine = RayEngine(make_actor, ACTORS, folder / "logs", each)
    while engine.free < engine.slots:
        engine.collect(1.0)
    controller = strategy(name, seed)
    search = Search(SPACES[name], controller, journal, RetryingEngine(engine, journal), trials, report=report)
    begun = time.monotonic()
    search.run()
    seconds = time.monotonic() - begun
    assert len(handles) == ACTORS, "an actor died"
    spans = [span for handle in handles for span in ray.get(handle.spans.remote())]
    assert len(spans) == sum(not trial.cause for trial in journal.trials.values()), "twins are not run again"
    engine.cancel()
    ray.shutdown()
    print(f"{trials} trials in {seconds:.0f} s: {trials / seconds:.1f} a second; mean reward of the first "
          f"{len(rewards) // 10} {np.mean(rewards[: len(rewards) // 10]):.3f}, of the last "
          f"{np.mean(rewards[-len(rewards) // 10 :]):.3f}")  # fmt: skip
    filled = sorted(start for start, _ in spans)[width - 1]
    idle = idle_share(spans, width, begun)
    print(f"idle share of {width} slots {idle:.2%}; {idle_share(spans, width, filled):.2%} after the first {width} "
          f"children had been started, which took {filled - begun:.1f} s")  # fmt: skip
    return {"idle": idle, "costs": costs, "digest": digest(controller)}


def wave_idle_share(wave: int, width: int, seed: int, waves: int = 2000) -> float:
    """What `--deterministic` costs at a width: simulated, each child going to the first free slot."""
    drawn = lengths(np.random.default_rng(seed), 1.0, waves * wave).reshape(waves, wave)
    total = 0.0
    for those in drawn:
        slots = [0.0] * width
        for length in those:
            heapq.heapreplace(slots, slots[0] + length)
        total += max(slots)
    return 1 - float(drawn.sum()) / (width * total)


def show_waves(wave: int) -> None:
    """What waves cost at some widths."""
    widths = [width for width in (1, 2, 4, 5, 8, 10, 20) if width <= wave]
    shares = ", ".join(f"{width} workers {wave_idle_share(wave, width, 0):.0%}" for width in widths)
    print(
        f"--deterministic, idle share of waves of {wave}, simulated (log-normal, sigma {SIGMA}): {shares}", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", choices=SPACES, default="nasnet")
    parser.add_argument("--trials", type=int, help="as many as in the space's paper, if not given")
    parser.add_argument("--width", type=int, default=800, help=f"children at once; a multiple of {ACTORS}")
    parser.add_argument("--mean_seconds", type=float, default=22.0, help="of a child")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--deterministic", action="store_true", help="only simulate what waves cost")
    parser.add_argument("--resume", type=Path, help="a journal: what the process that measures it runs")
    flags = parser.parse_args()
    if flags.resume:
        resume(flags.resume, flags.space, flags.seed)
        return
    flags.trials = flags.trials or TRIALS[flags.space]
    size = max(100, flags.trials // 22)  # of the two windows; 900 of 20,000
    early, late = (100, 100 + size), (flags.trials - flags.width - size, flags.trials - flags.width)
    if flags.width % ACTORS or late[0] < early[1]:
        parser.error(f"--width={flags.width} is a multiple of {ACTORS}; --trials is {flags.width + 300} or more")

    print(machine("tensorflow", "keras", "ray", "numpy"), flush=True)
    show_waves(WAVES[flags.space])
    if flags.deterministic:
        return
    folder = Path(tempfile.mkdtemp(prefix="ns-"))  # short: Ray's sockets lie in it, and their paths have a limit
    keep_to_loopback(str(folder))
    try:
        found = live(folder, flags.space, flags.trials, flags.width, flags.mean_seconds, flags.seed, (*early, *late))
        costs: dict[int, Cost] = found["costs"]
        cpu, controller = zip(*(a_trial(costs, *window) for window in (early, late)), strict=True)
        for name, window, index in (("early", early, 0), ("late", late, 1)):
            print(f"{name}, trials {window[0]} to {window[1]}: driver {1e3 * cpu[index]:.2f} ms of CPU a trial, "
                  f"controller and journal {1e3 * controller[index]:.2f} ms of wall time; "
                  f"{costs[window[1]].memory:.0f} MiB")  # fmt: skip
        journal = folder / "journal.jsonl"
        print(f"journal {journal.stat().st_size / 2**20:.1f} MiB", flush=True)
        start = time.monotonic()
        command = [sys.executable, __file__, f"--resume={journal}", f"--space={flags.space}", f"--seed={flags.seed}"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds = time.monotonic() - start
        again = json.loads(done.stdout.splitlines()[-1])
        parts = ", ".join(f"{name} {value:.1f} s" for name, value in again["seconds"].items())
        print(f"resumed after {again['trials']} trials in {seconds:.1f} s ({parts})")
        same = again["digest"] == found["digest"]
        print(f"controller's weights after the replay: {'the same' if same else 'DIFFERENT'}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"RESULT scale idle_share={found['idle']:.4f} cost_ratio={cpu[1] / cpu[0]:.3f} resume_seconds={seconds:.1f}")
    sys.exit(int(not same))


if __name__ == "__main__":
    main()
