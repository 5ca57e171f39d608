#!/usr/bin/env python3
"""Compares a graph that gives embeddings alone with the one that gives every output."""

from dino_train.bench_export import main

if __name__ == "__main__":
    raise SystemExit(main())
