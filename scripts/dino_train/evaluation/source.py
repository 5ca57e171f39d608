"""Features of images, from a checkpoint by PyTorch or from an exported model by ONNX Runtime."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from PIL import Image

from ..export import normalise, open_session
from ..import_onnx import ModelError, ModelFolder, open_model_folder
from .error import EvaluationError
from .networks import Network, load_network

Run = Callable[[np.ndarray, Sequence[str]], dict[str, np.ndarray]]


@dataclass(frozen=True)
class FeatureSource:
    """Something that turns images into features.

    Attributes:
        name: for messages.
        run: uint8 images [B, H, W, 3] and names of outputs to float32 arrays, as vit.VitFeatures.
        outputs: the features it gives: embedding, patch_tokens, attention, keys.
        multiple_of: image sides are multiples of it, in pixels.
        patch_size: side of the cells of patch features, in pixels.
        crop: side of its own square input in pixels; 0 if it does not say.
        network: the PyTorch network; None for an ONNX file.
        folder: the model folder; None for a checkpoint or a bare file.
    """

    name: str
    run: Run
    outputs: frozenset[str]
    multiple_of: int
    patch_size: int
    crop: int
    network: Network | None = None
    folder: ModelFolder | None = None

    def require(self, *outputs: str) -> None:
        """Raises EvaluationError unless the model gives all of these features."""
        missing = [output for output in outputs if output not in self.outputs]
        if missing:
            raise EvaluationError(
                f"{self.name} has no {' and no '.join(missing)}, which this evaluation needs"
            )

    def require_multiple(self, side: int, option: str) -> None:
        """Raises EvaluationError unless images of this side in pixels can be given."""
        if side <= 0 or side % self.multiple_of:
            raise EvaluationError(
                f"{option} {side} is not a multiple of {self.multiple_of}, as {self.name} needs"
            )

    def cut(self, image: Image.Image) -> np.ndarray:
        """An image as [H, W, 3] uint8, without the right and lower rest that fills no patch.

        A patch projection of stride `patch_size` leaves the same pixels out.
        """
        width, height = (side - side % self.multiple_of for side in image.size)
        if not width or not height:
            raise EvaluationError(f"an image of {image.width}x{image.height} px is below one patch")
        return np.array(image.crop((0, 0, width, height)))


def choose_device(name: str) -> torch.device:
    """`auto` takes a GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def network_source(network: Network, name: str, device: torch.device) -> FeatureSource:
    """Features by PyTorch."""
    backbone = network.backbone.to(device).eval()

    @torch.inference_mode()
    def run(images: np.ndarray, outputs: Sequence[str]) -> dict[str, np.ndarray]:
        pixels = normalise(torch.from_numpy(images).to(device))
        if list(outputs) == ["embedding"]:
            return {"embedding": backbone(pixels).float().cpu().numpy()}
        features = backbone.features(pixels)
        return {output: getattr(features, output).float().cpu().numpy() for output in outputs}

    side = network.patch_size
    probe = backbone.features(torch.zeros(1, 3, side, side, device=device))
    outputs = frozenset(vars(probe))
    return FeatureSource(name, run, outputs, side, side, 0, network=network)


def onnx_source(path: Path) -> FeatureSource:
    """Features by ONNX Runtime, of a model folder or of an ONNX file that says its patch size.

    Raises:
        ModelError: if it is neither.
    """
    if path.suffix == ".onnx" and (path.parent / "manifest.json").exists():
        path = path.parent
    if path.suffix == ".onnx":
        return _bare_source(path)
    folder = open_model_folder(path)
    manifest = folder.manifest
    return FeatureSource(
        manifest["name"],
        session_run(folder.onnx_path),
        frozenset(manifest["outputs"]),
        manifest["input"]["multipleOf"],
        manifest["architecture"]["patchSize"],
        manifest["preprocessing"]["crop"],
        folder=folder,
    )


def _bare_source(path: Path) -> FeatureSource:
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        raise ModelError(f"cannot read {path} as an ONNX model: {error}") from error
    told: dict[str, Any] = {}
    for entry in model.metadata_props:
        if entry.key == "dino_architecture":
            told = json.loads(entry.value)
    if [value.name for value in model.graph.input] != ["pixels"] or not told:
        raise ModelError(
            f"{path} does not say what it is; import it with `npx dino models import` and give "
            "the installed model's folder"
        )
    outputs = frozenset(output.name for output in model.graph.output)
    patch, multiple = told["patchSize"], told["multipleOf"]
    return FeatureSource(path.name, session_run(path), outputs, multiple, patch, 0)


def session_run(model: Path | bytes) -> Run:
    """FeatureSource.run of an ONNX model."""
    session = open_session(model)

    def run(images: np.ndarray, outputs: Sequence[str]) -> dict[str, np.ndarray]:
        values = session.run(list(outputs), {"pixels": images})
        return dict(zip(outputs, values, strict=True))

    return run


def open_source(args: argparse.Namespace) -> FeatureSource:
    """The source that --checkpoint or --model names.

    Raises:
        CheckpointError, ModelError: if it cannot be read.
    """
    if args.model:
        return onnx_source(args.model)
    device = choose_device(args.device)
    return network_source(load_network(args.checkpoint), args.checkpoint.name, device)
