"""`evaluate.py video-segmentation`: objects followed through videos, on DAVIS 2017."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..data import decode_rgb
from .davis import Video, list_videos, read_labels, standard_palette, write_labels
from .davis_metrics import contour_accuracy, region_similarity, statistics
from .masked_images import VOID
from .propagation import PropagationOptions, follow, to_mask
from .source import FeatureSource, open_source
from .verbs import Outcome, add_verb, positive, progress

EXAMPLE = "--model data/models/dino-vits16 --data_path DAVIS --output_dir masks\n"


def add_parser(verbs: argparse._SubParsersAction) -> None:
    """Options of the verb."""
    parser = add_verb(
        verbs, "video-segmentation", "J and F of objects followed through DAVIS 2017", EXAMPLE, run
    )
    add = parser.add_argument
    add(
        "--data_path", type=Path, required=True,
        help="folder with ImageSets/2017, JPEGImages/480p and Annotations/480p",
    )  # fmt: skip
    add("--split", default="val", help="list of videos in ImageSets/2017 (default val)")
    add("--output_dir", type=Path, help="where to write the masks as indexed PNGs")
    add("--imsize", type=positive, default=480, help="shorter side in pixels (default 480)")
    options = PropagationOptions()
    add("--n_last_frames", type=positive, default=options.n_last_frames, help="default 7")
    add(
        "--size_mask_neighborhood", type=int, default=options.size_mask_neighborhood,
        help="in patches; 0 = everywhere (default 12)",
    )  # fmt: skip
    add("--topk", type=positive, default=options.topk, help="default 5")
    add("--temperature", type=float, default=options.temperature, help="default 0.1")


def network_size(width: int, height: int, shorter: int, multiple: int) -> tuple[int, int]:
    """Width and height in pixels that the network sees, as the authors' script chooses them.

    The shorter side is `shorter`, the longer one a multiple of 64 px; both are multiples of
    `multiple`.
    """
    step = math.lcm(64, multiple) if 64 % multiple == 0 else multiple
    short = max(shorter - shorter % multiple, multiple)
    long = int(shorter * max(width, height) / min(width, height)) // step * step
    long = max(long, short if long == 0 else step)
    return (short, long) if height > width else (long, short)


def run(args: argparse.Namespace) -> Outcome:
    """Follows the objects of every video and scores them."""
    if args.temperature <= 0 or args.size_mask_neighborhood < 0:
        args.verb_parser.error("--temperature must be positive, --size_mask_neighborhood not below")
    source = open_source(args)
    source.require("patch_tokens")
    options = PropagationOptions(
        args.n_last_frames, args.size_mask_neighborhood, args.topk, args.temperature
    )
    videos = list_videos(args.data_path, args.split)
    objects: list[dict[str, Any]] = []
    for video in progress(videos, "videos"):
        predicted = segment(source, video, args.imsize, options)
        objects += score(video, predicted)
        if args.output_dir:
            first, _ = read_labels(video.masks[0])
            palette = first.getpalette() or standard_palette()
            for frame, labels in zip(video.frames, predicted, strict=True):
                write_labels(args.output_dir / video.name / f"{frame.stem}.png", labels, palette)
    j, f = (float(np.mean([o[measure]["mean"] for o in objects])) for measure in "JF")
    overall = {
        f"{measure}-{name}": round(float(np.mean([o[measure][name] for o in objects])), 6)
        for measure in "JF"
        for name in ("mean", "recall", "decay")
    }
    result = {
        "dataset": args.data_path.name,
        "videos": len(videos),
        "objects": len(objects),
        "J&F-mean": round((j + f) / 2, 6),
        **overall,
        "byObject": objects,
    }
    return Outcome(
        result,
        [
            f"{o['video']}, object {o['object']}: J {o['J']['mean']:.3f}, F {o['F']['mean']:.3f}"
            for o in objects
        ]
        + [
            f"{len(videos)} videos, {len(objects)} objects: J&F {(j + f) / 2:.3f}, "
            f"J mean {j:.3f}, recall {overall['J-recall']:.3f}, "
            f"F mean {f:.3f}, recall {overall['F-recall']:.3f}"
        ],
    )


def segment(
    source: FeatureSource, video: Video, shorter: int, options: PropagationOptions
) -> list[np.ndarray]:
    """Labels [H, W] uint8 of every frame, the first as it is given."""
    mask, given = read_labels(video.masks[0])
    size = network_size(mask.width, mask.height, shorter, source.multiple_of)
    grid = (size[1] // source.patch_size, size[0] // source.patch_size)
    small = np.array(mask.resize((grid[1], grid[0]), Image.Resampling.NEAREST)).astype(np.int64)
    small[small == VOID] = 0
    known = int(given[given != VOID].max(initial=0)) + 1
    first = F.one_hot(torch.from_numpy(small).flatten(), known).T.float()
    found = [given]
    for labels in follow(_features(source, video, size), first, grid, options):
        picture = Image.fromarray(to_mask(labels, grid, source.patch_size).numpy())
        found.append(np.array(picture.resize(mask.size, Image.Resampling.NEAREST)))
    return found


def _features(source: FeatureSource, video: Video, size: tuple[int, int]) -> Iterator[Tensor]:
    for path in progress(video.frames, video.name):
        frame = decode_rgb(path.read_bytes(), str(path))
        pixels = np.array(frame.resize(size, Image.Resampling.BILINEAR))
        yield torch.from_numpy(source.run(pixels[None], ["patch_tokens"])["patch_tokens"][0])


def score(video: Video, predicted: list[np.ndarray]) -> list[dict[str, Any]]:
    """J and F per object over all frames but the first, which is given, and the last."""
    truths = [read_labels(path)[1] for path in video.masks]
    known = max(int(labels[labels != VOID].max(initial=0)) for labels in truths)
    scores = []
    for label in range(1, known + 1):
        values: dict[str, list[float]] = {"J": [], "F": []}
        for truth, labels in zip(truths[1:-1], predicted[1:-1], strict=True):
            counts = truth != VOID
            mask, wanted = (labels == label) & counts, truth == label
            values["J"].append(region_similarity(mask, wanted))
            values["F"].append(contour_accuracy(mask, wanted))
        entry: dict[str, Any] = {"video": video.name, "object": label}
        for measure, per_frame in values.items():
            found = vars(statistics(np.array(per_frame)))
            entry[measure] = {name: round(value, 6) for name, value in found.items()}
        scores.append(entry)
    return scores
