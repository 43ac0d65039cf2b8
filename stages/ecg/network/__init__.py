"""The FCN, its training, its checkpoints, its description of itself, what it looks at."""
