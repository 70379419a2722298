"""What the shipped universe states, and that no spoiled copy of it gets through."""

from __future__ import annotations

import csv
import random
import tempfile
from collections import defaultdict
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.errors import UserError
from screener.universe.load import find_universe, load_universe
from screener.universe.model import Rule, Universe

FOLDER = find_universe("rare_earth_ai")
TEXTS = {
    each.name: each.read_text(encoding="utf-8") for each in sorted(FOLDER.iterdir()) if each.suffix != ".md"
}
NOVEMBER = date(2026, 11, 1)
COLLECTION = Path(__file__).resolve().parents[3] / "shared" / "universe" / "instruments.csv"


@pytest.fixture(scope="module")
def universe() -> Universe:
    return load_universe(FOLDER)


def test_it_holds_ninety_listed_and_four_delisted_equities_and_eight_benchmarks(universe: Universe) -> None:
    gone = {symbol: each.terminal_value for symbol, each in universe.instruments.items() if each.delisted_on}
    assert gone == {"MCP": 0.0, "PEK.AX": 0.443, "6502.T": 4590.0, "5486.T": 2181.0}
    assert len(universe.instruments) == 94
    assert set(universe.benchmarks) == {"REMX", "SETM", "PICK", "SPY", "ACWI", "SOXX", "1306.T", "^N225"}


def test_everything_the_collection_lists_has_a_row(universe: Universe) -> None:
    if not COLLECTION.is_file():
        pytest.skip(
            "the collection of facts is not here: it belongs beside the project in ../shared/universe"
        )
    rated = {each.issuer for each in universe.everything().values()} | set(universe.organisations)
    with COLLECTION.open(encoding="utf-8", newline="") as file:
        missing = [
            row["name"]
            for row in csv.DictReader(file)
            if row["issuer_id"] not in rated
            and row["kind"] != "fx"
            and row["symbol"] not in ("^GSPC", "^TOPX")
        ]
    assert not missing


def test_what_cannot_be_bought_is_there_with_its_reason(universe: Universe) -> None:
    kinds = {key: each.kind for key, each in universe.organisations.items()}
    assert kinds["openai"] == kinds["xai"] == kinds["earth-ai"] == "private"
    assert kinds["china-rare-earth-group-co-ltd"] == "state" and kinds["nolans"] == "project"
    assert all(each.status and each.status_on for each in universe.organisations.values())
    gone = [each for each in universe.instruments.values() if each.delisted_on]
    assert all(each.delisting for each in gone)


def test_arafura_owns_nolans(universe: Universe) -> None:
    assert universe.organisations["nolans"].owner == universe.instruments["ARU.AX"].issuer


def test_the_state_groups_are_a_domicile_of_their_own(universe: Universe) -> None:
    state = {symbol for symbol, each in universe.instruments.items() if each.domicile_class == "CN state"}
    assert state == {"600111.SS", "000831.SZ"}


def test_a_rule_may_name_the_state_groups_or_leave_them_out(universe: Universe) -> None:
    china = {each.symbol for each in universe.instruments.values() if each.domicile == "CN"}
    groups = {
        each.symbol for each in universe.instruments.values() if Rule(domicile=("CN state",)).matches(each)
    }
    assert groups == {"600111.SS", "000831.SZ"}
    rule = Rule(domicile=("CN",), not_domicile=("CN state",))
    assert {each.symbol for each in universe.instruments.values() if rule.matches(each)} == china - groups


def test_every_fact_says_what_it_rests_on(universe: Universe) -> None:
    mp, niobium = universe.instruments["MP"], universe.instruments["CCJ"]
    assert (mp.basis("symbol"), mp.basis("domicile"), mp.basis("purity")) == ("source", "memory", "judgement")
    assert niobium.verified == "no" and niobium.basis("symbol") == "memory"
    assert all(each.checked_on for each in universe.everything().values())


