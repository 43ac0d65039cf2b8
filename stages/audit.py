"""What a classifier could know without looking for ischemia: simpler models, the same split; a probe of the source.

Reads   data/predictions.csv, data/beats.npy, data/beats.csv, data/recordings.csv, data/split.csv
Writes  data/audit.csv      each model's probabilities on the test split
        metrics/audit.json  the ROC AUC against normal of each model
        metrics/audit.csv   each model and question: ROC AUC, interval, difference from the FCN with DeLong's test
        metrics/audit.png   the same as a forest plot
"""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ecg.beats.measurements import measure_beats
from ecg.beats.median import window_times
from ecg.evaluation.names import data_kind
from ecg.evaluation.scores import QUESTIONS, ask, auc_interval, bootstrap_intervals, delong, roc_auc
from ecg.params import read_params
from ecg.reporting.figures import save_figure
from ecg.reporting.forest import plot_audit
from ecg.stage.files import replacing, write_json
from ecg.stage.paths import BEATS_TABLE as QUALITY
from ecg.stage.script import run_stage, warn
from ecg.stage.tables import load_split, read_table

PREDICTIONS = Path("data/predictions.csv")
INDEX = Path("data/recordings.csv")
SCORES = Path("data/audit.csv")
METRICS = Path("metrics/audit.json")
TABLE = Path("metrics/audit.csv")
PICTURE = Path("metrics/audit.png")

# From here on the source alone tells too much for the FCN's number to be believed unseen.
SOURCE_LIMIT = 0.6


def logistic(c: float = 1.0) -> LogisticRegression:
    return LogisticRegression(C=c, max_iter=5000)


def parabola() -> Pipeline:
    """Return a transform for a number whose risk may peak in its midst: missing ones filled, then x and x squared."""
    fill = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return make_pipeline(fill, StandardScaler(), PolynomialFeatures(2, include_bias=False), StandardScaler())


def compress(beats: np.ndarray, train: np.ndarray, *, components: int, seed: int) -> np.ndarray:
    """Return the standardised principal components, fitted on the train rows, of standardised beats."""
    flat = beats.reshape(len(beats), -1).astype(np.float64)
    n = min(components, int(train.sum()) - 1, flat.shape[1])
    pipeline = make_pipeline(StandardScaler(), PCA(n, random_state=seed), StandardScaler())
    return pipeline.fit(flat[train]).transform(flat)


def baselines(table: pd.DataFrame, st_t: np.ndarray, linear: np.ndarray) -> dict[str, tuple]:
    """Return of each model by name: what it sees of the records (None: nothing), the model, what the data lacks."""
    one_hot = OneHotEncoder(handle_unknown="ignore")
    one_source = table.groupby("split").source.nunique().min() == 1
    lacking = [name for name, empty in (("age", table.age.isna()), ("sex", table.sex == "")) if empty.all()]
    person = make_column_transformer((parabola(), ["age"]), (one_hot, ["sex"]))
    quality = pd.DataFrame(
        {"noise": np.log1p(table.noise_uv), "used": table.n_used, "share": table.n_used / table.n_beats}
    )
    person_lacks = f"no recording has {' or '.join(lacking)}" if lacking else ""
    return {
        "source": (None, None, "train or test holds one source only")
        if one_source
        else (table[["source"]], make_pipeline(one_hot, logistic()), ""),
        "age_sex": (
            None if len(lacking) == 2 else table[["age", "sex"]],
            make_pipeline(person, logistic()),
            person_lacks,
        ),
        "heart_rate": (table[["heart_rate"]], make_pipeline(parabola(), logistic()), ""),
        "quality": (quality, make_pipeline(parabola(), logistic()), ""),
        "st_t": (pd.DataFrame(st_t), make_pipeline(StandardScaler(), logistic()), ""),
        "linear": (pd.DataFrame(linear), logistic(0.1), ""),
    }


