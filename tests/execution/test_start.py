"""Which GPUs each worker process gets."""

from __future__ import annotations

import pytest

from nasnet.execution.config import ExecutionConfig
from nasnet.execution.start import _gpus_of_workers


@pytest.mark.parametrize(
    ("visible", "workers", "each", "shared"),
    [
        ("4,5,6,7", 2, 2, ["4,5", "6,7"]),
        ("4,5,6,7", 3, 1, ["4", "5", "6"]),
        ("GPU-a,GPU-b", 2, 0, ["", ""]),  # hidden: their children run on the CPU
        ("-1", 2, 0, None),
    ],
)
def test_no_two_workers_share_a_gpu(monkeypatch, visible, workers, each, shared):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert _gpus_of_workers(ExecutionConfig(workers=workers, gpus_per_child=each)) == shared
