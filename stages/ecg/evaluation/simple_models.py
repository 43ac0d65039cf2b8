"""The simple models that the audit compares with the model, and its probe of the source."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
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
from ecg.evaluation.bootstrap import bootstrap_intervals, compare_models, too_few
from ecg.evaluation.random_convolutions import convolution_features
from ecg.model.comparisons import COMPARISONS, roc_auc, scored_table, select_comparison
from ecg.params import Audit, Evaluate, Params

STRENGTHS = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]  # inverse of the L2 penalty
CHOOSERS = 3000  # maximum number of records for the choice of the strength
COLUMNS = ["model", "comparison", "roc_auc", "low", "high", "n_ischemia", "n_others"]
CONVOLUTIONS, STRENGTH = 9996, 0.001  # number of features as in the paper; strong penalty, as records are no more
FEW = 2000  # records; for fewer, the regression on the convolutions is faster on their principal components
MOST = 30_000  # maximum number of records to which simple models are fitted: 1.2 GB of convolutions

# Sums must not depend on the number of threads.
one_thread = threadpool_limits.wrap(limits=1)


def standardised_logistic(c: float = 1.0) -> Pipeline:
    """Return a logistic regression on standardised features; `c` is the inverse of the L2 penalty."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=5000))


def logistic_of_best_strength(train: pd.DataFrame, audit: Audit) -> GridSearchCV:
    """Return a logistic regression whose L2 penalty is chosen by the likelihood of left-out patients of `train`."""
    chosen = np.sort(np.random.default_rng(audit.seed).permutation(len(train))[:CHOOSERS])
    rows = train.iloc[chosen]
    folds = StratifiedGroupKFold(3, shuffle=True, random_state=audit.seed).split(rows, rows.label, rows.patient)
    splits = [(chosen[fitted], chosen[left_out]) for fitted, left_out in folds]
    grid = {"logisticregression__C": STRENGTHS}
    return GridSearchCV(standardised_logistic(), grid, scoring="neg_log_loss", cv=splits)


@one_thread
def classify(model: BaseEstimator, features: Sequence, labels: ArrayLike, records: pd.DataFrame) -> pd.DataFrame:
    """Fit a model to features of train; return the records of test with a column p_CLASS for each class."""
    train, test = features
    model.fit(train, labels)
    if isinstance(model, ExtraTreesClassifier):
        model.n_jobs = 1  # threads would add the trees' probabilities in the order in which they finish
    return scored_table(records, model.classes_, model.predict_proba(test))


@one_thread
def score_simple_models(
    train_beats: np.ndarray, train: pd.DataFrame, test_beats: np.ndarray, test: pd.DataFrame, params: Params
) -> dict[str, pd.DataFrame]:
    """Return for each simple model the rows of test with its probabilities, fitted to train (n x 12 x samples, mV)."""
    chosen = np.linspace(0, len(train) - 1, min(len(train), MOST)).astype(int)
    train_beats, train, times = train_beats[chosen], train.iloc[chosen], beat_times(params.extract)
    both, seed = (train_beats, test_beats), params.audit.seed
    flat = [beats.reshape(len(beats), -1) for beats in both]
    convolved = convolution_features(CONVOLUTIONS, train_beats, seed, *both)
    measured = [np.column_stack(measure_beats(beats, times)) for beats in both]
    trees = ExtraTreesClassifier(300, min_samples_leaf=2, class_weight="balanced", random_state=seed, n_jobs=-1)
    regression = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000)
    rotation = KernelPCA() if len(train) < FEW else "passthrough"
    models = {
        "logistic": (logistic_of_best_strength(train, params.audit), flat),
        "trees": (trees, flat),
        "random_convolutions": (make_pipeline(StandardScaler(), rotation, regression), convolved),
        "st_t": (standardised_logistic(), measured),
    }
    progress = tqdm(models.items(), desc="simple models", disable=None, leave=False)
    return {name: classify(model, features, train.label, test) for name, (model, features) in progress}


def quadratic() -> Pipeline:
    """Return a transform of x to x and x squared, for a risk that may peak at middle values; missing x are imputed."""
    fill = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return make_pipeline(fill, StandardScaler(), PolynomialFeatures(2, include_bias=False), StandardScaler())


def beat_quality(rows: pd.DataFrame) -> np.ndarray:
    return np.column_stack([np.log1p(rows.noise_uv), rows.n_used, rows.n_used / rows.n_beats])


