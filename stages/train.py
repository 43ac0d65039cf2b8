"""Train FCNs, fit random convolutions, grow trees on the train split; calibrate and fix the threshold on val.

Reads   data/beats.npy, data/beats.csv, data/split.csv, data/recordings.csv
Writes  data/model.safetensors  weights, with all that is needed to use them: temperature and threshold too; and what
                                tells which recordings it was trained on, and which beats are unlike theirs
        data/history.csv        a row for each epoch of each member; written after each epoch, to be watched
        metrics/train.json      the ROC AUC on train and val

Run again after it was killed, it goes on at the epoch where it was, and ends with the same bytes.
"""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from ecg.evaluation.decision import fit_temperature, threshold_for
from ecg.evaluation.home import counts_and_aucs, home_numbers
from ecg.evaluation.questions import scored_table, scores_against_normal, select_question
from ecg.evaluation.roc import roc_auc
from ecg.leads import LEADS
from ecg.network.checkpoint import checkpoint_folder, read_checkpoint, write_checkpoint
from ecg.network.description import FORMAT, Description
from ecg.network.device import choose_device
from ecg.network.ensemble import Ensemble, logits, probabilities
from ecg.network.fcn import FCN
from ecg.network.model_file import save_model
from ecg.network.novelty import first_bytes, fit_novelty
from ecg.network.random_convolutions import fit_random
from ecg.network.training import create, fit, fit_together
from ecg.network.trees import fit_trees
from ecg.params import Architecture, Train, read_params
from ecg.stage.files import replacing, write_json
from ecg.stage.paths import HISTORY, MODEL, RECORDINGS_TABLE, TRAIN_METRICS
from ecg.stage.script import run_stage
from ecg.stage.tables import CLASSES, load_split, read_table


def calibrate(model: Ensemble, val_beats: np.ndarray, val_target: np.ndarray, target: np.ndarray) -> None:
    """Fit the temperature on val, and give the classes the shares that they have in the train split's `target`.

    The class weights had made them alike.
    """
    log_shares = np.log(np.bincount(target) / len(target))
    model.temperature.fill_(fit_temperature(logits(model, val_beats).double().numpy(), log_shares, val_target))
    model.log_shares.copy_(torch.from_numpy(log_shares))


def train_members(
    train: Train, classes: list[str], data: tuple[tuple, tuple], checkpoints: Path, device: torch.device
) -> tuple[list[FCN], list[dict]]:
    """Return networks, each trained from its own seed or on from its checkpoint, and the epochs of all."""
    seeds = [int(np.random.SeedSequence([train.seed, n + 1]).generate_state(1)[0]) for n in range(train.members)]
    own = [train.model_copy(update={"seed": seed}) for seed in seeds]
    networks = [create(train, data[0][0], classes=len(classes), seed=seed).to(device) for seed in seeds]
    paths = [checkpoints / f"member-{n + 1}" for n in range(train.members)]
    states = [read_checkpoint(path) for path in paths]
    epochs = [list(state["history"]) if state else [] for state in states]
    for n, done in enumerate(epochs, start=1):
        if done:
            print(f"member {n}: goes on after epoch {len(done)}, where it was interrupted")
    progress = tqdm(desc="epochs", total=train.members * train.epochs, initial=sum(map(len, epochs)), disable=None)
    one_at_a_time = Lock()

    def write_history() -> list[dict]:
        rows = [{"member": n} | epoch for n, done in enumerate(epochs, start=1) for epoch in done]
        with replacing(HISTORY) as temporary:
            pd.DataFrame(rows).round(6).to_csv(temporary, index=False)
        return rows

    def val_auc(scores: np.ndarray, target: np.ndarray) -> float:
        return float(roc_auc(*scores_against_normal(scores, target, classes))[0])

    def fit_member(n: int, check: Callable[[], None]) -> None:
        def save(state: dict) -> None:
            write_checkpoint(paths[n], state)
            with one_at_a_time:
                epochs[n] = list(state["history"])
                write_history()
                progress.update()

        _, weights = fit(networks[n], data, val_auc, own[n], states[n], save, check)
        networks[n].load_state_dict(weights)

    with progress:
        fit_together([partial(fit_member, n) for n in range(train.members)], device)
    for n, done in enumerate(epochs, start=1):
        print(f"member {n}: {len(done)} epochs, ROC AUC {done[-1]['val_roc_auc']:.4f} on val")
    return networks, write_history()


def main() -> None:
    params = read_params()
    train = params.train
    torch.use_deterministic_algorithms(True)
    (beats, table), (val_beats, val_table) = load_split("train"), load_split("val")
    classes = [name for name in CLASSES if name in set(table.label)]
    target, val_target = (rows.label.map(classes.index).to_numpy() for rows in (table, val_table))
    device = choose_device(train.precision)
    data = (beats, target), (val_beats, val_target)
    checkpoints = checkpoint_folder(params, device)
    networks, history = train_members(train, classes, data, checkpoints, device)
    records = pd.concat([table.record, val_table.record])
    hashes = first_bytes(read_table(RECORDINGS_TABLE).set_index("record").sha256[records])
    novelty = fit_novelty(train.pool, beats, table.patient.to_numpy(), val_beats, train.seed)
    seen = (train.pool, beats, target, train.seed)
    random = fit_random(train.random_convolutions, *seen) if train.random_convolutions else None
    trees = fit_trees(train.trees, *seen) if train.trees else None
    model = Ensemble(networks, random, trees, novelty, torch.from_numpy(hashes)).to(device)
    calibrate(model, val_beats, val_target, target)
    val = scored_table(val_table, classes, probabilities(model, val_beats))
    positive, score, _ = select_question(val, "roc_auc")
    threshold = threshold_for(train.specificity, score[~positive])
    home = home_numbers(val, threshold)
    print(f"together: ROC AUC {home['roc_auc']:.4f} on val")
    description = Description(
        format=FORMAT,
        architecture=Architecture(**{key: getattr(train, key) for key in Architecture.model_fields}),
        members=train.members,
        trees=trees.grown() if trees else {"nodes": 1, "depth": 0},
        classes=classes,
        leads=list(LEADS),
        samples=beats.shape[2],
        unit="mV",
        extract=params.extract,
        sources=sorted(set(table.source)),
        novelty=novelty.faults.grown(),
        recordings=len(hashes),
        home=home,
        recalibrated={},
        specificity=train.specificity,
        threshold=threshold,
    )
    with replacing(MODEL) as temporary:
        save_model(temporary, model, description)
    known = counts_and_aucs(scored_table(table, classes, probabilities(model, beats)))["roc_auc"]
    write_json(TRAIN_METRICS, {"roc_auc_train": known, "roc_auc_val": home["roc_auc"], "epochs": len(history)})
    # Not there any more where another run of the same inputs has ended first.
    shutil.rmtree(checkpoints, ignore_errors=True)


if __name__ == "__main__":
    run_stage(main)
