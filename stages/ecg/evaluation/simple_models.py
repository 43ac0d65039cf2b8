"""The simple models that the audit compares with the model, and its probe of the source."""

from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA, KernelPCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, PolynomialFeatures, StandardScaler
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ecg.beats.measurements import measure_beats
from ecg.beats.windows import beat_times
from ecg.evaluation.bootstrap import bootstrap_intervals, compare_models
from ecg.evaluation.random_convolutions import convolution_features
from ecg.model.comparisons import COMPARISONS, roc_auc, scored_table, select_comparison
from ecg.params import Audit, Evaluate, Extract

STRENGTHS = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]  # inverse of the L2 penalty
CHOOSERS = 3000  # records for the choice of the strength, at most
CONVOLUTIONS, STRENGTH = 9996, 0.001  # features as in the paper; they are as many as the records, or more
FEW = 2000  # records: for fewer, the regression on the convolutions is faster on their principal components
MOST = 30_000  # records to which simple models are fitted, at most: 1.2 GB of convolutions

# Sums must not depend on the number of threads.
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
    folds = StratifiedGroupKFold(3, shuffle=True, random_state=audit.seed).split(rows, rows.label, rows.patient)
    splits = [(chosen[fitted], chosen[left_out]) for fitted, left_out in folds]
    strengths = {"logisticregression__C": STRENGTHS}
    return GridSearchCV(standardised_logistic(), strengths, scoring="neg_log_loss", cv=splits, n_jobs=1)


def convolution_regression(n: int) -> Pipeline:
    """Return a logistic regression on random convolutions of n records.

    Of few records all principal components, found from the n x n products, hold the same as the features.
    """
    regression = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000)
    return make_pipeline(StandardScaler(), KernelPCA() if n < FEW else "passthrough", regression)


@one_thread
def classify(model: Any, train: Any, labels: np.ndarray, test: Any, records: pd.DataFrame) -> pd.DataFrame:
    """Fit a model to features of train; return the records of test with a column p_CLASS for each class."""
    with joblib.parallel_config("threading", n_jobs=-1):
        model.fit(train, labels)
    return scored_table(records, model.classes_, model.predict_proba(test))


@one_thread
def score_simple_models(
    train_beats: np.ndarray,
    train: pd.DataFrame,
    test_beats: np.ndarray,
    test: pd.DataFrame,
    extract: Extract,
    audit: Audit,
) -> dict[str, pd.DataFrame]:
    """Return by simple model the rows of test with its probabilities, fitted to train (n x 12 x samples, mV)."""
    chosen = np.linspace(0, len(train) - 1, min(len(train), MOST)).astype(int)
    train_beats, train, times = train_beats[chosen], train.iloc[chosen], beat_times(extract)
    flat = train_beats.reshape(len(train), -1), test_beats.reshape(len(test), -1)
    convolved = convolution_features(CONVOLUTIONS, train_beats, audit.seed, train_beats, test_beats)
    measured = [np.column_stack(measure_beats(beats, times)) for beats in (train_beats, test_beats)]
    trees = ExtraTreesClassifier(300, min_samples_leaf=2, class_weight="balanced", random_state=audit.seed)
    models = {
        "logistic": (logistic_of_best_strength(train, audit), flat),
        "trees": (trees, flat),
        "random_convolutions": (convolution_regression(len(train)), convolved),
        "st_t": (standardised_logistic(), measured),
    }
    progress = tqdm(models.items(), desc="simple models", disable=None, leave=False)
    return {name: classify(model, seen[0], train.label, seen[1], test) for name, (model, seen) in progress}


def quadratic() -> Pipeline:
    """Return a transform of a number whose risk may peak in its midst to x and x squared; it fills missing numbers."""
    fill = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return make_pipeline(fill, StandardScaler(), PolynomialFeatures(2, include_bias=False), StandardScaler())


def beat_quality(rows: pd.DataFrame) -> np.ndarray:
    return np.column_stack([np.log1p(rows.noise_uv), rows.n_used, rows.n_used / rows.n_beats])


