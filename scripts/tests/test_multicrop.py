"""Views: sizes, regions, odds of augmentation and reproducibility."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dino_train.augment_sample import color_jitter, render_samples, resized_crop
from dino_train.multicrop import HUE, MultiCropOptions, ViewParameters, draw_views

SMALL = MultiCropOptions((0.4, 1.0), (0.05, 0.4), 3, 32, 16)


def draw(images: int, options: MultiCropOptions = SMALL, size=(128, 128), **at) -> ViewParameters:
    sizes = np.tile(np.array(size), (images, 1))
    return draw_views(sizes, np.arange(images), options, at.get("seed", 0), at.get("epoch", 0))


def coordinates(side: int = 128) -> Image.Image:
    """Red is the column, green the row: a crop's pixels tell where it came from."""
    y, x = np.mgrid[0:side, 0:side]
    return Image.fromarray(np.stack((x, y, np.zeros_like(x)), -1).astype(np.uint8))


def test_views_have_the_asked_number_and_sizes_and_come_view_by_view():
    images = [Image.new("RGB", (40, 40), (v, v, v)) for v in (0, 255)]
    large, small = render_samples(images, draw(2, size=(40, 40)), SMALL)
    assert (large.shape, large.dtype) == ((4, 32, 32, 3), np.uint8)
    assert (small.shape, small.dtype) == ((6, 16, 16, 3), np.uint8)
    assert small[0::2].max() == 0
    assert small[1::2].min() > 100


def test_no_local_views_is_allowed():
    options = MultiCropOptions(local_crops_number=0, global_crops_size=32)
    (group,) = render_samples([coordinates()] * 2, draw(2, options), options)
    assert group.shape == (4, 32, 32, 3)


def test_regions_cover_the_asked_share_of_the_image_evenly():
    box = draw(4000, size=(300, 400)).box.astype(float)
    left, top, width, height = np.moveaxis(box, -1, 0)
    assert min(left.min(), top.min()) == 0
    assert (left + width).max() == 400
    assert (top + height).max() == 300
    share, log_aspect = width * height / (300 * 400), np.log(width / height)
    for views, (low, high) in ((slice(0, 2), (0.4, 1.0)), (slice(2, 5), (0.05, 0.4))):
        assert low - 0.01 < share[:, views].min() < share[:, views].max() < high + 0.01
    # Small regions always fit, so that nothing is drawn again: the share is uniform.
    quantiles = np.quantile(share[:, 2:], [0.1, 0.5, 0.9])
    assert quantiles == pytest.approx([0.085, 0.225, 0.365], abs=0.006)
    quantiles = np.quantile(log_aspect[:, 2:], [0.1, 0.5, 0.9])
    assert quantiles == pytest.approx(np.log(4 / 3) * np.array([-0.8, 0, 0.8]), abs=0.02)
    where = (left / np.maximum(400 - width, 1))[:, 2:]
    assert np.quantile(where, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.02)


@pytest.mark.parametrize(
    ("size", "box"),
    [((9, 900), [444, 0, 12, 9]), ((900, 9), [0, 444, 9, 12]), ((1, 50), [24, 0, 1, 1]),
     ((1, 1), [0, 0, 1, 1])],
)  # fmt: skip
def test_images_without_a_fitting_region_give_their_middle(size, box):
    wide = MultiCropOptions((0.9, 1.0), (0.9, 1.0), 1, 16, 16)
    assert np.unique(draw(20, wide, size).box.reshape(-1, 4), axis=0).tolist() == [box]


def test_the_odds_and_ranges_are_those_of_the_paper():
    views = draw(8000, MultiCropOptions((0.4, 1.0), (0.05, 0.4), 2, 224, 96))
    assert views.flip.mean(0) == pytest.approx(np.full(4, 0.5), abs=0.02)
    assert views.jitter.mean(0) == pytest.approx(np.full(4, 0.8), abs=0.02)
    assert views.grey.mean(0) == pytest.approx(np.full(4, 0.2), abs=0.02)
    assert (views.blur > 0).mean(0) == pytest.approx([1, 0.1, 0.5, 0.5], abs=0.02)
    assert views.solarize.mean(0) == pytest.approx([0, 0.2, 0, 0], abs=0.02)
    radius = views.blur[views.blur > 0]
    assert np.quantile(radius, [0, 0.5, 1]) == pytest.approx([0.1, 1.05, 2.0], abs=0.03)
    lows, highs = views.factors.min((0, 1)), views.factors.max((0, 1))
    assert lows == pytest.approx([0.6, 0.6, 0.8, -0.1], abs=0.01)
    assert highs == pytest.approx([1.4, 1.4, 1.2, 0.1], abs=0.01)
    assert np.median(views.factors, (0, 1)) == pytest.approx([1, 1, 1, 0], abs=0.01)
    orders, counts = np.unique(views.order.reshape(-1, 4), axis=0, return_counts=True)
    assert len(orders) == 24
    assert counts / counts.sum() == pytest.approx(np.full(24, 1 / 24), abs=0.005)


