"""Masthead, headline, three key points and six figures: every sentence is made from numbers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from screener.report.measures import horizon_returns, wealth_returns
from screener.report.model import Figure, KeyPoint, Masthead
from screener.report.proposal import proposal_of
from screener.report.sections.chain import stages_of
from screener.report.sections.changes import counted_changes
from screener.report.sections.screen import screen_label
from screener.report.sections.versus import ahead_of_benchmark
from screener.report.standing import data_banner, label_of_theme, some, standing_of
from screener.report.words import UNKNOWN, Wording, change, is_known, percent, wording

if TYPE_CHECKING:
    import pandas as pd

    from screener.backtest.theme import ThemeResult
    from screener.report.blocks import Stage
    from screener.report.changes import Changes
    from screener.report.model import WeeklyInputs


def masthead(inputs: WeeklyInputs) -> Masthead:
    """Return week, title, banners and the lines at the foot of the page."""
    say, run = wording(inputs.language), inputs.run
    year, week, _ = run.as_of.isocalendar()
    footer = [say("page.advice")]
    if run.synthetic:
        footer.append(say("page.synthetic_footer"))
    footer.append(
        say(
            "page.made_by",
            version=run.version,
            universe=inputs.universe.key,
            at=say.instant(run.generated_at),
        )
    )
    return Masthead(
        kicker=say(
            "page.kicker",
            year=year,
            week=f"{week:02d}",
            day=say.long_day(run.as_of),
            currency=run.base_currency,
        ),
        title=inputs.universe.label_ja if inputs.language == "ja" else inputs.universe.label,
        synthetic_banner=say("banner.synthetic") if run.synthetic else "",
        data_banner=data_banner(inputs, say),
        footer=tuple(footer),
    )


def headline(inputs: WeeklyInputs) -> str:
    """Return the week in one or two sentences: the strongest and weakest stage, and the leading theme."""
    say = wording(inputs.language)
    known = _known_stages(inputs)
    if not known:
        return say("headline.nothing")
    best, worst = max(known, key=lambda each: each.week), min(known, key=lambda each: each.week)
    moved, names = change(_chain_return(inputs, "week")), int(_week(inputs).notna().sum())
    benchmark = _usual_benchmark(inputs)
    sentences = [
        say("headline.chain", change=moved, names=names)
        if benchmark is None
        else say(
            "headline.chain_against", change=moved, names=names, benchmark=benchmark[0], other=benchmark[1]
        ),
        say(
            "headline.stages",
            best=best.label,
            up=change(best.week),
            worst=worst.label,
            down=change(worst.week),
        ),
    ]
    leading = _leading_theme(inputs)
    if leading is not None:
        result, gained = leading
        sentences.append(say("headline.theme", theme=label_of_theme(inputs, result), change=change(gained)))
    return say.joined(sentences)


def key_points(inputs: WeeklyInputs) -> tuple[KeyPoint, ...]:
    """Return the week in sentences: chain, screens, weights, risk and data, each with its section.

    One more, on what changed, where there is an earlier report.
    """
    say = wording(inputs.language)
    points = (
        KeyPoint(say("point.chain"), _chain(inputs), "chain"),
        KeyPoint(say("point.screens"), _screens(inputs), "screen"),
        KeyPoint(say("point.weights"), _weights(inputs), "themes"),
        KeyPoint(say("point.risk"), _risk(inputs), "themes"),
        KeyPoint(say("point.data"), _data(inputs), "quality"),
    )
    changed = "" if inputs.changes is None else _changed(inputs.changes, say)
    return (*points, KeyPoint(say("point.changes"), changed, "changes")) if changed else points


def _changed(changes: Changes, say: Wording) -> str:
    """Say what themes returned since the last report, how much of it was currency, and what else is not as it was."""
    splits = [each for each in changes.splits.values() if is_known(each.total)]
    if not splits:
        return ""
    totals = [each.total for each in splits]
    return say(
        "point.changed",
        day=say.prose_day(changes.previous.as_of),
        low=change(min(totals)),
        high=change(max(totals)),
        currency=change(float(np.median([each.parts["currency"] for each in splits]))),
        what=counted_changes(changes, say) or say("changes.nothing_else"),
    )


def _chain(inputs: WeeklyInputs) -> str:
    say, known = wording(inputs.language), _known_stages(inputs)
    if not known:
        return say("headline.nothing")
    largest = max(known, key=lambda each: abs(each.week))
    return say(
        "point.largest_move",
        stage=largest.label,
        change=change(largest.week),
        quarter=change(largest.quarter),
        up=sum(each.week > 0 for each in known),
        n=len(known),
    )


def _screens(inputs: WeeklyInputs) -> str:
    """Say who came into the screens and who went out in the last week."""
    say = wording(inputs.language)
    newest = [(each, each.dates[-1]) for each in inputs.histories.values() if each.entered]
    if not newest:
        passed = sum(len(each.rank) for each in inputs.screens)
        return say("point.screens_now", passed=passed, n=len(inputs.screens))
    entered = [symbol for each, day in newest for symbol in each.entered[day]]
    left = [symbol for each, day in newest for symbol in each.left[day]]

    def shown(symbols: list[str]) -> str:
        return f"{len(symbols)} ({say.listed(some(list(dict.fromkeys(symbols)), say))})" if symbols else "0"

    return say("point.screens_moved", entered=shown(entered), left=shown(left), n=len(newest))


def _weights(inputs: WeeklyInputs) -> str:
    """Say which weight changes most against what is held, and how much each theme's proposal trades."""
    say = wording(inputs.language)
    proposals = [(each, proposal_of(inputs, each)) for each in inputs.themes]
    known = [(result, each) for result, each in proposals if each is not None and len(each.table)]
    if not known:
        held = sum(len(each.rebalance.weights) for each in inputs.themes)
        return say("point.nothing_proposed") if not held else say("point.no_earlier", n=held)
    result, largest = max(known, key=lambda each: abs(float(each[1].table["change"].iloc[0])))
    first = largest.table.iloc[0]
    return say(
        "point.largest_change",
        theme=label_of_theme(inputs, result),
        symbol=str(largest.table.index[0]),
        held=percent(float(first["held"])),
        target=percent(float(first["target"])),
        turnover=percent(float(np.median([each.turnover for _, each in known]))),
    )


