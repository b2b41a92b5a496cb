"""A description as a page for a browser: figures, warnings, classes and transition matrices; it needs no script."""

import html
import math
import re
from collections.abc import Iterable, Sequence

import numpy as np

from noisybench.cards.crowd import crowd_rows
from noisybench.cards.data_cards import correction_words
from noisybench.cards.description import Description
from noisybench.cards.description_text import RATE_WORDS, ceiling_lines, known_words, worst_classes
from noisybench.cards.estimated_transitions import TransitionEstimates
from noisybench.cards.estimates_text import UNKNOWN, confusion_words, error_rows
from noisybench.ground.arrays import Floats
from noisybench.ground.checks import check_kind
from noisybench.ground.html.page import asset, heading, page
from noisybench.ground.text import cell
from noisybench.ground.version import __version__
from noisybench.variants.transitions import SparseTransition
from noisybench.variants.variant import Variant, check_variant

WRITTEN = 20
"""Classes up to which a cell of a matrix shows its number."""
DRAWN = 100
"""Classes up to which a matrix is drawn; of more, the commonest confusions are listed."""
LISTED = 100
"""Classes, or confusions, that are listed at most: the worst."""
_SCROLLED = '<div class="scroll" tabindex="0" role="region" aria-label="Table">'  # keys scroll what is too wide
LEVELS = 20
"""Steps of colour of a matrix, each with a class in ``description.css``."""


def description_page(variant: Variant, description: Description) -> str:
    """A self-contained page of a variant's description.

    Args:
        variant: What is described.
        description: Of it.
    """
    check_variant(variant)
    check_kind(description, Description, "description", "describe(variant) gives one")
    provenance = variant.provenance
    params = ", ".join(f"{name} {value}" for name, value in provenance.params.items())
    title = f"{provenance.noise} noise on {provenance.source}"
    facts = {
        "Source": f"{provenance.source}, {description.n:,} samples, {variant.num_classes:,} classes",
        "Noise": f"{provenance.noise} ({params})" if params else provenance.noise,
        "Drawn": f"mode {provenance.mode}, seed {provenance.seed}",
        "Corrections": correction_words(variant),
        "Variant": provenance.variant_id[:12],
        "noisybench": __version__,
    }
    parts = [
        heading(
            kind="Variant",
            title=cell(title),
            lead=_lead(description),
            facts={term: cell(said) for term, said in facts.items() if said},
        ),
        "<main>",
        *_warned(description),
        _section("Rates", _terms(_rates(variant, description))),
    ]
    if description.crowd is not None:
        parts.append(_section("Several annotators", _terms(crowd_rows(description.crowd, description.n).items())))
    if description.class_counts.any():
        parts.append(_section("Classes", _classes(variant, description)))
        parts += _matrices(variant, description)
        parts.append(_section("Ceilings", _ceilings(ceiling_lines(variant, description.ceilings))))
    if description.transition_estimates is not None:
        parts.append(
            _section("Noise estimated from probabilities", _estimates(variant, description.transition_estimates))
        )
    css = asset("noisybench.cards", "description.css") + "\n" + _colours()
    return page(title=cell(title), body="\n".join([*parts, "</main>"]), styles=[css])


def _lead(description: Description) -> str:
    if not description.known:
        return "Of no label is it known whether it is wrong."
    low, high = description.realised_interval
    return (
        f"{description.realised_rate:.2%} of {known_words(description)} have a wrong label "
        f"({description.wrong:,}; 95 % interval of a further draw {low:.2%} to {high:.2%})."
    )


def _warned(description: Description) -> list[str]:
    if not description.warnings:
        return []
    lines = "".join(f"<li>{_text(sentence)}</li>" for sentence in description.warnings)
    return [f'<aside class="warnings" aria-label="Warnings"><h2>Warnings</h2><ul>{lines}</ul></aside>']


def _rates(variant: Variant, description: Description) -> Iterable[tuple[str, str]]:
    if description.nominal_rate is not None:
        words = RATE_WORDS[variant.provenance.rate_definition]
        yield "Nominal", f"{description.nominal_rate:.2%} {words}"
    if description.expected_rate is not None:
        yield "Expected", f"{description.expected_rate:.2%} of the labels wrong"
    if description.known:
        yield "Realised", f"{description.realised_rate:.2%} ({description.wrong:,} of {description.known:,})"
    if description.wrong_alone:
        yield "Right class unknown", f"of {description.wrong_alone:,} of the wrong labels"


