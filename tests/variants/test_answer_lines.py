"""Files of a person's answers: as we write them, and as spreadsheets leave them."""

from pathlib import Path

import pytest

from noisybench.ground.errors import BadData
from noisybench.variants.answer_lines import AnswerLine, read_answer_lines, write_answer_lines

ID = "ab" * 32
LINES = [
    AnswerLine(7, "a, b.png", "cat", "dog", "accept"),
    AnswerLine(3, "=1+1", "-1", "'quoted'", "keep"),
    AnswerLine(12, "", "ä", "", ""),
]


def read(path: Path, content: str | bytes) -> tuple[dict[str, str], list[AnswerLine]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_answer_lines(path, "audit")


def plain(lines: list[AnswerLine]) -> list[tuple[int, str, str, str, str]]:
    return [(line.sample, line.name, line.given, line.corrected, line.action) for line in lines]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """With names that a spreadsheet would take for formulas, which stand behind an apostrophe."""
    path = tmp_path / "answers.csv"
    write_answer_lines(path, "audit", {"variant_id": ID, "audit": "cd" * 32}, LINES)
    assert path.read_text("utf-8").startswith(f"# noisybench audit, variant_id={ID}, audit={'cd' * 32}\nsample,name,")
    assert "'=1+1,'-1," in path.read_text("utf-8")
    names, lines = read_answer_lines(path, "audit")
    assert names == {"variant_id": ID, "audit": "cd" * 32}
    assert plain(lines) == plain(LINES)
    assert [line.line for line in lines] == [3, 4, 5]


@pytest.mark.parametrize(
    "content",
    [
        f"\ufeff# noisybench audit, variant_id={ID},,,\r\nsample,name,given,corrected,action\r\n3,n,cat,dog,Accept\r\n",
        f'"# noisybench audit, variant_id={ID}";;;;\nsample;name;given;corrected;action\n3;n;cat;dog; accept \n;;;;\n',
        f"# noisybench audit; variant_id={ID}\nSample\tname\tgiven\tcorrected\taction\tnote\n3\tn\tcat\tdog\taccept\thm\n",
        f"# noisybench audit, variant_id={ID}\rsample,action,name,given,corrected\r3,accept,n,cat,dog\r\r",
    ],
)
def test_what_spreadsheets_save(content: str, tmp_path: Path) -> None:
    """Marks before the first byte, other separators, empty cells, other line ends, columns in another order."""
    names, lines = read(tmp_path / "a.csv", content)
    assert names == {"variant_id": ID}
    assert plain(lines) == [(3, "n", "cat", "dog", "accept")]


def test_columns_that_are_not_needed_may_be_missing(tmp_path: Path) -> None:
    """A sample and what was decided are enough."""
    _, lines = read(tmp_path / "a.csv", f"# noisybench audit, variant_id={ID}\nsample,action\n3,keep\n4\n")
    assert plain(lines) == [(3, "", "", "", "keep"), (4, "", "", "", "")]


HEADER = f"# noisybench audit, variant_id={ID}\nsample,name,given,corrected,action\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "must begin with '# noisybench audit, variant_id=…', as noisybench writes it; it begins with ''"),
        ("sample,action\n3,keep\n", "it begins with 'sample,action'"),
        (HEADER.replace("audit", "corrections"), "it is of corrections"),
        (f"# noisybench audit, variant_id={ID}\n", "has no column sample and no action in its second line"),
        (f"# noisybench audit, variant_id={ID}\nsample,name\n", "has no column action in its second line"),
        (HEADER + "x,,,,keep\n", "the sample in row 3 is 'x', expected its number"),
        (HEADER + "3,,,,keep\n4,,,,keep\n3,,,,drop\n", "has sample 3 in rows 3 and 5; keep one of them"),
        (HEADER + '3,"a"b,,,keep\n', "cannot be read as csv"),
        (HEADER.encode() + b"3,\xff,,,keep\n", "is no text in UTF-8; save it as 'CSV UTF-8'"),
    ],
)
def test_what_is_no_such_file(content: str | bytes, words: str, tmp_path: Path) -> None:
    """One sentence each."""
    with pytest.raises(BadData, match=words):
        read(tmp_path / "a.csv", content)


def test_no_file(tmp_path: Path) -> None:
    """One that is not there."""
    with pytest.raises(BadData, match="a.csv"):
        read_answer_lines(tmp_path / "a.csv", "audit")
