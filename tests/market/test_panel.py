from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.market.bars import Bars, bars_table
from screener.market.grid import STALE_AFTER
from screener.market.panel import PricePanel, build
from screener.market.sessions import sessions_between
from screener.universe.model import Instrument

NOW = datetime(2026, 7, 20, tzinfo=UTC)


def instrument(symbol: str, mic: str = "XNYS", currency: str = "USD", **more: object) -> Instrument:
    plain = Instrument(symbol, symbol, symbol, symbol.lower(), "equity", mic, currency, "US", "mining")
    return replace(plain, **more)  # type: ignore[arg-type]


def bars(symbol: str, close: pd.Series, currency: str = "USD", **columns: pd.Series) -> Bars:
    return Bars(symbol, bars_table(pd.DataFrame({"close": close, **columns})), currency, "test", NOW)


def on_sessions(mic: str, start: str, end: str, level: float = 100.0) -> pd.Series:
    index = sessions_between(mic, date.fromisoformat(start), date.fromisoformat(end))
    return pd.Series(level + np.arange(len(index), dtype=float), index=index)


def panel_of(
    *pairs: tuple[Instrument, Bars], fx: tuple[Bars, ...] = (), as_of: str = "2026-07-10", base: str = "USD"
) -> PricePanel:
    served = {each.symbol: each for _, each in pairs} | {each.symbol: each for each in fx}
    return build(served, {each.symbol: each for each, _ in pairs}, base, date.fromisoformat(as_of), NOW)[0]


def test_calendars_are_united_and_a_shut_exchange_keeps_its_last_price() -> None:
    # 2026-04-29 is a holiday in Tokyo, 2026-04-03 (Good Friday) in New York.
    new_york = on_sessions("XNYS", "2026-04-01", "2026-05-08")
    tokyo = on_sessions("XTKS", "2026-04-01", "2026-05-08")
    panel = panel_of(
        (instrument("AAA"), bars("AAA", new_york)),
        (instrument("9999.T", "XTKS", "USD"), bars("9999.T", tokyo)),
    )
    assert pd.Timestamp("2026-04-29") in panel.sessions and pd.Timestamp("2026-04-03") in panel.sessions
    assert not panel.traded.loc["2026-04-29", "9999.T"]
    assert panel.prices.loc["2026-04-29", "9999.T"] == panel.prices.loc["2026-04-28", "9999.T"]
    # Golden Week, 4 to 6 May, is longer than a weekend and still no gap
    assert np.isfinite(panel.prices.loc["2026-05-06", "9999.T"])


def test_total_return_reinvests_the_dividend_on_its_ex_date() -> None:
    close = on_sessions("XNYS", "2026-06-01", "2026-06-05", 100.0)
    dividend = pd.Series([0.0, 0.0, 2.0, 0.0, 0.0], index=close.index)
    panel = panel_of((instrument("AAA"), bars("AAA", close, dividend=dividend)), as_of="2026-06-05")
    returns = panel.prices["AAA"].pct_change().dropna().to_list()
    assert returns == pytest.approx([1 / 100, (102 + 2) / 101 - 1, 1 / 102, 1 / 103], rel=1e-12)
    assert panel.close["AAA"].to_list() == close.to_list()


def test_prices_are_in_the_base_currency_and_pence_are_not_pounds() -> None:
    close = on_sessions("XLON", "2026-06-01", "2026-06-05", 250.0)
    pound = bars("GBPUSD=X", pd.Series(1.25, index=close.index), "USD")
    panel = panel_of(
        (instrument("RBW.L", "XLON", "GBp"), bars("RBW.L", close, "GBp")), fx=(pound,), as_of="2026-06-05"
    )
    assert panel.prices["RBW.L"].iloc[0] == pytest.approx(3.125)


def test_value_traded_is_in_the_base_currency_and_only_on_traded_sessions() -> None:
    close = on_sessions("XTKS", "2026-04-27", "2026-04-30", 1000.0)
    volume = pd.Series(500.0, index=close.index)
    yen = bars("JPY=X", pd.Series(150.0, index=pd.bdate_range("2026-04-27", "2026-04-30")), "JPY")
    filler = on_sessions("XNYS", "2026-04-27", "2026-04-30")
    panel = panel_of(
        (instrument("9999.T", "XTKS", "JPY"), bars("9999.T", close, "JPY", volume=volume)),
        (instrument("AAA"), bars("AAA", filler)),
        fx=(yen,),
        as_of="2026-04-30",
    )
    assert panel.value_traded["9999.T"].iloc[0] == pytest.approx(1000 * 500 / 150)
    assert np.isnan(panel.value_traded.loc["2026-04-29", "9999.T"])
    assert panel.value_traded["AAA"].isna().all()