def score_other_models(
    train: pd.DataFrame, test: pd.DataFrame, records: pd.DataFrame
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """Return by model that sees no beat the records of test with its probabilities, or what the data lack for it."""
    both, one_hot, lacks = pd.concat([train, test]), OneHotEncoder(handle_unknown="ignore"), {}
    sees = {
        "age_sex": make_column_transformer((quadratic(), ["age"]), (one_hot, ["sex"])),
        "source": make_column_transformer((one_hot, ["source"])),
        "recorder": make_column_transformer((one_hot, ["device", "site"])),
        "heart_rate": make_column_transformer((quadratic(), ["heart_rate"])),
        "quality": make_pipeline(FunctionTransformer(beat_quality), quadratic()),
    }
    if both.age.isna().all() and (both.sex == "").all():
        lacks["age_sex"] = "no recording has age or sex"
    if min(train.source.nunique(), test.source.nunique()) == 1:
        lacks["source"] = "train or test has one source only"
    if (both[["device", "site"]] == "").all(axis=None):
        lacks["recorder"] = "no recording has device or site"
    models = {name: make_pipeline(sees[name], LogisticRegression(max_iter=5000)) for name in sees if name not in lacks}
    return {name: classify(model, (train, test), train.label, records) for name, model in models.items()}, lacks


@one_thread
def principal_components(train_beats: np.ndarray, test_beats: np.ndarray, audit: Audit) -> list[np.ndarray]:
    """Return the standardised principal components of standardised beats of train and of test, fitted to train."""
    flat = [beats.reshape(len(beats), -1) for beats in (train_beats, test_beats)]
    components = PCA(min(audit.components, len(flat[0]) - 1), random_state=audit.seed)
    pipeline = make_pipeline(StandardScaler(), components, StandardScaler()).fit(flat[0])
    return [pipeline.transform(beats) for beats in flat]


@one_thread
def probe_source(
    components: list[np.ndarray], train: pd.DataFrame, test: pd.DataFrame, evaluate: Evaluate
) -> tuple[pd.DataFrame, dict]:
    """Fit a linear model of the source; return the normal recordings of test with a probability source_NAME of each.

    Also return the row of the audit: the macro ROC AUC of each source against the others.
    """
    seen, asked = (train.label == "normal").to_numpy(), (test.label == "normal").to_numpy()
    scored = test.loc[asked, ["record", "patient", "source"]]
    row = {"model": "source_probe", "comparison": "source", "n_others": len(scored)}
    if min(train.source[seen].nunique(), scored.source.nunique()) < 2:
        return scored[:0], row | {"reason": "fewer than two sources with normal recordings in train and in test"}
    model = LogisticRegression(C=0.1, max_iter=5000).fit(components[0][seen], train.source[seen])
    p = dict(zip(model.classes_, model.predict_proba(components[1][asked]).T, strict=True))
    sources = scored.source.to_numpy()

    def macro(weights: np.ndarray) -> np.ndarray:
        aucs = [roc_auc(sources == name, p[name], weights) for name in np.unique(sources) if name in p]
        return np.mean(aucs, axis=0)[:, None]

    strata, patient = np.unique(sources, return_inverse=True)[1], scored.patient.to_numpy()
    ((low, high),) = bootstrap_intervals(macro, strata, patient, evaluate)
    row |= {"roc_auc": macro(np.ones((1, len(scored))))[0, 0], "low": low, "high": high}
    return scored.assign(**{f"source_{name}": column for name, column in p.items()}), row


def permuted_rows(runs: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the mean ROC AUC of models trained on permuted labels; low and high enclose 95% of the runs."""
    rows = []
    for comparison in COMPARISONS:
        selected = [select_comparison(run, comparison) for run in runs]
        positive = selected[0][0]
        aucs = [roc_auc(positive, score)[0] for _, score, _ in selected]
        numbers = [np.mean(aucs), *np.percentile(aucs, [2.5, 97.5]), positive.sum(), (~positive).sum()]
        rows.append(["permuted", comparison, *numbers, too_few(positive, comparison)])
    return pd.DataFrame(rows, columns=[*COLUMNS, "reason"])


def summarise_audit(
    scored: dict[str, pd.DataFrame], lacks: dict[str, str], permuted: list, probe: dict, evaluate: Evaluate
) -> pd.DataFrame:
    """Return the rows of metrics/audit.csv: scored models, those that lack data, permuted labels, the probe."""
    compared = compare_models([scored["model"]], scored, evaluate)
    gains = ["gain", "gain_low", "gain_high"]
    compared.loc[compared.model == "model", gains] = np.nan
    lacking = pd.DataFrame({"model": list(lacks), "comparison": "roc_auc", "reason": list(lacks.values())})
    table = pd.concat([compared, lacking, permuted_rows(permuted), pd.DataFrame([probe])], ignore_index=True)
    return table[[*COLUMNS, *gains, "reason"]].astype({"n_ischemia": "Int64", "n_others": "Int64"})
