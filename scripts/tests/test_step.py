"""One step: accumulation, precisions, and every kind of backbone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from conftest import OUT_DIM, run_options, write_scenes

from dino_train.backbones.resnet import VARIANTS as RESNET_VARIANTS
from dino_train.backbones.xcit import VARIANTS as XCIT_VARIANTS
from dino_train.checkpoint import load_teacher, read_checkpoint
from dino_train.distributed import Group
from dino_train.head import DINOHead, DINONetwork
from dino_train.loss import DINOLoss
from dino_train.optim import build_optimizer
from dino_train.options import parse_options
from dino_train.step import NotFiniteError, Precision, StepSettings, TrainStep, choose_precision
from dino_train.train_command import main
from dino_train.vit import VisionTransformer

pytestmark = pytest.mark.usefixtures("micro", "one_thread")
CPU = torch.device("cpu")
SETTINGS = StepSettings(
    lr=0.01, weight_decay=0.1, momentum=0.9, teacher_temp=0.05, freeze_last_layer=False
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("pictures") / "train", 4, seed=1, scenes=2)


def build_step(
    optimizer: str = "sgd", dtype: torch.dtype | None = None, clip_grad: float = 0.0
) -> TrainStep:
    torch.manual_seed(2)
    student, teacher = (
        DINONetwork(VisionTransformer(8, 32, 2, 2, img_size=16), DINOHead(32, 24, hidden_dim=48))
        for _ in range(2)
    )
    teacher.load_state_dict(student.state_dict())
    return TrainStep(
        student, student, teacher, DINOLoss(24), build_optimizer(optimizer, student),
        group=Group(0, 1, CPU), precision=Precision(dtype), clip_grad=clip_grad,
    )  # fmt: skip


def views_of(images: int, seed: int = 3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(2 * images, 3, 16, 16, generator=generator),
        torch.randn(3 * images, 3, 8, 8, generator=generator),
    ]


def part_of(views: list[torch.Tensor], images: int, chosen: slice) -> list[torch.Tensor]:
    return [group.unflatten(0, (-1, images))[:, chosen].flatten(0, 1) for group in views]


@pytest.mark.parametrize("passes", [2, 3])
def test_accumulated_passes_equal_one_large_batch(passes):
    whole, parts = build_step(clip_grad=0.5), build_step(clip_grad=0.5)
    images = 6
    for seed in range(3):
        views = views_of(images, seed)
        size = images // passes
        batches = [part_of(views, images, slice(i * size, (i + 1) * size)) for i in range(passes)]
        one, _ = whole(SETTINGS, [views])
        other, _ = parts(SETTINGS, batches)
        for name in ("loss", "teacher_entropy", "kl", "student_entropy"):
            assert other[name] == pytest.approx(one[name], rel=1e-4), name
    for a, b in zip(whole.student.parameters(), parts.student.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-6)
    for a, b in zip(whole.teacher.parameters(), parts.teacher.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-6)
    torch.testing.assert_close(whole.criterion.center, parts.criterion.center)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_half_precision_moves_the_weights_as_single_precision_does(dtype, optimizer):
    full, half = build_step(optimizer, None), build_step(optimizer, dtype)
    scaled = dtype == torch.float16
    assert half.scaler.is_enabled() == scaled
    # The first scales overflow, which leaves out steps.
    half.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, enabled=scaled)
    start = [p.detach().clone() for p in full.student.parameters()]
    a, _ = full(SETTINGS, [views_of(8)])
    b, _ = half(SETTINGS, [views_of(8)])
    assert b["loss"] == pytest.approx(a["loss"], rel=0.02)
    moved = []
    for step in (full, half):
        ends = zip(step.student.parameters(), start, strict=True)
        moved.append(torch.cat([(end - begin).detach().flatten() for end, begin in ends]))
    assert torch.nn.functional.cosine_similarity(*moved, dim=0) > 0.9
    assert all(p.dtype == torch.float32 for p in half.student.parameters())


def test_an_overflow_of_scaled_gradients_leaves_out_the_step_and_scales_less():
    step = build_step("sgd", torch.float16)
    step.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    before = [p.detach().clone() for p in step.student.parameters()]
    step(SETTINGS, [views_of(4)])
    assert all(torch.equal(p, b) for p, b in zip(step.student.parameters(), before, strict=True))
    assert step.scaler.get_scale() == 2.0**39


def test_a_gradient_that_is_not_finite_stops_before_anything_moves():
    step = build_step()
    before = {k: v.clone() for k, v in step.teacher.state_dict().items()}
    step.student.head.mlp[0].weight.register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(NotFiniteError, match="gradient's norm"):
        step(SETTINGS, [views_of(4)])
    assert all(torch.equal(v, before[k]) for k, v in step.teacher.state_dict().items())


def test_precision_follows_the_device_unless_it_is_said():
    needed = ["--data_path", "a", "--output_dir", "b"]
    cases = [
        ([], "cpu", "fp32"), ([], "cuda", "fp16"),
        (["--use_fp16", "false"], "cuda", "fp32"), (["--use_fp16", "true"], "cpu", "fp16"),
        (["--bf16", "true"], "cuda", "bf16"),
    ]  # fmt: skip
    for extra, device, name in cases:
        options = parse_options([*needed, *extra])
        assert choose_precision(options, torch.device(device)).name == name


@pytest.mark.parametrize(
    ("arch", "extra"),
    [
        ("resnet_nano", ["--optimizer", "lars", "--use_bn_in_head", "true"]),
        ("xcit_nano_p8", ["--optimizer", "adamw", "--drop_path_rate", "0.1"]),
        ("vit_nano", ["--optimizer", "sgd", "--use_fp16", "true"]),
    ],
)
def test_every_kind_of_backbone_trains_saves_and_goes_on(
    pictures, tmp_path, monkeypatch, arch, extra
):
    monkeypatch.setitem(RESNET_VARIANTS, "resnet_nano", {"layers": (1, 1, 1, 1), "width": 4})
    nano = {"embed_dim": 32, "depth": 2, "num_heads": 2, "eta": 1.0}
    monkeypatch.setitem(XCIT_VARIANTS, "xcit_nano", nano)
    arguments = run_options(
        pictures, tmp_path, "--arch", arch, "--batch_size_per_gpu", "8", "--epochs", "2",
        "--freeze_last_layer", "0", "--knn", "p", str(pictures), str(pictures), "--knn_every", "1",
        *extra,
    )  # fmt: skip
    assert main([*arguments, "--stop_after", "1"]) == 0
    first = read_checkpoint(tmp_path / "checkpoint.pth")["teacher"]
    assert main([*arguments, "--resume"]) == 0
    second = read_checkpoint(tmp_path / "checkpoint.pth")["teacher"]
    moving = [
        k for k, v in second.items() if v.is_floating_point() and not torch.equal(v, first[k])
    ]
    kinds = ("weight_g", "num_batches_tracked")
    assert len(moving) > 0.5 * sum(not k.endswith(kinds) for k in second)
    if arch == "resnet_nano":
        # Batch statistics of the teacher follow training, and k-NN leaves them alone.
        assert int(second["backbone.bn1.num_batches_tracked"]) == 2
    loaded = load_teacher(tmp_path / "checkpoint.pth")
    assert loaded.arch == arch
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert all(0 < line["loss"] < 10 and OUT_DIM == 64 for line in lines)
    assert list(lines[1]["knn_by_k"]["p"]) == ["10", "20", "100", "200"]
    assert lines[1]["knn"]["p"] == lines[1]["knn_by_k"]["p"]["20"]
