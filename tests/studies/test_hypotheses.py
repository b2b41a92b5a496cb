"""The rule by which a claim counts as reproduced, on effects that would come out otherwise were it another one."""

import math

import pytest

from noisybench.ground.errors import UnknownName
from noisybench.studies.claims import HYPOTHESES, hypotheses_of
from noisybench.studies.hypotheses import (
    Effect,
    Hypothesis,
    PublishedFigure,
    claims_table,
    judge_hypotheses,
    verdicts_of,
)


def hypothesis(name: str = "a", *, smallest: float = 0.1, primary: bool = True, n: int | None = None) -> Hypothesis:
    return Hypothesis(
        name, "P 2000", "s", f"Claim {name}", "effect", smallest, primary, PublishedFigure(0.5, "table 1", n)
    )


def measured(low: float, high: float, *, null: float = 0.0) -> Effect:
    return Effect((low + high) / 2, low, high, 30, "digits", null)


@pytest.mark.parametrize(
    ("low", "high", "null", "word"),
    [
        (0.05, 0.25, 0.0, "reproduced"),  # above zero, and may be of interest
        (0.05, 0.25, 0.06, "inconclusive"),  # not above the null
        (0.05, 0.25, -0.5, "reproduced"),  # a null below zero does not help, and does not harm
        (0.02, 0.06, 0.0, "not reproduced"),  # surely there, and surely too small
        (-0.3, -0.1, 0.0, "not reproduced"),
        (-0.05, 0.25, 0.0, "inconclusive"),
        (-0.05, 0.25, -0.5, "inconclusive"),
    ],
)
def test_verdicts_follow_the_rule(low: float, high: float, null: float, word: str) -> None:
    (found,) = judge_hypotheses([hypothesis()], {"a": measured(low, high, null=null)})
    assert found.word == word


def test_holm_is_over_those_of_one_rank_that_were_measured() -> None:
    barely = measured(0.01, 0.39)  # p = .04
    names = [f"{rank}{k}" for rank in "ps" for k in range(3)]
    asked = [hypothesis(name, primary=name.startswith("p")) for name in names]
    alone = {one.hypothesis.name: one for one in judge_hypotheses(asked, {"p0": barely, "p1": "no pool", "s0": barely})}
    assert alone["p0"].word == "reproduced"
    assert alone["p0"].adjusted_p == pytest.approx(alone["p0"].measured.p if alone["p0"].measured else 0)
    assert (alone["p1"].word, alone["p1"].why_not) == ("not measured", "no pool")
    assert "was not carried out" in alone["p2"].why_not
    several = {one.hypothesis.name: one for one in judge_hypotheses(asked, {"p0": barely, "p1": barely, "s0": barely})}
    assert [several[name].word for name in ("p0", "p1", "s0")] == ["inconclusive", "inconclusive", "reproduced"]


def test_published_figures_predict_only_where_their_samples_are_known() -> None:
    known, unknown = (judge_hypotheses([hypothesis(n=n)], {"a": measured(0.1, 0.5)})[0] for n in (50, None))
    assert known.predicted[0] < 0.5 < known.predicted[1]
    assert math.isnan(unknown.predicted[0])


def test_tables_have_every_field_and_say_why_nothing_was_measured() -> None:
    judged = judge_hypotheses(
        [hypothesis("a", n=50), hypothesis("b")], {"a": measured(0.2, 0.4), "b": "nothing memorized"}
    )
    table = claims_table(judged, "claims", "Claims.")
    a, b = table.records
    assert (a["verdict"], a["published_n"], a["units"], a["low"]) == ("reproduced", 50, 30, 0.2)
    assert (b["verdict"], b["value"], b["why_not"]) == ("not measured", None, "nothing memorized")
    assert a.keys() == b.keys()
    assert table.lines[1][-1] == "nothing memorized"
    assert [line[5].endswith("(table 1)") for line in table.lines] == [True, True]
    assert [one.word for one in verdicts_of(judged)] == ["holds", "undecided"]


def test_the_list_is_whole() -> None:
    """Names differ; every paper has a primary; a smallest effect is above zero; correlations alone predict."""
    names = [one.name for one in HYPOTHESES]
    assert len(set(names)) == len(names)
    papers = {one.paper for one in HYPOTHESES}
    assert papers == {one.paper for one in HYPOTHESES if one.primary}
    assert len(papers) == 4
    assert all(one.smallest > 0 for one in HYPOTHESES)
    assert all(one in hypotheses_of(one.study) for one in HYPOTHESES)
    with pytest.raises(UnknownName, match="did you mean 'harm'"):
        hypotheses_of("harms")
