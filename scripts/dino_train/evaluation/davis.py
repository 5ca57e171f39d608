"""The layout of DAVIS 2017: frames and indexed masks of videos."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .error import EvaluationError

RESOLUTION = "480p"


@dataclass(frozen=True)
class Video:
    """A video with the true masks of its objects.

    Attributes:
        name: of its folder.
        frames: photos in order.
        masks: an indexed PNG per frame: 0 is background, 1, 2, ... are objects, 255 is void.
    """

    name: str
    frames: list[Path]
    masks: list[Path]


def list_videos(root: Path, split: str) -> list[Video]:
    """The videos that ROOT/ImageSets/2017/SPLIT.txt names.

    Raises:
        EvaluationError: if a file or folder is missing, or a frame has no mask.
    """
    names = root / "ImageSets" / "2017" / f"{split}.txt"
    if not names.is_file():
        raise EvaluationError(f"{root} is not laid out as DAVIS 2017: there is no {names}")
    videos = []
    for name in names.read_text(encoding="utf-8").split():
        folder = root / "JPEGImages" / RESOLUTION / name
        frames = sorted(folder.glob("*.jpg"))
        if len(frames) < 3:
            raise EvaluationError(
                f"{folder} has {len(frames)} frames; a video needs 3, as the first and last of "
                "them are not scored"
            )
        masks = [root / "Annotations" / RESOLUTION / name / f"{f.stem}.png" for f in frames]
        for mask in masks:
            if not mask.is_file():
                raise EvaluationError(f"{name}: there is no {mask}")
        videos.append(Video(name, frames, masks))
    if not videos:
        raise EvaluationError(f"{names} names no videos")
    return videos


def read_labels(path: Path) -> tuple[Image.Image, np.ndarray]:
    """An indexed mask: as an image, and its labels [H, W] uint8.

    Raises:
        EvaluationError: if it is neither indexed nor grey.
    """
    with Image.open(path) as mask:
        if mask.mode not in {"P", "L"}:
            raise EvaluationError(f"{path} is no indexed PNG, but {mask.mode}")
        mask.load()
        return mask.copy(), np.array(mask)


def write_labels(path: Path, labels: np.ndarray, palette: list[int]) -> None:
    """Writes labels [H, W] as an indexed PNG with RGB values of a palette in a row."""
    picture = Image.fromarray(labels.astype(np.uint8), "L")
    picture.putpalette(palette)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def standard_palette() -> list[int]:
    """The colours of Pascal VOC and DAVIS: bits of the label spread over red, green and blue."""
    palette = []
    for label in range(256):
        colour = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                colour[channel] |= ((label >> (3 * bit + channel)) & 1) << (7 - bit)
        palette += colour
    return palette
