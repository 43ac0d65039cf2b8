"""Score simple models, models that see no beat, and a probe of the source on the split of the model.

They show the ROC AUC that a classifier reaches without looking for ischemia, or without a deep network.

Reads   data/predictions.csv, data/beats.npy, data/split.csv
Writes  data/audit.csv      probabilities of each model on the test split
        metrics/audit.csv   ROC AUC of each model and comparison, and the gain of the model over it, with intervals
        metrics/audit.png   a forest plot of these numbers
"""

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from tqdm import trange

from ecg.evaluation import simple_models as simple
from ecg.evaluation.names import SIMPLE_MODELS, SOURCE_LIMIT, data_kind, gain_text, strongest_simple
from ecg.params import read_params
from ecg.reporting.charts import plot_audit
from ecg.reporting.figures import save_figure
from ecg.run import paths
from ecg.run.files import load_split, read_table, write
from ecg.run.script import run_stage, warn


def main() -> None:
    params = read_params()
    audit = params.audit
    (train_beats, train), (test_beats, test) = load_split("train"), load_split("test")
    records = test[["record", "patient", "source", "label"]]
    predictions = read_table(paths.PREDICTIONS).set_index("record").loc[test.record].reset_index()
    model = records.assign(**predictions.filter(like="p_"))
    # Not normal: anything abnormal, ischemic or not.
    scored = {"model": model, "not_normal": model.assign(p_ischemia=1 - model.p_normal)}
    scored |= simple.score_simple_models(train_beats, train, test_beats, records, params)
    others, lacks = simple.score_other_models(train, test, records)
    scored |= others
    components = simple.principal_components(train_beats, test_beats, audit)
    rng, labels, linear = np.random.default_rng(audit.seed), train.label.to_numpy(), LogisticRegression(C=0.1)
    permutations = trange(audit.permutations, desc="permutations", disable=None)
    permuted = [simple.classify(linear, components, rng.permutation(labels), records) for _ in permutations]
    probe, probe_row = simple.probe_source(components, train, test, params.evaluate)

    summary = simple.summarise_audit(scored, lacks, permuted, probe_row, params.evaluate).round(4)
    scored |= {f"permuted-{number}": values for number, values in enumerate(permuted, start=1)}
    everything = pd.concat([values.assign(model=name) for name, values in [*scored.items(), ("source_probe", probe)]])
    write(paths.AUDIT_PREDICTIONS, everything.drop(columns="source").to_csv(index=False))
    write(paths.AUDIT_TABLE, summary.to_csv(index=False))
    what = f"{len(records)} {data_kind(records.source, test=True)}"
    save_figure(plot_audit(summary, what), paths.METRICS / "audit.png")
    shown = ("model", *SIMPLE_MODELS, "age_sex", "source", "recorder")
    aucs = summary[summary.comparison == "roc_auc"].set_index("model").roc_auc.dropna()
    print(f"ROC AUC against normal: {', '.join(f'{name} {aucs[name]:.3f}' for name in shown if name in aucs)}")
    for row in strongest_simple(summary).to_dict("records"):
        print(f"model {gain_text(row)}")
    if aucs.get("source", 0) > SOURCE_LIMIT:
        warn(f"the source alone has ROC AUC {aucs['source']:.3f}; read docs/results.md#the-audit")


if __name__ == "__main__":
    run_stage(main)
