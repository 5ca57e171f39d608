"""Augmentation in batches against PIL, one view at a time, and against formulas of its own."""

from __future__ import annotations

import colorsys
import dataclasses

import numpy as np
import pytest
import torch
from conftest import draw_scene
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from dino_train import augment_batch, resample
from dino_train.augment_batch import augment, render_batch
from dino_train.augment_sample import render_samples, resized_crop, shift_hue
from dino_train.export import normalise
from dino_train.image_store import ImagePack, pack_images
from dino_train.multicrop import MultiCropOptions, ViewParameters, draw_views
from dino_train.pixel_ops import (
    adjust_brightness_,
    adjust_contrast_,
    adjust_hue_,
    adjust_saturation_,
    gaussian_blur,
    solarized,
    to_grey,
)
from dino_train.resample import Regions, cubic_weights, resize_by_products, resize_one_by_one

CPU = torch.device("cpu")
OPTIONS = MultiCropOptions((0.25, 1.0), (0.05, 0.25), 3, 48, 24)

pytestmark = pytest.mark.usefixtures("one_thread")


def scenes(count: int) -> list[Image.Image]:
    """Pictures of different sizes and sides."""
    rng = np.random.default_rng(5)
    sizes = ((90, 70), (64, 96), (120, 60), (80, 80))
    return [draw_scene(rng, 128).resize(sizes[i % 4], Image.BICUBIC) for i in range(count)]


def pack(images: list[Image.Image]) -> ImagePack:
    return pack_images([np.array(image) for image in images], np.arange(len(images)))


def batch(images: list[Image.Image]) -> torch.Tensor:
    """Pictures of one size as floats [N, 3, H, W] in [0, 1]."""
    pixels = np.stack([np.asarray(image.resize((48, 40))) for image in images])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255).contiguous()


def pictures(pixels: torch.Tensor) -> list[Image.Image]:
    levels = (pixels * 255).round().byte().permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(image) for image in levels]


def levels(pixels: torch.Tensor) -> np.ndarray:
    return (pixels * 255).permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("resize", [resize_one_by_one, resize_by_products])
@pytest.mark.parametrize("size", [8, 33, 100])
def test_regions_are_resized_as_by_pil(resize, size):
    images = scenes(4)
    box = np.array([[3, 5, 60, 40], [0, 0, 64, 96], [10, 20, 7, 9], [40, 30, 1, 1]])
    flip = np.array([False, True, False, True])
    image = np.array([0, 1, 2, 3])
    extra = (CPU,) if resize is resize_by_products else ()
    resized = levels(resize(pack(images), Regions(image, box, flip), size, *extra))
    for n in range(4):
        expected = resized_crop(images[n], box[n], size)
        expected = np.asarray(ImageOps.mirror(expected) if flip[n] else expected).astype(float)
        # PIL rounds to whole levels and cuts off after rows and columns, in an order of its choice.
        difference = abs(resized[n] - expected)
        assert difference.mean() <= 0.5
        assert np.quantile(difference, 0.99) <= 1.1
        assert difference.max() <= 5


def test_the_weights_are_a_cubic_that_widens_when_it_shrinks():
    def cubic(x: float) -> float:
        x = abs(x)
        if x < 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0

    weights = cubic_weights(torch.tensor([10, 3]), 12, 5)
    for row, length in enumerate((10, 3)):
        scale = length / 5
        for i in range(5):
            taps = [
                cubic((j + 0.5 - (i + 0.5) * scale) / max(scale, 1)) if j < length else 0.0
                for j in range(12)
            ]
            expected = np.array(taps) / sum(taps)
            assert weights[row, i].numpy() == pytest.approx(expected, abs=1e-6)


FACTORS = torch.tensor([0.6, 0.85, 1.15, 1.4])


