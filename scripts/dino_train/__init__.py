"""Training, export and evaluation of DINO vision transformers (arXiv:2104.14294)."""

import os

# Or ONNX Runtime from 1.29 on keeps an id of the device and sends usage data to its makers.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
