#!/usr/bin/env python3
"""Writes a checkpoint with random weights of one of the published architectures."""

from dino_train.random_checkpoint_command import main

if __name__ == "__main__":
    raise SystemExit(main())