def test_a_late_listing_is_missing_before_it_and_a_shells_rows_are_not_the_companys() -> None:
    close = on_sessions("XNYS", "2025-01-02", "2025-06-30", 10.0)
    other = on_sessions("XNYS", "2025-01-02", "2025-06-30")
    usar = instrument("USAR", listed_from=date(2025, 3, 14))
    panel = panel_of((usar, bars("USAR", close)), (instrument("AAA"), bars("AAA", other)), as_of="2025-06-30")
    assert panel.prices.loc[:"2025-03-13", "USAR"].isna().all()  # type: ignore[misc]
    assert panel.prices["USAR"].first_valid_index() == pd.Timestamp("2025-03-14")


def test_a_delisted_name_is_missing_from_its_date_on() -> None:
    close = on_sessions("XNYS", "2025-01-02", "2025-06-30")
    gone = instrument("GONE", delisted_on=date(2025, 4, 1))
    panel = panel_of((gone, bars("GONE", close)), (instrument("AAA"), bars("AAA", close)), as_of="2025-06-30")
    assert panel.prices["GONE"].last_valid_index() == pd.Timestamp("2025-03-31")


def test_a_price_is_kept_for_five_missed_sessions_and_no_longer() -> None:
    close = on_sessions("XNYS", "2026-06-01", "2026-07-10")
    silent = close.drop(close.index[5:20])
    panel = panel_of((instrument("AAA"), bars("AAA", close)), (instrument("BBB"), bars("BBB", silent)))
    known = panel.prices["BBB"].notna().to_numpy()
    assert known[: 5 + STALE_AFTER].all()
    assert not known[5 + STALE_AFTER : 20].any()
    assert known[20:].all()
    assert not panel.traded["BBB"].to_numpy()[5:20].any()


def test_states_name_stale_missing_delisted_and_not_yet_listed_names() -> None:
    close = on_sessions("XNYS", "2026-01-02", "2026-07-10")
    names = {
        "FRESH": instrument("FRESH"),
        "STALE": instrument("STALE"),
        "MISSING": instrument("MISSING"),
        "GONE": instrument("GONE", delisted_on=date(2026, 2, 2)),
        "FUTURE": instrument("FUTURE", listed_from=date(2027, 1, 1)),
    }
    served = {
        "FRESH": bars("FRESH", close),
        "STALE": bars("STALE", close.iloc[:-3]),
        "GONE": bars("GONE", close),
    }
    _, states = build(served, names, "USD", date(2026, 7, 10), NOW)
    assert {symbol: each.state for symbol, each in states.items()} == {
        "FRESH": "fresh",
        "STALE": "stale",
        "MISSING": "missing",
        "GONE": "delisted",
        "FUTURE": "not listed",
    }
    assert states["STALE"].sessions_missed == 3
    assert "3 New York sessions missing" in states["STALE"].reason


def test_a_session_that_has_not_closed_yet_is_not_missed() -> None:
    close = on_sessions("XNYS", "2026-01-02", "2026-07-09")
    noon = datetime(2026, 7, 10, 16, 0, tzinfo=UTC)
    _, states = build({"AAA": bars("AAA", close)}, {"AAA": instrument("AAA")}, "USD", date(2026, 7, 10), noon)
    assert states["AAA"].state == "fresh"


def test_a_name_without_its_exchange_rate_is_missing_and_says_so() -> None:
    close = on_sessions("XTKS", "2026-01-05", "2026-07-10")
    yen_name = instrument("9999.T", "XTKS", "JPY")
    panel, states = build(
        {"9999.T": bars("9999.T", close, "JPY")}, {"9999.T": yen_name}, "USD", date(2026, 7, 10), NOW
    )
    assert panel.symbols == []
    assert states["9999.T"].reason == "no exchange rate from JPY to USD"


