"""Children on a Ray cluster: the same worker processes, each behind a Ray actor on whatever machine has room.

An actor holds a `Slot`, so resources, outcomes and logs are those of one machine. What Ray adds is where:
it places actors by CPUs, GPUs and memory, and tells when one is gone. It retries nothing: the journal counts attempts.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import cells
import controller
import nasnet
from controller.strategy import Outcome
from nasnet.estimators.estimator import Estimator, TrainedChild
from nasnet.execution.estimator_server import EstimatorServer
from nasnet.execution.job import Job, Resources, Result
from nasnet.execution.slot import Slot
from nasnet.runtime.devices import alive
from nasnet.runtime.errors import RunError, SettingError, first_line
from nasnet.runtime.files import create_folder

_LOG_BYTES = 2**16
_SCRATCH = "nasnet-actor-"
_FAILED_STARTS = 10
_PROBE_SECONDS = 20.0


def connect(address: str) -> None:
    """Connects this process to a Ray cluster.

    Args:
        address: `auto` for the cluster that this machine is of, `HOST:PORT`, or `ray://HOST:PORT`.

    Raises:
        SettingError: if Ray is not installed or nothing answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise SettingError("cluster", address, "needs Ray: pip install -r requirements-cluster.txt") from error
    try:
        _probe(address)
        ray.init(
            address,
            # The nodes need the requirements; our own packages travel. As paths: ray:// takes no modules.
            runtime_env={"py_modules": [str(Path(*package.__path__)) for package in (cells, controller, nasnet)]},
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    except (OSError, OverflowError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        raise SettingError(
            "cluster",
            address,
            f"no Ray cluster answers there ({first_line(error)}); start one with: ray start --head; if it has a token, "
            "give it: RAY_AUTH_MODE=token RAY_AUTH_TOKEN=...",
        ) from error


def _probe(address: str) -> None:
    """Fails soon where nothing answers: Ray itself would try for minutes."""
    if address == "auto":
        # What Ray remembers of this machine's cluster outlives a cluster that was killed.
        check = [sys.executable, "-m", "ray.scripts.scripts", "health-check"]
        if subprocess.run(check, capture_output=True, timeout=_PROBE_SECONDS, check=False).returncode:
            raise ConnectionError("none runs on this machine")
    else:
        host, _, port = address.removeprefix("ray://").rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), _PROBE_SECONDS).close()


class SlotActor:
    """What runs on a node: a worker process with one child at a time. Made an actor by `RayWorkers`."""

    def __init__(self, estimators: Mapping[str, Estimator[Any]], resources: Resources, gpus: int) -> None:
        self._logs = _scratch_folder()
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "") if gpus else ""
        self._slot = Slot(EstimatorServer(estimators), resources, self._logs, visible)

    def ready(self) -> None:
        """Returns once the actor is there."""

    def run(self, job: Job, begin: TrainedChild | None = None) -> Result:
        """Runs a child to its end; its log comes back with it. `begin` is what lies in `job.begin`, elsewhere."""
        with tempfile.TemporaryDirectory(dir=self._logs) as folder:
            if begin is not None:
                begin.save(Path(folder))
            result = self._slot.run(job if begin is None else dataclasses.replace(job, begin=Path(folder)))
        log = self._logs / f"{job.name}.log"
        text = log.read_bytes()[-_LOG_BYTES:] if log.exists() else b""
        log.unlink(missing_ok=True)
        return dataclasses.replace(result, job=job, log=text)


