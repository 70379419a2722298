"""Where risk comes from: closed forms, Euler's theorem, and a universe worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.errors import ScreenerError, UserError
from screener.risk.covariance import Covariance, CovarianceSettings, estimate_panel_covariance
from screener.risk.explain import (
    explain,
    herfindahl,
    risk_at_dominated_stages,
    risk_by_group,
    risk_in_dependent_names,
    sensitivity,
)
from screener.universe.model import Instrument, Segment
from tests.risk.simulated_markets import simulated_market


def covariance_of(matrix: np.ndarray) -> Covariance:
    names = pd.Index([f"S{number:X}" for number in range(len(matrix))])
    return Covariance(
        pd.DataFrame(matrix, index=names, columns=names), "given", 252, pd.Series(99, index=names)
    )


def random_covariance(n: int, seed: int) -> Covariance:
    rng = np.random.default_rng(seed)
    loadings = rng.normal(0.2, 0.15, (n, 2))
    return covariance_of(loadings @ loadings.T + np.diag(rng.uniform(0.01, 0.2, n)))


def test_two_uncorrelated_names_worked_by_hand() -> None:
    # volatilities of 30 % and 40 %, weights of 60 % and 40 %: variance 0.0324 + 0.0256 = 0.058
    got = explain(covariance_of(np.diag([0.09, 0.16])), pd.Series({"S0": 0.6, "S1": 0.4}))
    assert got.volatility == pytest.approx(np.sqrt(0.058))
    assert got.names["risk_contribution"].to_list() == pytest.approx([0.0324 / 0.058, 0.0256 / 0.058])
    assert got.names["marginal_risk"].to_list() == pytest.approx(np.array([0.054, 0.064]) / np.sqrt(0.058))
    assert got.diversification_ratio == pytest.approx((0.18 + 0.16) / np.sqrt(0.058))
    assert got.concentration == pytest.approx(0.36 + 0.16)
    assert got.effective_names == pytest.approx(1 / 0.52)
    shares = np.array([0.0324, 0.0256]) / 0.058
    assert got.effective_bets == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    assert got.effective_risks == pytest.approx(1 / (shares**2).sum())


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 12), seed=st.integers(0, 10**6), scale=st.floats(0.1, 1.0))
def test_contributions_sum_to_one_and_weights_times_marginals_to_the_volatility(
    n: int, seed: int, scale: float
) -> None:
    covariance = random_covariance(n, seed)
    weights = pd.Series(
        np.random.default_rng(seed).dirichlet(np.ones(n)) * scale, index=covariance.matrix.index
    )
    got = explain(covariance, weights)
    assert got.names["risk_contribution"].sum() == pytest.approx(1.0, abs=1e-12)
    assert (got.names["weight"] * got.names["marginal_risk"]).sum() == pytest.approx(got.volatility)
    assert got.diversification_ratio >= 1 - 1e-12
    assert 1 - 1e-9 <= got.effective_names <= n + 1e-9
    assert 1 - 1e-9 <= got.effective_bets <= n + 1e-9
    # the marginal risk is the slope of volatility: a small purchase shows it
    nudged = weights.copy()
    nudged.iloc[0] += 1e-6
    slope = (explain(covariance, nudged).volatility - got.volatility) / 1e-6
    assert got.names["marginal_risk"].iloc[0] == pytest.approx(slope, rel=1e-3, abs=1e-6)


def test_labels_decide_not_positions_and_strangers_are_named() -> None:
    covariance = random_covariance(3, 1)
    weights = pd.Series({"S2": 0.5, "S0": 0.3})
    got = explain(covariance, weights)
    same = explain(covariance, weights.sort_index())
    pd.testing.assert_frame_equal(got.names.sort_index(), same.names)
    with pytest.raises(UserError, match="no S9"):
        explain(covariance, pd.Series({"S9": 1.0}))
    with pytest.raises(UserError, match="weight of S1"):
        explain(covariance, pd.Series({"S1": float("nan")}))
    with pytest.raises(ScreenerError, match="without weights"):
        explain(covariance, pd.Series({"S1": 0.0}))
    with pytest.raises(ScreenerError, match="concentration"):
        herfindahl(np.zeros(2))


def name(symbol: str, segment: str, dependence: str) -> Instrument:
    return Instrument(
        symbol, symbol, symbol, symbol, "equity", "XNYS", "USD", "US", segment, china_dependence=dependence
    )


def test_risk_by_group_at_dominated_stages_and_in_dependent_names() -> None:
    contributions = pd.Series({"A": 0.5, "B": 0.3, "C": 0.15, "D": 0.05})
    groups = {"A": "mining", "B": "magnets", "C": "mining", "D": "magnets"}
    assert risk_by_group(contributions, groups).to_dict() == pytest.approx({"mining": 0.65, "magnets": 0.35})
    split: dict[str, str | tuple[str, ...]] = {
        "A": ("AU", "CN"),
        "B": "CN",
        "C": ("AU", "JP", "MY"),
        "D": "JP",
    }
    assert risk_by_group(contributions, split).to_dict() == pytest.approx(
        {"CN": 0.55, "AU": 0.3, "JP": 0.1, "MY": 0.05}
    )
    with pytest.raises(UserError, match="no group is stated for D"):
        risk_by_group(contributions, {"A": "x", "B": "x", "C": "x"})
    segments = {
        "mining": Segment("mining", 0, "m", "m", china_share=0.6),
        "magnets": Segment("magnets", 1, "g", "g", china_share=0.92),
        "unknown": Segment("unknown", 2, "u", "u"),
        "edge": Segment("edge", 3, "e", "e", china_share=0.8),
    }
    instruments = {
        "A": name("A", "mining", "high"),
        "B": name("B", "magnets", "low"),
        "C": name("C", "edge", "china-domiciled"),
        "D": name("D", "unknown", "medium"),
    }
    assert risk_at_dominated_stages(contributions, instruments, segments) == pytest.approx(0.3)
    assert risk_at_dominated_stages(contributions, instruments, segments, 0.5) == pytest.approx(0.95)
    assert risk_in_dependent_names(contributions, instruments) == pytest.approx(0.65)


def test_sensitivity_says_what_moves_the_weights_most() -> None:
    one = simulated_market(2, {"XNYS": 3, "XTKS": 3}, weeks=80)

    def weigh(settings: CovarianceSettings) -> pd.Series:
        inverse = 1 / estimate_panel_covariance(one.panel, one.markets, settings).volatility
        return inverse / inverse.sum()

    table = sensitivity(
        weigh, CovarianceSettings(lookback_weeks=80), (80, 20), ("ledoit_wolf", "sample", "ewma")
    )
    assert table[["what", "to"]].to_numpy().tolist()[-1] == ["estimator", "sample"]
    assert set(table["to"]) == {"20", "sample", "ewma"}
    assert table["moved"].is_monotonic_decreasing
    assert table["moved"].iloc[-1] == pytest.approx(0.0, abs=1e-12)  # the same variances
    change = weigh(CovarianceSettings(lookback_weeks=20)) - weigh(CovarianceSettings(lookback_weeks=80))
    row = table[table["to"] == "20"].iloc[0]
    assert row["moved"] == pytest.approx(change.abs().sum() / 2)
    assert (row["most"], row["by"]) == (change.abs().idxmax(), pytest.approx(change[change.abs().idxmax()]))


def test_sensitivity_counts_a_name_that_comes_or_goes() -> None:
    def weigh(settings: CovarianceSettings) -> pd.Series:
        return pd.Series({"A": 0.5, "B": 0.5} if settings.lookback_weeks == 104 else {"A": 0.5, "C": 0.5})

    table = sensitivity(weigh, None, (52,), ())
    assert table["moved"].to_list() == [0.5]
    assert table["most"].iloc[0] in "BC"
