"""LOST."""

from __future__ import annotations

import numpy as np

from .parts import Bools, Floats, component_of


def lost(keys: Floats, grid: tuple[int, int], candidates: int = 100) -> Bools | None:
    """LOST (arXiv:2109.14279), `lost` of its authors, with the whole similarity matrix.

    Args:
        keys: [n, D], n = height * width patches row by row.
        grid: height and width in patches.
        candidates: how many patches of the lowest degree may join the seed.

    Returns:
        The mask, [height, width]; None where it would hold every patch or not even the seed.
    """
    similarity = keys @ keys.T
    without_self = np.where(np.eye(len(keys), dtype=bool), 0, similarity)
    degrees = (without_self > 0).sum(axis=1)
    ascending = np.argsort(degrees, kind="stable")
    seed = int(ascending[0])
    first = ascending[:candidates]
    expanded = first[similarity[seed, first] > 0]
    foreground = similarity[expanded].sum(axis=0) > 0
    if foreground.all() or not foreground[seed]:
        return None
    return component_of(foreground.reshape(grid), divmod(seed, grid[1]))
