"""`evaluate.py finetune`: transfer, the whole network trained on with a linear head.

The paper's section 4.4 follows DeiT (Touvron et al. 2021, arXiv:2012.12877): AdamW, a cosine
schedule, label smoothing, stochastic depth where the network has it.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..export import normalise
from ..vit import DropPath
from .classification_data import ClassificationSet, add_data_options, load_classification_set
from .error import EvaluationError
from .linear import measure
from .source import choose_device, open_source
from .verbs import Outcome, add_verb, positive, progress

EXAMPLE = """--checkpoint runs/mine/checkpoint.pth \\
      --data mine photos/train photos/val --epochs 20
"""
HEAD_STD = 0.02


def add_parser(verbs: argparse._SubParsersAction) -> None:
    """Options of the verb."""
    parser = add_verb(
        verbs, "finetune", "top-1 after training the whole network on labels", EXAMPLE, run,
        model_too=False,
    )  # fmt: skip
    add_data_options(parser)
    add = parser.add_argument
    add("--epochs", type=positive, default=30, help="default 30")
    add("--warmup_epochs", type=int, default=1, help="of the learning rate (default 1)")
    add("--lr", type=float, default=0.0005, help="at batch 256, scaled linearly (default 0.0005)")
    add("--weight_decay", type=float, default=0.05, help="of matrices (default 0.05)")
    add("--label_smoothing", type=float, default=0.1, help="default 0.1")
    add("--drop_path_rate", type=float, default=0.1, help="stochastic depth (default 0.1)")
    add("--batch_size_per_gpu", type=positive, default=64, help="default 64")


class Classifier(nn.Module):
    """A backbone with a linear head on its embedding."""

    def __init__(self, backbone: nn.Module, dim: int, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(dim, classes)
        nn.init.trunc_normal_(self.head.weight, std=HEAD_STD)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x))


def warm_cosine(step: int, steps: int, warmup: int) -> float:
    """Share of the learning rate at a step: linear up from 0 over `warmup`, then cosine to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup))) / 2


def set_drop_path(backbone: nn.Module, rate: float) -> None:
    """Sets stochastic depth, growing linearly from 0 to `rate` over the network's branches."""
    branches = [module for module in backbone.modules() if isinstance(module, DropPath)]
    for branch, probability in zip(branches, np.linspace(0, rate, len(branches)), strict=True):
        branch.probability = float(probability)


def fine_tune(
    data: ClassificationSet,
    backbone: nn.Module,
    args: argparse.Namespace,
    device: torch.device,
) -> Classifier:
    """Trains backbone and head on the labels; the backbone is changed.

    Raises:
        EvaluationError: if the loss stops being finite.
    """
    torch.manual_seed(args.seed)
    model = Classifier(backbone, backbone.embed_dim, len(data.classes)).to(device)
    set_drop_path(backbone, args.drop_path_rate)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": args.weight_decay},
         {"params": vectors, "weight_decay": 0.0}],
    )  # fmt: skip
    batch = args.batch_size_per_gpu
    per_epoch = math.ceil(len(data.labels) / batch)
    peak = args.lr * batch / 256
    model.train()
    for epoch in progress(range(args.epochs), "epochs"):
        for number, (images, labels) in enumerate(data.train_batches(epoch, batch)):
            step = epoch * per_epoch + number
            share = warm_cosine(step, args.epochs * per_epoch, args.warmup_epochs * per_epoch)
            for group in optimizer.param_groups:
                group["lr"] = peak * share
            logits = model(normalise(torch.from_numpy(images).to(device)))
            loss = F.cross_entropy(logits, labels.to(device), label_smoothing=args.label_smoothing)
            if not math.isfinite(loss.item()):
                raise EvaluationError(f"the loss is {loss.item()} in epoch {epoch + 1}: lower --lr")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


def run(args: argparse.Namespace) -> Outcome:
    """Fine-tunes and measures."""
    if not 0 <= args.warmup_epochs <= args.epochs:
        args.verb_parser.error("--warmup_epochs must not exceed --epochs")
    if not 0 <= args.drop_path_rate < 1 or not 0 <= args.label_smoothing < 1:
        args.verb_parser.error("--drop_path_rate and --label_smoothing must be in [0, 1)")
    source = open_source(args)
    crop = args.crop or 224
    source.require_multiple(crop, "--crop")
    device = choose_device(args.device)
    data = load_classification_set(args, crop)
    assert source.network is not None
    model = fine_tune(data, source.network.backbone, args, device)

    @torch.inference_mode()
    def classify(images: np.ndarray) -> Tensor:
        return model(normalise(torch.from_numpy(images).to(device)))

    settings = {"crop": crop, "epochs": args.epochs, "lr": args.lr}
    return measure(data, classify, args.batch_size_per_gpu, settings)
