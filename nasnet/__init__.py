"""The system: data, networks, training, search, export. As a library: `from nasnet import search, network, load`."""

import importlib
import os
from typing import Any

# All must stand before TensorFlow is imported. oneDNN halves a training step on CPUs where TensorFlow leaves it off.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Where machines train together, TensorFlow would fill the screen when one of them is gone; we say it in one line.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3" if "TF_CONFIG" in os.environ else "2")

_LIBRARY = {"search": "search", "Search": "search", "network": "models", "load": "models"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - __init__.pyi says what each is
    """The names of the library, each imported when it is asked for: to import the package loads no TensorFlow."""
    if name not in _LIBRARY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"nasnet.modes.library.{_LIBRARY[name]}"), name)
