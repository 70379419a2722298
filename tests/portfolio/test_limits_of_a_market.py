"""Limits, budgets and orders on a whole market: build, backtest and the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import screener.api as sc
from screener.cli import main
from screener.errors import UserError
from screener.portfolio.build import drifted

Build = Callable[..., tuple[int, str, str]]


@pytest.fixture
def build(capsys: pytest.CaptureFixture[str], sample_store: Path) -> Build:
    def call(*words: object) -> tuple[int, str, str]:
        shared = ["--source", "sample", "--store", sample_store, "--as-of", "2026-07-10", "--offline"]
        code = main(["build", *(str(each) for each in (*words, *shared, "--now", "2026-07-11T06:00"))])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_turnover_limit_holds_through_a_backtest(sample_market: sc.Market) -> None:
    theme = replace(sc.theme_named(sample_market.universe, "magnets"), limits=("turnover <= 6%",))
    run = sc.backtest(sample_market, theme, sc.BacktestSettings("quarterly", years=2)).backtest
    assert run is not None and len(run.schedule) > 4
    bound = 0
    for before, after in zip(run.schedule, run.schedule[1:], strict=False):
        held = drifted(before, sample_market.panel.until(after.decided_on))
        symbols = {*held, *after.weights.index}
        traded = sum(abs(after.weights.get(s, 0.0) - held.get(s, 0.0)) for s in symbols) / 2
        assert traded <= 0.06 + 1e-9
        bound += traded > 0.06 - 1e-6
    assert bound  # it would have traded more


def test_a_decision_with_memory_looks_at_nothing_later(sample_market: sc.Market) -> None:
    theme = replace(
        sc.theme_named(sample_market.universe, "magnets"),
        limits=("turnover <= 12%", "trade >= 0.3%", "names <= 12"),
    )
    settings = sc.BacktestSettings("quarterly", years=2)
    whole = sc.backtest(sample_market, theme, settings).backtest
    assert whole is not None
    day = whole.schedule[3].decided_on
    request = replace(sample_market.request, as_of=day)
    cut = replace(sample_market, panel=sample_market.panel.until(day), request=request)
    start = sc.BacktestSettings("quarterly", start=whole.schedule[0].decided_on)
    short = sc.backtest(cut, theme, start).backtest
    assert short is not None
    for one, other in zip(whole.schedule[:3], short.schedule[:3], strict=True):
        assert one.decided_on == other.decided_on
        np.testing.assert_array_equal(one.weights.to_numpy(), other.weights.to_numpy())


def test_what_is_of_today_only_is_refused_in_a_backtest(sample_market: sc.Market) -> None:
    for method in ("market_value", "index_rule"):
        theme = replace(sc.theme_named(sample_market.universe, "magnets"), method=method)
        with pytest.raises(UserError, match="known of today only"):
            sc.backtest(sample_market, theme)
    with pytest.raises(UserError, match="are of today"):
        day = sample_market.panel.sessions[-30].date()
        sc.build(sample_market, "magnets", on=day, known=sc.Known(market_values={"MP": 1e9}))


def test_an_index_and_market_values_weigh_by_size(sample_market: sc.Market) -> None:
    theme = replace(sc.theme_named(sample_market.universe, "magnets"), method="market_value", max_weight=0.5)
    members = sample_market.universe.members(theme, sample_market.request.as_of)
    sizes = {each.symbol: 1e9 * (1 + number) for number, each in enumerate(members)}
    known = sc.Known(market_values=sizes)
    made = sc.build(sample_market, theme, known=known)
    ratio = made.weights / [sizes[symbol] for symbol in made.weights.index]
    free = ratio[made.weights < 0.1]
    assert free.max() / free.min() == pytest.approx(1, abs=1e-6)
    index = sc.build(sample_market, replace(theme, method="index_rule"), known=known)
    assert any("hold less than the index" in line or "hold too little" in line for line in index.limits_bound)


def test_limits_on_the_command_line_are_kept_and_named(build: Build) -> None:
    code, out, _ = build("magnets", "--limit", "country CN <= 30%", "--limit", "names <= 12", "--json")
    assert code == 0
    content = json.loads(out)["data"]
    assert len(content["weights"]) <= 12
    assert any(line.startswith("country CN <= 30% binds") for line in content["limits_bound"])


def test_limits_that_contradict_each_other_end_with_2_and_the_smallest_change(build: Build) -> None:
    code, out, err = build("magnets", "--limit", "names <= 6", "--limit", "cash <= 0%")
    assert (code, out) == (2, "")
    assert '"names <= 6" and "cash <= 0%" cannot hold together: they leave 40 % unplaced' in err
    assert "The smallest change that does:" in err


def test_words_that_nothing_bears_are_told_before_prices_are_loaded(build: Build) -> None:
    code, _, err = build("magnets", "--limit", "segment magnet <= 20%", "--budget", "country XX = 100%")
    assert code == 2
    assert "did you mean 'magnets'" in err and "'XX' is unknown" in err


def test_risk_budgets_on_the_command_line_are_met(build: Build) -> None:
    words = ["--budget", "dependence low = 50%", "--budget", "dependence medium = 20%"]
    words += ["--budget", "dependence high = 20%", "--budget", "dependence china-domiciled = 10%"]
    code, out, _ = build("friend_shored", *words, "--json")
    assert code == 0
    content = json.loads(out)["data"]
    assert content["method"] == "risk_budgets"
    assert not any("of the risk, not" in line for line in content["limits_bound"])


def test_orders_are_written_whole_and_marked_synthetic(build: Build, tmp_path: Path) -> None:
    held, orders = tmp_path / "held.csv", tmp_path / "orders.csv"
    held.write_text("symbol,shares\nMP,20\nNVDA,3\n", encoding="utf-8")
    code, out, _ = build("magnets", "--holdings", held, "--capital", 200_000, "--orders", orders)
    assert code == 0
    assert out.strip().splitlines()[-1] == str(orders)
    rows = list(csv.DictReader(orders.read_text(encoding="utf-8").splitlines()))
    assert {"symbol": "NVDA", "side": "sell", "shares": "3"}.items() <= rows[0].items()
    assert {row["prices"] for row in rows} == {"SYNTHETIC"}
    spent = sum(
        float(row["value"]) * (1 if row["side"] == "buy" else -1) + float(row["cost"]) for row in rows
    )
    assert 0 < spent <= 200_000
    assert sorted(each.name for each in tmp_path.iterdir()) == ["held.csv", "orders.csv"]


def test_a_wrong_holdings_file_is_told_line_by_line(build: Build, tmp_path: Path) -> None:
    held = tmp_path / "held.csv"
    held.write_text("symbol,shares\nMPP,20\nNVDA,2.5\n", encoding="utf-8")
    code, _, err = build("magnets", "--holdings", held)
    assert code == 2
    assert "held.csv:2:" in err and "held.csv:3:" in err


def test_views_move_the_portfolio(build: Build, tmp_path: Path) -> None:
    views = tmp_path / "views.csv"
    words = ("magnets", "--method", "black_litterman", "--json")
    plain = json.loads(build(*words)[1])["data"]["weights"]
    views.write_text("symbol,against,view,confidence\nMP,,-0.5,0.9\n", encoding="utf-8")
    moved = json.loads(build(*words, "--views", views)[1])["data"]["weights"]
    assert moved.get("MP", 0.0) < plain["MP"] - 0.01


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--method", "equal", "--budget", "segment mining = 100%"), "equal takes no risk budgets"),
        (("--fundamentals",), "does not look at market values"),
        (("--method", "market_value"), "known of today only"),
        (("--limit", "trakcing error <= 5%"), "is unknown"),
    ],
)
def test_options_that_would_do_nothing_are_refused(build: Build, words: tuple[str, ...], said: str) -> None:
    code, _, err = build("magnets", *words)
    assert code == 2 and said in " ".join(err.replace("│", " ").split())
