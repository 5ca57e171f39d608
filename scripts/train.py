#!/usr/bin/env python3
"""Trains a DINO vision transformer on folders of images or WebDataset shards."""

from dino_train.train_command import main

if __name__ == "__main__":
    raise SystemExit(main())
