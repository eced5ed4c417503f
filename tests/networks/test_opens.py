"""`model.keras` where people take it: under Keras' other backends, and in ONNX. A backend is chosen once a process."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from bench.drawn import all_operations, cheap_genotype
from cells.count import count
from cells.walks.stack import CellNetwork
from cells.zoo.alexnet import AlexNetOf2012
from cells.zoo.lenet import LeNet5Of1998
from nasnet.networks.export.archive import check_archive
from nasnet.networks.keras_model import build, named_weights
from nasnet.networks.spec import NetworkSpec
from tests.support.slow import some_now
from tests.support.written import Written, channelwise, pooled, strided

OPEN = """
import sys, keras, numpy as np
for path in sys.argv[1:]:
    pictures = np.load(path + ".npz")["pictures"]
    logits = keras.models.load_model(path).predict(pictures, verbose=0)
    np.savez(f"{path}.{keras.backend.backend()}3.npz", logits=logits)
"""
ONNX = """
import sys, keras, numpy as np, onnxruntime
for path in sys.argv[1:]:
    model = keras.models.load_model(path)
    pictures = np.load(path + ".npz")["pictures"]
    model(pictures)  # Keras exports only what has been called
    model.export(path + ".onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(path + ".onnx", providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    for number in (1, 3):
        (logits,) = session.run(None, {image.name: pictures[:number]})
        np.savez(f"{path}.onnx{number}.npz", logits=logits)
"""
NETWORKS = {
    "cheap": ((8, 9, 3), "same", CellNetwork(cheap_genotype(), 1, 8, classes=4)),
    # All 13 operations at both strides.
    "grey": ((13, 10, 1), "same", CellNetwork(all_operations(), 1, 8, classes=4)),
    "colour": ((31, 36, 3), "zero", CellNetwork(all_operations(), 1, 8, classes=4, stem="imagenet")),
    # What cells do without.
    "strided": ((9, 8, 1), "same", Written(strided, classes=4)),
    "channelwise": ((8, 9, 2), "same", Written(channelwise, classes=4)),
    "pooled": ((7, 9, 1), "same", Written(pooled, classes=4)),
    "lenet5_1998": ((16, 17, 1), "same", LeNet5Of1998(classes=4)),
    "alexnet_2012": ((69, 67, 3), "same", AlexNetOf2012(classes=4, width=0.05)),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Where a network is saved, with pictures and the logits that it had beside it; each is built when asked for."""
    folder = tmp_path_factory.mktemp("opens")

    def save(name):
        path = folder / f"{name}.keras"
        if path.exists():
            return str(path)
        shape, border, network = NETWORKS[name]
        mean, std = (100.0, 120.5, 90.0)[: shape[2]], (60.0, 33.3, 80.0)[: shape[2]]
        spec = NetworkSpec(network, tuple("abcd"), shape, mean, std, border=border)
        model = build(spec)
        rng = np.random.default_rng(0)
        for weight, variable in named_weights(model).items():
            if "kernel" not in weight:  # away from where batch norm and the head begin
                variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        pictures = rng.integers(0, 256, (3, *shape)).astype(np.float32)
        np.savez(f"{path}.npz", pictures=pictures, logits=np.asarray(model(pictures, training=False)))
        model.save(path)
        check_archive(path, count(network, shape))  # nothing that it is made of is refused
        return str(path)

    return save


def check(path, code, suffixes, tmp_path, backend):
    command = [sys.executable, "-c", code, path]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(f"{path}.npz") as values:
        expected = values["logits"]
    assert np.std(expected) > 0.1
    for suffix, number in suffixes.items():
        with np.load(f"{path}.{suffix}.npz") as values:
            # Relative to the logits' size, as the check of an export.
            atol = 1e-4 * max(1.0, float(np.abs(expected).max()))
            np.testing.assert_allclose(values["logits"], expected[:number], rtol=0, atol=atol, err_msg=suffix)


CASES = [(backend, name) for backend in ("jax", "torch") for name in NETWORKS]
NOW = [("jax", "cheap"), ("torch", "grey"), ("torch", "pooled")]


# JAX takes most of a minute to load 400 layers.
@pytest.mark.parametrize("case", some_now(CASES, slow=[case for case in CASES if case not in NOW]))
def test_it_opens_under_each_backend_of_keras(saved, case, tmp_path):
    backend, name = case
    if not importlib.util.find_spec(backend):
        pytest.skip(f"{backend} is not installed (requirements-dev.txt has jax, requirements-bench.txt torch)")
    check(saved(name), OPEN, {f"{backend}3": 3}, tmp_path, backend)


@pytest.mark.parametrize("name", some_now(list(NETWORKS), slow=set(NETWORKS) - {"grey"}))
def test_keras_own_export_to_onnx_is_right(saved, name, tmp_path):
    for package in ("tf2onnx", "onnxruntime"):
        if not importlib.util.find_spec(package):
            pytest.skip(f"{package} is not installed (requirements-dev.txt)")
    check(saved(name), ONNX, {"onnx1": 1, "onnx3": 3}, tmp_path, "tensorflow")
