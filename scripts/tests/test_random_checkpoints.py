"""Random checkpoints: true names and containers, nothing degenerate, the committed tiny ones."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from dino_train.golden_checkpoints import (
    CASES,
    GOLDEN_FOLDER,
    Case,
    expectation,
    hashed_pixels,
    image_sizes,
    token_stride,
)
from dino_train.golden_checkpoints import main as golden_checkpoints
from dino_train.random_checkpoint_command import main as random_checkpoint
from dino_train.random_checkpoints import RECIPES, random_network

# Two images of 2 x 2; test/golden/architectures.test.ts holds the same.
HASHED = [
    0, 78, 170, 8, 56, 172, 8, 81, 180, 76, 60, 70,
    25, 175, 117, 128, 166, 203, 52, 166, 202, 50, 115, 167,
]  # fmt: skip


def write(tmp_path: Path, kind: str, arch: str = "vit_small") -> Path:
    out = tmp_path / "checkpoint"
    options = ["--arch", arch, "--format", kind, "--seed", "3", "--tiny", "--out", str(out)]
    assert random_checkpoint(options) == 0
    return out


def same(state: dict, network: nn.Module) -> bool:
    expected = network.state_dict()
    return state.keys() == expected.keys() and all(
        torch.equal(state[k], v) for k, v in expected.items()
    )


@pytest.fixture
def tiny() -> nn.Module:
    """What the command writes in these tests."""
    return random_network("vit_small", 16, seed=3, tiny=True)


@pytest.mark.parametrize(("kind", "magic"), [("pytorch", b"PK"), ("pytorch-legacy", b"\x80\x02")])
def test_pytorch_reads_both_of_its_formats(tmp_path, tiny, kind, magic):
    path = write(tmp_path, kind)
    assert path.read_bytes().startswith(magic)
    assert same(torch.load(path, weights_only=True), tiny)


def test_a_training_checkpoint_is_what_the_official_code_saves(tmp_path, tiny):
    with torch.serialization.safe_globals([Namespace]):
        saved = torch.load(write(tmp_path, "training"), weights_only=True)
    assert {"student", "teacher", "optimizer", "epoch", "args", "dino_loss"} == saved.keys()
    assert (saved["args"].arch, saved["args"].patch_size) == ("vit_small", 16)
    assert len(saved["optimizer"]["state"]) == len(list(tiny.parameters()))
    teacher = {
        key.removeprefix("backbone."): value
        for key, value in saved["teacher"].items()
        if not key.startswith("head.")
    }
    assert same(teacher, tiny)
    assert any(key.startswith("module.head.last_layer.") for key in saved["student"])
    # The networks differ, so that a reader which takes the wrong one is found out.
    student = saved["student"]["module.backbone.norm.weight"]
    assert not torch.equal(student, saved["teacher"]["backbone.norm.weight"])


def test_safetensors_hold_the_same_weights(tmp_path, tiny):
    assert same(load_file(write(tmp_path, "safetensors")), tiny)


def test_a_hugging_face_folder_splits_the_joint_projection(tmp_path, tiny):
    folder = write(tmp_path, "huggingface")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert (config["model_type"], config["hidden_size"], config["num_attention_heads"]) == (
        "vit", 16, 2,
    )  # fmt: skip
    stored = load_file(folder / "model.safetensors")
    parts = [
        stored[f"encoder.layer.1.attention.attention.{part}.weight"]
        for part in ("query", "key", "value")
    ]
    assert torch.equal(torch.cat(parts), tiny.blocks[1].attn.qkv.weight)
    assert sum(t.numel() for t in stored.values()) == sum(p.numel() for p in tiny.parameters())


def test_a_format_that_transformers_lacks_is_refused(tmp_path, capsys):
    options = ["--arch", "resnet50", "--format", "huggingface", "--tiny", "--out", str(tmp_path)]
    assert random_checkpoint(options) == 1
    assert "transformers has no names for resnet50" in capsys.readouterr().err


def test_a_patch_size_that_was_not_published_is_refused(tmp_path, capsys):
    options = ["--arch", "vit_small", "--patch_size", "12", "--out", str(tmp_path / "x")]
    assert random_checkpoint(options) == 1
    assert "patch_size of vit_small must be 16 or 8, got 12" in capsys.readouterr().err


@pytest.mark.parametrize("arch", sorted(RECIPES))
def test_no_weight_is_degenerate_and_outputs_stay_small(arch):
    network = random_network(arch, tiny=True)
    for name, value in network.named_parameters():
        assert value.isfinite().all(), name
        assert value.abs().max() > 0.01, name
        if value.ndim == 1 and len(value) > 1:
            assert value.std() > 0.01, name
    for name, value in network.named_buffers():
        if name.endswith("running_var"):
            assert value.min() > 0.1, name
    side = 3 * RECIPES[arch].patch_sizes[0]
    features = network.features(torch.randn(1, 3, side, side, generator=torch.manual_seed(0)))
    for name, value in vars(features).items():
        assert value.isfinite().all(), name
        assert 0.01 < value.abs().max() < 30, name


def test_a_seed_draws_the_same_weights_again_and_another_seed_others():
    first, again, other = (random_network("xcit_small_12", seed=s, tiny=True) for s in (1, 1, 2))
    assert same(again.state_dict(), first)
    assert not torch.equal(other.norm.weight, first.norm.weight)


def test_hashed_pixels_are_what_the_service_computes():
    assert hashed_pixels(2, 2, 2).flatten().tolist() == HASHED


def test_kept_tokens_visit_all_columns():
    for rows, columns in [(14, 14), (30, 20), (60, 40), (7, 15), (3, 3)]:
        stride = token_stride(rows, columns)
        kept = range(0, rows * columns, stride)
        assert len(kept) >= min(15, rows * columns)
        assert len({index % columns for index in kept}) == min(columns, len(kept))


def test_sizes_hold_an_odd_grid_that_is_not_square():
    sizes = image_sizes(16)
    assert sizes == [(224, 224), (480, 320), (96, 96), (112, 240)]
    assert [(h // 16, w // 16) for h, w in sizes][-1] == (7, 15)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_committed_expectations_are_what_pytorch_computes(case: Case):
    tensors, metadata = expectation(case, case.network())
    with safe_open(GOLDEN_FOLDER / f"{case.name}.expected.safetensors", "pt") as stored:
        assert stored.metadata() == metadata
        assert set(stored.keys()) == set(tensors)
        for name, value in tensors.items():
            torch.testing.assert_close(stored.get_tensor(name), value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_committed_checkpoints_are_written_again_the_same(case: Case, tmp_path):
    assert golden_checkpoints([case.name, "--out", str(tmp_path)]) == 0
    fresh, stored = tmp_path / case.file, GOLDEN_FOLDER / case.file
    if case.kind == "huggingface":
        config = "config.json"
        assert json.loads((fresh / config).read_text()) == json.loads((stored / config).read_text())
        fresh, stored = fresh / "model.safetensors", stored / "model.safetensors"
    load = load_file if stored.suffix == ".safetensors" else _load_pickled
    assert_same_values(load(fresh), load(stored))


def _load_pickled(path: Path) -> dict:
    with torch.serialization.safe_globals([Namespace]):
        return torch.load(path, weights_only=True)


def assert_same_values(fresh, stored, where: str = "") -> None:
    """Compares nested containers; tensors up to the last bits of other processors."""
    assert type(fresh) is type(stored), where
    if isinstance(stored, torch.Tensor):
        torch.testing.assert_close(fresh, stored, rtol=1e-5, atol=1e-6, equal_nan=True, msg=where)
    elif isinstance(stored, dict):
        assert fresh.keys() == stored.keys(), where
        for key, value in stored.items():
            assert_same_values(fresh[key], value, f"{where}.{key}")
    elif isinstance(stored, list):
        assert len(fresh) == len(stored), where
        for index, value in enumerate(stored):
            assert_same_values(fresh[index], value, f"{where}.{index}")
    else:
        assert fresh == stored, where


def test_committed_files_stay_small():
    sizes = [path.stat().st_size for path in GOLDEN_FOLDER.rglob("*") if path.is_file()]
    assert max(sizes) < 150_000
    assert sum(sizes) < 1_500_000


def test_no_file_without_a_case_is_left_behind():
    stored = {path.name for path in GOLDEN_FOLDER.iterdir()}
    expected = {case.file for case in CASES} | {f"{c.name}.expected.safetensors" for c in CASES}
    assert stored == expected
