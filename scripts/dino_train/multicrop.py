"""Multi-crop augmentation of DINO on PIL images (paper, appendix; official DataAugmentationDINO).

All randomness comes from one `random.Random`, so a view depends on its seed alone and not on worker
processes or the order of images.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

# The paper blurs with a radius of up to 2 px on 224 px global and 96 px local crops; other crop
# sizes scale the radius, so that small crops keep their content.
GLOBAL_BLUR_REFERENCE = 224
LOCAL_BLUR_REFERENCE = 96
MAX_BLUR_RADIUS = 2.0
MIN_BLUR_RADIUS = 0.1


@dataclass(frozen=True)
class MultiCropOptions:
    """Sizes and numbers of views.

    Attributes:
        global_crops_scale: range of area fractions of the two global views, within (0, 1].
        local_crops_scale: the same for local views.
        local_crops_number: local views per image, >= 0.
        global_crops_size: side in pixels of global views.
        local_crops_size: side in pixels of local views.
    """

    global_crops_scale: tuple[float, float] = (0.4, 1.0)
    local_crops_scale: tuple[float, float] = (0.05, 0.4)
    local_crops_number: int = 8
    global_crops_size: int = 224
    local_crops_size: int = 96

    def __post_init__(self) -> None:
        for low, high in (self.global_crops_scale, self.local_crops_scale):
            if not 0 < low <= high <= 1:
                raise ValueError(f"crop scale must satisfy 0 < low <= high <= 1: {low}, {high}")
        if self.local_crops_number < 0:
            raise ValueError("local_crops_number must not be negative")


def random_resized_crop(
    image: Image.Image, size: int, scale: tuple[float, float], rng: random.Random
) -> Image.Image:
    """Cuts a random region with aspect 3/4 to 4/3 and resizes it to size x size (bicubic).

    Args:
        image: RGB.
        size: side of the result in pixels.
        scale: range of the region's share of the image's area, within (0, 1].
        rng: source of randomness.
    """
    width, height = image.size
    for _ in range(10):
        area = width * height * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = rng.randint(0, width - w), rng.randint(0, height - h)
            break
    else:
        # Very long images: the largest centred square stands in.
        w = h = min(width, height)
        left, top = (width - w) // 2, (height - h) // 2
    box = (left, top, left + w, top + h)
    return image.resize((size, size), Image.Resampling.BICUBIC, box=box)


def color_jitter(image: Image.Image, rng: random.Random) -> Image.Image:
    """Brightness and contrast by 0.4, saturation by 0.2, hue by 0.1, in random order."""

    def shift_hue(picture: Image.Image, turn: float) -> Image.Image:
        hsv = np.array(picture.convert("HSV"))
        hsv[..., 0] += np.uint8(round(turn * 255) % 256)
        return Image.fromarray(hsv, "HSV").convert("RGB")

    steps = [
        (lambda p, f: ImageEnhance.Brightness(p).enhance(f), rng.uniform(0.6, 1.4)),
        (lambda p, f: ImageEnhance.Contrast(p).enhance(f), rng.uniform(0.6, 1.4)),
        (lambda p, f: ImageEnhance.Color(p).enhance(f), rng.uniform(0.8, 1.2)),
        (shift_hue, rng.uniform(-0.1, 0.1)),
    ]
    rng.shuffle(steps)
    for apply, factor in steps:
        image = apply(image, factor)
    return image


def _augment(
    image: Image.Image,
    size: int,
    scale: tuple[float, float],
    blur_probability: float,
    solarize_probability: float,
    blur_reference: int,
    rng: random.Random,
) -> np.ndarray:
    view = random_resized_crop(image, size, scale, rng)
    if rng.random() < 0.5:
        view = ImageOps.mirror(view)
    if rng.random() < 0.8:
        view = color_jitter(view, rng)
    if rng.random() < 0.2:
        view = view.convert("L").convert("RGB")
    if rng.random() < blur_probability:
        radius = rng.uniform(MIN_BLUR_RADIUS, MAX_BLUR_RADIUS) * size / blur_reference
        view = view.filter(ImageFilter.GaussianBlur(radius))
    if rng.random() < solarize_probability:
        view = ImageOps.solarize(view)
    return np.array(view)


def multi_crop(
    image: Image.Image, options: MultiCropOptions, rng: random.Random
) -> tuple[np.ndarray, np.ndarray]:
    """Draws two global and several local views of an image.

    Args:
        image: RGB.
        options: sizes and numbers.
        rng: source of randomness.

    Returns:
        Globals [2, S, S, 3] and locals [L, s, s, 3], uint8.
    """
    globals_ = [
        _augment(
            image,
            options.global_crops_size,
            options.global_crops_scale,
            blur,
            solarize,
            GLOBAL_BLUR_REFERENCE,
            rng,
        )
        for blur, solarize in ((1.0, 0.0), (0.1, 0.2))
    ]
    size = options.local_crops_size
    locals_ = [
        _augment(image, size, options.local_crops_scale, 0.5, 0.0, LOCAL_BLUR_REFERENCE, rng)
        for _ in range(options.local_crops_number)
    ]
    empty = np.empty((0, size, size, 3), np.uint8)
    return np.stack(globals_), np.stack(locals_) if locals_ else empty
