"""What two or more stages share."""

import gc

# Loading torch, scikit-learn and Matplotlib looks for garbage every 700 objects: half a second of evaluate.
gc.set_threshold(100_000)
