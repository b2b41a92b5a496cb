"""Corrections: files as people and spreadsheets write them, and what they make of a variant, against loops by hand."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisybench.board.agreement import against_labels, marks_of
from noisybench.cards.description import describe
from noisybench.cards.variant_card import card_of, write_cards
from noisybench.cards.verify import verify_draw, verify_variant
from noisybench.data.source import Source, source_from_arrays
from noisybench.detection.scoring import Scores
from noisybench.ground.arrays import UNKNOWN, WRONG
from noisybench.ground.errors import BadData, Mismatch
from noisybench.noise.noises.as_found import AsFound
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.variants.building import build_variant, correct_variant
from noisybench.variants.corrections import Corrections, read_corrections, write_corrections
from noisybench.variants.decision_files import read_decisions
from noisybench.variants.variant import Variant, check_source, read_variant, variant_id, write_variant

NAMES = ("cat", "dög", "=owl")
LABELS = np.arange(12) % 3
FIRST = "# noisybench corrections, variant_id="
HEADER = "sample,name,given,corrected,action"
ROWS = ("0,a.png,cat,dög,accept", "4,,dög,,keep", "8,,=owl,cat,drop")


def own(clean: object = None) -> Source:
    """Twelve samples of three classes."""
    inputs = np.random.default_rng(0).normal(size=(12, 4))
    return source_from_arrays("mine", inputs, LABELS, clean=clean, class_names=NAMES)


@pytest.fixture(scope="module")
def variant() -> Variant:
    return build_variant(own(), AsFound())


def decided(variant: Variant, *rows: tuple[int, str, int]) -> Corrections:
    """Corrections of some samples: number, action and corrected label."""
    samples = np.array([row[0] for row in rows])
    corrected = np.array([row[2] for row in rows])
    actions: Any = tuple(row[1] for row in rows)
    return Corrections(variant.variant_id, samples, variant.labels[samples], corrected, actions)


def written(folder: Path, variant: Variant, *rows: str, header: str = HEADER) -> Path:
    path = folder / "mine.csv"
    path.write_text("\n".join([FIRST + variant.variant_id, header, *rows]) + "\n", encoding="utf-8")
    return path


# --- files ---------------------------------------------------------------------------------------------------------------


def excel(text: str) -> bytes:
    """As Excel saves it where a comma separates: padded, with a mark and other line ends."""
    first, *others = text.splitlines()
    return "\r\n".join([f'"{first}",,,,', *others, ",,,,", ""]).encode("utf-8-sig")


def german_excel(text: str) -> bytes:
    """As Excel saves it where a semicolon separates and letters are those of Windows-1252."""
    first, *others = text.splitlines()
    halves = first.replace(", ", ";") + ";;;"
    return "\r\n".join(["sep=;", halves, *(line.replace(",", ";") for line in others)]).encode("cp1252")


def unicode_text(text: str) -> bytes:
    """As Excel saves 'Unicode text'."""
    first, *others = text.splitlines()
    return "\r\n".join([f'"{first}"\t\t\t\t', *(line.replace(",", "\t") for line in others)]).encode("utf-16")


def calc(text: str) -> bytes:
    """As LibreOffice saves it with every text in quotes, and an empty first line by hand."""
    first, *others = text.splitlines()
    quoted = [",".join(f'"{cell}"' for cell in line.split(",")) for line in others]
    return "\n".join(["", f'"{first}",,,,', "", *quoted, ""]).encode()


def pandas(text: str) -> bytes:
    """With numbers of a column that had gaps, upper-case actions, columns in another order and empty cells cut off."""
    first, _, *others = text.splitlines()
    rows = []
    for line in others:
        sample, name, given, corrected, action = line.split(",")
        rows.append(f"{action.upper()},{sample}.0,{given},{corrected},{name}".rstrip(","))
    return "\n".join([first, "action,sample,given,corrected,name", *rows]).encode()


@pytest.mark.parametrize(
    "save", [str.encode, excel, german_excel, unicode_text, calc, pandas], ids=lambda f: f.__name__
)
def test_a_file_that_a_spreadsheet_saved_is_read_as_it_was(
    tmp_path: Path, variant: Variant, save: Callable[[str], bytes]
) -> None:
    """Marks, line ends, quotes, padding, separators and encodings change nothing that is decided."""
    path = written(tmp_path, variant, *ROWS)
    path.write_bytes(save(path.read_text(encoding="utf-8")))
    found = read_corrections(path, variant)
    assert found.samples.tolist() == [0, 4, 8]
    assert found.given.tolist() == [0, 1, 2]
    assert found.corrected.tolist() == [1, UNKNOWN, UNKNOWN]
    assert found.actions == ("accept", "keep", "drop")
    assert list(found.names) == ["a.png", "", ""]


WRONG_ROWS = [
    ("0,,bird,dög,accept", "line 3 of .*given: no class is called 'bird'"),
    ("0,,cat,dog,accept", "corrected: no class is called 'dog'; did you mean 'dög'"),
    ("0,,cat,dög,agree", "action is 'agree', expected one of accept, keep, drop"),
    ("0,,cat,dög,", "action is '', expected one of accept, keep, drop; delete the rows that are not decided"),
    ("12,,cat,dög,accept", r"sample is '12', expected a whole number of 0\.\.11"),
    ("-1,,cat,dög,accept", "sample is '-1', expected a whole number"),
    ("1.5,,cat,dög,accept", "sample is '1.5', expected a whole number"),
    ("0,,dög,cat,accept", "sample 0 is given 'dög', and the variant gives it 'cat' .1 such rows.; take the rows"),
    ("4,,dög,cat,accept", "line 4 of .*sample 4 stands in line 3 already"),
    ("0,,cat,,accept", "action is 'accept', and 'corrected' is empty"),
    ("0,,cat,cat,accept", "'corrected' is the given label 'cat'; say keep where that is right"),
    ("0,a,b,cat,dög,accept", "has 6 cells, the header 5; put a cell that holds ',' in double quotes"),
    ('0,"a,cat,dög,accept', "cannot be read as csv near line"),
]


@pytest.mark.parametrize(("row", "sentence"), WRONG_ROWS, ids=[sentence[:30] for _, sentence in WRONG_ROWS])
def test_a_row_that_cannot_be_is_refused_in_one_sentence(
    tmp_path: Path, variant: Variant, row: str, sentence: str
) -> None:
    """Line, what stands there and what should."""
    rows = ["4,,dög,,keep", row] if "stands in line" in sentence else [row]
    with pytest.raises(BadData, match=sentence):
        read_corrections(written(tmp_path, variant, *rows), variant)


def test_a_file_that_is_no_corrections_of_the_variant_is_refused(tmp_path: Path, variant: Variant) -> None:
    """Another variant's, another kind, other columns, nothing decided, no file."""
    path = written(tmp_path, variant, *ROWS)
    text = path.read_text(encoding="utf-8")
    for changed, kind, sentence in (
        (text.replace(variant.variant_id, "0" * 64), Mismatch, "are of variant 000000000000, and this is"),
        (
            text.replace("corrections", "audit", 1),
            BadData,
            "is no file of corrections: it begins with '# noisybench audit",
        ),
        (text.replace("variant_id=", "id="), BadData, "expected '# noisybench corrections, variant_id=…'"),
        (text.partition("\n")[2], BadData, "it begins with 'sample,name,given"),
        ("", BadData, "it begins with '', expected"),
        (
            text.replace("action", "verdict"),
            BadData,
            "line 2 of .* names the columns sample, name, given, corrected, verdict",
        ),
        ("\n".join(text.splitlines()[:2]), BadData, "decides nothing"),
        (text.splitlines()[0], BadData, "ends before its header"),
    ):
        path.write_text(changed, encoding="utf-8")
        with pytest.raises(kind, match=sentence):
            read_corrections(path, variant)
    with pytest.raises(BadData, match="nothing.csv cannot be read: No such file"):
        read_corrections(tmp_path / "nothing.csv", variant)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadData, match="is no text in UTF-8, nor as a spreadsheet writes it"):
        read_corrections(path, variant)


