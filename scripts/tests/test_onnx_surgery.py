"""The tiny ONNX files hold their networks, and what is expected of them is PyTorch's."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file

from dino_train.export import normalise, open_session
from dino_train.golden_checkpoints import hashed_pixels
from dino_train.golden_onnx import CASES, FOLDER, OnnxCase, build, expected_outputs, write_case

LARGEST_BYTES = 150_000


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_files_hold_what_pytorch_makes_of_the_network(case: OnnxCase) -> None:
    path = FOLDER / f"{case.name}.onnx"
    assert path.stat().st_size < LARGEST_BYTES
    network = build(case)
    stored = load_file(FOLDER / f"{case.name}.expected.safetensors")
    session = open_session(path, threads=1)
    for height, width in case.sizes:
        for name, value in expected_outputs(network, height, width, batch=2).items():
            np.testing.assert_allclose(stored[f"{height}x{width}.{name}"], value, atol=1e-5)
        images = normalise(hashed_pixels(2, height, width)).numpy()
        batches = [images] if case.dynamic else [images[:1], images[1:]]
        exported = np.concatenate([session.run(None, {"input": batch})[0] for batch in batches])
        # All tokens, where the file gives them; the first one is the embedding.
        vectors = exported[:, 0] if exported.ndim == 3 else exported
        np.testing.assert_allclose(vectors, stored[f"{height}x{width}.embedding"], atol=1e-5)


def test_files_are_written_as_they_are_committed(tmp_path) -> None:
    case = next(case for case in CASES if case.name == "one-image")
    write_case(case, tmp_path)
    new, old = (onnx.load(folder / f"{case.name}.onnx") for folder in (tmp_path, FOLDER))
    assert [node.op_type for node in new.graph.node] == [node.op_type for node in old.graph.node]
    assert [o.version for o in new.opset_import] == [o.version for o in old.opset_import] == [12]