def score_other_models(
    train: pd.DataFrame, test: pd.DataFrame, records: pd.DataFrame
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """Return by model that sees no beat the records of test with its probabilities, and what the data lack for it."""
    both = pd.concat([train, test])
    one_hot = OneHotEncoder(handle_unknown="ignore")
    sees = {
        "age_sex": make_column_transformer((quadratic(), ["age"]), (one_hot, ["sex"])),
        "source": make_column_transformer((one_hot, ["source"])),
        "recorder": make_column_transformer((one_hot, ["device", "site"])),
        "heart_rate": make_column_transformer((quadratic(), ["heart_rate"])),
        "quality": make_pipeline(FunctionTransformer(beat_quality), quadratic()),
    }
    lacking = [name for name, empty in (("age", both.age.isna()), ("sex", both.sex == "")) if empty.all()]
    lacks = dict.fromkeys(sees, "")
    if lacking:
        lacks["age_sex"] = f"no recording has {' or '.join(lacking)}"
    if min(train.source.nunique(), test.source.nunique()) == 1:
        lacks["source"] = "train or test holds one source only"
    if (both[["device", "site"]] == "").all(axis=None):
        lacks["recorder"] = "no recording has device or site"
    usable = [name for name in sees if not lacks[name] or (name == "age_sex" and len(lacking) < 2)]
    models = {name: make_pipeline(sees[name], logistic()) for name in usable}
    return {name: classify(model, train, train.label, test, records) for name, model in models.items()}, lacks


@one_thread
def principal_components(train_beats: np.ndarray, test_beats: np.ndarray, audit: Audit) -> list[np.ndarray]:
    """Return the standardised principal components of standardised beats of train and of test, fitted to train."""
    flat = [beats.reshape(len(beats), -1) for beats in (train_beats, test_beats)]
    pipeline = make_pipeline(
        StandardScaler(), PCA(min(audit.components, len(flat[0]) - 1), random_state=audit.seed), StandardScaler()
    )
    pipeline.fit(flat[0])
    return [pipeline.transform(beats) for beats in flat]


@one_thread
def probe_source(components: list[np.ndarray], train: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """Return the normal recordings of test with a column source_NAME each, a linear model's probability of the source.

    Empty where train or test holds normal recordings of fewer than two sources.
    """
    seen, asked = (train.label == "normal").to_numpy(), (test.label == "normal").to_numpy()
    scored = test.loc[asked, ["record", "patient", "source"]]
    if min(train.source[seen].nunique(), scored.source.nunique()) < 2:
        return scored[:0]
    model = logistic(0.1).fit(components[0][seen], train.source[seen])
    columns = zip(model.classes_, model.predict_proba(components[1][asked]).T, strict=True)
    return scored.assign(**{f"source_{name}": p for name, p in columns})


def probe_row(scored: pd.DataFrame, evaluate: Evaluate) -> dict:
    """Return the macro ROC AUC of each source against the others; 0.5 means that beats do not show their source."""
    row = {"model": "source_probe", "comparison": "source", "n_others": len(scored)}
    if not len(scored):
        return row | {"reason": "fewer than two sources with normal recordings in train and in test"}
    sources = scored.source.to_numpy()
    known = [name for name in np.unique(sources) if f"source_{name}" in scored]

    def macro(weights: np.ndarray) -> np.ndarray:
        aucs = [roc_auc(sources == name, scored[f"source_{name}"].to_numpy(), weights) for name in known]
        return np.mean(aucs, axis=0)[:, None]

    strata, patient = np.unique(sources, return_inverse=True)[1], scored.patient.to_numpy()
    ((low, high),) = bootstrap_intervals(macro, strata, patient, evaluate)
    return row | {"roc_auc": macro(np.ones((1, len(scored))))[0, 0], "low": low, "high": high}


def permuted_rows(runs: list[pd.DataFrame]) -> list[dict]:
    """Return the mean ROC AUC of models trained on permuted labels; low and high hold 95% of the runs."""
    rows = []
    for comparison in COMPARISONS:
        positive, _, _ = select_comparison(runs[0], comparison)
        row = {"model": "permuted", "comparison": comparison}
        row |= {"n_ischemia": positive.sum(), "n_others": (~positive).sum()}
        if positive.all():
            rows.append(row | {"reason": "no such recording in the test split"})
            continue
        aucs = [roc_auc(positive, select_comparison(run, comparison)[1])[0] for run in runs]
        low, high = np.percentile(aucs, [2.5, 97.5])
        rows.append(row | {"roc_auc": np.mean(aucs), "low": low, "high": high})
    return rows


def summarise_audit(
    scored: dict[str, pd.DataFrame], lacks: dict[str, str], permuted: list, probe: pd.DataFrame, evaluate: Evaluate
) -> pd.DataFrame:
    """Return the rows of metrics/audit.csv: scored models, those that the data lack, permuted labels, the probe."""
    rows = compare_models([scored["model"]], scored, evaluate)
    rows = [row | {"reason": row.get("reason") or lacks.get(row["model"], "")} for row in rows]
    rows += [{"model": name, "comparison": "roc_auc", "reason": lacks[name]} for name in lacks if name not in scored]
    rows += [*permuted_rows(permuted), probe_row(probe, evaluate)]
    gains = ["gain", "gain_low", "gain_high"]
    columns = ["model", "comparison", "roc_auc", "low", "high", "n_ischemia", "n_others", *gains, "reason"]
    table = pd.DataFrame(rows).reindex(columns=columns)
    table.loc[table.model == "model", gains] = np.nan
    return table.astype({"n_ischemia": "Int64", "n_others": "Int64"})
