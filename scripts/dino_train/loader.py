"""Batches of multi-crop views on the device of the model."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from .augment_sample import render_samples
from .bad_images import BadImages
from .data import DataError, list_samples
from .export import normalise
from .image_store import ImagePack, ImageStore
from .multicrop import MultiCropOptions, draw_views
from .stopping import leave_signals_to_the_trainer


@dataclass(frozen=True)
class InputOptions:
    """Where images come from and what is made of them.

    Attributes:
        data_path: folders and tar shards.
        crops: views per image.
        batch_size: images per step of this process.
        seed: of order and views, 0 to 2**32 - 1.
        device: where the views are wanted.
        num_workers: processes that prepare images; 0 = the caller's own.
        rank: number of this process among those that train together, from 0.
        world_size: how many train together.
        augment: `sample` draws each view by PIL, in the workers; `batch` all at once on the device.
        cache_bytes: images are decoded once and kept when they fit.
        max_bad_images: share of unreadable images to go on with, in [0, 1].
    """

    data_path: Sequence[str]
    crops: MultiCropOptions
    batch_size: int
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    num_workers: int = 0
    rank: int = 0
    world_size: int = 1
    augment: str = "sample"
    cache_bytes: int = 4 << 30
    max_bad_images: float = 0.0


@dataclass(frozen=True)
class SampleViews:
    """Views drawn in a worker: uint8 [views * B, S, S, 3] per resolution."""

    groups: list[Tensor]
    bad: tuple[str, ...] = ()

    def pin_memory(self) -> SampleViews:
        """The same in page-locked memory, from where a GPU fetches by itself."""
        return SampleViews([group.pin_memory() for group in self.groups], self.bad)


def draw_sample_views(
    pack: ImagePack, crops: MultiCropOptions, seed: int, epoch: int
) -> SampleViews:
    """Draws all views of a pack of images by PIL."""
    views = draw_views(pack.sizes, pack.keys, crops, seed, epoch)
    images = [Image.fromarray(image.numpy()) for image in pack.images()]
    groups = render_samples(images, views, crops)
    return SampleViews([torch.from_numpy(group) for group in groups], pack.bad)


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

    def __getitem__(self, step: tuple[int, np.ndarray]) -> SampleViews | ImagePack:
        epoch, indices = step
        pack = self.store.pack(indices)
        if self.options.augment == "batch":
            return pack
        return draw_sample_views(pack, self.options.crops, self.options.seed, epoch)

    def __len__(self) -> int:
        return len(self.store)


class ImageSource(Protocol):
    """Batches of images or views, epoch by epoch.

    Attributes:
        images: in an epoch of all ranks.
        images_by_source: the same per folder or shard, by file name.
        bad_images: unreadable ones found so far.
    """

    images: int
    images_by_source: dict[str, int]
    bad_images: BadImages

    def steps(self) -> int:
        """Steps of a whole epoch."""

    def batches(self, epoch: int, first_step: int) -> Iterator[SampleViews | ImagePack]:
        """The batches of this rank from `first_step` to the end of the epoch."""


class IndexedSource:
    """Folders and local shards, whose images are read in any order."""

    def __init__(self, options: InputOptions) -> None:
        samples = list_samples(options.data_path)
        self.store = ImageStore(
            samples,
            # Twice the view size keeps random crops sharp and bounds the memory of big photos.
            2 * options.crops.global_crops_size,
            options.cache_bytes,
            options.max_bad_images,
        )
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
        self.loader = DataLoader(
            IndexedImages(self.store, options),
            batch_size=None,
            sampler=self.order,
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            worker_init_fn=leave_signals_to_the_trainer,
            pin_memory=bool(workers) and options.device.type == "cuda",
        )

    def steps(self) -> int:
        """Steps of a whole epoch."""
        return self.order.steps

    def batches(self, epoch: int, first_step: int) -> Iterator[SampleViews | ImagePack]:
        """The batches of this rank from `first_step` to the end of the epoch."""
        self.order.epoch, self.order.first_step = epoch, first_step
        return iter(self.loader)


class ViewLoader:
    """Iterates over the steps of an epoch: a list of views per resolution, globals first.

    Views are normalised floats [views * B, 3, S, S] on the device of the model; the first view of
    all images comes before the second view of the first.

    Args:
        options: of the input.

    Attributes:
        images: in an epoch of all ranks together.
        images_by_source: the same per folder or shard, by file name.
        bad_images: unreadable images found so far.
        input_wait: seconds that the last or present pass spent on waiting for views.

    Raises:
        DataError: if there are no images, too few for a batch, or too many cannot be read.
    """

    def __init__(self, options: InputOptions) -> None:
        self.options = options
        self.source: ImageSource = IndexedSource(options)
        self.images = self.source.images
        self.images_by_source = self.source.images_by_source
        self.bad_images = self.source.bad_images
        self.input_wait = 0.0
        self._epoch, self._first_step = 0, 0
        if not len(self):
            whole = options.batch_size * options.world_size
            raise DataError(
                f"{self.images} images are fewer than a batch of {whole}; "
                "lower --batch_size_per_gpu or add images"
            )

    def __len__(self) -> int:
        """Steps of a whole epoch."""
        return self.source.steps()

    def set_epoch(self, epoch: int, first_step: int = 0) -> None:
        """Chooses what the next pass goes over.

        Args:
            epoch: from 0; order and views follow from it and the seed.
            first_step: where to begin, to go on within an epoch.
        """
        self._epoch, self._first_step = epoch, first_step

    def __iter__(self) -> Iterator[list[Tensor]]:
        self.input_wait = 0.0
        started = time.monotonic()
        for batch in self.source.batches(self._epoch, self._first_step):
            self.bad_images.add(batch.bad)
            views = self._finish(batch)
            self.input_wait += time.monotonic() - started
            yield views
            started = time.monotonic()
        self.input_wait += time.monotonic() - started

    def _finish(self, batch: SampleViews | ImagePack) -> list[Tensor]:
        device = self.options.device
        return [normalise(g.to(device, non_blocking=True)).contiguous() for g in batch.groups]