def _risk(inputs: WeeklyInputs) -> str:
    """Say in how many themes predicted volatility rose since the last rebalance, and where it moved most."""
    say = wording(inputs.language)
    moved = [
        (each, proposal.previous.volatility, each.rebalance.volatility)
        for each in inputs.themes
        if (proposal := proposal_of(inputs, each)) is not None
        and is_known(proposal.previous.volatility)
        and is_known(each.rebalance.volatility)
    ]
    if not moved:
        risks = [each.rebalance.volatility for each in inputs.themes if is_known(each.rebalance.volatility)]
        return say(
            "point.risk_now", median=percent(float(np.median(risks))) if risks else UNKNOWN, n=len(risks)
        )
    most, before, now = max(moved, key=lambda each: abs(each[2] - each[1]))
    return say(
        "point.risk_moved",
        up=sum(later > earlier for _, earlier, later in moved),
        n=len(moved),
        theme=label_of_theme(inputs, most),
        before=percent(before),
        now=percent(now),
    )


def _data(inputs: WeeklyInputs) -> str:
    say, standing = wording(inputs.language), standing_of(inputs)
    return say(
        "point.data_state",
        fresh=len(standing.fresh),
        stale=len(standing.stale),
        missing=len(standing.missing),
        failed=len(standing.failed),
        aside=sum(each.quarantined for each in inputs.findings),
        of=len(standing.expected),
    )


