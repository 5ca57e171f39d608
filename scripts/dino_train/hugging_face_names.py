"""Names and configurations under which the transformers library publishes the same networks.

Source: the safetensors files and config.json of facebook/dino-vits16 and its family.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .vit import VisionTransformer

_VIT_OUTER = {
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
    "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
    "norm.weight": "layernorm.weight",
    "norm.bias": "layernorm.bias",
}
_VIT_BLOCK = {
    "norm1": "layernorm_before",
    "attn.proj": "attention.output.dense",
    "norm2": "layernorm_after",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}


def vit_to_hugging_face(vit: VisionTransformer) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """config.json and tensors of a ViTModel: the joint qkv projection is stored in three parts."""
    state = vit.state_dict()
    tensors = {theirs: state[ours] for ours, theirs in _VIT_OUTER.items()}
    for index in range(len(vit.blocks)):
        ours, theirs = f"blocks.{index}", f"encoder.layer.{index}"
        for leaf in ("weight", "bias"):
            for inner, outer in _VIT_BLOCK.items():
                tensors[f"{theirs}.{outer}.{leaf}"] = state[f"{ours}.{inner}.{leaf}"]
            parts = state[f"{ours}.attn.qkv.{leaf}"].chunk(3)
            for part, value in zip(("query", "key", "value"), parts, strict=True):
                tensors[f"{theirs}.attention.attention.{part}.{leaf}"] = value
    config = {
        "architectures": ["ViTModel"],
        "model_type": "vit",
        "hidden_size": vit.embed_dim,
        "num_hidden_layers": len(vit.blocks),
        "num_attention_heads": vit.num_heads,
        "intermediate_size": vit.embed_dim * 4,
        "hidden_act": "gelu",
        "image_size": vit.grid_size * vit.patch_size,
        "patch_size": vit.patch_size,
        "num_channels": 3,
        "qkv_bias": True,
        # Theirs; the official code has 1e-6. The difference is far below float32 noise.
        "layer_norm_eps": 1e-12,
    }
    return config, tensors
