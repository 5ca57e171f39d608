"""Connected parts of masks, and masks as text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Entries of an eigenvector count as equal within these shares of the largest.
TIE = 1e-6
LEVEL = 1e-9


def component_of(mask: Bools, seed: tuple[int, int]) -> Bools:
    """The part of a mask, [height, width], that hangs together with a patch by edges."""
    kept = np.zeros_like(mask)
    queue = [seed]
    while queue:
        row, column = queue.pop()
        inside = 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]
        if not inside or kept[row, column] or not mask[row, column]:
            continue
        kept[row, column] = True
        queue += [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
    return kept


def largest_part(mask: Bools) -> Bools:
    """The part of a mask with the most patches; of equal ones the first row by row."""
    best = np.zeros_like(mask)
    rest = mask.copy()
    while rest.any():
        part = component_of(rest, tuple(np.argwhere(rest)[0]))
        rest &= ~part
        if part.sum() > best.sum():
            best = part
    return best


def unit_rows(keys: Floats) -> Floats:
    """Each key divided by its length; a key of zeros stays one."""
    lengths = np.linalg.norm(keys, axis=1, keepdims=True)
    return np.divide(keys, lengths, out=np.zeros_like(keys), where=lengths > 0)


def mask_text(mask: Bools) -> str:
    """Row by row, # inside and . outside, rows apart by a blank."""
    return " ".join("".join("#" if inside else "." for inside in row) for row in mask)