def test_what_is_written_is_read_again(tmp_path: Path, variant: Variant) -> None:
    """Names with separators, quotes, line ends and formulas, and a class that is one; the file as a whole or not at all."""
    names = ["a, b", '"quoted"', "=1+1"]
    made = replace(decided(variant, (0, "accept", 2), (1, "keep", -1), (2, "drop", -1)), names=names)
    write_corrections(made, tmp_path / "x.csv", variant.class_names)
    text = (tmp_path / "x.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0] == FIRST + variant.variant_id
    assert "'=1+1" in text
    assert "'=owl" in text
    found = read_corrections(tmp_path / "x.csv", variant)
    assert list(found.names) == names
    assert found.sha256 == made.sha256
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_a_file_of_decisions_tells_every_digest(tmp_path: Path) -> None:
    """What another kind of file says in its first line is there for who asks."""
    path = tmp_path / "a.csv"
    path.write_text(f'"# noisybench audit; variant_id={"a" * 64}; audit={"b" * 64}";;\nsample;answer\n3;x\n')
    found = read_decisions(path, "audit", ("sample", "answer"))
    assert found.digests == {"variant_id": "a" * 64, "audit": "b" * 64}
    assert found.rows == [(3, {"sample": "3", "answer": "x"})]


def test_the_digest_is_of_the_decisions_alone(variant: Variant) -> None:
    """Neither the order of rows nor the names count; an action, a label and the variant do."""
    rows = [(0, "accept", 1), (4, "keep", -1), (8, "drop", -1)]
    made = decided(variant, *rows)
    assert decided(variant, *rows[::-1]).sha256 == made.sha256
    assert replace(made, names=["a", "b", "c"]).sha256 == made.sha256
    others = [
        decided(variant, (0, "accept", 2), *rows[1:]),
        decided(variant, rows[0], (4, "drop", -1), rows[2]),
        decided(variant, *rows[:2]),
        replace(made, variant_id="0" * 64),
    ]
    assert len({made.sha256, *(other.sha256 for other in others)}) == 5


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([(0, "accept", 1), (0, "keep", -1)], "sample 0 is corrected twice"),
        ([(0, "agree", 1)], "no action is called 'agree'"),
        ([(0, "accept", -1)], "sample 0: 'accept' needs a corrected label"),
        ([(0, "accept", 0)], "sample 0: 'accept' needs a corrected label that is not the given one"),
        ([(0, "keep", 1)], "'keep' and 'drop' none"),
    ],
)
def test_corrections_that_cannot_be_are_refused(
    variant: Variant, rows: list[tuple[int, str, int]], sentence: str
) -> None:
    """As they are made in Python."""
    with pytest.raises(BadData, match=sentence):
        decided(variant, *rows)


