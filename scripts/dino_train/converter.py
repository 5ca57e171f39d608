"""The service's own converter, which writes what onnx_graph.py does not: fp16, int8, and networks
other than ViTs.

Quantisation is written once, in src/models/onnx.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "dist" / "cli" / "dino.js"


class ConversionError(RuntimeError):
    """The converter is not there, or refuses the checkpoint."""


@dataclass(frozen=True)
class Converted:
    """A converted model.

    Attributes:
        file: the ONNX file.
        manifest: what the converter says of it.
    """

    file: Path
    manifest: dict[str, Any]


def convert_checkpoint(
    checkpoint: Path, precision: str, folder: Path, network: nn.Module
) -> Converted:
    """Runs `dino models import` on a checkpoint.

    Args:
        checkpoint: what train.py wrote.
        precision: fp32, fp16 or int8.
        folder: where the model is written.
        network: the checkpoint's backbone; tells the attention heads, which no tensor does.

    Raises:
        ConversionError: if Node or the built service is missing, or the checkpoint is refused.
    """
    node = shutil.which("node")
    if node is None or not PROGRAM.is_file():
        raise ConversionError(
            f"{precision} models, and all of other networks than a ViT, are written by the "
            f"service's converter: it needs Node 20 or later and {PROGRAM} (npm ci makes it)"
        )
    command = [node, str(PROGRAM), "models", "import", str(checkpoint), "--name", "converted"]
    command += ["--precision", precision, "--data-dir", str(folder), "--json"]
    if hasattr(network, "num_heads"):
        command += ["--heads", str(network.num_heads)]
    # Settings of a running service are none of this one's.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DINO_")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise ConversionError(done.stderr.strip().removeprefix("dino: "))
    told = json.loads(done.stdout)
    return Converted(Path(told["folder"]) / told["manifest"]["file"]["path"], told["manifest"])