def classify(model, seen: pd.DataFrame, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> dict:
    """Fit on the train rows (`labels` are theirs); return a column p_CLASS of the test rows."""
    model.fit(seen[train], labels)
    return {f"p_{name}": p for name, p in zip(model.classes_, model.predict_proba(seen[test]).T, strict=True)}


def auc_rows(model: str, scored: pd.DataFrame, fcn: pd.DataFrame, **resampling) -> list[dict]:
    """Return the rows of metrics/audit.csv for one model, set beside the FCN on the same records."""
    rows = []
    for question in QUESTIONS:
        positive, score, patient = ask(scored, question)
        row = {"model": model, "question": question}
        row |= {"n_ischemia": int(positive.sum()), "n_others": int((~positive).sum())}
        if positive.all():
            rows.append(row | {"reason": "no such recording in the test split"})
            continue
        row["roc_auc"] = float(roc_auc(positive, score)[0])
        row["low"], row["high"] = auc_interval(positive, score, patient, **resampling)
        if model != "fcn":
            row["fcn_minus_model"], row["p_delong"] = delong(positive, ask(fcn, question)[1], score)
        rows.append(row)
    return rows


def probe_source(linear: np.ndarray, table: pd.DataFrame) -> pd.DataFrame:
    """Return of the normal test recordings a column source_NAME, the probability that a linear model gives each source.

    Empty where train or test holds normal recordings of fewer than two sources.
    """
    normal = table.label == "normal"
    train, test = (normal & (table.split == "train")).to_numpy(), (normal & (table.split == "test")).to_numpy()
    scored = table.loc[test, ["record", "patient", "source"]]
    if min(table.source[train].nunique(), scored.source.nunique()) < 2:
        return scored[:0]
    model = logistic(0.1).fit(linear[train], table.source[train])
    told = zip(model.classes_, model.predict_proba(linear[test]).T, strict=True)
    return scored.assign(**{f"source_{name}": p for name, p in told})


def probe_row(scored: pd.DataFrame, **resampling) -> dict:
    """Return the macro ROC AUC of telling each source from the others, 0.5 where it cannot be told."""
    row = {"model": "source_probe", "question": "source", "n_others": len(scored)}
    if not len(scored):
        return row | {"reason": "fewer than two sources with normal recordings in train and in test"}
    sources = scored.source.to_numpy()
    known = [name for name in np.unique(sources) if f"source_{name}" in scored]

    def macro(weights):
        aucs = [roc_auc(sources == name, scored[f"source_{name}"].to_numpy(), weights) for name in known]
        return np.mean(aucs, axis=0)[:, None]

    strata, patient = np.unique(sources, return_inverse=True)[1], scored.patient.to_numpy()
    ((low, high),) = bootstrap_intervals(macro, strata, patient, **resampling)
    return row | {"roc_auc": float(macro(np.ones((1, len(scored))))[0, 0]), "low": low, "high": high}


def permuted_rows(runs: list[pd.DataFrame]) -> list[dict]:
    """Return the mean ROC AUC of the models that were trained on permuted labels; low and high hold 95% of the runs."""
    rows = []
    for question in QUESTIONS:
        positive, _, _ = ask(runs[0], question)
        row = {"model": "permuted", "question": question}
        row |= {"n_ischemia": int(positive.sum()), "n_others": int((~positive).sum())}
        if positive.all():
            rows.append(row | {"reason": "no such recording in the test split"})
            continue
        aucs = [float(roc_auc(positive, ask(run, question)[1])[0]) for run in runs]
        low, high = np.percentile(aucs, [2.5, 97.5])
        rows.append(row | {"roc_auc": np.mean(aucs), "low": low, "high": high})
    return rows


# Sums must not depend on how many threads there are.
@threadpool_limits.wrap(limits=1)
def main() -> None:
    params = read_params()
    audit, resampling = params.audit, {"n": params.evaluate.bootstrap, "seed": params.evaluate.seed}
    (train_beats, train_table), (test_beats, test_table) = load_split("train"), load_split("test")
    beats = np.concatenate([train_beats, test_beats])
    table = pd.concat([train_table, test_table], ignore_index=True)
    table = table.merge(read_table(INDEX)[["record", "age", "sex"]], on="record")
    table = table.merge(read_table(QUALITY)[["record", "n_beats", "n_used", "heart_rate", "noise_uv"]], on="record")
    train, test = (table.split == "train").to_numpy(), (table.split == "test").to_numpy()
    labels = table.label[train].to_numpy()
    fcn = read_table(PREDICTIONS)
    fcn = fcn[fcn.split == "test"].set_index("record").loc[table.record[test]].reset_index()
    asked = table.loc[test, ["record", "patient", "source", "label"]].reset_index(drop=True)

    extract = params.extract
    times = window_times(extract.window_start, extract.window_end, extract.sampling_rate)
    linear = compress(beats, train, components=audit.components, seed=audit.seed)
    scored = {"fcn": asked.assign(**{column: fcn[column] for column in fcn if column.startswith("p_")})}
    # How far one gets by telling what is not normal, ischemic or not.
    scored["not_normal"] = scored["fcn"].assign(p_ischemia=1 - fcn.p_normal)
    lacks = {}
    for name, (seen, model, lack) in baselines(table, np.column_stack(measure_beats(beats, times)), linear).items():
        lacks[name] = lack
        if seen is not None:
            scored[name] = asked.assign(**classify(model, seen, labels, train, test))
    rng, shuffled = np.random.default_rng(audit.seed), []
    for _ in tqdm(range(audit.permutations), desc="permutations", disable=None):
        columns = classify(logistic(0.1), pd.DataFrame(linear), rng.permutation(labels), train, test)
        shuffled.append(asked.assign(**columns))
    probe = probe_source(linear, table)

    rows = [row for name, values in scored.items() for row in auc_rows(name, values, scored["fcn"], **resampling)]
    rows = [row | {"reason": row.get("reason") or lacks.get(row["model"], "")} for row in rows]
    rows += [{"model": name, "question": "roc_auc", "reason": lacks[name]} for name in lacks if name not in scored]
    rows += [*permuted_rows(shuffled), probe_row(probe, **resampling)]
    columns = ["model", "question", "roc_auc", "low", "high", "n_ischemia", "n_others"]
    summary = pd.DataFrame(rows).reindex(columns=[*columns, "fcn_minus_model", "p_delong", "reason"])
    summary = summary.astype({"n_ischemia": "Int64", "n_others": "Int64"})
    headline = summary[summary.question.isin(["roc_auc", "source"])].set_index("model")
    numbers = {name: float(auc) if pd.notna(auc) else None for name, auc in headline.roc_auc.items()}
    p = headline.p_delong["linear"]
    numbers["linear_p_delong"] = float(p) if pd.notna(p) else None

    scored |= {f"permuted-{number}": values for number, values in enumerate(shuffled, start=1)}
    everything = pd.concat([values.assign(model=name) for name, values in [*scored.items(), ("source_probe", probe)]])
    with replacing(SCORES) as temporary:
        everything.drop(columns="source").to_csv(temporary, index=False)
    write_json(METRICS, numbers)
    with replacing(TABLE) as temporary:
        summary.to_csv(temporary, index=False, float_format="%.9g")
    save_figure(plot_audit(summary, f"{test.sum()} test {data_kind(table.source)}"), PICTURE)
    told = [f"{name} {numbers[name]:.3f}" for name in ("fcn", "linear", "st_t", "age_sex", "source") if numbers[name]]
    print(f"ROC AUC against normal: {', '.join(told)}")
    if (numbers["source"] or 0) > SOURCE_LIMIT:
        warn(
            f"the source alone tells ischemia from normal with ROC AUC {numbers['source']:.3f}, above {SOURCE_LIMIT}: "
            "the FCN may have learnt the recorder; see Read the audit in README.md"
        )


if __name__ == "__main__":
    run_stage(main)
