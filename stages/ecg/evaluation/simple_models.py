"""What a classifier could know without looking for ischemia, or without a deep network; a probe of the source."""

from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler
from threadpoolctl import threadpool_limits

from ecg.beats.measurements import measure_beats
from ecg.beats.windows import beat_times
from ecg.evaluation.bootstrap import bootstrap_intervals, compare_models
from ecg.evaluation.random_convolutions import convolution_features
from ecg.model.comparisons import COMPARISONS, roc_auc, select_comparison
from ecg.model.trees import evenly
from ecg.params import Audit, Evaluate, Extract

STRENGTHS = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]  # inverse of the L2 penalty
CHOOSERS = 3000  # records that the choice of the strength needs, at most
CONVOLUTIONS, STRENGTH = 9996, 0.001  # features as in the paper; they are as many as the records, or more
MOST = 30_000  # records that trees and random convolutions are fitted to: 1.2 GB of features

# Sums must not depend on how many threads there are.
one_thread = threadpool_limits.wrap(limits=1)


def logistic(c: float = 1.0) -> LogisticRegression:
    return LogisticRegression(C=c, max_iter=5000)


def standardised_logistic(c: float = 1.0) -> Pipeline:
    return make_pipeline(StandardScaler(), logistic(c))


def logistic_of_best_strength(train: pd.DataFrame, audit: Audit) -> GridSearchCV:
    """Return a logistic regression whose L2 penalty is chosen by the likelihood of left-out patients of `train`."""
    rng = np.random.default_rng(audit.seed)
    chosen = np.sort(rng.permutation(len(train))[:CHOOSERS])
    rows = train.iloc[chosen]
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=audit.seed).split(rows, rows.label, rows.patient)
    splits = [(chosen[fitted], chosen[left_out]) for fitted, left_out in folds]
    strengths = {"logisticregression__C": STRENGTHS}
    return GridSearchCV(standardised_logistic(), strengths, scoring="neg_log_loss", cv=splits)


def quadratic() -> Pipeline:
    """Return a transform for a number whose risk may peak in its midst: missing ones filled, then x and x squared."""
    fill = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return make_pipeline(fill, StandardScaler(), PolynomialFeatures(2, include_bias=False), StandardScaler())


@one_thread
def principal_components(flat: np.ndarray, train: slice, audit: Audit) -> np.ndarray:
    """Return the standardised principal components, fitted on the train rows, of standardised flat beats."""
    n = min(audit.components, len(flat[train]) - 1, flat.shape[1])
    pipeline = make_pipeline(StandardScaler(), PCA(n, random_state=audit.seed), StandardScaler())
    return pipeline.fit(flat[train]).transform(flat)


def simple_models(
    beats: np.ndarray, rows: pd.DataFrame, train: slice, extract: Extract, audit: Audit
) -> dict[str, tuple[np.ndarray, Any]]:
    """Return of each simple model by name what it sees of beats (n x 12 x samples, mV), and the model."""
    flat = beats.reshape(len(beats), -1)
    trees = ExtraTreesClassifier(300, min_samples_leaf=2, class_weight="balanced", random_state=audit.seed)
    regression = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000)
    return {
        "logistic": (flat, logistic_of_best_strength(rows[train], audit)),
        "trees": (flat, trees),
        "random_convolutions": (
            convolution_features(CONVOLUTIONS, beats[train], beats, audit.seed),
            make_pipeline(StandardScaler(), regression),
        ),
        "st_t": (np.column_stack(measure_beats(beats, beat_times(extract))), standardised_logistic()),
    }


