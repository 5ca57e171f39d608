"""Starting from trained weights: what is taken, and what is refused."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
import torch
from conftest import run_options, write_scenes
from safetensors.torch import save_file

from dino_train.checkpoint import CheckpointError, read_checkpoint
from dino_train.head import DINOHead, DINONetwork
from dino_train.import_onnx import load_backbone, open_model_folder
from dino_train.initial_weights import identify, load_initial_weights
from dino_train.networks import build_backbone, build_network
from dino_train.options import parse_options
from dino_train.train_command import main

NEEDED = ["--data_path", "a", "--output_dir", "b", "--arch", "vit_micro", "--out_dim", "24"]


def options_of(*extra: str) -> argparse.Namespace:
    return parse_options([*NEEDED, "--global_crops_size", "32", "--local_crops_size", "16", *extra])


def published_network(size: int = 32, out_dim: int = 24, seed: int = 8) -> DINONetwork:
    torch.manual_seed(seed)
    backbone = build_backbone("vit_micro", 16, size)
    torch.nn.init.normal_(backbone.pos_embed)
    return DINONetwork(backbone, DINOHead(128, out_dim))


def fresh(options: argparse.Namespace) -> DINONetwork:
    torch.manual_seed(1)
    return build_network(options)


def save_as_published(path: Path, network: DINONetwork) -> Path:
    """A checkpoint as main_dino.py writes it: student behind DDP, arguments as a Namespace."""
    state = network.state_dict()
    torch.save(
        {
            "student": {f"module.{key}": value + 1 for key, value in state.items()},
            "teacher": state,
            "epoch": 100,
            "args": argparse.Namespace(arch="vit_micro", lr=0.0005),
        },
        path,
    )
    return path


def test_a_published_checkpoint_gives_its_teacher_with_the_head(tmp_path):
    network, options = published_network(), options_of()
    path = save_as_published(tmp_path / "full.pth", network)
    target = fresh(options)
    said = load_initial_weights(path, target, options)
    assert "teacher of a full checkpoint" in said
    assert "took the whole head" in said
    for key, value in network.state_dict().items():
        assert torch.equal(target.state_dict()[key], value), key


@pytest.mark.parametrize("form", ["plain", "module", "backbone", "student", "safetensors"])
def test_a_backbone_alone_is_taken_and_the_head_starts_fresh(tmp_path, form):
    network, options = published_network(), options_of()
    state = network.backbone.state_dict()
    path = tmp_path / "backbone.pth"
    if form == "safetensors":
        path = tmp_path / "backbone.safetensors"
        save_file({k: v.contiguous() for k, v in state.items()}, path)
    elif form == "student":
        wrapped = {f"module.backbone.{k}": v for k, v in state.items()}
        torch.save({"student": wrapped}, path)
    else:
        prefix = {"plain": "", "module": "module.", "backbone": "module.backbone."}[form]
        content = {prefix + k: v for k, v in state.items()}
        # What a classifier on top leaves is not wanted.
        torch.save({**content, prefix + "head.weight": torch.ones(10, 128)}, path)
    target, untouched = fresh(options), fresh(options)
    said = load_initial_weights(path, target, options)
    assert "no head in the file: it starts fresh" in said
    for key, value in state.items():
        assert torch.equal(target.backbone.state_dict()[key], value), key
    for key, value in untouched.head.state_dict().items():
        assert torch.equal(target.head.state_dict()[key], value), key


def test_positions_of_another_grid_give_the_features_of_the_published_network(tmp_path):
    network, options = published_network(size=80), options_of()
    path = save_as_published(tmp_path / "full.pth", network)
    target = fresh(options).eval()
    said = load_initial_weights(path, target, options)
    assert "positions interpolated from 25 to 4 patches" in said
    images = torch.randn(2, 3, 32, 32)
    expected = network.backbone.eval()(images)
    torch.testing.assert_close(target.backbone(images), expected, rtol=1e-4, atol=1e-5)


def test_prototypes_of_another_number_start_fresh_behind_the_trained_projection(tmp_path):
    network, options = published_network(out_dim=40), options_of()
    path = save_as_published(tmp_path / "full.pth", network)
    target, untouched = fresh(options), fresh(options)
    assert "24 start fresh" in load_initial_weights(path, target, options)
    assert torch.equal(target.head.mlp[0].weight, network.head.mlp[0].weight)
    assert torch.equal(target.head.last_layer.weight_v, untouched.head.last_layer.weight_v)


def test_a_head_with_batch_normalisation_does_not_take_one_without(tmp_path):
    options = options_of("--use_bn_in_head", "true")
    path = save_as_published(tmp_path / "full.pth", published_network())
    assert "the head starts fresh" in load_initial_weights(path, fresh(options), options)


@pytest.mark.parametrize(
    ("arch", "patch_size"), [("vit_tiny", 16), ("vit_micro", 8), ("xcit_small_12_p8", 16)]
)
def test_another_architecture_is_refused_and_named(tmp_path, arch, patch_size):
    path = tmp_path / "other.pth"
    torch.save(build_backbone(arch, patch_size).state_dict(), path)
    options = options_of()
    with pytest.raises(CheckpointError) as refusal:
        load_initial_weights(path, fresh(options), options)
    message = str(refusal.value)
    assert "does not hold --arch vit_micro --patch_size 16" in message
    assert f"It looks like --arch {arch}" in message


def test_every_architecture_is_told_from_the_others():
    for arch, patch_size in (("vit_small", 8), ("resnet50", 16), ("xcit_medium_24_p16", 16)):
        with torch.device("meta"):
            state = build_backbone(arch, patch_size).state_dict()
        assert f"--arch {arch}" in identify(state)
    assert identify({"weight": torch.ones(2)}) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no file"),
        (b"no weights at all", "cannot read"),
        ({"epoch": 3}, "holds no weights"),
        ({"fc.weight": torch.ones(2, 2)}, "weights are missing"),
    ],
)
def test_files_without_a_network_are_refused(tmp_path, content, message):
    path = tmp_path / "file.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    options = options_of()
    with pytest.raises(CheckpointError, match=message):
        load_initial_weights(path, fresh(options), options)


def test_an_exported_model_is_a_start(tmp_path):
    model = next((Path(__file__).parents[2] / "models").glob("*/manifest.json")).parent
    manifest = json.loads((model / "manifest.json").read_text())
    options = options_of("--arch", manifest["architecture"]["variant"])
    target = fresh(options)
    assert "took the backbone" in load_initial_weights(model, target, options)
    expected = load_backbone(open_model_folder(model)).eval()
    images = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(target.backbone.eval()(images), expected(images))
    with pytest.raises(CheckpointError, match="is not a model folder"):
        load_initial_weights(tmp_path, target, options)


@pytest.mark.usefixtures("micro", "one_thread")
def test_a_run_starts_from_another_runs_teacher(tmp_path, capsys):
    pictures = write_scenes(tmp_path / "train", 4, seed=1, scenes=2)
    first = run_options(pictures, tmp_path / "first", "--batch_size_per_gpu", "8", "--epochs", "1")
    assert main(first) == 0
    start = tmp_path / "first/checkpoint.pth"
    second = run_options(pictures, tmp_path / "second", "--batch_size_per_gpu", "8", "--epochs",
                         "1", "--lr", "0", "--min_lr", "0", "--init", str(start))  # fmt: skip
    assert main(second) == 0
    assert "took the whole head" in capsys.readouterr().out
    old, new = (read_checkpoint(p)["teacher"] for p in (start, tmp_path / "second/checkpoint.pth"))
    assert all(torch.allclose(new[key], value, atol=1e-6) for key, value in old.items())
