"""A folder becomes a Universe, or one error that lists every fault with its file and line.

records.py reads values, tables.py and listings.py turn them into segments, materials, themes, screens, scenarios,
instruments, organisations and events, check.py knows contradictions.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from screener.errors import UserError
from screener.universe.check import universe_warnings
from screener.universe.listings import load_events, load_instruments, load_organisations
from screener.universe.model import Universe
from screener.universe.records import Fault, meant, printable, shown_path
from screener.universe.tables import (
    load_materials,
    load_scenarios,
    load_screens,
    load_segments,
    load_themes,
    read_document,
)
from screener.universe.toml_tables import Table

__all__ = ["find_universe", "load_universe", "shipped_universes", "universe_warnings"]

Problems = Mapping[tuple[str, str], Sequence[str]]  # (file, key of a table) → what is wrong with it
Words = Callable[[Universe], Problems]
PACKAGE = Path(__file__).resolve().parent.parent


def shipped_universes() -> list[str]:
    """Return the names of the universes that come with the package, sorted."""
    return sorted(each.parent.name for each in _shipped_folder().glob("*/universe.toml"))


def find_universe(name_or_folder: str) -> Path:
    """Return a universe's folder: an existing folder of that path, otherwise a shipped universe of that name.

    Raises UserError when there is neither.
    """
    if name_or_folder and os.path.isdir(name_or_folder):  # unlike Path.is_dir, false for any odd string
        return Path(name_or_folder)
    shipped = shipped_universes()
    if name_or_folder in shipped:
        return _shipped_folder() / name_or_folder
    question = meant(name_or_folder, shipped)
    asked, names = printable(name_or_folder)[:60], ", ".join(shipped) or "none"
    raise UserError(f'universe "{asked}" is neither a folder nor shipped (shipped: {names}){question}')


def _shipped_folder() -> Path:
    """Return where universes lie: inside an installed package, beside it in a source checkout."""
    installed = PACKAGE / "_universes"
    return installed if installed.is_dir() else PACKAGE.parent / "universes"


def load_universe(folder: Path, words: Words | None = None) -> Universe:
    """Return the universe that a folder states.

    words: what layers above find wrong with the words of themes and screens, which this one does not know.
    Raises UserError with a line for every fault of every file, such as
    `universes/rare_earth_ai/instruments.csv:14: segment "magnet" is not defined; did you mean "magnets"?`.
    """
    if not folder.is_dir():
        raise UserError(
            f"{shown_path(folder)}: is not a folder; a universe is a folder of CSV and TOML files"
        )
    faults: list[Fault] = []
    label, label_ja = _load_labels(folder, faults)
    segments = load_segments(folder, faults)
    materials = load_materials(folder, segments, faults)
    listed = load_instruments(folder, segments, materials, faults)
    organisations = load_organisations(folder, segments, materials, faults)
    themes = load_themes(folder, segments, listed, faults)
    screens = load_screens(folder, faults)
    events = load_events(folder, segments, faults)
    scenarios = load_scenarios(folder, segments, sorted({each.kind for each in events}), faults)
    if listed is None or segments is None:
        raise UserError(*map(str, sorted(set(faults))))
    in_order = dict(sorted(listed.items()))
    universe = Universe(
        key=folder.resolve().name,
        label=label,
        label_ja=label_ja,
        instruments={symbol: each for symbol, each in in_order.items() if each.kind == "equity"},
        benchmarks={symbol: each for symbol, each in in_order.items() if each.kind != "equity"},
        segments=dict(sorted(segments.items(), key=lambda item: item[1].order)),
        themes=themes,
        screens=screens,
        events=events,
        materials=dict(sorted((materials or {}).items())),
        organisations=organisations,
        scenarios=scenarios,
    )
    faults += [] if words is None else _word_faults(folder, words(universe))
    if faults:
        raise UserError(*map(str, sorted(set(faults))))
    return universe


def _word_faults(folder: Path, problems: Problems) -> list[Fault]:
    """Return faults with the lines of the tables they are about."""
    faults: list[Fault] = []
    for (file, key), sentences in problems.items():
        document = read_document(folder, file, [])
        line = 0 if document is None else document.line_of((key,))
        faults += [Fault(shown_path(folder / file), line, f"[{key}] {each}") for each in sentences]
    return faults


def _load_labels(folder: Path, faults: list[Fault]) -> tuple[str, str]:
    document = read_document(folder, "universe.toml", faults)
    if document is None:
        return "", ""
    table = Table(document, (), document.root, ("label", "label_ja"))
    return table.text("label"), table.text("label_ja")
