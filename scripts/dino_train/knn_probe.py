"""k-NN accuracy of the teacher while it trains."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from .export import normalise
from .knn import LabelledSet, embed_all, knn_accuracy, load_labelled_set
from .manifest import resize_for_crop
from .step import Precision

# The paper's choices (section 4.1) at temperature 0.07; 20 is its best, and the log's `knn`.
NEIGHBOURS = (10, 20, 100, 200)
MAIN = 20


def load_probes(options: argparse.Namespace) -> list[LabelledSet]:
    """Prepares the labelled sets of --knn at the size of the global views."""
    crop = options.global_crops_size
    return [
        load_labelled_set(
            name,
            [train],
            [val],
            resize_for_crop(crop),
            crop,
            options.knn_exclude,
            options.knn_train_images,
        )
        for name, train, val in options.knn
    ]


def embedder(
    backbone: nn.Module, precision: Precision, device: torch.device
) -> Callable[[np.ndarray], np.ndarray]:
    """A backbone as a function on uint8 images [B, S, S, 3]; it stays in training mode."""

    @torch.inference_mode()
    def embed(images: np.ndarray) -> np.ndarray:
        backbone.eval()
        pixels = normalise(torch.from_numpy(images).to(device))
        with precision.autocast(device):
            features = backbone(pixels).float().cpu().numpy()
        # Batch statistics of the teacher go on following training.
        backbone.train()
        return features

    return embed


def measure(
    sets: list[LabelledSet], embed: Callable[[np.ndarray], np.ndarray]
) -> dict[str, dict[str, float]]:
    """k-NN top-1 in [0, 1] per labelled set and number of neighbours."""
    results = {}
    for data in sets:
        bank, queries = embed_all(data.train_images, embed), embed_all(data.val_images, embed)
        results[data.name] = {
            str(k): knn_accuracy(bank, data.train_labels, queries, data.val_labels, data.classes, k)
            for k in NEIGHBOURS
        }
    return results
