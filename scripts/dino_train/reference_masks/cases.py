"""Test cases: features and pictures, and what the reference methods find in them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from .bilateral import BilateralOptions, Bytes, bilateral_solve, cell_of, refine_masks
from .cuts import maskcut, tokencut
from .lost import lost
from .parts import Bools, Floats, mask_text
from .prompts import box_mask, point_mask
from .spectral import deep_spectral

Case = dict[str, object]


def drawn_keys(rng: np.random.Generator, kind: str, height: int, width: int, dim: int) -> Floats:
    """Features with a structure: keys of object and ground lie around directions of their own.

    Args:
        rng: source of the noise.
        kind: `disc`, `two-discs`, `stripes` (no object), `outliers` (single odd patches), `weak`
            (little contrast), `islands` (parts that no edge joins: the third eigenvalue lies within
            1e-4 of the second) or `random` (no structure at all).
        height: patches.
        width: patches.
        dim: length of a key.
    """
    rows, columns = np.mgrid[0:height, 0:width]
    noise = rng.standard_normal((height, width, dim))
    if kind == "random":
        return noise.reshape(-1, dim)
    if kind == "islands":
        borders = width * np.array([0.1, 0.3, 0.6])
        return np.eye(dim)[np.searchsorted(borders, columns, "right")].reshape(-1, dim)
    directions = rng.standard_normal((3, dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    # Away from the ground's direction, as object and ground are in a trained model.
    directions[1] -= 1.2 * (directions[1] @ directions[0]) * directions[0] + 0.3 * directions[0]
    centre = rng.uniform(0.3, 0.7, 2) * (height, width)
    radius = min(height, width) * rng.uniform(0.2, 0.3)
    disc = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
    labels = disc.astype(int)
    if kind == "two-discs":
        labels = np.where(np.roll(disc, (height // 2, width // 2), (0, 1)) & ~disc, 2, labels)
    elif kind == "stripes":
        labels = (columns * 3 // width) % 3
    elif kind == "outliers":
        labels = (rng.random((height, width)) < 0.03).astype(int) * 2
    strength = {"weak": 0.45, "outliers": 0.1}.get(kind, 0.25)
    return (directions[labels] + strength * noise / np.sqrt(dim / 12)).reshape(-1, dim)


KINDS = {
    "random": ((7, 9), (10, 10), (12, 9), (1, 40), (16, 11), (6, 6)),
    "disc": ((12, 12), (9, 16), (15, 20)),
    "two-discs": ((14, 14), (12, 18)),
    "weak": ((12, 12), (10, 17), (16, 16)),
    "stripes": ((9, 12), (12, 12)),
    "islands": ((8, 14), (12, 20)),
    "outliers": ((12, 12), (13, 17)),
}
DIMENSIONS = (8, 16)


def drawn_cases(seed: int = 7) -> Iterator[tuple[str, tuple[int, int], Floats]]:
    """Name, grid and keys of the cases without a model."""
    rng = np.random.default_rng(seed)
    for kind, grids in KINDS.items():
        for height, width in grids:
            for dim in DIMENSIONS:
                keys = drawn_keys(rng, kind, height, width, dim)
                yield f"{kind} {height}x{width}, {dim} numbers", (height, width), keys


def model_cases(
    model: Path, pictures: list[Path], longer_side: int = 224
) -> Iterator[tuple[str, tuple[int, int], Floats]]:
    """Name, grid and keys that a model of models/ computes for pictures."""
    import onnxruntime

    manifest = json.loads((model / "manifest.json").read_text(encoding="utf-8"))
    patch = manifest["architecture"]["patchSize"]
    session = onnxruntime.InferenceSession(
        model / manifest["file"]["path"], providers=["CPUExecutionProvider"]
    )
    for path in pictures:
        with Image.open(path) as stored:
            image = ImageOps.exif_transpose(stored).convert("RGB")
        scale = longer_side / max(image.size) / patch
        width, height = (max(1, round(side * scale)) for side in image.size)
        pixels = np.asarray(image.resize((width * patch, height * patch)), np.uint8)
        (keys,) = session.run(["keys"], {"pixels": pixels[None]})
        sha256 = manifest["file"]["sha256"][:12]
        yield f"{path.name} by {manifest['name']} {sha256}", (height, width), keys[0].astype(float)


def whole_keys(keys: Floats) -> NDArray[np.int8]:
    """Keys in whole numbers -127..127."""
    return np.round(127 * keys / np.abs(keys).max()).astype(np.int8)


def case_document(name: str, grid: tuple[int, int], keys: Floats) -> Case:
    """A case for the file: keys in whole numbers, and the masks of exactly these."""
    whole = whole_keys(keys)
    return {
        "name": name,
        "height": grid[0],
        "width": grid[1],
        "keys": base64.b64encode(whole.tobytes()).decode("ascii"),
        **masks_of(whole.astype(float), grid),
    }


def masks_of(keys: Floats, grid: tuple[int, int]) -> Case:
    """The masks of every method; the click lies, and the box is, in the middle."""
    box = middle_box(grid)
    return {
        "tokencut": text_of(tokencut(keys, grid)),
        "lost": text_of(lost(keys, grid)),
        "maskcut": [mask_text(mask) for mask in maskcut(keys, grid)],
        "deep-spectral": [mask_text(mask) for mask in deep_spectral(keys, grid)],
        "point": text_of(point_mask(keys, grid, middle_patch(grid))),
        "box": text_of(box_mask(keys, grid, box)),
    }


def middle_patch(grid: tuple[int, int]) -> int:
    """The patch in the middle, or right below and right of it."""
    return grid[0] // 2 * grid[1] + grid[1] // 2


def middle_box(grid: tuple[int, int]) -> Bools:
    """A box of a quarter to three quarters of the patches of each side, rounded down."""
    box = np.zeros(grid, bool)
    box[grid[0] // 4 : 3 * grid[0] // 4, grid[1] // 4 : 3 * grid[1] // 4] = True
    return box


def text_of(mask: Bools | None) -> str | None:
    """A mask as text, None where there is none."""
    return None if mask is None else mask_text(mask)


def keys_of(case: dict) -> Floats:
    """The keys of a case of the file, [n, D]."""
    whole = np.frombuffer(base64.b64decode(case["keys"]), np.int8)
    return whole.reshape(case["height"] * case["width"], -1).astype(float)


PICTURES = (
    # height and width of the picture, rows and columns of the patches
    ((24, 32), (4, 5)),
    ((40, 27), (5, 3)),
    ((33, 33), (3, 3)),
    ((9, 50), (2, 9)),
    ((5, 6), (8, 10)),
    ((1, 1), (2, 3)),
)


def drawn_pictures(seed: int = 11) -> Iterator[tuple[str, Bytes, Bools]]:
    """Name, pixels and a mask of patches: noisy pictures of an ellipse, roughly covered."""
    rng = np.random.default_rng(seed)
    for (height, width), (rows, columns) in PICTURES:
        y, x = np.mgrid[0:height, 0:width]
        ellipse = ((y + 0.5) / height - 0.45) ** 2 + ((x + 0.5) / width - 0.55) ** 2 < 0.09
        colours = rng.integers(0, 256, (2, 3))
        noise = rng.normal(0, 14, (height, width, 3))
        rgb = np.clip(colours[ellipse.astype(int)] + noise, 0, 255).astype(np.uint8)
        share = np.zeros((rows, columns))
        np.add.at(share, (cell_of(height, rows)[:, None], cell_of(width, columns)), ellipse)
        yield f"{width}x{height} px, {columns}x{rows} patches", rgb, share > 0.3 * share.max()


def picture_document(name: str, rgb: Bytes, mask: Bools) -> Case:
    """A case for the file: the solution on cells of 3 px, and the refined mask."""
    target = mask[cell_of(len(rgb), len(mask))][:, cell_of(rgb.shape[1], mask.shape[1])]
    solution = bilateral_solve(rgb, target.astype(float), BilateralOptions(sigma_spatial=3))
    return {
        "name": name,
        "height": rgb.shape[0],
        "width": rgb.shape[1],
        "rgb": base64.b64encode(rgb.tobytes()).decode("ascii"),
        "mask": mask_text(mask),
        "solution": base64.b64encode(solution.astype("<f4").tobytes()).decode("ascii"),
        "refined": mask_text(refine_masks(rgb, [mask])[0]),
    }


def pixels_of(case: dict) -> Bytes:
    """The pixels of a picture of the file, [height, width, 3]."""
    stored = np.frombuffer(base64.b64decode(case["rgb"]), np.uint8)
    return stored.reshape(case["height"], case["width"], 3)
