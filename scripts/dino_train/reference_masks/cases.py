"""TokenCut and LOST as their papers and authors' code state them: plain, slow, in NumPy.

The service's masks are tested against these. `python -m dino_train.reference_masks OUT.json`
writes the test cases: drawn and random features, and keys of a model on the pictures of
test/golden.
"""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

EPSILON = 1e-5
# Entries of the eigenvector count as equal within these shares of the largest.
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


def tokencut(keys: Floats, grid: tuple[int, int], tau: float = 0.2) -> Bools | None:
    """TokenCut (arXiv:2202.11539), `ncut` of its authors, with the whole matrix and `eigh`.

    Args:
        keys: [n, D], n = height * width patches row by row.
        grid: height and width in patches.
        tau: cosine above which two patches are joined.

    Returns:
        The mask, [height, width]; None where every two patches are joined, or no two.
    """
    n = len(keys)
    lengths = np.linalg.norm(keys, axis=1, keepdims=True)
    unit = np.divide(keys, lengths, out=np.zeros_like(keys), where=lengths > 0)
    joined = unit @ unit.T > tau
    others = joined[~np.eye(n, dtype=bool)]
    if others.all() or not others.any():
        return None
    weights = np.where(joined, 1.0, EPSILON)
    root = np.sqrt(weights.sum(axis=1))
    # (D - W) y = lambda D y is the symmetric problem of D^-1/2 (D - W) D^-1/2, with y = D^-1/2 z.
    laplacian = np.eye(n) - weights / root[:, None] / root[None, :]
    _, vectors = np.linalg.eigh(laplacian)
    cut = vectors[:, 1] / root
    largest = np.abs(cut).max()
    side = np.sign(cut - cut.mean())
    best = np.zeros(grid, bool)
    # The authors take one of the largest entries: where several are equal, rounding chooses.
    for seed in np.flatnonzero(np.abs(cut) >= largest * (1 - TIE)):
        foreground = side[seed] * (cut - cut.mean()) > LEVEL * largest
        part = component_of(foreground.reshape(grid), divmod(int(seed), grid[1]))
        if part.sum() > best.sum():
            best = part
    return best


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


def case_document(name: str, grid: tuple[int, int], keys: Floats) -> dict[str, object]:
    """A case for the file: keys in whole numbers -127..127, and the masks of exactly these."""
    whole = np.round(127 * keys / np.abs(keys).max()).astype(np.int8)
    exact = whole.astype(float)
    masks = {"tokencut": tokencut(exact, grid), "lost": lost(exact, grid)}
    return {
        "name": name,
        "height": grid[0],
        "width": grid[1],
        "keys": base64.b64encode(whole.tobytes()).decode("ascii"),
        **{method: None if mask is None else mask_text(mask) for method, mask in masks.items()},
    }


def mask_text(mask: Bools) -> str:
    """Row by row, # inside and . outside, rows apart by a blank."""
    return " ".join("".join("#" if inside else "." for inside in row) for row in mask)


def keys_of(case: dict) -> Floats:
    """The keys of a case of the file, [n, D]."""
    whole = np.frombuffer(base64.b64decode(case["keys"]), np.int8)
    return whole.reshape(case["height"] * case["width"], -1).astype(float)


def main(arguments: list[str] | None = None) -> None:
    """Writes the file of test cases."""
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", type=Path, default=root / "models" / "dino-vitt16-photos")
    options = parser.parse_args(arguments)
    golden = root / "test" / "golden"
    pictures = sorted(path for path in golden.iterdir() if path.suffix in {".png", ".jpg"})
    cases = [*drawn_cases(), *model_cases(options.model, pictures)]
    document = {
        "madeBy": "python -m dino_train.reference_masks, in scripts/",
        "cases": [case_document(*case) for case in cases],
    }
    options.out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
