"""The model: networks and trees, their training and calibration, maps of a beat, the model file and its description."""
