"""Beam search: several texts at once, to find one that is probable as a whole.

Greedy search takes the best token and never looks back; a text that begins with the second best
may be more probable.  Beam search keeps the n most probable unfinished texts ("beams"), continues
each with every token, keeps the best n again (Lowerre 1976; for neural models Sutskever et al.
2014, section 3.2).  A text's score is

    (sum of ln p of its new tokens) / (number of new tokens)^length_penalty.

Without the division short texts would win, as every factor p < 1 makes a text less probable.

early_stopping says when to stop once n finished texts have been found: True, at once; False, when
the best beam, scored at its present length, is below the worst of the n; "never", when it would be
at its most favourable length, too.  This is Hugging Face's search, token for token.
"""

import math

import numpy as np

from minillm.generation.endings import Endings
from minillm.generation.reading import Reader
from minillm.generation.sampling import log_softmax
from minillm.generation.settings import Settings


def beam_search(reader: Reader, settings: Settings, endings: Endings):
    """For each prompt the best text found, and the log-probability of each of its tokens."""
    n, B = settings.num_beams, len(reader.tokens)
    spare = max(2, 1 + len(endings.end_ids))  # at most one of them a beam for each end token
    generators = settings.generators(B) if settings.do_sample else [None] * B
    searches = [Search(settings, spare * n, generator) for generator in generators]
    for _ in range(settings.max_new_tokens):
        log_p = log_softmax(reader.logits())  # (rows, V); a row for each beam of each prompt
        shaped = settings.filtered(log_p, reader.texts(), spare)
        each = len(log_p) // B  # beams of a prompt: 1 at first, then n
        rows, tokens = [], []
        for prompt, search in enumerate(searches):
            own = slice(prompt * each, (prompt + 1) * each)
            if not search.done:
                search.step(log_p[own], shaped[own], endings)
            rows.append(prompt * each + search.parents)
            tokens.append(search.texts[:, -1])
        if all(search.done for search in searches):
            break
        reader.reorder(np.concatenate(rows))
        reader.append(np.concatenate(tokens))
    best = [search.finished[0] for search in searches]
    return [text for _, text, _ in best], [scores for _, _, scores in best]


class Search:
    """The beams of one prompt and the finished texts that they left.

    texts (n, t): the beams' new tokens, the best beam first.  scores (n,): the sum of the shaped
    ln p.  token_scores (n, t): ln p of each token under the model.  parents (n,): which beam of
    the last step each one continues.  finished: the best n as (score, text, token scores).
    """

    def __init__(self, settings: Settings, num_candidates: int, generator):
        self.settings, self.num_candidates, self.generator = settings, num_candidates, generator
        self.texts = np.zeros((1, 0), np.int64)
        self.token_scores = np.zeros((1, 0))
        self.scores = np.zeros(1)
        self.parents = np.zeros(1, np.int64)
        self.finished: list[tuple[float, np.ndarray, np.ndarray]] = []
        self.done = False

    def step(self, log_p, shaped, endings: Endings) -> None:
        """Continue each beam by a token; log_p, shaped (beams, V)."""
        n, V = self.settings.num_beams, log_p.shape[1]
        totals = (shaped + self.scores[:, None]).reshape(-1)  # of beam i and token v at i V + v
        best = self._best(totals)
        parents, tokens = best // V, best % V
        texts = np.concatenate([self.texts[parents], tokens[:, None]], axis=1)
        token_scores = np.concatenate(
            [self.token_scores[parents], log_p[parents, tokens][:, None]], axis=1
        )
        length = texts.shape[1]
        last = length == self.settings.max_new_tokens
        ended = np.array([last or endings.reached_by(text) for text in texts])
        # Only the n best candidates may finish; the others stand by, to go on in place of these.
        for i in np.flatnonzero(ended[:n]):
            score = totals[best[i]] / length**self.settings.length_penalty
            self.finished.append((score, texts[i], token_scores[i]))
        self.finished.sort(key=lambda entry: -entry[0])
        del self.finished[n:]

        going = np.flatnonzero(~ended)[:n]
        if not len(going):
            self.done = True
            going = np.zeros(1, np.int64)
        self.scores = totals[best[going]]
        if len(going) < n:  # fill up with copies that can't win
            self.scores = np.append(self.scores, [-math.inf] * (n - len(going)))
            going = np.append(going, [going[0]] * (n - len(going)))
        self.parents, self.texts, self.token_scores = (
            parents[going],
            texts[going],
            token_scores[going],
        )
        self.done = self.done or not self._can_improve(length)

    def _best(self, totals) -> np.ndarray:
        """The best candidates' places in `totals`, the best first; with do_sample drawn ones.

        Adding Gumbel noise -ln(-ln u) and taking the largest draws without replacement, each with
        its probability (Kool et al. 2019, section 2.3).
        """
        keys = totals
        if self.generator is not None:
            keys = totals - np.log(-np.log(self.generator.random(len(totals))))
        count = min(self.num_candidates, len(totals))
        best = np.argpartition(-keys, count - 1)[:count]
        best = best[totals[best] > -math.inf]
        return best[np.lexsort((best, -totals[best]))]

    def _can_improve(self, length: int) -> bool:
        """Whether a beam may still beat one of n finished texts."""
        settings = self.settings
        if len(self.finished) < settings.num_beams:
            return True
        if settings.early_stopping is True:
            return False
        if settings.early_stopping == "never" and settings.length_penalty > 0:
            length = settings.max_new_tokens
        return bool(self.scores[0] / length**settings.length_penalty > self.finished[-1][0])
