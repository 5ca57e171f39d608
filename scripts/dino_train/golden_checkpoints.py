"""Tiny committed checkpoints and what PyTorch makes of them, for the tests of the importer.

Beside each checkpoint `CASE.pth`, `CASE.safetensors` or `CASE/` lies `CASE.expected.safetensors`
with every output at several image sizes, named `480x320.patch_tokens`. Its metadata says how to
import the checkpoint (file, family, arch, patch_size, heads) and which tokens were kept
(`480x320.stride`: every k-th).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from .export import normalise
from .random_checkpoints import random_network, write_checkpoint

GOLDEN_FOLDER = Path(__file__).resolve().parents[2] / "test" / "golden" / "checkpoints"
EXTENSIONS = {"safetensors": ".safetensors", "huggingface": ""}
# About as many tokens are kept of an image, spread over all of it.
KEPT_TOKENS = 24


@dataclass(frozen=True)
class Case:
    """One committed checkpoint.

    Attributes:
        name: of its files.
        family: what the service must recognise: vit, resnet, xcit, dinov2 or dinov3.
        arch: a name in random_checkpoints.RECIPES.
        patch_size: in pixels.
        kind: format, one of random_checkpoints.FORMATS.
        seed: of the weights; another one for each case.
        multiple: what height and width must be multiples of, where it is not the patch size.
        sizes: of the tiny network, where they differ from the recipe's.
    """

    name: str
    family: str
    arch: str
    patch_size: int
    kind: str
    seed: int
    multiple: int | None = None
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """Name of the checkpoint's file or folder."""
        return self.name + EXTENSIONS.get(self.kind, ".pth")

    def network(self) -> nn.Module:
        """The network with this case's weights."""
        return random_network(self.arch, self.patch_size, self.seed, tiny=True, **self.sizes)


CASES = (
    Case("vit-zip", "vit", "vit_small", 8, "pytorch", 1, sizes={"img_size": 56}),
    Case("vit-legacy", "vit", "vit_small", 8, "pytorch-legacy", 2, sizes={"img_size": 56}),
    Case(
        "vit-training", "vit", "vit_small", 8, "training", 3,
        sizes={"img_size": 48, "embed_dim": 12, "num_heads": 3},
    ),
    Case("vit-safetensors", "vit", "vit_small", 16, "safetensors", 4),
    Case("vit-huggingface", "vit", "vit_small", 16, "huggingface", 5),
)  # fmt: skip


def image_sizes(multiple: int) -> list[tuple[int, int]]:
    """Heights and widths to compare at: 224x224, 480x320, 96x96 and odd counts of patches.

    Args:
        multiple: in pixels; the sizes are rounded to it.
    """
    rounded = [
        tuple(max(1, round(side / multiple)) * multiple for side in size)
        for size in ((224, 224), (480, 320), (96, 96))
    ]
    return [*rounded, (7 * multiple, 15 * multiple)]


def hashed_pixels(batch: int, height: int, width: int) -> Tensor:
    """Test images that both languages compute: hash noise over a slope, [B, H, W, 3] uint8.

    test/support/hashed-pixels.ts holds the same formula.
    """
    index = np.arange(batch * height * width * 3, dtype=np.uint32)
    noise = index * np.uint32(0x9E3779B1)
    noise ^= noise >> np.uint32(15)
    noise *= np.uint32(0x85EBCA77)
    noise ^= noise >> np.uint32(13)
    noise = (noise >> np.uint32(24)).reshape(batch, height, width, 3)
    b, y, x, c = np.indices((batch, height, width, 3), dtype=np.uint32, sparse=True)
    slope = (37 * b + 3 * y + 2 * x + 64 * c) % 256
    return torch.from_numpy(((noise + slope) >> 1).astype(np.uint8))


def token_stride(rows: int, columns: int) -> int:
    """Step between kept tokens; coprime to the columns, so that all columns are visited."""
    stride = max(1, rows * columns // KEPT_TOKENS)
    while math.gcd(stride, columns) > 1:
        stride += 1
    return stride


@torch.inference_mode()
def expected_outputs(network: nn.Module, height: int, width: int, batch: int) -> dict[str, Tensor]:
    """Every output of a network for hashed_pixels, by its name in the graph."""
    outputs = vars(network.features(normalise(hashed_pixels(batch, height, width))))
    return {name: value.contiguous() for name, value in outputs.items()}


def keep_tokens(outputs: dict[str, Tensor], stride: int) -> dict[str, Tensor]:
    """Keeps every stride-th token of patch_tokens, keys [B, n, D] and attention [B, heads, n]."""
    axes = {"patch_tokens": 1, "keys": 1, "attention": 2}
    return {
        name: value if name not in axes else _every(value, axes[name], stride)
        for name, value in outputs.items()
    }


def _every(value: Tensor, axis: int, stride: int) -> Tensor:
    return value.index_select(axis, torch.arange(0, value.shape[axis], stride))


def expectation(case: Case, network: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a case's expected.safetensors."""
    multiple = case.multiple or case.patch_size
    sizes = image_sizes(multiple)
    metadata = {
        "file": case.file,
        "family": case.family,
        "arch": case.arch,
        "patch_size": str(case.patch_size),
        "sizes": " ".join(f"{height}x{width}" for height, width in sizes),
    }
    if hasattr(network, "num_heads"):
        metadata["heads"] = str(network.num_heads)
    tensors = {}
    for number, (height, width) in enumerate(sizes):
        # Two images of the small size: batches must not mix.
        outputs = expected_outputs(network, height, width, 2 if number == 2 else 1)
        area = multiple if case.family == "resnet" else case.patch_size
        stride = token_stride(height // area, width // area)
        metadata[f"{height}x{width}.stride"] = str(stride)
        for name, value in keep_tokens(outputs, stride).items():
            tensors[f"{height}x{width}.{name}"] = value
    return tensors, metadata


def write_case(case: Case, folder: Path) -> None:
    """Writes a case's checkpoint and what PyTorch answers for it."""
    network = case.network()
    write_checkpoint(network, folder / case.file, case.kind, case.arch, case.patch_size, case.seed)
    tensors, metadata = expectation(case, network)
    save_file(tensors, folder / f"{case.name}.expected.safetensors", metadata)


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the cases named on the command line, or all of them; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="golden_checkpoints.py",
        description="Write the tiny checkpoints of the importer's tests, and the expected outputs.",
    )
    names = [case.name for case in CASES]
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"any of {', '.join(names)}")
    parser.add_argument("--out", type=Path, default=GOLDEN_FOLDER)
    args = parser.parse_args(argv)
    unknown = set(args.cases) - set(names)
    if unknown:
        parser.error(f"unknown case: {', '.join(sorted(unknown))}")
    args.out.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        if not args.cases or case.name in args.cases:
            write_case(case, args.out)
    return 0
