"""What the decisions of a space stand for, in words, so that a report can say which options a strategy moved to."""

from __future__ import annotations

import dataclasses

from cells.drawing.cell import label
from cells.genotype.chain import ChainGenotype
from cells.spaces.cells import CellSpace
from cells.spaces.chain import SIZES, STRIDES, ChainSpace
from cells.spaces.settings import SettingsSpace
from cells.spaces.space import Space
from nasnet.estimators.table import Table


@dataclasses.dataclass(frozen=True)
class Choice:
    """Decisions that are of one kind: what they decide, the name of each option, their places among the decisions."""

    name: str
    options: tuple[str, ...]
    places: tuple[int, ...]


def choices_of(space: Space) -> list[Choice]:
    """What there is to choose, in the order of the decisions: operations, sizes of filters, options of a table."""
    if isinstance(space, CellSpace):
        operations = tuple(map(label, space.operations))
        return [
            Choice(f"{cell.title()} Cell", operations, _ending(space, "_op", cell)) for cell in ("normal", "reduction")
        ]
    if isinstance(space, ChainSpace):
        sizes, strides, filters = (tuple(map(str, of)) for of in (SIZES, STRIDES, space.filters))
        kinds = {"height": sizes, "width": sizes, "stride_height": strides, "stride_width": strides}
        found = [Choice(f"filter {name}", of, _ending(space, f".{name}")) for name, of in kinds.items()]
        found += [Choice("number of filters", filters, _ending(space, ".filters"))]
        skips = tuple(place for place, decision in enumerate(space.decisions) if ".skip_" in decision.name)
        found += [Choice("skip connections", ("no", "yes"), skips)]
        return [dataclasses.replace(choice, name=choice.name.replace("_", " ")) for choice in found if choice.places]
    if isinstance(space, SettingsSpace):
        return [
            Choice(decision.name.replace("_", " ").replace(".", ", "), _settings(space, place), (place,))
            for place, decision in enumerate(space.decisions)
        ]
    if isinstance(space, Table):
        return [Choice(name, options, (place,)) for place, (name, options) in enumerate(space.options.items())]
    return [
        Choice(decision.name, tuple(map(str, range(decision.size))), (place,))
        for place, decision in enumerate(space.decisions)
    ]


def _ending(space: Space, end: str, start: str = "") -> tuple[int, ...]:
    return tuple(
        place
        for place, decision in enumerate(space.decisions)
        if decision.name.endswith(end) and decision.name.startswith(start)
    )


def _settings(space: SettingsSpace, place: int) -> tuple[str, ...]:
    """What each option of a setting is: read off the networks that differ from the published one in it alone."""
    decision, found = space.decisions[place], list[str]()
    layer, setting = decision.name.removeprefix("layer_").split(".")
    for token in range(decision.size):
        tokens = (*space.published[:place], token, *space.published[place + 1 :])
        genotype = space.decode(tokens)
        assert isinstance(genotype, ChainGenotype)
        of = genotype.layers[int(layer)]
        pool = "" if of.pool is None else f"{of.pool.kind} {of.pool.size}x{of.pool.size}"
        found.append({"size": f"{of.height}x{of.width}", "filters": str(of.filters), "pool": pool}[setting])
    return tuple(found)
