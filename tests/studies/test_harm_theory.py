"""The theory part of the harm study: verdicts that come out as they must, and would not if a formula were wrong."""

import numpy as np
import pytest

from noisybench.statistics.harm import corrected_loss_gap, fail_bound, posterior_mass
from noisybench.statistics.lookup_table import symmetric_matrix
from noisybench.studies.harm_theory import Domain, TheoryPart, bounds, corrected_losses, costs, lookup, paradox

HERE = "noisybench.studies.harm_theory"
DOMAIN = Domain((1, 2, 4, 8), units=8, classes=4, repeats=150)


@pytest.fixture(scope="module")
def found() -> dict[str, TheoryPart]:
    return {
        "costs": costs(DOMAIN),
        "bounds": bounds(),
        "lookup": lookup(DOMAIN, (0.2, 0.4)),
        "paradox": paradox(DOMAIN, (0.2, 0.4)),
    }


def test_what_is_proven_holds_and_what_is_not_fails(found: dict[str, TheoryPart]) -> None:
    verdicts = {name: [verdict.holds for verdict in part.verdicts] for name, part in found.items()}
    assert verdicts == {
        "costs": [False, True],
        "bounds": [True, True, False],
        "lookup": [True, True],
        "paradox": [False],
    }
    evidence = [verdict.evidence for verdict in found["bounds"].verdicts]
    assert evidence[0].startswith("exact at 360 of 360, simulated at 360 of 360")
    assert evidence[1].startswith("exact at 180 of 180, simulated at 180 of 180")
    assert "at 108 of 180 odd l" in evidence[2]


def test_records_hold_what_the_tables_show(found: dict[str, TheoryPart]) -> None:
    assert len(found["bounds"].table.records) == 40 * 9
    assert [one["fail_bound"] for one in found["bounds"].table.records[:3]][::2] == [None, None]
    of_two = [one for one in found["lookup"].table.records if one["classes"] == 2 and one["treatment"] == "peer_loss"]
    assert len(of_two) == 8
    assert of_two[0]["worse"] == 0  # a single label is left as it is
    memorizer = [one for one in found["lookup"].table.records if one["treatment"] == "cross_entropy"]
    assert {(one["rate"], round(one["error"], 9)) for one in memorizer} == {(0.2, 0.2), (0.4, 0.4)}
    for part in found.values():
        assert all(len(line) == len(part.table.header) for line in part.table.lines)


def test_a_wrong_formula_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound that is a fifth too high, a mass that is a tenth too large, and a gap that is a fifth too wide."""
    monkeypatch.setattr(f"{HERE}.fail_bound", lambda copies, rate: fail_bound(copies, rate) * 1.2)
    assert bounds().verdicts[1].holds is False
    monkeypatch.setattr(f"{HERE}.posterior_mass", lambda masses, n, copies: posterior_mass(masses, n, copies) * 1.1)
    assert lookup(DOMAIN, (0.4,)).verdicts[0].holds is False
    monkeypatch.setattr(f"{HERE}.corrected_loss_gap", lambda *given: corrected_loss_gap(*given) * 1.2)
    evidence = paradox(DOMAIN, (0.4,)).verdicts[0].evidence
    assert not evidence.endswith("at 16 of 16")


def test_corrected_losses_are_unbiased_for_fixed_answers() -> None:
    """Averaged over the labels that a class is given, the corrected loss is the right one."""
    answers = np.array([[0.5, 0.2, 0.3]])
    matrix = symmetric_matrix(0.3, 3)
    each = [corrected_losses(answers, np.eye(3)[[label]], 0.3)[0] for label in range(3)]
    assert matrix[0] @ each == pytest.approx(0.5)
    assert matrix[2] @ each == pytest.approx(0.7)
