from __future__ import annotations

import gzip
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from examples.idx_to_npz import FASHION_MNIST, read_idx
from nasnet.data.dataset import open_dataset

SCRIPT = Path(__file__).parent.parent / "examples" / "idx_to_npz.py"


def write_idx(path: Path, array: np.ndarray) -> None:
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for prefix, count in (("train", 60), ("t10k", 20)):
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", rng.integers(0, 256, (count, 5, 4), dtype=np.uint8))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", np.arange(count, dtype=np.uint8) % 10)
    return folder


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=False)


def refused(message: str, *arguments: object) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@given(arrays.arrays(np.uint8, st.tuples(st.integers(0, 5), st.integers(1, 5), st.integers(1, 5))))
@settings(deadline=None)
def test_idx_round_trip(tmp_path_factory, array):
    path = tmp_path_factory.getbasetemp() / "a.gz"
    write_idx(path, array)
    np.testing.assert_array_equal(read_idx(path, 3), array)


def test_what_is_written_is_a_data_set(folder, tmp_path):
    output = tmp_path / "a.npz"
    done = run(folder, output)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    data = open_dataset(f"npz:{output}", allow_test=True)
    assert data.classes == tuple(FASHION_MNIST.split(","))
    test = read_idx(folder / "t10k-images-idx3-ubyte.gz", 3)
    np.testing.assert_array_equal(data.test().images[..., 0], test)
    np.testing.assert_array_equal(data.test().labels, np.arange(20) % 10)
    assert len(data.train) + len(data.valid) == 60
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "fashion-mnist"]


def test_the_names_of_another_set(folder, tmp_path):
    folder = folder.rename(tmp_path / "mnist")
    assert run(folder, tmp_path / "a.npz").returncode == 0
    assert open_dataset(f"npz:{tmp_path / 'a.npz'}").classes == tuple("0123456789")
    assert run(folder, tmp_path / "a.npz", "--classes=a,b,c,d,e,f,g,h,i,j").returncode == 0
    assert open_dataset(f"npz:{tmp_path / 'a.npz'}").classes == tuple("abcdefghij")
    refused("3 class names for 10 classes: a,b,c", folder, tmp_path / "b.npz", "--classes=a,b,c")


def test_files_that_will_not_do(folder, tmp_path):
    output = tmp_path / "a.npz"
    labels, images = folder / "t10k-labels-idx1-ubyte.gz", folder / "train-images-idx3-ubyte.gz"
    whole = labels.read_bytes()
    write_idx(labels, np.zeros(19, np.uint8))
    refused("20 pictures and 19 labels in t10k", folder, output)
    labels.write_bytes(images.read_bytes())
    refused("t10k-labels-idx1-ubyte.gz is not an idx file of unsigned bytes in 1 dimension(s)", folder, output)
    labels.write_bytes(whole[: len(whole) // 2])
    refused("t10k-labels-idx1-ubyte.gz is not a whole gzip file", folder, output)
    labels.write_bytes(gzip.compress(gzip.decompress(whole)[:-1]))
    refused("t10k-labels-idx1-ubyte.gz should hold 20 values and holds 19", folder, output)
    labels.write_bytes(b"text")
    refused("t10k-labels-idx1-ubyte.gz is not a whole gzip file", folder, output)
    labels.unlink()
    refused("t10k-labels-idx1-ubyte.gz is missing", folder, output)
    refused("train-images-idx3-ubyte.gz is missing", tmp_path / "none", output)
    labels.write_bytes(whole)
    refused("can't be written (No such file or directory)", folder, tmp_path / "none" / "a.npz")
    refused("can't be written (Is a directory)", folder, folder)
    assert not output.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["fashion-mnist"]


def test_usage():
    assert run().returncode == 2
    assert "dataset-fashion-mnist" in run("--help").stdout
