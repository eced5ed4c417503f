"""How much memory a search takes, and how many workers that is enough for."""

from __future__ import annotations

import pytest

from bench.drawn import drawn_pictures
from nasnet.execution.config import ExecutionConfig
from nasnet.execution.memory import MIB, MemoryNeed
from nasnet.reports import search
from nasnet.runtime import devices

GB = 10**9


@pytest.mark.parametrize(
    ("free", "wanted", "workers"),
    [(10 * GB, 4, 4), (4_100_000_000, 4, 4), (4_099_999_999, 4, 3), (2 * GB, 4, 1), (0, 4, 1), (10 * GB, 1, 1)],
)
def test_as_many_workers_start_as_fit_and_one_in_any_case(free, wanted, workers):
    assert MemoryNeed(driver=700 * 10**6, worker=850 * 10**6).fitting(wanted, free) == workers


@pytest.mark.parametrize(("already", "workers"), [(0, 2), (300 * 10**6, 3), (10 * GB, 3)])
def test_what_the_process_holds_already_is_not_looked_for_once_more(already, workers):
    need = MemoryNeed(driver=700 * 10**6, worker=850 * 10**6)
    assert need.fitting(8, 2_999_999_999, already) == workers


def test_pictures_count_in_every_process_and_a_limit_bounds_a_worker():
    data = drawn_pictures(8, train=32)
    pictures = data.train.images.nbytes + data.valid.images.nbytes
    need, larger = MemoryNeed.of(data, 0), MemoryNeed.of(data, 1000)
    assert larger.worker - need.worker == 1500
    assert need.driver - 700 * MIB == 2 * pictures
    assert need.worker - 820 * MIB == pictures
    assert MemoryNeed.of(data, 0, limit=100).worker == 100 * MIB
    assert need.total(3) == need.driver + 3 * need.worker


def test_fewer_workers_are_said_in_one_line(monkeypatch, capsys):
    need = MemoryNeed(driver=700 * 10**6, worker=850 * 10**6)
    monkeypatch.setattr(devices, "memory_available", lambda: 25 * 10**8)
    assert search.fit_memory(ExecutionConfig(workers=8), need).workers == 2
    line = capsys.readouterr().out
    assert line.startswith("memory: 2 of 8 workers are started; ")
    assert line.count("\n") == 1
    assert search.fit_memory(ExecutionConfig(workers=2), need).workers == 2
    assert capsys.readouterr().out.startswith("memory: about 2.4 GB, 0.7 for this process, 0.85 for each of 2 workers")
    assert search.fit_memory(ExecutionConfig(workers=1), need).workers == 1
    assert "0.7 for this process, 0.85 for its worker" in capsys.readouterr().out
