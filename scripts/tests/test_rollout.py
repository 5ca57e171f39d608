"""Attention rollout of the service's command against the attention matrices of PyTorch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from dino_train.backbones.dinov3 import DinoV3, rotate
from dino_train.export import normalise
from dino_train.import_onnx import load_backbone, open_model_folder
from dino_train.random_checkpoints import random_network, write_checkpoint
from dino_train.scenes import golden_scenes

ROOT = Path(__file__).resolve().parents[2]
DINO = ROOT / "dist" / "cli" / "dino.js"
NODE = shutil.which("node")
BUNDLED = ROOT / "models" / "dino-vitmicro16-photos"
PHOTOS = ROOT.parent / "shared" / "data" / "ecssd-dev.tar"
TOLERANCE = 1e-4

pytestmark = pytest.mark.skipif(
    NODE is None or not DINO.is_file(),
    reason=f"the service is not built: {DINO} is missing; run `npm run build`",
)


@torch.no_grad()
def rollout(network: nn.Module, image: Tensor) -> np.ndarray:
    """CLS row over the patches of rollout (Abnar & Zuidema, arXiv:2005.00928), by whole matrices.

    Args:
        network: a ViT, DinoV2 or DinoV3.
        image: [1, 3, H, W], normalised.

    Returns:
        [h * w], float64.
    """
    grid = (image.shape[2] // network.patch_size, image.shape[3] // network.patch_size)
    patches = grid[0] * grid[1]
    x = network.prepare_tokens(image)
    angles = network.rope_embed(*grid) if isinstance(network, DinoV3) else ()
    joint = torch.eye(x.shape[1], dtype=torch.float64)
    for block in network.blocks:
        q, k, _ = block.attn.project_qkv(block.norm1(x))
        if angles:
            q, k = rotate(q, *angles), rotate(k, *angles)
        attention = (q.double() @ k.double().transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)
        mixed = 0.5 * attention[0].mean(0) + 0.5 * torch.eye(x.shape[1], dtype=torch.float64)
        mixed = mixed / mixed.sum(-1, keepdim=True)
        joint = mixed @ joint
        x = block(x, *angles)
    return joint[0, -patches:].numpy()


def served(folder: Path, model: str, data: Path, size: int) -> dict[str, dict]:
    """What `dino attention --rollout --json` prints for the images of a folder, by file name."""
    command = [NODE, str(DINO), "attention", str(folder), "--rollout", "--json", "--model", model]
    command += ["--size", str(size)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DINO_")}
    environment["DINO_DATA_DIR"] = str(data)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {Path(line["file"]).name: line for line in lines}


def save_at_grid(image: Image.Image, path: Path, multiple: int, side: int) -> Tensor:
    """Saves an image at a size that the service leaves as it is. Returns it normalised."""
    scale = side / max(image.size)
    size = [max(1, round(length * scale / multiple)) * multiple for length in image.size]
    resized = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    resized.save(path)
    return normalise(torch.from_numpy(np.asarray(resized)[None].copy()))


def check(network: nn.Module, model: str, data: Path, images: dict[str, Image.Image], size: int):
    """Compares the command's numbers with PyTorch's on each image."""
    folder = data / "pictures"
    folder.mkdir()
    multiple = network.patch_size
    pixels = {
        f"{name}.png": save_at_grid(image, folder / f"{name}.png", multiple, size)
        for name, image in images.items()
    }
    answers = served(folder, model, data, size)
    assert set(answers) == set(pixels)
    for name, image in pixels.items():
        line = answers[name]
        assert [line["grid"]["height"], line["grid"]["width"]] == [
            image.shape[2] // multiple,
            image.shape[3] // multiple,
        ]
        (actual,) = line["attention"]
        wanted = rollout(network, image)
        assert len(actual) == len(wanted)
        difference = np.abs(np.array(actual) - wanted) / wanted
        assert difference.max() <= TOLERANCE, f"{name}: {difference.max()}"


def scenes() -> dict[str, Image.Image]:
    return {Path(name).stem: image for name, (image, _) in golden_scenes().items()}


def photos(count: int) -> dict[str, Image.Image]:
    """The first photos of the archive."""
    found = {}
    with tarfile.open(PHOTOS) as archive:
        for member in archive:
            if member.name.endswith(".jpg") and len(found) < count:
                with Image.open(archive.extractfile(member)) as image:
                    found[Path(member.name).stem] = image.convert("RGB")
    return found


def test_the_bundled_model_on_drawn_scenes(tmp_path):
    network = load_backbone(open_model_folder(BUNDLED)).eval()
    check(network, BUNDLED.name, tmp_path, scenes(), 320)


@pytest.mark.skipif(not PHOTOS.is_file(), reason=f"{PHOTOS} is not there")
def test_the_bundled_model_on_photos(tmp_path):
    network = load_backbone(open_model_folder(BUNDLED)).eval()
    check(network, BUNDLED.name, tmp_path, photos(2), 320)


@pytest.mark.parametrize(
    ("arch", "patch_size", "kind"),
    [
        ("vit_small", 16, "pytorch"),
        ("dinov2_vits14_reg", 14, "safetensors"),
        ("dinov3_vits16", 16, "pytorch"),
    ],
)
def test_imported_networks_on_a_drawn_scene(arch, patch_size, kind, tmp_path):
    network = random_network(arch, patch_size, 11, tiny=True)
    checkpoint = tmp_path / (
        "checkpoint.safetensors" if kind == "safetensors" else "checkpoint.pth"
    )
    write_checkpoint(network, checkpoint, kind, arch, patch_size)
    heads = str(network.num_heads)
    command = [NODE, str(DINO), "models", "import", str(checkpoint), "--name", "tiny"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DINO_")}
    done = subprocess.run(
        [*command, "--heads", heads, "--data-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    check(network, "tiny", tmp_path, {"meadow": scenes()["meadow"]}, patch_size * 12)
