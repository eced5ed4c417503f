"""Does the driver keep up with 800 children at once (arXiv 1611.01578), and for 20,000 trials (arXiv 1707.07012)?

    python bench/scale.py                                              # 20,000 trials, 800 at once: about 13 minutes
    python bench/scale.py --trials=400 --width=40 --mean_seconds=1     # short
    python bench/scale.py --deterministic                              # what waves cost, simulated: at once

800 training processes do not fit on this machine, so children are sleeps, of log-normal length, in asynchronous Ray
actors; their reward is the share of separable convolutions in the cell, plus noise seeded by the child's name. All else
is what a search runs: `NASNetSpace(5)`, the LSTM controller with PPO at its defaults, `Search`, `RetryingEngine`,
`RayEngine`, and a journal that is synced to the disk record by record.

A child takes `--mean_seconds`, 22 by default, so that 20,000 of them take ten minutes. That is harder than the papers'
searches: where a child takes two hours, one ends every 9 s at this width, and here 36 do in a second. The driver has
0.03 s a trial for what it may take seconds for there, and a slot that waits 0.2 s loses one percent, not 0.003.

`idle_share=` is the share of slot-seconds without a child, measured by the children's own clocks, from the first
submission to the start of the last child: after that nothing is left to start. `cost_ratio=` is the driver's CPU
seconds a trial (all threads, Ray's too) in the last 900 trials before none are left to start, over that in trials 100
to 1,000.
`resume_seconds=` is how long a fresh process takes, TensorFlow's import included, to open the journal and to tell a
fresh controller all of it; its weights must then be the live controller's, bit for bit, or the script fails.
"""

from __future__ import annotations

import argparse
import asyncio
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
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bench.machine import machine
from bench.ray_cluster import OBJECT_STORE, keep_to_loopback
from cells.spaces.nasnet import NASNetSpace
from controller.config import PolicyGradientConfig
from controller.strategy import Outcome
from nasnet.execution.job import Job, Result
from nasnet.execution.ray_workers import RayEngine
from nasnet.trials.journal import Journal
from nasnet.trials.retries import RetryingEngine
from nasnet.trials.search import Search, SearchProgress

ROOT = Path(__file__).parent.parent
ACTORS = 4
SIGMA = 0.5  # of the log of a child's length: one in six takes 1.6 times the median or more
NOISE = 0.05
WAVE = PolicyGradientConfig().update_trials


def lengths(rng: np.random.Generator, mean: float, number: int) -> np.ndarray:
    """Log-normal lengths `[number]` of children, in seconds."""
    return rng.lognormal(np.log(mean) - SIGMA**2 / 2, SIGMA, number)


class Sleepers:
    """What `RayEngine` takes for an actor: `ready()` and `run(job) -> Result`, many jobs at a time."""

    def __init__(self, mean_seconds: float) -> None:
        self._mean_seconds = mean_seconds
        self._spans: list[tuple[float, float]] = []

    async def ready(self) -> None:
        """Returns once the actor is there."""

    async def run(self, job: Job) -> Result:
        """A child: a sleep, and a reward that the genotype decides."""
        begun = time.monotonic()
        rng = np.random.default_rng(zlib.crc32(job.name.encode()))
        await asyncio.sleep(lengths(rng, self._mean_seconds, 1)[0])
        assert job.genotype is not None, "a search's children are of cells"
        blocks = (*job.genotype.normal.blocks, *job.genotype.reduction.blocks)
        operations = [operation for block in blocks for operation in (block.left_op, block.right_op)]
        share = sum("separable" in operation for operation in operations) / len(operations)
        ended = time.monotonic()
        self._spans.append((begun, ended))
        return Result(job, Outcome.OK, share + NOISE * rng.normal(), ended - begun)

    async def spans(self) -> list[tuple[float, float]]:
        """Beginning and end of every child, by a clock that all processes of this machine share."""
        return self._spans


def idle_share(spans: list[tuple[float, float]], slots: int, begun: float) -> float:
    """The share of slot-seconds without a child, from `begun` to the start of the last child."""
    last = max(start for start, _ in spans)
    busy = sum(max(0.0, min(end, last) - max(start, begun)) for start, end in spans)
    return 1 - busy / (slots * (last - begun))


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


def strategy(seed: int) -> Any:  # noqa: ANN401 - its module imports TensorFlow
    """A fresh controller, with the threads that a search gives it."""
    import tensorflow as tf

    from controller.policy.policy_gradient import PolicyGradient

    tf.config.threading.set_intra_op_parallelism_threads(1)
    return PolicyGradient(NASNetSpace(5).decisions, PolicyGradientConfig(), seed)


def digest(controller: Any) -> str:  # noqa: ANN401 - see above
    """A hash of all the controller's weights."""
    weights = [np.asarray(variable) for variable in controller.policy.variables]
    return hashlib.sha256(b"".join(weight.tobytes() for weight in weights)).hexdigest()


