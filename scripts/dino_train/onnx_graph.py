"""Builds the inference graph of a DINO ViT node by node.

A tracing exporter bakes the positional grid of its example input into the graph; writing the nodes
keeps batch, height and width dynamic and the graph the same for every PyTorch version.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from .vit import LAYER_NORM_EPS, VisionTransformer

OPSET = 17
# IR version 8 came with opset 17; older runtimes refuse newer ones.
IR_VERSION = 8
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
OUTPUTS = ("embedding", "patch_tokens", "attention", "keys")


class GraphBuilder:
    """Collects nodes and initializers; every method returns the name of the value it makes."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}

    def weight(self, name: str, value: torch.Tensor | np.ndarray) -> str:
        """Adds an initializer; tensors keep their name from the checkpoint."""
        array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
        self.initializers[name] = numpy_helper.from_array(np.array(array, order="C"), name)
        return name

    def ints(self, *values: int) -> str:
        """A constant int64 vector, shared by all users."""
        return self.weight(
            "int64_" + "_".join(map(str, values)).replace("-", "m"), np.array(values, np.int64)
        )

    def floats(self, *values: float) -> str:
        """A constant float32 vector, shared by all users."""
        key = "_".join(f"{value:.9g}" for value in values)
        return self.weight(f"float_{key}", np.array(values, np.float32))

    def scalar(self, value: float) -> str:
        """A constant float32 scalar, shared by all users."""
        return self.weight(f"scalar_{value:.9g}", np.array(value, np.float32))

    def op(self, kind: str, *inputs: str, out: str, outputs: int = 1, **attributes) -> str:
        """Adds a node named after its output; with several outputs they are out_0, out_1, ..."""
        names = [out] if outputs == 1 else [f"{out}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=out, **attributes))
        return names[0]


def build_graph(vit: VisionTransformer, name: str) -> onnx.ModelProto:
    """Converts a backbone to ONNX.

    Input `pixels` [batch, height, width, 3] uint8 RGB, height and width multiples of the patch
    size; outputs as in vit.VitFeatures, float32.

    Args:
        vit: the backbone; its weights are copied.
        name: name of the graph.

    Returns:
        A model that passed onnx.checker, not yet written.
    """
    g = GraphBuilder()
    size, dim = vit.patch_size, vit.embed_dim
    # Sizes stay int64 vectors of one element, ready to be joined into shapes.
    shape = g.op("Shape", "pixels", out="pixels_shape")
    batch = g.op("Slice", shape, g.ints(0), g.ints(1), out="batch_size")
    image_size = g.op("Slice", shape, g.ints(1), g.ints(3), out="image_size")
    grid = g.op("Div", image_size, g.ints(size), out="grid")
    rows = g.op("Slice", grid, g.ints(0), g.ints(1), out="grid_rows")
    columns = g.op("Slice", grid, g.ints(1), g.ints(2), out="grid_columns")

    patches = _patches(g, vit, batch, rows, columns)
    cls_shape = g.op("Concat", batch, g.ints(1, dim), out="cls_shape", axis=0)
    cls_token = g.op("Expand", g.weight("cls_token", vit.cls_token), cls_shape, out="cls_tokens")
    tokens = g.op("Concat", cls_token, patches, out="tokens", axis=1)
    x = g.op("Add", tokens, _positions(g, vit, grid), out="tokens_with_positions")
    for index in range(len(vit.blocks)):
        x = _block(g, vit, index, x)
    x = _layer_norm(g, "norm", vit.norm, x)
    # Gather with a scalar index drops the token axis: [B, D].
    g.op("Gather", x, g.weight("cls_index", np.array(0, np.int64)), out="embedding", axis=1)
    _patches_only(g, x, axis=1, out="patch_tokens")

    heads = vit.num_heads
    outputs = {
        "embedding": ["batch", dim],
        "patch_tokens": ["batch", "patches", dim],
        "attention": ["batch", heads, "patches"],
        "keys": ["batch", "patches", dim],
    }
    graph = helper.make_graph(
        g.nodes,
        name,
        [
            helper.make_tensor_value_info(
                "pixels", TensorProto.UINT8, ["batch", "height", "width", 3]
            )
        ],
        [
            helper.make_tensor_value_info(output, TensorProto.FLOAT, outputs[output])
            for output in OUTPUTS
        ],
        initializer=list(g.initializers.values()),
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="dino-server",
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _patches(g: GraphBuilder, vit: VisionTransformer, batch: str, rows: str, columns: str) -> str:
    """uint8 pixels to projected patches [B, h*w, D].

    Patches do not overlap, so the convolution is a matrix product on NHWC data without transposing
    the whole image to NCHW.
    """
    size, dim = vit.patch_size, vit.embed_dim
    pixels = g.op("Cast", "pixels", out="pixels_float", to=TensorProto.FLOAT)
    unit = g.op("Div", pixels, g.scalar(255.0), out="pixels_unit")
    centred = g.op("Sub", unit, g.floats(*IMAGENET_MEAN), out="pixels_centred")
    normalised = g.op("Div", centred, g.floats(*IMAGENET_STD), out="pixels_normalised")
    tile_shape = g.op(
        "Concat", batch, rows, g.ints(size), columns, g.ints(size, 3), out="tile_shape", axis=0
    )
    tiles = g.op("Reshape", normalised, tile_shape, out="tiles")
    tiles = g.op("Transpose", tiles, out="tiles_by_patch", perm=[0, 1, 3, 2, 4, 5])
    # The grid is spelt out: batch 0 would leave two unknown dimensions to a single -1.
    patches = g.op("Mul", rows, columns, out="patch_count")
    flat_shape = g.op("Concat", batch, patches, g.ints(size * size * 3), out="flat_shape", axis=0)
    flat = g.op("Reshape", tiles, flat_shape, out="patch_pixels")
    kernel = vit.patch_embed.proj.weight.permute(2, 3, 1, 0).reshape(size * size * 3, dim)
    projected = g.op(
        "MatMul", flat, g.weight("patch_embed.proj.weight", kernel), out="patches_projected"
    )
    bias = g.weight("patch_embed.proj.bias", vit.patch_embed.proj.bias)
    return g.op("Add", projected, bias, out="patches")


def _positions(g: GraphBuilder, vit: VisionTransformer, grid: str) -> str:
    """VisionTransformer.interpolate_pos_encoding with the grid taken from the input."""
    native, dim = vit.grid_size, vit.embed_dim
    grid_float = g.op("Cast", grid, out="grid_float", to=TensorProto.FLOAT)
    shifted = g.op("Add", grid_float, g.scalar(0.1), out="grid_shifted")
    ratio = g.op("Div", shifted, g.scalar(float(native)), out="position_ratio")
    # Only a grid that is native in both directions skips the resampling, as in the official code;
    # a scale of exactly 1 makes Resize the identity.
    difference = g.op("Sub", grid, g.ints(native, native), out="grid_difference")
    distance = g.op(
        "ReduceMax",
        g.op("Abs", difference, out="grid_distance"),
        out="grid_largest_distance",
        axes=[0],
        keepdims=1,
    )
    is_native = g.op("Equal", distance, g.ints(0), out="grid_is_native")
    scale = g.op("Where", is_native, g.floats(1.0, 1.0), ratio, out="position_scale")
    scales = g.op("Concat", g.floats(1.0, 1.0), scale, out="position_scales", axis=0)
    stored = vit.pos_embed[:, 1:].reshape(1, native, native, dim).permute(0, 3, 1, 2)
    resized = g.op(
        "Resize",
        g.weight("pos_embed.patches", stored),
        "",
        scales,
        out="positions_resized",
        mode="cubic",
        cubic_coeff_a=-0.75,
        coordinate_transformation_mode="half_pixel",
    )
    flat = g.op("Reshape", resized, g.ints(1, dim, -1), out="positions_flat")
    patches = g.op("Transpose", flat, out="positions_patches", perm=[0, 2, 1])
    cls_position = g.weight("pos_embed.cls", vit.pos_embed[:, :1])
    return g.op("Concat", cls_position, patches, out="positions", axis=1)


def _block(g: GraphBuilder, vit: VisionTransformer, index: int, x: str) -> str:
    block, prefix = vit.blocks[index], f"blocks.{index}"
    heads, head_dim = vit.num_heads, block.attn.head_dim
    normed = _layer_norm(g, f"{prefix}.norm1", block.norm1, x)
    qkv = _linear(g, f"{prefix}.attn.qkv", block.attn.qkv, normed)
    qkv = g.op("Reshape", qkv, g.ints(0, 0, 3, heads, head_dim), out=f"{prefix}.attn.split")
    parts = {}
    for position, part in enumerate("qkv"):
        which = g.weight(f"index_{position}", np.array(position, np.int64))
        parts[part] = g.op("Gather", qkv, which, out=f"{prefix}.attn.{part}", axis=2)
    q = g.op("Transpose", parts["q"], out=f"{prefix}.attn.q_heads", perm=[0, 2, 1, 3])
    k = g.op("Transpose", parts["k"], out=f"{prefix}.attn.k_heads", perm=[0, 2, 3, 1])
    v = g.op("Transpose", parts["v"], out=f"{prefix}.attn.v_heads", perm=[0, 2, 1, 3])
    q = g.op("Mul", q, g.scalar(head_dim**-0.5), out=f"{prefix}.attn.q_scaled")
    scores = g.op("MatMul", q, k, out=f"{prefix}.attn.scores")
    attention = g.op("Softmax", scores, out=f"{prefix}.attn.softmax", axis=-1)
    if index == len(vit.blocks) - 1:
        cls_row = g.op(
            "Gather",
            attention,
            g.weight("cls_index", np.array(0, np.int64)),
            out="cls_attention",
            axis=2,
        )
        _patches_only(g, cls_row, axis=2, out="attention")
        keys = g.op("Reshape", parts["k"], g.ints(0, 0, -1), out="all_keys")
        _patches_only(g, keys, axis=1, out="keys")
    mixed = g.op("MatMul", attention, v, out=f"{prefix}.attn.mixed")
    mixed = g.op("Transpose", mixed, out=f"{prefix}.attn.mixed_tokens", perm=[0, 2, 1, 3])
    mixed = g.op("Reshape", mixed, g.ints(0, 0, -1), out=f"{prefix}.attn.merged")
    projected = _linear(g, f"{prefix}.attn.proj", block.attn.proj, mixed)
    x = g.op("Add", x, projected, out=f"{prefix}.residual1")
    normed = _layer_norm(g, f"{prefix}.norm2", block.norm2, x)
    hidden = _gelu(g, f"{prefix}.mlp", _linear(g, f"{prefix}.mlp.fc1", block.mlp.fc1, normed))
    return g.op(
        "Add", x, _linear(g, f"{prefix}.mlp.fc2", block.mlp.fc2, hidden), out=f"{prefix}.residual2"
    )


def _linear(g: GraphBuilder, name: str, layer: torch.nn.Linear, x: str) -> str:
    product = g.op("MatMul", x, g.weight(f"{name}.weight", layer.weight.t()), out=f"{name}.matmul")
    return g.op("Add", product, g.weight(f"{name}.bias", layer.bias), out=f"{name}.out")


def _layer_norm(g: GraphBuilder, name: str, layer: torch.nn.LayerNorm, x: str) -> str:
    weight = g.weight(f"{name}.weight", layer.weight)
    bias = g.weight(f"{name}.bias", layer.bias)
    return g.op(
        "LayerNormalization", x, weight, bias, out=f"{name}.out", axis=-1, epsilon=LAYER_NORM_EPS
    )


def _gelu(g: GraphBuilder, name: str, x: str) -> str:
    # Gelu is an operator only from opset 20; runtimes fuse this pattern.
    erf = g.op(
        "Erf", g.op("Div", x, g.scalar(math.sqrt(2)), out=f"{name}.erf_in"), out=f"{name}.erf"
    )
    gate = g.op("Add", erf, g.scalar(1.0), out=f"{name}.gate")
    return g.op("Mul", g.op("Mul", x, gate, out=f"{name}.gated"), g.scalar(0.5), out=f"{name}.gelu")


def _patches_only(g: GraphBuilder, x: str, axis: int, out: str) -> str:
    """Drops the CLS position of an axis of tokens."""
    end = np.iinfo(np.int64).max
    return g.op(
        "Slice",
        x,
        g.ints(1),
        g.weight("axis_end", np.array([end], np.int64)),
        g.ints(axis),
        out=out,
    )
