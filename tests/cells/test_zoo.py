"""The published cells once more, in the notation of the tables that they were read from."""

from __future__ import annotations

import re

import pytest

from cells.zoo.cells import AMOEBANET_A, NASNET_A, ZOO

OPERATIONS = {
    "id": "identity",
    "avg3": "3x3 average pooling",
    "max3": "3x3 max pooling",
    "sep3": "3x3 depthwise-separable conv",
    "sep5": "5x5 depthwise-separable conv",
    "sep7": "7x7 depthwise-separable conv",
    "1x7_7x1": "1x7 then 7x1 convolution",
}


# slim's nasnet_utils.py; tensorflow/tpu's amoeba_net/model_specs.py. State 0 is the newest input.
@pytest.mark.parametrize(
    ("cell", "blocks", "outputs"),
    [
        (
            NASNET_A.normal,
            "sep5(0)+sep3(1) sep5(1)+sep3(1) avg3(0)+id(1) avg3(1)+avg3(1) sep3(0)+id(0)",
            (1, 2, 3, 4, 5, 6),
        ),
        (
            NASNET_A.reduction,
            "sep5(0)+sep7(1) max3(0)+sep7(1) avg3(0)+sep5(1) id(3)+avg3(2) sep3(2)+max3(0)",
            (3, 4, 5, 6),
        ),
        (
            AMOEBANET_A.normal,
            "avg3(0)+max3(0) sep3(1)+id(1) id(0)+avg3(1) sep3(0)+sep5(2) avg3(5)+sep3(0)",
            (1, 3, 4, 6),
        ),
        (
            AMOEBANET_A.reduction,
            "sep3(1)+avg3(0) max3(0)+sep7(2) max3(1)+max3(0) sep3(4)+1x7_7x1(0) avg3(1)+sep7(0)",
            (2, 3, 4, 5, 6),
        ),
    ],
)
def test_published_cells_are_as_published(cell, blocks, outputs):
    found = [
        tuple((OPERATIONS[op], int(state)) for op, state in re.findall(r"(\w+)\((\d)\)", block))
        for block in blocks.split()
    ]
    assert [((b.left_op, b.left), (b.right_op, b.right)) for b in cell.blocks] == found
    assert {block.combine for block in cell.blocks} == {"add"}
    assert cell.outputs == outputs


def test_names():
    assert ZOO == {"nasnet_a": NASNET_A, "amoebanet_a": AMOEBANET_A}