def resume(path: Path, seed: int) -> None:
    """What a search does first when it goes on. Prints the seconds and the hash of the weights as JSON."""
    start = time.monotonic()
    controller = strategy(seed)
    imported = time.monotonic()
    journal = Journal(path)
    opened = time.monotonic()
    search = Search(NASNetSpace(5), controller, journal, RetryingEngine(Nowhere(), journal), len(journal.trials))
    search.run()
    replayed = time.monotonic()
    seconds = {"import": imported - start, "open": opened - imported, "replay": replayed - opened}
    print(json.dumps({"digest": digest(controller), "trials": len(journal.trials), "seconds": seconds}))


class Nowhere:
    """An engine for a search that has nothing left to run."""

    slots = free = 0

    def submit(self, job: Job) -> None:
        raise AssertionError(f"{job.name} was run again")

    def abandon(self) -> None:
        pass

    def collect(self, seconds: float) -> list[Result]:
        raise AssertionError(f"waited {seconds} s for nothing")

    def cancel(self) -> None:
        pass


def live(folder: Path, trials: int, width: int, mean_seconds: float, seed: int, marks: Iterable[int]) -> dict[str, Any]:
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
            print(f"{progress.done}/{trials} trials, reward {np.mean(rewards[-500:]):.3f}, "
                  f"{progress.seconds_left:.0f} s left", flush=True)  # fmt: skip

    wanted = set(marks)
    journal = Journal(folder / "journal.jsonl")
    engine = RayEngine(make_actor, ACTORS, folder / "logs", each)
    while engine.free < engine.slots:
        engine.collect(1.0)
    controller = strategy(seed)
    search = Search(NASNetSpace(5), controller, journal, RetryingEngine(engine, journal), trials, report=report)
    begun = time.monotonic()
    search.run()
    seconds = time.monotonic() - begun
    assert len(handles) == ACTORS, "an actor died"
    spans = [span for handle in handles for span in ray.get(handle.spans.remote())]
    assert len(spans) == trials
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


def wave_idle_share(width: int, seed: int, waves: int = 2000) -> float:
    """What `--deterministic` costs at a width: simulated, each child going to the first free slot."""
    drawn = lengths(np.random.default_rng(seed), 1.0, waves * WAVE).reshape(waves, WAVE)
    total = 0.0
    for wave in drawn:
        slots = [0.0] * width
        for length in wave:
            heapq.heapreplace(slots, slots[0] + length)
        total += max(slots)
    return 1 - float(drawn.sum()) / (width * total)


def show_waves() -> None:
    """What waves cost at some widths."""
    shares = ", ".join(f"{width} workers {wave_idle_share(width, 0):.0%}" for width in (1, 2, 4, 5, 8, 10, 20))
    print(
        f"--deterministic, idle share of waves of {WAVE}, simulated (log-normal, sigma {SIGMA}): {shares}", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=800, help=f"children at once; a multiple of {ACTORS}")
    parser.add_argument("--mean_seconds", type=float, default=22.0, help="of a child")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--deterministic", action="store_true", help="only simulate what waves cost")
    parser.add_argument("--resume", type=Path, help="a journal: what the process that measures it runs")
    flags = parser.parse_args()
    if flags.resume:
        resume(flags.resume, flags.seed)
        return
    size = max(100, flags.trials // 22)  # of the two windows; 900 of 20,000
    early, late = (100, 100 + size), (flags.trials - flags.width - size, flags.trials - flags.width)
    if flags.width % ACTORS or late[0] < early[1]:
        parser.error(f"--width={flags.width} is a multiple of {ACTORS}; --trials is {flags.width + 300} or more")

    print(machine("tensorflow", "keras", "ray", "numpy"), flush=True)
    show_waves()
    if flags.deterministic:
        return
    folder = Path(tempfile.mkdtemp(prefix="ns-"))  # short: Ray's sockets lie in it, and their paths have a limit
    keep_to_loopback(str(folder))
    try:
        found = live(folder, flags.trials, flags.width, flags.mean_seconds, flags.seed, (*early, *late))
        costs: dict[int, Cost] = found["costs"]
        cpu, controller = zip(*(a_trial(costs, *window) for window in (early, late)), strict=True)
        for name, window, index in (("early", early, 0), ("late", late, 1)):
            print(f"{name}, trials {window[0]} to {window[1]}: driver {1e3 * cpu[index]:.2f} ms of CPU a trial, "
                  f"controller and journal {1e3 * controller[index]:.2f} ms of wall time; "
                  f"{costs[window[1]].memory:.0f} MiB")  # fmt: skip
        journal = folder / "journal.jsonl"
        print(f"journal {journal.stat().st_size / 2**20:.1f} MiB", flush=True)
        start = time.monotonic()
        command = [sys.executable, __file__, f"--resume={journal}", f"--seed={flags.seed}"]
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
