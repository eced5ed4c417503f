"""What a user can set, as small frozen values. No TensorFlow here: `--help` must answer at once.

Each field is a flag of `train.py` of the same name. Its `metadata["help"]` tells what it is, its unit and its source.
"""

from __future__ import annotations
