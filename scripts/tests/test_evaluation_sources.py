"""What evaluations take: checkpoints of every kind, and exported models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from evaluation_fixtures import WIDTH, cpu_source, noise, save_vit

from dino_train.checkpoint import CheckpointError
from dino_train.evaluation.error import EvaluationError
from dino_train.evaluation.networks import load_network
from dino_train.evaluation.source import onnx_source
from dino_train.import_onnx import ModelError
from dino_train.onnx_graph import OUTPUTS, build_graph
from dino_train.random_checkpoints import random_network, write_checkpoint
from dino_train.vit import VisionTransformer

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("kind", ["pytorch", "pytorch-legacy", "training"])
def test_published_checkpoints_are_recognised_and_give_their_networks_features(tmp_path, kind):
    network = random_network("vit_small", 16, depth=2, embed_dim=128, num_heads=2)
    path = tmp_path / "published.pth"
    write_checkpoint(network, path, kind, "vit_small", 16)
    found = load_network(path)
    assert (found.arch, found.patch_size, found.training) == ("vit_d128_l2_h2", 16, None)
    image = torch.rand(1, 3, 64, 48)
    with torch.inference_mode():
        assert torch.equal(found.backbone(image), network(image))


@pytest.mark.parametrize(("arch", "patch_size"), [("xcit_small_12", 8), ("resnet50", 32)])
def test_other_backbones_are_recognised_by_their_tensors(tmp_path, arch, patch_size):
    path = tmp_path / "published.pth"
    network = random_network(arch, patch_size)
    write_checkpoint(network, path, "pytorch", arch, patch_size)
    found = load_network(path)
    assert (found.arch, found.patch_size) == (arch, patch_size)
    source = cpu_source(path)
    with pytest.raises(EvaluationError, match="not a multiple of"):
        source.require_multiple(patch_size + 1, "--crop")
    if arch == "resnet50":
        with pytest.raises(EvaluationError, match="has no attention"):
            source.require("attention")


def test_what_is_no_known_backbone_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        load_network(tmp_path / "missing.pth")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="holds no ViT"):
        load_network(tmp_path / "other.pth")
    (tmp_path / "damaged.pth").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(CheckpointError, match="cannot read checkpoint"):
        load_network(tmp_path / "damaged.pth")


def test_an_onnx_file_gives_the_features_of_its_network(tmp_path):
    vit = VisionTransformer(16, WIDTH, 2, 2, img_size=64)
    vit.load_state_dict(torch.load(save_vit(tmp_path / "vit.pth"), weights_only=True))
    model = build_graph(vit, "evaluated")
    told = {"patchSize": 16, "multipleOf": 16}
    onnx.helper.set_model_props(model, {"dino_architecture": json.dumps(told)})
    onnx.save(model, tmp_path / "vit.onnx")
    of_file, of_checkpoint = onnx_source(tmp_path / "vit.onnx"), cpu_source(tmp_path / "vit.pth")
    images = np.array(noise(48, 80, 1))[None]
    expected = of_checkpoint.run(images, OUTPUTS)
    for name, value in of_file.run(images, OUTPUTS).items():
        np.testing.assert_allclose(value, expected[name], atol=1e-3)
    np.testing.assert_allclose(
        of_checkpoint.run(images, ["embedding"])["embedding"], expected["embedding"], atol=1e-5
    )
    assert of_file.outputs == of_checkpoint.outputs == frozenset(OUTPUTS)
    assert of_file.cut(noise(50, 95, 1)).shape == (48, 80, 3)


def test_a_file_that_is_no_model_is_named(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    for path in (Path("none.onnx"), tmp_path / "x.onnx"):
        with pytest.raises(ModelError, match=r"cannot read .*\.onnx|does not say"):
            onnx_source(path)