def test_the_blur_shrinks_with_the_views():
    radius = draw(2000).blur
    assert radius[:, 0].max() == pytest.approx(2 * 32 / 224, rel=0.01)
    assert radius[:, 2:].max() == pytest.approx(2 * 16 / 96, rel=0.01)


def test_draws_are_independent_of_each_other():
    views = draw(4000)
    columns = np.stack(
        [
            *views.factors.reshape(4000, -1).T,
            *views.flip.T,
            *views.jitter.T,
            *views.grey.T,
            *views.box[..., 2].T,
        ]
    )
    off_diagonal = np.corrcoef(columns) - np.eye(len(columns))
    # Width and factors are drawn apart; 0.08 is five standard errors.
    assert abs(off_diagonal).max() < 0.08


def test_views_depend_on_seed_epoch_and_image_alone():
    def boxes(keys, seed=0, epoch=0) -> np.ndarray:
        sizes = np.full((len(keys), 2), 100)
        return draw_views(sizes, np.array(keys), SMALL, seed, epoch).box

    reference = boxes([3, 4, 5])
    assert np.array_equal(reference[1:], boxes([4, 5]))
    assert np.array_equal(reference[::-1], boxes([5, 4, 3]))
    assert not np.array_equal(reference, boxes([3, 4, 5], seed=1))
    assert not np.array_equal(reference, boxes([3, 4, 5], epoch=1))
    assert boxes([2**64 - 1], seed=2**32 - 1).shape == (1, 5, 4)


def test_a_crop_shows_its_region_and_nothing_from_outside():
    crop = np.asarray(resized_crop(coordinates(), np.array([32, 64, 32, 16]), 32))
    # Twice as tall: columns keep their places, rows come to lie at quarters.
    assert np.array_equal(crop[5, :, 0], np.arange(32, 64))
    assert crop[2:-2, 0, 1] == pytest.approx(64 + (np.arange(2, 30) + 0.5) / 2 - 0.5, abs=0.51)
    frame = np.full((40, 40, 3), 255, np.uint8)
    frame[10:30, 10:30] = 0
    inside = resized_crop(Image.fromarray(frame), np.array([10, 10, 20, 20]), 16)
    assert np.asarray(inside).max() == 0


def test_colour_jitter_follows_factors_and_order():
    image = Image.new("RGB", (2, 1), (200, 100, 50))
    image.putpixel((1, 0), (20, 60, 100))
    plain = np.array([1.0, 1.0, 1.0, 0.0])

    def jitter(index: int, factor: float) -> np.ndarray:
        factors = plain.copy()
        factors[index] = factor
        return np.asarray(color_jitter(image, factors, np.arange(4)))[0].astype(int)

    # Within rounding: the way through HSV loses up to a level.
    assert abs(jitter(0, 0.5) - [[100, 50, 25], [10, 30, 50]]).max() <= 1
    assert abs(jitter(0, 1.4)[0] - [255, 140, 70]).max() <= 1
    # Grey is 124 and 53 (0.299, 0.587, 0.114), their mean 89.
    assert abs(jitter(1, 0.5) - [[144, 94, 69], [54, 74, 94]]).max() <= 1
    assert abs(jitter(2, 0.5) - [[162, 112, 87], [36, 56, 76]]).max() <= 1
    assert abs(jitter(HUE, 1 / 3) - [[50, 200, 100], [100, 20, 60]]).max() <= 6
    first = color_jitter(image, np.array([1.4, 0.6, 1, 0]), np.array([0, 1, 2, 3]))
    last = color_jitter(image, np.array([1.4, 0.6, 1, 0]), np.array([1, 0, 2, 3]))
    assert not np.array_equal(np.asarray(first), np.asarray(last))


def test_bad_scales_are_refused():
    with pytest.raises(ValueError, match="crop scale"):
        MultiCropOptions(global_crops_scale=(0.5, 0.4))
    with pytest.raises(ValueError, match="crop scale"):
        MultiCropOptions(local_crops_scale=(0.0, 0.4))
