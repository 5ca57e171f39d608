"""int8 models whose activations are quantised by fixed scales, calibrated on photos.

Dynamic quantisation looks for the largest magnitude of every token at run time; here each product's
input has one scale and zero point, found once. The file has QuantizeLinear and DequantizeLinear
around plain products (QDQ), which onnxruntime joins into products of integers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from PIL import Image

from .data import center_crop
from .manifest import resize_for_crop

# The patch embedding is a hundredth of the work, and looks at pixels.
KEPT = "patches_projected"
PRODUCER = "dino-server"


class QuantisationError(RuntimeError):
    """A model that cannot be quantised on these photos."""


class _Photos(CalibrationDataReader):
    """One photo at a time, prepared as for an embedding."""

    def __init__(self, photos: Sequence[Image.Image], crop: int) -> None:
        self._pixels: Iterator[np.ndarray] = (
            center_crop(photo, resize_for_crop(crop), crop) for photo in photos
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        pixels = next(self._pixels, None)
        return None if pixels is None else {"pixels": pixels[None]}


def quantise_static(source: Path, target: Path, photos: Sequence[Image.Image], crop: int) -> None:
    """Quantises the products with constant weights of an fp32 model.

    Weights are int8 per output channel within 7 bits, so that processors without VNNI add no pair
    of products beyond 16 bits (docs/decisions/0007-int8-per-token.md); activations are uint8
    between the least and the largest value that the photos give.

    Args:
        source: the fp32 ONNX file.
        target: the file to write.
        photos: RGB images of the kind that the model will see, of any size.
        crop: side in pixels of the square input for embeddings.

    Raises:
        QuantisationError: if there are no photos, or the graph has no such products.
    """
    if not photos:
        raise QuantisationError(
            "int8-static is calibrated on photos: give --calibration_photos, 50 or more"
        )
    graph = onnx.load(source, load_external_data=False).graph
    weights = {tensor.name for tensor in graph.initializer if len(tensor.dims) == 2}
    products = [
        node.name
        for node in graph.node
        if node.op_type == "MatMul" and node.input[1] in weights and node.name != KEPT
    ]
    if not products:
        raise QuantisationError(
            "int8-static quantises products with weights; this network has none"
        )
    # It advises a step for graphs with unknown shapes, which these products do not need.
    logging.disable(logging.WARNING)
    try:
        quantize_static(
            str(source),
            str(target),
            _Photos(photos, crop),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=products,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                "ActivationSymmetric": False,
                "WeightSymmetric": True,
                "OpTypesToExcludeOutputQuantization": ["MatMul"],
            },
        )
    finally:
        logging.disable(logging.NOTSET)
    model = onnx.load(target)
    # Its nodes are those that are written here, and more that the service knows.
    model.producer_name = PRODUCER
    onnx.save(model, target)
