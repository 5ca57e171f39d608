"""Images of folders and local tar shards, read in any order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from torch.utils.data import Dataset, Sampler

from .data import DataError, list_samples
from .image_store import ImageStore
from .view_source import Batch, InputOptions, open_workers, prepare_batch, raise_failures


class EpochOrder(Sampler):
    """The image numbers of each step of one rank, shuffled by seed and epoch.

    The steps of all ranks, one behind the other, are the steps of a single process with a batch as
    large as theirs together. What does not fill a whole batch is left out of the epoch.
    """

    def __init__(
        self, images: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.images = images
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.first_step = 0

    @property
    def steps(self) -> int:
        """Steps of a whole epoch."""
        return self.images // (self.batch_size * self.world_size)

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.images)
        for step in range(self.first_step, self.steps):
            start = (step * self.world_size + self.rank) * self.batch_size
            yield self.epoch, order[start : start + self.batch_size]

    def __len__(self) -> int:
        return self.steps - self.first_step


class IndexedImages(Dataset):
    """Batches of a store, addressed by (epoch, image numbers)."""

    def __init__(self, store: ImageStore, options: InputOptions) -> None:
        self.store = store
        self.options = options

    def __getitem__(self, step: tuple[int, np.ndarray]) -> Batch | DataError:
        epoch, indices = step
        try:
            return prepare_batch(self.store.pack(indices), self.options, epoch)
        except DataError as error:
            return error

    def __len__(self) -> int:
        return len(self.store)


class IndexedSource:
    """Folders and local shards, whose images are read in any order."""

    def __init__(self, options: InputOptions) -> None:
        samples = list_samples(options.data_path)
        self.store = ImageStore(
            samples, options.max_short_side, options.cache_bytes, options.max_bad_images
        )
        if options.augment == "batch":
            self.store.move_kept(options.device)
        self.images = len(self.store)
        self.images_by_source = dict(Counter(sample.source for sample in self.store.samples))
        self.bad_images = self.store.bad_images
        self.order = EpochOrder(
            self.images, options.batch_size, options.seed, options.rank, options.world_size
        )
        # A kept set needs no worker to hand out images as they are.
        workers = options.num_workers
        if options.augment == "batch" and self.store.kept is not None:
            workers = 0
        self.loader = open_workers(IndexedImages(self.store, options), options, workers, self.order)

    def batches(self, epoch: int, first_step: int) -> Iterator[Batch]:
        """The batches of this rank from `first_step` to the end of the epoch."""
        self.order.epoch, self.order.first_step = epoch, first_step
        return raise_failures(self.loader)
