"""Export of a trained teacher to a model folder: ONNX file, parity check, manifest."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from PIL import Image
from torch import nn

from .backbones.resnet import TOTAL_STRIDE
from .checkpoint import load_teacher
from .converter import convert_checkpoint
from .manifest import DataCredit, build_manifest, check_crop, credit_data, write_json
from .model_card import TRAINING_LOG
from .onnx_graph import IMAGENET_MEAN, IMAGENET_STD, build_graph
from .static_int8 import quantise_static
from .vit import VisionTransformer

# Largest accepted difference between PyTorch and ONNX Runtime. Both compute in fp32 with different
# summation orders; outputs have magnitudes of about 1 to 10.
PARITY_TOLERANCE = 1e-3
# Weights of other precisions change every vector a little: docs/decisions/0007-int8-per-token.md
# measured a cosine of 0.999999 for fp16 and of 0.995 or more for int8. A broken graph is far below.
MIN_COSINE = {"fp16": 0.999, "int8": 0.98, "int8-static": 0.98}
STATIC = "int8-static"
# Side in pixels that networks without a positional grid are compared at.
NATIVE_SIZE = 224


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


def parity_sizes(network: nn.Module, multiple: int) -> list[tuple[int, int, int]]:
    """(batch, height, width) to compare on: native, smaller, larger, non-square, batch 1 and 3.

    Args:
        network: the backbone.
        multiple: what image sides are multiples of, in pixels.
    """
    native = getattr(network, "grid_size", max(NATIVE_SIZE // multiple, 1))
    grids = [
        (1, native, native),
        (3, native, native),
        (3, max(native // 2, 1), max(native // 2, 1)),
        (1, native * 2 + 1, native * 2 + 1),
        (1, native, native + 1),
        (3, native + 3, max(native - 1, 1)),
    ]
    return [(batch, rows * multiple, columns * multiple) for batch, rows, columns in grids]


def _parity_pixels(
    sizes: Sequence[tuple[int, int, int]], photos: Sequence[Image.Image], seed: int
) -> Iterator[np.ndarray]:
    """Photos in turn, each stretched to the size; random pixels where there are none."""
    rng = np.random.default_rng(seed)
    turn = itertools.cycle(photos)
    for batch, height, width in sizes:
        if photos:
            drawn = [next(turn).resize((width, height), Image.Resampling.BICUBIC)
                     for _ in range(batch)]  # fmt: skip
            yield np.stack([np.array(image) for image in drawn])
        else:
            yield rng.integers(0, 256, (batch, height, width, 3), np.uint8)


@torch.inference_mode()
def measure_parity(
    network: nn.Module,
    model: bytes | Path,
    photos: Sequence[Image.Image] = (),
    multiple: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Compares ONNX Runtime with PyTorch at several sizes.

    Args:
        network: the PyTorch backbone.
        model: the serialised ONNX model, or its file.
        photos: RGB images to compare on; without any random pixels are drawn.
        multiple: what image sides are multiples of, in pixels; default: the patch size.
        seed: of random pixels.

    Returns:
        Library versions, the sizes [[H, W], ...], how many photos there were, and per output the
        largest absolute difference and the smallest cosine between two vectors (of attention: the
        map of a head).
    """
    network.eval()
    session = open_session(model)
    outputs = [output.name for output in session.get_outputs()]
    worst, cosines = dict.fromkeys(outputs, 0.0), dict.fromkeys(outputs, 1.0)
    sizes = parity_sizes(network, multiple or network.patch_size)
    for pixels in _parity_pixels(sizes, photos, seed):
        expected = network.features(normalise(torch.from_numpy(pixels)))
        actual = session.run(outputs, {"pixels": pixels})
        for output, value in zip(outputs, actual, strict=True):
            reference = getattr(expected, output).numpy()
            if value.shape != reference.shape:
                raise ExportError(f"{output}: shape {value.shape}, PyTorch {reference.shape}")
            difference = float(np.abs(value - reference).max())
            # max() would drop a NaN; a NaN must fail the export.
            if not difference <= worst[output]:
                worst[output] = difference
            cosine = _least_cosine(value, reference)
            if not cosine >= cosines[output]:
                cosines[output] = cosine
    return {
        "torch": torch.__version__.split("+")[0],
        "onnxruntime": onnxruntime.__version__,
        "sizes": [[height, width] for height, width in dict.fromkeys(s[1:] for s in sizes)],
        "photos": len(photos),
        "maxAbsDiff": worst,
        "minCosine": cosines,
    }


