"""Backbones beside the ViT of DINO v1: plain modules with the parameter names of their authors."""
