"""Views drawn by PIL, one at a time: the reference for augment_batch.py."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from .multicrop import GLOBAL_VIEWS, HUE, MultiCropOptions, ViewParameters


def resized_crop(image: Image.Image, box: np.ndarray, size: int) -> Image.Image:
    """Cuts a region (left, top, width, height) and resizes it to size x size (PIL bicubic).

    Cutting comes first, as in torchvision: pixels outside of the region have no influence.
    """
    left, top, width, height = map(int, box)
    region = image.crop((left, top, left + width, top + height))
    return region.resize((size, size), Image.Resampling.BICUBIC)


def shift_hue(image: Image.Image, turn: float) -> Image.Image:
    """Turns the hue by a part of a circle, -0.5 to 0.5."""
    hsv = np.array(image.convert("HSV"))
    hsv[..., 0] += np.uint8(round(turn * 255) % 256)
    return Image.fromarray(hsv, "HSV").convert("RGB")


_ADJUST = (
    lambda image, factor: ImageEnhance.Brightness(image).enhance(factor),
    lambda image, factor: ImageEnhance.Contrast(image).enhance(factor),
    lambda image, factor: ImageEnhance.Color(image).enhance(factor),
    shift_hue,
)
assert len(_ADJUST) == HUE + 1


def color_jitter(image: Image.Image, factors: np.ndarray, order: np.ndarray) -> Image.Image:
    """Applies brightness, contrast, saturation and hue by `factors`, in the order given."""
    for step in order:
        image = _ADJUST[step](image, float(factors[step]))
    return image


def render_view(image: Image.Image, views: ViewParameters, n: int, v: int, size: int) -> np.ndarray:
    """Draws view `v` of image `n` of a batch; returns uint8 [size, size, 3]."""
    view = resized_crop(image, views.box[n, v], size)
    if views.flip[n, v]:
        view = ImageOps.mirror(view)
    if views.jitter[n, v]:
        view = color_jitter(view, views.factors[n, v], views.order[n, v])
    if views.grey[n, v]:
        view = view.convert("L").convert("RGB")
    if views.blur[n, v]:
        view = view.filter(ImageFilter.GaussianBlur(float(views.blur[n, v])))
    if views.solarize[n, v]:
        view = ImageOps.solarize(view)
    return np.array(view)


def render_samples(
    images: list[Image.Image], views: ViewParameters, options: MultiCropOptions
) -> list[np.ndarray]:
    """Draws all views of N RGB images.

    Returns:
        Globals [2 * N, S, S, 3] and, when there are any, locals [L * N, s, s, 3]; uint8, the first
        view of all images before the second view of the first.
    """
    groups = []
    for size, numbers in (
        (options.global_crops_size, range(GLOBAL_VIEWS)),
        (options.local_crops_size, range(GLOBAL_VIEWS, options.views)),
    ):
        if numbers:
            drawn = [
                render_view(image, views, n, v, size)
                for v in numbers
                for n, image in enumerate(images)
            ]
            groups.append(np.stack(drawn))
    return groups
