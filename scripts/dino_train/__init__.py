"""Training, export and evaluation of DINO vision transformers (arXiv:2104.14294)."""
