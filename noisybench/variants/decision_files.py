"""Files of what people decided, a row a sample, as people, pages and spreadsheets write them: csv below a line that says of what.

The first line is ``# noisybench KIND, variant_id=<64 hex>``, perhaps with further digests, and the second the header. A
spreadsheet that opened such a file and saved it again may have put the line in quotes, made all rows as long as the
longest, changed separator, line ends and encoding, or begun with ``sep=;``: all of that is read.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from noisybench.ground.claims import check_regular
from noisybench.ground.errors import BadData
from noisybench.ground.files import replacing
from noisybench.ground.text import spreadsheet_cell

HEADER = ("sample", "name", "given", "corrected", "action")
"""Columns, in the order in which they are written."""
LARGEST = 1 << 28
"""Bytes of such a file, at most."""
SEPARATORS = ",;\t|"
_SEPARATOR_LINE = re.compile(r'"?sep=.?"?[,;\t]*', re.IGNORECASE)  # for Excel, before all else
_WHOLE = re.compile(r"([0-9]{1,15})(\.0+)?", re.ASCII)
_DIGEST = re.compile(r"(\w+)=([0-9a-f]{64})(?!\w)", re.ASCII)


@dataclass(frozen=True, slots=True)
class DecisionFile:
    """What such a file holds, as it is written.

    Attributes:
        digests: Name → SHA-256 of what the first line says, the variant id among them.
        rows: Number of the line, and the cells by the name of their column, of every row that is not empty.
    """

    digests: Mapping[str, str]
    rows: Sequence[tuple[int, Mapping[str, str]]]

    @property
    def variant_id(self) -> str:
        return self.digests["variant_id"]


def read_decisions(path: Path, kind: str, header: Sequence[str] = HEADER) -> DecisionFile:
    """What a file of decisions holds.

    Args:
        path: The file: UTF-8, UTF-16 with its mark, or Windows-1252.
        kind: What its first line says after ``noisybench``.
        header: Names of its columns, which may stand in another order.

    Raises:
        BadData: It cannot be read, is of another kind, names no variant, or has other columns.
    """
    lines = _text_of(path).splitlines(keepends=True)
    at = 0
    while at < len(lines) and (not lines[at].strip() or _SEPARATOR_LINE.fullmatch(lines[at].strip())):
        at += 1
    first = lines[at].strip() if at < len(lines) else ""
    digests = dict(_DIGEST.findall(first)) if re.match(rf"\W*noisybench {kind}\W", first) else {}
    if "variant_id" not in digests:
        msg = (
            f"{path} is no file of {kind}: it begins with {first[:60]!r}, expected '# noisybench {kind}, variant_id=…' "
            f"with the 64 digits of the variant that was looked at"
        )
        raise BadData(msg)
    return DecisionFile(digests, list(_rows(lines[at + 1 :], at + 1, header, path)))


def write_decisions(path: Path, kind: str, digests: Mapping[str, str], rows: Iterable[Sequence[object]]) -> None:
    """Write such a file: whole, or not at all; what a spreadsheet would take for a formula stands behind an apostrophe.

    Args:
        path: The file; one that is there is replaced.
        kind: What the first line says after ``noisybench``.
        digests: Name → SHA-256, ``variant_id`` first.
        rows: Cells in the order of ``HEADER``.
    """
    text = io.StringIO(newline="")
    text.write(", ".join([f"# noisybench {kind}", *(f"{name}={value}" for name, value in digests.items())]) + "\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows([spreadsheet_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    with replacing(path) as part:
        part.write_bytes(text.getvalue().encode("utf-8", "replace"))


def plain_cell(text: str) -> str:
    """A cell without the apostrophe that ``spreadsheet_cell`` put before it."""
    return text[1:] if text.startswith("'") and spreadsheet_cell(text[1:]) != text[1:] else text


def whole_number_of(text: str) -> int | None:
    """The number that a cell holds, also as pandas writes it where a row had none (``3.0``); None where it is none."""
    found = _WHOLE.fullmatch(text.strip())
    return None if found is None else int(found[1])


def _text_of(path: Path) -> str:
    """The text of a file, whatever a spreadsheet made of its encoding."""
    check_regular(path)
    try:
        if path.stat().st_size > LARGEST:
            msg = f"{path} has {path.stat().st_size:,} bytes, and no decisions have more than {LARGEST:,}; give another file"
            raise BadData(msg)
        content = path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise BadData(msg) from None
    encodings = ("utf-16",) if content.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    msg = f"{path} is no text in UTF-8, nor as a spreadsheet writes it; save it as 'CSV UTF-8'"
    raise BadData(msg)


def _rows(
    lines: Sequence[str], before: int, header: Sequence[str], path: Path
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Number of the line and cells of each row below the header, of which ``before`` lines went before."""
    start = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    head = lines[start] if start < len(lines) else ""
    mark = max(SEPARATORS, key=head.count)
    reader = csv.reader(io.StringIO("".join(lines[start:]), newline=""), delimiter=mark, strict=True)
    names: list[str] = []
    try:
        for cells in reader:
            line = before + start + reader.line_num
            if not names:
                names = [cell.strip().lower() for cell in _without_padding(cells)]
                if sorted(names) != sorted(header):
                    msg = f"line {line} of {path} names the columns {', '.join(names)}; expected {','.join(header)}"
                    raise BadData(msg)
            elif any(cell.strip() for cell in cells):
                kept = _without_padding(cells)
                if len(kept) > len(names):
                    msg = (
                        f"line {line} of {path} has {len(kept)} cells, the header {len(names)}; put a cell that holds "
                        f"{mark!r} in double quotes"
                    )
                    raise BadData(msg)
                yield line, dict(zip(names, [*kept, *[""] * (len(names) - len(kept))], strict=True))
    except csv.Error as error:
        msg = f"{path} cannot be read as csv near line {before + start + reader.line_num}: {error}; save it again"
        raise BadData(msg) from None
    if not names:
        msg = f"{path} ends before its header; expected the line {','.join(header)}"
        raise BadData(msg)


def _without_padding(cells: Sequence[str]) -> list[str]:
    """Cells without the empty ones at their end, with which a spreadsheet makes every row as long as the longest."""
    kept = list(cells)
    while kept and not kept[-1].strip():
        kept.pop()
    return kept
