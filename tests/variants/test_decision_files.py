"""Files of what a person decided: as they are written, and as spreadsheets leave them."""

from pathlib import Path

import pytest

from noisybench.ground.errors import BadData
from noisybench.variants.decision_files import HEADER, plain_cell, read_decisions, whole_number_of, write_decisions

ID = "ab" * 32
ROWS = [(7, "a, b.png", "cat", "dog", "accept"), (3, "=1+1", "-1", "'quoted'", "keep"), (12, "", "ä", "", "")]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """With names that a spreadsheet would take for formulas, which stand behind an apostrophe."""
    path = tmp_path / "answers.csv"
    write_decisions(path, "audit", {"variant_id": ID, "audit": "cd" * 32}, ROWS)
    assert path.read_text("utf-8").startswith(f"# noisybench audit, variant_id={ID}, audit={'cd' * 32}\nsample,name,")
    assert "'=1+1,'-1," in path.read_text("utf-8")
    found = read_decisions(path, "audit")
    assert found.digests == {"variant_id": ID, "audit": "cd" * 32}
    plain = [
        (whole_number_of(cells["sample"]), *(plain_cell(cells[name]) for name in HEADER[1:])) for _, cells in found.rows
    ]
    assert plain == ROWS
    assert [line for line, _ in found.rows] == [3, 4, 5]


@pytest.mark.parametrize(
    "content",
    [
        f"\ufeff# noisybench audit, variant_id={ID},,,\r\nsample,name,given,corrected,action\r\n3,n,cat,dog,accept\r\n",
        f'"# noisybench audit, variant_id={ID}";;;;\nsample;name;given;corrected;action\n3;n;cat;dog;accept\n;;;;\n',
        f"# noisybench audit; variant_id={ID}\nSample\tname\tgiven\tcorrected\taction\n3\tn\tcat\tdog\taccept\n",
        f"# noisybench audit, variant_id={ID}\rsample,action,name,given,corrected\r3,accept,n,cat,dog\r\r",
        f"sep=;\n# noisybench audit, variant_id={ID}\nsample;name;given;corrected;action\n3;n;cat;dog;accept\n",
    ],
)
def test_what_spreadsheets_save(content: str, tmp_path: Path) -> None:
    """Marks before the first byte, other separators, empty cells, other line ends, columns in another order."""
    (tmp_path / "a.csv").write_bytes(content.encode())
    found = read_decisions(tmp_path / "a.csv", "audit")
    assert found.digests == {"variant_id": ID}
    ((_, cells),) = found.rows
    assert cells == {"sample": "3", "name": "n", "given": "cat", "corrected": "dog", "action": "accept"}


HEAD = f"# noisybench audit, variant_id={ID}\nsample,name,given,corrected,action\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is no file of audit: it begins with ''"),
        ("sample,action\n3,keep\n", "it begins with 'sample,action'"),
        (HEAD.replace("audit", "corrections"), "is no file of audit"),
        (f"# noisybench audit, variant_id={ID}\n", "ends before its header"),
        (
            f"# noisybench audit, variant_id={ID}\nsample,name\n",
            "names the columns sample, name; expected sample,name,given",
        ),
        (HEAD + '3,"a"b,,,keep\n', "cannot be read as csv"),
        (HEAD + "3,a,b,c,keep,more\n", "has 6 cells, the header 5"),
    ],
)
def test_what_is_no_such_file(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(content, encoding="utf-8")
    with pytest.raises(BadData, match=words):
        read_decisions(tmp_path / "a.csv", "audit")
