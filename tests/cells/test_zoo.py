"""The published cells once more, in the notation of the tables that they were read from, and their published sizes."""

from __future__ import annotations

import dataclasses
import re

import pytest

from cells.count import count
from cells.drawing.cell import draw
from cells.genotype.cell import CellGenotype, loose_ends
from cells.operations import NASNET_OPERATIONS
from cells.spaces.nasnet import NASNetSpace
from cells.walks.stack import CellNetwork, positions
from cells.zoo.cells import UNPUBLISHED, ZOO
from tests.support.numbers import Numbers
from tests.support.numbers import draw as draw_array

OPERATIONS = {
    "id": "identity",
    "avg3": "3x3 average pooling",
    "max2": "2x2 max pooling",
    "max3": "3x3 max pooling",
    "sep3": "3x3 depthwise-separable conv",
    "sep5": "5x5 depthwise-separable conv",
    "sep7": "7x7 depthwise-separable conv",
    "1x1": "1x1 convolution",
    "3x3": "3x3 convolution",
    "1x7_7x1": "1x7 then 7x1 convolution",
    "skip": "skip connection",
    "dil3": "3x3 dilated separable conv",
    "fid": "factorized identity",
}

# slim's nasnet_utils.py and pnasnet.py; tensorflow/tpu's amoeba_net/model_specs.py. State 0 is the newest input.
CELLS = {
    "nasnet_a": (
        ("sep5(0)+sep3(1) sep5(1)+sep3(1) avg3(0)+id(1) avg3(1)+avg3(1) sep3(0)+id(0)", (1, 2, 3, 4, 5, 6)),
        ("sep5(0)+sep7(1) max3(0)+sep7(1) avg3(0)+sep5(1) id(3)+avg3(2) sep3(2)+max3(0)", (3, 4, 5, 6)),
    ),
    "amoebanet_a": (
        ("avg3(0)+max3(0) sep3(1)+id(1) id(0)+avg3(1) sep3(0)+sep5(2) avg3(5)+sep3(0)", (1, 3, 4, 6)),
        ("sep3(1)+avg3(0) max3(0)+sep7(2) max3(1)+max3(0) sep3(4)+1x7_7x1(0) avg3(1)+sep7(0)", (2, 3, 4, 5, 6)),
    ),
    "amoebanet_b": (
        ("1x1(1)+max3(1) id(1)+sep3(0) 1x1(1)+sep3(0) 1x1(2)+id(2) avg3(1)+1x1(5)", (0, 3, 4, 6)),
        ("max2(0)+max3(0) id(2)+3x3(1) sep5(2)+max3(2) id(3)+sep3(1) avg3(4)+1x1(3)", (5, 6)),
    ),
    "amoebanet_c": (
        ("avg3(0)+sep3(0) id(0)+sep3(0) avg3(2)+sep3(1) id(0)+sep3(1) avg3(3)+sep3(0)", (1, 2, 4, 5, 6)),
        ("max3(0)+max3(0) sep7(2)+sep3(0) sep7(0)+max3(1) sep5(4)+sep5(4) max3(1)+sep3(1)", (0, 2, 3, 4, 5, 6)),
    ),
    "amoebanet_d": (
        ("1x1(1)+max3(1) id(1)+1x7_7x1(0) 1x1(0)+1x7_7x1(0) max3(2)+id(2) avg3(1)+1x1(5)", (0, 3, 4, 6)),
        ("max2(0)+max3(0) id(2)+3x3(1) 1x7_7x1(2)+max3(2) id(3)+max2(1) avg3(2)+1x1(3)", (4, 5, 6)),
    ),
    "pnasnet_5": (("sep5(1)+max3(1) sep7(0)+max3(0) sep5(0)+sep3(0) sep3(4)+max3(0) sep3(1)+id(0)", (2, 3, 4, 5, 6)),)
    * 2,
}
# melodyguan/enas' cifar10_micro_final.sh; quark0/darts' genotypes.py. State 0 is the older input.
OLDER_FIRST = {
    "enas": (
        ("avg3(0)+sep3(0) fid(0)+sep5(0) fid(0)+sep5(1) sep3(1)+sep5(0) avg3(0)+sep5(1)", (2, 3, 4, 5, 6)),
        ("sep3(1)+sep3(1) max3(0)+avg3(0) sep5(1)+sep5(3) sep3(1)+fid(0) max3(0)+sep5(1)", (2, 4, 5, 6)),
    ),
    "darts_v1": (
        ("sep3(1)+sep3(0) skip(0)+sep3(1) skip(0)+sep3(1) sep3(0)+skip(2)", (2, 3, 4, 5)),
        ("max3(0)+max3(1) skip(2)+max3(0) max3(0)+skip(2) skip(2)+avg3(0)", (2, 3, 4, 5)),
    ),
    "darts_v2": (
        ("sep3(0)+sep3(1) sep3(0)+sep3(1) sep3(1)+skip(0) skip(0)+dil3(2)", (2, 3, 4, 5)),
        ("max3(0)+max3(1) skip(2)+max3(1) max3(0)+skip(2) skip(2)+max3(1)", (2, 3, 4, 5)),
    ),
}
RULES = {"pnasnet_5": "pnasnet", "enas": "enas", "darts_v1": "darts", "darts_v2": "darts"}


