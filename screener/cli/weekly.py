"""`screener weekly`: the report."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from screener.cli.backtest import CostOption, RebalanceOption, YearsOption
from screener.cli.options import JsonOption, with_request
from screener.cli.show import finish, number, percent, print_banner, print_json, progress, say

if TYPE_CHECKING:
    from screener.api import Request, WeeklyOutcome


@with_request
def weekly(
    request: Request,
    output: Annotated[
        Path, typer.Option("--output", envvar="SCREENER_OUTPUT", help="Folder of the reports.")
    ] = Path("outputs"),
    rebalance: RebalanceOption = "monthly",
    cost_bps: CostOption = None,
    years: YearsOption = 5,
    as_json: JsonOption = False,
) -> None:
    """Write this week's report. Example: screener weekly --source sample."""
    from screener.api import BacktestSettings
    from screener.api import weekly as run

    with progress("prices") as show:
        outcome = run(request, output, BacktestSettings(rebalance, cost_bps, years), progress=show)
    if as_json:
        print_json("weekly", outcome.market, {"folder": str(outcome.folder)})
    else:
        _print(outcome)
    finish(outcome.market, quietly=as_json)


def _print(outcome: WeeklyOutcome) -> None:
    market = outcome.market
    print_banner(market)
    states = Counter(each.state for each in market.states.values())
    say(f"prices    {', '.join(f'{count} {state}' for state, count in states.most_common())}")
    quarantined = sum(each.quarantined for each in market.findings)
    say(f"quality   {quarantined} bars quarantined, {len(market.findings) - quarantined} warnings")
    for screen in outcome.inputs.screens:
        say(f"screen    {screen.screen}: {len(screen.rank)} of {len(screen.metrics)} pass")
    for each in outcome.inputs.themes:
        volatility = percent(each.rebalance.volatility, signed=False)
        line = f"theme     {each.theme.key}: {len(each.rebalance.weights)} names, volatility {volatility}"
        if each.performance is not None:
            line += f", Sharpe {number(each.performance.sharpe_ratio)}"
        say(line)
    say(str(outcome.folder / "report.html"))
