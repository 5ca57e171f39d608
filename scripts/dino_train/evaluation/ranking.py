"""Average precision of ranked lists, as retrieval benchmarks define it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np


def average_precision(ranks: Sequence[int], positives: int) -> float:
    """Area under the precision-recall curve by trapezoids (Philbin et al. 2007).

    Args:
        ranks: places of the positives that were found, ascending, from 0.
        positives: how many there are in the database, >= 1.

    Returns:
        In [0, 1].
    """
    area = 0.0
    for found, rank in enumerate(ranks):
        before = found / rank if rank else 1.0
        area += (before + (found + 1) / (rank + 1)) / 2
    return area / positives


def ranks_without_junk(
    order: np.ndarray, positives: Collection[int], junk: Collection[int]
) -> np.ndarray:
    """Places of the positives once junk images are taken out of the list.

    Args:
        order: indices of the database, best first.
        positives: indices that are right.
        junk: indices that count neither as right nor as wrong.

    Returns:
        Ascending places from 0.
    """
    is_junk = np.isin(order, list(junk))
    places = np.flatnonzero(np.isin(order, list(positives)))
    return places - np.cumsum(is_junk)[places]


def precision_at(ranks: np.ndarray, k: int) -> float:
    """Share of positives among the first k, as the Revisited benchmark counts it.

    Where the last positive comes before the k-th place, the list is taken to end with it.

    Args:
        ranks: places of all positives from 0, ascending, at least one.
        k: >= 1.
    """
    cut = min(int(ranks.max()) + 1, k)
    return float((ranks < cut).sum() / cut)
