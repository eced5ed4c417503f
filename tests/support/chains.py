"""Chains drawn from a seed, and chains renumbered."""

from __future__ import annotations

import dataclasses
import random

from cells.genotype.chain import ChainGenotype, ConvLayer, Pool


def drawn_chain(rng: random.Random, most_layers: int = 6, *, filters: tuple[int, ...] = (2, 3, 5)) -> ChainGenotype:
    """Any chain: strides, pools, paddings, skips, layers that read the image, with and without batch norm."""
    layers: list[ConvLayer] = []
    for index in range(rng.randint(1, most_layers)):
        pool = (
            Pool(rng.choice(("max", "average")), rng.randint(1, 3), rng.randint(1, 2)) if rng.random() < 0.3 else None
        )
        layers.append(
            ConvLayer(
                *(rng.choice((1, 3, 5, 7)) for _ in range(2)),
                *(rng.choice((1, 1, 1, 2, 3)) for _ in range(2)),
                filters=rng.choice(filters),
                pool=pool,
                inputs=tuple(read for read in range(index) if rng.random() < (0.7 if read == index - 1 else 0.3)),
                # 3 pixels around are enough for every filter.
                padding=rng.choice(("same", "same", "same", 3)),
            )
        )
    flatten = rng.random() < 0.3
    dense = tuple(rng.randint(4, 8) for _ in range(rng.randint(0, 2))) if flatten else ()
    return ChainGenotype(tuple(layers), dense, flatten, batch_norm=rng.random() < 0.7)


def renumbered(chain: ChainGenotype, rng: random.Random) -> ChainGenotype:
    """A drawn twin: the same layers in another order in which each still comes after those that it reads."""
    order: list[int] = []
    while len(order) < len(chain.layers):
        ready = [i for i in range(len(chain.layers)) if i not in order and set(chain.layers[i].inputs) <= set(order)]
        order.append(rng.choice(ready))
    layers = (
        dataclasses.replace(
            chain.layers[old], inputs=tuple(sorted(order.index(read) for read in chain.layers[old].inputs))
        )
        for old in order
    )
    return dataclasses.replace(chain, layers=tuple(layers))
