"""What a classifier could know without looking for ischemia, or without a deep network; a probe of the source."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler

from ecg.evaluation.bootstrap import auc_row, bootstrap_intervals
from ecg.evaluation.questions import QUESTIONS, select_question
from ecg.evaluation.roc import delong, roc_auc
from ecg.params import Audit, Evaluate


def logistic(c: float = 1.0) -> LogisticRegression:
    return LogisticRegression(C=c, max_iter=5000)


def quadratic() -> Pipeline:
    """Return a transform for a number whose risk may peak in its midst: missing ones filled, then x and x squared."""
    fill = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return make_pipeline(fill, StandardScaler(), PolynomialFeatures(2, include_bias=False), StandardScaler())


def principal_components(beats: np.ndarray, train: np.ndarray, audit: Audit) -> np.ndarray:
    """Return the standardised principal components, fitted on the train rows, of standardised beats."""
    flat = beats.reshape(len(beats), -1).astype(np.float64)
    n = min(audit.components, int(train.sum()) - 1, flat.shape[1])
    pipeline = make_pipeline(StandardScaler(), PCA(n, random_state=audit.seed), StandardScaler())
    return pipeline.fit(flat[train]).transform(flat)


def build_models(table: pd.DataFrame, st_t: np.ndarray, linear: np.ndarray) -> dict[str, tuple]:
    """Return of each model by name: what it sees of the records (None: nothing), the model, what the data lacks."""
    one_hot = OneHotEncoder(handle_unknown="ignore")
    one_source = "train or test holds one source only" if table.groupby("split").source.nunique().min() == 1 else ""
    lacking = [name for name, empty in (("age", table.age.isna()), ("sex", table.sex == "")) if empty.all()]
    person = make_column_transformer((quadratic(), ["age"]), (one_hot, ["sex"]))
    quality = np.column_stack([np.log1p(table.noise_uv), table.n_used, table.n_used / table.n_beats])
    no_person = f"no recording has {' or '.join(lacking)}" if lacking else ""
    return {
        "source": (None if one_source else table[["source"]], make_pipeline(one_hot, logistic()), one_source),
        "age_sex": (None if len(lacking) == 2 else table[["age", "sex"]], make_pipeline(person, logistic()), no_person),
        "heart_rate": (table[["heart_rate"]], make_pipeline(quadratic(), logistic()), ""),
        "quality": (quality, make_pipeline(quadratic(), logistic()), ""),
        "st_t": (st_t, make_pipeline(StandardScaler(), logistic()), ""),
        "linear": (linear, logistic(0.1), ""),
    }


def classify(model: Any, features: Any, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> dict:
    """Fit on the train rows (`labels` are theirs) of a table or array; return a column p_CLASS of the test rows."""
    model.fit(features[train], labels)
    return {f"p_{name}": p for name, p in zip(model.classes_, model.predict_proba(features[test]).T, strict=True)}


def auc_rows(model: str, scored: pd.DataFrame, fcn: pd.DataFrame, evaluate: Evaluate) -> list[dict]:
    """Return the rows of metrics/audit.csv for one model, set beside the FCN on the same records."""
    rows = []
    for question in QUESTIONS:
        row = {"model": model, "question": question} | auc_row(scored, question, evaluate)
        if model != "fcn" and "value" in row:
            positive, score, _ = select_question(scored, question)
            row["fcn_minus_model"], row["p_delong"] = delong(positive, select_question(fcn, question)[1], score)
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
    columns = zip(model.classes_, model.predict_proba(linear[test]).T, strict=True)
    return scored.assign(**{f"source_{name}": p for name, p in columns})


def probe_row(scored: pd.DataFrame, evaluate: Evaluate) -> dict:
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
    ((low, high),) = bootstrap_intervals(macro, strata, patient, evaluate)
    return row | {"value": macro(np.ones((1, len(scored))))[0, 0], "low": low, "high": high}


def permuted_rows(runs: list[pd.DataFrame]) -> list[dict]:
    """Return the mean ROC AUC of the models that were trained on permuted labels; low and high hold 95% of the runs."""
    rows = []
    for question in QUESTIONS:
        positive, _, _ = select_question(runs[0], question)
        row = {"model": "permuted", "question": question, "n_ischemia": positive.sum(), "n_others": (~positive).sum()}
        if positive.all():
            rows.append(row | {"reason": "no such recording in the test split"})
            continue
        aucs = [roc_auc(positive, select_question(run, question)[1])[0] for run in runs]
        low, high = np.percentile(aucs, [2.5, 97.5])
        rows.append(row | {"value": np.mean(aucs), "low": low, "high": high})
    return rows


def summarise(
    scored: dict[str, pd.DataFrame], lacks: dict[str, str], permuted: list, probe: pd.DataFrame, evaluate: Evaluate
) -> pd.DataFrame:
    """Return the rows of metrics/audit.csv: scored models, those that the data lack, permuted labels, the probe."""
    rows = [row for name, values in scored.items() for row in auc_rows(name, values, scored["fcn"], evaluate)]
    rows = [row | {"reason": row.get("reason") or lacks.get(row["model"], "")} for row in rows]
    rows += [{"model": name, "question": "roc_auc", "reason": lacks[name]} for name in lacks if name not in scored]
    rows += [*permuted_rows(permuted), probe_row(probe, evaluate)]
    columns = ["model", "question", "roc_auc", "low", "high", "n_ischemia", "n_others"]
    columns += ["fcn_minus_model", "p_delong", "reason"]
    table = pd.DataFrame(rows).rename(columns={"value": "roc_auc"}).reindex(columns=columns)
    return table.astype({"n_ischemia": "Int64", "n_others": "Int64"})
