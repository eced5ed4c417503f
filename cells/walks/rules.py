"""By whose rules cells become a network: what one publication's code does otherwise than another's.

The cells alone do not say what a network is: its size also comes of how a cell's inputs are fitted to one another,
where the reductions stand, and what is before the first cell and after the last. With these the published sizes come
out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from cells.genotype.cell import Publication


@dataclasses.dataclass(frozen=True)
class Rules:
    """One publication's rules. The defaults are NASNet's.

    Attributes:
        previous: when h[i-1] gets ReLU, a 1x1 convolution and batch norm, its size being the cell's already. "unequal":
            where its channels are not the cell's, but for the first cell, where h[i] stands in for it as it is;
            "unequal, first": in the first cell too; "always": also where they are.
        calibrated: whether h[i] gets these twice where its channels are not the cell's, and not once.
        between: whether reductions stand between the Normal Cells of two stages, or are the first cell of a stage.
        relu: whether a ReLU stands before the global average.
        auxiliary: what the auxiliary head reads: the last cell before the second reduction, that, or the cell after it.
        stem_cells: whether the ImageNet stem has two Reduction Cells, or convolutions alone: three of stride 2, the
            last of which makes h[i] of the first cell, and the one before it h[i-1].
        cifar, imagenet: momentum and epsilon of batch norm by the stem.
    """

    previous: Literal["unequal", "unequal, first", "always"] = "unequal"
    calibrated: bool = False
    between: bool = True
    relu: bool = True
    auxiliary: Literal["before", "reduction", "after"] = "before"
    stem_cells: bool = True
    cifar: tuple[float, float] = (0.9, 1e-5)
    imagenet: tuple[float, float] = (0.9997, 1e-3)


RULES: Mapping[Publication, Rules] = MappingProxyType(
    {
        # tensorflow/models, research/slim/nets/nasnet/nasnet.py and nasnet_utils.py; AmoebaNet's code
        # (tensorflow/tpu, models/official/amoeba_net) has the same.
        "nasnet": Rules(),
        # The same folder's pnasnet.py. One kind of cell, strided where the size is halved. There is no reduction
        # beside the cells whose input could be skipped: `skip_reduction_input` changes nothing.
        "pnasnet": Rules(between=False),
        # melodyguan/enas, src/cifar10/micro_child.py, `_model` and `_fixed_layer`; it is for CIFAR-10 alone.
        # Differs from ENAS: its last layer has no bias, ours has. With the ImageNet stem, NASNet's.
        "enas": Rules(previous="unequal, first", calibrated=True, auxiliary="after", cifar=(0.9, 1e-3)),
        # quark0/darts, cnn/model.py; PyTorch's momentum of 0.1 is 0.9 here. Differs from DARTS: what is strided is
        # padded as TensorFlow's SAME does, so that where a size is even the windows lie a pixel further on.
        "darts": Rules(previous="always", relu=False, auxiliary="reduction", stem_cells=False, imagenet=(0.9, 1e-5)),
    }
)
"""`CellGenotype.rules` -> what they are."""
