"""Views: sizes, areas, order, augmentation odds and reproducibility."""

from __future__ import annotations

import random

import numpy as np
import pytest
from conftest import write_scenes
from PIL import Image

from dino_train.data import ImageStore, list_samples
from dino_train.loader import build_loader, stack_views
from dino_train.multicrop import MultiCropOptions, color_jitter, multi_crop, random_resized_crop

SMALL = MultiCropOptions((0.4, 1.0), (0.05, 0.4), 3, 32, 16)


def coordinates(side: int = 128) -> Image.Image:
    """Red is the column, green the row: a crop's pixels tell where it came from."""
    y, x = np.mgrid[0:side, 0:side]
    return Image.fromarray(np.stack((x, y, np.zeros_like(x)), -1).astype(np.uint8))


def test_views_have_the_asked_number_and_sizes():
    large, small = multi_crop(coordinates(), SMALL, random.Random(1))
    assert (large.shape, large.dtype) == ((2, 32, 32, 3), np.uint8)
    assert (small.shape, small.dtype) == ((3, 16, 16, 3), np.uint8)


def test_no_local_views_is_allowed():
    options = MultiCropOptions(local_crops_number=0, global_crops_size=32)
    views = multi_crop(coordinates(), options, random.Random(1))
    (group,) = stack_views([views, views])
    assert group.shape == (4, 32, 32, 3)


@pytest.mark.parametrize("scale", [(0.05, 0.25), (0.4, 1.0)])
def test_crops_cover_the_asked_share_of_the_image(scale):
    image, rng = coordinates(), random.Random(7)
    shares, aspects = [], []
    for _ in range(300):
        crop = np.asarray(random_resized_crop(image, 64, scale, rng)).astype(float)
        # The outermost samples lie half an output pixel inside the region.
        width = np.ptp(crop[..., 0]) * 64 / 63
        height = np.ptp(crop[..., 1]) * 64 / 63
        shares.append(width * height / 128**2)
        aspects.append(width / height)
    assert scale[0] * 0.9 < min(shares)
    assert max(shares) < scale[1] * 1.1
    assert max(shares) - min(shares) > 0.6 * (scale[1] - scale[0])
    assert 0.7 < min(aspects) < 0.85 < 1.2 < max(aspects) < 1.43


def test_a_very_long_image_still_gives_a_crop():
    crop = random_resized_crop(Image.new("RGB", (900, 9)), 16, (0.9, 1.0), random.Random(0))
    assert crop.size == (16, 16)


def test_only_the_second_global_view_is_solarised():
    # Black stays black under crop, flip, jitter, grey and blur; solarising leaves it too, but turns
    # white black, so white images tell.
    white = Image.new("RGB", (64, 64), "white")
    dark = np.zeros(5)
    for seed in range(200):
        large, small = multi_crop(white, SMALL, random.Random(seed))
        dark += [view.mean() < 100 for view in (*large, *small)]
    assert dark[0] == 0
    assert 20 <= dark[1] <= 60
    assert dark[2:].sum() == 0


def test_first_global_view_is_always_blurred_and_the_second_rarely():
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (256, 256, 3), np.uint8))
    options = MultiCropOptions((1.0, 1.0), (0.4, 0.4), 0, 224)
    roughness = [
        [np.abs(np.diff(view.astype(float), axis=1)).mean() for view in
         multi_crop(noise, options, random.Random(seed))[0]]
        for seed in range(30)
    ]  # fmt: skip
    first, second = np.median(roughness, axis=0)
    assert first < 0.5 * second


def test_colour_jitter_changes_colours_within_bounds():
    grey = Image.new("RGB", (8, 8), (120, 120, 120))
    levels = [np.asarray(color_jitter(grey, random.Random(i))).mean() for i in range(200)]
    assert 120 * 0.55 < min(levels) < 90
    assert 150 < max(levels) < 120 * 1.45


def test_bad_scales_are_refused():
    with pytest.raises(ValueError, match="crop scale"):
        MultiCropOptions(global_crops_scale=(0.5, 0.4))
    with pytest.raises(ValueError, match="crop scale"):
        MultiCropOptions(local_crops_scale=(0.0, 0.4))


def test_views_are_stacked_view_major():
    samples = []
    for image in range(3):
        views = [np.full((4, 4, 3), 10 * image + view, np.uint8) for view in range(2)]
        samples.append((np.stack(views), np.full((1, 2, 2, 3), 100 + image, np.uint8)))
    large, small = stack_views(samples)
    assert large[:, 0, 0, 0].tolist() == [0, 10, 20, 1, 11, 21]
    assert small[:, 0, 0, 0].tolist() == [100, 101, 102]


def test_views_depend_on_seed_epoch_and_image_but_not_on_workers(tmp_path):
    store = ImageStore(list_samples([str(write_scenes(tmp_path / "p", 3, seed=1, scenes=4))]), 64)

    def batches(seed: int, epoch: int, workers: int) -> np.ndarray:
        loader, sampler = build_loader(store, SMALL, 4, seed, workers)
        sampler.epoch = epoch
        return np.stack([groups[0].numpy() for groups in loader])

    reference = batches(0, 2, 0)
    assert reference.shape == (3, 8, 32, 32, 3)
    assert np.array_equal(reference, batches(0, 2, 2))
    assert not np.array_equal(reference, batches(0, 3, 0))
    assert not np.array_equal(reference, batches(1, 2, 0))
