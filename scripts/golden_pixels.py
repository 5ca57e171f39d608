#!/usr/bin/env python3
"""Draws the JPEGs that the service's decoder is tested on, and what Pillow makes of them."""

from dino_train.golden_pixels import main

if __name__ == "__main__":
    raise SystemExit(main())
