"""Shared drawings and a network small enough to train inside a test."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dino_train.scenes import block, disc, leaf, paste_shape, star, textured_ground
from dino_train.vit import VARIANTS, VisionTransformer

OUT_DIM = 64
SHAPES = (block, disc, leaf, star)
NANO = {"embed_dim": 64, "depth": 3, "num_heads": 2}


@pytest.fixture
def micro(monkeypatch: pytest.MonkeyPatch) -> str:
    """Registers a tiny architecture and returns its name."""
    monkeypatch.setitem(VARIANTS, "vit_nano", NANO)
    return "vit_nano"


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Runs PyTorch on one thread: tiny products are faster, and sums have one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def vit() -> VisionTransformer:
    """A small backbone with a 6 x 6 native grid and random weights."""
    torch.manual_seed(1)
    model = VisionTransformer(16, 48, 3, 3, img_size=96).eval()
    # Default init is so small that wrong positions would hardly show.
    torch.nn.init.normal_(model.pos_embed)
    return model


def run_options(data: Path, out: Path, *extra: str) -> list[str]:
    """Options of a run of the nano network that takes seconds; `extra` comes last and wins."""
    options = (
        "--arch vit_nano --patch_size 8 --global_crops_size 32 --local_crops_size 16 "
        "--local_crops_number 2 --batch_size_per_gpu 16 --num_workers 0 --warmup_epochs 1 "
        "--lr 0.016 --momentum_teacher 0.96 --drop_path_rate 0 --device cpu --tensorboard false "
        f"--out_dim {OUT_DIM}"
    )
    return ["--data_path", str(data), "--output_dir", str(out), *options.split(), *extra]


def draw_scene(rng: np.random.Generator, size: int = 96) -> Image.Image:
    """Draws a scene of its own: a textured ground and three shapes in random colours."""
    colors = [tuple(int(v) for v in rng.integers(0, 256, 3)) for _ in range(5)]
    image = textured_ground(size, size, colors[0], colors[1], rng)
    for color in colors[2:]:
        shape = SHAPES[rng.integers(len(SHAPES))]
        center = (float(rng.uniform(0.2, 0.8)), float(rng.uniform(0.2, 0.8)))
        image = paste_shape(image, shape, color, center, float(rng.uniform(0.15, 0.35)))
    return image


def photograph(scene: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Takes a picture of a scene: another frame, light and side each time."""
    side = int(scene.width * rng.uniform(0.5, 1.0))
    left, top = (int(rng.integers(0, scene.width - side + 1)) for _ in range(2))
    picture = scene.crop((left, top, left + side, top + side)).resize((64, 64))
    if rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    light = rng.uniform(0.4, 1.0)
    return picture.point(lambda value: int(value * light))


def write_scenes(folder: Path, per_scene: int, seed: int, scenes: int = 16) -> Path:
    """Fills folder/SCENE/NUMBER.png with pictures and returns the folder.

    The scenes are the same for every seed; only the pictures of them differ.
    """
    for number in range(scenes):
        scene = draw_scene(np.random.default_rng((2021, number)))
        rng = np.random.default_rng((seed, number))
        (folder / f"scene-{number:02d}").mkdir(parents=True)
        for index in range(per_scene):
            photograph(scene, rng).save(folder / f"scene-{number:02d}" / f"{index:03d}.png")
    return folder


def write_shard(path: Path, files: dict[str, bytes]) -> Path:
    """Writes a tar file of the given names and contents, in their order."""
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Closes a run with one plain line: `N passed, N failed`, `, N skipped` where there are any."""
    counted = {
        name: len(terminalreporter.stats.get(name, []))
        for name in ("passed", "failed", "error", "skipped")
    }
    line = f"{counted['passed']} passed, {counted['failed'] + counted['error']} failed"
    if counted["skipped"]:
        line += f", {counted['skipped']} skipped"
    # Below pytest's own summary, which comes after this hook.
    config.add_cleanup(lambda: print(line))
