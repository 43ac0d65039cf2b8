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
# Wherever predict is called from.
RELEASED = Path(__file__).parents[3] / "models/ptb-xl.safetensors"
VALIDATION = Path("data/validation")

EVALUATE_METRICS = Path("metrics/evaluate.json")
EVALUATE_TABLE = Path("metrics/evaluate.csv")
SUBGROUPS = Path("metrics/subgroups.csv")
# A file a comparison.
ROC = Path("metrics/roc")
PRECISION_RECALL = Path("metrics/precision_recall")
CONFUSION = Path("metrics/confusion.csv")
RELIABILITY = Path("metrics/reliability.csv")
NET_BENEFIT = Path("metrics/net_benefit.csv")
DISTRIBUTION = Path("metrics/distribution.csv")
ROC_PNG = Path("metrics/roc.png")
PRECISION_RECALL_PNG = Path("metrics/precision_recall.png")
CONFUSION_PNG = Path("metrics/confusion.png")
RELIABILITY_PNG = Path("metrics/reliability.png")
NET_BENEFIT_PNG = Path("metrics/net_benefit.png")
DISTRIBUTION_PNG = Path("metrics/distribution.png")
SUBGROUPS_PNG = Path("metrics/subgroups.png")
LEARNING_CURVE_PNG = Path("metrics/learning_curve.png")
BEATS_PNG = Path("metrics/beats.png")
EXAMPLE_PNG = Path("metrics/example.png")
AUDIT_TABLE = Path("metrics/audit.csv")
AUDIT_PNG = Path("metrics/audit.png")
REPORT = Path("metrics/report.html")
MODEL_CARD = Path("metrics/model_card.md")
ENVIRONMENT = Path("metrics/environment.json")
CROSS_VALIDATION = Path("metrics/cross_validation.json")
