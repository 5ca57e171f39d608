"""Shared drawings and a network small enough to train inside a test."""

from __future__ import annotations

import colorsys
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dino_train.vit import VARIANTS, VisionTransformer

MICRO = {"embed_dim": 64, "depth": 3, "num_heads": 2}


@pytest.fixture
def micro(monkeypatch: pytest.MonkeyPatch) -> str:
    """Registers a tiny architecture and returns its name."""
    monkeypatch.setitem(VARIANTS, "vit_micro", MICRO)
    return "vit_micro"


@pytest.fixture
def vit() -> VisionTransformer:
    """A small backbone with a 6 x 6 native grid and random weights."""
    torch.manual_seed(1)
    model = VisionTransformer(16, 48, 3, 3, img_size=96).eval()
    # Default init is so small that wrong positions would hardly show.
    torch.nn.init.normal_(model.pos_embed)
    return model


def draw_pattern(kind: int, rng: random.Random, size: int = 64, cells: int = 4) -> Image.Image:
    """Draws a mosaic of one of four pairs of complementary colours.

    Both colours cover half of the image, so every kind has the same grey mean and only a network
    that looks at parts of the picture can tell kinds apart.
    """
    hue = kind / 8
    pair = [np.array(colorsys.hsv_to_rgb((hue + turn) % 1, 0.7, 1.0)) for turn in (0.0, 0.5)]
    order = [0, 1] * (cells * cells // 2)
    rng.shuffle(order)
    mosaic = np.array([pair[i] for i in order]).reshape(cells, cells, 3)
    light = rng.uniform(0.5, 1.0)
    tiles = Image.fromarray((255 * light * mosaic).astype(np.uint8))
    return tiles.resize((size, size), Image.Resampling.NEAREST)


def write_patterns(folder: Path, per_class: int, seed: int, kinds: int = 4) -> Path:
    """Fills folder/KIND/NUMBER.png with drawn patterns and returns the folder."""
    rng = random.Random(seed)
    for kind in range(kinds):
        (folder / f"kind-{kind}").mkdir(parents=True)
        for number in range(per_class):
            draw_pattern(kind, rng).save(folder / f"kind-{kind}" / f"{number:03d}.png")
    return folder