def test_no_label_without_a_name_is_written(tmp_path: Path, variant: Variant) -> None:
    """A list of names that is too short would give some of them the name of another class, or none."""
    made = decided(variant, (0, "accept", 2))
    for names in (variant.class_names[:2], ()):
        with pytest.raises(
            BadData, match="corrections have label [0-2], expected one of 0..[-01]+; give the variant's"
        ):
            write_corrections(made, tmp_path / "c.csv", names)
    below = Corrections(variant.variant_id, np.array([0]), np.array([-1]), np.array([-1]), ("keep",))
    with pytest.raises(BadData, match="corrections have label -1"):
        write_corrections(below, tmp_path / "c.csv", variant.class_names)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("sample", "label"), [(12, 1), (-1, 1), (0, 3)])
def test_corrections_of_what_a_variant_does_not_have_are_refused(variant: Variant, sample: int, label: int) -> None:
    """Samples and classes beyond its own."""
    made = Corrections(variant.variant_id, np.array([sample]), np.array([0]), np.array([label]), ("accept",))
    with pytest.raises(BadData, match="the corrections have"):
        correct_variant(variant, made)


# --- variants --------------------------------------------------------------------------------------------------------------


def test_a_corrected_variant_is_what_the_decisions_say(variant: Variant) -> None:
    """Labels, marks, id and record, each by hand; what is known of the right class stays unknown."""
    made = decided(variant, (0, "accept", 1), (4, "keep", -1), (8, "drop", -1))
    found = correct_variant(variant, made)
    assert found.labels.tolist() == [1, *LABELS[1:]]
    assert np.flatnonzero(found.marks["checked"]).tolist() == [0, 4]
    assert np.flatnonzero(found.dropped).tolist() == [8]
    assert (found.clean == UNKNOWN).all()
    content = bytes.fromhex(variant.provenance.source_sha256) + np.array([1, *LABELS[1:], 8], "<i8").tobytes()
    assert found.variant_id == hashlib.sha256(content).hexdigest()
    told = found.provenance.corrections
    assert told is not None
    assert (told.variant_id, told.sha256) == (variant.variant_id, made.sha256)
    assert (told.accepted, told.kept, told.dropped) == (1, 1, 1)
    assert found.name == f"mine-as_found-{found.variant_id[:8]}-corrected"
    check_source(own(), found)
    assert build_variant(own(), AsFound(), corrections=made).variant_id == found.variant_id


