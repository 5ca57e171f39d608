"""Options: the authors' names, defaults and argument files."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from dino_train.networks import arch_names
from dino_train.options import parse_options
from dino_train.options_table import AUTHORS_OTHERS, AUTHORS_SAME, DOCUMENT, with_table

# https://github.com/facebookresearch/dino/blob/main/main_dino.py, get_args_parser.
AUTHORS_DEFAULTS = {
    "arch": "vit_small",
    "patch_size": 16,
    "out_dim": 65536,
    "norm_last_layer": True,
    "momentum_teacher": 0.996,
    "use_bn_in_head": False,
    "warmup_teacher_temp": 0.04,
    "teacher_temp": 0.04,
    "warmup_teacher_temp_epochs": 0,
    "weight_decay": 0.04,
    "weight_decay_end": 0.4,
    "clip_grad": 3.0,
    "batch_size_per_gpu": 64,
    "epochs": 100,
    "freeze_last_layer": 1,
    "lr": 0.0005,
    "warmup_epochs": 10,
    "min_lr": 1e-6,
    "optimizer": "adamw",
    "drop_path_rate": 0.1,
    "global_crops_scale": [0.4, 1.0],
    "local_crops_number": 8,
    "local_crops_scale": [0.05, 0.4],
    "saveckp_freq": 20,
    "seed": 0,
    "dist_url": "env://",
    "local_rank": 0,
}
# As the authors publish it beside their weights: what their launcher knows is in it, too.
PUBLISHED_ARGUMENTS = """arch: deit_small
batch_size_per_gpu: 64
clip_grad: 0
data_path: /somewhere/imagenet/train
dist_backend: nccl
dist_url: file:///somewhere/init
drop_path_rate: 0.1
epochs: 800
freeze_last_layer: 1
global_crops_scale: (0.25, 1.0)
gpu: 0
local_crops_number: 10
local_crops_scale: [0.05, 0.25]
local_rank: 0
lr: 0.0005
min_lr: 1e-05
momentum_teacher: 0.996
norm_last_layer: False
num_workers: 10
optimizer: adamw
out_dim: 65536
output_dir: /somewhere/run
patch_size: 16
rank: 0
saveckp_freq: 20
seed: 0
teacher_temp: 0.07
use_bn_in_head: False
use_fp16: False
warmup_epochs: 10
warmup_teacher_temp: 0.04
warmup_teacher_temp_epochs: 30
weight_decay: 0.04
weight_decay_end: 0.4
world_size: 16
"""
NEEDED = ["--data_path", "photos", "--output_dir", "run"]


def test_names_and_defaults_are_the_authors():
    options = vars(parse_options(NEEDED))
    assert {key: options[key] for key in AUTHORS_DEFAULTS} == AUTHORS_DEFAULTS
    # The authors train on GPUs alone, where auto is their true.
    assert options["use_fp16"] == "auto"
    assert 1 <= options["num_workers"] <= 10


def test_every_backbone_of_the_paper_can_be_named():
    vit = [f"vit_{size}" for size in ("tiny", "small", "base")]
    xcit = [f"xcit_{size}_p{p}" for size in ("small_12", "medium_24") for p in (8, 16)]
    assert {*vit, *xcit, "resnet50"} <= set(arch_names())


def test_a_published_argument_file_carries_over_and_later_options_win(tmp_path):
    path = tmp_path / "args.txt"
    path.write_text(PUBLISHED_ARGUMENTS)
    options = parse_options([f"@{path}", *NEEDED, "--epochs", "100"])
    assert (options.arch, options.epochs, options.clip_grad) == ("vit_small", 100, 0)
    assert options.global_crops_scale == [0.25, 1.0]
    assert options.local_crops_scale == [0.05, 0.25]
    assert options.norm_last_layer is False
    assert options.use_fp16 is False
    assert (options.teacher_temp, options.warmup_teacher_temp_epochs) == (0.07, 30)
    assert options.data_path == ["photos"]
    assert options.output_dir == Path("run")


def test_the_published_command_parses_as_it_is():
    # https://github.com/facebookresearch/dino, README: ResNet-50.
    command = (
        "--arch resnet50 --optimizer sgd --lr 0.03 --weight_decay 1e-4 --weight_decay_end 1e-4 "
        "--global_crops_scale 0.14 1 --local_crops_scale 0.05 0.14 "
        "--data_path /path/to/imagenet/train --output_dir /path/to/saving_dir"
    )
    options = parse_options(shlex.split(command))
    assert (options.optimizer, options.lr, options.weight_decay) == ("sgd", 0.03, 1e-4)
    assert options.local_crops_scale == [0.05, 0.14]
    more = parse_options([*shlex.split(command), "--use_fp16", "true", "--use_bn_in_head", "True"])
    assert (more.use_fp16, more.use_bn_in_head) == (True, True)


@pytest.mark.parametrize(
    "text",
    [
        "# mine\nepochs: 7  # few\nlocal_crops_scale: [0.1, 0.2]\nbf16: true\nresume: false\n",
        json.dumps({"epochs": 7, "local_crops_scale": [0.1, 0.2], "bf16": True, "init": None}),
        "--epochs 7 # few\n--local-crops-scale 0.1 0.2\n--bf16=true\n",
    ],
)
def test_lines_json_and_a_command_line_mean_the_same(tmp_path, text):
    path = tmp_path / "options"
    path.write_text(text)
    options = parse_options([f"@{path}", *NEEDED, "--warmup_epochs", "1"])
    assert (options.epochs, options.local_crops_scale, options.bf16) == (7, [0.1, 0.2], True)
    assert options.resume is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lerning_rate", "1"], "unknown option --lerning_rate"),
        (["--teacher_tmp", "1"], "unknown option --teacher_tmp; the nearest is --teacher_temp"),
        (["--batch_size_per_gpus", "1"], "the nearest is --batch_size_per_gpu"),
        (["stray"], "unrecognized arguments|unexpected argument 'stray'"),
        (["@/nowhere/args.txt"], "cannot read options from /nowhere/args.txt"),
        (["--arch", "vit_huge"], "invalid choice: 'vit_huge'"),
        (["--arch", "xcit_small_12_p16", "--local_crops_size", "40"], "multiples of --patch_size"),
        (["--bf16", "true", "--use_fp16", "true"], "exclude each other"),
        (["--accumulate", "0"], "--accumulate must be at least 1"),
        (["--max-minutes", "-1"], "--max_minutes must not be negative"),
        (["--drop_path_rate", "1"], r"--drop_path_rate must be in \[0, 1\)"),
        (["--allow_changes"], "--allow_changes needs --resume"),
        (["--optimizer", "adam"], "invalid choice: 'adam'"),
    ],
)
def test_what_is_not_understood_ends_with_a_message(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        parse_options([*NEEDED, "--epochs", "20", *arguments])
    assert stop.value.code == 2
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = 7", "expected `key: value`, found 'epochs = 7'"),
        ('{"epochs": 7', "is no JSON object"),
        ("epoch: 7", "unknown option --epoch; the nearest is --epochs"),
    ],
)
def test_a_file_of_another_form_is_named(tmp_path, capsys, text, message):
    path = tmp_path / "options"
    path.write_text(text)
    with pytest.raises(SystemExit):
        parse_options([*NEEDED, f"@{path}"])
    assert message in capsys.readouterr().err


def test_a_resnet_takes_crops_of_any_size():
    options = parse_options([*NEEDED, "--arch", "resnet50", "--global_crops_size", "225"])
    assert options.global_crops_size == 225


def test_the_documentation_has_every_option_with_its_default():
    document = DOCUMENT.read_text(encoding="utf-8")
    assert with_table(document) == document, "PYTHONPATH=scripts python -m dino_train.options_table"
    assert set(AUTHORS_DEFAULTS) == AUTHORS_SAME
    assert not AUTHORS_SAME & AUTHORS_OTHERS.keys()
