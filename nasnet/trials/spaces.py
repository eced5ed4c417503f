"""Which space a search is over, made of its settings; which of them have a meaning in it. No TensorFlow."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping

from cells.architecture import BadField
from cells.genotype.cell import CellGenotype, loose_ends
from cells.genotype.genotype import Genotype
from cells.spaces.cells import CellSpace
from cells.spaces.chain import ChainSpace
from cells.spaces.darts import DARTSSpace
from cells.spaces.nasnet import NASNetSpace
from cells.spaces.settings import SettingsSpace
from cells.spaces.space import Space, Tokens
from controller.config import LearnerConfig, PolicyGradientConfig
from controller.grid_search import number_of_tuples
from controller.random_search import RandomSearch
from controller.strategy import Features
from nasnet.networks.config import NetworkConfig
from nasnet.networks.models import named_model
from nasnet.runtime.console import say
from nasnet.runtime.errors import SettingError
from nasnet.trials.config import CELLS, CHAIN, DARTS, NASNET, SETTINGS, TABLE, ChainConfig, SearchConfig

_OF_CELLS = ("blocks", "final_repeats", "final_filters")
_OF_SETTINGS = ("free", "width")
_MEANT_FOR: dict[str, tuple[str, ...]] = {
    **{field.name: CELLS for field in dataclasses.fields(NetworkConfig) if field.name != "parameters"},
    **dict.fromkeys(_OF_CELLS, CELLS),
    **{field.name: (CHAIN,) for field in dataclasses.fields(ChainConfig)},
    **dict.fromkeys(_OF_SETTINGS, SETTINGS),
    "table": (TABLE,),
}
"""Setting -> the spaces that it has a meaning with, where those are not all."""
_OF_TABLE = {
    *("space", "table", "strategy", "estimator", "trials", "stop_after", "deterministic", "invalid_reward"),
    *(
        field.metadata.get("flag") or field.name
        for config in (PolicyGradientConfig, LearnerConfig)
        for field in dataclasses.fields(config)
    ),
}
"""What has a meaning with a table: nothing is trained there."""
_TRIES = 5
"""So many are drawn at most for each that is wanted."""
_SETTING_OF = {"layers": "max_layers", "network": "space"}
"""Field of a space -> the setting that it is made of, where that has another name."""


def check_space(options: SearchConfig, chain: ChainConfig, given: Mapping[str, object]) -> None:
    """Raises SettingError for a given setting that has no meaning with the space, or with another that is given."""
    for name, value in given.items():
        if options.space == TABLE and name not in _OF_TABLE:
            raise SettingError(name, value, "has no meaning with space=table, whose rewards are looked up")
        spaces = _MEANT_FOR.get(name, (options.space,))
        if options.space not in spaces:
            rule = f"has no meaning with space={options.space}; it goes with {' or '.join(spaces)}"
            raise SettingError(name, value, rule)
    if (options.estimator == TABLE) != (options.space == TABLE):
        raise SettingError("estimator", options.estimator, f"does not go with space={options.space}; leave it out")
    if "start_layers" in given and chain.start_layers > chain.max_layers:
        rule = f"must be at most max_layers, which is {chain.max_layers}"
        raise SettingError("start_layers", chain.start_layers, rule, see=("max_layers",))


def make_space(
    options: SearchConfig, chain: ChainConfig, network: NetworkConfig, image_shape: tuple[int, int, int]
) -> Space:
    """The space of a search on such pictures. Raises SettingError for sizes that it cannot have."""
    try:
        if options.space == NASNET:
            return NASNetSpace(options.blocks)
        if options.space == DARTS:
            return DARTSSpace(options.blocks)
        if options.space == CHAIN:
            return ChainSpace(
                layers=chain.max_layers,
                strides=chain.strides,
                skips=chain.skips,
                scale=chain.scale,
                pool_at=_pool_at(chain),
                start_layers=chain.start_layers,
                grow_layers=chain.grow_layers,
                grow_every=chain.grow_every,
            )
        return SettingsSpace(options.space, image_shape, options.free, 1.0 if network.width is None else network.width)
    except BadField as error:
        value = chain.pool_at if error.name == "pool_at" else error.value
        raise SettingError(_SETTING_OF.get(error.name, error.name), value, error.rule) from error


def _pool_at(chain: ChainConfig) -> tuple[int, ...]:
    try:
        return tuple(int(depth) for depth in chain.pool_at.split(",")) if chain.pool_at else ()
    except ValueError as error:
        rule = "must be numbers of layers with commas between them, such as 3,6"
        raise SettingError("pool_at", chain.pool_at, rule) from error


def first_tokens(space: Space) -> Tokens | None:
    """Those that a grid begins with: the published network's, where the space is around one."""
    return space.published if isinstance(space, SettingsSpace) else None


