"""Starting from trained weights (--init): full checkpoints, and backbones alone."""

from __future__ import annotations

import argparse
import pickle
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .checkpoint import CheckpointError
from .head import DINONetwork
from .import_onnx import ModelError, load_backbone, open_model_folder
from .networks import arch_names, backbone_like, build_backbone

State = dict[str, Tensor]
# Where a full checkpoint keeps its networks; the teacher's features are the better ones.
NETWORKS = ("teacher", "student")
WRAPPERS = ("state_dict", "model")
# What a classifier leaves in a backbone's file.
CLASSIFIER = ("fc.", "head.")


def load_initial_weights(path: Path, network: DINONetwork, options: argparse.Namespace) -> str:
    """Puts a file's weights into a network: the backbone, and what fits of the head.

    Args:
        path: checkpoint of train.py or of the authors' main_dino.py, or a backbone's state_dict,
            by torch.save or safetensors; prefixes `module.` and `backbone.` are understood. Or the
            folder of an exported model.
        network: changed in place.
        options: arch and patch_size, for messages.

    Returns:
        A sentence about what was taken and what starts fresh.

    Raises:
        CheckpointError: if the file cannot be read or holds another architecture.
    """
    state, origin = _network_of(_read(path))
    backbone, head = _split(state)
    notes = [_load_backbone(path, backbone, network, options)]
    notes.append(_load_head(head, network))
    return f"--init {path} ({origin}): " + "; ".join(notes)


def _read(path: Path) -> Any:
    if path.is_dir():
        try:
            return load_backbone(open_model_folder(path)).state_dict()
        except ModelError as error:
            raise CheckpointError(f"--init: {error}") from error
    if not path.is_file():
        raise CheckpointError(f"--init: no file {path}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        # The authors' checkpoints hold their arguments as a Namespace, which is only data.
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            # Files of old versions of PyTorch are read with a notice.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Readers raise many kinds; each means the same here.
        kinds = (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError)
        if not isinstance(error, kinds) and "Safetensor" not in type(error).__name__:
            raise
        raise CheckpointError(f"--init: cannot read {path}: {error}") from error


def _network_of(content: Any) -> tuple[State, str]:
    for key in NETWORKS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            return _tensors(content[key]), f"{key} of a full checkpoint"
    for key in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            return _tensors(content[key]), f"`{key}`"
    state = _tensors(content)
    if not state:
        raise CheckpointError("--init: the file holds no weights")
    return state, "a backbone"


def _tensors(content: Any) -> State:
    if not isinstance(content, dict):
        return {}
    state = {k: v for k, v in content.items() if isinstance(v, Tensor)}
    while state and all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    return state


def _split(state: State) -> tuple[State, State]:
    """Weights of the backbone and of DINO's head, each by its own names."""
    prefix = "backbone."
    head = {
        key.removeprefix("head."): value
        for key, value in state.items()
        if key.startswith(("head.mlp.", "head.last_layer."))
    }
    if any(key.startswith(prefix) for key in state):
        backbone = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    else:
        backbone = {k: v for k, v in state.items() if not k.startswith(CLASSIFIER)}
    return {k: v for k, v in backbone.items() if not k.startswith(CLASSIFIER)}, head


def _load_backbone(
    path: Path, weights: State, network: DINONetwork, options: argparse.Namespace
) -> str:
    target = network.backbone.state_dict()
    note = f"the backbone, {sum(v.numel() for v in target.values()) / 1e6:.1f} M numbers"
    if "pos_embed" in weights and "pos_embed" in target:
        count, wanted = weights["pos_embed"].shape[1], target["pos_embed"].shape[1]
        same_width = weights["pos_embed"].shape[2] == target["pos_embed"].shape[2]
        if count != wanted and same_width:
            weights = _with_positions(weights, network, options)
            note += f", its positions interpolated from {count - 1} to {wanted - 1} patches"
    wrong = _mismatch(weights, target)
    if wrong:
        found = identify(weights)
        guess = f" It looks like {found}." if found else ""
        raise CheckpointError(
            f"--init: {path} does not hold --arch {options.arch} --patch_size "
            f"{options.patch_size}: {wrong}.{guess}"
        )
    network.backbone.load_state_dict(weights)
    return f"took {note}"


def _with_positions(weights: State, network: DINONetwork, options: argparse.Namespace) -> State:
    try:
        stored = backbone_like(options.arch, options.patch_size, weights)
        stored.load_state_dict(weights)
    except (RuntimeError, ValueError):
        # Another architecture, which the caller says in words.
        return weights
    grid = network.backbone.grid_size
    with torch.no_grad():
        return {**weights, "pos_embed": stored.interpolate_pos_encoding(grid, grid).clone()}


def _mismatch(weights: State, target: State) -> str | None:
    missing, extra = target.keys() - weights.keys(), weights.keys() - target.keys()
    if missing or extra:
        counts = f"{len(missing)} weights are missing, {len(extra)} are strange"
        example = sorted(missing or extra)[0]
        return f"{counts}, such as {example}"
    for key, value in weights.items():
        if value.shape != target[key].shape:
            return f"{key} has shape {list(value.shape)} instead of {list(target[key].shape)}"
    return None


def _load_head(weights: State, network: DINONetwork) -> str:
    target = network.head.state_dict()
    if not weights:
        return "no head in the file: it starts fresh"
    parts = {}
    for name in ("mlp", "last_layer"):
        wanted = {k: v.shape for k, v in target.items() if k.startswith(f"{name}.")}
        found = {k: v.shape for k, v in weights.items() if k.startswith(f"{name}.")}
        parts[name] = wanted == found
    # Prototypes mean nothing behind another projection.
    if not parts["mlp"]:
        return "its head has another shape: the head starts fresh"
    if parts["last_layer"]:
        network.head.load_state_dict(weights)
        return "took the whole head"
    kept = {k: v for k, v in weights.items() if k.startswith("mlp.")}
    network.head.load_state_dict(kept, strict=False)
    count = len(target["last_layer.weight_v"])
    return f"took the head's projection; its prototypes are of another number, {count} start fresh"


def identify(weights: State) -> str | None:
    """Names the architecture whose weights these are, or None."""
    shapes = Counter((k, tuple(v.shape)) for k, v in weights.items() if k != "pos_embed")
    for arch in arch_names():
        for patch_size in (8, 16) if arch.startswith("vit") else (16,):
            with torch.device("meta"):
                candidate = build_backbone(arch, patch_size).state_dict()
            if shapes == Counter(
                (k, tuple(v.shape)) for k, v in candidate.items() if k != "pos_embed"
            ):
                return f"--arch {arch}" + f" --patch_size {patch_size}" * arch.startswith("vit")
    return None
