"""The manifest beside an exported model, as the service reads it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from .onnx_graph import IMAGENET_MEAN, IMAGENET_STD, OPSET
from .vit import VisionTransformer

SCHEMA_VERSION = 1
ATTENTION_SIZE = 480


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Writes JSON beside the target and renames it, so that no reader sees half a file."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def resize_for_crop(crop: int) -> int:
    """Shorter side in pixels before a centre crop: the paper's evaluation ratio 256 / 224."""
    return round(crop * 256 / 224)


def check_crop(crop: int, patch_size: int) -> None:
    """Raises ValueError unless crop (pixels) is a positive multiple of the patch size."""
    if crop <= 0 or crop % patch_size:
        raise ValueError(f"crop {crop} is not a multiple of patch size {patch_size}")


@dataclass(frozen=True)
class DataCredit:
    """Attribution of a data set.

    Attributes:
        prefix: data files whose name begins with it belong to the set.
        name: of the data set.
        licence: under which its images are used.
        source: where it comes from, a URL or DOI.
    """

    prefix: str
    name: str
    licence: str
    source: str


def credit_data(
    files: Sequence[dict[str, Any]], credits: Sequence[DataCredit]
) -> list[dict[str, Any]]:
    """Sums the images of the files of each credited data set; others stay under their file name.

    Args:
        files: {"name", "images"} per folder or shard, as the checkpoint records them.
        credits: attributions; the first whose prefix fits counts.

    Raises:
        ValueError: if a credit matches no file.
    """
    entries: dict[str, dict[str, Any]] = {}
    used = set()
    for file in files:
        credit = next((c for c in credits if file["name"].startswith(c.prefix)), None)
        name = credit.name if credit else file["name"]
        entry = entries.setdefault(name, {"name": name, "images": 0})
        entry["images"] += file["images"]
        if credit:
            used.add(credit)
            entry.update(licence=credit.licence, source=credit.source)
    for credit in credits:
        if credit not in used:
            raise ValueError(f"no training data begins with {credit.prefix!r}")
    return list(entries.values())


def build_manifest(
    *,
    name: str,
    description: str,
    arch: str,
    network: nn.Module,
    model_path: Path,
    crop: int,
    parity: dict[str, Any],
    training: dict[str, Any],
    licence: str,
    converted: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Describes an exported model.

    Args:
        name: the model's folder name.
        description: one sentence for people.
        arch: of networks.arch_names().
        network: the exported backbone.
        model_path: the written ONNX file.
        crop: side in pixels of the square input for embeddings, a multiple of the patch size.
        parity: what export.measure_parity returned.
        training: the checkpoint's provenance.
        licence: SPDX identifier of the weights.
        converted: what the service's converter says of its file; None for a graph of onnx_graph.py.

    Returns:
        The manifest with an empty evaluation.

    Raises:
        ValueError: if crop is not a positive multiple of the patch size.
    """
    described = converted or _describe_vit(network)
    check_crop(crop, described["input"]["multipleOf"])
    return {
        "schemaVersion": SCHEMA_VERSION,
        "name": name,
        "description": description,
        "architecture": {**described["architecture"], "variant": arch},
        "file": {
            "path": model_path.name,
            "sha256": sha256_of(model_path),
            "bytes": model_path.stat().st_size,
            "opset": described["file"]["opset"],
            "precision": described["file"]["precision"],
        },
        "input": described["input"],
        "preprocessing": {
            "resize": resize_for_crop(crop),
            "crop": crop,
            "kernel": "cubic",
            "attentionSize": ATTENTION_SIZE,
            "mean": list(IMAGENET_MEAN),
            "std": list(IMAGENET_STD),
            "normalisation": "in-graph",
        },
        "outputs": described["outputs"],
        "parity": parity,
        "evaluation": {"knn": []},
        "training": training,
        "licence": licence,
    }


def _describe_vit(vit: VisionTransformer) -> dict[str, Any]:
    dim, heads = vit.embed_dim, vit.num_heads
    return {
        "architecture": {
            "family": "vit",
            "variant": "",
            "patchSize": vit.patch_size,
            "embedDim": dim,
            "depth": len(vit.blocks),
            "heads": heads,
        },
        "file": {"opset": OPSET, "precision": "fp32"},
        "input": {
            "name": "pixels",
            "layout": "NHWC",
            "type": "uint8",
            "colour": "RGB",
            "multipleOf": vit.patch_size,
        },
        "outputs": {
            "embedding": {"shape": ["batch", dim]},
            "patch_tokens": {"shape": ["batch", "patches", dim]},
            "attention": {"shape": ["batch", heads, "patches"]},
            "keys": {"shape": ["batch", "patches", dim]},
        },
    }
