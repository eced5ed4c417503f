# Pyright's own stubs describe an old TensorFlow; TensorFlow itself ships no types. Here everything in it is Any.
from typing import Any

def __getattr__(name: str) -> Any: ...