@pytest.mark.parametrize("name", ZOO)
def test_published_cells_are_as_published(name):
    genotype = ZOO[name]
    swap = {0: 1, 1: 0} if name in OLDER_FIRST else {}
    for cell, (blocks, outputs) in zip(
        (genotype.normal, genotype.reduction), {**CELLS, **OLDER_FIRST}[name], strict=True
    ):
        found = [
            tuple(
                (OPERATIONS[op], swap.get(int(state), int(state))) for op, state in re.findall(r"(\w+)\((\d)\)", block)
            )
            for block in blocks.split()
        ]
        assert [((b.left_op, b.left), (b.right_op, b.right)) for b in cell.blocks] == found
        assert {block.combine for block in cell.blocks} == {"add"}
        assert cell.outputs == outputs
    assert genotype.rules == RULES.get(name, "nasnet")


def test_names():
    assert list(ZOO) == [*CELLS, *OLDER_FIRST]
    assert list(UNPUBLISHED) == ["nasnet_b", "nasnet_c"]


LARGE = {"stem": "imagenet", "stem_multiplier": 3.0, "skip_reduction_input": True}


@pytest.mark.parametrize(
    ("name", "repeats", "filters", "classes", "size", "options", "parameters"),
    [
        # Counts that the codes named above print, or that follow from them alone: ../shared/paper-facts.md, 4.4.
        ("amoebanet_a", 6, 32, 10, 32, {}, 2_567_754),
        ("amoebanet_a", 6, 36, 10, 32, {}, 3_218_266),
        ("amoebanet_a", 6, 190, 1000, 331, {"stem": "imagenet"}, 86_718_797),  # a quarter of 190, rounded down
        ("pnasnet_5", 4, 216, 1000, 331, LARGE, 86_057_668),
        ("pnasnet_5", 3, 54, 1000, 224, {"stem": "imagenet"}, 5_064_487),
        ("darts_v1", 6, 36, 10, 32, {}, 3_169_414),  # 20 layers
        ("darts_v2", 6, 36, 10, 32, {}, 3_349_342),
    ],
)
def test_sizes_are_as_published(name, repeats, filters, classes, size, options, parameters):
    network = CellNetwork(ZOO[name], repeats, filters, classes, **options)
    assert count(network, (size, size, 3)).parameters == parameters


