"""A recording to its median beat: filters, R peaks, alignment, rejection, median, measurements."""
