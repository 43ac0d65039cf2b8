"""The epochs of a training."""

import pandas as pd


def kept_epochs(history: pd.DataFrame) -> pd.DataFrame:
    """Return of each network the row of data/history.csv that was kept, with the number of epochs."""
    best = history.sort_values(["val_roc_auc", "val_loss"], ascending=[False, True]).groupby("member").head(1)
    return best.sort_values("member").assign(epochs=history.groupby("member").epoch.max().to_numpy())