def test_the_auxiliary_head_of_darts_reads_its_second_reduction():
    """P-DARTS has DARTS' stack and head: 3,433,798 parameters without it, 3,910,224 with it (chenxin061/pdarts#7)."""
    network = CellNetwork(ZOO["darts_v2"], 6, 36, 10)
    with_head = count(network, (32, 32, 3), auxiliary=True)
    assert with_head.parameters - count(network, (32, 32, 3)).parameters == 3_910_224 - 3_433_798
    with pytest.raises(ValueError, match=r"auxiliary\.pool: a window of 5x5"):
        count(network, (16, 16, 3), auxiliary=True)


def test_enas_fits_the_inputs_of_its_cells_by_rules_of_its_own():
    """Both inputs of the first cell; the newest twice where its channels differ; the head behind the second reduction.

    micro_child.py: channels by hand, of cells with 5 and 4 outputs behind a stem of 3F.
    """
    weights = count(CellNetwork(ZOO["enas"], 1, 8, 10), (32, 32, 3), auxiliary=True).weights
    kernels = {w.name.removesuffix("/kernel"): w.shape[2:] for w in weights if w.name.endswith("/kernel")}
    fitted = {name: shape for name, shape in kernels.items() if "block" not in name and "output" not in name}
    assert {name: shape for name, shape in fitted.items() if name.startswith(("cell", "reduction"))} == {
        "cell_0.calibration.conv": (24, 8),
        "cell_0.input.conv": (8, 8),
        "cell_0.previous.conv": (24, 8),
        "reduction_0.calibration.conv": (40, 16),
        "reduction_0.input.conv": (16, 16),
        "reduction_0.previous.conv": (24, 16),
        "cell_1.calibration.conv": (64, 16),
        "cell_1.input.conv": (16, 16),
        "cell_1.previous.path_1": (40, 8),
        "cell_1.previous.path_2": (40, 8),
        "reduction_1.calibration.conv": (80, 32),
        "reduction_1.input.conv": (32, 32),
        "reduction_1.previous.conv": (64, 32),
        "cell_2.calibration.conv": (128, 32),
        "cell_2.input.conv": (32, 32),
        "cell_2.previous.path_1": (80, 16),
        "cell_2.previous.path_2": (80, 16),
    }
    assert kernels["auxiliary.conv_1"] == (160, 128)  # cell_2 has 5 outputs of 32; cell_1, 5 of 16


@pytest.mark.parametrize(
    ("name", "cifar", "imagenet"),
    [
        ("nasnet_a", (0.9, 1e-5), (0.9997, 1e-3)),  # slim's nasnet.py, cifar_ and imagenet_config
        ("pnasnet_5", (0.9, 1e-5), (0.9997, 1e-3)),
        ("enas", (0.9, 1e-3), (0.9997, 1e-3)),  # image_ops.py; NASNet's on ImageNet, which it was not made for
        ("darts_v2", (0.9, 1e-5), (0.9, 1e-5)),  # PyTorch's defaults
    ],
)
def test_batch_norm_is_that_of_the_rules(name, cifar, imagenet):
    assert CellNetwork(ZOO[name], 1, 8, 10).batch_norm == cifar
    assert CellNetwork(ZOO[name], 1, 8, 10, "imagenet").batch_norm == imagenet


@pytest.mark.parametrize("name", ["nasnet_a", "pnasnet_5", "enas", "darts_v2"])
def test_a_relu_stands_before_the_average_but_in_darts(name):
    reading = Numbers()
    CellNetwork(ZOO[name], 1, 2, 3).walk(reading, draw_array("image", (8, 8, 3)))
    assert ("head.relu: relu" in reading.log) == (name != "darts_v2")


def test_the_auxiliary_head_of_darts_on_imagenet_has_a_stride_of_2():
    """cnn/model.py, AuxiliaryHeadImageNet: 7x7 pixels at 224, pooled to the 2x2 of its second convolution."""
    weights = count(CellNetwork(ZOO["darts_v2"], 4, 48, 1000, "imagenet"), (224, 224, 3), auxiliary=True).weights
    assert [w.shape for w in weights if w.name == "auxiliary.conv_2/kernel"] == [(2, 2, 128, 768)]


