"""Tiny ONNX files as others export them, and every output that has to be found in them.

Each case is a network, traced by torch.onnx to a file that gives a vector or the last hidden state,
beside a safetensors file with all four outputs for hashed_pixels. The TypeScript side changes the
file so that it gives them all.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from .export import normalise
from .golden_checkpoints import hashed_pixels
from .random_checkpoints import randomise
from .vit import VisionTransformer

FOLDER = Path(__file__).resolve().parents[2] / "test" / "golden" / "onnx"
PATCH, DIM, DEPTH, HEADS = 8, 24, 2, 3
SEED = 41


class AuthorsAttention(nn.Module):
    """Attention spelt out as the authors of DINO do."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(DIM, 3 * DIM)
        self.proj = nn.Linear(DIM, DIM)

    def forward(self, x: Tensor) -> Tensor:
        batch, count, dim = x.shape
        qkv = self.qkv(x).reshape(batch, count, 3, HEADS, dim // HEADS).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        self.keys = k.transpose(1, 2).reshape(batch, count, dim)
        self.weights = ((q @ k.transpose(-2, -1)) * (dim // HEADS) ** -0.5).softmax(dim=-1)
        return self.proj((self.weights @ v).transpose(1, 2).reshape(batch, count, dim))


class JoinedAttention(AuthorsAttention):
    """Attention as PyTorch's newer exporter takes it apart: batch and heads joined for a while."""

    def forward(self, x: Tensor) -> Tensor:
        batch, count, dim = x.shape
        size = dim // HEADS
        qkv = self.qkv(x).reshape(batch, count, 3, HEADS, size).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        self.keys = k.transpose(1, 2).reshape(batch, count, dim)
        columns = k.reshape(-1, count, size).transpose(1, 2).reshape(batch, HEADS, size, count)
        scale = size**-0.25
        self.weights = ((q * scale) @ (columns * scale)).softmax(dim=-1)
        return self.proj((self.weights @ v).transpose(1, 2).reshape(batch, count, dim))


class SeparateAttention(nn.Module):
    """Queries, keys and values from layers of their own, as in transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(DIM, DIM)
        self.key = nn.Linear(DIM, DIM)
        self.value = nn.Linear(DIM, DIM)
        self.dense = nn.Linear(DIM, DIM)

    def forward(self, x: Tensor) -> Tensor:
        split = (x.shape[0], -1, HEADS, DIM // HEADS)
        q = self.query(x).view(split).transpose(1, 2)
        k = self.key(x).view(split).transpose(1, 2)
        v = self.value(x).view(split).transpose(1, 2)
        self.keys = k.transpose(1, 2).flatten(2)
        scores = torch.matmul(q, k.transpose(2, 3)) / math.sqrt(DIM // HEADS)
        self.weights = F.softmax(scores, dim=-1)
        mixed = torch.matmul(self.weights, v).permute(0, 2, 1, 3).contiguous()
        return self.dense(mixed.view(x.shape[0], -1, DIM))


class Block(nn.Module):
    """Pre-norm block with a scale per channel, which is 1 where a model has none."""

    def __init__(self, attention: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(DIM, eps=1e-6)
        self.attn = attention()
        self.gamma = nn.Parameter(torch.ones(DIM))
        self.norm2 = nn.LayerNorm(DIM, eps=1e-6)
        self.fc1 = nn.Linear(DIM, 2 * DIM)
        self.fc2 = nn.Linear(2 * DIM, DIM)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x)) * self.gamma
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class PlainVit(nn.Module):
    """A vision transformer with `registers` tokens between CLS and patches.

    Positions are resampled to the input's grid where `dynamic`, else stored for `grid`.
    """

    def __init__(
        self,
        attention: Callable[[], nn.Module],
        grid: tuple[int, int] = (4, 4),
        registers: int = 0,
        dynamic: bool = False,
    ) -> None:
        super().__init__()
        self.grid, self.dynamic, self.leading = grid, dynamic, 1 + registers
        self.proj = nn.Conv2d(3, DIM, PATCH, PATCH)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, DIM))
        self.register_tokens = nn.Parameter(torch.zeros(1, registers, DIM)) if registers else None
        self.pos_embed = nn.Parameter(torch.zeros(1, grid[0] * grid[1], DIM))
        self.blocks = nn.ModuleList(Block(attention) for _ in range(DEPTH))
        self.norm = nn.LayerNorm(DIM, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """All tokens after the last LayerNorm, [B, N, D]."""
        patches = self.proj(x)
        positions = self.pos_embed
        if self.dynamic:
            stored = positions.transpose(1, 2).reshape(1, DIM, *self.grid)
            positions = F.interpolate(stored, size=patches.shape[2:], mode="bicubic")
            positions = positions.flatten(2).transpose(1, 2)
        tokens = [self.cls_token.expand(x.shape[0], -1, -1)]
        if self.register_tokens is not None:
            tokens.append(self.register_tokens.expand(x.shape[0], -1, -1))
        x = torch.cat((*tokens, patches.flatten(2).transpose(1, 2) + positions), dim=1)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def outputs(self, x: Tensor) -> dict[str, Tensor]:
        """What has to be found in the exported file."""
        tokens = self(x)
        attention = self.blocks[-1].attn
        return {
            "embedding": tokens[:, 0],
            "patch_tokens": tokens[:, self.leading :],
            "attention": attention.weights[:, :, 0, self.leading :],
            "keys": attention.keys[:, self.leading :],
        }


class Vector(nn.Module):
    """Gives the CLS token alone, after the norm, as the authors' ONNX files do."""

    def __init__(self, vit: PlainVit) -> None:
        super().__init__()
        self.vit = vit

    def forward(self, x: Tensor) -> Tensor:
        return self.vit(x)[:, 0]


class HiddenState(nn.Module):
    """Gives all tokens and a vector from a pooling layer, as transformers' ViT does."""

    def __init__(self, vit: PlainVit) -> None:
        super().__init__()
        self.vit = vit
        self.pooler = nn.Linear(DIM, DIM)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.vit(x)
        return tokens, torch.tanh(self.pooler(tokens[:, 0]))


@dataclass(frozen=True)
class OnnxCase:
    """One exported file.

    Attributes:
        name: of the files.
        network: makes the module whose forward is exported, and the one that gives all outputs.
        opset: it is exported with.
        sizes: heights and widths in px to compare at; the first one is traced.
        dynamic: names of dynamic axes by their place in the input.
        names: of the exported outputs.
    """

    name: str
    network: Callable[[], nn.Module]
    opset: int
    sizes: tuple[tuple[int, int], ...]
    dynamic: dict[int, str]
    names: tuple[str, ...] = ("output",)


BATCH = {0: "batch"}
CASES = [
    # norm(x[:, 0]) and a fused attention, which the exporter takes apart.
    OnnxCase(
        "norm-after-choice",
        lambda: VisionTransformer(PATCH, DIM, DEPTH, HEADS, img_size=32),
        17,
        ((32, 32),),
        BATCH,
    ),
    # The same in an opset without LayerNormalization.
    OnnxCase(
        "norm-in-parts",
        lambda: VisionTransformer(PATCH, DIM, DEPTH, HEADS, img_size=40),
        14,
        ((40, 40),),
        BATCH,
    ),
    OnnxCase("one-image", lambda: Vector(PlainVit(AuthorsAttention, (4, 5))), 12, ((32, 40),), {}),
    OnnxCase(
        "joined-heads", lambda: Vector(PlainVit(JoinedAttention, (2, 3))), 16, ((16, 24),), BATCH
    ),
    OnnxCase(
        "hidden-state",
        lambda: HiddenState(PlainVit(SeparateAttention)),
        14,
        ((32, 32),),
        BATCH,
        ("last_hidden_state", "pooler_output"),
    ),
    OnnxCase(
        "registers-any-size",
        lambda: Vector(PlainVit(AuthorsAttention, (3, 3), registers=4, dynamic=True)),
        18,
        ((24, 24), (40, 24), (8, 72)),
        {0: "batch", 2: "height", 3: "width"},
    ),
]


def build(case: OnnxCase) -> nn.Module:
    """The case's network with its random weights."""
    with torch.no_grad():
        return randomise(case.network(), SEED).eval()


@torch.no_grad()
def expected_outputs(network: nn.Module, height: int, width: int, batch: int) -> dict[str, Tensor]:
    """All four outputs for hashed_pixels."""
    images = normalise(hashed_pixels(batch, height, width))
    if isinstance(network, VisionTransformer):
        return {name: value.contiguous() for name, value in vars(network.features(images)).items()}
    return {name: value.contiguous() for name, value in network.vit.outputs(images).items()}


def write_case(case: OnnxCase, folder: Path) -> None:
    """Writes `<name>.onnx` and `<name>.expected.safetensors`."""
    network = build(case)
    height, width = case.sizes[0]
    image = normalise(hashed_pixels(2 if case.dynamic else 1, height, width))
    axes = {name: {0: "batch"} for name in case.names} if case.dynamic else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (image,),
            folder / f"{case.name}.onnx",
            dynamo=False,
            opset_version=case.opset,
            input_names=["input"],
            output_names=list(case.names),
            dynamic_axes={"input": case.dynamic, **axes} if case.dynamic else None,
        )
    values = {}
    for height, width in case.sizes:
        for name, value in expected_outputs(network, height, width, batch=2).items():
            values[f"{height}x{width}.{name}"] = value
    save_file(values, folder / f"{case.name}.expected.safetensors")


def main(argv: Sequence[str] | None = None) -> int:
    """Writes all cases, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="cases to write; default: all")
    names = parser.parse_args(argv).names
    FOLDER.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        if not names or case.name in names:
            write_case(case, FOLDER)
    return 0
