"""`evaluate.py segmentation`: attention maps as masks, against the objects' true masks.

The paper's section 4.2.2: of each head of the last block the patches that hold a share of the
attention of CLS are a mask; its Jaccard index is measured against the ground truth.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from ..manifest import ATTENTION_SIZE, write_json
from .error import EvaluationError
from .masked_images import list_masked_images
from .source import open_source
from .verbs import Outcome, add_verb, positive, progress

EXAMPLE = "--model models/my-photos --data_path VOCdevkit/VOC2012\n"


def add_parser(verbs: argparse._SubParsersAction) -> None:
    """Options of the verb."""
    parser = add_verb(
        verbs, "segmentation", "Jaccard index of attention masks with the true masks", EXAMPLE, run
    )
    parser.add_argument(
        "--data_path",
        type=Path,
        required=True,
        help="Pascal VOC, a folder with images/ and masks/, or NAME.jpg with NAME.mask.png in a "
        "folder or tar shard",
    )
    parser.add_argument(
        "--threshold", type=float, default=0.6, help="share of the attention kept (default 0.6)"
    )
    parser.add_argument(
        "--imsize", type=positive, default=ATTENTION_SIZE,
        help=f"longer side in pixels that the network sees (default {ATTENTION_SIZE})",
    )  # fmt: skip
    parser.add_argument(
        "--write_manifest",
        action="store_true",
        help="store the result in the model folder's manifest",
    )


def attention_masks(attention: np.ndarray, threshold: float) -> np.ndarray:
    """The patches that hold a share of each head's attention, most attended first.

    A patch is kept when the mass of all patches that are attended less, and its own, is more than
    1 - threshold of the whole (visualize_attention.py of facebookresearch/dino).

    Args:
        attention: [heads, patches], not negative.
        threshold: share in (0, 1].

    Returns:
        [heads, patches] bool.
    """
    order = np.argsort(attention, axis=1, kind="stable")
    ascending = np.take_along_axis(attention.astype(np.float64), order, axis=1)
    mass = np.cumsum(ascending / ascending.sum(axis=1, keepdims=True), axis=1)
    kept = np.empty(attention.shape, bool)
    np.put_along_axis(kept, order, mass > 1 - threshold, axis=1)
    return kept


def jaccard(mask: np.ndarray, truth: np.ndarray, counts: np.ndarray) -> float:
    """Intersection over union of [H, W] bool masks where `counts`; 1 where both are empty."""
    union = ((mask | truth) & counts).sum()
    return float((mask & truth & counts).sum() / union) if union else 1.0


def run(args: argparse.Namespace) -> Outcome:
    """Measures every head on every image."""
    if not 0 < args.threshold <= 1:
        args.verb_parser.error("--threshold must be above 0 and at most 1")
    if args.write_manifest and not args.model:
        args.verb_parser.error("--write_manifest needs --model")
    source = open_source(args)
    source.require("attention")
    samples = list_masked_images(args.data_path)
    scores = []
    for sample in progress(samples, "masks"):
        image = sample.read_image()
        truth, counts = sample.read_mask()
        if truth.shape != (image.height, image.width):
            raise EvaluationError(
                f"{sample.name} has {image.width}x{image.height} px, its mask "
                f"{truth.shape[1]}x{truth.shape[0]}"
            )
        width, height = _network_size(image, args.imsize, source.multiple_of)
        pixels = np.array(image.resize((width, height), Image.Resampling.BICUBIC))
        attention = source.run(pixels[None], ["attention"])["attention"][0]
        grid = (height // source.patch_size, width // source.patch_size)
        kept = attention_masks(attention, args.threshold).reshape(-1, *grid)
        scores.append([jaccard(_enlarge(mask, truth.shape), truth, counts) for mask in kept])
    by_head = np.array(scores).mean(axis=0)
    result = {
        "dataset": args.data_path.stem,
        "images": len(scores),
        "threshold": args.threshold,
        "imsize": args.imsize,
        "jaccardBestHeadPerImage": round(float(np.max(scores, axis=1).mean()), 6),
        "jaccardMeanOfHeads": round(float(by_head.mean()), 6),
        "jaccardByHead": [round(float(score), 6) for score in by_head],
    }
    if args.write_manifest and source.folder:
        source.folder.manifest.setdefault("evaluation", {})["segmentation"] = [result]
        write_json(source.folder.path / "manifest.json", source.folder.manifest)
    heads = ", ".join(f"{score:.3f}" for score in by_head)
    return Outcome(
        result,
        [
            f"{result['dataset']}, {len(scores)} images at {args.imsize} px, threshold "
            f"{args.threshold}: Jaccard {result['jaccardBestHeadPerImage']:.3f} by the best head "
            f"of each image, {result['jaccardMeanOfHeads']:.3f} on average over heads",
            f"by head: {heads}",
        ],
    )


def _network_size(image: Image.Image, longer: int, multiple: int) -> tuple[int, int]:
    scale = longer / max(image.size)
    width, height = (max(1, round(side * scale / multiple)) * multiple for side in image.size)
    return width, height


def _enlarge(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    picture = Image.fromarray(mask.astype(np.uint8))
    return np.array(picture.resize((shape[1], shape[0]), Image.Resampling.NEAREST)).astype(bool)
