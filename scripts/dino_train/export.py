"""Export of a trained teacher to a model folder: ONNX file, parity check, manifest."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from .checkpoint import load_teacher
from .manifest import DataCredit, build_manifest, check_crop, credit_data, write_json
from .model_card import TRAINING_LOG
from .onnx_graph import IMAGENET_MEAN, IMAGENET_STD, OUTPUTS, build_graph
from .vit import VisionTransformer

# Largest accepted difference between PyTorch and ONNX Runtime. Both compute in fp32 with different
# summation orders; outputs have magnitudes of about 1 to 10.
PARITY_TOLERANCE = 1e-3


class ExportError(RuntimeError):
    """The exported graph does not reproduce the PyTorch model."""


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    """ImageNet-normalises uint8 images [B, H, W, 3] to float [B, 3, H, W]."""
    mean = torch.tensor(IMAGENET_MEAN, device=pixels.device)
    std = torch.tensor(IMAGENET_STD, device=pixels.device)
    return ((pixels.float() / 255 - mean) / std).permute(0, 3, 1, 2)


def open_session(model: Path | bytes, threads: int = 0) -> onnxruntime.InferenceSession:
    """Opens an ONNX model on the CPU.

    Args:
        model: a file, or a serialised model.
        threads: intra-op threads; 0 lets the runtime choose.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def parity_sizes(vit: VisionTransformer) -> list[tuple[int, int, int]]:
    """(batch, height, width) to compare on: native, smaller, larger, non-square, batch 1 and 3."""
    patch, native = vit.patch_size, vit.grid_size
    grids = [
        (1, native, native),
        (3, native, native),
        (3, max(native // 2, 1), max(native // 2, 1)),
        (1, native * 2 + 1, native * 2 + 1),
        (1, native, native + 1),
        (3, native + 3, max(native - 1, 1)),
    ]
    return [(batch, rows * patch, columns * patch) for batch, rows, columns in grids]


@torch.inference_mode()
def measure_parity(vit: VisionTransformer, model: bytes, seed: int = 0) -> dict[str, Any]:
    """Compares ONNX Runtime with PyTorch on random pixels.

    Args:
        vit: the PyTorch backbone.
        model: the serialised ONNX model.
        seed: of the pixels.

    Returns:
        Library versions, the sizes [[H, W], ...] and the largest absolute difference per output.
    """
    vit.eval()
    session = open_session(model)
    generator = torch.Generator().manual_seed(seed)
    worst = dict.fromkeys(OUTPUTS, 0.0)
    sizes = parity_sizes(vit)
    for batch, height, width in sizes:
        pixels = torch.randint(
            0, 256, (batch, height, width, 3), dtype=torch.uint8, generator=generator
        )
        expected = vit.features(normalise(pixels))
        actual = session.run(OUTPUTS, {"pixels": pixels.numpy()})
        for output, value in zip(OUTPUTS, actual, strict=True):
            reference = getattr(expected, output).numpy()
            if value.shape != reference.shape:
                raise ExportError(f"{output}: shape {value.shape}, PyTorch {reference.shape}")
            difference = float(np.abs(value - reference).max())
            # max() would drop a NaN; a NaN must fail the export.
            if not difference <= worst[output]:
                worst[output] = difference
    return {
        "torch": torch.__version__.split("+")[0],
        "onnxruntime": onnxruntime.__version__,
        "sizes": [[height, width] for height, width in dict.fromkeys(s[1:] for s in sizes)],
        "maxAbsDiff": worst,
    }


def export_model(
    checkpoint: Path,
    out: Path,
    *,
    name: str,
    description: str,
    crop: int,
    licence: str = "Apache-2.0",
    tolerance: float = PARITY_TOLERANCE,
    credits: Sequence[DataCredit] = (),
) -> dict[str, Any]:
    """Exports the teacher of a checkpoint into a model folder.

    Args:
        checkpoint: what train.py wrote.
        out: the model's folder; created when missing.
        name: model name in the manifest.
        description: one sentence for people.
        crop: side in pixels of the square input for embeddings.
        licence: SPDX identifier of the weights.
        tolerance: largest accepted absolute difference to PyTorch, > 0.
        credits: attributions of the training data.

    Returns:
        The manifest that was written.

    Raises:
        CheckpointError: if the checkpoint cannot be read.
        ExportError: if any output differs from PyTorch by more than the tolerance; then nothing
            is written.
        ValueError: if crop is not a multiple of the patch size, or a credit fits no data.
    """
    loaded = load_teacher(checkpoint)
    # Before the slow part, and before anything is written.
    check_crop(crop, loaded.backbone)
    data = credit_data(loaded.training["data"], credits)
    model = build_graph(loaded.backbone, name)
    serialised = model.SerializeToString()
    parity = measure_parity(loaded.backbone, serialised)
    bad = {k: v for k, v in parity["maxAbsDiff"].items() if not v <= tolerance}
    if bad:
        raise ExportError(f"differs from PyTorch by more than {tolerance}: {bad}; nothing written")
    out.mkdir(parents=True, exist_ok=True)
    temporary, target = out / "model.onnx.tmp", out / "model.onnx"
    temporary.write_bytes(serialised)
    onnx.checker.check_model(str(temporary))
    os.replace(temporary, target)
    manifest = build_manifest(
        name=name,
        description=description,
        arch=loaded.arch,
        vit=loaded.backbone,
        model_path=target,
        crop=crop,
        parity=parity,
        training={**loaded.training, "data": data},
        licence=licence,
    )
    write_json(out / "manifest.json", manifest)
    _copy_log(checkpoint.with_name("log.jsonl"), out / TRAINING_LOG, manifest)
    return manifest


def _copy_log(log: Path, target: Path, manifest: dict[str, Any]) -> None:
    if log.is_file():
        # A run may have gone on after the exported checkpoint.
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        epochs = manifest["training"]["epochs"]
        kept = "".join(line for line in lines if json.loads(line)["epoch"] <= epochs)
        target.write_text(kept, encoding="utf-8")
