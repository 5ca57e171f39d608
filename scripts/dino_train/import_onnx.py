"""Reads a backbone back from an exported model, so that a model folder alone can be checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper

from .manifest import sha256_of
from .vit import VisionTransformer, build_vit


class ModelError(RuntimeError):
    """A model folder is missing, damaged or not from export_onnx.py."""


@dataclass(frozen=True)
class ModelFolder:
    """An exported model.

    Attributes:
        path: the folder.
        manifest: its manifest.json.
    """

    path: Path
    manifest: dict[str, Any]

    @property
    def onnx_path(self) -> Path:
        """The ONNX file."""
        return self.path / self.manifest["file"]["path"]


def open_model_folder(path: Path) -> ModelFolder:
    """Reads a manifest and checks the ONNX file's SHA-256.

    Raises:
        ModelError: if a file is missing or the checksum differs.
    """
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        folder = ModelFolder(path, manifest)
        found = sha256_of(folder.onnx_path)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path} is not a model folder: {error}") from error
    if found != manifest["file"]["sha256"]:
        raise ModelError(f"{folder.onnx_path}: SHA-256 {found} differs from the manifest's")
    return folder


def native_size(folder: ModelFolder) -> int:
    """Side in pixels of the images that a ViT's positions are for, in any precision.

    Raises:
        ModelError: if the graph has no positions by the name of export_onnx.py.
    """
    for stored in onnx.load(folder.onnx_path).graph.initializer:
        if stored.name == "pos_embed.patches":
            return stored.dims[2] * folder.manifest["architecture"]["patchSize"]
    raise ModelError(f"{folder.onnx_path} has no weight 'pos_embed.patches'")


def load_backbone(folder: ModelFolder) -> VisionTransformer:
    """Rebuilds the PyTorch backbone from the weights in the ONNX file (inverse of build_graph).

    Returns:
        The backbone in evaluation mode.

    Raises:
        ModelError: if the graph lacks a weight.
    """
    graph = onnx.load(folder.onnx_path).graph
    stored = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in graph.initializer}
    architecture = folder.manifest["architecture"]
    patch = architecture["patchSize"]
    try:
        positions = stored["pos_embed.patches"]
        dim, grid = positions.shape[1], positions.shape[2]
        vit = build_vit(architecture["variant"], patch, grid * patch)
        kernel = stored["patch_embed.proj.weight"].reshape(patch, patch, 3, dim)
        state = {}
        for name in vit.state_dict():
            if name == "pos_embed":
                flat = positions.permute(0, 2, 3, 1).reshape(1, grid * grid, dim)
                state[name] = torch.cat((stored["pos_embed.cls"], flat), dim=1)
            elif name == "patch_embed.proj.weight":
                state[name] = kernel.permute(3, 2, 0, 1)
            elif name.endswith(".weight") and stored[name].ndim == 2:
                state[name] = stored[name].t()
            else:
                state[name] = stored[name]
    except KeyError as error:
        raise ModelError(f"{folder.onnx_path} has no weight {error}") from error
    vit.load_state_dict(state)
    return vit.eval()
