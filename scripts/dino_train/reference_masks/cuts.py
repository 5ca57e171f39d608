"""Normalised cuts of the patches' graph: TokenCut, and MaskCut, which cuts several times."""

from __future__ import annotations

import numpy as np

from .parts import LEVEL, TIE, Bools, Floats, component_of, unit_rows

EPSILON = 1e-5


def joined_patches(keys: Floats, tau: float) -> Bools:
    """Which patches an edge of weight 1 joins: a cosine above `tau`."""
    unit = unit_rows(keys)
    return unit @ unit.T > tau


def is_uniform(joined: Bools) -> bool:
    """Whether every two patches are joined, or no two: the cut may then be anything."""
    others = joined[~np.eye(len(joined), dtype=bool)]
    return bool(others.all() or not others.any())


def cut_vector(joined: Bools) -> Floats:
    """The second smallest eigenvector of (D - W) y = lambda D y, by `eigh` of the whole matrix."""
    weights = np.where(joined, 1.0, EPSILON)
    root = np.sqrt(weights.sum(axis=1))
    # It is the symmetric problem of D^-1/2 (D - W) D^-1/2, with y = D^-1/2 z.
    laplacian = np.eye(len(weights)) - weights / root[:, None] / root[None, :]
    _, vectors = np.linalg.eigh(laplacian)
    return vectors[:, 1] / root


def tokencut(keys: Floats, grid: tuple[int, int], tau: float = 0.2) -> Bools | None:
    """TokenCut (arXiv:2202.11539), `ncut` of its authors.

    Args:
        keys: [n, D], n = height * width patches row by row.
        grid: height and width in patches.
        tau: cosine above which two patches are joined.

    Returns:
        The mask, [height, width]; None where every two patches are joined, or no two.
    """
    joined = joined_patches(keys, tau)
    if is_uniform(joined):
        return None
    cut = cut_vector(joined)
    largest = np.abs(cut).max()
    side = np.sign(cut - cut.mean())
    best = np.zeros(grid, bool)
    # The authors take one of the largest entries: where several are equal, rounding chooses.
    for seed in np.flatnonzero(np.abs(cut) >= largest * (1 - TIE)):
        part = part_around(cut, int(seed), side[seed], grid)
        if part.sum() > best.sum():
            best = part
    return best


def part_around(cut: Floats, seed: int, side: float, grid: tuple[int, int]) -> Bools:
    """The patches on one side of the mean that hang together with a patch."""
    foreground = side * (cut - cut.mean()) > LEVEL * np.abs(cut).max()
    return component_of(foreground.reshape(grid), divmod(seed, grid[1]))


def maskcut(
    keys: Floats, grid: tuple[int, int], objects: int = 3, tau: float = 0.15
) -> list[Bools]:
    """MaskCut (CutLER, arXiv:2301.11320, section 3.2): cut, take out what was found, cut again.

    Args:
        keys: [n, D], n = height * width patches row by row.
        grid: height and width in patches.
        objects: most masks wanted.
        tau: cosine above which two patches are joined.

    Returns:
        Masks, [height, width] each, none of which overlap.
    """
    found: list[Bools] = []
    taken = np.zeros(grid, bool)
    previous = taken
    while len(found) < objects:
        # Equation 3 zeroes the keys of what was found, so that nothing is like them.
        left = ~taken.reshape(-1)
        joined = joined_patches(keys, tau) & left[:, None] & left[None, :]
        if is_uniform(joined[np.ix_(left, left)]):
            break
        part = object_side(cut_vector(joined), grid)
        overlap = (part & previous).sum() / (part | previous).sum()
        new = part & ~taken
        if found and (overlap > 0.5 or part.sum() <= 0.01 * part.size):
            break
        if not new.any():
            break
        found.append(new)
        taken = taken | part
        previous = part
    return found


def object_side(cut: Floats, grid: tuple[int, int]) -> Bools:
    """The part around the patch that stands out most, on the side that is the foreground.

    That is the side of the largest entry, or the other one where it holds three of the four
    corners. The paper starts from the side of positive entries: the sign of an eigenvector is
    arbitrary, and with it, for three corners, the paper's answer.
    """
    largest = np.abs(cut).max()
    side = np.sign(cut - cut.mean())
    directions: list[float] = []
    for seed in np.flatnonzero(np.abs(cut) >= largest * (1 - TIE)):
        foreground = (side[seed] * (cut - cut.mean()) > LEVEL * largest).reshape(grid)
        corners = int(foreground[[0, 0, -1, -1], [0, -1, 0, -1]].sum())
        direction = -side[seed] if corners >= 3 else side[seed]
        if direction not in directions:
            directions.append(direction)
    best = np.zeros(grid, bool)
    for direction in directions:
        along = direction * cut
        for seed in np.flatnonzero(along >= along.max() - TIE * largest):
            part = part_around(cut, int(seed), direction, grid)
            if part.sum() > best.sum():
                best = part
    return best