def test_a_rate_that_stopped_makes_its_names_stale_with_that_reason() -> None:
    close = on_sessions("XTKS", "2026-01-05", "2026-07-10")
    yen_name = instrument("9999.T", "XTKS", "JPY")
    rates = pd.Series(150.0, index=pd.bdate_range("2026-01-05", "2026-06-19"))
    served = {"9999.T": bars("9999.T", close, "JPY"), "JPY=X": bars("JPY=X", rates, "JPY")}
    panel, states = build(served, {"9999.T": yen_name}, "USD", date(2026, 7, 10), NOW)
    assert np.isnan(panel.prices["9999.T"].iloc[-1])
    assert states["9999.T"].state == "stale"
    assert states["9999.T"].reason == "no exchange rate from JPY to USD after 2026-06-26"


def test_no_bars_at_all_make_an_empty_panel() -> None:
    panel, states = build({}, {"AAA": instrument("AAA")}, "USD", date(2026, 7, 10), NOW)
    assert panel.prices.shape == (0, 0)
    assert states["AAA"].state == "missing"


def test_nothing_later_than_the_as_of_date_enters() -> None:
    close = on_sessions("XNYS", "2026-01-02", "2026-07-10")
    assert panel_of((instrument("AAA"), bars("AAA", close)), as_of="2026-03-06").sessions[-1] == pd.Timestamp(
        "2026-03-06"
    )


