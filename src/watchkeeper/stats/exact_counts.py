"""Algorithm D3: evidence that counts do not come from shares that are known exactly, such as a traffic split or a coin. It may be looked at at any time.

Only for shares that are known: of shares that were estimated, or of days that differ by themselves, it alarms without cause (see `drift`).
"""

from __future__ import annotations

from math import exp, inf, log1p, nan

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln


def log_e_value(counts: ArrayLike, shares: ArrayLike, *, concentration: float = 100.0, tolerance: float = 0.0) -> float:
    """Logarithm of the e-value of all counts so far against the shares (both of shape (bins,)): E >= 20 ever happens once in 20 times by chance.

    lnΓ(A) - lnΓ(A + N) + Σ [lnΓ(a + S) - lnΓ(a)] - Σ S ln p, with a = concentration x p: a Dirichlet mixture around the shares, the sharper the
    greater its concentration (Lindon and Malek 2022, NeurIPS). With a `tolerance` ε it is evidence that some share is more than 1 + ε times
    the known one; N ln(1 + ε) is taken off. Infinite when something came that cannot come. NaN for counts or shares that are none.

    >>> round(log_e_value([150, 250, 300, 300], [0.1, 0.2, 0.3, 0.4]), 4)
    23.8106
    """
    seen, known = np.asarray(counts, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    if seen.shape != known.shape or not _are_amounts(seen) or not _are_amounts(known) or not known.sum() > 0 or concentration <= 0 or tolerance < 0:
        return nan
    known = known / known.sum()
    if seen[known == 0].any():
        return inf
    seen, known = seen[known > 0], known[known > 0]
    total, prior = float(seen.sum()), concentration * known
    mixture = gammaln(concentration) - gammaln(concentration + total) + float((gammaln(prior + seen) - gammaln(prior)).sum())
    return float(mixture - seen @ np.log(known) - total * log1p(tolerance))


def anytime_p_value(log_e: float) -> float:
    """1 / E, at most 1: below α at any look with probability α at most (Ville's inequality).

    >>> round(anytime_p_value(3.0), 6), anytime_p_value(-2.0)
    (0.049787, 1.0)
    """
    return min(1.0, exp(-max(log_e, 0.0)))


def _are_amounts(values: np.ndarray) -> bool:
    return bool(values.ndim == 1 and np.isfinite(values).all() and (values >= 0).all())