def start_tokens(options: SearchConfig, space: Space) -> dict[Tokens, str]:
    """The known networks that a search begins with, in order: their tokens, and how they are called.

    Raises:
        SettingError: for a name that is none, and a network that the space cannot express or that stands twice.
    """
    found: dict[Tokens, str] = {}
    for name in options.start.split(",") if options.start else ():
        if not name.strip():
            raise SettingError("start", options.start, "must be names with commas between, and none is empty")
        try:
            tokens, changed = _known(space, name.strip())
        except ValueError as error:
            raise SettingError("start", name, str(error)) from error
        except SettingError as error:
            raise SettingError("start", name, error.rule) from error
        if tokens in found:
            raise SettingError("start", name, "stands twice; expected different networks")
        if len(tokens) != (takes := space.length(len(found))):
            rule = f"takes {len(tokens)} decisions, and trial {len(found)} of this space {takes}"
            raise SettingError("start", name, rule)
        found[tokens] = f"{name.strip()}{changed}"
    return found


def _known(space: Space, name: str) -> tuple[Tokens, str]:
    """A network's tokens, and how it differs from what its name stands for. Raises ValueError outside the space."""
    if isinstance(space, SettingsSpace) and name == space.network:
        return space.published, ""
    genotype = named_model(name).genotype
    if genotype is None:
        raise ValueError("was drawn by hand, and is no network of this space")
    tokens = space.encode(_in_space(genotype))
    return tokens, _changed(genotype, space.decode(tokens))


def _changed(was: Genotype, now: Genotype) -> str:
    """What the space says of a network otherwise than the network did."""
    if not isinstance(was, CellGenotype) or not isinstance(now, CellGenotype) or was.canonical() == now.canonical():
        return ""
    pairs, said = ((was.normal, now.normal), (was.reduction, now.reduction)), ""
    if any(set(one.outputs) != set(other.outputs) for one, other in pairs):
        said += ", its outputs being those states that no block reads"
    concatenated = (
        other.fitted and not one.fitted and any(other.blocks[state - 2].combine == "concat" for state in other.outputs)
        for one, other in pairs
    )
    return said + ", what is concatenated there fitted to the cell's channels" * any(concatenated)


def _in_space(genotype: Genotype) -> Genotype:
    """Cells with the outputs that a searched cell has: published ones have more, and no space says which."""
    if not isinstance(genotype, CellGenotype) or genotype.rules != NASNET:
        return genotype
    normal, reduction = (
        dataclasses.replace(cell, outputs=loose_ends(cell.blocks)) for cell in (genotype.normal, genotype.reduction)
    )
    return dataclasses.replace(genotype, normal=normal, reduction=reduction)


def features_of(space: Space) -> Features | None:
    """What a model of the reward is given of a space's tokens; None: which options they are."""
    return space.features if isinstance(space, CellSpace | ChainSpace) else None


def trials_of(options: SearchConfig, space: Space) -> int:
    """How many trials a search makes: as many as were asked for, or, of a grid, as there are networks."""
    return min(options.trials, number_of_tuples(space.decisions)) if options.strategy == "grid" else options.trials


def say_space(options: SearchConfig, space: Space) -> None:
    """How large the space is, where that is a number to go by, and what becomes of the trials by it."""
    trials = trials_of(options, space)
    if isinstance(space, SettingsSpace):
        say(f"{space.size:,} networks: 3 options for each of {len(space.decisions)} settings of {space.network}")
    for trial_id, name in enumerate(start_tokens(options, space).values()):
        left_out = "" if trial_id < trials else f", which trials={trials} does not come to"
        say(f"trial {trial_id} is {name}{left_out}")
    if trials < options.trials:
        say(f"{trials:,} trials and not {options.trials:,}: then the grid has tried every one")


def drawn_genotypes(space: Space, wanted: int, built: Callable[[Genotype], object]) -> list[Genotype]:
    """So many at random, of those for which `built` raises no ValueError; fewer where few are such."""
    random, found = RandomSearch(space.decisions, 0, space.length), list[Genotype]()
    for trial_id in range(_TRIES * wanted):
        genotype = space.decode(random.propose(trial_id).tokens)
        with contextlib.suppress(ValueError):
            built(genotype)
            found.append(genotype)
        if len(found) == wanted:
            break
    return found


def children_of(space: Space, network: NetworkConfig) -> str:
    """What the children of a search are, in a few words."""
    size = "" if network.parameters is None else f", about {network.parameters:,} parameters"
    if isinstance(space, ChainSpace):
        first, last = space.depth(0), space.layers
        growing = f", {space.grow_layers} more every {space.grow_every} trials up to {last}"
        return f"of {first} layers{growing if first < last else ''}{size}"
    if isinstance(space, SettingsSpace):
        return f"like {space.network}" + ("" if space.width == 1 else f", width {space.width:g}") + size
    if not isinstance(space, CellSpace):
        return f"from {type(space).__name__}{size}"
    return f"of N={network.repeats}{size or f' F={network.filters}'}"
