"""What a classifier could know without looking for ischemia: simpler models, the same split; a probe of the source.

Reads   data/predictions.csv, data/beats.npy, data/split.csv
Writes  data/audit.csv      each model's probabilities on the test split
        metrics/audit.csv   each model and comparison: ROC AUC, interval, the network's gain with its interval
        metrics/audit.png   the same as a forest plot
"""

import numpy as np
import pandas as pd
from tqdm import tqdm

from ecg.evaluation import simple_models as models
from ecg.evaluation.names import SIMPLE_MODELS, SOURCE_LIMIT, data_kind, say_gain, strongest_simple
from ecg.params import read_params
from ecg.reporting.charts import plot_audit
from ecg.reporting.figures import save_figure
from ecg.run import paths
from ecg.run.files import load_split, read_table, replacing
from ecg.run.script import run_stage, warn


def main() -> None:
    params = read_params()
    audit = params.audit
    (train_beats, train_table), (test_beats, test_table) = load_split("train"), load_split("test")
    beats = np.concatenate([train_beats, test_beats])
    table = pd.concat([train_table, test_table], ignore_index=True)
    # Views, where masks would copy.
    train, test = slice(len(train_beats)), slice(len(train_beats), None)
    labels = table.label[train].to_numpy()
    network = read_table(paths.PREDICTIONS).set_index("record").loc[table.record[test]].reset_index()
    records = table[["record", "patient", "source", "label"]][test].reset_index(drop=True)

    scored = {"model": records.assign(**{column: network[column] for column in network if column.startswith("p_")})}
    # How far one gets by telling what is not normal, ischemic or not.
    scored["not_normal"] = scored["model"].assign(p_ischemia=1 - network.p_normal)
    lacks = {}
    simple = models.simple_models(beats, table, train, params.extract, audit)
    seen = {name: (*model, "") for name, model in simple.items()}
    for name, (features, model, lack) in tqdm((seen | models.other_models(table)).items(), desc="models", disable=None):
        lacks[name] = lack
        if features is not None:
            scored[name] = records.assign(**models.classify(model, features, labels, train, test))
    components = models.principal_components(beats.reshape(len(beats), -1), train, audit)
    rng, permuted = np.random.default_rng(audit.seed), []
    for _ in tqdm(range(audit.permutations), desc="permutations", disable=None):
        shuffled = rng.permutation(labels)
        permuted.append(records.assign(**models.classify(models.logistic(0.1), components, shuffled, train, test)))
    probe = models.probe_source(components, table)

    summary = models.summarise(scored, lacks, permuted, probe, params.evaluate).round(4)
    scored |= {f"permuted-{number}": values for number, values in enumerate(permuted, start=1)}
    everything = pd.concat([values.assign(model=name) for name, values in [*scored.items(), ("source_probe", probe)]])
    with replacing(paths.AUDIT_PREDICTIONS) as temporary:
        everything.drop(columns="source").to_csv(temporary, index=False)
    with replacing(paths.AUDIT_TABLE) as temporary:
        summary.to_csv(temporary, index=False)
    save_figure(plot_audit(summary, f"{len(records)} test {data_kind(records.source)}"), paths.AUDIT_PNG)
    shown = ("model", *SIMPLE_MODELS, "age_sex", "source", "recorder")
    aucs = summary[summary.comparison == "roc_auc"].set_index("model").roc_auc.dropna()
    print(f"ROC AUC against normal: {', '.join(f'{name} {aucs[name]:.3f}' for name in shown if name in aucs)}")
    for row in strongest_simple(summary).to_dict("records"):
        print(f"model {say_gain(row)}")
    if aucs.get("source", 0) > SOURCE_LIMIT:
        warn(
            f"the source alone tells ischemia from normal with ROC AUC {aucs['source']:.3f}, above {SOURCE_LIMIT}: "
            "the model may have learnt the recorder; see docs/results.md"
        )


if __name__ == "__main__":
    run_stage(main)
