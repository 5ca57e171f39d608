"""`evaluate.py knn`: weighted k-NN on frozen features (paper, section 4.1)."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..import_onnx import open_model_folder
from ..knn import knn_accuracy, load_labelled_set
from ..manifest import resize_for_crop, write_json
from .source import Run, open_source
from .untrained import untrained_run
from .verbs import Outcome, add_verb, positive, progress

BATCH = 64
EXAMPLE = """--model models/my-photos \\
      --data mine photos/train photos/val --write_manifest
"""


def add_parser(verbs: argparse._SubParsersAction) -> None:
    """Options of the verb."""
    knn = add_verb(
        verbs, "knn", "weighted k-NN top-1, beside the untrained network's", EXAMPLE, run
    )
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
    knn.add_argument(
        "--k",
        "--nb_knn",
        type=positive,
        nargs="+",
        default=[20],
        help="numbers of neighbours (default 20; the authors: 10 20 100 200)",
    )
    knn.add_argument("--temperature", type=float, default=0.07, help="of the vote (default 0.07)")
    knn.add_argument(
        "--leave_one_out",
        action="store_true",
        help="TRAIN and VAL are the same images: each is classified by all others",
    )
    knn.add_argument(
        "--write_manifest",
        action="store_true",
        help="store the result in the model folder's manifest",
    )


def run(args: argparse.Namespace) -> Outcome:
    """Measures k-NN of the trained and the untrained network on every data set and crop."""
    if args.write_manifest and (not args.model or args.crop or len(args.k) > 1):
        args.verb_parser.error(
            "--write_manifest needs --model, measures at the model's own crop and takes one --k"
        )
    if args.temperature <= 0:
        args.verb_parser.error("--temperature must be positive")
    source = open_source(args)
    start = untrained_run(source)
    results: list[dict[str, Any]] = []
    for name, train, val in args.data:
        if args.leave_one_out and train != val:
            args.verb_parser.error("--leave_one_out takes one set: TRAIN and VAL must be the same")
        for crop in args.crop or [source.crop or 224]:
            source.require_multiple(crop, "--crop")
            data = load_labelled_set(
                name, [train], [val], resize_for_crop(crop), crop, args.exclude
            )
            found = {}
            for title, run_network in (("top1", source.run), ("untrainedTop1", start)):
                if run_network is None:
                    continue
                bank = _embed(data.train_images, run_network, f"{name}: bank")
                queries = bank
                if not args.leave_one_out:
                    queries = _embed(data.val_images, run_network, f"{name}: queries")
                for k in args.k:
                    found[k, title] = round(
                        knn_accuracy(
                            bank, data.train_labels, queries, data.val_labels, data.classes,
                            k, args.temperature, args.leave_one_out,
                        ),
                        6,
                    )  # fmt: skip
            results += [
                {
                    "dataset": name,
                    "trainImages": len(data.train_labels),
                    "valImages": len(data.val_labels),
                    "crop": crop,
                    "k": k,
                    "temperature": args.temperature,
                    **({"leaveOneOut": True} if args.leave_one_out else {}),
                    "top1": found[k, "top1"],
                    "untrainedTop1": found.get((k, "untrainedTop1")),
                }
                for k in args.k
            ]
    if args.write_manifest:
        folder = open_model_folder(args.model)
        folder.manifest.setdefault("evaluation", {})["knn"] = [
            {key: value for key, value in result.items() if key != "crop"} for result in results
        ]
        write_json(args.model / "manifest.json", folder.manifest)
    return Outcome(results, [_line(result) for result in results])


def _embed(images: np.ndarray, run_network: Run, title: str) -> Tensor:
    starts = range(0, len(images), BATCH)
    parts = [
        run_network(images[i : i + BATCH], ["embedding"])["embedding"]
        for i in progress(starts, title, len(starts))
    ]
    return F.normalize(torch.from_numpy(np.concatenate(parts)).float(), dim=1)


def _line(result: dict[str, Any]) -> str:
    untrained = result["untrainedTop1"]
    beside = "" if untrained is None else f", untrained {untrained:.1%}"
    return (
        f"{result['dataset']} at {result['crop']} px, k {result['k']}: top-1 {result['top1']:.1%}"
        f"{beside} ({result['trainImages']} train, {result['valImages']} val images)"
    )
