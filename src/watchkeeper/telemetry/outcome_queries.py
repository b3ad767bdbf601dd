"""Queries that join predictions with their labels and count them, the same for every engine. Files and days are the caller's business.

The label of an id is the one known last; when the first became known tells its delay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import ibis
import ibis.expr.types as ir

from watchkeeper.telemetry.days import rows_of_days

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
)  # fmt: skip

RANKING_SUMS = ("queries", "ndcg", "ndcg_2", "precision", "precision_2", "hits")
FIRST_PLACES = 10  # of a ranking: those that NDCG and the hit rate look at


@dataclass(frozen=True)
class OfRows:
    """Which rows: by which segment field (none: all together), and whether an id's last prediction and last label alone count.

    To tell the last takes several times as long as to count: it is asked for where an id repeats.
    """

    field: str = ""
    last_only: bool = False
    last_label_only: bool = False


@dataclass(frozen=True)
class CountDecisions:
    """Rows of [first, end) by version, day, segment, score code, decision and label."""

    of: OfRows

    def __call__(self, log: ir.Table, labels: ir.Table) -> ir.Table:
        rows = joined(log, labels, self.of, score=log.score, prediction=log.prediction)
        usual = (rows.score.abs() < _TOO_LARGE).fill_null(False)
        coded = rows.mutate(
            code=score_code(rows.score, missing=NO_SCORE),
            said=ibis.coalesce(is_positive(rows.prediction), (rows.score >= 0.5).cast("int8"), UNKNOWN).cast("int8"),
            y=is_positive(rows.label).fill_null(UNKNOWN).cast("int8"),
            s=ibis.ifelse(usual, rows.score, 0.0),
        )
        return coded.group_by("version", "day", "segment", "code", "said", "y").agg(
            n=coded.count(), s=coded.s.sum(), spread=(coded.s * (1 - coded.s)).sum()
        )


@dataclass(frozen=True)
class CountClasses:
    """Rows of [first, end) by version, day, segment, predicted class and class of the label, as text."""

    of: OfRows

    def __call__(self, log: ir.Table, labels: ir.Table) -> ir.Table:
        rows = joined(log, labels, self.of, prediction=log.prediction)
        coded = rows.mutate(said=rows.prediction.cast("string"), y=rows.label.cast("string"))
        return coded.group_by("version", "day", "segment", "said", "y").agg(n=coded.count())


@dataclass(frozen=True)
class SumErrors:
    """Rows and the sums of NUMBER_SUMS of [first, end) by version, day and segment. e = predicted - observed, b that of the naive prediction."""

    of: OfRows

    def __call__(self, log: ir.Table, labels: ir.Table) -> ir.Table:
        wanted = {"prediction": log.prediction, "naive": log["score.naive"], "low": log["score.low"], "high": log["score.high"]}
        rows = joined(log, labels, self.of, **wanted)
        f, y = _finite(rows.prediction), _finite(rows.label)
        e, b = f - y, ibis.ifelse(f.notnull(), _finite(rows.naive) - y, None)
        relative = ibis.ifelse(y != 0, (e / y).abs(), None)
        width = ibis.ifelse(y.notnull(), _finite(rows.high) - _finite(rows.low), None)
        summed = rows.select(
            "version",
            "day",
            "segment",
            "known",
            e=e,
            b=b,
            r=relative,
            w=width,
            y=ibis.ifelse(f.notnull(), y, None),
            is_covered=y.between(rows.low, rows.high),
        )
        e2, b2 = summed.e * summed.e, summed.b * summed.b
        return summed.group_by("version", "day", "segment").agg(
            rows=summed.count(),
            labelled=summed.known.count(),
            n=summed.e.count(),
            error=summed.e.sum(),
            error_2=e2.sum(),
            error_4=(e2 * e2).sum(),
            absolute=summed.e.abs().sum(),
            n_relative=summed.r.count(),
            relative=summed.r.sum(),
            relative_2=(summed.r * summed.r).sum(),
            n_naive=summed.b.count(),
            naive_2=b2.sum(),
            naive_4=(b2 * b2).sum(),
            error_2_naive_2=(e2 * b2).sum(),
            n_interval=summed.w.count(),
            covered=(summed.is_covered & summed.w.notnull()).cast("int64").sum(),
            width=summed.w.sum(),
            width_2=(summed.w * summed.w).sum(),
            observed=summed.y.sum(),
            observed_2=(summed.y * summed.y).sum(),
        )


@dataclass(frozen=True)
class SumRankings:
    """Rows and the sums of RANKING_SUMS of [first, end) by version, day and segment, over the queries with a relevant item.

    The label is the relevance of an item, 0 without one; the order is that of `rank`. NDCG and hit rate are those of the first ten. Järvelin and
    Kekäläinen 2002; the gain is the relevance itself, as in stats.ranking.
    """

    of: OfRows

    def __call__(self, log: ir.Table, labels: ir.Table) -> ir.Table:
        rows = joined(log, labels, self.of, query=log.query_id, rank=log["rank"])
        key = ("version", "day", "segment", "query")
        rows = rows.mutate(
            gain=ibis.ifelse(rows["query"].notnull() & rows["rank"].notnull(), ibis.greatest(_finite(rows.label), 0.0), 0.0).fill_null(0.0)
        )
        placed = rows.mutate(
            place=ibis.row_number().over(ibis.window(group_by=key, order_by=[rows["rank"].asc(), rows.id])).cast("float64"),
            best=ibis.row_number().over(ibis.window(group_by=key, order_by=[rows.gain.desc(), rows.id])).cast("float64"),
            found=(rows.gain > 0).cast("float64").sum().over(ibis.window(group_by=key, order_by=[rows["rank"].asc(), rows.id], rows=(None, 0))),
        )
        first = placed.place < FIRST_PLACES
        of_query = placed.group_by(*key).agg(
            rows=placed.count(),
            labelled=placed.known.count(),
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
        return judged.group_by("version", "day", "segment").agg(
            rows=judged["rows"].sum(),
            labelled=judged.labelled.sum(),
            queries=judged.ndcg.count(),
            ndcg=judged.ndcg.sum(),
            ndcg_2=(judged.ndcg * judged.ndcg).sum(),
            precision=judged.precision.sum(),
            precision_2=(judged.precision * judged.precision).sum(),
            hits=judged.hit.sum(),
        )


@dataclass(frozen=True)
class CountDelays:
    """Labelled rows of [first, end) by version, day, segment, label (positive, negative or neither) and delay bucket."""

    of: OfRows

    def __call__(self, log: ir.Table, labels: ir.Table) -> ir.Table:
        rows = joined(log, labels, self.of, at=log.timestamp)
        rows = rows.filter(rows.known.notnull())
        seconds = ibis.greatest(rows.known.delta(rows.at, unit="us").cast("float64") / 1e6, 0.0)
        coded = rows.mutate(
            y=ibis.coalesce(is_positive(rows.label), UNKNOWN).cast("int8"), bucket=((1 + seconds).log2() * OCTAVE).floor().cast("int32")
        )
        return coded.group_by("version", "day", "segment", "y", "bucket").agg(n=coded.count())


@dataclass(frozen=True)
class DaysOfLabels:
    """The days, counted since `first`, whose predictions got a label in batch `since` or later."""

    since: int

    def __call__(self, log: ir.Table, labels: ir.Table) -> ir.Table:
        new = labels.filter(labels.batch >= self.since).select("id").distinct()
        return rows_of_days(log, False, id=log.id).semi_join(new, "id").select("day").distinct()


QUERIES: Mapping[OutcomeKind, type[CountDecisions] | type[CountClasses] | type[SumErrors] | type[SumRankings]] = {
    OutcomeKind.DECISIONS: CountDecisions,
    OutcomeKind.CLASSES: CountClasses,
    OutcomeKind.NUMBERS: SumErrors,
    OutcomeKind.RANKINGS: SumRankings,
}


def is_positive(given: ir.Value) -> ir.Value:
    """1 for a positive decision or label, 0 for a negative one, null for what is neither: true, 1, "yes" and the like."""
    kind = given.type()
    if kind.is_boolean():
        return given.cast("int8")
    if kind.is_numeric():
        return ibis.cases((given == 1, 1), (given == 0, 0)).cast("int8")
    word = given.cast("string").strip().lower()
    return ibis.cases((word.isin(_POSITIVE), 1), (word.isin(_NEGATIVE), 0)).cast("int8")


def joined(log: ir.Table, labels: ir.Table, of: OfRows, **wanted: ir.Value) -> ir.Table:
    """Predictions of [first, end) with segment, label and `known`, the time at which their first label became known."""
    segment = log[f"s.{of.field}"] if of.field else ibis.literal("")
    rows = rows_of_days(log, of.last_only, id=log.id, segment=segment.fill_null(""), **wanted)
    told = _last_of_each(labels) if of.last_label_only else labels.select("id", "label", known=labels.timestamp)
    return rows.left_join(told.filter(told.label.notnull()), "id")


def _last_of_each(labels: ir.Table) -> ir.Table:
    newest_first = [labels.timestamp.desc(), labels.batch.desc(), labels.row.desc()]
    of_id = ibis.window(group_by=labels.id, order_by=newest_first, rows=(None, None))
    ranked = labels.select("id", "label", place=ibis.row_number().over(of_id), known=labels.timestamp.min().over(of_id))
    return ranked.filter(ranked.place == 0).drop("place")


def score_code(score: ir.Value, *, missing: int) -> ir.Value:
    """0 below 0, 1 to 200 for equal bins of [0, 1] with 1 in the last, 201 above 1; `missing` for null and NaN."""
    return ibis.cases(
        (score.isnan(), missing),
        (score < 0, 0),
        (score > 1, BINS + 1),
        (score == 1, BINS),
        (score >= 0, (score * BINS).floor().cast("int16") + 1),
        else_=missing,
    ).cast("int16")


def _finite(x: ir.Value) -> ir.Value:
    number = x.cast("float64")
    return ibis.ifelse(number.isnan() | number.isinf(), None, number)
