"""Nothing that is exported or checked tells the makers of ONNX Runtime about it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "dino-vitmicro16-photos" / "model.onnx"
# On a machine for continuous integration the runtime would keep quiet by itself.
QUIET = ("CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS")


def test_a_session_leaves_no_id_of_the_device_and_no_usage_data_behind(tmp_path):
    loud = {name: value for name, value in os.environ.items() if name not in QUIET}
    homes = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME"), str(tmp_path))
    program = f"import dino_train, onnxruntime; onnxruntime.InferenceSession({str(MODEL)!r})"
    command = [sys.executable, "-c", program]
    subprocess.run(command, cwd=ROOT / "scripts", env=loud | homes, check=True)
    assert list(tmp_path.rglob("*")) == []
