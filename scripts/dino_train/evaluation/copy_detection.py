"""`evaluate.py copy-detection`: mean average precision on Copydays (paper, section 4.2.1)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..data import IMAGE_SUFFIXES, decode_rgb
from .error import EvaluationError
from .ranking import average_precision
from .source import FeatureSource, open_source
from .verbs import Outcome, add_verb, positive, progress

EXAMPLE = "--checkpoint dino_vitbase8_pretrain.pth --data_path copydays\n"
ORIGINAL, STRONG = "original", "strong"
# The list of results is cut here, as in the authors' script.
DEPTH = 20
GEM_EXPONENT = 4


def add_parser(verbs: argparse._SubParsersAction) -> None:
    """Options of the verb."""
    parser = add_verb(verbs, "copy-detection", "mAP on the Copydays benchmark", EXAMPLE, run)
    parser.add_argument(
        "--data_path",
        type=Path,
        required=True,
        help="folder with original/, strong/ and any of jpegqual/N/ and crops/N/",
    )
    parser.add_argument(
        "--whitening_path", type=Path, help="images to learn the whitening from; none: no whitening"
    )
    parser.add_argument("--distractors_path", type=Path, help="images to add to the database")
    parser.add_argument(
        "--imsize", type=positive, default=320, help="square input in pixels (default 320)"
    )
    parser.add_argument("--batch_size_per_gpu", type=positive, default=16, help="default 16")


@dataclass(frozen=True)
class Whitening:
    """x -> (x - mean) projected so that the learning set's second moments become the identity.

    Attributes:
        mean: [D].
        projection: [D, D], rows are directions.
    """

    mean: Tensor
    projection: Tensor

    def apply(self, features: Tensor) -> Tensor:
        """Whitens [N, D]."""
        return (features - self.mean) @ self.projection.T


def learn_whitening(features: Tensor) -> Whitening:
    """Learns PCA whitening with power 0.5 as the authors' script does.

    The second moments are those of the features as they are, while the features to be whitened are
    centred; directions of less than 1e-5 of the largest energy are lifted to that.

    Args:
        features: [N, D], N >= 2.
    """
    x = features.double()
    energy, directions = torch.linalg.eigh(x.T @ x / len(x))
    energy = energy.clamp(min=float(energy.max()) * 1e-5)
    projection = (directions / energy.sqrt()).T.flip(0)
    return Whitening(x.mean(dim=0).float(), projection.float())


def describe(embedding: Tensor, patch_tokens: Tensor) -> Tensor:
    """CLS token beside the generalised mean (p = 4) of the patch tokens: [B, 2 D].

    Args:
        embedding: [B, D].
        patch_tokens: [B, patches, D].
    """
    pooled = patch_tokens.clamp(min=1e-6).pow(GEM_EXPONENT).mean(dim=1).pow(1 / GEM_EXPONENT)
    return torch.cat((embedding, pooled), dim=1)


def score_block(results: np.ndarray, positives: Sequence[Sequence[int]]) -> float:
    """mAP of a block of queries: [queries, DEPTH] indices of the database, best first."""
    scores = []
    for row, right in zip(results.tolist(), positives, strict=True):
        ranks = [rank for rank, index in enumerate(row) if index in right]
        scores.append(average_precision(ranks, len(right)))
    return float(np.mean(scores))


def run(args: argparse.Namespace) -> Outcome:
    """Describes all images, learns the whitening where asked, and scores every block."""
    source = open_source(args)
    source.require("embedding", "patch_tokens")
    source.require_multiple(args.imsize, "--imsize")
    blocks = find_blocks(args.data_path)

    def features(files: Sequence[Path], title: str) -> Tensor:
        return _describe_files(source, files, args.imsize, args.batch_size_per_gpu, title)

    found = {name: features(files, name) for name, files in blocks.items()}
    database = found[ORIGINAL]
    distractors = 0
    if args.distractors_path:
        extra = features(_images(args.distractors_path), "distractors")
        distractors = len(extra)
        database = torch.cat((database, extra))
    whitening = None
    if args.whitening_path:
        whitening = learn_whitening(features(_images(args.whitening_path), "whitening"))

    def prepare(values: Tensor) -> Tensor:
        return F.normalize(whitening.apply(values) if whitening else values, dim=1)

    database = prepare(database)
    by_block = {}
    for name, files in blocks.items():
        similarity = prepare(found[name]) @ database.T
        order = similarity.topk(min(DEPTH, len(database)), dim=1).indices.numpy()
        by_block[name] = round(score_block(order, _positives(name, files, blocks[ORIGINAL])), 6)
    result = {
        "dataset": args.data_path.name,
        "originals": len(blocks[ORIGINAL]),
        "distractors": distractors,
        "imsize": args.imsize,
        "whitened": whitening is not None,
        "mAP": by_block,
    }
    return Outcome(result, [f"{name}: mAP {value:.1%}" for name, value in by_block.items()])


def find_blocks(root: Path) -> dict[str, list[Path]]:
    """The folders of Copydays that are there, with their images in order of name.

    Raises:
        EvaluationError: if there are no originals, or a block does not fit them.
    """
    names = [ORIGINAL, STRONG]
    for kind in ("jpegqual", "crops"):
        levels = [path.name for path in root.glob(f"{kind}/*") if path.is_dir()]
        names += [f"{kind}/{level}" for level in sorted(levels, key=lambda n: (len(n), n))]
    blocks = {name: _images(root / name) for name in names if (root / name).is_dir()}
    if ORIGINAL not in blocks or len(blocks) < 2:
        raise EvaluationError(
            f"{root} is not laid out as Copydays: there must be {ORIGINAL}/ and one or more of "
            f"{STRONG}/, jpegqual/N/ and crops/N/"
        )
    originals = blocks[ORIGINAL]
    for name, files in blocks.items():
        if name != STRONG and len(files) != len(originals):
            raise EvaluationError(
                f"{root / name} has {len(files)} images, and {ORIGINAL} {len(originals)}: each is "
                "a copy of the original of the same place"
            )
        _positives(name, files, originals)
    return blocks


def _positives(name: str, files: list[Path], originals: list[Path]) -> list[list[int]]:
    if name != STRONG:
        return [[index] for index in range(len(files))]
    # The first four digits tell the original.
    positives = [
        [index for index, original in enumerate(originals) if original.name[:4] == file.name[:4]]
        for file in files
    ]
    for file, right in zip(files, positives, strict=True):
        if not right:
            raise EvaluationError(f"no original's name begins as that of {file}")
    return positives


def _images(folder: Path) -> list[Path]:
    files = []
    if folder.is_dir():
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise EvaluationError(f"no images in {folder}")
    return files


def _describe_files(
    source: FeatureSource, files: Sequence[Path], side: int, batch: int, title: str
) -> Tensor:
    parts = []
    for start in progress(range(0, len(files), batch), title):
        images = [decode_rgb(file.read_bytes(), str(file)) for file in files[start : start + batch]]
        pixels = np.stack(
            [np.array(image.resize((side, side), Image.Resampling.BICUBIC)) for image in images]
        )
        values = source.run(pixels, ["embedding", "patch_tokens"])
        embedding, tokens = map(torch.from_numpy, (values["embedding"], values["patch_tokens"]))
        parts.append(describe(embedding.float(), tokens.float()))
    return torch.cat(parts)
