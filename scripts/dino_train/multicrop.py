"""Multi-crop of DINO (paper, appendix; the authors' DataAugmentationDINO): what to do to each view.

Parameters are drawn here, for many images at once, and carried out by augment_sample.py (PIL, one
view at a time) or augment_batch.py (PyTorch, all views at once). An image's parameters come from
the seed, the epoch and the image's number alone: not from workers, ranks or the order of images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import permutations

import numpy as np

# The paper blurs with a radius of up to 2 px on 224 px global and 96 px local crops; other crop
# sizes scale the radius, so that small crops keep their content.
GLOBAL_BLUR_REFERENCE = 224
LOCAL_BLUR_REFERENCE = 96
MAX_BLUR_RADIUS = 2.0
MIN_BLUR_RADIUS = 0.1

GLOBAL_VIEWS = 2
FLIP_ODDS = 0.5
JITTER_ODDS = 0.8
GREY_ODDS = 0.2
GLOBAL_BLUR_ODDS = (1.0, 0.1)
LOCAL_BLUR_ODDS = 0.5
SOLARIZE_ODDS = (0.0, 0.2)
# Brightness, contrast and saturation are factors around 1; hue is a part of a turn around 0.
JITTER_STRENGTH = np.array([0.4, 0.4, 0.2, 0.1])
BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)
JITTER_ORDERS = np.array(list(permutations(range(4))))

CROP_TRIES = 10
LOG_ASPECT = float(np.log(4 / 3))
DRAWS = 2 * CROP_TRIES + 13


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

    @property
    def views(self) -> int:
        """Views per image."""
        return GLOBAL_VIEWS + self.local_crops_number


@dataclass(frozen=True)
class ViewParameters:
    """What to do to N images to get V views of each, globals first.

    Attributes:
        box: [N, V, 4] left, top, width and height of the region in pixels.
        flip: [N, V] mirror left to right.
        jitter: [N, V] change the colours.
        factors: [N, V, 4] of brightness, contrast, saturation and hue.
        order: [N, V, 4] which of these comes first, second, third and last.
        grey: [N, V] drop the colours.
        blur: [N, V] standard deviation of the Gaussian in pixels; 0 = none.
        solarize: [N, V] invert bright pixels.
    """

    box: np.ndarray
    flip: np.ndarray
    jitter: np.ndarray
    factors: np.ndarray
    order: np.ndarray
    grey: np.ndarray
    blur: np.ndarray
    solarize: np.ndarray

    def select(self, views: slice) -> ViewParameters:
        """Parameters of some of the views."""
        return self._map(lambda values: values[:, views])

    def flatten(self) -> ViewParameters:
        """Parameters of all views in one row [V * N, ...], view by view."""
        return self._map(lambda values: values.swapaxes(0, 1).reshape(-1, *values.shape[2:]))

    def rows(self, rows: np.ndarray) -> ViewParameters:
        """Some of the rows."""
        return self._map(lambda values: values[rows])

    def _map(self, change: Callable[[np.ndarray], np.ndarray]) -> ViewParameters:
        return ViewParameters(*(change(getattr(self, field.name)) for field in fields(self)))


def draw_views(
    sizes: np.ndarray, keys: np.ndarray, options: MultiCropOptions, seed: int, epoch: int
) -> ViewParameters:
    """Draws the parameters of all views of a batch.

    Args:
        sizes: [N, 2] height and width of each image in pixels.
        keys: [N] number of each image in its data set, 0 to 2**64 - 1.
        options: sizes and numbers of views.
        seed: of the run, 0 to 2**32 - 1.
        epoch: from 0.
    """
    u = np.stack([_uniforms(seed, epoch, int(key), options.views) for key in keys])
    low, high = np.array(
        [options.global_crops_scale] * GLOBAL_VIEWS
        + [options.local_crops_scale] * options.local_crops_number
    ).T
    local = [LOCAL_BLUR_ODDS] * options.local_crops_number
    blur_odds = np.array([*GLOBAL_BLUR_ODDS, *local])
    solarize_odds = np.array([*SOLARIZE_ODDS, *[0.0] * options.local_crops_number])
    unit = np.array(
        [options.global_crops_size / GLOBAL_BLUR_REFERENCE] * GLOBAL_VIEWS
        + [options.local_crops_size / LOCAL_BLUR_REFERENCE] * options.local_crops_number
    )
    flip, jitter, grey, blur, radius, solarize, order = np.moveaxis(u[..., -11:-4], -1, 0)
    factors = (2 * u[..., -4:] - 1) * JITTER_STRENGTH
    factors[..., :HUE] += 1
    radius = (MIN_BLUR_RADIUS + (MAX_BLUR_RADIUS - MIN_BLUR_RADIUS) * radius) * unit
    return ViewParameters(
        box=_crop_boxes(sizes, u[..., : 2 * CROP_TRIES + 2], low, high),
        flip=flip < FLIP_ODDS,
        jitter=jitter < JITTER_ODDS,
        factors=factors,
        order=JITTER_ORDERS[(order * len(JITTER_ORDERS)).astype(int)],
        grey=grey < GREY_ODDS,
        blur=np.where(blur < blur_odds, radius, 0.0),
        solarize=solarize < solarize_odds,
    )


def _uniforms(seed: int, epoch: int, key: int, views: int) -> np.ndarray:
    # Philox is keyed, so that each image has a stream of its own and creating one costs little.
    bits = np.random.Philox(key=np.array([seed << 32 | epoch, key], np.uint64))
    return np.random.Generator(bits).random((views, DRAWS))


def _crop_boxes(sizes: np.ndarray, u: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Boxes of torchvision's RandomResizedCrop with aspect 3/4 to 4/3.

    The first of ten tries that fits counts. When none does, which happens with long images, it is
    the largest centred region of an allowed aspect.
    """
    height, width = (sizes[:, i, None].astype(float) for i in (0, 1))
    area = (height * width)[..., None] * (
        low[:, None] + (high - low)[:, None] * u[..., :CROP_TRIES]
    )
    aspect = np.exp(LOG_ASPECT * (2 * u[..., CROP_TRIES : 2 * CROP_TRIES] - 1))
    w, h = np.rint(np.sqrt(area * aspect)), np.rint(np.sqrt(area / aspect))
    fits = (w > 0) & (h > 0) & (w <= width[..., None]) & (h <= height[..., None])
    first = fits.argmax(-1)[..., None]
    fallback_w = np.maximum(np.minimum(width, np.rint(height * 4 / 3)), 1)
    fallback_h = np.maximum(np.minimum(height, np.rint(width * 4 / 3)), 1)
    found = fits.any(-1)
    w = np.where(found, np.take_along_axis(w, first, -1)[..., 0], fallback_w)
    h = np.where(found, np.take_along_axis(h, first, -1)[..., 0], fallback_h)
    left = np.where(found, np.floor(u[..., -2] * (width - w + 1)), (width - w) // 2)
    top = np.where(found, np.floor(u[..., -1] * (height - h + 1)), (height - h) // 2)
    return np.stack((left, top, w, h), -1).astype(np.int64)
