"""Paths of all outputs of stages and commands, relative to the project's root."""

from pathlib import Path

RECORDINGS = Path("data/recordings")
RECORDINGS_TABLE = Path("data/recordings.csv")
BEATS = Path("data/beats.npy")
BEATS_TABLE = Path("data/beats.csv")
SPLIT = Path("data/split.csv")
MODEL = Path("data/model.safetensors")
HISTORY = Path("data/history.csv")
TRAIN_NUMBERS = Path("data/train.json")
PREDICTIONS = Path("data/predictions.csv")
ACTIVATION = Path("data/activation.npy")
AUDIT_PREDICTIONS = Path("data/audit.csv")
ONNX = Path("data/model.onnx")
# In git: trained on real recordings, each with its card.
MODELS = Path("models")
# Absolute: predict is called from any folder.
RELEASED = Path(__file__).parents[3] / "models/ptb-xl.safetensors"
VALIDATION = Path("data/validation")

# ecg/reporting/results.py names the tables that evaluate writes here, and stages/evaluate.py the pictures.
METRICS = Path("metrics")
EVALUATE_METRICS = Path("metrics/evaluate.json")
AUDIT_TABLE = Path("metrics/audit.csv")
REPORT = Path("metrics/report.html")
MODEL_CARD = Path("metrics/model_card.md")
ENVIRONMENT = Path("metrics/environment.json")
CROSS_VALIDATION = Path("metrics/cross_validation.json")