def other_models(table: pd.DataFrame) -> dict[str, tuple]:
    """Return of each model that sees no beat what it sees of the records (None: nothing), the model, and the reason."""
    one_hot = OneHotEncoder(handle_unknown="ignore")
    one_source = "train or test holds one source only" if table.groupby("split").source.nunique().min() == 1 else ""
    lacking = [name for name, empty in (("age", table.age.isna()), ("sex", table.sex == "")) if empty.all()]
    person = make_column_transformer((quadratic(), ["age"]), (one_hot, ["sex"]))
    quality = np.column_stack([np.log1p(table.noise_uv), table.n_used, table.n_used / table.n_beats])
    no_person = f"no recording has {' or '.join(lacking)}" if lacking else ""
    recorder = table[["device", "site"]]
    no_recorder = "" if (recorder != "").any(axis=None) else "no recording has device or site"
    return {
        "age_sex": (None if len(lacking) == 2 else table[["age", "sex"]], make_pipeline(person, logistic()), no_person),
        "source": (None if one_source else table[["source"]], make_pipeline(one_hot, logistic()), one_source),
        "recorder": (None if no_recorder else recorder, make_pipeline(one_hot, logistic()), no_recorder),
        "heart_rate": (table[["heart_rate"]], make_pipeline(quadratic(), logistic()), ""),
        "quality": (quality, make_pipeline(quadratic(), logistic()), ""),
    }


@one_thread
def classify(model: Any, features: Any, labels: np.ndarray, train: slice, test: slice) -> dict:
    """Fit on the train rows (`labels` are theirs) of a table or array; return a column p_CLASS of the test rows."""
    seen, chosen = features[train], evenly(len(labels), MOST)
    # For the choice of the penalty, and trees. Threads change no fit.
    with joblib.parallel_config("threading", n_jobs=-1):
        model.fit(seen.iloc[chosen] if isinstance(seen, pd.DataFrame) else seen[chosen], labels[chosen])
    return {f"p_{name}": p for name, p in zip(model.classes_, model.predict_proba(features[test]).T, strict=True)}


@one_thread
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
    row = {"model": "source_probe", "comparison": "source", "n_others": len(scored)}
    if not len(scored):
        return row | {"reason": "fewer than two sources with normal recordings in train and in test"}
    sources = scored.source.to_numpy()
    known = [name for name in np.unique(sources) if f"source_{name}" in scored]

    def macro(weights):
        aucs = [roc_auc(sources == name, scored[f"source_{name}"].to_numpy(), weights) for name in known]
        return np.mean(aucs, axis=0)[:, None]

    strata, patient = np.unique(sources, return_inverse=True)[1], scored.patient.to_numpy()
    ((low, high),) = bootstrap_intervals(macro, strata, patient, evaluate)
    return row | {"roc_auc": macro(np.ones((1, len(scored))))[0, 0], "low": low, "high": high}


def permuted_rows(runs: list[pd.DataFrame]) -> list[dict]:
    """Return the mean ROC AUC of the models that were trained on permuted labels; low and high hold 95% of the runs."""
    rows = []
    for comparison in COMPARISONS:
        positive, _, _ = select_comparison(runs[0], comparison)
        row = {
            "model": "permuted",
            "comparison": comparison,
            "n_ischemia": positive.sum(),
            "n_others": (~positive).sum(),
        }
        if positive.all():
            rows.append(row | {"reason": "no such recording in the test split"})
            continue
        aucs = [roc_auc(positive, select_comparison(run, comparison)[1])[0] for run in runs]
        low, high = np.percentile(aucs, [2.5, 97.5])
        rows.append(row | {"roc_auc": np.mean(aucs), "low": low, "high": high})
    return rows


def summarise(
    scored: dict[str, pd.DataFrame], lacks: dict[str, str], permuted: list, probe: pd.DataFrame, evaluate: Evaluate
) -> pd.DataFrame:
    """Return the rows of metrics/audit.csv: scored models, those that the data lack, permuted labels, the probe."""
    # The network's too, which is set beside each on the same records.
    rows = compare_models([scored["model"]], scored, evaluate)
    rows = [row | {"reason": row.get("reason") or lacks.get(row["model"], "")} for row in rows]
    rows += [{"model": name, "comparison": "roc_auc", "reason": lacks[name]} for name in lacks if name not in scored]
    rows += [*permuted_rows(permuted), probe_row(probe, evaluate)]
    columns = ["model", "comparison", "roc_auc", "low", "high", "n_ischemia", "n_others"]
    differences = ["gain", "gain_low", "gain_high"]
    table = pd.DataFrame(rows).reindex(columns=[*columns, *differences, "reason"])
    table.loc[table.model == "model", differences] = np.nan
    return table.astype({"n_ischemia": "Int64", "n_others": "Int64"})
