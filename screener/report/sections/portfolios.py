"""Each theme's portfolio today: weight beside risk, what binds, who was left out, and the record."""

from __future__ import annotations

from screener.backtest.performance import Performance, drawdowns
from screener.report.blocks import Block, Cell, Column, Columns, Heading, Lines, Section, Table
from screener.report.charts import bars, drawdown_chart, growth_chart
from screener.report.figures import Figures
from screener.report.model import ThemeResult, WeeklyInputs
from screener.report.sections.cells import symbol_cell
from screener.report.words import day, number, percent

STATISTICS = {
    "cagr": "percent",
    "volatility": "percent",
    "sharpe_ratio": "number",
    "sortino_ratio": "number",
    "maximum_drawdown": "percent",
    "calmar_ratio": "number",
    "cvar_95": "percent",
    "turnover_per_year": "percent",
    "cost_drag": "percent",
    "beta": "number",
    "tracking_error": "percent",
    "information_ratio": "number",
}


def section(inputs: WeeklyInputs, figures: Figures) -> Section:
    """Return a block of tables and charts for each theme."""
    say = figures.words
    blocks: list[Block] = []
    for each in inputs.themes:
        blocks += _theme(inputs, figures, each)
    lead = say(
        "portfolios.lead", rebalance=inputs.run.settings["rebalance"], costs=inputs.run.settings["costs"]
    )
    return Section("portfolios", say("portfolios.title"), lead, tuple(blocks))


def _theme(inputs: WeeklyInputs, figures: Figures, each: ThemeResult) -> list[Block]:
    say, rebalance = figures.words, each.rebalance
    detail = say(
        "portfolios.decided",
        method=rebalance.method.replace("_", " "),
        date=day(rebalance.decided_on),
        held=len(rebalance.weights),
        members=len(each.members),
        volatility=percent(rebalance.volatility),
    )
    left: list[Block] = [_weights(inputs, figures, each)]
    if rebalance.limits_bound:
        left.append(Lines(rebalance.limits_bound, "bound"))
    if rebalance.rejected:
        left.append(_rejected(inputs, figures, each))
    right = _record(figures, each)
    return [Heading(each.theme.label, detail, each.theme.key), Columns((tuple(left), tuple(right)))]


def _weights(inputs: WeeklyInputs, figures: Figures, each: ThemeResult) -> Table:
    say, rebalance = figures.words, each.rebalance
    largest = max([*rebalance.weights, *rebalance.risk_contributions, 1e-9])
    rows = []
    for symbol, weight in rebalance.weights.sort_values(ascending=False, kind="stable").items():
        instrument = inputs.universe.instruments[str(symbol)]
        risk = float(rebalance.risk_contributions[str(symbol)])
        rows.append(
            (
                symbol_cell(inputs, figures, str(symbol)),
                Cell(instrument.name, instrument.name, "name"),
                Cell("", "", "barcell", bars(weight / largest, risk / largest)),
                Cell(percent(weight).removesuffix("%")),
                Cell(percent(risk).removesuffix("%")),
            )
        )
    if rebalance.cash > 5e-5 or not rows:
        cash = Cell(percent(rebalance.cash).removesuffix("%"))
        rows.append((Cell(say("portfolios.cash"), "", "symbol"), Cell(""), Cell(""), cash, Cell("0.0", 0.0)))
    columns = (
        Column(say("columns.symbol")),
        Column(say("columns.name")),
        Column(say("portfolios.weight_and_risk")),
        Column(say("portfolios.weight"), number=True),
        Column(say("portfolios.risk"), number=True),
    )
    return Table(columns, tuple(rows), css="weights")


def _rejected(inputs: WeeklyInputs, figures: Figures, each: ThemeResult) -> Table:
    say = figures.words
    rows = tuple(
        (symbol_cell(inputs, figures, symbol), Cell(inputs.universe.instruments[symbol].name), Cell(reason))
        for symbol, reason in sorted(each.rebalance.rejected.items())
    )
    columns = (Column(say("columns.symbol")), Column(say("columns.name")), Column(say("columns.reason")))
    return Table(columns, rows, caption=say("portfolios.left_out", count=len(rows)), folded=True)


def _record(figures: Figures, each: ThemeResult) -> list[Block]:
    say = figures.words
    if each.backtest is None or each.performance is None:
        return [Lines((each.note or say("portfolios.no_record"),))]
    wealth = each.backtest.wealth
    known_from = each.theme.known_from
    growth = growth_chart(
        say("portfolios.growth"),
        wealth,
        each.benchmark_wealth,
        (each.theme.label, each.benchmark),
        (known_from, say("portfolios.hindsight")),
    )
    blocks: list[Block] = [growth, drawdown_chart(say("portfolios.drawdown"), drawdowns(wealth))]
    blocks.append(_statistics(figures, each, each.performance))
    if known_from is not None and each.performance.start < known_from:
        blocks.append(Lines((say("portfolios.hindsight_note", date=day(known_from)),), "note"))
    if each.note:
        blocks.append(Lines((each.note,), "note"))
    return blocks


def _statistics(figures: Figures, each: ThemeResult, performance: Performance) -> Table:
    say = figures.words

    def shown(of: Performance | None, name: str, kind: str) -> Cell:
        value = float("nan") if of is None else float(getattr(of, name))
        return Cell(percent(value) if kind == "percent" else number(value))

    rows = tuple(
        (
            Cell(say(f"statistics.{name}")),
            shown(performance, name, kind),
            shown(each.benchmark_performance, name, kind),
        )
        for name, kind in STATISTICS.items()
    )
    span = f"{performance.start} – {performance.end}"
    columns = (
        Column(span),
        Column(say("portfolios.theme"), number=True),
        Column(each.benchmark, number=True),
    )
    return Table(columns, rows, css="statistics")
