"""Features of texts: how often each of the commonest words, or runs of characters, is in them."""

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.checks import whole
from noisybench.ground.errors import BadData

COLUMNS = 1_024
Units = Literal["words", "characters"]

CHARACTERS = (
    "features are runs of one to three characters, as most texts are written without spaces; units=words says otherwise"
)
"""What is told where ``text_units`` found no words."""
_CHARACTERS = 3  # of a run, at most
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Scripts without spaces between words: Thai, Lao, Tibetan, Burmese, Khmer, Japanese, Chinese."""


def text_units(texts: Sequence[str]) -> Units:
    """``characters`` where most letters are of a script without spaces, or most texts hold no space, else ``words``.

    >>> text_units(["a dog", "two words"]), text_units(["ネコが好き", "イヌ と ネコ"]), text_units(["ACGT", "GGAT"])
    ('words', 'characters', 'characters')
    """
    if not any(char.isalnum() for text in texts for char in text):
        return "words"
    spaced = sum(len(text.split()) > 1 for text in texts)
    unspaced = sum(len(_UNSPACED.findall(text)) for text in texts)
    letters = unspaced and sum(map(str.isalpha, "".join(texts)))
    return "characters" if 2 * spaced < len(texts) or 2 * unspaced > letters else "words"


def text_features(
    texts: Sequence[str],
    test_texts: Sequence[str] = (),
    *,
    columns: int = COLUMNS,
    stop_words: Literal["english"] | None = None,
    what: str = "the training texts",
    units: Units = "words",
    longest: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """TF-IDF of the ``columns`` words that most training texts hold → (n, d) and (m, d), rows of length one.

    A word is a run of at least two letters or digits, in lower case; of characters, runs of one to three of any kind within
    spaces are taken for words. A value is (1 + ln count) times
    1 + ln((1 + n) / (1 + texts with the word)), as scikit-learn has it; a text without any of the words is all zero.
    Columns are in alphabetical order; of equally common words the first are kept. Nothing is drawn.

    Args:
        texts: Of the training samples, shape (n,); they alone decide the words and their weights.
        test_texts: Of the test samples, shape (m,).
        columns: How many words at most.
        stop_words: ``english`` leaves out those of scikit-learn's list.
        what: Whose texts these are, for messages.
        units: What is counted.
        longest: Of a run that is counted: of words one after the other, or of characters; None: one word, three characters.

    Raises:
        BadUsage: ``columns`` or ``longest`` is no positive whole number.
        BadData: No text holds a word.

    Source: Salton and Buckley 1988, doi:10.1016/0306-4573(88)90021-0.
    """
    from scipy.sparse import vstack
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

    columns = whole(columns, "columns", least=1)
    longest = None if longest is None else whole(longest, "longest", least=1)
    characters = units == "characters"
    counter = (
        CountVectorizer(analyzer="char", ngram_range=(1, longest or _CHARACTERS))
        if characters
        else CountVectorizer(stop_words=stop_words, ngram_range=(1, longest or 1))
    )
    try:
        known = counter.fit_transform(texts)
    except ValueError:  # an empty vocabulary
        msg = f"{what} hold no {'character' if characters else 'word of two letters or digits'}; expected texts"
        raise BadData(msg) from None
    texts_with = np.bincount(known.indices, minlength=known.shape[1])
    # scikit-learn's own choice of the commonest leaves ties to an unstable sort, so to the machine.
    kept = np.sort(np.argsort(-texts_with, kind="stable")[:columns])
    weigh = TfidfTransformer(sublinear_tf=True).fit(known[:, kept])
    counts = vstack([known, counter.transform(test_texts)]).tocsr()[:, kept]
    weighted = weigh.transform(counts).astype(np.float32)
    return weighted[: len(texts)].toarray(), weighted[len(texts) :].toarray()
