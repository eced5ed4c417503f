"""Networks and their operations, timed: one picture at a time, on one thread, by TensorFlow or by LiteRT."""

from __future__ import annotations

import multiprocessing
import os
import platform
import re
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nasnet.networks.keras_model import build
from nasnet.networks.latency.calls import Call, Runtime, calls_of
from nasnet.networks.latency.match import AsFast, as_fast
from nasnet.networks.latency.table import LatencyTable, Time, rows_of
from nasnet.networks.readings.keras_reading import Layers
from nasnet.networks.spec import NetworkSpec
from nasnet.runtime.console import stderr_to
from nasnet.runtime.errors import RunError, first_line

_COPIES = 4
"""Of an operation in one timed function, each on numbers of its own: a function's own start is shared by them."""
_WARM, _LEAST_RUNS, _MOST_RUNS = 5, 30, 200
_SECONDS = 0.05
"""About how long something is timed, within those numbers of runs."""
_LOGGED = re.compile(r"[IWE]\d{4} |WARNING: All log messages before |To enable the following instructions: ")
"""How a line begins that TensorFlow writes of what goes on, and not of what ends the process."""


def network_time(spec: NetworkSpec, on: Runtime) -> Time:
    """What the network that `spec` describes takes for one picture, with fresh weights: no other have other times."""
    return _timed(build(spec), on)


def measure_as_fast(first: NetworkSpec, others: Sequence[NetworkSpec], on: Runtime) -> list[AsFast]:
    """Each of the others, as `match.as_fast`, on this machine."""
    return as_fast(first, others, on, _of_one)


def _of_one(spec: NetworkSpec, on: Runtime) -> Time:
    found = network_time(spec, on)
    keras.backend.clear_session()
    return found


def call_seconds(calls: Sequence[Call], spec: NetworkSpec, on: Runtime, start: float) -> list[Time]:
    """What each call takes in a network, beside the `start` of a network that does nothing."""
    found: list[Time] = []
    for call in calls:
        all_of_them = _timed(copies_of(call, spec), on)
        found.append(Time(max(0.0, all_of_them.median - start) / _COPIES, all_of_them.spread / _COPIES))
        keras.backend.clear_session()
    return found


def start_seconds(on: Runtime) -> float:
    """What it takes to call a network that does nothing."""
    image = keras.Input((1, 1, 1), name="image")
    return _timed(keras.Model(image, keras.layers.Identity()(image)), on).median


def measure_table(drawn: Sequence[NetworkSpec], whole: Sequence[NetworkSpec], on: Runtime) -> LatencyTable:
    """This machine's table of the operations that some networks have, held against whole ones.

    Args:
        drawn: networks whose operations are timed; networks of a search have no others, or sizes between theirs.
        whole: networks that are timed as a whole. They are not among `drawn`, or the table knows all of their sizes.
        on: what runs them.
    """
    calls = rows_of(calls_of(spec.architecture, spec.image_shape) for spec in drawn)
    start = start_seconds(on)
    times = call_seconds(calls, drawn[0], on, start)
    rows: dict[str, list[tuple[int, float]]] = {}
    for call, found in zip(calls, times, strict=True):
        rows.setdefault(call.kind, []).append((call.work, found.median))
    spread = float(np.median([found.spread / max(found.median, 1e-9) for found in times]))
    table = LatencyTable(
        on, {kind: tuple(sorted(of)) for kind, of in rows.items()}, start, spread=spread, machine=_machine()
    )
    pairs: list[tuple[float, float]] = []
    for spec in whole:
        pairs.append((table.sum(calls_of(spec.architecture, spec.image_shape)), network_time(spec, on).median))
        keras.backend.clear_session()
    return table.calibrated(pairs)


