"""Region similarity J and contour accuracy F of DAVIS (Perazzi et al. 2016, section 4.1).

The definitions are those of https://github.com/davisvideochallenge/davis2017-evaluation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Contours match within this share of the image's diagonal.
BOUNDARY_TOLERANCE = 0.008


@dataclass(frozen=True)
class Statistics:
    """Scores of an object over the frames of a video.

    Attributes:
        mean: over frames.
        recall: share of frames above 0.5.
        decay: mean of the first quarter of frames less that of the last.
    """

    mean: float
    recall: float
    decay: float


def region_similarity(mask: np.ndarray, truth: np.ndarray) -> float:
    """J: intersection over union of [H, W] bool masks; 1 where both are empty."""
    union = (mask | truth).sum()
    return float((mask & truth).sum() / union) if union else 1.0


def boundary_map(mask: np.ndarray) -> np.ndarray:
    """The pixels of [H, W] bool that differ from their right, lower or lower right neighbour.

    The image goes on beyond its edges as it is there.
    """
    grown = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    here = grown[:-1, :-1]
    return (here ^ grown[:-1, 1:]) | (here ^ grown[1:, :-1]) | (here ^ grown[1:, 1:])


def dilate(mask: np.ndarray, radius: int) -> np.ndarray:
    """All pixels within a Euclidean distance of `radius` pixels of a set pixel of [H, W] bool."""
    height, width = mask.shape
    result = np.zeros_like(mask)
    for dy in range(-radius, radius + 1):
        reach = math.isqrt(radius * radius - dy * dy)
        # Pixels of a row whose neighbourhood of `reach` to both sides has a set pixel.
        sums = np.pad(mask.cumsum(axis=1), ((0, 0), (1, 0)))
        left = np.maximum(np.arange(width) - reach, 0)
        right = np.minimum(np.arange(width) + reach + 1, width)
        wide = sums[:, right] > sums[:, left]
        top, bottom = max(dy, 0), min(height + dy, height)
        result[top:bottom] |= wide[top - dy : bottom - dy]
    return result


def contour_accuracy(mask: np.ndarray, truth: np.ndarray) -> float:
    """F: harmonic mean of precision and recall of the contours of [H, W] bool masks.

    A point of a contour is right where the other contour passes within BOUNDARY_TOLERANCE of the
    diagonal, rounded up to whole pixels.
    """
    radius = math.ceil(BOUNDARY_TOLERANCE * math.hypot(*mask.shape))
    found, wanted = boundary_map(mask), boundary_map(truth)
    if not found.any() and not wanted.any():
        return 1.0
    if not found.any() or not wanted.any():
        return 0.0
    precision = (found & dilate(wanted, radius)).sum() / found.sum()
    recall = (wanted & dilate(found, radius)).sum() / wanted.sum()
    total = precision + recall
    return float(2 * precision * recall / total) if total else 0.0


def statistics(scores: np.ndarray) -> Statistics:
    """Mean, recall and decay of the scores [frames] of an object."""
    edges = np.round(np.linspace(1, len(scores), 5) + 1e-10).astype(int) - 1
    first, last = scores[edges[0] : edges[1] + 1], scores[edges[3] : edges[4] + 1]
    return Statistics(
        float(scores.mean()), float((scores > 0.5).mean()), float(first.mean() - last.mean())
    )
