"""`evaluate.py retrieval`: mean average precision on the Revisited Oxford and Paris benchmarks.

Radenovic et al. 2018 (arXiv:1803.11285), with the features of the DINO paper, section 4.2.1.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from ..data import decode_rgb
from .error import EvaluationError
from .ground_truth import Benchmark, Query, load_benchmark
from .ranking import average_precision, precision_at, ranks_without_junk
from .source import FeatureSource, open_source
from .verbs import Outcome, add_verb, flag, positive, progress

EXAMPLE = "--model data/models/dino-vits16 --data_path revisitop --dataset roxford5k\n"
KS = (1, 5, 10)
SCALES = (1.0, 1 / math.sqrt(2), 0.5)

# What counts as right and what is junk.
PROTOCOLS: dict[str, Callable[[Query], tuple[list[int], list[int]]]] = {
    "easy": lambda query: (query.easy, query.junk + query.hard),
    "medium": lambda query: (query.easy + query.hard, query.junk),
    "hard": lambda query: (query.hard, query.junk + query.easy),
}


def add_parser(verbs: argparse._SubParsersAction) -> None:
    """Options of the verb."""
    parser = add_verb(
        verbs, "retrieval", "mAP on the Revisited Oxford and Paris benchmarks", EXAMPLE, run
    )
    parser.add_argument(
        "--data_path",
        type=Path,
        required=True,
        help="folder with DATASET/gnd_DATASET.pkl (or .json) and DATASET/jpg/",
    )
    parser.add_argument("--dataset", default="roxford5k", help="roxford5k (default) or rparis6k")
    parser.add_argument(
        "--imsize", type=positive, default=224, help="longer side at most, in pixels (default 224)"
    )
    parser.add_argument(
        "--multiscale", type=flag, default=False, help="mean of three scales (default false)"
    )
    parser.add_argument(
        "--crop_queries", type=flag, default=True,
        help="cut queries to their boxes, as the benchmark says; the DINO authors' script did not "
        "(default true)",
    )  # fmt: skip


def score_protocol(
    orders: list[np.ndarray], queries: list[Query], protocol: str
) -> dict[str, float | None]:
    """mAP and mP@k over the queries that have positives.

    Args:
        orders: per query the indices of the database, best first.
        queries: in the same order.
        protocol: easy, medium or hard.

    Returns:
        mAP, mP@1, mP@5 and mP@10 in [0, 1]; None where no query has a positive.
    """
    found = []
    for order, query in zip(orders, queries, strict=True):
        positives, junk = PROTOCOLS[protocol](query)
        if positives:
            ranks = ranks_without_junk(order, positives, junk)
            precisions = [precision_at(ranks, k) for k in KS]
            found.append([average_precision(ranks.tolist(), len(positives)), *precisions])
    names = ["mAP", *(f"mP@{k}" for k in KS)]
    if not found:
        return dict.fromkeys(names)
    return {
        name: round(float(value), 6)
        for name, value in zip(names, np.mean(found, axis=0), strict=True)
    }


def embed_image(source: FeatureSource, image: Image.Image, multiscale: bool) -> np.ndarray:
    """Embedding [D] of unit length; with `multiscale` of the mean over SCALES."""
    total = np.zeros(0)
    for scale in SCALES if multiscale else SCALES[:1]:
        pixels = source.cut(image if scale == 1 else _shrink(image, scale))
        embedding = source.run(pixels[None], ["embedding"])["embedding"][0].astype(np.float64)
        total = total + embedding if total.size else embedding
    return total / np.linalg.norm(total)


def _shrink(image: Image.Image, scale: float) -> Image.Image:
    # Bilinear without antialiasing, as the authors' multi_scale.
    tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
    small = F.interpolate(tensor, scale_factor=scale, mode="bilinear", align_corners=False)
    return Image.fromarray(small[0].permute(1, 2, 0).round().to(torch.uint8).numpy())


def run(args: argparse.Namespace) -> Outcome:
    """Embeds database and queries, ranks, and scores the three protocols."""
    source = open_source(args)
    benchmark = load_benchmark(args.data_path, args.dataset)

    def embed(name: str, box: tuple[float, float, float, float] | None = None) -> np.ndarray:
        image = _read(benchmark, name)
        if box is not None:
            image = image.crop(tuple(round(side) for side in box))
        image.thumbnail((args.imsize, args.imsize), Image.Resampling.LANCZOS)
        return embed_image(source, image, args.multiscale)

    database = np.stack([embed(name) for name in progress(benchmark.database, "database")])
    orders = []
    for query in progress(benchmark.queries, "queries"):
        embedding = embed(query.name, query.box if args.crop_queries else None)
        orders.append(np.argsort(-(database @ embedding), kind="stable"))
    result: dict[str, Any] = {
        "dataset": benchmark.name,
        "images": len(database),
        "queries": len(orders),
        "imsize": args.imsize,
        "multiscale": args.multiscale,
        "cropQueries": args.crop_queries,
    }
    result |= {name: score_protocol(orders, benchmark.queries, name) for name in PROTOCOLS}
    lines = [f"{benchmark.name}: {len(orders)} queries, {len(database)} images, {args.imsize} px"]
    for name in PROTOCOLS:
        scores = ", ".join(
            f"{key} {'-' if value is None else f'{value:.1%}'}"
            for key, value in result[name].items()
        )
        lines.append(f"{name}: {scores}")
    return Outcome(result, lines)


def _read(benchmark: Benchmark, name: str) -> Image.Image:
    path = benchmark.images / f"{name}.jpg"
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise EvaluationError(f"cannot read {path}, which the ground truth names") from error
    return decode_rgb(encoded, path.name)
