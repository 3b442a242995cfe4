"""Shuffling a corpus that is too large to be shuffled: section by section.

To draw pairs at random from a corpus, all its sentences would have to be looked at before the
first step, and the plan of an epoch would be as large as the corpus.  So a large corpus is
divided, in every epoch anew, into sections of about equal size, and they are planned one after the
other, each when its turn comes:

    corpus     | b0 | b1 | b2 | b3 | b4 | b5 | ...      blocks: runs of documents, 16,384 tokens
    section 0    b7 b2 b40 b13 ...                      some thousand blocks, drawn at random
    section 1    b5 b0 b21 b33 ...

A section is a random sample of the whole corpus, in pieces that are long enough to be read from the
disk at a good speed; and within it everything is shuffled as before.  A corpus of less than two
sections is one section, whole.
"""

import numpy as np

from minillm.data.encoded import EncodedCorpus

SECTION_TOKENS = 1 << 24
BLOCK_TOKENS = 1 << 14
_LEAST_BLOCKS = 8  # in a section: of fewer one can't draw at random
_STREAM = 6  # keeps this file's random numbers apart from those of the other files


class Sections:
    """Which documents make up which section: `Sections(encoded).documents(seed, epoch, k)`.

    Documents of one sentence, which have no pair, are in none.  `count`: the number of sections.
    In memory: four bytes for each document.
    """

    def __init__(self, encoded: EncodedCorpus):
        sentences = np.asarray(encoded.document_offsets)
        has_pair = np.flatnonzero(np.diff(sentences) >= 2)
        offsets = np.asarray(encoded.sentence_offsets)
        size = offsets[sentences[has_pair + 1]] - offsets[sentences[has_pair]]  # in tokens
        position = np.cumsum(size) - size
        begins = np.diff(position // BLOCK_TOKENS, prepend=-1) > 0  # a document begins a block
        first = np.flatnonzero(begins)
        self.block_tokens = np.add.reduceat(size, first) if len(first) else size
        self.count = max(
            1, min(int(size.sum()) // SECTION_TOKENS, len(self.block_tokens) // _LEAST_BLOCKS)
        )
        self._blocks: list[np.ndarray] = []
        if self.count > 1:
            smallest = np.uint32 if len(sentences) < 2**32 else np.int64
            self._blocks = np.split(has_pair.astype(smallest), first[1:])

    def documents(self, seed: int, epoch: int, section: int) -> np.ndarray | None:
        """The documents of a section, in their order in the corpus; None for all of them.

        The blocks are put into random order, and this row is cut into `count` pieces of equally
        many tokens (a block belongs to the piece in which its middle lies).
        """
        if self.count == 1:
            return None
        order = np.random.default_rng([seed, _STREAM, epoch]).permutation(len(self._blocks))
        tokens = self.block_tokens[order]
        middle = np.cumsum(tokens) - tokens / 2
        piece = (middle * (self.count / tokens.sum())).astype(np.int64)
        chosen = np.sort(order[piece == section])
        return np.concatenate([self._blocks[block] for block in chosen]).astype(np.int64)
