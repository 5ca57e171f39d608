"""The network that a training began from, to be compared with what became of it."""

from __future__ import annotations

import torch

from ..import_onnx import native_size
from ..onnx_graph import build_graph
from ..vit import VisionTransformer, build_vit
from .source import FeatureSource, Run, session_run


def untrained_backbone(arch: str, patch_size: int, image_size: int, seed: int) -> VisionTransformer:
    """The backbone that train.py starts from with this seed."""
    torch.manual_seed(seed)
    return build_vit(arch, patch_size, image_size).eval()


def untrained_run(source: FeatureSource) -> Run | None:
    """Features of the same architecture with the weights of the start.

    Returns:
        None where the start is not known: for published weights, runs that began from
        them, and networks other than ViTs.
    """
    if source.network is not None:
        arch, training = source.network.arch, source.network.training
        like = source.network.backbone
        if not isinstance(like, VisionTransformer):
            return None
        patch_size, image_size = like.patch_size, like.grid_size * like.patch_size
    elif source.folder is not None:
        manifest = source.folder.manifest
        arch, training = manifest["architecture"]["variant"], manifest.get("training")
        if not training or "vit" not in arch:
            return None
        patch_size, image_size = manifest["architecture"]["patchSize"], native_size(source.folder)
    else:
        return None
    if not training or "--init" in training["command"]:
        # It began from other weights than the seed's.
        return None
    start = untrained_backbone(arch, patch_size, image_size, training["seed"])
    return session_run(build_graph(start, "untrained").SerializeToString())
