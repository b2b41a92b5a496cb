"""An audit of suspects: drawn, kept, answered, and told in words."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisybench.board.audit import (
    Audit,
    audit_report,
    check_audit,
    make_audit,
    read_audit,
    read_audit_answers,
    write_audit,
    write_audit_sheet,
)
from noisybench.ground.errors import BadData, Mismatch
from noisybench.statistics.audit import draw_audit

ID = "ab" * 32
RNG = np.random.default_rng(0)
WRONG = RNG.random(900) < 0.08
SUSPICION = RNG.normal(size=900) + 2.5 * WRONG
FLAGGED = SUSPICION > 1.8


def audit(**more: Any) -> Audit:  # noqa: ANN401
    return make_audit(ID, "ridge", SUSPICION, FLAGGED, 120, **more)


def answered(one: Audit, path: Path, actions: dict[bool, str], *, first: int = 120, **header: str) -> None:
    """A file of answers, as the page saves it."""
    told = {"variant_id": one.variant_id, "audit": one.digest} | header
    lines = ["# noisybench audit, " + ", ".join(f"{name}={value}" for name, value in told.items())]
    lines += ["sample,name,given,corrected,action"]
    lines += [f"{i},n{i},cat,,{actions[bool(WRONG[i])]}" for i in one.sample.samples[:first]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_an_audit_comes_back_from_its_file(tmp_path: Path) -> None:
    """With the same digest, which tells draws apart."""
    one = audit()
    write_audit(one, tmp_path / "audit.json")
    again = read_audit(tmp_path / "audit.json")
    assert again.digest == one.digest
    np.testing.assert_array_equal(again.sample.samples, one.sample.samples)
    np.testing.assert_array_equal(again.sample.inclusion, one.sample.inclusion)
    assert (again.variant_id, again.detector, again.sample.seed) == (ID, "ridge", 0)
    assert audit(seed=1).digest != one.digest
    np.testing.assert_array_equal(one.sample.samples, draw_audit(SUSPICION, FLAGGED, 120).samples)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 5}, "was changed after it was written, and the answers mean nothing without it"),
        ({"strata": [9] * 120}, "do not fit each other"),
        ({"flagged": "no"}, "'flagged' is 'no', expected"),
        ({"more": 1}, "has a field 'more'"),
    ],
)
def test_a_file_that_was_changed(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    """Is refused in one sentence."""
    path = tmp_path / "audit.json"
    write_audit(audit(), path)
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), encoding="utf-8")
    with pytest.raises(BadData, match=words):
        read_audit(path)


def test_it_belongs_to_labels_suspicion_and_flags() -> None:
    """Others are refused."""
    one = audit(leave_out=np.arange(900) < 10)
    check_audit(one, ID, SUSPICION, FLAGGED, np.arange(900) < 10)
    with pytest.raises(Mismatch, match="the audit is of variant abababababab, these labels are of cdcdcdcdcdcd"):
        check_audit(one, "cd" * 32, SUSPICION, FLAGGED, np.arange(900) < 10)
    for suspicion, flagged, left in (
        (SUSPICION + 1e-9, FLAGGED, np.arange(900) < 10),
        (SUSPICION, ~FLAGGED, np.arange(900) < 10),
        (SUSPICION, FLAGGED, None),
    ):
        with pytest.raises(Mismatch, match="are not those that the audit was drawn from .'ridge'."):
            check_audit(one, ID, suspicion, flagged, left)


def test_answers_are_told_in_words(tmp_path: Path) -> None:
    """From the file that the page saves to sentences whose intervals hold the truth."""
    one, path = audit(), tmp_path / "answers.csv"
    answered(one, path, {True: "accept", False: "keep"})
    answers = read_audit_answers(path, one)
    assert [answer == "wrong" for answer in answers] == WRONG[one.sample.samples].tolist()
    found, lines = audit_report(one, answers)
    assert lines[0].startswith(f"{100 * found.rate.value:.1f} % of the 900 labels are wrong, 95 % interval ")
    assert lines[1].startswith(f"Of the {FLAGGED.sum()} flagged labels ")
    assert lines[2].startswith("Of all wrong labels ")
    assert len(lines) == 3
    for interval, truth in (
        (found.rate, WRONG.mean()),
        (found.precision, WRONG[FLAGGED].mean()),
        (found.recall, FLAGGED[WRONG].mean()),
    ):
        assert interval.low <= truth <= interval.high


def test_some_cannot_be_told_and_some_are_not_answered_yet(tmp_path: Path) -> None:
    """Both are said."""
    one, path = audit(), tmp_path / "answers.csv"
    answered(one, path, {True: "drop", False: "right"}, first=70)
    found, lines = audit_report(one, read_audit_answers(path, one))
    assert found.unclear == WRONG[one.sample.samples[:70]].sum() > 0
    assert lines[0].startswith(f"No wrong label among {found.right} answers: at most ")
    assert lines[1].startswith(f"Of the {FLAGGED.sum()} flagged labels 0.0 % are wrong, 95 % interval 0.0 to ")
    assert lines[2] == "How many of the wrong labels are flagged is not known: too few wrong ones were seen."
    assert lines[3].startswith(
        f"{found.unclear} labels nobody could tell of are left out: with all of them right it would be 0.0 %"
    )
    assert lines[4] == "50 of 120 samples are not answered yet; the order is random, so the rest stands."


def test_a_sheet_for_a_spreadsheet(tmp_path: Path) -> None:
    """Has the samples in the order of asking, and neither suspicion nor flag."""
    one, path = audit(), tmp_path / "sheet.csv"
    write_audit_sheet(one, path, names=[f"=n{i}" for i in range(900)], given=["cat"] * 900)
    lines = path.read_text("utf-8").splitlines()
    assert lines[1] == "sample,name,given,corrected,action"
    assert lines[2] == f"{one.sample.samples[0]},'=n{one.sample.samples[0]},cat,,"
    assert read_audit_answers(path, one) == ("",) * 120
    with pytest.raises(BadData, match="nothing can be estimated yet"):
        audit_report(one, read_audit_answers(path, one))


def test_answers_of_another_audit(tmp_path: Path) -> None:
    """Are refused, and so are samples that were not drawn and actions that nobody knows."""
    one, path = audit(), tmp_path / "answers.csv"
    actions = {True: "accept", False: "keep"}
    answered(one, path, actions, audit="cd" * 32)
    with pytest.raises(Mismatch, match="answers another audit of these labels, not the audit"):
        read_audit_answers(path, one)
    answered(one, path, actions, variant_id="cd" * 32)
    with pytest.raises(Mismatch, match="answers other labels, not the audit"):
        read_audit_answers(path, one)
    answered(one, path, {True: "perhaps", False: "keep"})
    with pytest.raises(BadData, match="is 'perhaps', expected one of accept, keep, drop"):
        read_audit_answers(path, one)
    answered(one, path, actions)
    stranger = next(i for i in range(900) if i not in one.sample.samples)
    path.write_text(path.read_text("utf-8") + f"{stranger},,,,keep\n", encoding="utf-8")
    with pytest.raises(BadData, match=f"sample {stranger} in line 123 was not drawn"):
        read_audit_answers(path, one)
