"""Whole runs on drawn pictures: resume, logs, refusals."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from conftest import run_options, write_scenes

from dino_train.checkpoint import CheckpointError, read_checkpoint
from dino_train.data import DataError
from dino_train.evaluation.untrained import untrained_backbone
from dino_train.options import parse_options
from dino_train.train_command import main
from dino_train.trainer import Trainer, TrainingError

pytestmark = pytest.mark.usefixtures("micro", "one_thread")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("pictures") / "train", 6, seed=1, scenes=4)


def small_run(pictures: Path, out: Path, *extra: str) -> list[str]:
    return run_options(pictures, out, "--batch_size_per_gpu", "8", "--epochs", "4",
                       "--drop_path_rate", "0.2", "--warmup_teacher_temp_epochs", "2",
                       "--teacher_temp", "0.06", "--norm_last_layer", "false", *extra)  # fmt: skip


def train(arguments: list[str]) -> Trainer:
    trainer = Trainer(parse_options(arguments), "python scripts/train.py")
    trainer.run()
    return trainer


def assert_equal_states(a: dict, b: dict, path: str = "") -> None:
    assert a.keys() == b.keys(), path
    for key, value in a.items():
        if isinstance(value, dict):
            assert_equal_states(value, b[key], f"{path}/{key}")
        elif isinstance(value, torch.Tensor):
            assert torch.equal(value, b[key]), f"{path}/{key}"
        else:
            assert value == b[key], f"{path}/{key}"


def test_a_resumed_run_ends_with_exactly_the_weights_of_an_uninterrupted_one(pictures, tmp_path):
    assert main(small_run(pictures, tmp_path / "whole")) == 0
    assert main(small_run(pictures, tmp_path / "parts", "--stop_after", "1")) == 0
    first = read_checkpoint(tmp_path / "parts/checkpoint.pth")
    assert main(small_run(pictures, tmp_path / "parts", "--resume", "--num_workers", "1")) == 0
    whole = read_checkpoint(tmp_path / "whole/checkpoint.pth")
    parts = read_checkpoint(tmp_path / "parts/checkpoint.pth")
    assert (first["epoch"], parts["epoch"]) == (1, 4)
    for part in ("student", "teacher", "criterion", "optimizer"):
        assert_equal_states(whole[part], parts[part], part)
    moved = [k for k, v in parts["teacher"].items() if not torch.equal(v, first["teacher"][k])]
    assert len(moved) == len(parts["teacher"])
    epochs = [
        json.loads(line)["epoch"]
        for line in (tmp_path / "parts/log.jsonl").read_text().splitlines()
    ]
    assert epochs == [1, 2, 3, 4]


def test_every_epoch_leaves_a_line_of_finite_metrics(pictures, tmp_path):
    train(small_run(pictures, tmp_path, "--knn", "p", str(pictures), str(pictures),
                    "--knn_every", "2", "--saveckp_freq", "3"))  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    for line in lines:
        numbers = [v for v in line.values() if not isinstance(v, dict)]
        assert all(math.isfinite(v) for v in numbers)
        assert line["loss"] == pytest.approx(line["teacher_entropy"] + line["kl"], rel=1e-4)
        assert 0 < line["teacher_entropy"] <= math.log(64) + 1e-6
        assert line["images_per_second"] > 0
    assert ["knn" in line for line in lines] == [False, True, False, True]
    # The bank holds each query, yet 20 neighbours of 24 images outvote it at times.
    assert 0 <= lines[-1]["knn"]["p"] <= 1
    assert [line["teacher_temp"] for line in lines] == pytest.approx([0.04, 0.06, 0.06, 0.06])
    saved = sorted(p.name for p in tmp_path.iterdir())
    assert saved == ["checkpoint.pth", "checkpoint0003.pth", "log.jsonl"]


def test_the_last_layer_stands_still_in_the_frozen_epochs_only(pictures, tmp_path):
    names = ("head.last_layer.weight_v", "head.last_layer.weight_g")
    torch.manual_seed(0)
    start = Trainer(parse_options(small_run(pictures, tmp_path / "s")), "").student.state_dict()
    train(small_run(pictures, tmp_path / "r", "--freeze_last_layer", "2", "--saveckp_freq", "1"))
    students = [
        read_checkpoint(tmp_path / f"r/checkpoint{epoch:04d}.pth")["student"] for epoch in (2, 3)
    ]
    for name in names:
        assert torch.equal(students[0][name], start[name])
        assert not torch.equal(students[1][name], start[name])
    key = "backbone.blocks.0.attn.qkv.weight"
    assert not torch.equal(students[0][key], start[key])


def test_the_evaluations_untrained_network_is_the_one_that_training_began_from(pictures, tmp_path):
    trainer = Trainer(parse_options(small_run(pictures, tmp_path, "--seed", "7")), "")
    backbone = trainer.teacher.backbone
    size = backbone.grid_size * backbone.patch_size
    again = untrained_backbone("vit_nano", backbone.patch_size, size, 7).state_dict()
    assert_equal_states(dict(backbone.state_dict()), dict(again))


def test_the_checkpoint_says_where_the_weights_come_from(pictures, tmp_path):
    assert main(small_run(pictures, tmp_path, "--stop_after", "1")) == 0
    training = read_checkpoint(tmp_path / "checkpoint.pth")["training"]
    assert training["data"] == [{"name": "train", "images": 24}]
    assert training["command"].startswith(f"python scripts/train.py --data_path {pictures}")
    assert training["epochs"] == 1
    assert "CPU cores" in training["hardware"]


def test_the_recorded_command_repeats_a_resumed_run(pictures, tmp_path):
    def recorded() -> str:
        return read_checkpoint(tmp_path / "checkpoint.pth")["training"]["command"]

    train(small_run(pictures, tmp_path, "--stop_after", "1"))
    first = recorded()
    train(small_run(pictures, tmp_path, "--resume", "--stop_after", "2"))
    assert recorded() == first
    shorter = small_run(pictures, tmp_path, "--resume", "--epochs", "3")
    assert main(shorter) == 0
    assert recorded().startswith(f"{first} --stop_after 2 && python scripts/train.py")
    assert "--epochs 3" in recorded()


def test_a_run_is_neither_overwritten_nor_resumed_with_other_options(pictures, tmp_path, capsys):
    assert main(small_run(pictures, tmp_path, "--stop_after", "1")) == 0
    before = (tmp_path / "checkpoint.pth").read_bytes()
    assert main(small_run(pictures, tmp_path)) == 1
    assert "--resume" in capsys.readouterr().err
    assert main(small_run(pictures, tmp_path, "--resume", "--lr", "0.5")) == 1
    assert "--lr was" in capsys.readouterr().err
    assert (tmp_path / "checkpoint.pth").read_bytes() == before


def test_resuming_without_a_checkpoint_is_refused(pictures, tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint"):
        train(small_run(pictures, tmp_path, "--resume"))


def test_fewer_images_than_a_batch_are_refused(pictures, tmp_path):
    with pytest.raises(DataError, match="fewer than a batch"):
        train(small_run(pictures, tmp_path, "--batch_size_per_gpu", "25"))


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(pictures, tmp_path):
    arguments = small_run(pictures, tmp_path)
    train([*arguments, "--stop_after", "1"])
    before = (tmp_path / "checkpoint.pth").read_bytes()
    trainer = Trainer(parse_options([*arguments, "--resume"]), "")
    with torch.no_grad():
        trainer.student.backbone.cls_token.fill_(torch.inf)
    with pytest.raises(TrainingError, match=r"loss is nan in epoch 2, step 0; .*--lr"):
        trainer.run()
    assert (tmp_path / "checkpoint.pth").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "--epochs must be at least 1"),
        (["--warmup_epochs", "9"], "--warmup_epochs must not exceed"),
        (["--global_crops_size", "30"], "multiples of --patch_size"),
        (["--teacher_temp", "0"], "temperatures must be positive"),
        (["--bf16", "perhaps"], "expected true or false"),
        (["--arch", "resnet"], "invalid choice"),
    ],
)
def test_wrong_options_end_with_a_message(pictures, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        parse_options(small_run(pictures, tmp_path, *arguments))
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_bf16_trains_close_to_fp32(pictures, tmp_path):
    losses = []
    for flag in ("false", "true"):
        train(small_run(pictures, tmp_path / flag, "--bf16", flag, "--stop_after", "1"))
        losses.append(json.loads((tmp_path / flag / "log.jsonl").read_text())["loss"])
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[1] != losses[0]