def test_where_reductions_stand():
    """PNASNet strides the first cell of a stage; the others have a Reduction Cell before it."""
    pnasnet = CellNetwork(ZOO["pnasnet_5"], 2, 8, 10)
    assert [(p.name, p.kind, p.filters) for p in positions(pnasnet)] == [
        ("cell_0", "normal", 8),
        ("cell_1", "normal", 8),
        ("cell_2", "reduction", 16),
        ("cell_3", "normal", 16),
        ("cell_4", "reduction", 32),
        ("cell_5", "normal", 32),
    ]
    darts = CellNetwork(ZOO["darts_v2"], 1, 8, 10, "imagenet")
    assert [(p.name, p.kind, p.current, p.previous, p.level) for p in positions(darts)] == [
        ("cell_0", "normal", 1, 0, 1),
        ("reduction_0", "reduction", 2, 1, 1),
        ("cell_1", "normal", 3, 2, 2),
        ("reduction_1", "reduction", 4, 3, 2),
        ("cell_2", "normal", 5, 4, 3),
    ]
    shapes = count(darts, (64, 64, 3)).endpoints
    assert (shapes["stem_half"], shapes["stem"], shapes["cell_2"]) == ((16, 16, 8), (8, 8, 8), (2, 2, 128))


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_every_cell_stacks_at_any_size_with_the_same_weights_and_reads_back(name, stem):
    network = CellNetwork(ZOO[name], 1, 9, 4, stem)
    first, *others = (count(network, (*size, 1)).weights for size in ((64, 64), (65, 70)))
    assert all(other == first for other in others)
    assert CellNetwork.from_json(network.to_json(), 4) == network
    assert {weight.name.split(".")[0] for weight in first} <= set(network.parts)
    with_head = dataclasses.replace(network, repeats=2)
    assert count(with_head, (256, 256, 1), auxiliary=True).weights != count(with_head, (256, 256, 1)).weights


def test_rules_are_part_of_the_value():
    genotype = ZOO["darts_v2"]
    assert genotype.canonical().rules == "darts"
    assert "rules" not in ZOO["nasnet_a"].to_json()
    assert dataclasses.replace(genotype, rules="nasnet") != genotype
    with pytest.raises(ValueError, match=r"unknown rules 'slim'; known: nasnet, pnasnet, enas, darts"):
        CellGenotype.from_json({**genotype.to_json(), "rules": "slim"})


@pytest.mark.parametrize("name", ZOO)
def test_a_space_says_why_it_does_not_hold_a_published_cell(name):
    """Stored outputs, other operations, other rules: none of them is in the space of NASNet as it searches."""
    genotype = ZOO[name]
    words = "rules" if genotype.rules != "nasnet" else "outputs|not in the space"
    with pytest.raises(ValueError, match=words):
        NASNetSpace(len(genotype.normal.blocks)).encode(genotype)
    cells = [
        dataclasses.replace(cell, outputs=loose_ends(cell.blocks)) for cell in (genotype.normal, genotype.reduction)
    ]
    searched = CellGenotype(*cells)
    if all(op in NASNET_OPERATIONS for cell in cells for b in cell.blocks for _, op in b.sides):
        assert NASNetSpace(len(cells[0].blocks)).decode(NASNetSpace(len(cells[0].blocks)).encode(searched)) == searched
    else:
        with pytest.raises(ValueError, match="not in the space"):
            NASNetSpace(len(cells[0].blocks)).encode(searched)


@pytest.mark.parametrize("name", ZOO)
def test_every_cell_is_drawn(name):
    svg = draw(ZOO[name], title=name)
    for cell in (ZOO[name].normal, ZOO[name].reduction):
        assert all(f"<title>{op} of state {read}</title>" in svg for b in cell.blocks for read, op in b.sides)
