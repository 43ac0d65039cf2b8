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
from ecg.evaluation.simple_models import (
    auc_rows,
    classify,
    logistic,
    permuted_rows,
    principal_components,
    probe_row,
    probe_source,
    simple_models,
)
from ecg.params import Evaluate, read_params
from ecg.reporting.figures import save_figure
from ecg.reporting.forest import plot_audit
from ecg.stage import paths
from ecg.stage.files import replacing, write_json
from ecg.stage.script import run_stage, warn
from ecg.stage.tables import load_split, read_table

# From here on the source alone tells too much for the FCN's number to be believed unseen.
SOURCE_LIMIT = 0.6


def audit_table(
    scored: dict[str, pd.DataFrame],
    lacks: dict[str, str],
    permuted: list[pd.DataFrame],
    probe: pd.DataFrame,
    evaluate: Evaluate,
) -> pd.DataFrame:
    """Return the rows of metrics/audit.csv: scored models, those that the data lack, permuted labels, the probe."""
    rows = [row for name, values in scored.items() for row in auc_rows(name, values, scored["fcn"], evaluate)]
    rows = [row | {"reason": row.get("reason") or lacks.get(row["model"], "")} for row in rows]
    rows += [{"model": name, "question": "roc_auc", "reason": lacks[name]} for name in lacks if name not in scored]
    rows += [*permuted_rows(permuted), probe_row(probe, evaluate)]
    columns = ["model", "question", "roc_auc", "low", "high", "n_ischemia", "n_others"]
    table = pd.DataFrame(rows).reindex(columns=[*columns, "fcn_minus_model", "p_delong", "reason"])
    return table.astype({"n_ischemia": "Int64", "n_others": "Int64"})


# Sums must not depend on how many threads there are.
@threadpool_limits.wrap(limits=1)
def main() -> None:
    params = read_params()
    audit = params.audit
    (train_beats, train_table), (test_beats, test_table) = load_split("train"), load_split("test")
    beats = np.concatenate([train_beats, test_beats])
    table = pd.concat([train_table, test_table], ignore_index=True)
    table = table.merge(read_table(paths.RECORDINGS_TABLE)[["record", "age", "sex"]], on="record")
    table = table.merge(
        read_table(paths.BEATS_TABLE)[["record", "n_beats", "n_used", "heart_rate", "noise_uv"]], on="record"
    )
    train, test = (table.split == "train").to_numpy(), (table.split == "test").to_numpy()
    labels = table.label[train].to_numpy()
    predictions = read_table(paths.PREDICTIONS)
    fcn = predictions[predictions.split == "test"].set_index("record").loc[table.record[test]].reset_index()
    records = table.loc[test, ["record", "patient", "source", "label"]].reset_index(drop=True)

    linear = principal_components(beats, train, audit)
    scored = {"fcn": records.assign(**{column: fcn[column] for column in fcn if column.startswith("p_")})}
    # How far one gets by telling what is not normal, ischemic or not.
    scored["not_normal"] = scored["fcn"].assign(p_ischemia=1 - fcn.p_normal)
    measured, lacks = np.column_stack(measure_beats(beats, beat_times(params.extract))), {}
    for name, (features, model, lack) in simple_models(table, measured, linear).items():
        lacks[name] = lack
        if features is not None:
            scored[name] = records.assign(**classify(model, features, labels, train, test))
    rng, permuted = np.random.default_rng(audit.seed), []
    for _ in tqdm(range(audit.permutations), desc="permutations", disable=None):
        columns = classify(logistic(0.1), pd.DataFrame(linear), rng.permutation(labels), train, test)
        permuted.append(records.assign(**columns))
    probe = probe_source(linear, table)

    summary = audit_table(scored, lacks, permuted, probe, params.evaluate)
    headline = summary[summary.question.isin(["roc_auc", "source"])].set_index("model")
    numbers = {name: float(auc) if pd.notna(auc) else None for name, auc in headline.roc_auc.items()}
    p = headline.p_delong["linear"]
    numbers["linear_p_delong"] = float(p) if pd.notna(p) else None

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
