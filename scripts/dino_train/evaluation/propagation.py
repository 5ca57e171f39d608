"""Labels carried from frame to frame by the similarity of patches (paper, section 4.2.2).

After Jabri et al. 2020 (arXiv:2006.14613), with the settings of the DINO authors.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class PropagationOptions:
    """How labels are propagated.

    Attributes:
        n_last_frames: frames before the present one that labels come from, beside the first.
        size_mask_neighborhood: patches up to so far away, in rows and columns; 0 takes all.
        topk: labels come from so many most similar patches.
        temperature: of the exponential of similarities, > 0.
    """

    n_last_frames: int = 7
    size_mask_neighborhood: int = 12
    topk: int = 5
    temperature: float = 0.1


def neighbourhood(rows: int, columns: int, size: int) -> Tensor:
    """Whether two patches are within `size` rows and columns of each other: [h*w, h*w] bool."""
    y = torch.arange(rows).repeat_interleave(columns)
    x = torch.arange(columns).repeat(rows)
    return ((y[:, None] - y).abs() <= size) & ((x[:, None] - x).abs() <= size)


def propagate(
    target: Tensor,
    sources: list[Tensor],
    labels: list[Tensor],
    near: Tensor | None,
    options: PropagationOptions,
) -> Tensor:
    """Labels of a frame's patches as a weighted mean of those of the most similar patches.

    Args:
        target: [h*w, D] features of unit length.
        sources: the same of the frames that labels come from.
        labels: [C, h*w] of the same frames.
        near: [h*w, h*w] bool, of neighbourhood; None takes all.
        options: see PropagationOptions.

    Returns:
        [C, h*w].
    """
    # Weights [sources * h*w, h*w]: a column per patch of the target.
    weights = torch.cat([source @ target.T for source in sources]).div(options.temperature).exp()
    if near is not None:
        weights *= near.repeat(len(sources), 1)
    least = weights.topk(min(options.topk, len(weights)), dim=0).values[-1]
    weights[weights < least] = 0
    return torch.cat(labels, dim=1) @ (weights / weights.sum(dim=0))


def follow(
    features: Iterable[Tensor], first: Tensor, grid: tuple[int, int], options: PropagationOptions
) -> Iterator[Tensor]:
    """Follows the objects of a first frame through a video.

    Args:
        features: [h*w, D] patch features per frame, the first frame's first.
        first: [C, h*w] labels of the first frame, one-hot.
        grid: (h, w).
        options: see PropagationOptions.

    Yields:
        [C, h*w] labels of the second frame and on.
    """
    size = options.size_mask_neighborhood
    near = neighbourhood(*grid, size).float() if size else None
    frames = (F.normalize(frame, dim=1) for frame in features)
    anchor = next(frames)
    last: deque[tuple[Tensor, Tensor]] = deque(maxlen=options.n_last_frames)
    for frame in frames:
        sources = [anchor, *(feature for feature, _ in last)]
        labels = [first, *(label for _, label in last)]
        found = propagate(frame, sources, labels, near, options)
        last.append((frame, found))
        yield found


def to_mask(labels: Tensor, grid: tuple[int, int], patch: int) -> Tensor:
    """Enlarges labels to pixels and takes each pixel's strongest: [h*patch, w*patch] uint8.

    Each label's map is stretched to 0..1 first.

    Args:
        labels: [C, h*w].
        grid: (h, w).
        patch: side of a patch in pixels.
    """
    maps = F.interpolate(
        labels.reshape(1, -1, *grid), scale_factor=patch, mode="bilinear", align_corners=False
    )[0]
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    # A label that is nowhere stays at zero.
    stretched = torch.where(high > 0, (maps - low) / (high - low).clamp(min=1e-12), maps)
    return stretched.argmax(dim=0).to(torch.uint8)