@pytest.mark.parametrize(
    ("adjust", "enhance", "tolerance"),
    [
        (adjust_brightness_, ImageEnhance.Brightness, 1),
        # PIL's mean is a whole level.
        (adjust_contrast_, ImageEnhance.Contrast, 1.5),
        (adjust_saturation_, ImageEnhance.Color, 1.5),
    ],
)
def test_blends_equal_those_of_pil(adjust, enhance, tolerance):
    pixels = batch(scenes(4))
    before = pictures(pixels)
    adjust(pixels, FACTORS)
    for n, image in enumerate(before):
        expected = np.asarray(enhance(image).enhance(float(FACTORS[n]))).astype(float)
        assert abs(levels(pixels)[n] - expected).max() <= tolerance


def test_hue_turns_as_in_hsv():
    rng = np.random.default_rng(0)
    colours = rng.random((200, 3))
    corners = np.array(np.meshgrid(*[[0, 0.5, 1]] * 3)).reshape(3, -1).T
    colours = np.concatenate((colours, corners)).astype(np.float32)
    for turn in (-1 / 6, -0.1, 0.0, 0.03, 0.1, 1 / 6):
        pixels = torch.from_numpy(colours.T.reshape(1, 3, 1, -1).copy())
        adjust_hue_(pixels, torch.tensor([turn]))
        for colour, turned in zip(colours, pixels[0, :, 0].T.numpy(), strict=True):
            hue, saturation, value = colorsys.rgb_to_hsv(*map(float, colour))
            expected = colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)
            assert turned == pytest.approx(expected, abs=2e-5)


def test_hue_is_close_to_that_of_pil():
    pixels = batch(scenes(4))
    before, turns = pictures(pixels), torch.tensor([-0.1, -0.03, 0.03, 0.1])
    adjust_hue_(pixels, turns)
    for n, image in enumerate(before):
        expected = np.asarray(shift_hue(image, float(turns[n]))).astype(float)
        # PIL has 256 hues: a step of one is up to six levels.
        assert abs(levels(pixels)[n] - expected).max() <= 8
        assert abs(levels(pixels)[n] - expected).mean() <= 1.5


def test_grey_and_solarised_pictures_equal_those_of_pil():
    pixels = batch(scenes(4))
    grey = levels(to_grey(pixels).expand_as(pixels))
    inverted = levels(solarized(pixels))
    for n, image in enumerate(pictures(pixels)):
        assert abs(grey[n] - np.asarray(image.convert("L").convert("RGB"))).max() <= 0.6
        assert abs(inverted[n] - np.asarray(ImageOps.solarize(image))).max() < 1e-3


def test_the_blur_is_a_gaussian_with_repeated_edges():
    pixels = batch(scenes(3))
    sigma = [0.1, 0.7, 2.0]
    blurred = levels(gaussian_blur(pixels, torch.tensor(sigma), 2.0))
    for n, image in enumerate(pictures(pixels)):
        at = np.arange(-20, 21)
        kernel = np.exp(-0.5 * (at / sigma[n]) ** 2)
        kernel /= kernel.sum()
        padded = np.pad(np.asarray(image).astype(float), ((20, 20), (20, 20), (0, 0)), "edge")
        padded = np.apply_along_axis(np.convolve, 0, padded, kernel, "valid")
        expected = np.apply_along_axis(np.convolve, 1, padded, kernel, "valid")
        assert abs(blurred[n] - expected).max() < 0.02
        pil = np.asarray(image.filter(ImageFilter.GaussianBlur(sigma[n]))).astype(float)
        # PIL's three box filters come close to a Gaussian.
        assert abs(blurred[n] - pil).mean() < 1


def test_a_blur_wider_than_the_picture_is_allowed():
    tiny = torch.rand(1, 3, 3, 3)
    assert gaussian_blur(tiny, torch.tensor([2.0]), 2.0).shape == tiny.shape


def one(steps: int, **changes) -> ViewParameters:
    """Parameters of rows to which nothing happens but the given changes."""
    still = {
        "box": np.zeros((steps, 4), np.int64),
        "factors": np.tile([1.0, 1.0, 1.0, 0.0], (steps, 1)),
        "order": np.tile(np.arange(4), (steps, 1)),
        "blur": np.zeros(steps),
        **{name: np.zeros(steps, bool) for name in ("flip", "jitter", "grey", "solarize")},
    }
    return ViewParameters(**{**still, **{k: np.array(v) for k, v in changes.items()}})


