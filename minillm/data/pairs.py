"""Sentence pairs for next sentence prediction (NSP).

BERT (Devlin et al. 2018, sections 3.1 and A.2) learns from pairs [CLS] A [SEP] B [SEP]: half of the
time B is the text that follows A, half of the time it comes from another document, and the model
says which.  The plan of an epoch makes these pairs in four steps, each for all documents at once:

1. Cut.  Each document is cut into chunks of consecutive sentences, as long as a sequence can be
   (`max_length` - 3 tokens).  A tenth of the chunks aim at a random shorter length, because the
   model will also meet short inputs.
2. Split.  Each chunk is split at a random boundary between sentences: the first part is A.
3. Exchange.  Half of the chunks exchange their second parts, two by two, with a chunk of another
   document.  The others keep theirs.
4. Truncate.  A pair that is too long loses tokens at random from the front and the back of its
   longer segment, until it fits.

BERT's program draws the random B anew and puts the unused sentences back into the document.
Exchanging has the same aim, to waste no text, and one advantage: the random segments *are* true
second segments, only under another A.  So neither their length nor their place in a document nor
where they were cut can tell them apart, and partners of equal length are chosen, so that the
length of the whole pair can't either.  What is left to learn from is the content.

In BERT's program chunks of a single sentence were always "random", and a random B could be the
beginning of a document, a true one never.  On 25,000 film reviews with max_length 64 this makes
about 60 % of its pairs random ones, so that always saying "random" is right that often.  Of the
pairs made here half are, and a small network that is told only the lengths, the numbers of
sentences and where the segments were cut gets 50 % right (52 % with max_length 128).
"""

import warnings
from dataclasses import dataclass

import numpy as np

from minillm.data.encoded import EncodedCorpus

IS_NEXT, IS_RANDOM = 0, 1  # as in Hugging Face's models and BERT's program
SPECIAL_TOKENS_IN_PAIR = 3  # [CLS] A [SEP] B [SEP]
_STREAM = 1  # keeps this file's random numbers apart from those of the other files


@dataclass(frozen=True, eq=False)
class PairPlan:
    """The sentence pairs of one epoch, as ranges of `EncodedCorpus.tokens`; each array is [pairs].

    A is tokens[a_start : a_start + a_length], of document a_document; B likewise.
    next_sentence_label: 0 where B follows A, 1 where it comes from another document.
    """

    a_start: np.ndarray
    a_length: np.ndarray
    a_document: np.ndarray
    b_start: np.ndarray
    b_length: np.ndarray
    b_document: np.ndarray
    next_sentence_label: np.ndarray

    def __len__(self) -> int:
        return len(self.next_sentence_label)


def plan_pairs(
    encoded: EncodedCorpus,
    max_length: int,
    seed: int = 0,
    epoch: int = 0,
    short_seq_prob: float = 0.1,
    contrast: bool = False,
    documents: np.ndarray | None = None,
    section: int = 0,
) -> PairPlan:
    """The pairs of one epoch over an encoded corpus, a pure function of (seed, epoch).

    documents: only of these documents (indices, rising), which are a section of a corpus that is
    too large to be planned as a whole (see sections.py); section: its number.
    max_length: the longest sequence with its three special tokens.  short_seq_prob: the part of
    the chunks that aim at a random shorter length.  contrast: every chunk exchanges, and both the
    true and the exchanged pairs are kept, four in a row: (A, B), (A', B'), (A, B'), (A', B).
    Each segment then stands in a true and in a random pair, so nothing but the match of A and B
    can tell them apart, and a network that sees the four together learns it sooner.  A and B are
    then half a sequence each, up to and from a sentence boundary: much to compare, no padding.
    Documents of one sentence have no pair and are left out.  Every other sentence is in a chunk.
    (With contrast, chunks that find no partner in another document are left out as well.)
    Raises ValueError if fewer than two different documents have two sentences, if max_length < 5
    or if short_seq_prob isn't a probability.  Warns if one document holds so much of the corpus
    that there aren't enough others to exchange with: fewer than half of the labels are 1 then.
    """
    check_probability("short_seq_prob", short_seq_prob)
    if max_length < SPECIAL_TOKENS_IN_PAIR + 2:
        raise ValueError(
            f"max_length={max_length} is too small: at least {SPECIAL_TOKENS_IN_PAIR + 2}, for "
            "[CLS], a token, [SEP], a token, [SEP]"
        )
    max_tokens = max_length - SPECIAL_TOKENS_IN_PAIR
    rng = np.random.default_rng([seed, _STREAM, epoch, *([section] if section else [])])

    first, end, document = _cut(encoded, max_tokens, short_seq_prob, rng, documents)
    key = encoded.document_keys[document]
    offsets = np.asarray(encoded.sentence_offsets)
    if contrast:
        a_start, a_length, b_start, b_length = _halves(encoded, first, end, document, max_tokens)
        partner = _exchange(b_length, b_length, key, rng, everyone=True)
        chunk = np.arange(len(partner))
        couples = chunk[chunk < partner][:, None]  # of each couple the chunk that comes first
        others = partner[couples]
        whose_a = np.hstack([couples, others, couples, others]).reshape(-1)
        whose_b = np.hstack([couples, others, others, couples]).reshape(-1)
    else:
        # A: sentences [first, middle), B: [middle, end)
        middle = first + 1 + rng.integers(0, end - first - 1)
        a_start, b_start, b_end = offsets[first], offsets[middle], offsets[end]
        a_length, b_length = b_start - a_start, b_end - b_start
        b_last_begins = offsets[end - 1] - b_start  # the length of B without its last sentence
        whose_b = _exchange(b_length, b_last_begins, key, rng)
        whose_a = np.arange(len(whose_b))
    is_random = whose_a != whose_b
    a_start, a_length, a_document = a_start[whose_a], a_length[whose_a], document[whose_a]
    b_start, b_length, b_document = b_start[whose_b], b_length[whose_b], document[whose_b]

    a_start, a_length, b_start, b_length = _truncate(
        a_start, a_length, b_start, b_length, max_tokens, rng
    )
    label = np.where(is_random, IS_RANDOM, IS_NEXT)
    return PairPlan(a_start, a_length, a_document, b_start, b_length, b_document, label)