def test_the_id_is_another_wherever_a_label_or_a_dropped_sample_differs(variant: Variant) -> None:
    """Confirming labels changes none, and so not the id; the folder is another nevertheless."""
    kept = correct_variant(variant, decided(variant, (0, "keep", -1)))
    assert kept.variant_id == variant.variant_id
    assert kept.name != variant.name
    ids = {
        correct_variant(variant, decided(variant, row)).variant_id
        for row in ((0, "accept", 1), (0, "accept", 2), (0, "drop", -1), (3, "drop", -1), (0, "keep", -1))
    }
    assert len(ids) == 5
    nobody = np.zeros(12, dtype=np.bool_)
    assert variant_id("ab" * 32, LABELS, nobody) == variant_id("ab" * 32, LABELS)


def test_truths_are_of_samples_that_are_not_dropped() -> None:
    """Known, wrong, rates, agreement and marks, against the same without the sample."""
    source = own(clean=LABELS)
    noisy = build_variant(source, Symmetric(rate=0.25), seed=0)
    wrong = np.flatnonzero(noisy.mislabeled).tolist()
    right = int(np.flatnonzero(~noisy.mislabeled)[0])
    rows = [(wrong[0], "accept", int(noisy.clean[wrong[0]])), (wrong[1], "drop", -1), (right, "keep", -1)]
    found = correct_variant(noisy, decided(noisy, *rows))
    assert np.flatnonzero(found.mislabeled).tolist() == wrong[2:]
    assert found.known.sum() == found.class_known.sum() == 11
    assert np.array_equal(found.clean, noisy.clean)
    assert found.flip_probability is None
    assert found.selected is None
    assert found.transition is None
    description = describe(found)
    assert (description.known, description.wrong) == (11, len(wrong) - 2)
    assert any("1 of 12 samples are dropped" in sentence for sentence in description.warnings)
    assert not any("unknown" in sentence for sentence in description.warnings)
    scores = Scores("mine", np.random.default_rng(1).random(12), found.variant_id)
    (agreement,) = against_labels(scores, found, metrics=["auroc"])
    kept = np.delete(np.arange(12), wrong[1])
    pairs = [(scores.values[i], scores.values[j]) for i in wrong[2:] for j in kept if j not in wrong[2:]]
    assert agreement.value == pytest.approx(np.mean([a > b for a, b in pairs]))
    assert agreement.n == 11
    assert not {"checked", "dropped"} & {*marks_of(found)}


def test_of_a_label_known_to_be_wrong_nothing_is_known_once_a_person_decided() -> None:
    """Of another label that says nothing, and of the same label two verdicts differ."""
    clean = np.full(12, WRONG)
    as_found = build_variant(own(clean=clean), AsFound())
    found = correct_variant(as_found, decided(as_found, (0, "accept", 1), (1, "keep", -1)))
    assert found.clean.tolist() == [UNKNOWN, UNKNOWN, *clean[2:]]


