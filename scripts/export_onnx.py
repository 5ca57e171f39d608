#!/usr/bin/env python3
"""Exports the teacher of a checkpoint to ONNX with a manifest."""

from dino_train.export_command import main

if __name__ == "__main__":
    raise SystemExit(main())
