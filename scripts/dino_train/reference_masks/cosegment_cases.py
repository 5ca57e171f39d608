"""Test cases of co-segmentation: features of images, and what the reference finds in them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from .cases import Case, whole_keys
from .cosegment import CosegmentOptions, cosegment
from .parts import Floats, mask_text

GRIDS = ((9, 12), (12, 9), (10, 10), (8, 14))
# Grid, keys [n, D] and attention [heads, n] of an image.
Look = tuple[tuple[int, int], Floats, Floats]


def drawn_looks(rng: np.random.Generator, kind: str, dim: int = 12) -> tuple[list[Look], list]:
    """Features of four images, and where the common object is.

    Args:
        rng: source of the noise.
        kind: `common` (a disc of one kind on grounds of their own; another salient thing in one
            image), `missing` (the same, but one image lacks the disc), `alone` (a salient thing in
            one image only), `blank` (all patches alike) or `random`.
        dim: length of a key.
    """
    looks, truths = [], []
    disc_direction, other = np.linalg.qr(rng.standard_normal((dim, dim)))[0][:2]
    for index, (height, width) in enumerate(GRIDS):
        rows, columns = np.mgrid[0:height, 0:width]
        centre = rng.uniform(0.35, 0.65, 2) * (height, width)
        radius = min(height, width) * rng.uniform(0.22, 0.3)
        disc = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
        if kind == "alone" or (kind == "missing" and index == 2):
            disc = np.zeros_like(disc)
        odd = np.zeros_like(disc)
        if index == 1 and kind != "blank":
            odd[:3, :3] = ~disc[:3, :3]
        ground = rng.standard_normal(dim)
        ground /= np.linalg.norm(ground)
        noise = 0.15 * rng.standard_normal((height, width, dim)) / np.sqrt(dim / 12)
        if kind == "blank":
            noise *= 0
        keys = np.where(disc[..., None], disc_direction, np.where(odd[..., None], other, ground))
        keys = rng.standard_normal(keys.shape) if kind == "random" else keys + noise
        weights = 0.02 + 0.3 * disc + 0.4 * odd + 0.01 * rng.random((3, height, width))
        if kind == "blank":
            weights = np.ones((3, height, width))
        attention = (weights / weights.sum((1, 2), keepdims=True)).reshape(3, -1)
        looks.append(((height, width), keys.reshape(-1, dim), attention))
        truths.append(disc)
    return looks, truths


KINDS = ("common", "missing", "alone", "blank", "random")


def model_looks(model: Path, pictures: list[Path], longer_side: int = 192) -> list[Look]:
    """What a model of models/ computes for pictures."""
    import onnxruntime

    manifest = json.loads((model / "manifest.json").read_text(encoding="utf-8"))
    patch = manifest["architecture"]["patchSize"]
    session = onnxruntime.InferenceSession(
        model / manifest["file"]["path"], providers=["CPUExecutionProvider"]
    )
    looks = []
    for path in pictures:
        with Image.open(path) as stored:
            image = ImageOps.exif_transpose(stored).convert("RGB")
        scale = longer_side / max(image.size) / patch
        width, height = (max(1, round(side * scale)) for side in image.size)
        pixels = np.asarray(image.resize((width * patch, height * patch)), np.uint8)
        keys, attention = session.run(["keys", "attention"], {"pixels": pixels[None]})
        looks.append(((height, width), keys[0].astype(float), attention[0].astype(float)))
    return looks


def cosegment_cases(model: Path, pictures: list[Path]) -> Iterator[tuple[str, list[Look]]]:
    """Name and features of every case."""
    rng = np.random.default_rng(21)
    for kind in KINDS:
        yield kind, drawn_looks(rng, kind)[0]
    yield "pictures by the bundled model", model_looks(model, pictures)


def look_document(look: Look) -> Case:
    """The features of an image for the file: keys in whole numbers, attention in float32."""
    (height, width), keys, attention = look
    return {
        "height": height,
        "width": width,
        "keys": base64.b64encode(whole_keys(keys).tobytes()).decode("ascii"),
        "attention": base64.b64encode(attention.astype("<f4").tobytes()).decode("ascii"),
    }


def look_of(case: dict) -> Look:
    """The features of an image of the file."""
    grid = (case["height"], case["width"])
    keys = np.frombuffer(base64.b64decode(case["keys"]), np.int8).astype(float)
    attention = np.frombuffer(base64.b64decode(case["attention"]), "<f4").astype(float)
    patches = grid[0] * grid[1]
    return grid, keys.reshape(patches, -1), attention.reshape(-1, patches)


def found_document(looks: list[Look], options: CosegmentOptions | None = None) -> Case:
    """What the reference finds: the masks as text, and the number of clusters."""
    masks, clusters = cosegment([look[1:] for look in looks], options)
    texts = [mask_text(mask.reshape(look[0])) for mask, look in zip(masks, looks, strict=True)]
    return {"clusters": clusters, "masks": texts}


def cosegment_document(name: str, looks: list[Look]) -> Case:
    """A case for the file: features, and what the reference finds in exactly these."""
    images = [look_document(look) for look in looks]
    return {"name": name, "images": images, **found_document([look_of(image) for image in images])}
