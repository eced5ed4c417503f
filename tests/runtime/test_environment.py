"""Other projects' settings of Keras and TensorFlow: what is left of them in a fresh process of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nasnet.runtime.environment import import_keras

ROOT = Path(__file__).parents[2]
SHOW = """
import os, sys
from nasnet.runtime.environment import import_keras, set_variables
from nasnet.runtime.errors import UserError
print(set_variables())
try:
    import_keras()
except UserError as error:
    print(error)
    sys.exit(2)
import keras
config = keras.config
print(config.backend(), config.floatx(), config.dtype_policy().name, config.epsilon(), config.image_data_format())
print(config.max_epochs(), config.max_steps_per_epoch(), config.is_nnx_enabled())
"""


def show(keras_json, tmp_path, code=SHOW, **variables):
    (tmp_path / "keras.json").write_text(keras_json)
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), **variables}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_another_project_s_settings_do_not_reach_us(tmp_path):
    theirs = {"backend": "torch", "floatx": "float16", "epsilon": 0.1, "image_data_format": "channels_first"}
    done = show(
        json.dumps({**theirs, "nnx_enabled": True}),
        tmp_path,
        KERAS_BACKEND="jax",
        KERAS_NNX_ENABLED="1",
        KERAS_MAX_EPOCHS="many",
        KERAS_MAX_STEPS_PER_EPOCH="1",
        TF_USE_LEGACY_KERAS="1",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "['note: KERAS_BACKEND=jax is set aside: this system runs on TensorFlow']",
        "tensorflow float32 float32 1e-07 channels_last",
        "None None False",
    ]


def test_a_policy_that_a_program_set_before_is_undone():
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        import_keras()
        assert keras.config.dtype_policy().name == "float32"
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("keras_json", ['{"floatx": "bfloat16"}', "[1]", '{"epsilon": 1}'])
def test_what_keras_itself_does_not_read_is_one_line_that_names_the_file(tmp_path, keras_json):
    done = show(keras_json, tmp_path, KERAS_BACKEND="tensorflow")
    assert done.returncode == 2, done.stderr
    [none, line] = done.stdout.splitlines()
    assert none == "[]"
    assert line.startswith("Keras does not load (")
    assert line.endswith(f"its settings, if any, are in {tmp_path / 'keras.json'}")


def test_a_user_s_own_warnings_stay(tmp_path):
    code = """
import os
from nasnet.runtime.environment import set_variables
for _ in range(2):
    set_variables()
print(os.environ["PYTHONWARNINGS"])
"""
    assert show("{}", tmp_path, code, PYTHONWARNINGS="").stdout == "ignore:resource_tracker\n"
    theirs = "error::UserWarning"
    assert show("{}", tmp_path, code, PYTHONWARNINGS=theirs).stdout == f"{theirs},ignore:resource_tracker\n"


def test_no_folder_for_temporary_files_is_one_line(tmp_path):
    """As where all of a machine's are full: none of them takes a byte."""
    code = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
from nasnet.runtime.environment import check_temporary_folder
from nasnet.runtime.errors import UserError
try:
    check_temporary_folder()
except UserError as error:
    print(error, file=sys.stderr)
"""
    done = show("{}", tmp_path, code, TMPDIR="/no/such/folder")
    assert done.stderr.startswith("no folder for temporary files (No usable temporary directory found in [")
    assert "/no/such/folder" in done.stderr
    assert done.stderr.endswith("name one by TMPDIR\n")
    assert len(done.stderr.splitlines()) == 1
