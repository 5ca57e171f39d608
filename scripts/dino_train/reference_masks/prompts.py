"""The object under a click or in a box, by how alike the patches are: the service's own methods."""

from __future__ import annotations

import numpy as np

from .parts import Bools, Floats, component_of, largest_part, unit_rows

# A key this close to the mean key, as a share of its length, differs from it by rounding.
FLAT = 1e-6


def centred_rows(keys: Floats) -> Floats:
    """Directions of the keys from their mean; zeros for a key that does not differ from it."""
    away = keys - keys.mean(axis=0)
    flat = np.linalg.norm(away, axis=1) <= FLAT * np.linalg.norm(keys, axis=1)
    return unit_rows(np.where(flat[:, None], 0.0, away))


def otsu(values: Floats) -> float | None:
    """Otsu's threshold (1979) on the values themselves, without a histogram.

    Returns:
        The largest value below the threshold: of all ways to part the values in two the one with
        the largest variance between the two. None where all values are equal.
    """
    ascending = np.sort(values)
    count = len(values)
    best, level = 0.0, None
    for below in range(1, count):
        low, high = ascending[:below], ascending[below:]
        variance = below * (count - below) * (high.mean() - low.mean()) ** 2
        if ascending[below] > ascending[below - 1] and variance > best:
            best, level = variance, ascending[below - 1]
    return level


def unlike_the_rest(rows: Floats, inside: Bools) -> Floats:
    """How much more each patch is like the mean of some patches than like that of the others."""
    return rows @ (rows[inside].mean(axis=0) - rows[~inside].mean(axis=0))


def point_mask(keys: Floats, grid: tuple[int, int], patch: int) -> Bools | None:
    """The object under a click.

    Args:
        keys: [n, D], n = height * width patches row by row.
        grid: height and width in patches.
        patch: the patch that the click lies in.

    Returns:
        The mask, [height, width]; None where nothing sets the patch apart.
    """
    rows = centred_rows(keys)
    seed = divmod(patch, grid[1])
    window = np.zeros(grid, bool)
    window[max(0, seed[0] - 1) : seed[0] + 2, max(0, seed[1] - 1) : seed[1] + 2] = True
    around = rows[window.reshape(-1)]
    token = np.maximum(0, around @ rows[patch]) @ around
    guess = part_above(rows @ token, grid, seed)
    if guess is None or guess.all():
        return None
    return part_above(unlike_the_rest(rows, guess.reshape(-1)), grid, seed)


def part_above(values: Floats, grid: tuple[int, int], seed: tuple[int, int]) -> Bools | None:
    """The patches above Otsu's threshold that hang together with a patch, which is one of them."""
    level = otsu(values)
    if level is None:
        return None
    above = (values > level).reshape(grid)
    above[seed] = True
    return component_of(above, seed)


def box_mask(keys: Floats, grid: tuple[int, int], box: Bools) -> Bools | None:
    """The object in a box.

    Args:
        keys: [n, D], n = height * width patches row by row.
        grid: height and width in patches.
        box: [height, width], which patches the box holds.

    Returns:
        The mask, [height, width]; None where the box holds every patch, or nothing apart.
    """
    if box.all() or not box.any():
        return None
    values = unlike_the_rest(centred_rows(keys), box.reshape(-1))
    level = otsu(values)
    if level is None:
        return None
    above = (values > level).reshape(grid) & box
    return largest_part(above) if above.any() else None