def _scratch_folder() -> Path:
    """A folder of this process. Actors are killed, not closed: those of processes that are gone are removed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*-*"):
        pid = folder.name.removeprefix(_SCRATCH).partition("-")[0]
        if pid.isdecimal() and not alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_SCRATCH}{os.getpid()}-"))


@dataclasses.dataclass(eq=False)
class _Actor:
    handle: Any
    ready: bool = False
    abandoned: bool = False
    jobs: dict[str, tuple[Job, float]] = dataclasses.field(default_factory=dict)


class RayEngine:
    """`Engine` over actors that have `ready()` and `run(job, begin=None) -> Result`.

    One that dies is replaced by a fresh one, which may have to wait until a machine has room for it.
    """

    def __init__(self, make_actor: Callable[[], Any], actors: int, logs: Path, jobs_per_actor: int = 1) -> None:
        create_folder(logs)
        self._make_actor, self._logs, self._jobs_per_actor = make_actor, logs, jobs_per_actor
        self._events: queue.SimpleQueue[tuple[_Actor, Job | None, Any]] = queue.SimpleQueue()
        self._failed_starts = 0
        self._free = 0
        self._actors = {self._start() for _ in range(actors)}
        self.slots = actors * jobs_per_actor

    @property
    def free(self) -> int:
        """See `Engine.free`."""
        return self._free

    def submit(self, job: Job) -> None:
        """See `Engine.submit`."""
        actor = min((a for a in self._actors if a.ready), key=lambda a: len(a.jobs))
        actor.jobs[job.name] = (job, time.monotonic())
        self._free -= 1
        begin = () if job.begin is None else (TrainedChild.load(job.begin),)
        self._listen(actor, job, actor.handle.run.remote(job, *begin))

    def collect(self, seconds: float) -> list[Result]:
        """See `Engine.collect`. Raises RunError if actors die before they come up, again and again."""
        results: list[Result] = []
        deadline = time.monotonic() + seconds
        while not results:
            try:
                event = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            while event is not None:
                results += self._handle(*event)
                event = None if self._events.empty() else self._events.get()
            if self._free:
                break  # an actor came up, and there may be children waiting
        return results

    def abandon(self) -> None:
        """See `Engine.abandon`."""
        for actor in [actor for actor in self._actors if actor.jobs]:
            actor.abandoned = True
            self._give_up(actor)

    def cancel(self) -> None:
        """See `Engine.cancel`."""
        import ray

        for actor in self._actors:
            ray.kill(actor.handle)
        self._actors.clear()

    def _start(self) -> _Actor:
        actor = _Actor(self._make_actor())
        self._listen(actor, None, actor.handle.ready.remote())
        return actor

    def _listen(self, actor: _Actor, job: Job | None, reference: Any) -> None:  # noqa: ANN401 - Ray's reference
        reference.future().add_done_callback(lambda future: self._events.put((actor, job, future)))

    def _handle(self, actor: _Actor, job: Job | None, future: Any) -> list[Result]:  # noqa: ANN401
        """What an answer of an actor means: that it came up, that a child ended, or that it is gone."""
        from ray.exceptions import RayActorError

        error = future.exception()
        if actor.abandoned:
            return []
        if job is None and error is None:
            actor.ready, self._failed_starts = True, 0
            self._free += self._jobs_per_actor
            return []
        started = actor.jobs.pop(job.name)[1] if job is not None else 0.0
        if actor.ready and job is not None:
            self._free += 1
        results: list[Result] = []
        if job is not None and error is None:
            results.append(self._with_log(future.result()))
        elif job is not None:
            gone = isinstance(error, RayActorError)
            cause = f"{type(error).__name__}: {first_line(error)}"
            outcome = Outcome.LOST if gone else Outcome.CRASHED
            results.append(Result(job, outcome, None, time.monotonic() - started, cause))
        if error is not None:
            self._replace(actor, error)
        return results

    def _with_log(self, result: Result) -> Result:
        if result.log:
            with open(self._logs / f"{result.job.name}.log", "ab") as file:
                file.write(result.log)
        return dataclasses.replace(result, log=None)

    def _replace(self, actor: _Actor, error: BaseException) -> None:
        if actor not in self._actors:
            return
        if not actor.ready:
            self._failed_starts += 1
            if self._failed_starts >= _FAILED_STARTS:
                raise RunError(f"no actor comes up on the Ray cluster ({first_line(error)})") from error
        self._give_up(actor)

    def _give_up(self, actor: _Actor) -> None:
        """A fresh actor in the place of this one."""
        import ray

        if actor.ready:
            self._free -= self._jobs_per_actor - len(actor.jobs)
            actor.ready = False
        ray.kill(actor.handle)
        self._actors.remove(actor)
        self._actors.add(self._start())


class RayWorkers(RayEngine):
    """Worker processes on the machines of a Ray cluster, each with one child at a time. After `connect`."""

    def __init__(
        self,
        address: str,
        estimators: Mapping[str, Estimator[Any]],
        resources: Resources,
        logs: Path,
        workers: int | None,
        gpus: int,
    ) -> None:
        """Starts the actors.

        Args:
            address: what to call the cluster in an error.
            estimators, resources: as for `nasnet.execution.workers.Workers`.
            logs: folder that the children's logs come to.
            workers: how many children at a time; None is as many as the cluster has room for now.
            gpus: GPUs of a child.

        Raises:
            SettingError: if there is no room for a single child.
        """
        import ray

        room = ray.cluster_resources()
        fits = int(room.get("CPU", 0) // resources.cpus)
        if gpus:
            fits = min(fits, int(room.get("GPU", 0) // gpus))
        if fits < 1:
            raise SettingError(
                "cluster",
                address,
                f"{room.get('CPU', 0):g} CPUs and {room.get('GPU', 0):g} GPUs are no room for a child of "
                f"cpus_per_child={resources.cpus} and gpus_per_child={gpus}",
            )
        options: dict[str, Any] = {
            "num_cpus": resources.cpus,
            "num_gpus": gpus,
            "max_restarts": 0,
            "max_task_retries": 0,
        }
        if resources.memory is not None:
            options["memory"] = resources.memory * 2**20  # Ray places by it; the worker enforces it
        actor, reference = ray.remote(SlotActor), ray.put(estimators)
        super().__init__(lambda: actor.options(**options).remote(reference, resources, gpus), workers or fits, logs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        self.cancel()
        ray.shutdown()
