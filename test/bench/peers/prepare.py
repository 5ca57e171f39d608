"""Writes the same weights for everybody: a folder in the layout of transformers, and its ONNX file.

python prepare.py --scripts scripts --out OUT [--model DIR]

OUT/weights has config.json and model.safetensors, which PyTorch and the service import; OUT/onnx is
what transformers.js reads. The weights are those of a model folder of the service, or random ones of
a ViT-S/16.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from safetensors.torch import save_file
from transformers import ViTModel


def read_service_model(folder: Path):
    """The network of a model folder; its file keeps the checkpoint's names, matrices transposed."""
    from dino_train.vit import VisionTransformer

    manifest = json.loads((folder / "manifest.json").read_text())
    known = manifest["architecture"]
    if known["family"] != "vit" or manifest["file"]["precision"] != "fp32":
        raise SystemExit(f"{folder}: only a ViT of DINO in fp32 can be given to the others")
    graph = onnx.load(folder / manifest["file"]["path"]).graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    found = {name: torch.from_numpy(numpy_helper.to_array(stored[name]).copy()) for name in stored}
    side, dim = found["pos_embed.patches"].shape[-1], known["embedDim"]
    patches = found["pos_embed.patches"].reshape(1, dim, side * side).transpose(1, 2)
    found["pos_embed"] = torch.cat([found["pos_embed.cls"], patches], dim=1)
    patch = known["patchSize"]
    vit = VisionTransformer(
        img_size=side * patch,
        patch_size=patch,
        embed_dim=dim,
        depth=known["depth"],
        num_heads=known["heads"],
    )
    state = {}
    for name, value in vit.state_dict().items():
        tensor = found[name]
        if name == "patch_embed.proj.weight":
            tensor = tensor.reshape(patch, patch, 3, dim).permute(3, 2, 0, 1)
        elif value.ndim == 2:
            tensor = tensor.T
        state[name] = tensor.contiguous()
    vit.load_state_dict(state)
    return vit, manifest["preprocessing"]


def random_model():
    """A ViT-S/16: how fast it is does not depend on what its weights are."""
    from dino_train.random_checkpoints import random_network

    return random_network("vit_small", 16, 0, False), {"resize": 256, "crop": 224}


def write_weights(vit, out: Path) -> None:
    from dino_train.hugging_face_names import vit_to_hugging_face

    config, tensors = vit_to_hugging_face(vit)
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(config, indent=2))
    save_file({name: value.contiguous() for name, value in tensors.items()}, out / "model.safetensors")


def write_preprocessing(out: Path, preprocessing: dict) -> None:
    crop = preprocessing["crop"]
    recipe = {
        "image_processor_type": "BitImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": preprocessing["resize"]},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": crop, "width": crop},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
        "do_convert_rgb": True,
    }
    (out / "preprocessor_config.json").write_text(json.dumps(recipe, indent=2))


class LastHiddenState(torch.nn.Module):
    """What transformers.js asks a ViT for."""

    def __init__(self, model: ViTModel, interpolate: bool) -> None:
        super().__init__()
        self.model = model
        self.interpolate = interpolate

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.model(pixel_values, interpolate_pos_encoding=self.interpolate).last_hidden_state


def write_onnx(weights: Path, out: Path, crop: int) -> None:
    model = ViTModel.from_pretrained(weights, add_pooling_layer=False, attn_implementation="eager")
    model.eval()
    (out / "onnx").mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text((weights / "config.json").read_text())
    torch.onnx.export(
        LastHiddenState(model, crop != model.config.image_size),
        (torch.zeros(2, 3, crop, crop),),
        str(out / "onnx/model.onnx"),
        input_names=["pixel_values"],
        output_names=["last_hidden_state"],
        dynamic_axes={"pixel_values": {0: "batch"}, "last_hidden_state": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scripts", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--weights_only", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    sys.path.insert(0, str(args.scripts))
    vit, preprocessing = read_service_model(args.model) if args.model else random_model()
    weights = args.out / "weights"
    write_weights(vit.eval(), weights)
    write_preprocessing(weights, preprocessing)
    if not args.weights_only:
        write_onnx(weights, args.out / "onnx", preprocessing["crop"])
        write_preprocessing(args.out / "onnx", preprocessing)
    print(json.dumps({"resize": preprocessing["resize"], "crop": preprocessing["crop"]}))


if __name__ == "__main__":
    main()
