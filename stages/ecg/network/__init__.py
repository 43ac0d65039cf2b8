"""The FCN and random convolutions, their training, its checkpoints, its description of itself, what it looks at."""