def test_each_element_says_which_stage_and_product_it_serves(universe: Universe) -> None:
    for element in ("Nd", "Pr", "Dy", "Tb", "Eu", "Y", "Er", "Yb", "Ce", "Ga"):
        assert universe.materials[element].uses, element
    assert universe.materials["Er"].suspended_until == date(2026, 11, 10)


def test_only_the_renamed_keeps_its_history(universe: Universe) -> None:
    kinds = {s: each.predecessor_kind for s, each in universe.instruments.items() if each.predecessor}
    assert kinds["COHR"] == "renamed" and kinds["MP"] == kinds["USAR"] == "shell" and kinds["WOLF"] == "other"


def test_every_name_the_tool_was_asked_for_is_there(universe: Universe) -> None:
    asked = (
        "MP USAR LYC.AX ILU.AX ARU.AX UUUU NEO.TO 600111.SS 6762.T 6981.T 4063.T 5803.T 6501.T NVDA AMD AVGO"
    )
    assert set(asked.split()) <= set(universe.instruments)


def test_the_chain_runs_from_the_mine_to_the_data_centre(universe: Universe) -> None:
    stages = list(universe.segments)
    assert stages[:5] == ["exploration", "mining", "refining", "metals_alloys", "magnets"]
    assert stages.index("magnets") < stages.index("components") < stages.index("ai_chips")
    assert {key for key, each in universe.segments.items() if each.china_share} == {
        "mining",
        "refining",
        "magnets",
    }


def test_a_shell_is_not_the_company(universe: Universe) -> None:
    listed = {symbol: universe.instruments[symbol].listed_from for symbol in ("MP", "USAR", "CRML")}
    assert listed == {"MP": date(2020, 11, 18), "USAR": date(2025, 3, 14), "CRML": date(2024, 2, 28)}


@pytest.mark.parametrize(
    ("theme", "everyone", "core"),
    [
        ("friend_shored", 18, 6),
        ("domestic_processing", 14, 10),
        ("magnets", 15, 9),
        ("recycling", 17, 8),
        ("substitutes", 8, 5),
        ("extraction_tech", 7, 1),
        ("ai_components", 34, 25),
        ("power_cooling", 21, 14),
        ("japan_us_alliance", 18, 16),
        ("full_chain", 50, 50),
    ],
)
def test_rules_select_as_many_as_were_counted_when_the_facts_were_gathered(
    universe: Universe, theme: str, everyone: int, core: int
) -> None:
    members = universe.members(universe.themes[theme], NOVEMBER)
    assert (len(members), sum("core" in each.tags for each in members)) == (everyone, core)


def test_rules_select_the_very_names_of_the_collection(universe: Universe) -> None:
    if not COLLECTION.is_file():
        pytest.skip(
            "the collection of facts is not here: it belongs beside the project in ../shared/universe"
        )
    gathered = defaultdict(set)
    with COLLECTION.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for theme in row["themes"].split(";") if row["symbol"] in universe.instruments else ():
                gathered[theme.partition("_")[0]].add(row["symbol"])
    codes = ("T01", "T02", "T03", "T04", "T05", "T06", "T07", "T08", "T09", "T10")
    for code, theme in zip(codes, universe.themes.values(), strict=True):
        assert {each.symbol for each in universe.members(theme, NOVEMBER)} == gathered[code], theme.key


def test_molycorp_was_a_friend_shored_magnet_maker_until_it_failed(universe: Universe) -> None:
    for theme in ("friend_shored", "magnets"):
        before = {each.symbol for each in universe.members(universe.themes[theme], date(2015, 6, 25))}
        after = {each.symbol for each in universe.members(universe.themes[theme], date(2015, 6, 26))}
        assert before - after == {"MCP"}


def test_the_full_chain_budgets_its_risk_by_stage_and_the_others_use_four_methods(universe: Universe) -> None:
    assert {each.method for each in universe.themes.values()} == {
        *("equal_risk_contribution", "hierarchical_risk_parity"),
        *("minimum_variance", "inverse_volatility", "risk_budgets"),
    }
    assert universe.themes["full_chain"].method == "risk_budgets"


