"""How long all of a search may still take, against searches of drawn children on a drawn machine, simulated."""

from __future__ import annotations

import heapq

import numpy as np
import pytest

from cells.count import count
from cells.spaces.nasnet import NASNetSpace
from cells.walks.stack import CellNetwork
from controller.random_search import RandomSearch
from controller.strategy import Outcome, Proposal, Trial
from nasnet.data.dataset import open_dataset
from nasnet.estimators.estimator import Timing
from nasnet.execution.config import ExecutionConfig
from nasnet.networks.config import NetworkConfig
from nasnet.runtime import devices
from nasnet.training.config import TrainingConfig
from nasnet.trials.config import BaselineConfig, FinalConfig, SearchConfig
from nasnet.trials.forecast import Forecast
from nasnet.trials.plan import Plan, plan_of


def simulated(seed: int) -> tuple[list[tuple[float, float | None]], float]:
    """When each trial ended, and what was forecast then; when everything had ended."""
    rng = np.random.default_rng(seed)
    slots, trials = int(rng.integers(1, 9)), int(rng.integers(60, 300))
    start, mean, busy = rng.uniform(3, 20), rng.uniform(1, 60), rng.uniform(0.8, 1.0)
    plan = Plan(trials, slots, 3, 2, 0, longer=2.0, winner=lambda _: 8.0, fixed=23.0, start=6.5)
    now = 0.0
    forecast = Forecast(plan, lambda: now)
    seconds = mean * rng.lognormal(-0.08, 0.4, trials)
    running = [(start + seconds[i], start, i) for i in range(slots)]
    heapq.heapify(running)
    told: list[tuple[float, float | None]] = []
    for done in range(1, trials + 1):
        now, _, number = heapq.heappop(running)
        reward = rng.uniform()
        forecast.timing += Timing(steps=0.8 * seconds[number], tracing=0.2 * seconds[number])
        forecast.trial(Trial(Proposal(number, (0,), (0.0,)), Outcome.OK, reward, seconds[number]))
        if (following := done + slots - 1) < trials:
            begins = now + seconds[number] * (1 - busy)
            heapq.heappush(running, (begins + seconds[following], begins, following))
        told.append((now, forecast.left(trials - done, tuple(max(0.0, now - begun) for _, begun, _ in running))))
    best = mean * rng.uniform(0.8, 1.3)
    rest = -(-6 // slots) * best * 1.8 + 23.0 * start / 6.5 + 8.0 * 0.8 * best
    return told, now + rest


@pytest.mark.parametrize("seed", range(40))
def test_from_a_tenth_of_the_way_on_the_end_is_within_a_factor_of_one_and_a_half(seed):
    told, end = simulated(seed)
    late = [(now, left) for now, left in told if now > end / 10]
    assert len(late) > 30
    for now, left in late:
        assert left is not None
        assert 1 / 1.5 < (now + left) / end < 1.5


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (3, 3), (64, 4)])
def test_a_winner_costs_what_its_network_its_steps_and_its_threads_make_of_its_trial(monkeypatch, cores, threads):
    monkeypatch.setattr(devices, "cores", lambda: cores)
    space, data = NASNetSpace(1), open_dataset("digits")
    training, child = TrainingConfig(steps=25, batch_size=64), NetworkConfig(1, 8)
    final = FinalConfig(final_repeats=2, final_filters=16, final_epochs=10)
    execution = ExecutionConfig(workers=2, cpus_per_child=2)
    plan = plan_of(SearchConfig(), final, child, training, data, space, 2, execution)
    assert (plan.finalist_steps, plan.longer, plan.held_against) == (100, 4, 0)
    held = BaselineConfig("resnet20,random", baseline_steps=50, baseline_seeds=2)
    plan = plan_of(SearchConfig(), final, child, training, data, space, 2, execution, held)
    assert (plan.held_against, plan.held_longer) == (6, 2)
    proposal = RandomSearch(space.decisions, 0).propose(0)
    cell = space.decode(proposal.tokens)
    of_winner, of_child = (
        count(CellNetwork(cell, repeats, filters, 10), (8, 8, 1)).mult_adds for repeats, filters in ((2, 16), (1, 8))
    )
    expected = 150 / 25 * (of_winner / of_child / (threads / 2)) ** 0.75  # 15 batches of 64 in 1,000 pictures
    assert plan.winner(Trial(proposal, Outcome.OK, 0.5, 1.0)) == pytest.approx(expected)


def test_it_says_nothing_before_it_knows_anything():
    forecast = Forecast(Plan(10, 2))
    assert forecast.left(10) is None
    forecast.trial(Trial(Proposal(0, (0,), (0.0,)), Outcome.OK, 0.5, 1.0))
    assert forecast.left(9) is None


def test_what_was_not_trained_is_in_no_mean():
    """Twins and children over a limit have no seconds."""
    forecast = Forecast(Plan(20, 1), clock=lambda: 0.0)
    for number in range(4):
        forecast.trial(Trial(Proposal(number, (0,), (0.0,)), Outcome.OK, 0.5, 2.0), live=False)
        forecast.trial(Trial(Proposal(10 + number, (0,), (0.0,)), Outcome.OK, 0.5, 0.0, "the same network as trial 0"))
    assert forecast.left(12) == pytest.approx(12 * 2.0 / 0.95)


def test_the_networks_that_the_winner_is_held_against_are_in_the_time_left():
    """Of ten times a child's steps, half of whose second they are; then as long as one took."""
    forecast = Forecast(Plan(3, 2, held_against=6, held_longer=10.0), clock=lambda: 0.0)
    forecast.timing = Timing(steps=1.0, other=1.0)
    for number in range(3):
        forecast.trial(Trial(Proposal(number, (0,), (0.0,)), Outcome.OK, 0.5, 2.0), live=False)
    assert forecast.left(0) == pytest.approx(3 * (1.0 + 10 * 1.0))
    forecast.held_against(4.0)
    assert forecast.left(0, held_against=5) == pytest.approx(3 * 4.0)
    assert forecast.left(0, held_against=0) == 0
