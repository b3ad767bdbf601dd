"""Runs in the oracles' own environment, never in ours: reads a question from a line, answers with a line. Questions and answers are JSON, rows Parquet.

Imports nothing of Watchkeeper and computes nothing itself.
"""

import json
import math
import os
import sys
import warnings

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # NannyML would report each call to its makers

import nannyml
import numpy as np
import pandas as pd
from statsmodels.duration.survfunc import SurvfuncRight
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

BINARY = {"y_pred_proba": "score", "y_pred": "prediction", "y_true": "label", "problem_type": "classification_binary"}


def drift(reference, analysis, *, columns, numbers=(), categories=(), **chunks):
    """Values, limits and alarms of each column and method, by chunk of the analysis."""
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=columns, continuous_methods=list(numbers) or None, categorical_methods=list(categories) or None, **chunks
    )
    calculator.fit(pd.read_parquet(reference))
    found = calculator.calculate(pd.read_parquet(analysis)).filter(period="analysis").to_df()
    told = {column: [method for method in (*numbers, *categories) if (column, method, "value") in found.columns] for column in columns}
    return {column: {method: _chunks(found[column][method]) for method in methods} for column, methods in told.items()}


def estimated(reference, analysis, *, metrics, **chunks):
    """CBPE: estimates, and the sampling error that its bands are three times of."""
    estimator = nannyml.CBPE(metrics=metrics, **BINARY, **chunks)
    estimator.fit(pd.read_parquet(reference))
    found = estimator.estimate(pd.read_parquet(analysis)).filter(period="analysis").to_df()
    return {metric: _chunks(found[metric], "sampling_error") for metric in metrics} | {"is_calibrated": bool(estimator.needs_calibration)}


def realised(reference, analysis, *, metrics, **chunks):
    calculator = nannyml.PerformanceCalculator(metrics=metrics, **BINARY, **chunks)
    calculator.fit(pd.read_parquet(reference))
    found = calculator.calculate(pd.read_parquet(analysis)).filter(period="analysis").to_df()
    return {metric: _chunks(found[metric]) for metric in metrics}


def expected_loss(reference, analysis, *, features, metrics, **chunks):
    """DLE of a regression."""
    estimator = nannyml.DLE(feature_column_names=features, y_pred="prediction", y_true="label", metrics=metrics, **chunks)
    estimator.fit(pd.read_parquet(reference))
    found = estimator.estimate(pd.read_parquet(analysis)).filter(period="analysis").to_df()
    return {metric: _chunks(found[metric]) for metric in metrics}


def survival(*, waits, arrived):
    """Kaplan-Meier of statsmodels."""
    curve = SurvfuncRight(waits, arrived)
    return {"times": curve.surv_times, "survival": curve.surv_prob, "error": curve.surv_prob_se}


def adjusted(*, p_values, method):
    return multipletests(p_values, method=method)[1]


def share_bounds(*, successes, trials, method):
    return proportion_confint(successes, trials, method=method)


QUESTIONS = {function.__name__: function for function in (drift, estimated, realised, expected_loss, survival, adjusted, share_bounds)}


def _chunks(found, *more):
    taken = {name: found[name].tolist() for name in ("value", *more)}
    return taken | {"alert": [bool(alert) for alert in found["alert"]], "upper": found["upper_threshold"].tolist()}


def _plain(value):
    """As JSON has it; a number that is none is null."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(inner) for inner in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


def main():
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the libraries print does not belong among the answers
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = {"answer": _plain(QUESTIONS[question.pop("question")](**question))}
        except Exception as error:  # told to the test, which decides
            answer = {"failed": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