def test_corrections_of_a_corrected_variant_are_one_with_those_before(variant: Variant) -> None:
    """A second round against the labels of the first, as a loop over both applies them; the record names the first variant."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        state, current = {i: (int(LABELS[i]), False) for i in range(12)}, variant
        touched: set[int] = set()
        for _ in range(3):
            rows = []
            for sample in rng.choice(12, 4, replace=False).tolist():
                action = str(rng.choice(["accept", "keep", "drop"]))
                label = int((current.labels[sample] + rng.integers(1, 3)) % 3)
                rows.append((sample, action, label if action == "accept" else -1))
                before = int(current.labels[sample])
                state[sample] = {
                    "accept": (label, False),
                    "keep": (before, False),
                    "drop": (int(LABELS[sample]), True),
                }[action]
                touched.add(sample)
            current = correct_variant(current, decided(current, *rows))
        assert current.labels.tolist() == [state[i][0] for i in range(12)]
        assert current.dropped.tolist() == [state[i][1] for i in range(12)]
        assert set(np.flatnonzero(current.marks["checked"] | current.dropped)) == touched
        assert current.corrections is not None
        assert current.corrections.variant_id == variant.variant_id
        again = build_variant(own(), AsFound(), corrections=current.corrections)
        assert again.variant_id == current.variant_id


def test_rounds_are_taken_one_after_another(tmp_path: Path, variant: Variant) -> None:
    """Files in a list; the second alone is of a variant that was not built."""
    first = written(tmp_path, variant, *ROWS)
    once = correct_variant(variant, first)
    second = tmp_path / "second.csv"
    second.write_text(f"{FIRST}{once.variant_id}\n{HEADER}\n0,,dög,cat,accept\n8,,=owl,,keep\n")
    twice = build_variant(own(), AsFound(), corrections=[first, second])
    assert twice.labels.tolist() == LABELS.tolist()
    assert twice.variant_id == variant.variant_id
    with pytest.raises(Mismatch, match="give the corrections that made it, in their order, before"):
        build_variant(own(), AsFound(), corrections=second)


def test_a_source_with_such_a_mark_and_corrections_that_drop_all_are_refused(variant: Variant) -> None:
    """Each in a sentence that says what to do."""
    source = replace(own(), marks={"dropped": np.arange(12) < 3})
    marked = build_variant(source, AsFound())
    assert not marked.dropped.any()
    with pytest.raises(BadData, match="has a mark 'dropped' of its own"):
        correct_variant(marked, decided(marked, (0, "drop", -1)))
    with pytest.raises(BadData, match="drop 11 of 12 samples; expected at least two"):
        correct_variant(variant, decided(variant, *((i, "drop", -1) for i in range(11))))


def test_a_variant_keeps_its_corrections_and_any_change_is_noticed(tmp_path: Path, variant: Variant) -> None:
    """Written, read and verified; a decision that was changed, taken away or added is refused."""
    found = correct_variant(variant, decided(variant, (0, "accept", 1), (4, "keep", -1), (8, "drop", -1)))
    write_variant(found, tmp_path / "v")
    write_cards(found, tmp_path / "v")
    again = read_variant(tmp_path / "v")
    assert again.provenance == found.provenance
    assert again.variant_id == found.variant_id
    sentences = list(verify_variant(tmp_path / "v"))
    told = f"1 corrected, 1 confirmed, 1 dropped, by people who looked at variant {variant.variant_id[:8]}"
    assert f"corrections.csv: {told}, gives these labels" in sentences
    assert told in card_of(found)
    assert "--corrections corrections.csv" in card_of(found)
    files = json.loads((tmp_path / "v" / "croissant.json").read_text(encoding="utf-8"))["distribution"]
    assert "corrections.csv" in [file["name"] for file in files]
    path = tmp_path / "v" / "corrections.csv"
    text = path.read_text(encoding="utf-8")
    for before, after in (
        ("4,,dög,,keep\n", ""),
        ("4,,dög,,keep", "4,,dög,,drop"),
        ("0,,cat,dög,accept", "0,,cat,'=owl,accept"),
        (variant.variant_id, "0" * 64),
    ):
        assert before in text
        path.write_text(text.replace(before, after), encoding="utf-8")
        with pytest.raises(Mismatch, match="the corrections are not those of their provenance; build again"):
            read_variant(tmp_path / "v")
    path.unlink()
    with pytest.raises(BadData, match="corrections.csv cannot be read"):
        read_variant(tmp_path / "v")
    write_variant(variant, tmp_path / "v")
    assert "corrections" not in json.loads((tmp_path / "v" / "variant.json").read_text(encoding="utf-8"))
    assert read_variant(tmp_path / "v").corrections is None


def test_labels_that_do_not_follow_from_the_corrections_are_refused(variant: Variant) -> None:
    """Also where the digest of the labels is right."""
    found = correct_variant(variant, decided(variant, (0, "accept", 1), (8, "drop", -1)))
    with pytest.raises(Mismatch, match="labels and marks do not follow from the corrections"):
        replace(found, marks={**found.marks, "dropped": found.marks["checked"]})
    with pytest.raises(Mismatch, match="the corrections are not those of their provenance"):
        replace(found, corrections=None)
    with pytest.raises(Mismatch, match="labels and marks do not follow from the corrections"):
        replace(found, marks={name: mark.astype(np.int64) for name, mark in found.marks.items()})


def test_the_noise_is_drawn_again_and_corrected() -> None:
    """Verification builds the variant as it was built; another seed gives other labels."""
    source = own(clean=LABELS)
    noisy = build_variant(source, Symmetric(rate=0.25), seed=3)
    found = correct_variant(noisy, decided(noisy, (0, "keep", -1), (1, "drop", -1)))
    assert verify_draw(found, source).endswith("drawn again, gives these labels once it is corrected")
    forged = replace(found, provenance=replace(found.provenance, seed=4))
    with pytest.raises(Mismatch):
        verify_draw(forged, source)
