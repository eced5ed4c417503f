"""Operations and networks timed for real. No test says how long anything takes."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bench.drawn import drawn_pictures, drawn_spec
from cells.spaces.chain import ChainSpace
from cells.spaces.nasnet import NASNetSpace
from cells.walks.chain import ChainNetwork
from cells.zoo.lenet import LeNet5
from controller.random_search import RandomSearch
from nasnet.networks.latency.calls import calls_of
from nasnet.networks.latency.measure import alone, copies_of, measure_table, network_time
from nasnet.networks.latency.table import LatencyTable
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.errors import RunError

SPACE = NASNetSpace(1)


def spec_of(architecture, shape=(16, 16, 1)):
    return NetworkSpec(architecture, tuple("0123456789"), shape, (100.0,) * shape[2], (50.0,) * shape[2])


def drawn(number, filters=2):
    cells = SPACE.decode(RandomSearch(SPACE.decisions, 0).propose(number).tokens)
    return drawn_spec(cells, drawn_pictures(8, 8), filters=filters)


def test_a_call_alone_gives_what_it_gave_in_its_network():
    chain = ChainSpace(4, strides=True, start_layers=4)
    tokens = [RandomSearch(chain.decisions, 0, chain.length).propose(number).tokens for number in range(2)]
    networks = [spec_of(ChainNetwork(chain.decode(one), 10)) for one in tokens]
    networks += [spec_of(LeNet5(10), (32, 32, 1)), *(drawn(number) for number in range(3))]
    calls = {call.kind: call for spec in networks for call in calls_of(spec.architecture, spec.image_shape)}
    assert len(calls) > 25
    for kind, call in calls.items():
        model = copies_of(call, networks[0])
        assert {tuple(one.shape[1:]) for one in model.outputs} == {call.output}, kind
        assert len(model.inputs) == len(call.inputs) * len(model.outputs)
        keras.backend.clear_session()


@pytest.mark.slow
def test_a_process_that_fails_is_told_in_one_line():
    with pytest.raises(RunError, match=r"latencies cannot be measured \(ZeroDivisionError") as told:
        alone(divmod, 1, 0)
    assert "\n" not in str(told.value)


@pytest.mark.slow
@pytest.mark.parametrize("on", ["tensorflow", "litert"])
def test_a_table_measured_for_real(on):
    """Small networks and large ones: the table knows which is which, as the clock does."""
    table = alone(measure_table, [drawn(number) for number in range(4)], [drawn(number) for number in (7, 8)], on)
    assert LatencyTable.from_json(table.to_json()) == table
    assert len(table.whole) == len(table.errors) == 2
    assert np.isfinite(table.errors).all()
    assert 0 < table.scale < np.inf
    assert table.machine["tensorflow"]
    network = drawn(9, 8)
    assert 0 < table.seconds(calls_of(network.architecture, network.image_shape)) < 10
    assert 0 < alone(network_time, network, on).median < 10
