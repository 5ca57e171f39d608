"""Names and configurations under which the transformers library publishes DINOv2 and DINOv3.

Sources: config.json and tensor names of facebook/dinov2-small,
facebook/dinov2-with-registers-small, facebook/dinov3-vits16-pretrain-lvd1689m and their families.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .backbones.dinov2 import DinoV2
from .backbones.dinov3 import LAYER_NORM_EPS, ROPE_BASE, DinoV3, SwiGlu
from .vit import LAYER_NORM_EPS as V2_LAYER_NORM_EPS

_V2_OUTER = {
    "cls_token": "embeddings.cls_token",
    "mask_token": "embeddings.mask_token",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
    "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
    "norm.weight": "layernorm.weight",
    "norm.bias": "layernorm.bias",
}
_V2_BLOCK = {
    "norm1": "norm1",
    "attn.proj": "attention.output.dense",
    "norm2": "norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "mlp.w12": "mlp.weights_in",
    "mlp.w3": "mlp.weights_out",
}
_V2_QKV = tuple(f"attention.attention.{part}" for part in ("query", "key", "value"))
_V3_OUTER = {
    "cls_token": "embeddings.cls_token",
    "patch_embed.proj.weight": "embeddings.patch_embeddings.weight",
    "patch_embed.proj.bias": "embeddings.patch_embeddings.bias",
    "norm.weight": "norm.weight",
    "norm.bias": "norm.bias",
}
_V3_BLOCK = {
    "norm1": "norm1",
    "attn.proj": "attention.o_proj",
    "norm2": "norm2",
    "mlp.fc1": "mlp.up_proj",
    "mlp.fc2": "mlp.down_proj",
    "mlp.w1": "mlp.gate_proj",
    "mlp.w2": "mlp.up_proj",
    "mlp.w3": "mlp.down_proj",
}
_V3_QKV = tuple(f"attention.{part}_proj" for part in "qkv")


def _blocks(
    state: dict[str, Tensor],
    depth: int,
    folder: str,
    names: dict[str, str],
    qkv: tuple[str, ...],
) -> dict[str, Tensor]:
    """Renames the tensors of all blocks; the joint qkv projection is stored in three parts."""
    tensors = {}
    for index in range(depth):
        ours, theirs = f"blocks.{index}", f"{folder}.{index}"
        for inner, outer in names.items():
            for leaf in ("weight", "bias"):
                if f"{ours}.{inner}.{leaf}" in state:
                    tensors[f"{theirs}.{outer}.{leaf}"] = state[f"{ours}.{inner}.{leaf}"]
        for leaf in ("weight", "bias"):
            if f"{ours}.attn.qkv.{leaf}" in state:
                parts = state[f"{ours}.attn.qkv.{leaf}"].chunk(3)
                tensors |= {f"{theirs}.{n}.{leaf}": p for n, p in zip(qkv, parts, strict=True)}
        for number in (1, 2):
            tensors[f"{theirs}.layer_scale{number}.lambda1"] = state[f"{ours}.ls{number}.gamma"]
    return tensors


def _config(network: DinoV2 | DinoV3) -> dict[str, Any]:
    return {
        "hidden_size": network.embed_dim,
        "num_hidden_layers": len(network.blocks),
        "num_attention_heads": network.num_heads,
        "hidden_act": "gelu",
        "patch_size": network.patch_size,
        "num_channels": 3,
        "layerscale_value": 1.0,
    }


def dinov2_to_hugging_face(network: DinoV2) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """config.json and tensors of a Dinov2Model or, with registers, Dinov2WithRegistersModel."""
    state = network.state_dict()
    tensors = {theirs: state[ours] for ours, theirs in _V2_OUTER.items()}
    tensors |= _blocks(state, len(network.blocks), "encoder.layer", _V2_BLOCK, _V2_QKV)
    config = _config(network) | {
        "architectures": ["Dinov2Model"],
        "model_type": "dinov2",
        "image_size": network.native_grid * network.patch_size,
        "mlp_ratio": 4,
        "qkv_bias": True,
        "use_swiglu_ffn": network.swiglu,
        "layer_norm_eps": V2_LAYER_NORM_EPS,
    }
    if network.num_register_tokens:
        tensors["embeddings.register_tokens"] = state["register_tokens"]
        config |= {
            "architectures": ["Dinov2WithRegistersModel"],
            "model_type": "dinov2_with_registers",
            "num_register_tokens": network.num_register_tokens,
        }
    return config, tensors


def dinov3_to_hugging_face(network: DinoV3) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """config.json and tensors of a DINOv3ViTModel, which has neither key biases nor periods."""
    state = network.state_dict()
    tensors = {theirs: state[ours] for ours, theirs in _V3_OUTER.items()}
    tensors["embeddings.mask_token"] = state["mask_token"][None]
    tensors["embeddings.register_tokens"] = state["storage_tokens"]
    tensors |= _blocks(state, len(network.blocks), "layer", _V3_BLOCK, _V3_QKV)
    tensors = {name: value for name, value in tensors.items() if not name.endswith("k_proj.bias")}
    mlp = network.blocks[0].mlp
    gated = isinstance(mlp, SwiGlu)
    biased = "blocks.0.attn.qkv.bias" in state
    return _config(network) | {
        "architectures": ["DINOv3ViTModel"],
        "model_type": "dinov3_vit",
        "image_size": 224,
        "intermediate_size": (mlp.w1 if gated else mlp.fc1).out_features,
        "use_gated_mlp": gated,
        # Theirs: the gate's activation as well.
        "hidden_act": "silu" if gated else "gelu",
        "query_bias": biased,
        "key_bias": False,
        "value_bias": biased,
        "proj_bias": True,
        "mlp_bias": True,
        "num_register_tokens": network.num_storage_tokens,
        "rope_theta": ROPE_BASE,
        "layer_norm_eps": LAYER_NORM_EPS,
    }, tensors
