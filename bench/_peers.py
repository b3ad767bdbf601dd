"""One cold process of a peer, in an environment of its own: `PYTHON bench/_peers.py WHAT REFERENCE ANALYSIS`. Imports nothing of Watchkeeper."""

import os
import sys

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # NannyML would report each call to its makers

import pandas as pd

DAILY = {"chunk_period": "D", "timestamp_column_name": "timestamp"}
BINARY = {"y_pred_proba": "score", "y_pred": "prediction", "y_true": "label", "problem_type": "classification_binary"}
DECISION = ["timestamp", "score", "prediction", "label"]


def nannyml_drift(reference, analysis):
    import nannyml

    columns = [name for name in pd.read_parquet(reference).columns if name not in ("timestamp", "label", "amount", "amount_label")]
    methods = {"continuous_methods": ["jensen_shannon"], "categorical_methods": ["jensen_shannon"]}
    calculator = nannyml.UnivariateDriftCalculator(column_names=columns, **methods, **DAILY)
    calculator.fit(pd.read_parquet(reference))
    return calculator.calculate(pd.read_parquet(analysis)).to_df()


def nannyml_estimated(reference, analysis):
    import nannyml

    estimator = nannyml.CBPE(metrics=["roc_auc"], **BINARY, **DAILY)
    estimator.fit(pd.read_parquet(reference, columns=DECISION))
    return estimator.estimate(pd.read_parquet(analysis, columns=DECISION)).to_df()


def nannyml_realised(reference, analysis):
    import nannyml

    calculator = nannyml.PerformanceCalculator(metrics=["roc_auc"], **BINARY, **DAILY)
    calculator.fit(pd.read_parquet(reference, columns=DECISION))
    return calculator.calculate(pd.read_parquet(analysis, columns=DECISION)).to_df()


def evidently_drift(reference, analysis):
    """One value for each column, not one a day."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    given = [pd.read_parquet(path).drop(columns=["timestamp", "label", "amount", "amount_label"]) for path in (analysis, reference)]
    return Report([DataDriftPreset()]).run(*given).dict()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
