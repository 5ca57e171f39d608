"""Co-segmentation after Amir et al. 2021 (arXiv:2112.05814, section 4.2), as their code states it.

Code: cosegmentation.py of https://github.com/ShirAmir/dino-vit-features. In place of faiss' random
starts the centres are found by fast global k-means (Likas et al. 2003), so that the answer is one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .parts import Bools, Floats

SAMPLE = 2048
CANDIDATES = 256
ROUNDS = 100


@dataclass(frozen=True)
class CosegmentOptions:
    """The authors' parameters.

    Attributes:
        elbow: share that the mean squared distance has to fall below for one cluster more.
        saliency: mean saliency above which a cluster is salient in an image.
        votes: share of the images in which a cluster has to be salient.
        clusters: most clusters.
    """

    elbow: float = 0.975
    saliency: float = 0.065
    votes: float = 0.75
    clusters: int = 14


def spread(rows: Floats, most: int) -> Floats:
    """Rows spread evenly over all."""
    count = len(rows)
    return rows if count <= most else rows[np.arange(most) * count // most]


def squared_distances(first: Floats, second: Floats) -> Floats:
    """[len(first), len(second)], by differences and not by the binomial formula."""
    return np.stack([((second - row) ** 2).sum(1) for row in first])


def k_means(rows: Floats, centres: Floats) -> Floats:
    """Lloyd's rounds until no row changes its centre; a centre without rows stays."""
    before = None
    for _ in range(ROUNDS):
        labels = squared_distances(rows, centres).argmin(1)
        if before is not None and (labels == before).all():
            break
        before = labels
        for label in range(len(centres)):
            if (labels == label).any():
                centres[label] = rows[labels == label].mean(0)
    return centres


def cluster_by_elbow(rows: Floats, elbow: float, most: int) -> tuple[NDArray[np.int64], int]:
    """Labels of all rows, and the number of clusters."""
    sample = spread(rows, SAMPLE)
    candidates = spread(sample, CANDIDATES)
    between = squared_distances(candidates, sample)
    centres = sample.mean(0, keepdims=True)
    to_centres = squared_distances(rows, centres)
    before = to_centres.min(1).mean()
    for _ in range(2, most + 1):
        nearest = squared_distances(sample, centres).min(1)
        gains = np.maximum(0, nearest - between).sum(1)
        centres = k_means(sample, np.vstack((centres, candidates[gains.argmax()])))
        to_centres = squared_distances(rows, centres)
        now = to_centres.min(1).mean()
        if now >= elbow * before:
            break
        before = now
    return to_centres.argmin(1), len(centres)


def cosegment(
    images: list[tuple[Floats, Floats]], options: CosegmentOptions | None = None
) -> tuple[list[Bools], int]:
    """The common foreground of images.

    Args:
        images: of each its keys [n, D] and the attention [heads, n] of the CLS token.
        options: default: the authors'.

    Returns:
        A flat mask per image, all False where it has no patch of a common cluster; and the number
        of clusters.
    """
    options = options or CosegmentOptions()
    units = []
    saliencies = []
    for keys, attention in images:
        lengths = np.linalg.norm(keys, axis=1, keepdims=True)
        units.append(keys / np.where(lengths == 0, 1, lengths))
        mean = attention.mean(0)
        span = mean.max() - mean.min()
        saliencies.append((mean - mean.min()) / span if span > 0 else np.zeros_like(mean))
    labels, count = cluster_by_elbow(np.vstack(units), options.elbow, options.clusters)
    ends = np.cumsum([len(rows) for rows in units])[:-1]
    by_image = np.split(labels, ends)
    votes = np.zeros(count)
    for own, saliency in zip(by_image, saliencies, strict=True):
        for label in range(count):
            inside = own == label
            if inside.any() and saliency[inside].mean() > options.saliency:
                votes[label] += 1
    common = votes >= max(1, math.ceil(len(images) * options.votes))
    return [common[own] for own in by_image], count