def test_every_theme_can_be_fully_invested_within_its_limits(universe: Universe) -> None:
    """Each issuer at most at its cap, each primary segment at most at its own: together at least one."""
    for theme in universe.themes.values():
        issuers = {each.issuer: each.segment for each in universe.members(theme, NOVEMBER)}
        counts = {segment: list(issuers.values()).count(segment) for segment in issuers.values()}
        room = sum(min(theme.max_segment_weight, count * theme.max_weight) for count in counts.values())
        assert room >= 1, theme.key


def test_the_default_screen_asks_nothing_of_volume(universe: Universe) -> None:
    default, *others = universe.screens.values()
    metrics = {rule.metric for rule in default.rules} | {metric for metric, _ in default.rank_by}
    assert "adv" not in metrics
    assert any(rule.metric == "adv" for screen in others for rule in screen.rules)


def test_nothing_passed_down_reads_as_a_formula_or_markup(universe: Universe) -> None:
    with (FOLDER / "instruments.csv").open(encoding="utf-8", newline="") as file:
        values = [value for row in csv.DictReader(file) for value in row.values()]
    assert not [
        each for each in values if each.startswith(("=", "+", "-", "@")) or "<b" in each or "</" in each
    ]


def test_rows_in_any_order_make_the_same_universe(universe: Universe, tmp_path: Path) -> None:
    folder = tmp_path / FOLDER.name
    folder.mkdir()
    for name, text in TEXTS.items():
        header, *rest = text.splitlines(keepends=True)
        if name.endswith(".csv"):
            random.Random(7).shuffle(rest)
        (folder / name).write_text(header + "".join(rest), encoding="utf-8")
    assert load_universe(folder).content_hash() == universe.content_hash()


# However a copy is spoiled, it loads or is refused with reasons

ODD = """ " , [ ] { = ; | ''' # nan inf true 2025-02-30 1979-05-27T07:32:00 "\\u0000" "a\\nb"=1 [[x]] """
HUGE = ("9" * 5000, "0x" + "f" * 5000, "[" * 2000)
SCRAPS = st.one_of(
    st.text(max_size=12), st.sampled_from([*ODD.split(), *HUGE, "\n", "\r", "\0", "\n[magnets]\n"])
)
EDITS = st.lists(
    st.tuples(st.sampled_from(sorted(TEXTS)), st.integers(0, 10**6), st.integers(0, 60), SCRAPS),
    min_size=1,
    max_size=4,
)


@settings(max_examples=100, deadline=None)
@given(edits=EDITS)
def test_a_spoiled_copy_loads_or_is_refused_with_reasons(edits: list[tuple[str, int, int, str]]) -> None:
    texts = dict(TEXTS)
    for name, position, length, scrap in edits:
        start = position % (len(texts[name]) + 1)
        texts[name] = texts[name][:start] + scrap + texts[name][start + length :]
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            (Path(folder) / name).write_text(text, encoding="utf-8", newline="")
        _loads_or_is_refused(Path(folder))


@settings(max_examples=50, deadline=None)
@given(name=st.sampled_from(sorted(TEXTS)), position=st.integers(0, 10**6), junk=st.binary(max_size=8))
def test_a_torn_file_loads_or_is_refused_with_reasons(name: str, position: int, junk: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for each, text in TEXTS.items():
            content = text.encode()
            torn = content[: position % (len(content) + 1)] + junk
            (Path(folder) / each).write_bytes(torn if each == name else content)
        _loads_or_is_refused(Path(folder))


def _loads_or_is_refused(folder: Path) -> None:
    try:
        universe = load_universe(folder)
    except UserError as refused:
        assert refused.problems
        assert all(each.isprintable() and each.startswith(str(folder)) for each in refused.problems)
    else:
        assert universe.instruments and universe.themes and universe.screens and universe.segments
        assert universe.content_hash()
