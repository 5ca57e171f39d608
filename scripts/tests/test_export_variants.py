"""Other precisions and networks, written by the service's converter and held against PyTorch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from evaluation_fixtures import noise
from onnx import numpy_helper
from test_export import TRAINING

from dino_train import converter
from dino_train import export as export_module
from dino_train.checkpoint import save_checkpoint
from dino_train.export import ExportError, ExportOptions, check_parity, export_model
from dino_train.export_command import main as export
from dino_train.import_onnx import native_size, open_model_folder
from dino_train.networks import build_backbone
from dino_train.random_checkpoints import random_network, randomise
from dino_train.static_int8 import QuantisationError
from dino_train.vit import build_vit

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(not converter.PROGRAM.is_file(), reason="the service is not built"),
]


def save_run(path: Path, network: torch.nn.Module, arch: str) -> Path:
    teacher = {f"backbone.{name}": value for name, value in network.state_dict().items()}
    options = {"arch": arch, "patch_size": 16, "global_crops_size": 96}
    save_checkpoint(path, {"options": options, "teacher": teacher, "training": TRAINING})
    return path


def test_every_precision_is_a_model_of_its_own_with_a_record_of_its_parity(tmp_path, capsys):
    vit = randomise(build_vit("vit_micro", 16, 96), 0)
    checkpoint = save_run(tmp_path / "checkpoint.pth", vit, "vit_micro")
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        noise(90, 120, number).save(photos / f"{number}.png")
    out = tmp_path / "mine"
    arguments = ["--checkpoint", str(checkpoint), "--name", "mine", "--out", str(out)]
    arguments += ["--variants", "fp16", "int8", "--parity_photos", str(photos)]
    assert export(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    manifests = [open_model_folder(tmp_path / name).manifest
                 for name in ("mine", "mine-fp16", "mine-int8")]  # fmt: skip
    assert [m["name"] for m in manifests] == [m["name"] for m in told]
    assert [m["file"]["precision"] for m in manifests] == ["fp32", "fp16", "int8"]
    assert len({m["file"]["sha256"] for m in manifests}) == 3
    sizes = [m["file"]["bytes"] for m in manifests]
    assert sizes[1] < 0.6 * sizes[0] and sizes[2] < 0.45 * sizes[0]
    first = manifests[0]
    for manifest in manifests:
        # Trained at 96 px, so embeddings are made at 96 px.
        assert manifest["preprocessing"]["crop"] == 96
        for part in ("architecture", "input", "preprocessing", "outputs", "training", "licence"):
            assert manifest[part] == first[part], part
        parity = manifest["parity"]
        assert parity["photos"] == 3
        assert len(parity["sizes"]) >= 4
        assert set(parity["minCosine"]) == set(parity["maxAbsDiff"]) == set(first["outputs"])
    # Less precise weights differ more.
    cosines = [m["parity"]["minCosine"]["embedding"] for m in manifests]
    assert 1 >= cosines[0] >= cosines[1] > cosines[2] > 0.98
    assert cosines[1] > 0.9999


def test_static_int8_is_calibrated_on_photos_and_close_to_pytorch(tmp_path, capsys):
    vit = randomise(build_vit("vit_micro", 16, 96), 0)
    checkpoint = save_run(tmp_path / "checkpoint.pth", vit, "vit_micro")
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(4):
        noise(90, 120, number).save(photos / f"{number}.png")
    arguments = ["--checkpoint", str(checkpoint), "--name", "mine", "--out", str(tmp_path / "mine")]
    arguments += ["--variants", "int8-static", "--parity_photos", str(photos)]
    assert export(arguments) == 1
    assert "is calibrated on photos: give --calibration_photos" in capsys.readouterr().err
    assert not (tmp_path / "mine-int8-static").exists()

    assert export([*arguments, "--calibration_photos", str(photos)]) == 0
    model = open_model_folder(tmp_path / "mine-int8-static")
    manifest = model.manifest
    assert manifest["name"] == "mine-int8-static"
    assert manifest["file"]["precision"] == "int8"
    # What the evaluations compare it with has positions for the same images.
    assert native_size(model) == 96
    assert manifest["parity"]["calibrationPhotos"] == 4
    assert 0.99 < manifest["parity"]["minCosine"]["embedding"] < 1
    assert manifest["file"]["bytes"] < 0.45 * (tmp_path / "mine/model.onnx").stat().st_size
    graph = onnx.load(tmp_path / "mine-int8-static/model.onnx").graph
    weights = [numpy_helper.to_array(t) for t in graph.initializer if t.name.endswith("quantized")]
    matrices = [w for w in weights if w.ndim == 2]
    # Four products in each of six blocks, within 7 bits.
    assert len(matrices) == 24
    assert max(np.abs(w.astype(int)).max() for w in matrices) <= 64


@pytest.mark.parametrize("arch", ["resnet50", "xcit_small_12_p16"])
def test_other_networks_are_exported_too(tmp_path, monkeypatch, arch):
    monkeypatch.setattr(export_module, "NATIVE_SIZE", 64)
    torch.manual_seed(0)
    name = arch.removesuffix("_p16")
    network = random_network(name, 32 if arch == "resnet50" else 16)
    assert network.state_dict().keys() == build_backbone(arch, 16).state_dict().keys()
    checkpoint = save_run(tmp_path / "checkpoint.pth", network, arch)
    manifest = export_model(checkpoint, tmp_path / "mine", ExportOptions("mine"))
    assert manifest["file"]["precision"] == "fp32"
    assert manifest["architecture"]["variant"] == arch
    assert max(manifest["parity"]["maxAbsDiff"].values()) < 1e-3
    assert open_model_folder(tmp_path / "mine").manifest == manifest


def test_a_network_without_products_is_not_quantised_statically(tmp_path):
    network = random_network("resnet50", 32)
    checkpoint = save_run(tmp_path / "checkpoint.pth", network, "resnet50")
    options = ExportOptions("mine", calibration=[noise(64, 64, 0)])
    with pytest.raises(QuantisationError, match="this network has none"):
        export_model(checkpoint, tmp_path / "mine", options, "int8-static")
    assert not (tmp_path / "mine").exists()


def test_a_variant_that_strays_is_refused():
    parity = {"maxAbsDiff": {"embedding": 0.5}, "minCosine": {"embedding": 0.97}}
    with pytest.raises(ExportError, match=r"in int8, to a cosine below 0\.98"):
        check_parity(parity, "int8", 1e-3)
    parity["minCosine"]["embedding"] = float("nan")
    with pytest.raises(ExportError, match="nothing written"):
        check_parity(parity, "fp16", 1e-3)


def test_without_the_built_service_the_message_says_what_is_missing(tmp_path, monkeypatch, capsys):
    vit = build_vit("vit_micro", 16, 96)
    checkpoint = save_run(tmp_path / "checkpoint.pth", vit, "vit_micro")
    monkeypatch.setattr(converter, "PROGRAM", tmp_path / "dino.js")
    arguments = ["--checkpoint", str(checkpoint), "--name", "mine", "--out", str(tmp_path / "mine")]
    assert export([*arguments, "--variants", "int8"]) == 1
    assert "the service's converter: it needs Node" in capsys.readouterr().err
    # What needs no converter was written.
    assert (tmp_path / "mine/model.onnx").exists()
    assert not (tmp_path / "mine-int8").exists()
