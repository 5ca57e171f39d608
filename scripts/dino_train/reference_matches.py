"""Best matches of the patches of two images, plain and log-binned, in plain NumPy.

The service's correspondences are tested against these. `python -m dino_train.reference_matches
OUT.json` writes the test cases: random features, drawn ones and keys of a model on pictures of
test/golden.
"""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from dino_train.reference_masks.cases import drawn_keys, model_cases
from dino_train.reference_masks.parts import Floats

Grid = tuple[int, int]
# A case: its name, and features [n, D] with their grid for each of two images.
Case = tuple[str, tuple[Floats, Grid], tuple[Floats, Grid]]


def cosines(first: Floats, second: Floats) -> Floats:
    """Cosine of every row of [n1, D] and every row of [n2, D]; 0 where a row is zero."""
    units = []
    for rows in (first, second):
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        units.append(np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0))
    return units[0] @ units[1].T


def log_bins(features: Floats, grid: Grid) -> Floats:
    """Descriptors with their surroundings (arXiv:2112.05814), laid out one bin after another.

    Args:
        features: [n, D], n = height * width patches row by row.
        grid: height and width in patches.

    Returns:
        [n, 17 * D]: the features of the 3 x 3 patches around each, then the means of the 8 squares
        of 3 x 3 patches three steps away. Beyond the edge lies the outermost patch.
    """
    height, width = grid
    image = features.reshape(height, width, -1)
    means = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            square = image[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
            means[y, x] = square.mean(axis=(0, 1))
    rows = []
    for y in range(height):
        for x in range(width):
            bins = []
            for level, step in ((image, 1), (means, 3)):
                for down in (-step, 0, step):
                    for right in (-step, 0, step):
                        if step == 3 and down == right == 0:
                            continue
                        row = min(max(y + down, 0), height - 1)
                        column = min(max(x + right, 0), width - 1)
                        bins.append(level[row, column])
            rows.append(np.concatenate(bins))
    return np.stack(rows)


def best_buddies(similarity: Floats) -> list[tuple[int, int, float]]:
    """Pairs of rows and columns that are each other's best, with their scores, best first."""
    of_rows = similarity.argmax(axis=1)
    of_columns = similarity.argmax(axis=0)
    pairs = [
        (row, int(column), float(similarity[row, column]))
        for row, column in enumerate(of_rows)
        if of_columns[column] == row
    ]
    return sorted(pairs, key=lambda pair: -pair[2])


def shifted(keys: Floats, grid: Grid, down: int, right: int) -> Floats:
    """The features of an image whose contents moved; what leaves on one side comes in again."""
    image = keys.reshape(*grid, -1)
    return np.roll(image, (down, right), (0, 1)).reshape(len(keys), -1)


def mirrored(keys: Floats, grid: Grid) -> Floats:
    """The features of the image in a mirror."""
    return keys.reshape(*grid, -1)[:, ::-1].reshape(len(keys), -1)


def drawn_pairs(seed: int = 11) -> Iterator[Case]:
    """The cases without a model."""
    rng = np.random.default_rng(seed)
    for grids in (((5, 7), (6, 4)), ((1, 9), (8, 3)), ((10, 10), (10, 10))):
        features = [rng.standard_normal((height * width, 8)) for height, width in grids]
        name = "random {}x{} and {}x{}".format(*grids[0], *grids[1])
        yield name, (features[0], grids[0]), (features[1], grids[1])
    for kind in ("disc", "weak", "outliers"):
        grid = (9, 12)
        keys = drawn_keys(rng, kind, *grid, 12)
        yield f"{kind}, moved", (keys, grid), (shifted(keys, grid, 2, -3), grid)
        yield f"{kind}, in a mirror", (keys, grid), (mirrored(keys, grid), grid)


def model_pairs(model: Path, pictures: list[Path]) -> Iterator[Case]:
    """Each picture with the next, by a model of models/."""
    looked = list(model_cases(model, pictures, longer_side=192))
    for (name, grid, keys), (other, other_grid, other_keys) in pairwise(looked):
        yield f"{name} and {other}", (keys, grid), (other_keys, other_grid)


def image_document(keys: Floats, grid: Grid) -> dict[str, object]:
    """An image for the file: features in whole numbers -127..127."""
    whole = np.round(127 * keys / np.abs(keys).max()).astype(np.int8)
    values = base64.b64encode(whole.tobytes()).decode("ascii")
    return {"height": grid[0], "width": grid[1], "values": values}


def features_of(image: dict) -> tuple[Floats, Grid]:
    """The features and the grid of an image of the file."""
    whole = np.frombuffer(base64.b64decode(image["values"]), np.int8)
    grid = (image["height"], image["width"])
    return whole.reshape(grid[0] * grid[1], -1).astype(float), grid


def answers(first: dict, second: dict) -> dict[str, object]:
    """What is to be found in two images of the file, plain and binned."""
    found = {}
    for name, of in (("plain", lambda features, grid: features), ("binned", log_bins)):
        similarity = cosines(*(of(*features_of(image)) for image in (first, second)))
        buddies = best_buddies(similarity)
        found[name] = {
            "pairs": [[row, column, round(score, 6)] for row, column, score in buddies],
            "first": np.round(similarity.max(axis=1), 6).tolist(),
            "second": np.round(similarity.max(axis=0), 6).tolist(),
        }
    return found


def case_document(case: Case) -> dict[str, object]:
    """A case for the file, with what is to be found in exactly its numbers."""
    name, *images = case
    first, second = (image_document(*image) for image in images)
    return {"name": name, "images": [first, second], **answers(first, second)}


def main(arguments: list[str] | None = None) -> None:
    """Writes the file of test cases."""
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", type=Path, default=root / "models" / "dino-vitmicro16-photos")
    options = parser.parse_args(arguments)
    golden = root / "test" / "golden"
    pictures = sorted(path for path in golden.iterdir() if path.suffix in {".png", ".jpg"})
    cases = [*drawn_pairs(), *model_pairs(options.model, pictures[:3])]
    document = {
        "madeBy": "python -m dino_train.reference_matches, in scripts/",
        "cases": [case_document(case) for case in cases],
    }
    options.out.write_text(json.dumps(document) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
