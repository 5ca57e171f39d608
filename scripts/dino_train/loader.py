"""Batches of multi-crop views on the device of the model."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor

from .augment_batch import render_batch
from .data import DataError
from .export import normalise
from .image_store import ImagePack
from .indexed_source import IndexedSource
from .multicrop import draw_views
from .shard_source import ShardSource
from .shards import is_streamed
from .view_source import Batch, ImageSource, InputOptions


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
        input_wait: seconds that the last or present pass spent on waiting for views. On the CPU
            this includes drawing them, which a GPU does beside the training.

    Raises:
        DataError: if there are no images, too few for a batch, or too many cannot be read.
    """

    def __init__(self, options: InputOptions) -> None:
        self.options = options
        streamed = is_streamed(options.data_path, options.stream)
        self.source: ImageSource = (ShardSource if streamed else IndexedSource)(options)
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
        """Steps of a whole epoch; images that fill no whole batch are left out."""
        return self.images // (self.options.batch_size * self.options.world_size)

    def set_epoch(self, epoch: int, first_step: int = 0) -> None:
        """Chooses what the next pass goes over.

        Args:
            epoch: from 0; order and views follow from it and the seed.
            first_step: where to begin, to go on within an epoch.
        """
        self._epoch, self._first_step = epoch, first_step

    def __iter__(self) -> Iterator[list[Tensor]]:
        self.input_wait = 0.0
        epoch = self._epoch
        batches = self.source.batches(epoch, self._first_step)
        prepared = (self._finish(batch, epoch) for batch in batches)
        if self.options.device.type == "cuda":
            prepared = ahead(prepared)
        while True:
            started = time.monotonic()
            views = next(prepared, None)
            self.input_wait += time.monotonic() - started
            if views is None:
                return
            yield views

    def _finish(self, batch: Batch, epoch: int) -> list[Tensor]:
        self.bad_images.add(batch.bad)
        o = self.options
        if isinstance(batch, ImagePack):
            views = draw_views(batch.sizes, batch.keys, o.crops, o.seed, epoch)
            return render_batch(batch.on(o.device), views, o.crops, o.device)
        groups = [group.to(o.device, non_blocking=True) for group in batch.groups]
        return [normalise(group.flatten(0, 1)).contiguous() for group in groups]


def ahead(prepared: Iterator[list[Tensor]]) -> Iterator[list[Tensor]]:
    """Has views prepared on a CUDA stream of their own, a batch ahead of the one handed out."""
    stream = torch.cuda.Stream()
    # A kept set may still be on its way to the device.
    stream.wait_stream(torch.cuda.current_stream())
    waiting: tuple[list[Tensor], torch.cuda.Event] | None = None
    while True:
        with torch.cuda.stream(stream):
            views = next(prepared, None)
            done = stream.record_event()
        if waiting is not None:
            yield _hand_over(*waiting)
        if views is None:
            return
        waiting = views, done


def _hand_over(views: list[Tensor], done: torch.cuda.Event) -> list[Tensor]:
    current = torch.cuda.current_stream()
    current.wait_event(done)
    for group in views:
        # Else its memory could be reused by the other stream while the model still reads it.
        group.record_stream(current)
    return views
