"""ROC AUC and intervals, rates at the threshold, calibration, simple models, recalibration."""
