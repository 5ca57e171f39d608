"""The exported graph against PyTorch, and the manifest that describes it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from conftest import NANO

from dino_train.checkpoint import CheckpointError, load_teacher, save_checkpoint
from dino_train.export import (
    ExportError,
    ExportOptions,
    export_model,
    measure_parity,
    normalise,
    open_session,
)
from dino_train.import_onnx import ModelError, load_backbone, open_model_folder
from dino_train.manifest import DataCredit, credit_data, resize_for_crop, sha256_of
from dino_train.onnx_graph import OPSET, OUTPUTS, build_graph
from dino_train.vit import VisionTransformer, build_vit

TRAINING = {
    "method": "DINO (arXiv:2104.14294)",
    "command": "python scripts/train.py --data_path photos",
    "data": [
        {"name": "photos-0.tar", "images": 3},
        {"name": "photos-1.tar", "images": 4},
        {"name": "drawings", "images": 5},
    ],
    "epochs": 1,
    "seconds": 2,
    "hardware": "2 x86-64 CPU cores",
    "date": "2021-04-29",
    "seed": 0,
}


def save_backbone(path: Path, vit: VisionTransformer, arch: str) -> Path:
    teacher = {f"backbone.{name}": value for name, value in vit.state_dict().items()}
    options = {"arch": arch, "patch_size": vit.patch_size}
    save_checkpoint(path, {"options": options, "teacher": teacher, "training": TRAINING})
    return path


@pytest.fixture
def checkpoint(tmp_path: Path, micro: str) -> Path:
    torch.manual_seed(2)
    vit = build_vit(micro, 16, 96)
    torch.nn.init.normal_(vit.pos_embed)
    return save_backbone(tmp_path / "checkpoint.pth", vit, micro)


@pytest.mark.parametrize("patch_size", [8, 16])
@pytest.mark.parametrize(
    ("batch", "rows", "columns"),
    [(1, 6, 6), (3, 6, 6), (1, 3, 3), (3, 14, 14), (1, 30, 30), (3, 6, 7), (1, 7, 6), (2, 4, 9),
     (1, 9, 4), (1, 1, 1)],
)  # fmt: skip
@torch.inference_mode()
def test_onnx_equals_pytorch_at_every_size(patch_size, batch, rows, columns):
    torch.manual_seed(5)
    vit = VisionTransformer(patch_size, 48, 3, 3, img_size=6 * patch_size).eval()
    torch.nn.init.normal_(vit.pos_embed)
    session = open_session(build_graph(vit, "small").SerializeToString())
    size = (batch, rows * patch_size, columns * patch_size, 3)
    pixels = torch.randint(0, 256, size, dtype=torch.uint8)
    expected = vit.features(normalise(pixels))
    actual = dict(zip(OUTPUTS, session.run(OUTPUTS, {"pixels": pixels.numpy()}), strict=True))
    for output in OUTPUTS:
        reference = getattr(expected, output).numpy()
        assert actual[output].shape == reference.shape, output
        np.testing.assert_allclose(actual[output], reference, atol=2e-5, err_msg=output)


def test_a_batch_equals_its_images_one_by_one(vit):
    session = open_session(build_graph(vit, "small").SerializeToString())
    pixels = np.random.default_rng(0).integers(0, 256, (3, 112, 96, 3), np.uint8)
    together = session.run(["embedding"], {"pixels": pixels})[0]
    for index in range(3):
        alone = session.run(["embedding"], {"pixels": pixels[index : index + 1]})[0]
        np.testing.assert_allclose(together[index], alone[0], atol=1e-5)


def test_positions_at_the_native_grid_are_the_stored_ones_exactly(vit):
    model = build_graph(vit, "small")
    model.graph.output.append(
        onnx.helper.make_tensor_value_info("positions", onnx.TensorProto.FLOAT, None)
    )
    session = open_session(model.SerializeToString())
    pixels = np.zeros((1, 96, 96, 3), np.uint8)
    positions = session.run(["positions"], {"pixels": pixels})[0]
    assert np.array_equal(positions, vit.pos_embed.detach().numpy())


def test_graph_declares_the_interface_the_service_relies_on(vit):
    model = build_graph(vit, "small")
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
    (pixels,) = model.graph.input
    assert pixels.name == "pixels"
    assert pixels.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    dims = [d.dim_param or d.dim_value for d in pixels.type.tensor_type.shape.dim]
    assert dims == ["batch", "height", "width", 3]
    assert [o.name for o in model.graph.output] == list(OUTPUTS)


def test_export_writes_a_manifest_that_matches_its_file(checkpoint, tmp_path):
    out = tmp_path / "model"
    credit = DataCredit("photos", "Photos", "CC BY 4.0", "https://example.org/photos")
    export_model(
        checkpoint, out, ExportOptions(name="mine", description="Test.", crop=112, credits=[credit])
    )
    assert sorted(p.name for p in out.iterdir()) == ["manifest.json", "model.onnx"]
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["schemaVersion"] == 1
    assert manifest["name"] == "mine"
    assert manifest["architecture"] == {
        "family": "vit",
        "variant": "vit_nano",
        "patchSize": 16,
        "embedDim": NANO["embed_dim"],
        "depth": NANO["depth"],
        "heads": NANO["num_heads"],
    }
    assert manifest["file"] == {
        "path": "model.onnx",
        "sha256": sha256_of(out / "model.onnx"),
        "bytes": (out / "model.onnx").stat().st_size,
        "opset": OPSET,
        "precision": "fp32",
    }
    assert manifest["input"] == {
        "name": "pixels", "layout": "NHWC", "type": "uint8", "colour": "RGB", "multipleOf": 16,
    }  # fmt: skip
    assert manifest["preprocessing"] == {
        "resize": 128, "crop": 112, "kernel": "cubic", "attentionSize": 480,
        "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "normalisation": "in-graph",
    }  # fmt: skip
    assert set(manifest["outputs"]) == set(OUTPUTS) == set(manifest["parity"]["maxAbsDiff"])
    assert all(0 <= d < 1e-3 for d in manifest["parity"]["maxAbsDiff"].values())
    assert [96, 96] in manifest["parity"]["sizes"]
    assert any(h != w for h, w in manifest["parity"]["sizes"])
    assert manifest["evaluation"] == {"knn": []}
    assert manifest["training"]["data"] == [
        {"name": "Photos", "images": 7, "licence": "CC BY 4.0",
         "source": "https://example.org/photos"},
        {"name": "drawings", "images": 5},
    ]  # fmt: skip
    assert manifest["training"]["command"] == TRAINING["command"]
    assert manifest["licence"] == "Apache-2.0"


def test_weights_read_back_from_the_file_are_the_exported_ones(checkpoint, tmp_path):
    export_model(
        checkpoint, tmp_path / "model", ExportOptions(name="mine", description="", crop=112)
    )
    restored = load_backbone(open_model_folder(tmp_path / "model")).state_dict()
    for name, value in load_teacher(checkpoint).backbone.state_dict().items():
        assert torch.equal(restored[name], value), name


def test_a_graph_that_differs_from_pytorch_is_not_written(checkpoint, tmp_path):
    with pytest.raises(ExportError, match="differs from PyTorch"):
        export_model(
            checkpoint,
            tmp_path / "model",
            ExportOptions(name="x", description="", crop=112, tolerance=0.0),
        )
    assert not (tmp_path / "model").exists()


def test_parity_notices_changed_weights(vit):
    serialised = build_graph(vit, "small").SerializeToString()
    assert max(measure_parity(vit, serialised)["maxAbsDiff"].values()) < 1e-4
    with torch.no_grad():
        vit.pos_embed[0, 1, 0] += 5.0
    assert max(measure_parity(vit, serialised)["maxAbsDiff"].values()) > 1e-2


def test_parity_reports_nan_instead_of_hiding_it(vit):
    serialised = build_graph(vit, "small").SerializeToString()
    with torch.no_grad():
        vit.norm.bias.fill_(torch.nan)
    assert np.isnan(measure_parity(vit, serialised)["maxAbsDiff"]["embedding"])


def test_a_crop_that_is_no_multiple_of_the_patch_is_refused(checkpoint, tmp_path):
    with pytest.raises(ValueError, match="crop 100"):
        export_model(
            checkpoint, tmp_path / "model", ExportOptions(name="x", description="", crop=100)
        )
    assert not (tmp_path / "model").exists()


def test_a_credit_without_data_is_refused():
    with pytest.raises(ValueError, match="flowers"):
        credit_data(TRAINING["data"], [DataCredit("flowers", "F", "CC BY", "x")])


def test_evaluation_resize_keeps_the_papers_ratio():
    assert resize_for_crop(224) == 256
    assert resize_for_crop(112) == 128


def test_damaged_and_foreign_checkpoints_are_named(tmp_path, checkpoint):
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        load_teacher(tmp_path / "missing.pth")
    damaged = tmp_path / "damaged.pth"
    damaged.write_bytes(checkpoint.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match=r"cannot read .*damaged\.pth"):
        load_teacher(damaged)
    torch.save({"state_dict": {}}, tmp_path / "foreign.pth")
    with pytest.raises(CheckpointError, match=r"not a checkpoint of train\.py"):
        load_teacher(tmp_path / "foreign.pth")


def test_a_model_folder_with_a_wrong_checksum_is_refused(checkpoint, tmp_path):
    out = tmp_path / "model"
    export_model(checkpoint, out, ExportOptions(name="mine", description="", crop=112))
    with (out / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ModelError, match="SHA-256"):
        open_model_folder(out)