def _classes(variant: Variant, description: Description) -> str:
    """A table of the classes, in order; of many, the worst."""
    order = worst_classes(description)
    many = len(order) > LISTED
    shown = order[:LISTED] if many else range(variant.num_classes)
    expected, nominal = description.expected_class_rates, description.nominal_class_rates
    top = max(float(np.nanmax(description.class_intervals)), 1e-9)
    lines = []
    for k in shown:
        low, high = description.class_intervals[k]
        given = "".join(
            f'<td class="number">{_percent(column[k])}</td>' for column in (expected, nominal) if column is not None
        )
        lines.append(
            f'<tr><th scope="row" dir="auto">{_text(variant.class_names[k])}</th>'
            f'<td class="number">{description.class_counts[k]:,}</td><td class="number">{description.class_wrong[k]:,}</td>'
            f'<td class="number">{_percent(description.class_rates[k])}</td>'
            f"<td>{_bar(float(description.class_rates[k]), float(low), float(high), top)}</td>{given}"
            f'<td class="number">{_percent(description.modal_shares[k])}</td></tr>'
        )
    columns = "".join(
        f'<th scope="col" class="number">{name}</th>'
        for name, column in (("expected", expected), ("nominal", nominal))
        if column is not None
    )
    said = f"<p>The {LISTED} classes of the highest rates, of {len(order):,}.</p>" if many else ""
    return (
        f'{said}{_SCROLLED}<table><thead><tr><th scope="col">class</th><th scope="col" class="number">known</th>'
        '<th scope="col" class="number">wrong</th><th scope="col" class="number">rate</th>'
        f'<th scope="col">with its 95 % interval, to {top:.0%}</th>{columns}'
        f'<th scope="col" class="number">to the commonest wrong class</th></tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
    )


def _bar(rate: float, low: float, high: float, top: float) -> str:
    """A bar of a rate with its interval, on an axis from nothing to ``top``."""
    if math.isnan(rate):
        return "–"
    ends = "" if math.isnan(low) else f'<line x1="{100 * low / top:.2f}" x2="{100 * high / top:.2f}" y1="5" y2="5"/>'
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{100 * rate / top:.2f}" height="10"/>{ends}</svg>'
    )


def _matrices(variant: Variant, description: Description) -> list[str]:
    """The realised and the nominal matrix as tables in colour; of many classes, the commonest confusions."""
    parts = []
    for name, matrix in (("Realised", description.transition), ("Nominal", description.nominal_transition)):
        if matrix is None:
            continue
        title = f"{name} transition matrix, P(given | clean)"
        if isinstance(matrix, SparseTransition) or len(matrix) > DRAWN:
            if name == "Realised":
                parts.append(_section("Commonest confusions, P(given | clean)", _confusions(variant, matrix)))
            continue
        parts.append(_section(title, _matrix(variant.class_names, matrix)))
    return parts


def _estimates(variant: Variant, found: TransitionEstimates) -> str:
    """A table of the estimated matrices: mean rates, errors against what is known, and the largest confusions."""
    errors = list(error_rows(found))
    head = "".join(
        f'<th scope="col" class="number">{words}</th>' for words in ("mean rate", *(words for words, _ in errors))
    )
    lines = []
    for at, one in enumerate(found.estimates):
        rate = UNKNOWN if math.isnan(one.mean_rate) else f"{one.mean_rate:.1%}"
        cells = "".join(f'<td class="number">{said}</td>' for said in (rate, *(row[at] for _, row in errors)))
        lines.append(
            f'<tr><th scope="row" class="method">{one.method}</th>{cells}<td dir="auto">{_text(confusion_words(variant, one))}</td></tr>'
        )
    left = "".join(f"<p>{method}: not estimated, {_text(reason)}.</p>" for method, reason in found.left_out)
    return (
        f"<p>The likeliest class is the given label of {found.agreement:.1%} of the samples, with a mean confidence of "
        f'{found.confidence:.1%}.</p>{_SCROLLED}<table><thead><tr><th scope="col">method</th>{head}'
        f'<th scope="col">what it says</th></tr></thead><tbody>{"".join(lines)}</tbody></table></div>{left}'
    )


