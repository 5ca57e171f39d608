"""What attention outputs cost: ViT-S/16 at 224 px in one thread, the variants in turn."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import onnx

from .export import open_session
from .onnx_graph import build_graph
from .vit import build_vit

ROUNDS, WARM_UP = 14, 2
SIDE = 224


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the least and median processor time of an image per variant; returns 0."""
    whole = build_graph(build_vit("vit_small", 16, SIDE).eval(), "bench")
    alone = onnx.ModelProto()
    alone.CopyFrom(whole)
    kept = [output for output in alone.graph.output if output.name == "embedding"]
    del alone.graph.output[:]
    alone.graph.output.extend(kept)
    full = open_session(whole.SerializeToString(), threads=1)
    embed_only = open_session(alone.SerializeToString(), threads=1)
    pixels = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    runs = {
        "full graph, all outputs": lambda: full.run(None, {"pixels": pixels}),
        "full graph, embedding": lambda: full.run(["embedding"], {"pixels": pixels}),
        "embed-only graph": lambda: embed_only.run(None, {"pixels": pixels}),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            started = time.process_time()
            run()
            times[name].append(1000 * (time.process_time() - started))
    for name, values in times.items():
        counted = values[WARM_UP:]
        print(f"{name}: least {min(counted):.0f} ms, median {np.median(counted):.0f} ms")
    return 0
