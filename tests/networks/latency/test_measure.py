"""Operations and networks timed for real. No test says how long anything takes."""

from __future__ import annotations

import os
import threading

import keras
import numpy as np
import pytest

from bench.drawn import drawn_pictures, drawn_spec
from cells.genotype.chain import ChainGenotype, ConvLayer
from cells.spaces.chain import ChainSpace
from cells.spaces.nasnet import NASNetSpace
from cells.walks.chain import ChainNetwork
from cells.zoo.lenet import LeNet5
from controller.random_search import RandomSearch
from nasnet.networks.keras_model import build
from nasnet.networks.latency import measure
from nasnet.networks.latency.calls import Call, calls_of
from nasnet.networks.latency.measure import (
    alone,
    call_seconds,
    copies_of,
    measure_table,
    network_time,
    start_seconds,
)
from nasnet.networks.latency.table import LatencyTable, Time, rows_of
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
    dilated = Call("depthwise", ((9, 8, 4),), (9, 8, 4), (5,), (("dilation", 2),))
    calls[dilated.kind] = dilated
    for kind, call in calls.items():
        model = copies_of(call, networks[0])
        assert {tuple(one.shape[1:]) for one in model.outputs} == {call.output}, kind
        assert len(model.inputs) == len(call.inputs) * len(model.outputs)
        norms = sum(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)
        assert norms == len(model.outputs) * (call.batch_norm or call.primitive == "batch_norm"), kind
        dilations = {getattr(layer, "dilation_rate", (1, 1)) for layer in model.layers}
        assert max(dilations) == (dict(call.options).get("dilation", 1),) * 2, kind
        keras.backend.clear_session()


def by_layers(model: keras.Model, on: str) -> Time:
    """In place of the clock: 5 ms a call, 1 ms a layer that does something; a whole network takes twice that."""
    assert on == "litert"
    layers = sum(not isinstance(layer, keras.layers.InputLayer | keras.layers.Identity) for layer in model.layers)
    return Time((5e-3 + 1e-3 * layers) * (1 if len(model.outputs) > 1 or not layers else 2), 4e-3)


def test_a_call_s_time_is_a_copy_s_without_the_start(monkeypatch):
    monkeypatch.setattr(measure, "_timed", by_layers)
    spec = spec_of(LeNet5(10), (32, 32, 1))
    calls = calls_of(spec.architecture, spec.image_shape)
    assert measure.start_seconds("litert") == pytest.approx(5e-3)
    for call, found in zip(calls, call_seconds(calls, spec, "litert", 5e-3), strict=True):
        layers = (len(copies_of(call, spec).layers) - 4 * len(call.inputs)) / 4
        assert layers >= 1
        assert (found.median, found.spread) == (pytest.approx(1e-3 * layers), pytest.approx(1e-3)), call


def test_a_table_has_the_work_and_time_of_drawn_calls_and_is_held_against_whole_networks(monkeypatch):
    monkeypatch.setattr(measure, "_timed", by_layers)
    layers = (
        ConvLayer(3, 3, filters=2),
        ConvLayer(3, 3, 2, 2, 4, inputs=(0,)),
        ConvLayer(1, 3, filters=4, inputs=(1,)),
    )
    made = [spec_of(ChainNetwork(ChainGenotype(layers[:depth]), 10)) for depth in (1, 2, 3)]
    specs, whole = made[1:], made[:2]
    table = measure_table(specs, whole, "litert")
    works: dict[str, list[int]] = {}
    for call in rows_of(calls_of(spec.architecture, spec.image_shape) for spec in specs):
        works.setdefault(call.kind, []).append(call.work)
    assert {kind: [work for work, _ in of] for kind, of in table.rows.items()} == {
        kind: sorted(of) for kind, of in works.items()
    }
    for (summed, measured), spec in zip(table.whole, whole, strict=True):
        assert summed == pytest.approx(table.sum(calls_of(spec.architecture, spec.image_shape)))
        assert measured == pytest.approx(by_layers(build(spec), "litert").median)
    assert table.scale == pytest.approx(np.median([measured / summed for summed, measured in table.whole]))
    assert 1.5 < table.scale < 3


def test_what_is_waited_while_others_run_is_not_counted():
    waited = threading.Event()
    found = measure._of_runs(lambda: waited.wait(0.005))
    assert 0 < found.median < 0.0025


@pytest.mark.slow
def test_a_process_that_fails_is_told_in_one_line():
    with pytest.raises(RunError, match=r"latencies cannot be measured \(ZeroDivisionError") as told:
        alone(divmod, 1, 0)
    assert "\n" not in str(told.value)


@pytest.mark.slow
def test_what_tensorflow_logs_is_no_cause_of_an_end():
    """As where the system killed it for its memory, which leaves no word: that it has no GPU was told as the cause."""
    with pytest.raises(RunError) as told:
        alone(os._exit, 3)
    assert str(told.value) == "latencies cannot be measured (its process ended with 3)"


@pytest.mark.parametrize(
    ("line", "logged"),
    [
        ("I0000 00:00:1795807289.112535   13001 cudart_stub.cc:31] Could not find cuda drivers on your machine", True),
        ("E0000 00:00:1795807289.112535   13001 cuda_platform.cc:52] failed call to cuInit: INTERNAL", True),
        ("WARNING: All log messages before absl::InitializeLog() is called are written to STDERR", True),
        ("To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow", True),
        ("F0000 00:00:1795807289.112535   13001 tensor.cc:844] Check failed: dtype() == expected_dtype", False),
        ("ModuleNotFoundError: No module named 'mine'", False),
        ("terminate called after throwing an instance of 'std::bad_alloc'", False),
    ],
)
def test_what_ended_a_process_is_told_from_what_it_logged(line, logged):
    assert bool(measure._LOGGED.match(line)) is logged


@pytest.mark.slow
def test_what_tensorflow_says_as_it_loads_there_is_not_heard_here(capfd):
    assert alone(start_seconds, "tensorflow") > 0
    assert capfd.readouterr().err == ""


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
