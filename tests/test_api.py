"""The use cases as a notebook calls them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import screener.api as sc
from screener.errors import UserError
from screener.universe.model import ScreenRule
from screener.universe.template import write_template


def test_live_proposal_and_backtest_decide_alike(sample_market: sc.Market) -> None:
    run = sc.backtest(sample_market, "magnets", sc.BacktestSettings("quarterly")).backtest
    assert run is not None
    last = run.schedule[-1]
    live = sc.build(sample_market, "magnets", on=last.decided_on)
    pd.testing.assert_series_equal(live.weights, last.weights)


@pytest.mark.parametrize(
    "method",
    ["inverse_volatility", "equal_risk_contribution", "hierarchical_risk_parity", "minimum_variance"],
)
def test_prices_after_a_date_change_nothing_up_to_it(sample_market: sc.Market, method: str) -> None:
    """Every price, volume and traded flag after t changes at random; nothing up to t does."""
    theme = replace(sc.theme_named(sample_market.universe, "friend_shored"), method=method)
    settings = sc.BacktestSettings("quarterly", years=3)
    before = sc.backtest(sample_market, theme, settings).backtest
    assert before is not None
    for seed, day in enumerate((date(2024, 10, 2), date(2025, 8, 15))):
        after = sc.backtest(_scrambled_after(sample_market, day, seed), theme, settings).backtest
        assert after is not None
        cut = pd.Timestamp(day)
        decided = [
            (a, b) for a, b in zip(before.schedule, after.schedule, strict=False) if a.decided_on <= day
        ]
        assert decided
        for one, other in decided:
            pd.testing.assert_series_equal(one.weights, other.weights, rtol=0, atol=0)
            pd.testing.assert_series_equal(one.risk_contributions, other.risk_contributions, rtol=0, atol=0)
        pd.testing.assert_series_equal(before.wealth[:cut], after.wealth[:cut], rtol=0, atol=0)  # type: ignore[misc]
        known = [run.trades[run.trades["session"] <= cut].reset_index(drop=True) for run in (before, after)]
        pd.testing.assert_frame_equal(known[0], known[1], rtol=0, atol=0)
        assert len(known[0])
        assert not before.wealth.equals(after.wealth)  # the scramble did reach what came later


def _scrambled_after(market: sc.Market, day: date, seed: int) -> sc.Market:
    rng = np.random.default_rng(seed)
    panel = market.panel
    later = np.repeat(np.asarray(panel.sessions > pd.Timestamp(day))[:, None], len(panel.symbols), axis=1)
    noise = np.exp(rng.normal(0, 0.3, panel.prices.shape))
    prices = panel.prices.where(~later, panel.prices * noise)
    traded = panel.traded & (~later | (rng.random(panel.prices.shape) > 0.3))
    close = panel.close.where(~later, panel.close * noise)
    value = (panel.value_traded * np.where(later, noise, 1.0)).where(traded)
    scrambled = replace(panel, prices=prices, traded=traded, close=close, value_traded=value)
    return replace(market, panel=scrambled)


@pytest.mark.parametrize(
    ("back", "seed", "theme"), [(1, 0, ""), (40, 1, "magnets"), (333, 2, ""), (900, 3, "")]
)
def test_a_screen_on_a_date_is_unchanged_by_anything_after_it(
    sample_market: sc.Market, back: int, seed: int, theme: str
) -> None:
    """Ranks, reasons, margins and every metric are the same to the last bit, also when later rows are gone."""
    day = sample_market.panel.sessions[-1 - back].date()
    asked = sc.ScreenSettings(theme=theme, where="stage_hhi_company <= 1 or adv > 1e6", within="segment")
    one = sc.screen(sample_market, settings=asked, on=day)
    cut = replace(sample_market, panel=sample_market.panel.until(day))
    for changed in (_scrambled_after(sample_market, day, seed), cut):
        other = sc.screen(changed, settings=asked, on=day)
        pd.testing.assert_series_equal(one.rank, other.rank)
        pd.testing.assert_frame_equal(one.metrics, other.metrics, rtol=0, atol=0)
        pd.testing.assert_frame_equal(one.margins, other.margins, rtol=0, atol=0)
        pd.testing.assert_frame_equal(one.facts, other.facts)
        assert one.reasons == other.reasons and one.near == other.near


def test_a_screen_on_a_past_date_is_the_one_of_a_market_as_of_it(sample_market: sc.Market) -> None:
    day = date(2024, 3, 1)
    earlier = sc.load_market(replace(sample_market.request, as_of=day))
    for key in sample_market.universe.screens:
        one, other = sc.screen(sample_market, key, on=day), sc.screen(earlier, key)
        assert one.rank.to_dict() == other.rank.to_dict() and one.reasons == other.reasons
        pd.testing.assert_frame_equal(one.metrics, other.metrics, rtol=1e-9)
    assert "USAR" not in one.metrics.index


def test_a_history_ends_with_the_screen_of_today(sample_market: sc.Market) -> None:
    keys = list(sample_market.universe.screens)
    for key, history in sc.screen_histories(sample_market, keys, weeks=4).items():
        assert len(history.dates) == 5 and history.dates[-1] == sample_market.request.as_of
        now = sc.screen(sample_market, key)
        passing = history.passed.columns[history.passed.iloc[-1]]
        assert set(passing) == set(now.rank.index) and history.latest.near == now.near
        before = sc.screen(sample_market, key, on=history.dates[0])
        assert set(history.passed.columns[history.passed.iloc[0]]) == set(before.rank.index)


def test_a_broken_condition_of_a_universe_is_found_without_prices(sample_market: sc.Market) -> None:
    key, spec = next(iter(sample_market.universe.screens.items()))
    for where, said in (
        ("advv > 1", "did you mean"),
        ("adv", "not true or false"),
        ("segment > 1 +", "cannot be read"),
    ):
        broken = replace(sample_market.universe, screens={key: replace(spec, where=where)})
        (problem,) = sc.word_problems(broken)["screens.toml", key]
        assert said in problem
    sound = replace(spec, where="contains(elements, 'Dy') and market_cap > 1e9 and adv_percentile > 0.2")
    universe = replace(sample_market.universe, screens={key: sound})
    assert not any(sc.word_problems(universe).values())


def test_every_fault_of_a_folder_is_told_in_one_pass(tmp_path: Path) -> None:
    """What the loader finds and what only the layers above know come together, each with its line."""
    folder = write_template(tmp_path / "mine")
    for name, old, new in (
        ("instruments.csv", "XNYS", "XNYZ"),
        ("themes.toml", "inverse_volatility", "inverse_vol"),
        ("screens.toml", "volatility <= 0.60", "volatlity <= 0.60"),
        ("screens.toml", "rank_by = {", 'where = "adv >"\nrank_by = {'),
    ):
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        sc.check_universe(folder)
    told = "\n".join(caught.value.problems)
    assert "instruments.csv:2: mic" in told
    assert "themes.toml:6: [core] method 'inverse_vol' is unknown; did you mean 'inverse_volatility'" in told
    assert "screens.toml:5: [steady] metric 'volatlity' is unknown" in told
    assert "screens.toml:5: [steady] where 'adv >' cannot be read" in told


def test_percentiles_are_among_all_names_also_inside_a_theme(sample_market: sc.Market) -> None:
    whole = sc.screen(sample_market).metrics
    theme = sc.screen(sample_market, settings=sc.ScreenSettings(theme="magnets")).metrics
    pd.testing.assert_series_equal(
        theme["adv_percentile"], whole.loc[theme.index, "adv_percentile"], check_exact=True
    )


def test_fundamentals_refuse_a_past_date_and_a_source_without_them(sample_market: sc.Market) -> None:
    past = replace(sample_market.request, as_of=date(2024, 3, 1))
    with pytest.raises(UserError, match="today's and were not known like this on 2024-03-01"):
        sc.load_fundamentals(replace(sample_market, request=past), ["MP"])
    with pytest.raises(UserError, match="leave out --offline"):
        sc.load_fundamentals(sample_market, ["MP"])
    online = replace(sample_market.request, offline=False)
    with pytest.raises(UserError, match="the source sample states none"):
        sc.load_fundamentals(replace(sample_market, request=online), ["MP"])
    stated = sc.Stated({"MP": {"market_cap": 1e10}}, {})
    with pytest.raises(UserError, match="not known like this"):
        sc.screen(sample_market, settings=sc.ScreenSettings(stated=stated), on=date(2024, 3, 1))


def test_fundamentals_stand_among_the_metrics_when_they_are_stated(sample_market: sc.Market) -> None:
    stated = sc.Stated({"MP": {"market_cap": 1e10, "cash": 1e9, "free_cash_flow": -1.2e9}}, {})
    rule = ScreenRule("cash_runway_months", ">=", 9.0)
    result = sc.screen(sample_market, settings=sc.ScreenSettings(rules=(rule,), stated=stated))
    assert result.metrics.loc["MP", "cash_runway_months"] == pytest.approx(10.0)
    assert result.passed.loc["MP", "cash_runway_months >= 9"]
    assert "cash runway is unknown" in result.reasons["LYC.AX"]


def test_a_theme_without_history_says_so_instead_of_a_backtest(sample_market: sc.Market) -> None:
    result = sc.backtest(sample_market, "magnets", sc.BacktestSettings(start=date(2026, 6, 1)))
    assert result.backtest is None
    assert "sessions of history" in result.note


def test_a_span_without_a_rebalance_says_so(sample_market: sc.Market) -> None:
    result = sc.backtest(sample_market, "magnets", sc.BacktestSettings(start=date(2026, 7, 1)))
    assert result.note == "no monthly rebalance falls between 2026-07-01 and 2026-07-10"


def test_wealth_is_cash_and_shares_at_their_prices(sample_market: sc.Market) -> None:
    run = sc.backtest(sample_market, "recycling", sc.BacktestSettings("monthly", years=2)).backtest
    assert run is not None
    worth = run.cash + (run.shares * run.prices).sum(axis=1)
    np.testing.assert_allclose(worth, run.wealth, rtol=0, atol=1e-9)
    again = sc.backtest(sample_market, "recycling", sc.BacktestSettings("monthly", years=2)).backtest
    assert again is not None
    pd.testing.assert_series_equal(again.wealth, run.wealth, rtol=0, atol=0)


def test_as_of_an_earlier_date_nothing_later_is_there(sample_market: sc.Market) -> None:
    earlier = sc.load_market(replace(sample_market.request, as_of=date(2024, 3, 1)))
    assert earlier.panel.sessions[-1] <= pd.Timestamp("2024-03-01")
    assert "USAR" not in earlier.panel.symbols
    assert earlier.states["USAR"].state == "not listed"
    whole = sample_market.panel.until(date(2024, 3, 1)).select(earlier.panel.symbols)
    rows = earlier.panel.prices.index
    pd.testing.assert_frame_equal(whole.prices.loc[rows], earlier.panel.prices, rtol=0, atol=0)


def test_the_base_currency_changes_money_and_not_who_is_fresh(sample_market: sc.Market) -> None:
    yen = sc.load_market(replace(sample_market.request, base="JPY"))
    assert yen.panel.symbols == sample_market.panel.symbols
    day = yen.panel.sessions[-5]
    ratio = yen.panel.close.loc[day, "NVDA"] / sample_market.panel.close.loc[day, "NVDA"]
    assert 80 < ratio < 300
    tokyo = yen.panel.prices["6762.T"].pct_change().iloc[-60:].std()
    assert tokyo < sample_market.panel.prices["6762.T"].pct_change().iloc[-60:].std() * 1.5


def test_unknown_words_are_refused(sample_market: sc.Market) -> None:
    with pytest.raises(UserError, match="did you mean 'magnets'"):
        sc.build(sample_market, "magnet")
    with pytest.raises(UserError, match="screen"):
        sc.screen(sample_market, "nope")
    with pytest.raises(UserError, match="base currency"):
        sc.load_market(replace(sample_market.request, base="XYZ"))
