"""Regions of images of different sizes, resized to squares: antialiased bicubic, as PIL's.

A region is cut first, so that pixels outside of it have no influence. Each output pixel is a
weighted mean of the input pixels under a cubic (a = -0.5) that is as wide as the output's pitch,
but no narrower than the input's; rows and columns are resized one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .image_store import ImagePack

CUBIC_A = -0.5
CUBIC_REACH = 2
# Regions that are resized in one product on an accelerator: bounds its memory to about half a GB
# at views of 224 px.
PRODUCT_CHUNK = 64


@dataclass(frozen=True)
class Regions:
    """N regions of a pack of images.

    Attributes:
        image: [N] which image each is of.
        box: [N, 4] left, top, width and height in pixels.
        flip: [N] mirror left to right.
    """

    image: np.ndarray
    box: np.ndarray
    flip: np.ndarray


def resize_regions(pack: ImagePack, regions: Regions, size: int, device: torch.device) -> Tensor:
    """Cuts and resizes regions of images to float [N, 3, size, size] in [0, 1] on a device."""
    if device.type == "cpu":
        return resize_one_by_one(pack, regions, size)
    return resize_by_products(pack, regions, size, device)


def resize_one_by_one(pack: ImagePack, regions: Regions, size: int) -> Tensor:
    """Resizes by PyTorch's uint8 kernel for CPUs; like PIL, it counts in whole levels."""
    flat = pack.pixels.numpy()
    count = len(regions.box)
    resized = torch.empty(count, size, size, 3, dtype=torch.uint8)
    offsets, sizes = pack.offsets[regions.image], pack.sizes[regions.image]
    for n in range(count):
        (left, top, width, height), (rows, columns) = regions.box[n], sizes[n]
        image = flat[offsets[n] : offsets[n] + rows * columns * 3].reshape(rows, columns, 3)
        region = np.ascontiguousarray(image[top : top + height, left : left + width])
        view = F.interpolate(
            torch.from_numpy(region).permute(2, 0, 1)[None],
            (size, size),
            mode="bicubic",
            antialias=True,
        )
        if regions.flip[n]:
            view = view.flip(-1)
        resized[n] = view[0].permute(1, 2, 0)
    planes = resized.permute(0, 3, 1, 2)
    return planes.to(torch.float32, memory_format=torch.contiguous_format).mul_(1 / 255)


def resize_by_products(
    pack: ImagePack, regions: Regions, size: int, device: torch.device
) -> Tensor:
    """Resizes by two matrix products for many regions at once, without rounding."""
    pixels = pack.pixels.to(device, non_blocking=True).view(-1, 3)
    left, top, width, height = regions.box.T
    # Where each region's first pixel lies, and how far its rows are apart, in pixels.
    pitch = pack.sizes[regions.image, 1]
    begin = pack.offsets[regions.image] // 3 + top * pitch + left
    # Regions of a like size share a chunk, so that little is padded.
    order = np.argsort(width * height, kind="stable")
    resized = torch.empty(len(order), 3, size, size, device=device)
    for at in range(0, len(order), PRODUCT_CHUNK):
        rows = order[at : at + PRODUCT_CHUNK]
        table = np.stack(
            (begin[rows], pitch[rows], width[rows], height[rows], rows, regions.flip[rows])
        )
        table = torch.from_numpy(table)
        if device.type == "cuda":
            table = table.pin_memory().to(device, non_blocking=True)
        begins, pitches, widths, heights, targets, flips = table
        x = torch.arange(int(width[rows].max()), device=device)
        y = torch.arange(int(height[rows].max()), device=device)
        # Beyond a region the weights are 0; there its last pixel is read.
        row = torch.minimum(y, heights[:, None] - 1) * pitches[:, None] + begins[:, None]
        column = torch.minimum(x, widths[:, None] - 1)
        cut = pixels[row[:, :, None] + column[:, None, :]].permute(0, 3, 1, 2).float()
        across = cubic_weights(widths, len(x), size)
        down = cubic_weights(heights, len(y), size)
        across = torch.where(flips[:, None, None] > 0, across.flip(1), across)
        narrow = (cut @ across[:, None].mT).clamp_(0, 255)
        resized[targets] = (down[:, None] @ narrow).clamp_(0, 255).mul_(1 / 255)
    return resized


def cubic_weights(lengths: Tensor, columns: int, size: int) -> Tensor:
    """Weights that resize rows of `lengths` pixels to `size` pixels.

    Args:
        lengths: [N] pixels of each row, >= 1.
        columns: pixels of the longest, or more.
        size: pixels wanted.

    Returns:
        Float [N, size, columns]; each row sums to 1 and is 0 beyond its length.
    """
    lengths = lengths.float()[:, None, None]
    pitch = lengths / size
    width = pitch.clamp(min=1)
    centre = (torch.arange(size, device=lengths.device).float()[None, :, None] + 0.5) * pitch
    at = torch.arange(columns, device=lengths.device).float() + 0.5
    distance = ((at - centre) / width).abs_()
    a = CUBIC_A
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = a * (((distance - 5) * distance + 8) * distance - 4)
    weights = torch.where(distance < 1, near, torch.where(distance < CUBIC_REACH, far, 0))
    weights = weights * (at < lengths)
    return weights / weights.sum(-1, keepdim=True)
