"""Command line of golden.py."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from .checkpoint import CheckpointError, load_teacher
from .data import DataError, center_crop, decode_rgb
from .export import normalise
from .import_onnx import ModelError, ModelFolder, load_backbone, open_model_folder
from .manifest import write_json
from .scenes import golden_scenes
from .vit import VisionTransformer

EXAMPLE = """example:
  python scripts/golden.py --model models/my-photos --out test/golden
"""
# Enough for cosine comparisons at 1e-6, short enough to review.
DECIMALS = 7


def _rounded(values: torch.Tensor) -> list:
    return [round(float(v), DECIMALS) for v in values]


@torch.inference_mode()
def expected_answer(vit: VisionTransformer, path: Path, resize: int, crop: int) -> dict[str, Any]:
    """Computes embedding and attention of an image file with PIL and PyTorch alone.

    Args:
        vit: in evaluation mode.
        path: image file.
        resize: shorter side in pixels before the centre crop.
        crop: side in pixels.

    Returns:
        file, embedding (unit length, D numbers) and attention: size [H, W] in pixels, grid
        [rows, columns] and values [heads][rows * columns].
    """
    image = decode_rgb(path.read_bytes(), path.name)
    pixels = torch.from_numpy(center_crop(image, resize, crop))[None]
    features = vit.features(normalise(pixels))
    grid = crop // vit.patch_size
    return {
        "file": path.name,
        "embedding": _rounded(F.normalize(features.embedding, dim=-1)[0]),
        "attention": {
            "size": [crop, crop],
            "grid": [grid, grid],
            "values": [_rounded(head) for head in features.attention[0]],
        },
    }


def write_golden(vit: VisionTransformer, folder: ModelFolder, out: Path) -> None:
    """Draws the scenes into a folder and writes expected.json beside them."""
    out.mkdir(parents=True, exist_ok=True)
    preprocessing = folder.manifest["preprocessing"]
    answers = []
    for name, (image, save_options) in golden_scenes().items():
        image.save(out / name, **save_options)
        answers.append(
            expected_answer(vit, out / name, preprocessing["resize"], preprocessing["crop"])
        )
    write_json(
        out / "expected.json",
        {
            "model": folder.manifest["name"],
            "sha256": folder.manifest["file"]["sha256"],
            "images": answers,
        },
    )


def build_parser() -> argparse.ArgumentParser:
    """Options of golden.py."""
    parser = argparse.ArgumentParser(
        prog="golden.py",
        description="Draw the golden test's pictures and compute, with PyTorch and PIL, what the "
        "service must answer for them.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    parser.add_argument(
        "--checkpoint", type=Path, help="take the weights from here instead of the ONNX file"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("test/golden"),
        help="folder to write (default test/golden)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the golden files; returns the exit status."""
    args = build_parser().parse_args(argv)
    try:
        folder = open_model_folder(args.model)
        vit = load_teacher(args.checkpoint).backbone if args.checkpoint else load_backbone(folder)
        write_golden(vit, folder, args.out)
    except (CheckpointError, DataError, ModelError, OSError) as error:
        print(f"golden.py: {error}", file=sys.stderr)
        return 1
    return 0
