"""What runs where a child runs: the child itself, and around it the watch over its memory, its log and its parent.

Nothing here imports TensorFlow before `start` has set its threads and its GPUs.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import gc
import json
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

from controller.strategy import Outcome
from nasnet.estimators.estimator import Estimator, TrainedChild
from nasnet.execution.job import Job, Result
from nasnet.runtime.devices import grow_memory
from nasnet.runtime.environment import import_keras
from nasnet.runtime.errors import DivergedError, first_line
from nasnet.runtime.files import replaced

WATCH_SECONDS = 0.02
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux' prctl(2)


@dataclasses.dataclass(frozen=True)
class WorkerSettings:
    """How a worker process is set up.

    Attributes:
        logs: folder of the children's logs; what no child wrote goes to `workers.log` there.
        status: file in which the worker says that it is ready, what it runs, and why it ended itself.
        cpus: TensorFlow's threads. They decide the last bits of a result.
        memory: MiB of resident memory of the process, TensorFlow included, at which a child is ended; None is no limit.
        gpus: `CUDA_VISIBLE_DEVICES`; None leaves it as it is.
        parent: the process that it must not outlive.
        address, key: where it fetches its estimators (`nasnet.execution.estimator_server.EstimatorServer`).
    """

    logs: Path
    status: Path
    cpus: int
    memory: int | None
    gpus: str | None
    parent: int
    address: str
    key: bytes


def attempt(estimators: Mapping[str, Estimator[Any]], job: Job) -> Result:
    """Trains and scores one child in this process. Whatever it raises becomes an outcome with a one-line cause."""
    import tensorflow as tf

    start = time.monotonic()
    try:
        network = job.genotype if job.architecture is None else job.architecture
        if job.begin is not None:
            network = TrainedChild.load(job.begin)
        estimate = estimators[job.estimator].estimate(network, job.name)
        wanted = job.keep_above is not None and estimate.reward > job.keep_above
        child = estimate.child if wanted else None
        seconds = time.monotonic() - start
        return Result(job, Outcome.OK, estimate.reward, seconds, "", estimate.timing, child, None, estimate.figures)
    except DivergedError as error:
        outcome, cause = Outcome.NAN, first_line(error)
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        outcome, cause = Outcome.OOM, first_line(error)
        traceback.print_exc()
    except (Exception, SystemExit) as error:
        # A child may fail in any way that TensorFlow knows; the search goes on and tells the cause.
        outcome, cause = Outcome.CRASHED, f"{type(error).__name__}: {first_line(error)}"
        traceback.print_exc()
    finally:
        gc.collect()  # a graph refers to itself: some forty would be there before Python looks
    return Result(job, outcome, None, time.monotonic() - start, cause)


class _Worker:
    """The state of this process."""

    def __init__(self, settings: WorkerSettings, estimators: Mapping[str, Estimator[Any]]) -> None:
        self.settings, self.estimators = settings, estimators
        self.job: Job | None = None


_worker: _Worker | None = None
_saying = threading.Lock()


def start(settings: WorkerSettings) -> None:
    """Makes this process a worker: TensorFlow is imported once, with its threads and GPUs set before."""
    try:
        _start(settings)
    except Exception as error:
        _say(settings, {"pid": os.getpid(), "failed": f"{type(error).__name__}: {first_line(error)}"})
        raise


def _start(settings: WorkerSettings) -> None:
    global _worker
    _follow(settings.parent)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # so that the exit code tells who ended the process
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # asks the search to end, and a scheduler sends it to all processes
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with contextlib.suppress(OSError):  # not Linux: there the kernel chooses by itself
        # Where the kernel runs out of memory, it is to take a child and not the search.
        Path("/proc/self/oom_score_adj").write_text("500")
    _write_to(settings.logs / "workers.log")
    if settings.gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = settings.gpus
    import_keras()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(settings.cpus)
    tf.config.threading.set_inter_op_parallelism_threads(settings.cpus)
    grow_memory()
    with Client(settings.address, authkey=settings.key) as driver:
        _worker = _Worker(settings, driver.recv())
    threading.Thread(target=_watch, args=(_worker,), daemon=True).start()
    gc.freeze()  # what TensorFlow made at its import stays; to look at all of it takes 0.1 s
    _say(settings, {"pid": os.getpid()})


def run(job: Job) -> Result:
    """Runs a child in this worker, its output in a log file of its own."""
    assert _worker is not None, "start() comes first"
    settings = _worker.settings
    _write_to(settings.logs / f"{job.name}.log")
    _log(f"{job.name} in process {os.getpid()}, {settings.cpus} thread(s), {time.strftime('%Y-%m-%d %H:%M:%S')}")
    _say(settings, {"pid": os.getpid(), "job": job.name})
    _worker.job = job
    try:
        result = attempt(_worker.estimators, job)
    finally:
        _worker.job = None
    shown = f"reward {result.reward}" if result.reward is not None else result.cause
    _log(f"{result.outcome}: {shown}, {result.seconds:.2f} s")
    _write_to(settings.logs / "workers.log")
    return result


def _follow(parent: int) -> None:
    """Makes this process end when its parent does, even if that is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # the parent died before this call


def _watch(worker: _Worker) -> None:
    """Ends the process when its parent is gone, or when the child uses more memory than it may."""
    settings = worker.settings
    limit = None if settings.memory is None else settings.memory * 2**20 // resource.getpagesize()
    while True:
        time.sleep(WATCH_SECONDS)
        if os.getppid() != settings.parent:
            os._exit(1)
        job = worker.job
        if limit is None or job is None:
            continue
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        if pages > limit and worker.job is job:
            mib = pages * resource.getpagesize() // 2**20
            cause = f"{mib:,} MiB of memory, over memory_per_child={settings.memory}"
            _say(settings, {"pid": os.getpid(), "job": job.name, "outcome": Outcome.OOM, "cause": cause})
            os._exit(1)


def _say(settings: WorkerSettings, status: Mapping[str, object]) -> None:
    """Writes the status file. The watch and the child's thread share the name that it is first written to."""
    with _saying, contextlib.suppress(OSError), replaced(settings.status) as beside:
        beside.write_text(json.dumps(status))


def _write_to(log: Path) -> None:
    """Sends all output of this process, that of libraries too, to a file; nowhere if that cannot be opened."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    try:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError:
        file = os.open(os.devnull, os.O_WRONLY)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def _log(line: str) -> None:
    with contextlib.suppress(OSError):  # a full disk is the search's end, and no child's
        print(line, flush=True)
