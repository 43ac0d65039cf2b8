"""Networks and trees, their training, the model of both, its file and description of itself, what it looks at."""
