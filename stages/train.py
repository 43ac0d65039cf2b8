"""Train the FCNs on the train split; keep the epochs that are best on val; calibrate and fix the threshold there.

Reads   data/beats.npy, data/beats.csv, data/split.csv
Writes  data/model.safetensors  weights, with all that is needed to use them: temperature and threshold too
        data/history.csv        a row for each epoch of each member
        metrics/train.json      the ROC AUC on train and val
"""

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ecg.dataset import load_split
from ecg.labels import CLASSES
from ecg.model import FCN, Ensemble, choose_device, logits, probabilities, save_model
from ecg.params import read_params
from ecg.scores import QUESTIONS, fit_temperature, ischemia_score, roc_auc, threshold_for
from ecg.script import UsageError, replacing, run_stage, write_json
from ecg.wfdb_io import LEADS

MODEL = Path("data/model.safetensors")
HISTORY = Path("data/history.csv")
METRICS = Path("metrics/train.json")


def standardise(model: FCN, beats: np.ndarray) -> None:
    """Store each lead's mean and standard deviation over the train split (n x leads x samples, mV) in the model."""
    model.mean.copy_(torch.from_numpy(beats.mean(axis=(0, 2), dtype=np.float64))[:, None])
    model.std.copy_(torch.from_numpy(beats.std(axis=(0, 2), dtype=np.float64))[:, None])


def class_weights(target: torch.Tensor, classes: int) -> torch.Tensor:
    """Return weights that make every class count alike, 1 on average over the records."""
    counts = torch.bincount(target, minlength=classes)
    return len(target) / (classes * counts)


def headline_scores(scores: np.ndarray, target: np.ndarray, classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return whether ischemic and the score against normal of those that are either, from n x classes probabilities."""
    labels = np.array(classes)[target]
    asked = np.isin(labels, ["ischemia", *QUESTIONS["roc_auc"]])
    by_class = dict(zip(classes, scores[asked].T, strict=True))
    return labels[asked] == "ischemia", ischemia_score(by_class, "roc_auc")


def fit(
    model: FCN,
    train: tuple[np.ndarray, np.ndarray],
    val: tuple[np.ndarray, np.ndarray],
    classes: list[str],
    *,
    epochs: int,
    patience: int,
    batch_size: int,
    lr: float,
    weight_decay: float,
    average: float,
    seed: int,
) -> tuple[dict, list[dict], dict]:
    """Train `model` in place; return the best epoch's averaged weights, the history and the best epoch's row of it.

    `train` and `val` are (beats n x leads x samples in mV, class numbers). AdamW with a one-cycle schedule (Smith &
    Topin 2018) up to `lr`, cross-entropy that weights classes alike. What is judged and kept is the exponential
    average of the weights, of which the share `average` is left after an epoch: single epochs jump on few patients.
    Best is the highest ROC AUC of ischemia against normal on val; of equals, the lowest loss there.
    """
    device = model.mean.device
    beats, target = torch.from_numpy(train[0]).to(device), torch.from_numpy(train[1]).to(device)
    val_beats, val_target = torch.from_numpy(val[0]).to(device), torch.from_numpy(val[1])
    weights = class_weights(target, len(classes)).to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    steps = -(-len(beats) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=epochs * steps)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(average ** (1 / steps)), use_buffers=True)
    shuffle = torch.Generator().manual_seed(seed)
    history, best, best_state = [], None, {}
    for epoch in tqdm(range(1, epochs + 1), desc="epochs", disable=None):
        model.train()
        total = torch.zeros((), device=device)
        for batch in torch.randperm(len(beats), generator=shuffle).to(device).split(batch_size):
            loss = functional.cross_entropy(model(beats[batch]), target[batch], weights)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            averaged.update_parameters(model)
            total += loss.detach() * len(batch)
        out = logits(averaged.module, val_beats).double()
        if not torch.isfinite(out).all():
            raise UsageError(f"training diverged in epoch {epoch}; train.lr is {lr:g}, try a lower one")
        val_loss = functional.cross_entropy(out, val_target, weights.cpu().double()).item()
        val_auc = float(roc_auc(*headline_scores(torch.softmax(out, dim=1).numpy(), val[1], classes))[0])
        row = {"epoch": epoch, "train_loss": total.item() / len(beats), "val_loss": val_loss, "val_roc_auc": val_auc}
        history.append(row)
        if best is None or (val_auc, -val_loss) > (best["val_roc_auc"], -best["val_loss"]):
            best, best_state = row, copy.deepcopy(averaged.module.state_dict())
        elif epoch - best["epoch"] >= patience:
            break
    return best_state, history, best


def main() -> None:
    params = read_params()
    settings = params.train.model_dump()
    architecture = {key: settings.pop(key) for key in ("filters", "kernels", "dropout", "pool")}
    members, specificity, seed = (settings.pop(key) for key in ("members", "specificity", "seed"))
    torch.use_deterministic_algorithms(True)

    (beats, table), (val_beats, val_table) = load_split("train"), load_split("val")
    classes = [name for name in CLASSES if name in set(table.label)]
    target, val_target = (t.label.map(classes.index).to_numpy() for t in (table, val_table))
    device = choose_device()
    networks, history = [], []
    for number in range(1, members + 1):
        own_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        torch.manual_seed(own_seed)
        network = FCN(leads=len(LEADS), classes=len(classes), **architecture)
        standardise(network, beats)
        state, epochs, best = fit(
            network.to(device), (beats, target), (val_beats, val_target), classes, **settings, seed=own_seed
        )
        network.load_state_dict(state)
        networks.append(network)
        history += [{"member": number} | row for row in epochs]
        print(f"member {number}: best epoch {best['epoch']} of {len(epochs)}, ROC AUC {best['val_roc_auc']:.4f} on val")

    model = Ensemble(networks).to(device)
    # The class weights made the classes alike; probabilities are to be those at the train split's shares.
    log_shares = np.log(np.bincount(target) / len(target))
    model.temperature.fill_(fit_temperature(logits(model, val_beats).double().numpy(), log_shares, val_target))
    model.log_shares.copy_(torch.from_numpy(log_shares))
    positive, score = headline_scores(probabilities(model, val_beats), val_target, classes)
    val_auc = float(roc_auc(positive, score)[0])
    train_auc = float(roc_auc(*headline_scores(probabilities(model, beats), target, classes))[0])
    print(f"together: ROC AUC {val_auc:.4f} on val")
    description = {
        "architecture": architecture,
        "members": members,
        "classes": classes,
        "leads": LEADS,
        "samples": beats.shape[2],
        "unit": "mV",
        "extract": params.extract.model_dump(),
        "sources": sorted(set(table.source)),
        "specificity": specificity,
        "threshold": threshold_for(specificity, score[~positive]),
    }
    with replacing(MODEL) as temporary:
        save_model(temporary, model, description)
    with replacing(HISTORY) as temporary:
        pd.DataFrame(history).round(6).to_csv(temporary, index=False)
    write_json(METRICS, {"roc_auc_train": train_auc, "roc_auc_val": val_auc, "epochs": len(history)})


if __name__ == "__main__":
    run_stage(main)
