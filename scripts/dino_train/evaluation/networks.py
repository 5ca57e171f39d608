"""Backbones out of checkpoints: those of train.py and the published ones."""

from __future__ import annotations

import argparse
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..backbones.resnet import TOTAL_STRIDE, build_resnet
from ..backbones.xcit import VARIANTS as XCIT_VARIANTS
from ..backbones.xcit import build_xcit
from ..checkpoint import FORMAT, CheckpointError, load_teacher
from ..vit import VARIANTS, VisionTransformer, native_image_size

# What training wraps around a backbone's names.
_WRAPPERS = ("module.", "backbone.", "encoder.")
_NETWORKS = ("teacher", "state_dict", "model")
_HEADS = ("head.", "fc.", "linear_head.", "last_layer.")


@dataclass(frozen=True)
class Network:
    """A backbone and what is known of it.

    Attributes:
        backbone: in evaluation mode, on the CPU; has `features`.
        arch: its name, such as vit_small or resnet50.
        patch_size: sides of images are multiples of it, in pixels.
        training: what train.py recorded; None for a published checkpoint.
    """

    backbone: nn.Module
    arch: str
    patch_size: int
    training: dict[str, Any] | None


def load_network(path: Path) -> Network:
    """Reads a checkpoint of train.py, of the DINO authors, or a bare backbone.

    Of a training checkpoint the teacher is taken. Nothing that a pickle says is executed.

    Raises:
        CheckpointError: if the file is missing, damaged, or of a network that is not known here.
    """
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}")
    try:
        # The authors' training checkpoints carry their options.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"cannot read checkpoint {path}: {error}") from error
    if isinstance(content, dict) and content.get("format") == FORMAT:
        loaded = load_teacher(path)
        patch_size = getattr(loaded.backbone, "patch_size", TOTAL_STRIDE)
        return Network(loaded.backbone, loaded.arch, patch_size, loaded.training)
    state = _backbone_state(content)
    arch, patch_size, backbone = _recognise(state, path)
    try:
        backbone.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"{path} looks like {arch} and is not: {error}") from error
    return Network(backbone.eval(), arch, patch_size, None)


def _backbone_state(content: Any) -> dict[str, Tensor]:
    while isinstance(content, dict):
        inner = next(
            (content[key] for key in _NETWORKS if isinstance(content.get(key), dict)), None
        )
        if inner is None:
            break
        content = inner
    state = {}
    for name, value in (content if isinstance(content, dict) else {}).items():
        for wrapper in _WRAPPERS:
            name = name.removeprefix(wrapper)
        if isinstance(value, Tensor) and not name.startswith(_HEADS):
            state[name] = value.float() if value.is_floating_point() else value
    return state


def _recognise(state: dict[str, Tensor], path: Path) -> tuple[str, int, nn.Module]:
    if "layer4.2.conv3.weight" in state and "layer3.5.conv3.weight" in state:
        return "resnet50", TOTAL_STRIDE, build_resnet()
    depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    dim = state["cls_token"].shape[-1] if "cls_token" in state else 0
    if "cls_attn_blocks.0.gamma1" in state:
        for arch, sizes in XCIT_VARIANTS.items():
            if (sizes["embed_dim"], sizes["depth"]) == (dim, depth):
                steps = sum(key.startswith("patch_embed.proj.") and value.ndim == 4
                            for key, value in state.items())  # fmt: skip
                patch_size = 2**steps
                return arch, patch_size, build_xcit(arch, patch_size)
    is_vit = {"pos_embed", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight"} <= state.keys()
    if is_vit and "blocks.0.ls1.gamma" not in state:
        patch_size = state["patch_embed.proj.weight"].shape[-1]
        known = {(s["embed_dim"], s["depth"]): name for name, s in VARIANTS.items()}
        arch = known.get((dim, depth))
        if arch or dim % 64 == 0:
            # Every published ViT has heads of 64.
            heads = VARIANTS[arch]["num_heads"] if arch else dim // 64
            size = native_image_size(state, patch_size)
            vit = VisionTransformer(patch_size, dim, depth, heads, img_size=size)
            return arch or f"vit_d{dim}_l{depth}_h{heads}", patch_size, vit
    raise CheckpointError(
        f"{path} holds no ViT, XCiT or ResNet-50 of DINO. Import it with `npx dino models import` "
        "and evaluate the ONNX model with --model"
    )
