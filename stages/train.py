"""Train the FCNs on the train split; keep the epochs that are best on val; calibrate and fix the threshold there.

Reads   data/beats.npy, data/beats.csv, data/split.csv
Writes  data/model.safetensors  weights, with all that is needed to use them: temperature and threshold too
        data/history.csv        a row for each epoch of each member
        metrics/train.json      the ROC AUC on train and val

Run again after it was killed, it goes on at the epoch where it was, and ends with the same bytes.
"""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ecg.evaluation.scores import fit_temperature, roc_auc, threshold_for
from ecg.leads import LEADS
from ecg.network.checkpoint import read_checkpoint, write_checkpoint
from ecg.network.fcn import FCN, Ensemble, choose_device, logits, probabilities, save_model
from ecg.network.training import choose_precision, fit, headline_scores, standardise
from ecg.params import read_params
from ecg.stage.files import cache_folder, replacing, write_json
from ecg.stage.paths import BEATS, SPLIT
from ecg.stage.paths import BEATS_TABLE as QUALITY
from ecg.stage.script import run_stage
from ecg.stage.tables import CLASSES, load_split

MODEL = Path("data/model.safetensors")
HISTORY = Path("data/history.csv")
METRICS = Path("metrics/train.json")


def main() -> None:
    params = read_params()
    settings = params.train.model_dump()
    architecture = {key: settings.pop(key) for key in ("filters", "kernels", "dropout", "pool")}
    members, specificity, seed = (settings.pop(key) for key in ("members", "specificity", "seed"))
    torch.use_deterministic_algorithms(True)

    (beats, table), (val_beats, val_table) = load_split("train"), load_split("val")
    classes = [name for name in CLASSES if name in set(table.label)]
    target, val_target = (t.label.map(classes.index).to_numpy() for t in (table, val_table))
    device, precision = choose_device(), choose_precision()
    cuda = device.type == "cuda"
    machine = {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if cuda else torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "precision": precision,
    }
    inputs = {"train": params.train.model_dump(), "extract": params.extract.model_dump(), "machine": machine}
    checkpoints = cache_folder("train", inputs, (BEATS, QUALITY, SPLIT))
    networks, history = [], []
    for number in range(1, members + 1):
        own_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        torch.manual_seed(own_seed)
        network = FCN(leads=len(LEADS), classes=len(classes), **architecture)
        standardise(network, beats)
        checkpoint = checkpoints / f"member-{number}"
        before = read_checkpoint(checkpoint)
        if before:
            print(f"member {number}: goes on after epoch {len(before['history'])}, where it was interrupted")
        state, epochs, best = fit(
            network.to(device),
            (beats, target),
            (val_beats, val_target),
            classes,
            **settings,
            seed=own_seed,
            precision=precision,
            state=before,
            save=partial(write_checkpoint, checkpoint),
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
    # Not there any more where another run of the same inputs has ended first.
    shutil.rmtree(checkpoints, ignore_errors=True)


if __name__ == "__main__":
    run_stage(main)
