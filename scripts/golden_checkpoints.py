#!/usr/bin/env python3
"""Writes the tiny checkpoints that the importer is tested on, and what PyTorch makes of them."""

from dino_train.golden_checkpoints import main

if __name__ == "__main__":
    raise SystemExit(main())
