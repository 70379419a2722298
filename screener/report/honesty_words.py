"""The paragraph that says in plain words what survives of a record, for the page, the text and the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from screener.backtest.validity import CONFIDENCE, LEVEL
from screener.report.words import Wording, number, percent

if TYPE_CHECKING:
    from screener.backtest.honesty import Honesty
    from screener.backtest.placebo import Placebo


def honesty_sentences(honesty: Honesty, say: Wording) -> list[str]:
    """Return the sentences about a record, in order; what was not looked at is left out."""
    sentences = [_lead(honesty, say)]
    if honesty.placebo is not None:
        sentences += _baskets(honesty, honesty.placebo, say)
    sentences.append(
        say.count("honesty.trials", honesty.search.trials or 1, chance=_chance(honesty.deflated_sharpe))
    )
    if honesty.overfitting is not None:
        tried, share = honesty.overfitting.variants, percent(honesty.overfitting.probability, 0)
        sentences.append(say("honesty.overfitting", n=f"{tried:,}", share=share))
    if honesty.superiority is not None and honesty.benchmark:
        p_value = percent(honesty.superiority.p_value, 0)
        sentences.append(say("honesty.superiority", benchmark=honesty.benchmark, p=p_value))
    sentences += _parts(honesty, say)
    for key, luck in (("start_dates", honesty.start_dates), ("rebalance_days", honesty.rebalance_days)):
        if luck is not None:
            ends = {"low": percent(luck.cagr_low, signed=True), "high": percent(luck.cagr_high, signed=True)}
            sentences.append(say(f"honesty.{key}", n=luck.runs, **ends))
    sentences.append(_verdict(honesty, say))
    if honesty.hindsight:
        sentences.append(say("honesty.hindsight"))
    return sentences


def _chance(probability: float) -> str:
    """Write a probability; certainty is never claimed."""
    return (
        percent(probability, 0)
        if 0.01 <= probability <= 0.99
        else percent(np.clip(probability, 0.001, 0.999))
    )


def _lead(honesty: Honesty, say: Wording) -> str:
    validity, excess = honesty.validity, honesty.validity.excess_cagr
    values = {"theme": honesty.theme, "years": number(validity.years, 1), "level": percent(LEVEL, 0)}
    if excess is None or honesty.benchmark_cagr is None:
        ends = {
            "low": percent(validity.cagr.low, signed=True),
            "high": percent(validity.cagr.high, signed=True),
        }
        return say("honesty.alone", cagr=percent(honesty.cagr, signed=True), **ends, **values)
    ahead = honesty.cagr - honesty.benchmark_cagr
    ends = {"low": percent(excess.low, signed=True), "high": percent(excess.high, signed=True)}
    key = "honesty.ahead" if ahead >= 0 else "honesty.behind"
    return say(key, benchmark=honesty.benchmark, ahead=percent(abs(ahead)), **ends, **values)


def _baskets(honesty: Honesty, placebo: Placebo, say: Wording) -> list[str]:
    sentences = [
        say(
            "honesty.baskets",
            better=f"{placebo.better_sharpe:,}",
            richer=f"{placebo.better_cagr:,}",
            n=f"{placebo.baskets:,}",
            size=placebo.size,
        )
    ]
    if placebo.stands_in:
        sentences.append(say("honesty.stands_in", method=honesty.method.replace("_", " ")))
    apart = placebo.cagr - honesty.cagr
    sentences.append(
        say(
            "honesty.simplified",
            cagr=percent(placebo.cagr, signed=True),
            full=percent(honesty.cagr, signed=True),
            difference=percent(apart, signed=True),
        )
    )
    return sentences


def _parts(honesty: Honesty, say: Wording) -> list[str]:
    sentences = []
    parts = honesty.dependence
    if parts is not None:
        values = {
            "month": parts.best_month,
            "without_month": percent(parts.without_best_month, signed=True),
            "days": parts.days,
            "without_days": percent(parts.without_best_days, signed=True),
        }
        if parts.best_name and math.isfinite(parts.without_best_name):
            without = percent(parts.without_best_name, signed=True)
            sentences.append(say("honesty.name", symbol=parts.best_name, without=without))
        sentences.append(say("honesty.days", **values))
    if honesty.halves is not None:
        first, second = (percent(each.cagr, signed=True) for each in honesty.halves)
        sentences.append(say("honesty.halves", first=first, second=second))
    return sentences


def _verdict(honesty: Honesty, say: Wording) -> str:
    level = percent(CONFIDENCE, 0)
    found = [say(f"honesty.beyond.{each}", benchmark=honesty.benchmark) for each in honesty.beyond_luck]
    if not found:
        return say("honesty.nothing", level=level)
    return say("honesty.survives", level=level, what=say.listed(found))
