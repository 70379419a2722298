"""What a universe's screen asks for that does not exist, found without a price."""

from __future__ import annotations

import numpy as np
import pandas as pd

from screener.errors import UserError
from screener.screening.rules import spec_problems
from screener.screening.supply_chain import supply_chain_columns
from screener.screening.where import judge
from screener.screening.words import RULED
from screener.universe.model import ScreenSpec, Universe


def screen_problems(universe: Universe, spec: ScreenSpec) -> list[str]:
    """Return a sentence for each word of a screen's rules, ranking or SQL condition that is not understood."""
    problems = spec_problems(spec)
    placed = sorted(s for s, each in universe.instruments.items() if each.segment in universe.segments)
    if spec.where and placed:
        figures = pd.DataFrame(np.nan, index=placed, columns=list(RULED))
        facts = supply_chain_columns(universe, figures.index, figures["adv"])
        try:
            judge(spec.where, facts.join(figures), option="where")
        except UserError as error:
            problems += error.problems
    return problems