def _cut(
    encoded: EncodedCorpus, max_tokens: int, short_seq_prob: float, rng, documents=None
) -> tuple:
    """Cut the documents (None: all) into chunks [first, end) of at least two sentences.

    Every document advances by one chunk in each round of the loop, all of them at once.
    Returns (first, end, document), sorted by document and position.
    """
    offsets = np.asarray(encoded.sentence_offsets)  # a plain view: results are no memory maps
    document_offsets = np.asarray(encoded.document_offsets)
    if documents is None:
        documents = np.arange(encoded.document_count)
    start, stop = document_offsets[documents], document_offsets[documents + 1]
    document = documents[stop - start >= 2]  # those that aren't used up yet
    if len(np.unique(encoded.document_keys[document])) < 2:
        raise ValueError(
            f"{encoded.name}: too small for sentence pairs: {len(document)} of "
            f"{len(documents)} documents have two sentences or more, and at least two "
            "such documents with different texts are needed. Add documents, or check that they "
            "are separated (by blank lines in a text file)"
        )
    position = document_offsets[document]  # the sentence at which the next chunk begins
    chunks = []
    while len(document):
        stop = document_offsets[document + 1]
        # A last sentence that would be alone takes the one before it along once more.
        first = np.minimum(position, stop - 2)
        short = rng.random(len(document)) < short_seq_prob
        target = np.where(short, rng.integers(2, max_tokens + 1, len(document)), max_tokens)
        # The first boundary between sentences at which the target is reached.
        end = np.searchsorted(offsets, offsets[first] + target)
        end = np.clip(end, first + 2, stop)
        chunks.append((first, end, document))
        going_on = end < stop
        position, document = end[going_on], document[going_on]
    first, end, document = (np.concatenate(column) for column in zip(*chunks, strict=True))
    order = np.lexsort((first, document))
    return first[order], end[order], document[order]


def _halves(encoded, first, end, document, max_tokens: int) -> tuple:
    """Half a sequence before and half a sequence behind a boundary near each chunk's middle.

    The halves may begin or end within a sentence, but not outside of the document.
    """
    offsets = np.asarray(encoded.sentence_offsets)
    middle = np.searchsorted(offsets, (offsets[first] + offsets[end]) // 2)
    boundary = offsets[np.clip(middle, first + 1, end - 1)]
    document_offsets = np.asarray(encoded.document_offsets)
    document_begins = offsets[document_offsets[document]]
    document_ends = offsets[document_offsets[document + 1]]
    half = max_tokens // 2
    a_length = np.minimum(half, boundary - document_begins)
    b_length = np.minimum(max_tokens - half, document_ends - boundary)
    return boundary - a_length, a_length, boundary, b_length


def _exchange(b_length, b_last_begins, key, rng, everyone: bool = False) -> np.ndarray:
    """Who gets whose second segment: partner [chunks], its own index for those that keep theirs.

    Half of the chunks, chosen at random (or everyone), are walked through in the order of their
    second segments' length (and, among equals, of where the last sentence begins: in a true pair
    the target length is reached in that sentence, and never before).  A chunk exchanges with the
    one that waits, if that is of another document, and else waits too; so all that wait are of
    one document.
    """
    n = len(b_length)
    count = n if everyone else (n + 2) // 4 * 2  # half of them: the nearest even number
    chosen = rng.permutation(n)[:count]  # in random order
    by_length = chosen[np.lexsort((b_last_begins[chosen], b_length[chosen]))]
    partner = np.arange(n)
    waiting: list[int] = []
    waiting_key = None
    for i, key_i in zip(by_length.tolist(), key[by_length].tolist(), strict=True):
        if waiting and key_i != waiting_key:
            j = waiting.pop()
            partner[i], partner[j] = j, i
        else:
            waiting.append(i)
            waiting_key = key_i
    if len(waiting) > 0.2 * len(chosen) and n >= 20:
        share = (len(chosen) - len(waiting)) / len(chosen)
        warnings.warn(
            f"one document holds most of the text: only {share:.0%} of the segments that should "
            "be exchanged find a partner in another document",
            RuntimeWarning,
            stacklevel=3,
        )
    return partner


def _truncate(a_start, a_length, b_start, b_length, max_tokens: int, rng) -> tuple:
    """Shorten the longer segment of each pair, token by token, until |A| + |B| <= max_tokens.

    Taking a token from the longer one again and again ends in closed form: a segment that is
    shorter than half keeps all, the other one gets the rest; two longer ones get half each.
    Each token is taken from the front or the back by the toss of a coin: a binomial number of
    them from the front.
    """
    half = max_tokens // 2
    new_a = np.minimum(a_length, np.maximum(max_tokens - b_length, max_tokens - half))
    new_b = np.minimum(b_length, max_tokens - new_a)
    a_front = rng.binomial(a_length - new_a, 0.5)
    b_front = rng.binomial(b_length - new_b, 0.5)
    return a_start + a_front, new_a, b_start + b_front, new_b


def check_probability(name: str, value: float) -> None:
    """Raise ValueError if `value` is no number from 0 to 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name}={value}: a probability from 0 to 1 was expected")
