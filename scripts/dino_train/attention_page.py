"""A page of attention maps: what each head of a network looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from torch import nn

from .checkpoint import load_teacher
from .curves import PlotError
from .data import center_crop
from .export import normalise
from .import_onnx import load_backbone, open_model_folder
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


@dataclass(frozen=True)
class Subject:
    """A network to look at.

    Attributes:
        backbone: in evaluation mode; has `features`.
        title: for the page.
        views: side in pixels of what it is used to.
    """

    backbone: nn.Module
    title: str
    views: int


def open_subject(path: Path) -> Subject:
    """Reads a checkpoint of train.py, or an installed model's folder.

    Raises:
        CheckpointError, ModelError: if it cannot be read.
        PlotError: if its network has no attention, as a ResNet.
    """
    if path.is_dir():
        folder = open_model_folder(path)
        backbone = load_backbone(folder)
        name, views = folder.manifest["name"], folder.manifest["preprocessing"]["crop"]
    else:
        loaded = load_teacher(path)
        backbone, views = loaded.backbone, loaded.options["global_crops_size"]
        name = f"{loaded.arch}, epoch {loaded.training['epochs']}"
    if not hasattr(backbone, "patch_size"):
        raise PlotError(f"{path}: {name} has no attention to draw")
    return Subject(backbone.eval(), name, views)


@torch.inference_mode()
def draw_attention(subject: Subject, images: Mapping[str, Image.Image], side: int = 0) -> Figure:
    """Draws each image, the mean attention of the CLS token over heads, and that of each head.

    Args:
        subject: whose attention.
        images: RGB by name; the centre square is shown.
        side: of that square in pixels, rounded to whole patches; 0 takes twice the subject's views.
    """
    patch = subject.backbone.patch_size
    grid = max((side or SIDE_FACTOR * subject.views) // patch, 1)
    squares = [center_crop(image, grid * patch, grid * patch) for image in images.values()]
    pixels = normalise(torch.from_numpy(np.stack(squares)))
    # [B, heads, rows, columns], a share of the whole attention each.
    maps = subject.backbone.features(pixels).attention.unflatten(-1, (grid, grid)).numpy()
    heads = maps.shape[1]
    figure = Figure(figsize=(1.6 * (heads + 2), 1.6 * len(squares) + 0.5), layout="constrained")
    axes = figure.subplots(len(squares), heads + 2, squeeze=False)
    figure.suptitle(f"{subject.title}: attention of the CLS token", fontsize=10)
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
