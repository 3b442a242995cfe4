"""Masked language modelling (MLM): hide some tokens, let the model say what they were.

BERT (Devlin et al. 2018, section 3.1 and A.1) chooses 15 % of the tokens of each sequence and asks
for the original id at these places only.  What the model sees there is

    80 %   [MASK]
    10 %   a random token          (so it can't trust a token just because it isn't [MASK])
    10 %   the token as it was     (so what it builds on true tokens matters, as in fine-tuning,
                                    where no [MASK] is ever seen)

The masks are drawn anew each time a sequence is used ("dynamic masking", RoBERTa, Liu et al. 2019).
"""

import numpy as np

from minillm.data.pairs import check_probability

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
IGNORED = -100  # the label of a position that isn't asked for, as in PyTorch's cross-entropy


class Masking:
    """Chooses and hides tokens: `input_ids, labels = masking(ids, rng)`.

    tokenizer: tells the special tokens, and by '##' which pieces continue a word.
    mask_probability: the part p of the tokens to choose.  In a sequence of n tokens (not counting
        special ones) they are exactly max(1, round(p * n)); none if p = 0.
    replace: the parts of the chosen ones that become ([MASK], a random token, stay as they are).
        (1, 0, 0) hides all of them, as is usual for measuring.
    whole_words: choose words, not pieces: all pieces of a word, or none.  Words are taken in random
        order until that many tokens are reached, so the last word may go beyond.
    Raises ValueError for what isn't a probability, parts that don't add up to 1, or a vocabulary
    without the special tokens or with nothing else.
    """

    def __init__(
        self,
        tokenizer,
        mask_probability: float = 0.15,
        replace: tuple[float, float, float] = (0.8, 0.1, 0.1),
        whole_words: bool = False,
    ):
        check_probability("mask_probability", mask_probability)
        if len(replace) != 3:
            raise ValueError(f"replace={replace}: three parts, ([MASK], random, as it was), needed")
        for part in replace:
            check_probability("replace", part)
        if abs(sum(replace) - 1) > 1e-6:
            raise ValueError(f"replace={replace} adds up to {sum(replace):g}, it must be 1")
        self.mask_probability = float(mask_probability)
        self.replace = tuple(map(float, replace))
        self.whole_words = whole_words

        special = special_ids(tokenizer)
        vocab_size = tokenizer.get_vocab_size()
        self.mask_id = special["[MASK]"]
        self.is_special = np.zeros(vocab_size, dtype=bool)
        self.is_special[list(special.values())] = True
        self.ordinary_ids = np.flatnonzero(~self.is_special)  # what a random token is drawn from
        if len(self.ordinary_ids) == 0:
            raise ValueError("the vocabulary has no other tokens than the special ones")
        self.continues_word = np.array(
            [(tokenizer.id_to_token(i) or "").startswith("##") for i in range(vocab_size)]
        )

    def __call__(self, ids: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return (input_ids, labels), both [batch, length] int64; `ids` is left as it is.

        labels: the original id where a token was chosen, -100 elsewhere.  Special tokens
        (padding among them) are never chosen and never put in as a random token.
        """
        chosen = self._choose(ids, rng)
        labels = np.where(chosen, ids, IGNORED)

        masked, random, _ = self.replace
        fate = rng.random(ids.shape)
        any_token = self.ordinary_ids[rng.integers(len(self.ordinary_ids), size=ids.shape)]
        becomes_mask = chosen & (fate < masked)
        becomes_random = chosen & (masked <= fate) & (fate < masked + random)
        input_ids = np.where(becomes_mask, self.mask_id, np.where(becomes_random, any_token, ids))
        return input_ids, labels

    def _choose(self, ids: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A bool array [batch, length]: the tokens to ask for.

        Each unit (a token, or a word) draws a random number; the units with the smallest numbers
        are taken.  The number of a unit is that of its first token, and a stable sort keeps the
        tokens of a unit together, so the rank of its first token counts the tokens before it.
        """
        maskable = ~self.is_special[ids]
        position = np.arange(ids.shape[1])
        unit_start = np.broadcast_to(position, ids.shape)  # for each token, where its unit begins
        if self.whole_words:
            after_special = np.ones_like(maskable)
            after_special[:, 1:] = ~maskable[:, :-1]
            begins = ~self.continues_word[ids] | after_special | ~maskable
            unit_start = np.maximum.accumulate(np.where(begins, position, 0), axis=1)

        draw = np.where(maskable, rng.random(ids.shape), np.inf)  # special tokens come last
        draw = np.take_along_axis(draw, unit_start, axis=1)
        order = np.argsort(draw, axis=1, kind="stable")
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.broadcast_to(position, ids.shape), axis=1)
        rank = np.take_along_axis(rank, unit_start, axis=1)

        n = maskable.sum(axis=1)
        wanted = np.maximum(1, np.rint(self.mask_probability * n))
        if self.mask_probability == 0:
            wanted = np.zeros_like(wanted)
        return maskable & (rank < wanted[:, None])


def special_ids(tokenizer) -> dict[str, int]:
    """The ids of [PAD] [UNK] [CLS] [SEP] [MASK].  Raises ValueError where one is missing."""
    ids = {token: tokenizer.token_to_id(token) for token in SPECIAL_TOKENS}
    missing = [token for token, i in ids.items() if i is None]
    if missing:
        raise ValueError(
            f"the tokenizer's vocabulary has no {', '.join(missing)}: pretraining needs all of "
            f"{' '.join(SPECIAL_TOKENS)}. Train one with WordPieceTokenizer.train"
        )
    return ids
