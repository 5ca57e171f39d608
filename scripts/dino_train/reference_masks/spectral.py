"""Deep Spectral Methods."""

from __future__ import annotations

import numpy as np

from .parts import LEVEL, Bools, Floats, largest_part, unit_rows

EPSILON = 1e-5
# Cosines of float32 keys are no more exact than this.
FLAT = 1e-6


def deep_spectral(
    keys: Floats, grid: tuple[int, int], objects: int = 3, floor: float = EPSILON
) -> list[Bools]:
    """Eigensegments of the feature affinity's Laplacian (arXiv:2205.07839, sections 3.1 to 3.3).

    Args:
        keys: [n, D], n = height * width patches row by row.
        grid: height and width in patches.
        objects: how many eigenvectors after the constant one.
        floor: least weight of an edge; the paper's is 0, which leaves the vectors of a graph in
            several pieces open.

    Returns:
        A mask, [height, width], for each eigenvector in order of its eigenvalue: of its two signs
        that of fewer patches, and of these the largest connected part.
    """
    n = len(keys)
    unit = unit_rows(keys)
    weights = np.maximum(unit @ unit.T, floor)
    others = weights[~np.eye(n, dtype=bool)]
    if n < 2 or others.max() - others.min() <= FLAT:
        return []
    root = np.sqrt(weights.sum(axis=1))
    laplacian = np.eye(n) - weights / root[:, None] / root[None, :]
    _, vectors = np.linalg.eigh(laplacian)
    return [
        largest_part(smaller_side(vectors[:, 1 + index] / root).reshape(grid))
        for index in range(min(objects, n - 1))
    ]


def smaller_side(vector: Floats) -> Bools:
    """The sign with fewer entries; of equally many, the one that comes later."""
    level = LEVEL * np.abs(vector).max()
    sides = [vector > level, vector < -level]
    counts = [int(side.sum()) for side in sides]
    if counts[0] == counts[1]:
        return sides[1 if np.argmax(sides[0]) < np.argmax(sides[1]) else 0]
    return sides[int(counts[1] < counts[0])]
