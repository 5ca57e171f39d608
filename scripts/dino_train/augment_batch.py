"""Views drawn by PyTorch for a whole batch at once, on the device of the model.

The same parameters as in augment_sample.py give the same views, but for rounding: nothing is
rounded to whole levels after the crop, the hue is exact, and the blur is a true Gaussian where PIL
has three box filters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from .export import IMAGENET_MEAN, IMAGENET_STD
from .image_store import ImagePack
from .multicrop import GLOBAL_VIEWS, MultiCropOptions, ViewParameters
from .pixel_ops import (
    adjust_brightness_,
    adjust_contrast_,
    adjust_hue_,
    adjust_saturation_,
    gaussian_blur,
    solarized,
    to_grey,
)
from .resample import Regions, resize_regions

# In the order of ViewParameters.factors.
_ADJUST = (adjust_brightness_, adjust_contrast_, adjust_saturation_, adjust_hue_)


def render_batch(
    pack: ImagePack, views: ViewParameters, options: MultiCropOptions, device: torch.device
) -> list[Tensor]:
    """Draws all views of N images, normalised by ImageNet's mean and deviation.

    Returns:
        Globals [2 * N, 3, S, S] and, when there are any, locals [L * N, 3, s, s]; float, the first
        view of all images before the second view of the first.
    """
    groups = [_render_group(pack, views, slice(0, GLOBAL_VIEWS), options.global_crops_size, device)]
    if options.local_crops_number:
        local = slice(GLOBAL_VIEWS, options.views)
        groups.append(_render_group(pack, views, local, options.local_crops_size, device))
    return groups


def _render_group(
    pack: ImagePack, views: ViewParameters, which: slice, size: int, device: torch.device
) -> Tensor:
    flat = views.select(which).flatten()
    image = np.tile(np.arange(len(pack)), which.stop - which.start)
    # Views with the same order of colour changes come to lie side by side.
    order = np.lexsort((*flat.order.T, flat.jitter))
    flat = flat.rows(order)
    regions = Regions(image[order], flat.box, flat.flip)
    pixels = resize_regions(pack, regions, size, device)
    augment(pixels, flat)
    mean = torch.tensor(IMAGENET_MEAN, device=device).view(3, 1, 1)
    std = torch.tensor(IMAGENET_STD, device=device).view(3, 1, 1)
    where = _to_device(order, device)
    return torch.empty_like(pixels).index_copy_(0, where, pixels.sub_(mean).div_(std))


def augment(pixels: Tensor, views: ViewParameters) -> None:
    """Jitters, greys, blurs and solarises images in place.

    Args:
        pixels: float [N, 3, S, S] in [0, 1].
        views: parameters [N, ...]; faster when equal orders of jitter are neighbours.
    """
    factors = _to_device(views.factors.astype(np.float32), pixels.device)
    for start, end in _runs(views):
        for step in views.order[start]:
            _ADJUST[step](pixels[start:end], factors[start:end, step])
    grey, blur, solarize = views.grey, views.blur > 0, views.solarize
    widest = float(views.blur.max())
    sigma = _to_device(views.blur.astype(np.float32), pixels.device)
    _change(pixels, grey, lambda part, _: to_grey(part).expand_as(part))
    _change(pixels, blur, lambda part, rows: gaussian_blur(part, sigma[rows], widest))
    _change(pixels, solarize, lambda part, _: solarized(part))


def _change(pixels: Tensor, chosen: np.ndarray, change: Callable[[Tensor, Tensor], Tensor]) -> None:
    # The choice is made on the host: a device that had to tell would have to be waited for.
    (rows,) = np.nonzero(chosen)
    if len(rows):
        where = _to_device(rows, pixels.device)
        pixels.index_copy_(0, where, change(pixels.index_select(0, where), where))


def _runs(views: ViewParameters) -> Iterator[tuple[int, int]]:
    """Where neighbours are jittered in the same order."""
    marks = np.where(views.jitter, views.order @ [64, 16, 4, 1], -1)
    edges = np.flatnonzero(np.diff(marks)) + 1
    for start, end in pairwise((0, *edges.tolist(), len(marks))):
        if views.jitter[start]:
            yield start, end


def _to_device(array: np.ndarray, device: torch.device) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
