"""Shared drawings and a network small enough to train inside a test."""

from __future__ import annotations

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


def draw_pattern(kind: int, rng: random.Random, size: int = 64) -> Image.Image:
    """Draws stripes (0), a checkerboard (1), rings (2) or dots (3) in two tones of random tint."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float64)
    x, y = x + rng.uniform(0, 64), y + rng.uniform(0, 64)
    period = rng.uniform(7, 12)
    if kind == 0:
        angle = rng.uniform(0, np.pi)
        wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    elif kind == 1:
        wave = np.sign(np.sin(np.pi * x / period)) * np.sign(np.sin(np.pi * y / period))
    elif kind == 2:
        cx, cy = x[0, 0] + rng.uniform(0, size), y[0, 0] + rng.uniform(0, size)
        wave = np.sin(2 * np.pi * np.hypot(x - cx, y - cy) / period)
    else:
        wave = np.where((x % period - period / 2) ** 2 + (y % period - period / 2) ** 2 < 6, 1, -1)
    # A dark and a light tone of any tint: colour alone does not tell the pattern.
    a = np.array([rng.randint(0, 110) for _ in range(3)])
    b = np.array([rng.randint(145, 255) for _ in range(3)])
    share = (np.clip(wave * 2, -1, 1)[..., None] + 1) / 2
    return Image.fromarray((a * share + b * (1 - share)).astype(np.uint8))


def write_patterns(folder: Path, per_class: int, seed: int, kinds: int = 4) -> Path:
    """Fills folder/KIND/NUMBER.png with drawn patterns and returns the folder."""
    rng = random.Random(seed)
    for kind in range(kinds):
        (folder / f"kind-{kind}").mkdir(parents=True)
        for number in range(per_class):
            draw_pattern(kind, rng).save(folder / f"kind-{kind}" / f"{number:03d}.png")
    return folder
