"""The images of a run, as views for one of its processes."""

from __future__ import annotations

import argparse

from .distributed import Group
from .loader import ViewLoader
from .multicrop import MultiCropOptions
from .view_source import InputOptions


def global_batch(options: argparse.Namespace, world: int) -> int:
    """Images per step over all processes and passes."""
    return options.batch_size_per_gpu * options.accumulate * world


def open_views(options: argparse.Namespace, group: Group) -> ViewLoader:
    """The views that --data_path and the options of the crops say.

    Raises:
        DataError: if images are missing, unreadable or fewer than a batch.
    """
    crops = MultiCropOptions(
        tuple(options.global_crops_scale),
        tuple(options.local_crops_scale),
        options.local_crops_number,
        options.global_crops_size,
        options.local_crops_size,
    )
    return ViewLoader(
        InputOptions(
            data_path=options.data_path,
            crops=crops,
            batch_size=options.batch_size_per_gpu,
            seed=options.seed,
            device=group.device,
            num_workers=options.num_workers,
            rank=group.rank,
            world_size=group.world,
            augment=options.augment,
            cache_bytes=int(options.cache_gb * 1e9),
            max_bad_images=options.max_bad_images,
            stream=options.stream,
            samples_per_epoch=options.samples_per_epoch,
            shuffle_buffer=options.shuffle_buffer,
        )
    )
