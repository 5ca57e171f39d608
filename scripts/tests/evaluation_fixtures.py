"""A network for evaluations, saved as a published backbone is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dino_train.evaluation.networks import load_network
from dino_train.evaluation.source import FeatureSource, network_source
from dino_train.random_checkpoints import randomise
from dino_train.vit import VisionTransformer

WIDTH = 128


def save_vit(path: Path, seed: int = 0, depth: int = 2) -> Path:
    """Saves a ViT of two heads with patches of 16 px and random weights that are far from zero."""
    vit = VisionTransformer(16, WIDTH, depth, 2, img_size=64)
    torch.save(randomise(vit, seed).state_dict(), path)
    return path


def cpu_source(path: Path) -> FeatureSource:
    """The features of a checkpoint on the CPU."""
    return network_source(load_network(path), path.name, torch.device("cpu"))


def noise(height: int, width: int, seed: int) -> Image.Image:
    """An image of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)
