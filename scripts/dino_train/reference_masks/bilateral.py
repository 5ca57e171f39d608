"""The fast bilateral solver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .parts import Bools, Floats

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class BilateralOptions:
    """Cells of the grid, and weights, as TokenCut's authors set them for their masks."""

    sigma_spatial: float = 16
    sigma_luma: float = 16
    sigma_chroma: float = 8
    smoothness: float = 256
    confidence: float = 0.999
    rounds: int = 10


def grid_coordinates(rgb: Bytes, options: BilateralOptions) -> NDArray[np.int64]:
    """Cell of each pixel in the space of x, y, luma and two chromas, [height * width, 5]."""
    height, width = rgb.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width]
    red, green, blue = np.moveaxis(rgb.astype(np.float64), 2, 0)
    # BT.601 in whole numbers, so that no rounding moves a pixel to the next cell.
    luma = 299 * red + 587 * green + 114 * blue
    blueness = 128_000_000 - 168_736 * red - 331_264 * green + 500_000 * blue
    redness = 128_000_000 + 500_000 * red - 418_688 * green - 81_312 * blue
    cells = [
        columns / options.sigma_spatial,
        rows / options.sigma_spatial,
        luma / (1000 * options.sigma_luma),
        blueness / (1_000_000 * options.sigma_chroma),
        redness / (1_000_000 * options.sigma_chroma),
    ]
    return np.stack([np.floor(cell).astype(np.int64).reshape(-1) for cell in cells], axis=1)


def bilateral_system(
    rgb: Bytes, options: BilateralOptions
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Vertex of each pixel, pixels of each vertex, and the matrix A of the solver, dense.

    Barron and Poole, arXiv:1511.03296: equation 7 with the bistochastised blur of algorithm 1.
    """
    coordinates = grid_coordinates(rgb, options)
    vertices, vertex_of = np.unique(coordinates, axis=0, return_inverse=True)
    vertex_of = vertex_of.reshape(-1)
    number = {tuple(vertex): index for index, vertex in enumerate(vertices.tolist())}
    count = len(vertices)
    pixels = np.bincount(vertex_of, minlength=count).astype(float)
    # A kernel of 1 2 1 along each of the five axes, summed.
    blur = 10 * np.eye(count)
    for index, vertex in enumerate(vertices.tolist()):
        for axis in range(5):
            for step in (-1, 1):
                neighbour = number.get(
                    tuple(at + step * (axis == along) for along, at in enumerate(vertex))
                )
                if neighbour is not None:
                    blur[index, neighbour] = 1
    scale = np.ones(count)
    for _ in range(options.rounds):
        scale = np.sqrt(scale * pixels / (blur @ scale))
    mass = scale * (blur @ scale)
    smooth = np.diag(mass) - scale[:, None] * blur * scale[None, :]
    return vertex_of, pixels, options.smoothness * smooth + np.diag(options.confidence * pixels)


def bilateral_solve(rgb: Bytes, target: Floats, options: BilateralOptions) -> Floats:
    """A target, [height, width], made smooth wherever the picture is: equations 5 to 8.

    Solved directly, and not by conjugate gradients.
    """
    vertex_of, pixels, matrix = bilateral_system(rgb, options)
    weighted = options.confidence * np.bincount(vertex_of, target.reshape(-1), len(pixels))
    return np.linalg.solve(matrix, weighted)[vertex_of].reshape(target.shape)


def refine_masks(rgb: Bytes, masks: list[Bools]) -> list[Bools]:
    """Masks of patches moved to the edges of a picture.

    Args:
        rgb: [height, width, 3].
        masks: [rows, columns] of patches that together cover the picture.

    Returns:
        Masks of pixels, [height, width]; that of the patches where the solver lost the object.
    """
    height, width = rgb.shape[:2]
    refined = []
    for mask in masks:
        rows, columns = mask.shape
        coarse = mask[cell_of(height, rows)][:, cell_of(width, columns)]
        spatial = max(1.0, np.sqrt((width / columns) * (height / rows)))
        options = BilateralOptions(sigma_spatial=spatial)
        fine = bilateral_solve(rgb, coarse.astype(float), options) > 0.5
        either = (fine | coarse).sum()
        overlap = 1.0 if either == 0 else (fine & coarse).sum() / either
        refined.append(fine if overlap >= 0.5 else coarse)
    return refined


def cell_of(pixels: int, cells: int) -> NDArray[np.int64]:
    """Which of some cells along a side the centre of each pixel lies in."""
    return ((np.arange(pixels) + 0.5) * cells / pixels).astype(np.int64)
