"""Features of texts: how often each of the commonest words is in them."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from noisybench.ground.checks import whole
from noisybench.ground.errors import BadData

COLUMNS = 1_024


def text_features(
    texts: Sequence[str],
    test_texts: Sequence[str] = (),
    *,
    columns: int = COLUMNS,
    stop_words: Literal["english"] | None = None,
    what: str = "the training texts",
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """TF-IDF of the ``columns`` words that most training texts hold → (n, d) and (m, d), rows of length one.

    A word is a run of at least two letters or digits, in lower case. A value is (1 + ln count) times
    1 + ln((1 + n) / (1 + texts with the word)), as scikit-learn has it; a text without any of the words is all zero.
    Columns are in alphabetical order; of equally common words the first are kept. Nothing is drawn.

    Args:
        texts: Of the training samples, shape (n,); they alone decide the words and their weights.
        test_texts: Of the test samples, shape (m,).
        columns: How many words at most.
        stop_words: ``english`` leaves out those of scikit-learn's list.
        what: Whose texts these are, for messages.

    Raises:
        BadUsage: ``columns`` is no positive whole number.
        BadData: No text holds a word.

    Source: Salton and Buckley 1988, doi:10.1016/0306-4573(88)90021-0.
    """
    from scipy.sparse import vstack
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

    columns = whole(columns, "columns", least=1)
    counter = CountVectorizer(stop_words=stop_words)
    try:
        known = counter.fit_transform(texts)
    except ValueError:  # an empty vocabulary
        msg = f"{what} hold no word of two letters or digits; expected texts"
        raise BadData(msg) from None
    texts_with = np.bincount(known.indices, minlength=known.shape[1])
    # scikit-learn's own choice of the commonest leaves ties to an unstable sort, so to the machine.
    kept = np.sort(np.argsort(-texts_with, kind="stable")[:columns])
    weigh = TfidfTransformer(sublinear_tf=True).fit(known[:, kept])
    counts = vstack([known, counter.transform(test_texts)]).tocsr()[:, kept]
    weighted = weigh.transform(counts).astype(np.float32)
    return weighted[: len(texts)].toarray(), weighted[len(texts) :].toarray()
