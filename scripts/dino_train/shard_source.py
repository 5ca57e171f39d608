"""Images of WebDataset shards, streamed: each shard is read from start to end by one worker."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Iterator

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info
from webdataset.filters import shuffle

from .bad_images import BadImages
from .data import DataError, decode_rgb
from .image_store import pack_images
from .shards import Shard, count_images, list_shards, read_shards
from .view_source import Batch, InputOptions, open_workers, prepare_batch, raise_failures


class StreamedImages(IterableDataset):
    """The images of this rank's shards, in packs of at most a batch; the last of a worker is short.

    Shards are shuffled by seed, epoch and pass, dealt to the ranks in turn and then to the workers
    of each, and their images are shuffled in a buffer.

    Attributes:
        epoch, number: epoch, and pass within the epoch, to iterate over; both from 0.
    """

    def __init__(self, shards: list[Shard], options: InputOptions) -> None:
        self.shards = shards
        self.options = options
        self.epoch = 0
        self.number = 0

    def __iter__(self) -> Iterator[Batch | DataError]:
        try:
            yield from self._packs()
        except DataError as error:
            yield error

    def _packs(self) -> Iterator[Batch]:
        o, info = self.options, get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        # One order for all ranks and workers, so that each shard is read by one of them alone.
        shards = list(self.shards)
        random.Random(f"{o.seed}/{self.epoch}/{self.number}").shuffle(shards)
        samples = read_shards(shards[o.rank :: o.world_size][worker::workers])
        if o.shuffle_buffer > 1:
            seed = f"{o.seed}/{self.epoch}/{self.number}/{o.rank}/{worker}"
            samples = shuffle(o.shuffle_buffer, initial=o.shuffle_buffer, seed=seed)(samples)
        images, keys, bad = [], [], []
        for shard, name, encoded in samples:
            try:
                image = decode_rgb(encoded, f"{shard.name}: {name}", o.max_short_side)
            except DataError as error:
                bad.append(str(error))
                continue
            images.append(np.array(image))
            keys.append(image_key(shard, name))
            if len(images) == o.batch_size:
                yield prepare_batch(pack_images(images, keys, bad), o, self.epoch)
                images, keys, bad = [], [], []
        if images or bad:
            yield prepare_batch(pack_images(images, keys, bad), o, self.epoch)


def image_key(shard: Shard, name: str) -> int:
    """Number of an image for random draws; from its name, not from who reads it when."""
    digest = hashlib.blake2b(f"{shard.name}/{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


class ShardSource:
    """WebDataset shards that are read in sequence.

    All ranks make the same number of steps. A rank whose shards hold fewer images than that takes
    some of them twice in an epoch, one whose shards hold more leaves some out; with shards of equal
    size, as many for each rank, each image comes once.

    Raises:
        DataError: if a shard is missing or unreadable, or there are fewer shards than ranks.
    """

    def __init__(self, options: InputOptions) -> None:
        self.options = options
        shards = list_shards(options.data_path)
        if len(shards) < options.world_size:
            raise DataError(
                f"{len(shards)} shards are too few for {options.world_size} processes, each of "
                "which reads its own"
            )
        if not options.samples_per_epoch:
            shards = count_images(shards, lambda text: print(text, file=sys.stderr))
        if all(shard.images is not None for shard in shards):
            self.images_by_source = {shard.name: shard.images for shard in shards}
        else:
            self.images_by_source = {
                ", ".join(options.data_path): options.samples_per_epoch,
            }
        self.images = options.samples_per_epoch or sum(self.images_by_source.values())
        self.bad_images = BadImages(self.images, options.max_bad_images)
        self.stream = StreamedImages(shards, options)
        # A worker without a shard would be idle.
        workers = min(options.num_workers, len(shards) // options.world_size)
        self.loader = open_workers(self.stream, options, workers)

    def batches(self, epoch: int, first_step: int) -> Iterator[Batch]:
        """The batches of this rank from `first_step` to the end of the epoch."""
        o = self.options
        steps = self.images // (o.batch_size * o.world_size)
        for step, batch in zip(range(steps), self._rebatched(epoch), strict=False):
            if step >= first_step:
                yield batch

    def _rebatched(self, epoch: int) -> Iterator[Batch]:
        size = self.options.batch_size
        left: Batch | None = None
        for batch in self._passes(epoch):
            if left is not None:
                batch = left.join(batch)
            while len(batch) > size:
                yield batch.part(slice(0, size))
                batch = batch.part(slice(size, None))
            left = batch if len(batch) < size else None
            if left is None:
                yield batch

    def _passes(self, epoch: int) -> Iterator[Batch]:
        self.stream.epoch, self.stream.number = epoch, 0
        while True:
            images = 0
            for batch in raise_failures(self.loader):
                images += len(batch)
                if len(batch):
                    yield batch
                else:
                    self.bad_images.add(batch.bad)
            if not images:
                raise DataError("none of the images can be read")
            self.stream.number += 1
