"""`screener plot`: a chart for slides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from screener.cli.backtest import CostOption, RebalanceOption, YearsOption
from screener.cli.options import with_request
from screener.cli.show import finish, print_banner, progress, say
from screener.errors import UserError

if TYPE_CHECKING:
    from screener.api import Request


@with_request
def plot(
    request: Request,
    chart: Annotated[str, typer.Argument(help="growth, chain or risk.")],
    theme: Annotated[str, typer.Option("--theme", help="Whose growth or risk.")] = "",
    output: Annotated[Path | None, typer.Option("--output", help="FILE.svg or FILE.png.")] = None,
    lang: Annotated[str, typer.Option("--lang", envvar="SCREENER_LANG", help="Language: en or ja.")] = "en",
    rebalance: RebalanceOption = "monthly",
    cost_bps: CostOption = None,
    years: YearsOption = 5,
) -> None:
    """Draw a chart for slides as SVG or PNG. Example: screener plot chain --source sample --output chain.svg."""
    from screener.api import BacktestSettings, load_market
    from screener.api import plot as draw
    from screener.report.plot import save

    target = output or Path(f"{chart}.svg")
    if target.suffix not in (".svg", ".png"):
        raise UserError(f"--output {target}: write a name that ends in .svg or .png")
    with progress("prices") as show:
        market = load_market(request, show)
    save(draw(market, chart, theme, lang, BacktestSettings(rebalance, cost_bps, years)), target)
    print_banner(market)
    say(str(target))
    finish(market)
