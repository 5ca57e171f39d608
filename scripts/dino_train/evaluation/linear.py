"""`evaluate.py linear`: a linear classifier on frozen features (paper, section 4.1)."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..export import normalise
from ..vit import VisionTransformer
from .classification_data import (
    ClassificationSet,
    add_data_options,
    count_right,
    load_classification_set,
)
from .error import EvaluationError
from .source import FeatureSource, choose_device, open_source
from .verbs import Outcome, add_verb, flag, positive, progress

EXAMPLE = """--checkpoint runs/mine/checkpoint.pth \\
      --data mine photos/train photos/val --epochs 20
"""
DEFAULT_BLOCKS = 4
WEIGHT_STD = 0.01
MOMENTUM = 0.9

Features = Callable[[np.ndarray], Tensor]


def add_parser(verbs: argparse._SubParsersAction) -> None:
    """Options of the verb."""
    parser = add_verb(
        verbs, "linear", "top-1 of a linear classifier on frozen features", EXAMPLE, run
    )
    add_data_options(parser)
    add = parser.add_argument
    add(
        "--n_last_blocks", type=positive,
        help=f"CLS tokens of so many blocks (default {DEFAULT_BLOCKS} for the checkpoint of a ViT, "
        "else 1, which is what other networks and ONNX models give)",
    )  # fmt: skip
    add(
        "--avgpool_patchtokens", type=flag, default=False,
        help="with the mean of the last block's patch tokens (default false)",
    )  # fmt: skip
    add("--epochs", type=positive, default=100, help="default 100")
    add("--lr", type=float, default=0.001, help="at batch 256, scaled linearly (default 0.001)")
    add("--batch_size_per_gpu", type=positive, default=128, help="default 128")


def last_blocks(vit: VisionTransformer, x: Tensor, n: int, average: bool) -> Tensor:
    """CLS tokens of the last n blocks after the last LayerNorm, and the mean patch token.

    Args:
        vit: the backbone.
        x: normalised images [B, 3, H, W].
        n: blocks, 1 to the depth.
        average: whether the mean of the last block's patch tokens is added.

    Returns:
        [B, D * (n + average)], the earliest block first.
    """
    tokens = vit.prepare_tokens(x)
    parts = []
    for number, block in enumerate(vit.blocks, start=1):
        tokens = block(tokens)
        if number > len(vit.blocks) - n:
            parts.append(vit.norm(tokens[:, 0]))
    if average:
        parts.append(vit.norm(tokens)[:, 1:].mean(dim=1))
    return torch.cat(parts, dim=1)


def frozen_features(
    source: FeatureSource, n_last_blocks: int | None, average: bool, device: torch.device
) -> tuple[Features, int]:
    """The features that a classifier gets, and from how many blocks.

    Raises:
        EvaluationError: if the source does not give them.
    """
    backbone = source.network.backbone if source.network else None
    if isinstance(backbone, VisionTransformer):
        blocks = n_last_blocks or min(DEFAULT_BLOCKS, len(backbone.blocks))
        if blocks > len(backbone.blocks):
            raise EvaluationError(f"{source.name} has {len(backbone.blocks)} blocks, not {blocks}")

        @torch.no_grad()
        def of_blocks(images: np.ndarray) -> Tensor:
            pixels = normalise(torch.from_numpy(images).to(device))
            return last_blocks(backbone, pixels, blocks, average)

        return of_blocks, blocks
    if n_last_blocks not in (None, 1):
        raise EvaluationError(
            f"{source.name} gives the features of its last block alone: leave out "
            "--n_last_blocks, or evaluate the checkpoint of a ViT"
        )
    outputs = ["embedding", "patch_tokens"] if average else ["embedding"]
    source.require(*outputs)

    def of_outputs(images: np.ndarray) -> Tensor:
        found = source.run(images, outputs)
        parts = [torch.from_numpy(found["embedding"].copy())]
        if average:
            parts.append(torch.from_numpy(found["patch_tokens"]).mean(dim=1))
        return torch.cat(parts, dim=1).to(device)

    return of_outputs, 1


def cosine_rate(lr: float, batch_size: int, epoch: int, epochs: int) -> float:
    """Learning rate of an epoch: scaled by batch / 256, cosine from there to 0."""
    return lr * batch_size / 256 * (1 + math.cos(math.pi * epoch / epochs)) / 2


def train_classifier(
    data: ClassificationSet, features: Features, args: argparse.Namespace
) -> nn.Linear:
    """Trains a linear layer by SGD with momentum 0.9 and no weight decay.

    Raises:
        EvaluationError: if the loss stops being finite.
    """
    torch.manual_seed(args.seed)
    first = features(next(data.val_batches(1))[0])
    classifier = nn.Linear(first.shape[1], len(data.classes))
    nn.init.normal_(classifier.weight, std=WEIGHT_STD)
    nn.init.zeros_(classifier.bias)
    classifier.to(first.device)
    optimizer = torch.optim.SGD(classifier.parameters(), lr=args.lr, momentum=MOMENTUM)
    for epoch in progress(range(args.epochs), "epochs"):
        rate = cosine_rate(args.lr, args.batch_size_per_gpu, epoch, args.epochs)
        optimizer.param_groups[0]["lr"] = rate
        for images, labels in data.train_batches(epoch, args.batch_size_per_gpu):
            loss = F.cross_entropy(classifier(features(images)), labels.to(first.device))
            if not math.isfinite(loss.item()):
                raise EvaluationError(f"the loss is {loss.item()} in epoch {epoch + 1}: lower --lr")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return classifier


def run(args: argparse.Namespace) -> Outcome:
    """Trains the classifier and measures it."""
    source = open_source(args)
    crop = args.crop or source.crop or 224
    source.require_multiple(crop, "--crop")
    # What ONNX Runtime gives is on the CPU.
    device = choose_device(args.device if source.network else "cpu")
    features, blocks = frozen_features(source, args.n_last_blocks, args.avgpool_patchtokens, device)
    data = load_classification_set(args, crop)
    classifier = train_classifier(data, features, args)
    with torch.no_grad():
        return measure(
            data,
            lambda images: classifier(features(images)),
            args.batch_size_per_gpu,
            {
                "crop": crop,
                "nLastBlocks": blocks,
                "avgpoolPatchtokens": args.avgpool_patchtokens,
                "epochs": args.epochs,
            },
        )


def measure(
    data: ClassificationSet, classify: Features, batch: int, settings: dict[str, object]
) -> Outcome:
    """Top-1 and top-5 on the images to classify, with the settings that led there."""
    right = np.zeros(2, int)
    for images, labels in data.val_batches(batch):
        logits = classify(images)
        right += [count_right(logits, labels, k) for k in (1, 5)]
    top1, top5 = (round(float(share), 6) for share in right / len(data.val))
    result = {
        "dataset": data.name,
        "trainImages": len(data.labels),
        "valImages": len(data.val),
        "classes": len(data.classes),
        **settings,
        "top1": top1,
        # Of fewer than five classes the first five are all.
        "top5": top5 if len(data.classes) > 5 else None,
    }
    also = "" if result["top5"] is None else f", top-5 {top5:.1%}"
    line = (
        f"{data.name} at {data.crop} px: top-1 {top1:.1%}{also} "
        f"({len(data.labels)} train, {len(data.val)} val images of {len(data.classes)} classes)"
    )
    return Outcome(result, [line])
