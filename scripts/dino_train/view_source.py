"""What a training run wants of its images, and what a source of images gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from .augment_sample import render_samples
from .bad_images import BadImages
from .data import DataError
from .image_store import ImagePack
from .multicrop import MultiCropOptions, draw_views
from .stopping import leave_signals_to_the_trainer

AUGMENT_CHOICES = ("batch", "sample")


@dataclass(frozen=True)
class InputOptions:
    """Where images come from and what is made of them.

    Attributes:
        data_path: folders, tar shards, URLs of shards or indices of shards.
        crops: views per image.
        batch_size: images per step of this process.
        seed: of order and views, 0 to 2**32 - 1.
        device: where the views are wanted.
        num_workers: processes that prepare images; 0 = the caller's own.
        rank: number of this process among those that train together, from 0.
        world_size: how many train together.
        augment: `batch` draws all views at once on the device; `sample` each by PIL in a worker.
        cache_bytes: the images of folders and local shards are decoded once when they fit.
        max_bad_images: share of unreadable images to go on with, in [0, 1].
        stream: read local shards in sequence too, as those behind URLs.
        samples_per_epoch: images of an epoch of streamed shards; 0 = as an index says, or counted.
        shuffle_buffer: streamed images among which a worker draws the next.
    """

    data_path: Sequence[str]
    crops: MultiCropOptions
    batch_size: int
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    num_workers: int = 0
    rank: int = 0
    world_size: int = 1
    augment: str = "batch"
    cache_bytes: int = 4 << 30
    max_bad_images: float = 0.0
    stream: bool = False
    samples_per_epoch: int = 0
    shuffle_buffer: int = 1000

    def __post_init__(self) -> None:
        if self.augment not in AUGMENT_CHOICES:
            raise ValueError(f"augment must be one of {AUGMENT_CHOICES}, got {self.augment!r}")
        if not 0 <= self.rank < self.world_size:
            raise ValueError(f"rank {self.rank} is not among {self.world_size}")

    @property
    def max_short_side(self) -> int:
        """Pixels to keep of an image's shorter side.

        Twice the view's keeps random crops sharp and bounds the memory of big photos.
        """
        return 2 * self.crops.global_crops_size


@dataclass(frozen=True)
class SampleViews:
    """Views of B images that a worker has drawn: uint8 [views, B, S, S, 3] per resolution."""

    groups: list[Tensor]
    bad: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.groups[0].shape[1]

    def part(self, images: slice) -> SampleViews:
        """The views of some of the images."""
        return SampleViews([group[:, images] for group in self.groups], self.bad)

    def join(self, other: SampleViews) -> SampleViews:
        """The views of both."""
        groups = [torch.cat(pair, 1) for pair in zip(self.groups, other.groups, strict=True)]
        return SampleViews(groups, self.bad + other.bad)

    def pin_memory(self) -> SampleViews:
        """The same in page-locked memory, from where a GPU fetches by itself."""
        return SampleViews([group.pin_memory() for group in self.groups], self.bad)


Batch = SampleViews | ImagePack


def prepare_batch(pack: ImagePack, options: InputOptions, epoch: int) -> Batch:
    """What a worker hands on: the images as they are, or views drawn by PIL."""
    if options.augment == "batch" or not len(pack):
        return pack
    crops = options.crops
    views = draw_views(pack.sizes, pack.keys, crops, options.seed, epoch)
    images = [Image.fromarray(image.numpy()) for image in pack.images()]
    groups = render_samples(images, views, crops)
    return SampleViews(
        [torch.from_numpy(group).unflatten(0, (-1, len(pack))) for group in groups], pack.bad
    )


def raise_failures(batches: Iterable[Batch | DataError]) -> Iterator[Batch]:
    """Raises the failures that workers return; those they raise arrive with their traceback."""
    for batch in batches:
        if isinstance(batch, DataError):
            raise batch
        yield batch


def open_workers(
    dataset: Dataset, options: InputOptions, workers: int, order: Sampler | None = None
) -> DataLoader:
    """A loader of ready batches that prepares some ahead when it has workers."""
    return DataLoader(
        dataset,
        batch_size=None,
        sampler=order,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=leave_signals_to_the_trainer,
        pin_memory=bool(workers) and options.device.type == "cuda",
    )


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

    def batches(self, epoch: int, first_step: int) -> Iterator[Batch]:
        """The batches of this rank from `first_step` to the end of the epoch."""
