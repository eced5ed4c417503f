"""Hands the estimators to workers over a socket. No TensorFlow."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import uuid
from collections.abc import Mapping
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener, answer_challenge, deliver_challenge
from typing import Any

from nasnet.estimators.estimator import Estimator


class EstimatorServer:
    """Hands the estimators, data and all, to each worker that asks for them, over a Unix socket.

    Not as arguments of its process: Python's spawn writes those into a pipe of which it holds both ends, so that a
    worker killed before it has read more than fits in there (64 KiB) would stop the search for good.
    """

    def __init__(self, estimators: Mapping[str, Estimator[Any]]) -> None:
        self._estimators = estimators
        self.key = os.urandom(32)
        # Linux needs no file for it, whose path could be too long.
        name = f"\0nasnet-{uuid.uuid4().hex}" if sys.platform == "linux" else None
        self._listener = Listener(name, "AF_UNIX", backlog=64)
        self.address = name or str(self._listener.address)
        self._closed = False
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Hands out no more."""
        self._closed = True
        self._listener.close()

    def _serve(self) -> None:
        while not self._closed:
            with contextlib.suppress(OSError):
                # In a thread of its own already for the key: a caller that says nothing keeps no worker waiting.
                threading.Thread(target=self._hand, args=(self._listener.accept(),), daemon=True).start()

    def _hand(self, worker: Connection) -> None:
        # A worker that is killed while it asks, or a caller without the key, must not end the server.
        with worker, contextlib.suppress(OSError, EOFError, AuthenticationError):
            deliver_challenge(worker, self.key)
            answer_challenge(worker, self.key)
            worker.send(self._estimators)
