"""A page of attention maps: what each head of a checkpoint's teacher looks at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from .checkpoint import load_teacher
from .curves import PlotError
from .data import center_crop
from .export import normalise
from .scenes import golden_scenes

SIDE_FACTOR = 2


def drawn_scenes() -> dict[str, Image.Image]:
    """The project's own drawings, upright."""
    return {
        name.partition(".")[0].partition("-")[0]: ImageOps.exif_transpose(_as_saved(scene, options))
        for name, (scene, options) in golden_scenes().items()
    }


def _as_saved(scene: Image.Image, options: Mapping[str, object]) -> Image.Image:
    if "exif" in options:
        scene = scene.copy()
        scene.getexif().update(options["exif"])
    return scene


def open_images(paths: list[Path]) -> dict[str, Image.Image]:
    """Opens images upright and in RGB.

    Raises:
        PlotError: if one cannot be read.
    """
    images = {}
    for path in paths:
        try:
            images[path.stem] = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        except (OSError, ValueError) as error:
            raise PlotError(f"cannot read image {path}: {error}") from error
    return images


@torch.inference_mode()
def draw_attention(checkpoint: Path, images: Mapping[str, Image.Image], side: int = 0) -> Figure:
    """Draws each image, the mean attention of the CLS token over heads, and that of each head.

    Args:
        checkpoint: of train.py.
        images: RGB by name; the centre square is shown.
        side: of that square in pixels, rounded to whole patches; 0 takes twice the global crops.

    Raises:
        CheckpointError: if the checkpoint cannot be read.
        PlotError: if its network has no attention, as a ResNet.
    """
    loaded = load_teacher(checkpoint)
    patch = getattr(loaded.backbone, "patch_size", None)
    if patch is None:
        raise PlotError(f"{loaded.arch} of {checkpoint} has no attention to draw")
    side = side or SIDE_FACTOR * loaded.options["global_crops_size"]
    grid = max(side // patch, 1)
    squares = [center_crop(image, grid * patch, grid * patch) for image in images.values()]
    pixels = normalise(torch.from_numpy(np.stack(squares)))
    # [B, heads, rows, columns], a share of the whole attention each.
    maps = loaded.backbone.features(pixels).attention.unflatten(-1, (grid, grid)).numpy()
    heads = maps.shape[1]
    figure = Figure(figsize=(1.6 * (heads + 2), 1.6 * len(squares) + 0.5), layout="constrained")
    axes = figure.subplots(len(squares), heads + 2, squeeze=False)
    epoch = loaded.training["epochs"]
    figure.suptitle(
        f"{loaded.arch}/{patch}, epoch {epoch}: attention of the CLS token", fontsize=10
    )
    titles = ["image", "mean", *(f"head {head}" for head in range(heads))]
    for row, (square, attention) in enumerate(zip(squares, maps, strict=True)):
        pictures = [square, attention.mean(axis=0), *attention]
        for column, picture in enumerate(pictures):
            panel = axes[row][column]
            panel.imshow(picture, cmap=None if column == 0 else "inferno")
            panel.set_axis_off()
            if row == 0:
                panel.set_title(titles[column], fontsize=8)
    return figure
