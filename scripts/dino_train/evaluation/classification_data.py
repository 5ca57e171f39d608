"""Labelled images as classifiers are trained and measured on them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..augment_sample import resized_crop
from ..data import DataError, Sample, center_crop, decode_sample, list_samples
from ..image_store import ImageStore
from ..manifest import resize_for_crop
from ..multicrop import MultiCropOptions, draw_views

# torchvision's RandomResizedCrop, which the authors train with.
CROP_SCALE = (0.08, 1.0)


@dataclass(frozen=True)
class ClassificationSet:
    """Images with labels, to train on and to measure on.

    Attributes:
        name: of the data set.
        store: training images, at most twice the crop in their shorter side.
        labels: [N] classes of the training images.
        val: images to classify.
        val_labels: [M] classes; -1 for one that training never shows.
        classes: names of the classes.
        crop: side of the square input in pixels.
        seed: of the order and the crops.
    """

    name: str
    store: ImageStore
    labels: Tensor
    val: list[Sample]
    val_labels: Tensor
    classes: list[str]
    crop: int
    seed: int

    def train_batches(self, epoch: int, size: int) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Random resized crops, mirrored by half, in a new order every epoch.

        Yields:
            Images [B, crop, crop, 3] uint8 and labels [B]; the last batch may be smaller.
        """
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.labels))
        options = MultiCropOptions(CROP_SCALE, CROP_SCALE, 0, self.crop, self.crop)
        for start in range(0, len(order), size):
            indices = order[start : start + size]
            pack = self.store.pack(indices)
            if pack.bad:
                raise DataError(pack.bad[0])
            views = draw_views(pack.sizes, pack.keys, options, self.seed, epoch)
            images = []
            for n, pixels in enumerate(pack.images()):
                view = resized_crop(Image.fromarray(pixels.numpy()), views.box[n, 0], self.crop)
                images.append(np.array(ImageOps.mirror(view) if views.flip[n, 0] else view))
            yield np.stack(images), self.labels[torch.from_numpy(indices)]

    def val_batches(self, size: int) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Centre crops in order: images [B, crop, crop, 3] uint8 and labels [B]."""
        for start in range(0, len(self.val), size):
            images = [
                center_crop(decode_sample(sample), resize_for_crop(self.crop), self.crop)
                for sample in self.val[start : start + size]
            ]
            yield np.stack(images), self.val_labels[start : start + size]


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Options of verbs that train a classifier."""
    parser.add_argument(
        "--data",
        nargs=3,
        required=True,
        metavar=("NAME", "TRAIN", "VAL"),
        help="folder with a sub-folder per class, or tar shards",
    )
    parser.add_argument("--exclude", nargs="*", default=[], help="labels to leave out")
    parser.add_argument(
        "--crop", type=int, default=0, help="square input in pixels (default: the model's, or 224)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of crops, order and weights")


def load_classification_set(args: argparse.Namespace, crop: int) -> ClassificationSet:
    """Reads the set that --data names.

    Raises:
        DataError: if data is missing, without labels, unreadable or of one class alone.
    """
    name, train, val = args.data
    bank, queries = list_samples([train], args.exclude), list_samples([val], args.exclude)
    for sample in (*bank, *queries):
        if sample.label is None:
            raise DataError(
                f"{sample.source}: {sample.name} has no label; put the images of each class into a "
                "sub-folder, or .cls files into the shards"
            )
    store = ImageStore(bank, max_short_side=2 * crop)
    classes = sorted({str(sample.label) for sample in store.samples})
    if len(classes) < 2:
        raise DataError(
            f"{train} has one class alone, {classes[0]}: there is nothing to tell apart"
        )
    index = {label: i for i, label in enumerate(classes)}
    return ClassificationSet(
        name,
        store,
        torch.tensor([index[str(sample.label)] for sample in store.samples]),
        queries,
        torch.tensor([index.get(str(sample.label), -1) for sample in queries]),
        classes,
        crop,
        args.seed,
    )


def count_right(logits: Tensor, labels: Tensor, k: int) -> int:
    """Images whose label is among the k strongest of logits [B, classes]."""
    best = logits.topk(min(k, logits.shape[1]), dim=1).indices
    return int((best == labels[:, None].to(best.device)).any(dim=1).sum())
