"""Three comparisons, ROC AUC and intervals, threshold, calibration, simple models."""
