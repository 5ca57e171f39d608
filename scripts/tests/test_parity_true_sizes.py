"""Networks of the published sizes, imported by the service's command, against PyTorch.

The weights are random: only their names, shapes and containers are those of the published files.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from dino_train.export import open_session
from dino_train.golden_checkpoints import expected_outputs, hashed_pixels, image_sizes
from dino_train.random_checkpoints import random_network, write_checkpoint

ROOT = Path(__file__).resolve().parents[2]
DINO = ROOT / "dist" / "cli" / "dino.js"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(
    NODE is None or not DINO.is_file(),
    reason=f"the service is not built: {DINO} is missing; run `npm run build`",
)

NETWORKS = [
    ("vit_small", 16),
    ("vit_small", 8),
    ("vit_base", 16),
    ("vit_base", 8),
    ("resnet50", 32),
    ("xcit_small_12", 16),
    ("xcit_small_12", 8),
    ("xcit_medium_24", 16),
    ("xcit_medium_24", 8),
    ("dinov2_vits14", 14),
    ("dinov2_vits14_reg", 14),
    ("dinov2_vitb14", 14),
    ("dinov2_vitb14_reg", 14),
    ("dinov3_vits16", 16),
    ("dinov3_vitb16", 16),
]
# Smallest cosine to PyTorch, and largest difference of a single value.
LIMITS = {"fp32": (0.99999, 1e-3), "fp16": (0.9995, None), "int8": (0.99, None)}


def imported(checkpoint: Path, data: Path, precision: str) -> tuple[Path, dict]:
    """Imports a checkpoint and returns the model's file and manifest."""
    name = "parity"
    arguments = ["--name", name, "--precision", precision, "--data-dir", str(data)]
    command = [NODE, str(DINO), "models", "import", str(checkpoint), *arguments]
    # Settings of the person who runs the tests are not meant for them.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DINO_")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    folder = data / "models" / name
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return folder / manifest["file"]["path"], manifest


def check_parity(
    checkpoint: Path, data: Path, network: torch.nn.Module, patch_size: int, precision: str = "fp32"
) -> None:
    """Imports a checkpoint and compares every output of the graph with the network's."""
    path, manifest = imported(checkpoint, data, precision)
    assert manifest["architecture"]["patchSize"] == patch_size
    assert manifest["architecture"].get("heads") == getattr(network, "num_heads", None)
    session = open_session(path)
    smallest_cosine, largest_difference = LIMITS[precision]
    for height, width in image_sizes(patch_size):
        wanted = expected_outputs(network, height, width, 1)
        assert set(wanted) == set(manifest["outputs"])
        pixels = hashed_pixels(1, height, width).numpy()
        for name, actual in zip(wanted, session.run(list(wanted), {"pixels": pixels}), strict=True):
            where = f"{name} at {height}x{width}"
            expected, actual = wanted[name].double(), torch.from_numpy(actual).double()
            assert actual.shape == expected.shape, where
            cosine = torch.cosine_similarity(actual.flatten(), expected.flatten(), dim=0)
            assert cosine >= smallest_cosine, where
            if largest_difference is not None:
                assert (actual - expected).abs().max() <= largest_difference, where


@pytest.mark.parametrize(("arch", "patch_size"), NETWORKS)
def test_an_imported_network_of_the_published_size_equals_pytorch(arch, patch_size, tmp_path):
    network = random_network(arch, patch_size)
    checkpoint = tmp_path / "checkpoint.pth"
    write_checkpoint(network, checkpoint, "pytorch", arch, patch_size)
    try:
        check_parity(checkpoint, tmp_path, network, patch_size)
    finally:
        # Up to 0.7 GB each: pytest keeps the folders of several runs.
        shutil.rmtree(tmp_path)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_smaller_weights_stay_close_to_pytorch(precision, tmp_path):
    network = random_network("vit_small", 16)
    checkpoint = tmp_path / "checkpoint.safetensors"
    write_checkpoint(network, checkpoint, "safetensors", "vit_small", 16)
    try:
        check_parity(checkpoint, tmp_path, network, 16, precision)
    finally:
        shutil.rmtree(tmp_path)
