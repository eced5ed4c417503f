"""Ray on this machine's loopback, for the benchmarks that need a cluster: nothing of it listens to the outside.

Ray turns 127.0.0.1 into the machine's own address and listens on all interfaces, unless it believes that it cannot
form clusters (`RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0`); then `ray start --address` refuses to add a node. The nodes come
from Ray's own `ray.cluster_utils`, which does not ask.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
import uuid
from typing import Any, Self

from bench.ports import free_ports

OBJECT_STORE = 10**8
MARK = "NASNET_BENCH"
"""An environment variable whose value tells whose a process is, also once its parent is gone."""


def keep_to_loopback(folder: str) -> None:
    """To be called before Ray is imported. What Ray and its actors write goes to `folder`.

    The token keeps other users of this machine out. Ray would make one by itself, and leave it in the home folder.
    """
    assert "ray" not in sys.modules, "Ray has read its environment already"
    os.environ |= {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_TMPDIR": folder,
        "TMPDIR": folder,
    }


class LocalCluster:
    """Nodes of one core each, as that many raylets of this machine. The first is the head."""

    def __init__(self, nodes: int) -> None:
        self._folder = tempfile.mkdtemp(prefix="nr-")  # short: sockets lie in it, and their paths have a limit
        keep_to_loopback(self._folder)
        self.mark = os.environ[MARK] = uuid.uuid4().hex
        from ray.cluster_utils import Cluster

        [port] = free_ports(1)
        head = {"gcs_server_port": port, "include_dashboard": False, "temp_dir": f"{self._folder}/ray"}
        self._cluster = Cluster()
        self._nodes: list[Any] = []
        try:
            self._add(**head)
            for _ in range(nodes - 1):
                self._add()
        except BaseException:
            self.stop()
            raise
        self.address = f"127.0.0.1:{port}"

    def _add(self, **options: Any) -> None:  # noqa: ANN401 - as Ray takes them
        self._nodes.append(
            self._cluster.add_node(num_cpus=1, node_ip_address="127.0.0.1", object_store_memory=OBJECT_STORE, **options)
        )

    @property
    def raylets(self) -> list[int]:
        """The process of each node under which its actors run; the head's first."""
        return [node.all_processes["raylet"][0].process.pid for node in self._nodes]

    def kill_node(self, raylet: int) -> None:
        """SIGKILL to all processes of a node that is not the head. They are reaped, as an init would."""
        node = self._nodes.pop(self.raylets.index(raylet, 1))
        self._cluster.remove_node(node, allow_graceful=False)

    def add_node(self) -> None:
        """Starts a node in the place of one that was killed."""
        self._add()

    def stop(self) -> None:
        """Ends every process and removes what Ray wrote."""
        self._cluster.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
