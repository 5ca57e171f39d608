"""Batches of multi-crop views whose content depends only on seed, epoch and image."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from .data import ImageStore
from .multicrop import MultiCropOptions, multi_crop


class EpochSampler(Sampler):
    """Shuffles by seed and epoch, so that a resumed run sees the same order."""

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.seed = seed
        self.epoch = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.size)
        return ((self.epoch, int(index)) for index in order)

    def __len__(self) -> int:
        return self.size


class MultiCropDataset(Dataset):
    """Views of an image, addressed by (epoch, index)."""

    def __init__(self, store: ImageStore, crops: MultiCropOptions, seed: int) -> None:
        self.store = store
        self.crops = crops
        self.seed = seed

    def __getitem__(self, key: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        epoch, index = key
        rng = random.Random(f"{self.seed}/{epoch}/{index}")
        return multi_crop(self.store[index], self.crops, rng)

    def __len__(self) -> int:
        return len(self.store)


def stack_views(samples: list[tuple[np.ndarray, np.ndarray]]) -> list[Tensor]:
    """Stacks views of B images view-major, one uint8 tensor [views * B, S, S, 3] per resolution."""
    groups = []
    for views in zip(*samples, strict=True):
        stacked = np.stack(views, axis=1)
        if stacked.shape[0]:
            groups.append(torch.from_numpy(stacked.reshape(-1, *stacked.shape[2:])))
    return groups


def build_loader(
    store: ImageStore, crops: MultiCropOptions, batch_size: int, seed: int, num_workers: int
) -> tuple[DataLoader, EpochSampler]:
    """Creates the loader and the sampler whose `epoch` is to be set before each pass.

    Args:
        store: images.
        crops: views per image.
        batch_size: images per batch; an incomplete last batch is dropped.
        seed: of order and views.
        num_workers: processes; 0 prepares views in the caller.
    """
    sampler = EpochSampler(len(store), seed)
    loader = DataLoader(
        MultiCropDataset(store, crops, seed),
        batch_size=batch_size,
        sampler=sampler,
        collate_fn=stack_views,
        num_workers=num_workers,
        drop_last=True,
        persistent_workers=False,
        prefetch_factor=4 if num_workers else None,
    )
    return loader, sampler
