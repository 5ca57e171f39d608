"""Scenes drawn by the project: shapes on textured grounds, free of anyone's copyright."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

# Shapes are drawn larger and reduced, which gives them soft edges like a photo's.
OVERSAMPLING = 4
EXIF_ORIENTATION = 0x0112
ROTATED_90 = 6

Color = tuple[int, int, int]
Draw = Callable[[ImageDraw.ImageDraw, float, float, float], None]


def textured_ground(
    width: int, height: int, dark: Color, light: Color, rng: np.random.Generator
) -> Image.Image:
    """Cloudy ground between two colours.

    Args:
        width: pixels.
        height: pixels.
        dark: RGB where the noise is lowest.
        light: RGB where it is highest.
        rng: source of the noise.
    """
    total = np.zeros((height, width))
    for octave in range(1, 5):
        cells = 2**octave
        noise = Image.fromarray(rng.random((cells + 1, cells + 1)).astype(np.float32))
        layer = noise.resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(layer) / cells
    total = (total - total.min()) / np.ptp(total)
    colours = np.array(dark) + total[..., None] * (np.array(light) - np.array(dark))
    return Image.fromarray(colours.round().clip(0, 255).astype(np.uint8))


def paste_shape(
    image: Image.Image, draw_shape: Draw, color: Color, center: tuple[float, float], radius: float
) -> Image.Image:
    """Draws a shaded shape.

    Args:
        image: RGB ground.
        draw_shape: draws the filled outline, given centre x, y and radius in pixels.
        color: RGB of the lit side.
        center: x and y as shares of width and height.
        radius: share of the shorter side.

    Returns:
        A new image.
    """
    k = OVERSAMPLING
    mask = Image.new("L", (image.width * k, image.height * k), 0)
    x, y = center[0] * mask.width, center[1] * mask.height
    draw_shape(ImageDraw.Draw(mask), x, y, radius * min(mask.size))
    mask = mask.resize(image.size, Image.Resampling.BOX)
    shade = np.linspace(1.0, 0.55, image.height)[:, None, None] * np.array(color)
    fill = np.broadcast_to(shade, (image.height, image.width, 3)).round().astype(np.uint8)
    return Image.composite(Image.fromarray(fill), image, mask)


def disc(draw: ImageDraw.ImageDraw, x: float, y: float, r: float) -> None:
    """A filled circle."""
    draw.ellipse((x - r, y - r, x + r, y + r), fill=255)


def block(draw: ImageDraw.ImageDraw, x: float, y: float, r: float) -> None:
    """A filled rectangle, wider than tall."""
    draw.rectangle((x - r, y - 0.7 * r, x + r, y + 0.7 * r), fill=255)


def star(draw: ImageDraw.ImageDraw, x: float, y: float, r: float) -> None:
    """A filled five-pointed star."""
    points = []
    for i in range(10):
        length = r if i % 2 == 0 else 0.45 * r
        angle = math.pi * (i / 5 - 0.5)
        points.append((x + length * math.cos(angle), y + length * math.sin(angle)))
    draw.polygon(points, fill=255)


def leaf(draw: ImageDraw.ImageDraw, x: float, y: float, r: float) -> None:
    """A filled pointed ellipse."""
    turn = np.linspace(0, 2 * math.pi, 80)
    outline = zip(
        x + r * np.cos(turn), y + 0.5 * r * np.sin(turn) * np.abs(np.sin(turn)), strict=True
    )
    draw.polygon([(float(a), float(b)) for a, b in outline], fill=255)


def golden_scenes() -> dict[str, tuple[Image.Image, dict]]:
    """The golden test's pictures by file name, with PIL's options to save them.

    Sizes differ, none is square; formats are JPEG and PNG; one JPEG is stored on its side with EXIF
    orientation 6 (rotate 90 degrees clockwise to view).
    """
    rng = np.random.default_rng(2104)
    meadow = textured_ground(320, 240, (40, 84, 38), (142, 176, 92), rng)
    meadow = paste_shape(meadow, disc, (224, 72, 40), (0.42, 0.55), 0.28)
    desk = textured_ground(200, 300, (112, 78, 50), (186, 146, 104), rng)
    desk = paste_shape(desk, block, (44, 92, 190), (0.5, 0.38), 0.36)
    desk = paste_shape(desk, disc, (236, 222, 196), (0.62, 0.74), 0.2)
    night = textured_ground(360, 240, (14, 18, 46), (70, 84, 138), rng)
    night = paste_shape(night, star, (248, 214, 88), (0.34, 0.46), 0.34)
    night = paste_shape(night, disc, (210, 214, 224), (0.8, 0.3), 0.12)
    water = textured_ground(256, 171, (26, 86, 110), (126, 196, 204), rng)
    water = paste_shape(water, leaf, (190, 60, 120), (0.55, 0.5), 0.46)
    water = water.filter(ImageFilter.GaussianBlur(0.6))
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = ROTATED_90
    jpeg = {"quality": 92, "subsampling": 0}
    # Turned counter-clockwise here, so that the viewer's clockwise turn shows it upright.
    on_its_side = night.transpose(Image.Transpose.ROTATE_90)
    return {
        "meadow.jpg": (meadow, jpeg),
        "desk.png": (desk, {"optimize": True}),
        "night-exif6.jpg": (on_its_side, {**jpeg, "exif": exif}),
        "water.png": (water, {"optimize": True}),
    }