@settings(max_examples=30, deadline=None)
@given(cut=st.integers(20, 120), seed=st.integers(0, 10**6))
def test_the_panel_until_a_date_is_the_panel_built_as_of_that_date(cut: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    names, served = {}, {}
    for symbol, mic in (("AAA", "XNYS"), ("9999.T", "XTKS"), ("LYC.AX", "XASX")):
        close = on_sessions(mic, "2026-01-05", "2026-07-10") * np.exp(rng.normal(0, 0.1))
        kept = rng.random(len(close)) > 0.2  # bars go missing anywhere
        names[symbol] = instrument(symbol, mic)
        dividend = pd.Series(np.where(rng.random(len(close)) > 0.95, 1.0, 0.0), index=close.index)
        served[symbol] = bars(symbol, close[kept], dividend=dividend[kept])
    whole, _ = build(served, names, "USD", date(2026, 7, 10), NOW)
    day = whole.sessions[cut].date()
    then, _ = build(served, names, "USD", day, NOW)
    seen = whole.until(day).select(then.symbols)
    pd.testing.assert_frame_equal(seen.prices, then.prices, rtol=0, atol=0)
    pd.testing.assert_frame_equal(seen.traded, then.traded)


def test_a_panel_refuses_unsorted_symbols_and_dates_after_its_as_of_date() -> None:
    panel = panel_of((instrument("AAA"), bars("AAA", on_sessions("XNYS", "2026-01-02", "2026-07-10"))))
    with pytest.raises(ValueError, match="later than its as-of"):
        replace(panel, as_of=date(2026, 1, 5))
    with pytest.raises(ValueError, match="share their index"):
        replace(panel, close=panel.close.iloc[:-1])


def slowly(served: dict[str, Bars], names: dict[str, Instrument], until: date) -> pd.DataFrame:
    """The obvious twin of prices in USD without rates: one date and one name at a time, from what was known then."""
    dates = {
        day.date()
        for symbol, each in served.items()
        for day in [
            *each.table.index,
            *sessions_between(
                names[symbol].mic, min(b.table.index[0] for b in served.values()).date(), until
            ),
        ]
        if day.date() <= until
    }
    rows: dict[date, dict[str, float]] = {}
    for day in sorted(dates):
        rows[day] = {}
        for symbol, each in served.items():
            table = each.table[each.table.index <= pd.Timestamp(day)]
            if not len(table):
                continue
            newest = table.index[-1].date()
            missed = sessions_between(names[symbol].mic, newest, day)
            if (missed > pd.Timestamp(newest)).sum() > STALE_AFTER:
                continue
            level = float(table["close"].iloc[0])
            for at in range(1, len(table)):
                level *= (table["close"].iloc[at] + table["dividend"].iloc[at]) / table["close"].iloc[at - 1]
            rows[day][symbol] = level
    return pd.DataFrame.from_dict(rows, orient="index").sort_index(axis=1)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_panel_is_what_one_name_and_one_date_at_a_time_give(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names, served = {}, {}
    for symbol, mic in (("AAA", "XNYS"), ("9999.T", "XTKS"), ("LYC.AX", "XASX")):
        close = on_sessions(mic, "2026-04-13", "2026-05-22") * np.exp(rng.normal(0, 0.1))
        kept = rng.random(len(close)) > rng.choice([0.0, 0.4, 0.8])
        kept[rng.integers(len(close))] = True
        names[symbol] = instrument(symbol, mic)
        dividend = pd.Series(np.where(rng.random(len(close)) > 0.9, 1.0, 0.0), index=close.index)
        served[symbol] = bars(symbol, close[kept], dividend=dividend[kept])
    panel, _ = build(served, names, "USD", date(2026, 5, 22), NOW)
    twin = slowly(served, names, date(2026, 5, 22)).reindex(columns=panel.symbols)
    assert [each.date() for each in panel.sessions] == list(twin.index)
    np.testing.assert_allclose(panel.prices.to_numpy(), twin.to_numpy(dtype=float), rtol=1e-12)


def test_a_name_without_a_trade_for_over_ten_sessions_while_others_trade_is_suspended() -> None:
    close = on_sessions("XTKS", "2026-05-01", "2026-07-10")
    volume = pd.Series(1000.0, index=close.index)
    silent = volume.copy()
    silent.iloc[-11:] = 0.0
    served = {
        "1111.T": bars("1111.T", close, volume=volume),
        "2222.T": bars("2222.T", close.iloc[:-11], volume=volume.iloc[:-11]),
        "3333.T": bars("3333.T", close, volume=silent),
        "4444.T": bars("4444.T", close.iloc[:-10], volume=volume.iloc[:-10]),
    }
    names = {symbol: instrument(symbol, "XTKS") for symbol in served}
    _, states = build(served, names, "USD", date(2026, 7, 10), NOW)
    assert {symbol for symbol, each in states.items() if each.suspended} == {"2222.T", "3333.T"}
    last = close.index[-12].date()
    reason = f"suspended: no trade since {last}; 11 Tokyo sessions without one"
    assert states["2222.T"].reason == states["3333.T"].reason == reason
    assert states["2222.T"].state == states["3333.T"].state == "stale"
    assert states["1111.T"].state == "fresh"


def test_when_a_whole_exchange_falls_silent_the_source_is_old_and_nothing_is_suspended() -> None:
    close = on_sessions("XTKS", "2026-05-01", "2026-06-12")
    _, states = build(
        {"1111.T": bars("1111.T", close)},
        {"1111.T": instrument("1111.T", "XTKS")},
        "USD",
        date(2026, 7, 10),
        NOW,
    )
    assert not states["1111.T"].suspended and states["1111.T"].reason.startswith(
        "newest price is of 2026-06-12"
    )


LATER = datetime(2027, 3, 1, 12, tzinfo=UTC)


def in_shanghai(*days: str) -> pd.Series:
    return pd.Series(10.0, index=pd.DatetimeIndex(days))


def test_past_a_calendars_end_the_dates_that_anything_traded_on_count_and_the_end_is_told() -> None:
    first = ["2026-12-30", "2026-12-31", "2027-01-04", "2027-01-05", "2027-01-06"]
    served = {
        "600111.SS": bars("600111.SS", in_shanghai(*first)),
        "300748.SZ": bars("300748.SZ", in_shanghai("2026-12-31", *[f"2027-01-{d:02}" for d in range(4, 9)])),
        "600392.SS": bars("600392.SS", in_shanghai("2026-12-31")),
    }
    names = {symbol: instrument(symbol, "XSHE" if "SZ" in symbol else "XSHG") for symbol in served}
    panel, states = build(served, names, "USD", date(2027, 1, 15), LATER)
    assert panel.sessions[-1] == pd.Timestamp("2027-01-08")  # no date after it is called a session
    # five dates on which Shenzhen traded: the price is still kept; nothing is told to be missing
    assert np.isfinite(panel.prices["600392.SS"].iloc[-1])
    for state in states.values():
        assert state.state == "stale" and state.sessions_missed == 0
        assert "calendar unknown: Shanghai and Shenzhen's holidays are known to 2026-12-31" in state.reason


def test_past_a_calendars_end_no_price_is_kept_for_more_than_ten_weekdays() -> None:
    new_york = on_sessions("XNYS", "2026-12-28", "2027-01-29")
    served = {
        "600111.SS": bars("600111.SS", in_shanghai("2026-12-31", "2027-01-04")),
        "AAA": bars("AAA", new_york),
    }
    names = {"600111.SS": instrument("600111.SS", "XSHG"), "AAA": instrument("AAA")}
    panel, _ = build(served, names, "USD", date(2027, 1, 29), LATER)
    assert panel.prices["600111.SS"].last_valid_index() == pd.Timestamp("2027-01-15")  # MLK Day follows


def test_a_close_meets_no_rate_struck_after_it() -> None:
    """ECB fixings of 14:15 in Frankfurt: Tokyo's close takes the day before's, New York's the day's own."""
    weekdays = pd.bdate_range("2026-06-01", "2026-06-05")
    dollars = pd.Series([1.0, 2.0, 4.0, 8.0, 16.0], index=weekdays)
    rate = replace(bars("EURUSD=X", dollars), source="files:/p#fx=14:15 Europe/Berlin")
    served = {
        "9999.T": bars("9999.T", on_sessions("XTKS", "2026-06-01", "2026-06-05") * 0 + 1, "EUR"),
        "AAA": bars("AAA", on_sessions("XNYS", "2026-06-01", "2026-06-05") * 0 + 1, "EUR"),
    }
    names = {"9999.T": instrument("9999.T", "XTKS", "EUR"), "AAA": instrument("AAA", currency="EUR")}
    panel, _ = build({**served, "EURUSD=X": rate}, names, "USD", date(2026, 6, 5), NOW)
    assert panel.close["AAA"].to_list() == [1, 2, 4, 8, 16]
    assert np.isnan(panel.close["9999.T"].iloc[0]) and panel.close["9999.T"].to_list()[1:] == [1, 2, 4, 8]
    start_of_day, _ = build(
        {**served, "EURUSD=X": replace(rate, source="yahoo")}, names, "USD", date(2026, 6, 5), NOW
    )
    assert start_of_day.close["9999.T"].to_list() == [1, 2, 4, 8, 16]


def test_a_dividend_in_pence_is_a_share_of_a_price_in_pence() -> None:
    close = on_sessions("XLON", "2026-06-01", "2026-06-05", 250.0)
    dividend = pd.Series([0.0, 0.0, 5.0, 0.0, 0.0], index=close.index)
    rate = pd.Series([1.25, 1.25, 1.30, 1.30, 1.30], index=close.index)
    panel = panel_of(
        (instrument("RBW.L", "XLON", "GBp"), bars("RBW.L", close, "GBp", dividend=dividend)),
        fx=(bars("GBPUSD=X", rate, "USD"),),
        as_of="2026-06-05",
    )
    local = (252.0 + 5.0) / 251.0
    assert panel.prices["RBW.L"].iloc[2] / panel.prices["RBW.L"].iloc[1] == pytest.approx(local * 1.30 / 1.25)
    assert panel.close["RBW.L"].to_list() == pytest.approx((close / 100 * rate).to_list())


def test_quotes_hold_rates_dividends_and_splits_in_base_currency() -> None:
    close = on_sessions("XLON", "2026-06-01", "2026-06-03", 100.0)
    pound = bars("GBPUSD=X", pd.Series([1.25, 1.30, 1.28], index=close.index), "USD")
    paid = pd.Series([0.0, 2.0, 0.0], index=close.index)
    split = pd.Series([1.0, 1.0, 2.0], index=close.index)
    panel = panel_of(
        (instrument("RBW.L", "XLON", "GBp"), bars("RBW.L", close, "GBp", dividend=paid, split=split)),
        fx=(pound,),
        as_of="2026-06-03",
    )
    quotes = panel.quotes
    assert quotes is not None
    assert quotes.rates[quotes.rate_of["RBW.L"]].to_list() == pytest.approx([1.25, 1.30, 1.28])
    assert quotes.actions["dividend"].to_list() == pytest.approx([0.02 * 1.30, 0.0])
    assert quotes.actions["split"].to_list() == [1.0, 2.0]
    early = panel.until(panel.sessions[1].date()).quotes
    assert early is not None and len(early.actions) == 1 and len(early.rates) == 2
