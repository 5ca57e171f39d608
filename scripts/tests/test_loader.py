"""The loader of views: order, ranks, workers, waiting and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import write_scenes
from PIL import Image

from dino_train.data import DataError
from dino_train.indexed_source import EpochOrder
from dino_train.loader import ViewLoader
from dino_train.multicrop import MultiCropOptions
from dino_train.view_source import AUGMENT_CHOICES, InputOptions

SMALL = MultiCropOptions((0.4, 1.0), (0.05, 0.4), 3, 32, 16)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("pictures") / "p", 3, seed=1, scenes=4)


def load(pictures: Path, epoch: int = 0, first_step: int = 0, **options) -> list[list]:
    options = {"batch_size": 4, **options}
    loader = ViewLoader(InputOptions([str(pictures)], SMALL, **options))
    loader.set_epoch(epoch, first_step)
    return list(loader)


def assert_same(a: list[list], b: list[list]) -> None:
    assert len(a) == len(b)
    for groups, others in zip(a, b, strict=True):
        for group, other in zip(groups, others, strict=True):
            assert torch.equal(group, other)


def test_views_are_normalised_floats_per_resolution(pictures):
    loader = ViewLoader(InputOptions([str(pictures)], SMALL, 4))
    assert (len(loader), loader.images, loader.images_by_source) == (3, 12, {"p": 12})
    large, small = next(iter(loader))
    assert (large.shape, small.shape) == ((8, 3, 32, 32), (12, 3, 16, 16))
    assert large.dtype == torch.float32
    assert large.is_contiguous()
    assert abs(large.mean()) < 2
    assert loader.input_wait > 0


@pytest.mark.parametrize("augment", AUGMENT_CHOICES)
def test_an_epoch_depends_on_seed_and_number_but_not_on_workers(pictures, augment):
    def views(epoch: int = 2, **options) -> list[list]:
        return load(pictures, epoch, augment=augment, **options)

    reference = views()
    assert_same(reference, views(num_workers=2))
    assert_same(reference, views(cache_bytes=0))
    assert_same(reference, views(cache_bytes=0, num_workers=1))
    assert not torch.equal(reference[0][0], views(3)[0][0])
    assert not torch.equal(reference[0][0], views(seed=1)[0][0])


def test_both_ways_of_augmenting_draw_the_same_views(pictures):
    for batch, sample in zip(load(pictures), load(pictures, augment="sample"), strict=True):
        for group, other in zip(batch, sample, strict=True):
            # Normalised by about 1/4: 0.035 is two levels of 256.
            assert (group - other).abs().mean() < 0.035


def test_an_epoch_goes_on_in_its_middle(pictures):
    assert_same(load(pictures, epoch=1)[2:], load(pictures, epoch=1, first_step=2))


@pytest.mark.parametrize("augment", AUGMENT_CHOICES)
def test_ranks_together_see_what_one_process_with_a_larger_batch_sees(pictures, augment):
    whole = load(pictures, epoch=1, augment=augment)
    ranks = [
        load(pictures, epoch=1, augment=augment, batch_size=2, rank=r, world_size=2)
        for r in range(2)
    ]
    for step, groups in enumerate(whole):
        for group, views in zip(range(len(groups)), (2, 3), strict=True):
            parts = [r[step][group].unflatten(0, (views, 2)) for r in ranks]
            together = torch.cat(parts, 1).flatten(0, 1)
            assert torch.allclose(together, groups[group], atol=1e-5)


def test_each_image_is_served_once_per_epoch_by_one_of_the_ranks():
    orders = [EpochOrder(103, 5, seed=3, rank=r, world_size=4) for r in range(4)]
    seen = [i for order in orders for _, indices in order for i in indices]
    assert len(seen) == len(set(seen)) == 100
    assert [len(order) for order in orders] == [5] * 4
    assert not np.array_equal(seen, sorted(seen))


@pytest.mark.parametrize("augment", AUGMENT_CHOICES)
def test_very_long_and_very_small_images_give_views(tmp_path, augment):
    rng = np.random.default_rng(0)
    for size in ((1, 1), (2, 3), (3000, 4), (4, 3000), (1, 900), (70, 50)):
        pixels = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{size[0]}x{size[1]}.png")
    for epoch in range(3):
        (groups,) = load(tmp_path, epoch, batch_size=6, augment=augment)
        assert [tuple(group.shape) for group in groups] == [(12, 3, 32, 32), (18, 3, 16, 16)]
        assert all(group.isfinite().all() for group in groups)


def test_fewer_images_than_a_batch_of_all_ranks_are_refused(pictures):
    with pytest.raises(DataError, match="12 images are fewer than a batch of 14"):
        load(pictures, batch_size=7, world_size=2)


def test_unreadable_images_show_in_the_loader(pictures, tmp_path):
    folder = write_scenes(tmp_path / "p", 3, seed=1, scenes=4)
    (folder / "scene-00/broken.png").write_bytes(b"no image")
    for workers in (0, 1):
        loader = ViewLoader(
            InputOptions(
                [str(folder)], SMALL, 13, num_workers=workers, cache_bytes=0, max_bad_images=0.1
            )
        )
        assert len(list(loader)) == 1
        assert len(loader.bad_images) == 1
    with pytest.raises(DataError, match=r"1 of 13 images cannot be read.*broken\.png"):
        ViewLoader(InputOptions([str(folder)], SMALL, 4, max_bad_images=0.01))
