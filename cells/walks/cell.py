"""The fold over one cell: from two features and a Cell to one feature."""

from __future__ import annotations

from typing import TypeVar

from cells.genotype.cell import Block, Cell
from cells.operations import OPERATIONS, factorized_reduction, relu_conv_bn
from cells.primitives import Feature, Primitives
from cells.walks.rules import RULES, Rules

T = TypeVar("T")


def fold(
    cell: Cell,
    p: Primitives[T],
    inputs: tuple[Feature[T] | None, Feature[T] | None],
    *,
    filters: int,
    stride: int,
    level: int,
    first: bool,
    depth: float,
    name: str,
    rules: Rules = RULES["nasnet"],
) -> Feature[T]:
    """Builds the cell's live states and concatenates its outputs.

    Args:
        cell: what to build.
        p: the reading.
        inputs: what states 0 and 1 are made of: h[i], the previous cell's output, and h[i-1], the one before. None
            where the cell does not read that state.
        filters: channels of every operation's result.
        stride: 2 in a Reduction Cell: operations on the cell's own two inputs halve the size, no others (section 3).
        level: the level of h[i].
        first: in the network's first cell there is no h[i-1]: h[i] stands in for it.
        depth: this cell's place in the network, in (0, 1], for drop-path.
        name: prefix of all names.
        rules: how the inputs are fitted.
    """
    current, previous = inputs
    out_level = level + (stride - 1)
    states: dict[int, Feature[T]] = {}
    if current is not None:
        value = current.value
        if rules.calibrated and current.channels != filters:
            value = relu_conv_bn(p, value, filters, 1, f"{name}.calibration")
        # Always, even where the channels are equal already.
        states[0] = Feature(relu_conv_bn(p, value, filters, 1, f"{name}.input"), filters, level)
    if previous is not None:
        as_it_is = first and rules.previous == "unequal"
        states[1] = previous if as_it_is else _fit_previous(p, previous, level, filters, f"{name}.previous", rules)
    for index, block in enumerate(cell.blocks):
        if index + 2 in cell.live:
            states[index + 2] = _block(block, p, states, filters, stride, depth, out_level, f"{name}.block_{index}")
    return _output(cell, p, states, filters, out_level, name)


def _output(
    cell: Cell, p: Primitives[T], states: dict[int, Feature[T]], filters: int, level: int, name: str
) -> Feature[T]:
    """The cell's outputs, at one size, concatenated."""
    # slim's `_combine_unused_states`: an output of another size or of other channels gets a factorized reduction, which
    # at stride 1 is a 1x1 convolution and batch norm, without a ReLU.
    # Differs from slim: there the last state's channels decide. All of slim's states have the cell's; where "concat"
    # made the last one they are twice as many, and that it is the last is an accident of numbering.
    outputs: list[Feature[T]] = []
    for state in cell.outputs:
        feature, part = states[state], f"{name}.output_{state}"
        if feature.level != level:
            feature = Feature(factorized_reduction(p, feature.value, filters, part), filters, level)
        elif feature.channels != filters and (state < 2 or cell.fitted):
            value = p.conv(feature.value, filters, (1, 1), name=f"{part}.conv")
            feature = Feature(p.batch_norm(value, name=f"{part}.bn"), filters, level)
        outputs.append(feature)
    if len(outputs) == 1:
        return outputs[0]
    joined = p.concat([output.value for output in outputs], name=f"{name}.output")
    return Feature(joined, sum(output.channels for output in outputs), level)


def _fit_previous(
    p: Primitives[T], previous: Feature[T], level: int, filters: int, name: str, rules: Rules
) -> Feature[T]:
    """h[i-1] at the size and the channels of this cell, decided by its level and never by its height or width."""
    if previous.level != level:
        value = p.relu(previous.value, name=f"{name}.relu")
        return Feature(factorized_reduction(p, value, filters, name), filters, level)
    if previous.channels != filters or rules.previous == "always":
        return Feature(relu_conv_bn(p, previous.value, filters, 1, name), filters, level)
    return previous


def _block(
    block: Block,
    p: Primitives[T],
    states: dict[int, Feature[T]],
    filters: int,
    stride: int,
    depth: float,
    level: int,
    name: str,
) -> Feature[T]:
    results: list[T] = []
    for side, state, op in (("left", block.left, block.left_op), ("right", block.right, block.right_op)):
        step = stride if state < 2 else 1
        value = OPERATIONS[op](p, states[state], filters, step, f"{name}.{side}")
        # slim and ENAS drop every path but the identity's, fitted or not, DARTS all but one that is no more than that.
        if value is not states[state].value and op not in ("identity", "factorized identity"):
            value = p.drop_path(value, depth, name=f"{name}.{side}.drop_path")
        results.append(value)
    if block.combine == "concat":
        # The state keeps all 2F channels. What reads it fits it where it must, by the rules that slim has for any state
        # of unequal channels, and so does the cell's output; nothing is inserted here. docs/design.md, "Choices".
        return Feature(p.concat(results, name=f"{name}.concat"), 2 * filters, level)
    return Feature(p.add(results[0], results[1], name=f"{name}.add"), filters, level)