def figures(inputs: WeeklyInputs) -> tuple[Figure, ...]:
    """Return the six figures of the strip, each with something to compare it with."""
    say = wording(inputs.language)
    week = _week(inputs).dropna()
    up = int((week > 0).sum())
    ahead, judged = ahead_of_benchmark(inputs)
    risks = [each.rebalance.volatility for each in inputs.themes if is_known(each.rebalance.volatility)]
    standing = standing_of(inputs)
    return (
        Figure(
            say("figure.week"),
            change(_chain_return(inputs, "week")),
            _week_comparison(inputs),
        ),
        Figure(
            say("figure.breadth"),
            say("figure.of", n=up, of=len(week)) if len(week) else UNKNOWN,
            say("figure.breadth_against", share=percent(up / len(week), 0) if len(week) else UNKNOWN),
        ),
        Figure(
            say("figure.ahead"),
            say("figure.of", n=ahead, of=judged) if judged else UNKNOWN,
            say("figure.ahead_against"),
        ),
        Figure(
            say("figure.risk"),
            percent(float(np.median(risks))) if risks else UNKNOWN,
            say("figure.risk_against", low=percent(min(risks)), high=percent(max(risks))) if risks else "",
        ),
        _screen_figure(inputs),
        Figure(
            say("figure.fresh"),
            say("figure.of", n=len(standing.fresh), of=len(standing.expected))
            if standing.expected
            else UNKNOWN,
            say("figure.fresh_against", stale=len(standing.stale), missing=len(standing.missing)),
        ),
    )


def _screen_figure(inputs: WeeklyInputs) -> Figure:
    say = wording(inputs.language)
    if not inputs.screens:
        return Figure(say("figure.screen"), UNKNOWN, "")
    first = inputs.screens[0]
    value = say("figure.of", n=len(first.rank), of=len(first.metrics))
    return Figure(say("figure.screen"), value, screen_label(inputs, first.screen))


def _week_comparison(inputs: WeeklyInputs) -> str:
    say, year = wording(inputs.language), change(_chain_return(inputs, "year"))
    benchmark = _usual_benchmark(inputs)
    if benchmark is None:
        return say("figure.week_alone", change=year)
    return say("figure.week_against", benchmark=benchmark[0], other=benchmark[1], change=year)


def _usual_benchmark(inputs: WeeklyInputs) -> tuple[str, str] | None:
    """Return the benchmark most themes are judged against, and its written return of the week."""
    votes = Counter(each.benchmark for each in inputs.themes if each.benchmark in inputs.panel.symbols)
    if not votes:
        return None
    symbol = min(votes, key=lambda each: (-votes[each], each))
    week = wealth_returns(inputs.panel.prices[symbol], inputs.panel.as_of)["week"]
    return (symbol, change(week)) if is_known(week) else None


def _week(inputs: WeeklyInputs) -> pd.Series:
    """Return N returns of the week, instruments only."""
    returns = horizon_returns(inputs.panel.prices, inputs.panel.as_of)["week"]
    return returns.reindex(list(inputs.universe.instruments))


def _chain_return(inputs: WeeklyInputs, horizon: str) -> float:
    """Return the mean over all instruments of their return over a horizon."""
    returns = horizon_returns(inputs.panel.prices, inputs.panel.as_of)[horizon]
    return float(returns.reindex(list(inputs.universe.instruments)).mean())


def _known_stages(inputs: WeeklyInputs) -> list[Stage]:
    return [each for each in stages_of(inputs) if is_known(each.week)]


def _leading_theme(inputs: WeeklyInputs) -> tuple[ThemeResult, float] | None:
    """Return the theme whose backtest gained most over the week, and how much."""
    gains = [
        (each, wealth_returns(each.backtest.wealth, inputs.panel.as_of)["week"])
        for each in inputs.themes
        if each.backtest is not None
    ]
    known = [each for each in gains if is_known(each[1])]
    return max(known, key=lambda each: each[1]) if known else None
