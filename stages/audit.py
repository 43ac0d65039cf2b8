"""What a classifier could know without looking for ischemia: simpler models, the same split; a probe of the source.

Reads   data/predictions.csv, data/beats.npy, data/beats.csv, data/recordings.csv, data/split.csv
Writes  data/audit.csv      each model's probabilities on the test split
        metrics/audit.json  the ROC AUC against normal of each model
        metrics/audit.csv   each model and question: ROC AUC, interval, difference from the FCN with DeLong's test
        metrics/audit.png   the same as a forest plot
"""

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ecg.beats.measurements import measure_beats
from ecg.beats.windows import beat_times
from ecg.evaluation.names import data_kind
from ecg.evaluation.simple_models import build_models, classify, logistic, principal_components, probe_source, summarise
from ecg.params import read_params
from ecg.reporting.figures import save_figure
from ecg.reporting.forest import plot_audit
from ecg.stage import paths
from ecg.stage.files import replacing, write_json
from ecg.stage.script import run_stage, warn
from ecg.stage.tables import load_split, read_table

# From here on the source alone tells too much for the FCN's number to be believed unseen.
SOURCE_LIMIT = 0.6


# Sums must not depend on how many threads there are.
@threadpool_limits.wrap(limits=1)
def main() -> None:
    params = read_params()
    audit = params.audit
    (train_beats, train_table), (test_beats, test_table) = load_split("train"), load_split("test")
    beats = np.concatenate([train_beats, test_beats])
    table = pd.concat([train_table, test_table], ignore_index=True)
    table = table.merge(read_table(paths.RECORDINGS_TABLE)[["record", "age", "sex"]], on="record")
    table = table.merge(read_table(paths.BEATS_TABLE), on="record")
    train, test = (table.split == "train").to_numpy(), (table.split == "test").to_numpy()
    labels = table.label[train].to_numpy()
    fcn = read_table(paths.PREDICTIONS).set_index("record").loc[table.record[test]].reset_index()
    records = table.loc[test, ["record", "patient", "source", "label"]].reset_index(drop=True)

    linear = principal_components(beats, train, audit)
    scored = {"fcn": records.assign(**{column: fcn[column] for column in fcn if column.startswith("p_")})}
    # How far one gets by telling what is not normal, ischemic or not.
    scored["not_normal"] = scored["fcn"].assign(p_ischemia=1 - fcn.p_normal)
    measured, lacks = np.column_stack(measure_beats(beats, beat_times(params.extract))), {}
    for name, (features, model, lack) in build_models(table, measured, linear).items():
        lacks[name] = lack
        if features is not None:
            scored[name] = records.assign(**classify(model, features, labels, train, test))
    rng, permuted = np.random.default_rng(audit.seed), []
    for _ in tqdm(range(audit.permutations), desc="permutations", disable=None):
        permuted.append(records.assign(**classify(logistic(0.1), linear, rng.permutation(labels), train, test)))
    probe = probe_source(linear, table)

    summary = summarise(scored, lacks, permuted, probe, params.evaluate)
    headline = summary[summary.question.isin(["roc_auc", "source"])].set_index("model")
    numbers = {**headline.roc_auc, "linear_p_delong": headline.p_delong["linear"]}
    numbers = {name: None if pd.isna(value) else value for name, value in numbers.items()}

    scored |= {f"permuted-{number}": values for number, values in enumerate(permuted, start=1)}
    everything = pd.concat([values.assign(model=name) for name, values in [*scored.items(), ("source_probe", probe)]])
    with replacing(paths.AUDIT_PREDICTIONS) as temporary:
        everything.drop(columns="source").to_csv(temporary, index=False)
    write_json(paths.AUDIT_METRICS, numbers)
    with replacing(paths.AUDIT_TABLE) as temporary:
        summary.to_csv(temporary, index=False, float_format="%.9g")
    save_figure(plot_audit(summary, f"{test.sum()} test {data_kind(table.source)}"), paths.AUDIT_PNG)
    shown = [f"{name} {numbers[name]:.3f}" for name in ("fcn", "linear", "st_t", "age_sex", "source") if numbers[name]]
    print(f"ROC AUC against normal: {', '.join(shown)}")
    if (numbers["source"] or 0) > SOURCE_LIMIT:
        warn(
            f"the source alone tells ischemia from normal with ROC AUC {numbers['source']:.3f}, above {SOURCE_LIMIT}: "
            "the FCN may have learnt the recorder; see docs/results.md"
        )


if __name__ == "__main__":
    run_stage(main)
