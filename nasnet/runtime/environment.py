"""TensorFlow and Keras as this system needs them, whatever other projects have set. Loads neither when it is imported.

Keras reads `keras.json` and the environment once, when it is imported. A backend, an order of channels or a type of
numbers that was set there for another project would stop this one in its middle, or change its numbers.
"""

from __future__ import annotations

import os
import tempfile

from nasnet.runtime.errors import UserError, first_line
from nasnet.runtime.files import expanded

_NEEDED = {"KERAS_BACKEND": "tensorflow", "KERAS_NNX_ENABLED": "false"}
# Another Keras in tf.keras' place; and what cuts short whatever Keras loops over, for debugging.
_NOT_WANTED = ("TF_USE_LEGACY_KERAS", "KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")
# Python's process that removes what a killed process left says so, after `kill -9`; there is nothing to do about it.
_NO_NEWS = "ignore:resource_tracker"


def set_variables() -> list[str]:
    """Sets the environment of this process and those that it starts. To be called before TensorFlow is imported.

    Returns:
        What was set aside, a line each.
    """
    asked = os.environ.get("KERAS_BACKEND")
    set_aside = []
    if asked not in (None, "", "tensorflow"):
        set_aside.append(f"note: KERAS_BACKEND={asked} is set aside: this system runs on TensorFlow")
    os.environ.update(_NEEDED)
    for name in _NOT_WANTED:
        os.environ.pop(name, None)
    warnings = os.environ.get("PYTHONWARNINGS", "")
    if _NO_NEWS not in warnings:
        os.environ["PYTHONWARNINGS"] = f"{warnings},{_NO_NEWS}".lstrip(",")
    return set_aside


def import_keras() -> None:
    """Imports TensorFlow and Keras, and undoes what a `keras.json` says of numbers and of the order of channels.

    Raises:
        UserError: if Keras does not load, as where `keras.json` holds what it does not know, or has been loaded on
            another backend.
    """
    set_variables()
    try:
        import keras
    except (AttributeError, ImportError, OSError, TypeError, ValueError) as error:
        settings = expanded(os.environ.get("KERAS_HOME", "~/.keras")) / "keras.json"
        raise UserError(
            f"Keras does not load ({first_line(error)}); its settings, if any, are in {settings}"
        ) from error
    if keras.config.backend() != "tensorflow":
        raise UserError(
            f"Keras has been imported on {keras.config.backend()}; set KERAS_BACKEND=tensorflow before that"
        )
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")


def check_temporary_folder() -> None:
    """Raises UserError where no temporary file can be written: an export's check would find out after all the work."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise UserError(f"no folder for temporary files ({error.strerror}); name one by TMPDIR") from error
