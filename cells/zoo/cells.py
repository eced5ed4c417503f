"""Published cells as literals. State 0 is the newest input, as in slim."""

from __future__ import annotations

from cells.genotype import Block, Cell, CellGenotype

_ID, _AVG3, _MAX3 = "identity", "3x3 average pooling", "3x3 max pooling"
_SEP3, _SEP5, _SEP7 = (f"{size}x{size} depthwise-separable conv" for size in (3, 5, 7))
_CONV_1X7 = "1x7 then 7x1 convolution"

NASNET_A = CellGenotype(
    # slim nasnet_utils.py. The outputs are slim's: the paper's figure 4 leaves state 1 and state 3 out, and only with
    # them do the published sizes come out (tensorflow/models#5108).
    normal=Cell(
        (
            Block(0, 1, _SEP5, _SEP3),
            Block(1, 1, _SEP5, _SEP3),
            Block(0, 1, _AVG3, _ID),
            Block(1, 1, _AVG3, _AVG3),
            Block(0, 0, _SEP3, _ID),
        ),
        (1, 2, 3, 4, 5, 6),
    ),
    reduction=Cell(
        (
            Block(0, 1, _SEP5, _SEP7),
            Block(0, 1, _MAX3, _SEP7),
            Block(0, 1, _AVG3, _SEP5),
            Block(3, 2, _ID, _AVG3),
            Block(2, 0, _SEP3, _MAX3),
        ),
        (3, 4, 5, 6),
    ),
)

AMOEBANET_A = CellGenotype(
    # tensorflow/tpu model_specs.py; arXiv 1802.01548.
    normal=Cell(
        (
            Block(0, 0, _AVG3, _MAX3),
            Block(1, 1, _SEP3, _ID),
            Block(0, 1, _ID, _AVG3),
            Block(0, 2, _SEP3, _SEP5),
            Block(5, 0, _AVG3, _SEP3),
        ),
        (1, 3, 4, 6),
    ),
    reduction=Cell(
        (
            Block(1, 0, _SEP3, _AVG3),
            Block(0, 2, _MAX3, _SEP7),
            Block(1, 0, _MAX3, _MAX3),
            Block(4, 0, _SEP3, _CONV_1X7),
            Block(1, 0, _AVG3, _SEP7),
        ),
        (2, 3, 4, 5, 6),
    ),
)

ZOO = {"nasnet_a": NASNET_A, "amoebanet_a": AMOEBANET_A}
"""`--model` name -> genotype."""
