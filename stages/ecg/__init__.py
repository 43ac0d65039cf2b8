"""Code that stages and commands share."""

import gc

# With Python's default of 700, garbage collection takes half a second while torch and Matplotlib load.
gc.set_threshold(100_000)
