"""What a study finds: the same records in every form, and verdicts in words."""

import csv
import io
import json

import numpy as np
import pytest

from noisybench.ground.errors import UnknownName
from noisybench.studies.study import StudyFindings, StudyTable, Verdict, pivoted, plain

RECORDS = (
    plain({"name": "=a", "copies": np.int64(1), "value": np.float64(0.5)}),
    plain({"name": "=a", "copies": 2, "value": float("nan")}),
    plain({"name": "b", "copies": 2, "value": 0.25, "more": True}),
)


@pytest.fixture
def findings() -> StudyFindings:
    cells = [{**one, "cell": f"{one['value']}"} for one in RECORDS]
    header, lines = pivoted(cells, ("name",), "copies", "cell", prefix="l = ")
    table = StudyTable("values", "Values.", RECORDS, header, lines)
    verdicts = (
        Verdict("x > 1", holds=True, evidence="3 of 3"),
        Verdict("y", holds=False, evidence="none"),
        Verdict("z", holds=None, evidence="too few"),
    )
    return StudyFindings("trial", "What was run.", (table,), verdicts)


def test_tables_for_people_have_a_line_for_each_combination(findings: StudyFindings) -> None:
    assert findings.table("values").header == ("name", "l = 1", "l = 2")
    assert findings.table("values").lines == (("=a", "0.5", "None"), ("b", "–", "0.25"))
    assert repr(findings) == "<Study trial: verdicts, values; 1 of 3 claims hold>"
    text = findings.to_markdown()
    assert "| x > 1 | holds | 3 of 3 |" in text
    assert "| z | undecided | too few |" in text
    assert text.index("What was run.") < text.index("x > 1") < text.index("Values.")
    assert "x > 1" not in findings.to_markdown("values")


def test_programs_get_every_field(findings: StudyFindings) -> None:
    told = json.loads(findings.to_json())
    assert told["values"] == [dict(one) for one in RECORDS] == findings.to_records("values")
    assert told["values"][1]["value"] is None
    assert [one["holds"] for one in told["verdicts"]] == [True, False, None]
    rows = list(csv.DictReader(io.StringIO(findings.to_csv("values"))))
    assert rows[0] == {"name": "'=a", "copies": "1", "value": "0.5", "more": ""}
    assert list(csv.DictReader(io.StringIO(findings.to_csv())))[2]["evidence"] == "too few"


def test_a_table_that_is_not_there_is_refused(findings: StudyFindings) -> None:
    with pytest.raises(UnknownName, match="no table of this study is called 'valeus'; did you mean 'values'?"):
        findings.table("valeus")
