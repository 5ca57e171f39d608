"""Seeded random checkpoints of the true architectures, in every format that the service imports.

They stand for the published files in tests: names, shapes and containers are the same, only the
numbers are drawn.
"""

from __future__ import annotations

import argparse
import json
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from .head import DINOHead
from .hugging_face_names import vit_to_hugging_face
from .vit import VARIANTS as VIT_VARIANTS
from .vit import VisionTransformer

FORMATS = ("pytorch", "pytorch-legacy", "training", "safetensors", "huggingface")
StateDict = dict[str, Tensor]
HuggingFace = tuple[dict[str, Any], StateDict]

# Buffers that are computed, not learned.
KEPT = ("num_batches_tracked",)


@dataclass(frozen=True)
class Recipe:
    """How the networks of one name are made.

    Attributes:
        build: makes the module from a patch size and `sizes`; the module has `features(x)`.
        sizes: further arguments of `build` at the published size.
        tiny: the same arguments for a network of a few thousand weights.
        patch_sizes: published patch sizes in pixels, the usual one first.
        to_hugging_face: config.json and tensors in the names of transformers, if it has the model.
    """

    build: Callable[..., nn.Module]
    sizes: dict[str, int]
    tiny: dict[str, int]
    patch_sizes: tuple[int, ...]
    to_hugging_face: Callable[[nn.Module], HuggingFace] | None = None


TINY_VIT = {"embed_dim": 16, "depth": 2, "num_heads": 2}

RECIPES: dict[str, Recipe] = {
    name: Recipe(VisionTransformer, sizes, TINY_VIT, (16, 8), vit_to_hugging_face)
    for name, sizes in VIT_VARIANTS.items()
}


def random_network(
    arch: str,
    patch_size: int | None = None,
    seed: int = 0,
    tiny: bool = False,
    **sizes: int,
) -> nn.Module:
    """Builds a network with random weights, in evaluation mode.

    Args:
        arch: a name in RECIPES.
        patch_size: in pixels; the usual one by default.
        seed: of the weights.
        tiny: a few thousand weights instead of the published size.
        sizes: arguments of the module's constructor to override.

    Raises:
        ValueError: if the architecture or its patch size is unknown.
    """
    if arch not in RECIPES:
        raise ValueError(f"unknown arch {arch!r}; choose from {', '.join(RECIPES)}")
    recipe = RECIPES[arch]
    patch_size = patch_size or recipe.patch_sizes[0]
    if patch_size not in recipe.patch_sizes:
        known = " or ".join(map(str, recipe.patch_sizes))
        raise ValueError(f"patch_size of {arch} must be {known}, got {patch_size}")
    network = recipe.build(patch_size, **{**(recipe.tiny if tiny else recipe.sizes), **sizes})
    return randomise(network, seed).eval()


@torch.no_grad()
def randomise(network: nn.Module, seed: int) -> nn.Module:
    """Draws every weight and statistic so that none is degenerate and outputs stay of size 1..10.

    Norms differ from the identity, biases from zero and layer scales from one, so that a graph
    which drops or confuses any of them shows. A tensor's numbers depend on the seed and its name
    alone.
    """
    for prefix, module in network.named_modules():
        own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        for leaf, value in own:
            if leaf in KEPT:
                continue
            name = f"{prefix}.{leaf}".lstrip(".")
            rng = np.random.default_rng((seed, zlib.crc32(name.encode())))
            value.copy_(torch.from_numpy(_draw(module, name, tuple(value.shape), rng)))
    return network


def _draw(
    module: nn.Module, name: str, shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    leaf = name.rsplit(".", 1)[-1]
    normal = rng.standard_normal(shape, np.float32)
    uniform = rng.random(shape, np.float32)
    if leaf == "running_var" or leaf == "temperature":
        return 0.5 + 1.5 * uniform
    if "gamma" in leaf:
        return np.sign(normal) * (0.3 + 0.5 * uniform)
    if leaf == "bias":
        return 0.1 * normal
    if isinstance(module, nn.Linear | nn.Conv2d):
        return normal / np.float32(math.sqrt(math.prod(shape[1:])))
    if leaf == "weight":
        return 0.5 + uniform
    return 0.5 * normal


def training_checkpoint(network: nn.Module, arch: str, patch_size: int, seed: int) -> dict:
    """What main_dino.py of facebookresearch/dino saves after an epoch.

    The student is another network than the teacher, wrapped for distributed training, and both
    carry projection heads.
    """
    teacher = network.state_dict()
    head = randomise(DINOHead(network.embed_dim, 8, True, 8, 4), seed).state_dict()
    student = {key: value * 0.5 for key, value in teacher.items()}
    parameters = [nn.Parameter(value.detach().clone()) for value in network.parameters()]
    optimizer = torch.optim.AdamW(parameters)
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, 0.25)
    optimizer.step()
    arguments = {"arch": arch, "patch_size": patch_size, "out_dim": 8, "lr": 0.0005}
    return {
        "student": {
            **{f"module.backbone.{key}": value for key, value in student.items()},
            **{f"module.head.{key}": value for key, value in head.items()},
        },
        "teacher": {
            **{f"backbone.{key}": value for key, value in teacher.items()},
            **{f"head.{key}": value for key, value in head.items()},
        },
        "optimizer": optimizer.state_dict(),
        "epoch": 100,
        "args": argparse.Namespace(**arguments, use_fp16=True, output_dir="."),
        "dino_loss": {"center": torch.zeros(1, 8)},
    }


def write_checkpoint(
    network: nn.Module, path: Path, kind: str, arch: str, patch_size: int, seed: int = 0
) -> None:
    """Writes a network's weights.

    Args:
        network: from random_network.
        path: the file, or the folder for kind `huggingface`.
        kind: one of FORMATS.
        arch: its name, for the training checkpoint's arguments and the Hugging Face names.
        patch_size: in pixels, for the same.
        seed: of the training checkpoint's heads.

    Raises:
        ValueError: if the kind is unknown, or transformers has no such model.
    """
    state = {key: value.detach().clone() for key, value in network.state_dict().items()}
    if kind == "pytorch":
        torch.save(state, path)
    elif kind == "pytorch-legacy":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    elif kind == "training":
        torch.save(training_checkpoint(network, arch, patch_size, seed), path)
    elif kind == "safetensors":
        save_file(state, path)
    elif kind == "huggingface":
        convert = RECIPES[arch].to_hugging_face
        if convert is None:
            raise ValueError(f"transformers has no names for {arch}")
        config, tensors = convert(network)
        path.mkdir(parents=True, exist_ok=True)
        text = json.dumps(config, indent=2) + "\n"
        (path / "config.json").write_text(text, encoding="utf-8")
        tensors = {key: value.detach().contiguous() for key, value in tensors.items()}
        save_file(tensors, path / "model.safetensors", {"format": "pt"})
    else:
        raise ValueError(f"unknown format {kind!r}; choose from {', '.join(FORMATS)}")
