"""Importing nasnet first turns oneDNN on before TensorFlow is imported, as in every process of ours."""

import nasnet  # noqa: F401
