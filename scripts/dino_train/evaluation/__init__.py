"""The evaluations of the DINO paper, each on a checkpoint or on an exported model."""
