"""Published cells as literals. State 0 is the newest input, as in slim.

Their outputs are stored, for most publications also concatenate states that a block reads, and each says by whose rules
(`walks/rules.py`) it becomes a network: with these the published sizes come out.
"""

from __future__ import annotations

from cells.genotype.cell import Block, Cell, CellGenotype

_ID, _AVG3, _MAX2, _MAX3 = "identity", "3x3 average pooling", "2x2 max pooling", "3x3 max pooling"
_SEP3, _SEP5, _SEP7 = (f"{size}x{size} depthwise-separable conv" for size in (3, 5, 7))
_CONV_1X1, _CONV_3X3, _CONV_1X7 = "1x1 convolution", "3x3 convolution", "1x7 then 7x1 convolution"
_SKIP, _DIL3, _FACTORIZED_ID = "skip connection", "3x3 dilated separable conv", "factorized identity"


def _older_first(*blocks: tuple[int, int, str, str]) -> tuple[Block, ...]:
    """Blocks of ENAS and DARTS, where state 0 is the older input and state 1 the newest."""
    number = {0: 1, 1: 0}
    return tuple(Block(number.get(left, left), number.get(right, right), *ops) for left, right, *ops in blocks)


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

AMOEBANET_B = CellGenotype(
    # tensorflow/tpu model_specs.py, "amoeba_net_b". Its reduction names a dilated 5x5 separable convolution; that code
    # (network_utils.py, `_apply_operation`) takes it for a plain one, as here.
    normal=Cell(
        (
            Block(1, 1, _CONV_1X1, _MAX3),
            Block(1, 0, _ID, _SEP3),
            Block(1, 0, _CONV_1X1, _SEP3),
            Block(2, 2, _CONV_1X1, _ID),
            Block(1, 5, _AVG3, _CONV_1X1),
        ),
        (0, 3, 4, 6),
    ),
    reduction=Cell(
        (
            Block(0, 0, _MAX2, _MAX3),
            Block(2, 1, _ID, _CONV_3X3),
            Block(2, 2, _SEP5, _MAX3),
            Block(3, 1, _ID, _SEP3),
            Block(4, 3, _AVG3, _CONV_1X1),
        ),
        (5, 6),
    ),
)

AMOEBANET_C = CellGenotype(
    # tensorflow/tpu model_specs.py, "amoeba_net_c". State 0 of the reduction is halved on its way out.
    normal=Cell(
        (
            Block(0, 0, _AVG3, _SEP3),
            Block(0, 0, _ID, _SEP3),
            Block(2, 1, _AVG3, _SEP3),
            Block(0, 1, _ID, _SEP3),
            Block(3, 0, _AVG3, _SEP3),
        ),
        (1, 2, 4, 5, 6),
    ),
    reduction=Cell(
        (
            Block(0, 0, _MAX3, _MAX3),
            Block(2, 0, _SEP7, _SEP3),
            Block(0, 1, _SEP7, _MAX3),
            Block(4, 4, _SEP5, _SEP5),
            Block(1, 1, _MAX3, _SEP3),
        ),
        (0, 2, 3, 4, 5, 6),
    ),
)

AMOEBANET_D = CellGenotype(
    # tensorflow/tpu model_specs.py, "amoeba_net_d".
    normal=Cell(
        (
            Block(1, 1, _CONV_1X1, _MAX3),
            Block(1, 0, _ID, _CONV_1X7),
            Block(0, 0, _CONV_1X1, _CONV_1X7),
            Block(2, 2, _MAX3, _ID),
            Block(1, 5, _AVG3, _CONV_1X1),
        ),
        (0, 3, 4, 6),
    ),
    reduction=Cell(
        (
            Block(0, 0, _MAX2, _MAX3),
            Block(2, 1, _ID, _CONV_3X3),
            Block(2, 2, _CONV_1X7, _MAX3),
            Block(3, 1, _ID, _MAX2),
            Block(2, 3, _AVG3, _CONV_1X1),
        ),
        (4, 5, 6),
    ),
)

_PNASNET_5 = Cell(
    # slim pnasnet.py; arXiv 1712.00559.
    (
        Block(1, 1, _SEP5, _MAX3),
        Block(0, 0, _SEP7, _MAX3),
        Block(0, 0, _SEP5, _SEP3),
        Block(4, 0, _SEP3, _MAX3),
        Block(1, 0, _SEP3, _ID),
    ),
    (2, 3, 4, 5, 6),
)
PNASNET_5 = CellGenotype(_PNASNET_5, _PNASNET_5, "pnasnet")
"""One cell for both: strided where the size is halved."""

ENAS = CellGenotype(
    # melodyguan/enas, scripts/cifar10_micro_final.sh; arXiv 1802.03268. Outputs are the states that no block reads.
    normal=Cell(
        _older_first(
            (0, 0, _AVG3, _SEP3),
            (0, 0, _FACTORIZED_ID, _SEP5),
            (0, 1, _FACTORIZED_ID, _SEP5),
            (1, 0, _SEP3, _SEP5),
            (0, 1, _AVG3, _SEP5),
        ),
        (2, 3, 4, 5, 6),
    ),
    reduction=Cell(
        _older_first(
            (1, 1, _SEP3, _SEP3),
            (0, 0, _MAX3, _AVG3),
            (1, 3, _SEP5, _SEP5),
            (1, 0, _SEP3, _FACTORIZED_ID),
            (0, 1, _MAX3, _SEP5),
        ),
        (2, 4, 5, 6),
    ),
    rules="enas",
)

DARTS_V1 = CellGenotype(
    # quark0/darts, cnn/genotypes.py; arXiv 1806.09055: the first-order approximation.
    normal=Cell(
        _older_first((1, 0, _SEP3, _SEP3), (0, 1, _SKIP, _SEP3), (0, 1, _SKIP, _SEP3), (0, 2, _SEP3, _SKIP)),
        (2, 3, 4, 5),
    ),
    reduction=Cell(
        _older_first((0, 1, _MAX3, _MAX3), (2, 0, _SKIP, _MAX3), (0, 2, _MAX3, _SKIP), (2, 0, _SKIP, _AVG3)),
        (2, 3, 4, 5),
    ),
    rules="darts",
)

DARTS_V2 = CellGenotype(
    # The same, of the second order.
    normal=Cell(
        _older_first((0, 1, _SEP3, _SEP3), (0, 1, _SEP3, _SEP3), (1, 0, _SEP3, _SKIP), (0, 2, _SKIP, _DIL3)),
        (2, 3, 4, 5),
    ),
    reduction=Cell(
        _older_first((0, 1, _MAX3, _MAX3), (2, 1, _SKIP, _MAX3), (0, 2, _MAX3, _SKIP), (2, 1, _SKIP, _MAX3)),
        (2, 3, 4, 5),
    ),
    rules="darts",
)

ZOO: dict[str, CellGenotype] = {
    "nasnet_a": NASNET_A,
    "amoebanet_a": AMOEBANET_A,
    "amoebanet_b": AMOEBANET_B,
    "amoebanet_c": AMOEBANET_C,
    "amoebanet_d": AMOEBANET_D,
    "pnasnet_5": PNASNET_5,
    "enas": ENAS,
    "darts_v1": DARTS_V1,
    "darts_v2": DARTS_V2,
}
"""`--model` name -> genotype."""

UNPUBLISHED: dict[str, str] = dict.fromkeys(
    ("nasnet_b", "nasnet_c"), "its wiring was published as a drawing alone, and we do not guess"
)
"""Names that are not in the zoo -> why."""
