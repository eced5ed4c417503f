"""A slot whose pool does as it is told: no process is started."""

from __future__ import annotations

import json
from concurrent.futures import Future

from cells.zoo.cells import NASNET_A
from controller.strategy import Outcome
from nasnet.execution import slot as slots
from nasnet.execution.estimator_server import EstimatorServer
from nasnet.execution.job import Job, Resources, Result


def test_only_starts_that_fail_one_after_the_other_are_counted(monkeypatch, tmp_path):
    endings = ["fails", "fails", "ok", "fails", "killed", "fails"]

    class Pool:
        active = True

        def __init__(self, *_):
            pass

        def schedule(self, function, arguments, timeout):
            future: Future[Result] = Future()
            ending = endings.pop(0)
            if ending == "ok":
                future.set_result(Result(arguments[0], Outcome.OK, 0.5, 1.0))
                return future
            if ending == "fails":
                (tmp_path / ".worker_0.json").write_text(json.dumps({"pid": 0, "failed": "ImportError: boom"}))
            future.set_exception(RuntimeError("broken"))
            return future

        def stop(self):
            pass

        join = stop

    monkeypatch.setattr(slots, "ProcessPool", Pool)
    estimators = EstimatorServer({})
    try:
        slot = slots.Slot(estimators, Resources(), tmp_path)
        seen, causes = [], []
        for number in range(6):
            ended = slot.run(Job(f"trial_{number}", NASNET_A))
            seen.append((str(ended.outcome), slot.failed_starts))
            causes.append(ended.cause)
        assert seen == [("lost", 1), ("lost", 2), ("ok", 0), ("lost", 1), ("lost", 1), ("lost", 2)]
        assert causes[-1] == "its worker process could not start (ImportError: boom)"
    finally:
        estimators.close()
