"""Three questions, ROC AUC and intervals, threshold, calibration, simple models."""
