"""Command line of evaluate.py."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .checkpoint import CheckpointError, load_teacher
from .data import DataError
from .export import open_session
from .import_onnx import ModelError, load_backbone, open_model_folder
from .knn import Embed, evaluate_knn, load_labelled_set
from .manifest import resize_for_crop, write_json
from .model_card import TRAINING_LOG, model_card
from .onnx_graph import build_graph
from .vit import VisionTransformer, build_vit

EXAMPLE = """example:
  python scripts/evaluate.py knn --model models/my-photos \\
      --data mine photos/train photos/val --write_manifest
"""


@dataclass(frozen=True)
class Candidate:
    """A trained network and its own start: same architecture, same seed.

    Attributes:
        trained: embeds with the trained weights.
        untrained: embeds with the weights that training began from.
        crop: side in pixels of the model's own square input; 0 if it does not say.
    """

    trained: Embed
    untrained: Embed
    crop: int


def onnx_embed(model: Path | bytes) -> Embed:
    """Embedding function of an exported model, uint8 [B, S, S, 3] to float32 [B, D]."""
    session = open_session(model)

    def embed(images: np.ndarray) -> np.ndarray:
        return session.run(["embedding"], {"pixels": images})[0]

    return embed


def untrained_backbone(arch: str, like: VisionTransformer, seed: int) -> VisionTransformer:
    """The backbone that train.py starts from with this seed."""
    torch.manual_seed(seed)
    return build_vit(arch, like.patch_size, like.grid_size * like.patch_size).eval()


def _embed_of(vit: VisionTransformer) -> Embed:
    return onnx_embed(build_graph(vit, "evaluated").SerializeToString())


def _candidate(args: argparse.Namespace) -> Candidate:
    if args.checkpoint:
        loaded = load_teacher(args.checkpoint)
        start = untrained_backbone(loaded.arch, loaded.backbone, loaded.training["seed"])
        return Candidate(_embed_of(loaded.backbone), _embed_of(start), 0)
    folder = open_model_folder(args.model)
    manifest = folder.manifest
    start = untrained_backbone(
        manifest["architecture"]["variant"], load_backbone(folder), manifest["training"]["seed"]
    )
    crop = manifest["preprocessing"]["crop"]
    return Candidate(onnx_embed(folder.onnx_path), _embed_of(start), crop)


def run_knn(args: argparse.Namespace) -> int:
    """Measures k-NN of the trained and the untrained network on every data set and crop."""
    candidate = _candidate(args)
    crops = args.crop or [candidate.crop or 224]
    results: list[dict[str, Any]] = []
    for name, train, val in args.data:
        for crop in crops:
            data = load_labelled_set(
                name, [train], [val], resize_for_crop(crop), crop, args.exclude
            )
            trained, untrained = (
                evaluate_knn(data, embed, args.k, args.temperature)
                for embed in (candidate.trained, candidate.untrained)
            )
            results.append(
                {
                    "dataset": name,
                    "trainImages": len(data.train_labels),
                    "valImages": len(data.val_labels),
                    "crop": crop,
                    "k": args.k,
                    "temperature": args.temperature,
                    "top1": round(trained, 6),
                    "untrainedTop1": round(untrained, 6),
                }
            )
            if not args.json:
                print(
                    f"{name} at {crop} px: top-1 {trained:.1%}, untrained {untrained:.1%} "
                    f"({len(data.train_labels)} train, {len(data.val_labels)} val images)",
                    flush=True,
                )
    if args.json:
        print(json.dumps(results, indent=2))
    if args.write_manifest:
        folder = open_model_folder(args.model)
        folder.manifest["evaluation"]["knn"] = [
            {key: value for key, value in result.items() if key != "crop"} for result in results
        ]
        write_json(args.model / "manifest.json", folder.manifest)
    return 0


def run_card(args: argparse.Namespace) -> int:
    """Writes the model folder's README.md from its manifest."""
    folder = open_model_folder(args.model)
    card = model_card(folder.manifest, (args.model / TRAINING_LOG).exists())
    (args.model / "README.md").write_text(card, encoding="utf-8")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Options of evaluate.py."""
    parser = argparse.ArgumentParser(
        prog="evaluate.py",
        description="Evaluate a checkpoint or an exported model on labelled images.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    knn = verbs.add_parser(
        "knn",
        help="weighted k-NN top-1, beside the untrained network's",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = knn.add_mutually_exclusive_group(required=True)
    which.add_argument("--checkpoint", type=Path, help="checkpoint.pth of train.py")
    which.add_argument("--model", type=Path, help="model folder of export_onnx.py")
    knn.add_argument(
        "--data",
        nargs=3,
        action="append",
        required=True,
        metavar=("NAME", "TRAIN", "VAL"),
        help="folder with a sub-folder per class, or tar shards; repeatable",
    )
    knn.add_argument("--exclude", nargs="*", default=[], help="labels to leave out")
    knn.add_argument(
        "--crop",
        type=int,
        nargs="+",
        default=[],
        help="square inputs in pixels to try (default: the model's own, or 224)",
    )
    knn.add_argument("--k", type=int, default=20, help="neighbours (default 20)")
    knn.add_argument("--temperature", type=float, default=0.07, help="of the vote (default 0.07)")
    knn.add_argument("--json", action="store_true", help="print JSON")
    knn.add_argument(
        "--write_manifest",
        action="store_true",
        help="store the result in the model folder's manifest",
    )
    knn.set_defaults(run=run_knn)
    card = verbs.add_parser("card", help="write the model folder's README.md from its manifest")
    card.add_argument("--model", type=Path, required=True, help="model folder")
    card.set_defaults(run=run_card)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs an evaluation; returns the exit status."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.verb == "knn":
        _check_knn(parser, args)
    try:
        return args.run(args)
    except (CheckpointError, DataError, ModelError, ValueError) as error:
        print(f"evaluate.py: {error}", file=sys.stderr)
        return 1


def _check_knn(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.write_manifest and (not args.model or args.crop):
        parser.error("--write_manifest needs --model and measures at the model's own crop")
    if args.k < 1 or args.temperature <= 0:
        parser.error("--k must be at least 1 and --temperature positive")