def test_each_image_gets_its_own_changes_in_its_own_order():
    pixels = batch(scenes(4))
    before = pixels.clone()
    factors = np.tile([1.4, 0.6, 1.2, 0.1], (4, 1))
    order = np.array([[0, 1, 2, 3], [1, 0, 3, 2], [1, 0, 3, 2], [3, 2, 1, 0]])
    augment(pixels, one(4, jitter=[True, True, False, True], factors=factors, order=order))
    assert torch.equal(pixels[2], before[2])
    adjust = (adjust_brightness_, adjust_contrast_, adjust_saturation_, adjust_hue_)
    for n in (0, 1, 3):
        alone = before[n : n + 1].clone()
        for step in order[n]:
            adjust[step](alone, torch.tensor([factors[n, step]], dtype=torch.float32))
        assert torch.allclose(pixels[n], alone[0], atol=1e-6)
    pixels = before.clone()
    augment(pixels, one(4, grey=[1, 0, 0, 0], blur=[0, 1.5, 0, 0], solarize=[0, 0, 1, 0]))
    assert torch.equal(pixels[0], to_grey(before)[0].expand(3, -1, -1))
    assert not torch.equal(pixels[1], before[1])
    assert torch.equal(pixels[2], solarized(before)[2])
    assert torch.equal(pixels[3], before[3])


def test_a_batch_gives_the_views_of_the_path_of_single_samples():
    images = scenes(24)
    packed = pack(images)
    views = draw_views(packed.sizes, packed.keys, OPTIONS, seed=3, epoch=1)
    rendered = render_batch(packed, views, OPTIONS, CPU)
    expected = render_samples(images, views, OPTIONS)
    assert [tuple(group.shape) for group in rendered] == [(48, 3, 48, 48), (72, 3, 24, 24)]
    for group, reference in zip(rendered, expected, strict=True):
        deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1) * 255
        difference = (group - normalise(torch.from_numpy(reference))).abs() * deviation
        per_view = difference.mean((1, 2, 3))
        # In levels of 256: PIL drops fractions in every blend and has but 256 hues.
        assert per_view.mean() < 1.5
        assert per_view.max() < 4


def test_the_way_of_accelerators_gives_the_same_views(monkeypatch):
    packed = pack(scenes(8))
    views = draw_views(packed.sizes, packed.keys, OPTIONS, 1, 1)
    one_by_one = render_batch(packed, views, OPTIONS, CPU)
    monkeypatch.setattr(augment_batch, "resize_regions", resize_by_products)
    monkeypatch.setattr(resample, "PRODUCT_CHUNK", 5)
    for group, other in zip(one_by_one, render_batch(packed, views, OPTIONS, CPU), strict=True):
        # A level is 0.017 here.
        assert (group - other).abs().mean() < 0.01
        assert (group - other).abs().max() < 0.2


def test_no_local_views_and_undisturbed_views_are_allowed():
    options = dataclasses.replace(OPTIONS, local_crops_number=0)
    packed = pack(scenes(2))
    views = draw_views(packed.sizes, packed.keys, options, 0, 0)
    (group,) = render_batch(packed, views, options, CPU)
    assert group.shape == (4, 3, 48, 48)
    pixels = batch(scenes(2))
    before = pixels.clone()
    augment(pixels, one(2))
    assert torch.equal(pixels, before)


def test_views_do_not_depend_on_the_rest_of_the_batch():
    packed = pack(scenes(6))
    views = draw_views(packed.sizes, packed.keys, OPTIONS, 0, 0)
    whole = render_batch(packed, views, OPTIONS, CPU)
    half = ImagePack(packed.pixels, packed.offsets[3:], packed.sizes[3:], packed.keys[3:])
    part = render_batch(half, draw_views(half.sizes, half.keys, OPTIONS, 0, 0), OPTIONS, CPU)
    for group, some, count in zip(whole, part, (2, 3), strict=True):
        group = group.unflatten(0, (count, 6))[:, 3:].flatten(0, 1)
        assert torch.allclose(group, some, atol=1e-5)