def _least_cosine(value: np.ndarray, reference: np.ndarray) -> float:
    a, b = value.astype(np.float64), reference.astype(np.float64)
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return round(float(((a * b).sum(axis=-1) / lengths).min()), 8)


def check_parity(parity: dict[str, Any], precision: str, tolerance: float) -> None:
    """Raises ExportError where a model differs from PyTorch by more than its precision explains."""
    if precision == "fp32":
        bad = {k: v for k, v in parity["maxAbsDiff"].items() if not v <= tolerance}
        allowed = f"by more than {tolerance}"
    else:
        least = MIN_COSINE[precision]
        bad = {k: v for k, v in parity["minCosine"].items() if not v >= least}
        allowed = f"in {precision}, to a cosine below {least}"
    if bad:
        raise ExportError(f"differs from PyTorch {allowed}: {bad}; nothing written")


@dataclass(frozen=True)
class ExportOptions:
    """How a checkpoint is exported.

    Attributes:
        name: model name in the manifest; of another precision than fp32 with that behind it.
        description: one sentence for people.
        crop: side in pixels of the square input for embeddings; 0 is that of the global crops.
        licence: SPDX identifier of the weights.
        tolerance: largest accepted absolute difference of fp32 to PyTorch, > 0.
        credits: attributions of the training data.
        photos: RGB images to compare with PyTorch on; none: random pixels.
        calibration: RGB images that int8-static finds its scales on.
    """

    name: str
    description: str = "DINO vision transformer"
    crop: int = 0
    licence: str = "Apache-2.0"
    tolerance: float = PARITY_TOLERANCE
    credits: Sequence[DataCredit] = ()
    photos: Sequence[Image.Image] = field(default=())
    calibration: Sequence[Image.Image] = field(default=())


def export_model(
    checkpoint: Path, out: Path, options: ExportOptions, precision: str = "fp32"
) -> dict[str, Any]:
    """Exports the teacher of a checkpoint into a model folder.

    The fp32 graph of a ViT is built here; other networks and precisions are written by the
    service's converter.

    Args:
        checkpoint: what train.py wrote.
        out: the model's folder; created when missing.
        options: see ExportOptions.
        precision: fp32, fp16, int8 or int8-static.

    Returns:
        The manifest that was written.

    Raises:
        CheckpointError: if the checkpoint cannot be read.
        ConversionError: if the service's converter is needed and cannot be run.
        QuantisationError: if int8-static has no photos, or nothing to quantise.
        ExportError: if any output differs from PyTorch by more than its precision explains; then
            nothing is written.
        ValueError: if crop is not a multiple of the patch size, or a credit fits no data.
    """
    loaded = load_teacher(checkpoint)
    network = loaded.backbone
    multiple = getattr(network, "patch_size", TOTAL_STRIDE)
    # Before the slow part, and before anything is written.
    trained = loaded.options.get("global_crops_size", 112)
    crop = options.crop or max(trained - trained % multiple, multiple)
    check_crop(crop, multiple)
    data = credit_data(loaded.training["data"], options.credits)
    name = options.name if precision == "fp32" else f"{options.name}-{precision}"
    # Scales are put into the graph of the full precision.
    written = "fp32" if precision == STATIC else precision
    is_own = written == "fp32" and isinstance(network, VisionTransformer)
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "model.onnx"
        converted = None
        if is_own:
            file.write_bytes(build_graph(network, name).SerializeToString())
        else:
            converted = convert_checkpoint(checkpoint, written, Path(temporary), network)
            file = converted.file
        if precision == STATIC:
            source, file = file, Path(temporary) / "quantised.onnx"
            quantise_static(source, file, options.calibration, crop)
        parity = measure_parity(network, file, options.photos, multiple)
        check_parity(parity, precision, options.tolerance)
        onnx.checker.check_model(str(file))
        out.mkdir(parents=True, exist_ok=True)
        target = out / "model.onnx"
        shutil.copyfile(file, out / "model.onnx.tmp")
        os.replace(out / "model.onnx.tmp", target)
    manifest = build_manifest(
        name=name,
        description=options.description,
        arch=loaded.arch,
        network=network,
        model_path=target,
        crop=crop,
        parity=parity,
        training={**loaded.training, "data": data},
        licence=options.licence,
        converted=converted.manifest if converted else None,
    )
    if precision == STATIC:
        manifest["file"]["precision"] = "int8"
        manifest["parity"]["calibrationPhotos"] = len(options.calibration)
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
