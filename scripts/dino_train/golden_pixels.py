"""JPEGs of every kind that the service scales itself, and the pixels that Pillow makes of them."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
from PIL import Image, ImageOps

from .manifest import write_json

EXAMPLE = """example:
  python scripts/golden_pixels.py --out test/golden/pixels
"""
ORIENTATION = 0x0112


class Scaling(NamedTuple):
    """Upright sizes in pixels; the window is left, top, width and height in the target.

    `shrink` is 1, 2, 4 or 8: the part of its size at which the JPEG is decoded.
    """

    target: tuple[int, int]
    window: tuple[int, int, int, int]
    shrink: int = 1


def draw(width: int, height: int, block: int = 11) -> Image.Image:
    """Draws blocks of random colours, many of them so extreme that a kernel overshoots."""
    rng = np.random.default_rng([width, height])
    shape = (-(-height // block), -(-width // block), 3)
    colours = np.clip(rng.integers(-128, 384, shape), 0, 255).astype(np.uint8)
    blocks = colours.repeat(block, axis=0).repeat(block, axis=1)[:height, :width]
    return Image.fromarray(blocks)


def pictures() -> dict[str, tuple[Image.Image, dict[str, Any]]]:
    """Returns each file's picture as it is stored and how it is saved."""
    photo = draw(143, 97)
    files: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "444.jpg": (photo, {"subsampling": "4:4:4"}),
        "422.jpg": (photo, {"subsampling": "4:2:2"}),
        "420.jpg": (photo, {"subsampling": "4:2:0"}),
        "progressive.jpg": (photo, {"progressive": True}),
        "restarts.jpg": (photo, {"restart_marker_blocks": 3}),
        "rgb.jpg": (photo, {"keep_rgb": True}),
        "grey.jpg": (photo.convert("L"), {}),
        "column.jpg": (draw(1, 300), {}),
        "row.jpg": (draw(300, 1), {}),
        "pixel.jpg": (draw(1, 1), {}),
    }
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        files[f"exif{orientation}.jpg"] = (photo, {"exif": exif})
        if orientation in (3, 6):
            files[f"large-exif{orientation}.jpg"] = (draw(640, 424, 61), {"exif": exif})
    return files


def scalings(name: str, width: int, height: int) -> list[Scaling]:
    """Returns what is done with a picture of this upright size."""

    def whole(target_width: int, target_height: int, shrink: int = 1) -> Scaling:
        target = (target_width, target_height)
        return Scaling(target, (0, 0, *target), shrink)

    if name.startswith("large"):
        shapes = [(width // 5, height // 5, 2), (width // 9, height // 8, 4), (25, 26, 8)]
        return [whole(width // 3, height // 4), *(whole(*shape) for shape in shapes)]
    if min(width, height) == 1:
        return [whole(64, 48), whole(width, height), Scaling((700, 700), (690, 3, 10, 500))]
    return [
        whole(64, 48),
        whole(width, height),
        whole(width, 40),
        whole(200, height),
        Scaling((63, 50), (7, 9, 31, 40)),
        Scaling((403, 299), (100, 1, 224, 224)),
    ]


def scale(path: Path, scaling: Scaling) -> Image.Image:
    """Scales a JPEG by Pillow alone: `draft` decodes it at a part of its size."""
    image = Image.open(path)
    whole = image.size
    image.draft(image.mode, tuple(side // scaling.shrink for side in whole))
    # Elsewhere libvips has one pixel less: nothing to compare with.
    assert all(part * scaling.shrink == side for part, side in zip(image.size, whole, strict=True))
    upright = ImageOps.exif_transpose(image).convert("RGB")
    resized = upright.resize(scaling.target, Image.Resampling.BICUBIC)
    window_left, window_top, width, height = scaling.window
    return resized.crop((window_left, window_top, window_left + width, window_top + height))


def expected(folder: Path) -> Iterator[dict[str, Any]]:
    """Yields a record for each scaling of each picture in a folder."""
    for name, (image, options) in pictures().items():
        orientation = options.get("exif", {}).get(ORIENTATION, 1)
        width, height = image.size if orientation < 5 else image.size[::-1]
        for scaling in scalings(name, width, height):
            pixels = scale(folder / name, scaling).tobytes()
            yield {
                "file": name,
                "source": [width, height],
                **scaling._asdict(),
                "sha256": hashlib.sha256(pixels).hexdigest(),
            }


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the pictures and expected.json."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    out = parser.parse_args(argv).out
    out.mkdir(parents=True, exist_ok=True)
    for name, (image, options) in pictures().items():
        image.save(out / name, quality=60, **options)
    made_by = f"Pillow {PIL.__version__}: SHA-256 of the RGB bytes of the window"
    write_json(out / "expected.json", {"madeBy": made_by, "cases": list(expected(out))})
    print(f"{len(pictures())} pictures in {out}")
    return 0