def alone(function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 - as the function
    """Calls one of the functions above in a process of its own, whose TensorFlow has one thread and no GPU.

    This process has other threads; and what a converter says on the way is for nobody.

    Raises:
        RunError: if the process failed, with its last words.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryFile() as heard:
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_answer, args=(there, function, arguments), daemon=True)
        with stderr_to(heard):  # which the process takes over: TensorFlow writes to it as it is imported
            process.start()
        there.close()
        try:
            failed, answer = here.recv()
        except EOFError:  # it is gone without an answer
            process.join()
            heard.seek(0)
            lines = heard.read().decode(errors="replace").strip().splitlines()
            words = [line for line in lines if line.strip() and not _LOGGED.match(line)]
            failed, answer = True, "; ".join([f"its process ended with {process.exitcode}", *words[-1:]])
        finally:
            process.kill()
            process.join()
    if failed:
        raise RunError(f"latencies cannot be measured ({answer})")
    return answer


def _answer(there: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:  # noqa: ANN401
    """In that process: ends with the one that asked, however that ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.set_visible_devices([], "GPU")
    try:
        there.send((False, function(*arguments)))
    except Exception as error:
        there.send((True, f"{type(error).__name__}: {first_line(error)}"))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _machine() -> dict[str, str]:
    names = [line.partition(":")[2].strip() for line in _cpu_lines() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.machine(),
        "system": platform.platform(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(errors="replace").splitlines() if path.exists() else []


def copies_of(call: Call, spec: NetworkSpec) -> keras.Model:
    """A model of some copies of one call, each with inputs and weights of its own: equal ones would be merged."""
    layers = Layers(spec, drops=None, batch_norm="stock", seed=0, dtype="float32")
    inputs: list[Any] = []
    outputs: list[Any] = []
    for copy in range(_COPIES):
        given = [keras.Input(shape) for shape in call.inputs]
        taken = [given] if call.primitive == "concat" else given
        made = getattr(layers, call.primitive)(*taken, *call.arguments, name=f"copy_{copy}", **dict(call.options))
        if call.batch_norm:
            made = layers.batch_norm(made, name=f"copy_{copy}_bn")
        inputs += given
        outputs.append(made)
    return keras.Model(inputs, outputs)


def _timed(model: keras.Model, on: Runtime) -> Time:
    draw = np.random.default_rng(0)
    shapes = [(1, *one.shape[1:]) for one in model.inputs]
    pictures = [draw.standard_normal(shape).astype(np.float32) for shape in shapes]
    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]

    def call(*given: Any) -> Any:  # noqa: ANN401 - tensors
        taken = list(given)
        return model(taken if len(taken) > 1 else taken[0], training=False)

    function = tf.function(call, autograph=False)
    traced = function.get_concrete_function(*specs)
    if on == "litert":
        return _of_runs(_litert(traced, model, pictures))
    tensors = [tf.constant(picture) for picture in pictures]
    return _of_runs(lambda: traced(*tensors))


def _litert(traced: Any, model: keras.Model, pictures: Sequence[np.ndarray]) -> Callable[[], object]:  # noqa: ANN401
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], model)
    with warnings.catch_warnings():
        # Its successor is a package of its own, ai-edge-litert, with the same kernels: one dependency less.
        warnings.simplefilter("ignore", UserWarning)
        interpreter = tf.lite.Interpreter(model_content=converter.convert(), num_threads=1)
    interpreter.allocate_tensors()
    by_shape: dict[tuple[int, ...], list[np.ndarray]] = {}
    for picture in pictures:
        by_shape.setdefault(picture.shape, []).append(picture)
    for place in interpreter.get_input_details():  # in an order of their own
        interpreter.set_tensor(place["index"], by_shape[tuple(place["shape"])].pop())
    return interpreter.invoke


def _of_runs(run: Callable[[], object]) -> Time:
    """By the processor's time of this process: where others run beside it, it takes the clock several times as long."""
    for _ in range(_WARM):
        run()
    runs = int(np.clip(_SECONDS / max(_processor_seconds(run), 1e-7), _LEAST_RUNS, _MOST_RUNS))
    return Time.of([_processor_seconds(run) for _ in range(runs)])


def _processor_seconds(run: Callable[[], object]) -> float:
    before = time.process_time()
    run()
    return time.process_time() - before
