"""Queries that join predictions with their labels and count them, the same for every engine. Files and days are the caller's business.

The label of an id is the one known last; when the first became known tells its delay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import ibis
import ibis.expr.types as ir

from watchkeeper.telemetry.days import EVERY_ROW, RowsOf, floor, id_key, rows_of_days
from watchkeeper.telemetry.kinds import quantile_of

BINS = 200
NO_SCORE = -1  # beside the codes of score_code
UNKNOWN = -1  # a decision or a label that is not there
OCTAVE = 16  # delay buckets: each reaches 2^(1/16) times as far as the one before
_TOO_LARGE = 1e100
_POSITIVE = ("1", "true", "t", "yes", "y", "positive", "pos")
_NEGATIVE = ("0", "false", "f", "no", "n", "negative", "neg")


class OutcomeKind(StrEnum):
    """What is counted of predictions and labels, and what a row of `DayOutcomes.cells` holds."""

    DECISIONS = "decisions"  # score code, decision, label, n, Σs, Σs(1-s)
    CLASSES = "classes"  # predicted class, class of the label (places in `classes`), n
    NUMBERS = "numbers"  # one row: see NUMBER_SUMS
    RANKINGS = "rankings"  # one row: see RANKING_SUMS

    @property
    def sums(self) -> tuple[str, ...]:
        """The names of what is summed into one row; empty where cells are counts."""
        return {OutcomeKind.NUMBERS: NUMBER_SUMS, OutcomeKind.RANKINGS: RANKING_SUMS}.get(self, ())


NUMBER_SUMS = (
    "n", "error", "error_2", "error_4", "absolute", "n_relative", "relative", "relative_2",
    "n_naive", "naive_2", "naive_4", "error_2_naive_2", "n_interval", "covered", "width", "width_2", "observed", "observed_2",
    "n_quantile", "quantile", "quantile_2",
)  # fmt: skip

RANKING_SUMS = ("queries", "ndcg", "ndcg_2", "precision", "precision_2", "hits")
FIRST_PLACES = 10  # of a ranking: those that NDCG and the hit rate look at


@dataclass(frozen=True)
class OfRows:
    """Which rows: by which segment field (none: all together), by version or of one version, and whether an id's last prediction and last label alone
    count.

    To tell the last takes several times as long as to count: it is asked for where an id repeats.
    """

    field: str = ""
    by_version: bool = True
    last_only: bool = False
    last_label_only: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        return (*(("version",) if self.by_version else ()), "day", *(("segment",) if self.field else ()))


class Counting(Protocol):
    """How outcomes of one kind are counted."""

    def wanted(self, log: ir.Table) -> Mapping[str, ir.Value]:
        """What is read of the predictions."""

    def coded(self, rows: ir.Table) -> Mapping[str, ir.Value]:
        """What of a joined row is needed to count it, in as few bytes as may be: an engine keeps all rows of a run."""

    def cells(self, rows: ir.Table, keys: tuple[str, ...]) -> ir.Table:
        """The counts of coded rows."""


@dataclass(frozen=True)
class CountOutcomes:
    """Predictions of [first, end) joined with their labels: the cells of the kind, and (where `bucket` is not null) `n` labelled rows by `sign`, the
    label as positive, negative or neither, and delay bucket. By the keys of the rows.
    """

    kind: OutcomeKind
    of: OfRows

    def __call__(self, log: ir.Table, labels: ir.Table) -> ir.Table:
        counting = COUNTING[self.kind]
        rows = joined(log, labels, self.of, at=log.timestamp, **counting.wanted(log))
        seconds = ibis.greatest(rows.known.delta(rows.at, unit="us").cast("float64") / 1e6, 0.0)
        bucket = ibis.ifelse(rows.known.notnull(), floor((1 + seconds).log2() * OCTAVE).cast("int16"), None)
        coded = rows.select(*self.of.keys, sign=rows.sign, bucket=bucket, **counting.coded(rows))
        late = coded.filter(coded.bucket.notnull()).group_by(*self.of.keys, "sign", "bucket").agg(n=ibis._.count())
        return _side_by_side(counting.cells(coded, self.of.keys), late)


class CountDecisions:
    """Rows by score code, decision and label."""

    def wanted(self, log: ir.Table) -> Mapping[str, ir.Value]:
        return {"score": log.score, "prediction": log.prediction}

    def coded(self, rows: ir.Table) -> Mapping[str, ir.Value]:
        usual = (rows.score.abs() < _TOO_LARGE).fill_null(False)
        return {
            "code": score_code(rows.score, missing=NO_SCORE),
            "said": ibis.coalesce(is_positive(rows.prediction), (rows.score >= 0.5).cast("int8"), UNKNOWN).cast("int8"),
            "s": ibis.ifelse(usual, rows.score, 0.0),
        }

    def cells(self, rows: ir.Table, keys: tuple[str, ...]) -> ir.Table:
        return rows.group_by(*keys, "code", "said", "sign").agg(n=rows.count(), s=rows.s.sum(), spread=(rows.s * (1 - rows.s)).sum())


class CountClasses:
    """Rows by predicted class and class of the label, as text."""

    def wanted(self, log: ir.Table) -> Mapping[str, ir.Value]:
        return {"prediction": log.prediction}

    def coded(self, rows: ir.Table) -> Mapping[str, ir.Value]:
        return {"said": rows.prediction.cast("string"), "y": rows.label.cast("string")}

    def cells(self, rows: ir.Table, keys: tuple[str, ...]) -> ir.Table:
        return rows.group_by(*keys, "said", "y").agg(n=rows.count())


class SumErrors:
    """Rows and the sums of NUMBER_SUMS. e = predicted - observed, b that of the naive prediction, p the mean pinball loss of the quantiles."""

    def wanted(self, log: ir.Table) -> Mapping[str, ir.Value]:
        beside = {"naive": log["score.naive"], "low": log["score.low"], "high": log["score.high"]}
        return {"prediction": log.prediction, **beside} | {name: log[name] for name in log.columns if quantile_of(name)}

    def coded(self, rows: ir.Table) -> Mapping[str, ir.Value]:
        f, y = _finite(rows.prediction), _finite(rows.label)
        e = f - y
        return {
            "e": e,
            "b": ibis.ifelse(f.notnull(), _finite(rows.naive) - y, None),
            "r": ibis.ifelse(y != 0, (e / y).abs(), None),
            "w": ibis.ifelse(y.notnull(), _finite(rows.high) - _finite(rows.low), None),
            "y": ibis.ifelse(f.notnull(), y, None),
            "is_covered": y.between(rows.low, rows.high),
            "p": _pinball(y, [(share, _finite(rows[name])) for name in rows.columns if (share := quantile_of(name))]),
        }

    def cells(self, rows: ir.Table, keys: tuple[str, ...]) -> ir.Table:
        e2, b2 = rows.e * rows.e, rows.b * rows.b
        return rows.group_by(*keys).agg(
            rows=rows.count(),
            labelled=rows.bucket.count(),
            n=rows.e.count(),
            error=rows.e.sum(),
            error_2=e2.sum(),
            error_4=(e2 * e2).sum(),
            absolute=rows.e.abs().sum(),
            n_relative=rows.r.count(),
            relative=rows.r.sum(),
            relative_2=(rows.r * rows.r).sum(),
            n_naive=rows.b.count(),
            naive_2=b2.sum(),
            naive_4=(b2 * b2).sum(),
            error_2_naive_2=(e2 * b2).sum(),
            n_interval=rows.w.count(),
            covered=(rows.is_covered & rows.w.notnull()).cast("int64").sum(),
            width=rows.w.sum(),
            width_2=(rows.w * rows.w).sum(),
            observed=rows.y.sum(),
            observed_2=(rows.y * rows.y).sum(),
            n_quantile=rows.p.count(),
            quantile=rows.p.sum(),
            quantile_2=(rows.p * rows.p).sum(),
        )


class SumRankings:
    """Rows and the sums of RANKING_SUMS, over the queries with a relevant item.

    The label is the relevance of an item, 0 without one; the order is that of `rank`. NDCG and hit rate are those of the first ten. Järvelin and
    Kekäläinen 2002; the gain is the relevance itself, as in stats.ranking.
    """

    def wanted(self, log: ir.Table) -> Mapping[str, ir.Value]:
        return {"query": log.query_id, "rank": log["rank"], "id": log.id}

    def coded(self, rows: ir.Table) -> Mapping[str, ir.Value]:
        is_placed = rows["query"].notnull() & rows["rank"].notnull()
        gain = ibis.ifelse(is_placed, ibis.greatest(_finite(rows.label), 0.0), 0.0).fill_null(0.0)
        return {"query": rows["query"], "rank": rows["rank"], "id": rows.id, "gain": gain}

    def cells(self, rows: ir.Table, keys: tuple[str, ...]) -> ir.Table:
        key = (*keys, "query")
        placed = rows.mutate(
            place=ibis.row_number().over(ibis.window(group_by=key, order_by=[rows["rank"].asc(), rows.id])).cast("float64"),
            best=ibis.row_number().over(ibis.window(group_by=key, order_by=[rows.gain.desc(), rows.id])).cast("float64"),
            found=(rows.gain > 0).cast("float64").sum().over(ibis.window(group_by=key, order_by=[rows["rank"].asc(), rows.id], rows=(None, 0))),
        )
        first = placed.place < FIRST_PLACES
        of_query = placed.group_by(*key).agg(
            rows=placed.count(),
            labelled=placed.bucket.count(),
            relevant=(placed.gain > 0).cast("float64").sum(),
            dcg=ibis.ifelse(first, placed.gain / (placed.place + 2).log2(), 0.0).sum(),
            ideal=ibis.ifelse(placed.best < FIRST_PLACES, placed.gain / (placed.best + 2).log2(), 0.0).sum(),
            precisions=ibis.ifelse(placed.gain > 0, placed.found / (placed.place + 1), 0.0).sum(),
            hit=(first & (placed.gain > 0)).cast("float64").max(),
        )
        counts = of_query.relevant > 0
        judged = of_query.mutate(
            ndcg=ibis.ifelse(counts, of_query.dcg / of_query.ideal, None),
            precision=ibis.ifelse(counts, of_query.precisions / of_query.relevant, None),
            hit=ibis.ifelse(counts, of_query.hit, None),
        )
        return judged.group_by(*keys).agg(
            rows=judged["rows"].sum(),
            labelled=judged.labelled.sum(),
            queries=judged.ndcg.count(),
            ndcg=judged.ndcg.sum(),
            ndcg_2=(judged.ndcg * judged.ndcg).sum(),
            precision=judged.precision.sum(),
            precision_2=(judged.precision * judged.precision).sum(),
            hits=judged.hit.sum(),
        )


COUNTING: Mapping[OutcomeKind, Counting] = {
    OutcomeKind.DECISIONS: CountDecisions(),
    OutcomeKind.CLASSES: CountClasses(),
    OutcomeKind.NUMBERS: SumErrors(),
    OutcomeKind.RANKINGS: SumRankings(),
}


@dataclass(frozen=True)
class DaysOfLabels:
    """The days, counted since `first`, whose predictions got a label in batch `since` or later."""

    since: int

    def __call__(self, log: ir.Table, labels: ir.Table) -> ir.Table:
        new = labels.filter(labels.batch >= self.since).select(key=id_key(labels)).distinct()
        return rows_of_days(log, EVERY_ROW, key=id_key(log)).semi_join(new, "key").select("day").distinct()


def is_positive(given: ir.Value) -> ir.Value:
    """1 for a positive decision or label, 0 for a negative one, null for what is neither: true, 1, "yes" and the like."""
    kind = given.type()
    if kind.is_boolean():
        return given.cast("int8")
    if kind.is_numeric():
        return ibis.cases((given == 1, 1), (given == 0, 0)).cast("int8")
    word = given.cast("string").strip().lower()
    return ibis.cases((word.isin(_POSITIVE), 1), (word.isin(_NEGATIVE), 0)).cast("int8")


def sign_of(given: object) -> int | None:
    """The same of a value at hand.

    >>> sign_of("Yes"), sign_of(False), sign_of(1.0), sign_of(0.5), sign_of(None)
    (1, 0, 1, None, None)
    """
    if isinstance(given, int | float):
        return int(given) if given in (0, 1) else None
    word = str(given).strip().lower()
    return 1 if word in _POSITIVE else 0 if word in _NEGATIVE else None


def joined(log: ir.Table, labels: ir.Table, of: OfRows, **wanted: ir.Value) -> ir.Table:
    """Predictions of [first, end) with their keys, label, its `sign` (UNKNOWN without) and `known`, the time at which their first label became known.

    An engine keeps all labels to join them: where only their sign is counted it is told before.
    """
    segment = {"segment": log[f"s.{of.field}"].fill_null("")} if of.field else {}
    rows = rows_of_days(log, RowsOf(of.last_only, of.by_version), key=id_key(log), **segment, **wanted)
    told = labels.select("label", key=id_key(labels), known=labels.timestamp, batch=labels.batch, row=labels.row)
    told = _last_of_each(told) if of.last_label_only else told.drop("batch", "row")
    told = told.mutate(sign=is_positive(told.label).fill_null(UNKNOWN).cast("int8"))
    together = rows.left_join(told.filter(told.label.notnull()), "key")
    return together.mutate(sign=together.sign.fill_null(UNKNOWN))


def _last_of_each(told: ir.Table) -> ir.Table:
    newest_first = [told.known.desc(), told.batch.desc(), told.row.desc()]
    of_id = ibis.window(group_by=told.key, order_by=newest_first, rows=(None, None))
    ranked = told.select("key", "label", place=ibis.row_number().over(of_id), known=told.known.min().over(of_id))
    return ranked.filter(ranked.place == 0).drop("place")


def _side_by_side(cells: ir.Table, delays: ir.Table) -> ir.Table:
    """Both in one answer, so that the rows are joined once; a column that one has not is null there."""
    kinds = dict(delays.schema().items()) | dict(cells.schema().items())
    both = (
        table.select(**{name: table[name] if name in table.columns else ibis.null(kind) for name, kind in kinds.items()}) for table in (cells, delays)
    )
    return ibis.union(*both)


def score_code(score: ir.Value, *, missing: int) -> ir.Value:
    """0 below 0, 1 to 200 for equal bins of [0, 1] with 1 in the last, 201 above 1; `missing` for null and NaN."""
    return ibis.cases(
        (score.isnan(), missing),
        (score < 0, 0),
        (score > 1, BINS + 1),
        (score == 1, BINS),
        (score >= 0, floor(score * BINS).cast("int16") + 1),
        else_=missing,
    ).cast("int16")


def _pinball(y: ir.Value, quantiles: Sequence[tuple[float, ir.Value]]) -> ir.Value:
    """The mean over the quantiles that a row has: their share of what lies above, the rest of what lies below. Null without any."""
    losses = [ibis.ifelse(y >= q, share * (y - q), (1 - share) * (q - y)) for share, q in quantiles]
    known = sum((loss.notnull().cast("float64") for loss in losses), ibis.literal(0.0))
    return sum((loss.fill_null(0.0) for loss in losses), ibis.literal(0.0)) / known.nullif(0.0)


def _finite(x: ir.Value) -> ir.Value:
    number = x.cast("float64")
    return ibis.ifelse(number.isnan() | number.isinf(), None, number)
