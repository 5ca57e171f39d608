"""Weighted k-NN classification on frozen features, the paper's evaluation (section 4.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .data import DataError, Sample, center_crop, decode_sample, list_samples

Embed = Callable[[np.ndarray], np.ndarray]
"""Embeds uint8 images [B, crop, crop, 3] as float32 [B, D]."""


@dataclass(frozen=True)
class LabelledSet:
    """Prepared images and labels of a train bank and a validation set.

    Attributes:
        name: of the data set.
        train_images: [N, crop, crop, 3] uint8.
        train_labels: N class indices.
        val_images: [M, crop, crop, 3] uint8.
        val_labels: M class indices; -1 for a class that the bank lacks.
        classes: number of classes in the bank.
    """

    name: str
    train_images: np.ndarray
    train_labels: Tensor
    val_images: np.ndarray
    val_labels: Tensor
    classes: int


def prepare_images(samples: Sequence[Sample], resize: int, crop: int) -> np.ndarray:
    """Decodes, resizes and centre-crops samples to [N, crop, crop, 3] uint8."""
    # The decoder must not shrink first: a second resampling would change the features.
    return np.stack([center_crop(decode_sample(sample), resize, crop) for sample in samples])


def load_labelled_set(
    name: str,
    train: Sequence[str],
    val: Sequence[str],
    resize: int,
    crop: int,
    exclude: Sequence[str] = (),
    max_train_images: int = 0,
) -> LabelledSet:
    """Reads a labelled data set for k-NN.

    Args:
        name: of the data set.
        train: folders or shards of the bank.
        val: folders or shards to classify.
        resize: shorter side in pixels before the centre crop.
        crop: side in pixels.
        exclude: labels to leave out of both.
        max_train_images: take about this many evenly spaced bank images; 0 takes all.

    Raises:
        DataError: if data is missing or has no labels.
    """
    bank, queries = list_samples(train, exclude), list_samples(val, exclude)
    for sample in (*bank, *queries):
        if sample.label is None:
            raise DataError(
                f"{sample.source}: {sample.name} has no label; k-NN needs a sub-folder per class "
                "or .cls files"
            )
    if 0 < max_train_images < len(bank):
        picks = np.linspace(0, len(bank) - 1, max_train_images).round().astype(int)
        bank = [bank[i] for i in picks]
    index = {label: i for i, label in enumerate(sorted({s.label for s in bank}))}
    return LabelledSet(
        name,
        prepare_images(bank, resize, crop),
        torch.tensor([index[s.label] for s in bank]),
        prepare_images(queries, resize, crop),
        torch.tensor([index.get(s.label, -1) for s in queries]),
        len(index),
    )


def embed_all(images: np.ndarray, embed: Embed, batch_size: int = 64) -> Tensor:
    """Embeds [N, crop, crop, 3] in batches and l2-normalises to [N, D]."""
    parts = [embed(images[i : i + batch_size]) for i in range(0, len(images), batch_size)]
    return F.normalize(torch.from_numpy(np.concatenate(parts)).float(), dim=1)


def knn_accuracy(
    train_features: Tensor,
    train_labels: Tensor,
    val_features: Tensor,
    val_labels: Tensor,
    classes: int,
    k: int = 20,
    temperature: float = 0.07,
    leave_one_out: bool = False,
) -> float:
    """Top-1 accuracy of a weighted vote of the k nearest by cosine (Wu et al. 2018, eq. 6).

    Each neighbour votes for its class with weight exp(cosine / temperature).

    Args:
        train_features: [N, D], unit length.
        train_labels: [N] in [0, classes).
        val_features: [M, D], unit length.
        val_labels: [M].
        classes: number of classes.
        k: neighbours, >= 1; at most N are used.
        temperature: > 0.
        leave_one_out: both sets are the same images, of which none votes for itself.

    Returns:
        Share of right answers in [0, 1].
    """
    similarity = val_features @ train_features.t()
    if leave_one_out:
        similarity.fill_diagonal_(-torch.inf)
    values, neighbours = similarity.topk(min(k, len(train_features)), dim=1)
    votes = torch.zeros(len(val_features), classes)
    votes.scatter_add_(1, train_labels[neighbours], (values / temperature).exp())
    return (votes.argmax(dim=1) == val_labels).double().mean().item()


def evaluate_knn(data: LabelledSet, embed: Embed, k: int = 20, temperature: float = 0.07) -> float:
    """Embeds a labelled set and returns its k-NN top-1 accuracy in [0, 1]."""
    return knn_accuracy(
        embed_all(data.train_images, embed),
        data.train_labels,
        embed_all(data.val_images, embed),
        data.val_labels,
        data.classes,
        k,
        temperature,
    )