def _matrix(names: Sequence[str], matrix: Floats) -> str:
    """A matrix as a table: a row for each clean class, a column for each given one; numbers in % where there is room."""
    written = len(names) <= WRITTEN
    head = "".join(f'<th scope="col" title="{_text(name)}">{k}</th>' for k, name in enumerate(names))
    lines = []
    for i, name in enumerate(names):
        cells = []
        for j, value in enumerate(matrix[i]):
            said = "–" if math.isnan(value) else f"{100 * value:.1f}"
            colour = f"d{_level(value)}" if i == j else f"o{_level(value)}"
            about = f"{name} given as {names[j]}: {said} %"
            cells.append(f'<td class="{colour}" title="{_text(about)}">{said if written else ""}</td>')
        lines.append(
            f'<tr><th scope="row" dir="auto">{"" if name == str(i) else f"<i>{i}</i> "}{_text(name)}</th>{"".join(cells)}</tr>'
        )
    kind = "matrix written" if written else "matrix"
    said = (
        "Rows: clean class. Columns: given class, by number. Cells in %."
        if written
        else "Rows: clean class. Columns: given class."
    )
    return (
        f'<p>{said}</p>{_SCROLLED}<table class="{kind}"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _confusions(variant: Variant, matrix: Floats | SparseTransition) -> str:
    """A table of the commonest wrong classes."""
    if isinstance(matrix, SparseTransition):
        rows, columns, values = matrix.rows, matrix.columns, matrix.values
    else:
        rows, columns = np.nonzero(np.nan_to_num(matrix))
        values = matrix[rows, columns]
    off = np.flatnonzero((rows != columns) & np.isfinite(values))
    worst = off[np.argsort(-values[off], kind="stable")][:LISTED]
    names = variant.class_names
    lines = "".join(
        f'<tr><th scope="row" dir="auto">{_text(names[rows[at]])}</th><td dir="auto">{_text(names[columns[at]])}</td>'
        f'<td class="number">{_percent(values[at])}</td></tr>'
        for at in worst
    )
    return (
        f'<p>The first {len(worst)} of {len(off):,}.</p>{_SCROLLED}<table><thead><tr><th scope="col">clean</th>'
        f'<th scope="col">given</th><th scope="col" class="number">share</th></tr></thead><tbody>{lines}</tbody></table></div>'
    )


def _ceilings(lines: Sequence[str]) -> str:
    """The lines of the ceilings: a title, then terms and what is said of them."""
    parts: list[str] = []
    terms: list[tuple[str, str]] = []
    for line in lines:
        if line.endswith(":") and not line.startswith(" "):
            parts += [_terms(terms)] if terms else []
            terms = []
            parts.append(f"<h3>{_text(line[:1].upper() + line[1:-1])}</h3>")
            continue
        for part in line.strip().split("; "):
            term, _, said = (re.sub(r"\s{2,}", "\t", part) + "\t").partition("\t")
            terms.append((term, said.strip()))
    return "".join([*parts, _terms(terms)])


def _terms(pairs: Iterable[tuple[str, object]]) -> str:
    lines = "".join(
        f'<div><dt>{_text(term[:1].upper() + term[1:])}</dt><dd dir="auto">{_text(str(said))}</dd></div>'
        for term, said in pairs
    )
    return f'<dl class="terms">{lines}</dl>'


def _section(title: str, body: str) -> str:
    return f"<section><h2>{_text(title)}</h2>{body}</section>"


def _level(value: float) -> int:
    """Step of colour: none of nothing, and small shares apart from it."""
    return 0 if math.isnan(value) or value <= 0 else max(1, min(LEVELS, math.ceil(LEVELS * math.sqrt(value))))


def _colours() -> str:
    """A rule for each step: red off the diagonal, where labels are wrong, grey on it."""
    return "\n".join(
        f".matrix .{kind}{level} {{ background: color-mix(in srgb, var({name}) {round(80 * level / LEVELS)}%, var(--sheet)); }}"
        for kind, name in (("o", "--bad"), ("d", "--quiet"))
        for level in range(LEVELS + 1)
    )


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1%}"


def _text(text: str) -> str:
    return html.escape(cell(text))
