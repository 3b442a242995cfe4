"""The solutions of lesson 05's exercises: minillm's own functions, on plain data.

The pairs of `sentence_pairs` and the packing of one pair are written out: minillm makes both for
a whole corpus at once, in another order of steps (minillm/data/pairs.py, batches.py).
"""

import numpy as np

import minillm
from minillm import functional as F
from minillm import nn, optim
from minillm.data.masking import SPECIAL_TOKENS, Masking

PAD, UNK, CLS, SEP, MASK = range(5)


class _Tokens:
    """A vocabulary of the five special tokens and of nameless ones: all that `Masking` asks for."""

    def __init__(self, size):
        self.size = int(size)

    def get_vocab_size(self):
        return self.size

    def token_to_id(self, token):
        return SPECIAL_TOKENS.index(token)

    def id_to_token(self, i):
        return f"token {i}"


def choose_masked(ids, probability, rng):
    _, labels = Masking(_Tokens(ids.max() + 6), probability)(ids, rng)
    return labels >= 0


def mask_tokens(ids, chosen, vocab_size, rng):
    masking = Masking(_Tokens(vocab_size))
    masking._choose = lambda ids, rng: chosen  # the choice is made already
    return masking(ids, rng)


def sentence_pairs(documents, rng):
    pairs = []
    for d, document in enumerate(documents):
        others = [s for e, other in enumerate(documents) if e != d for s in other]
        for a, following in zip(document, document[1:], strict=False):
            if rng.random() < 0.5:
                pairs.append((a, following, 0))
            else:
                pairs.append((a, others[rng.integers(len(others))], 1))
    return pairs


def pack_pair(a, b, max_length):
    a, b = list(a), list(b)
    while len(a) + len(b) + 3 > max_length:
        longer = a if len(a) > len(b) else b
        longer.pop()
    ids = [CLS, *a, SEP, *b, SEP]
    types = [0] * (len(a) + 2) + [1] * (len(b) + 1)
    padding = max_length - len(ids)
    return ids + [PAD] * padding, types + [0] * padding, [1] * len(ids) + [0] * padding


def bert_embeddings(input_ids, token_type_ids, word, position, token_type):
    word, position, token_type = map(minillm.tensor, (word, position, token_type))
    x = F.embedding(input_ids, word) + position[: input_ids.shape[1]]
    return (x + F.embedding(token_type_ids, token_type)).numpy()


def mlm_loss(logits, labels):
    logits = minillm.tensor(logits.reshape(-1, logits.shape[-1]))
    return F.cross_entropy(logits, labels.reshape(-1), ignore_index=-100).item()


def nsp_loss(logits, labels):
    return F.cross_entropy(minillm.tensor(logits), labels).item()


def tied_gradient(ids, dembedded, hidden, dlogits):
    V, H = dlogits.shape[1], hidden.shape[1]
    E = minillm.tensor(np.zeros((V, H)), requires_grad=True)  # both uses are linear in E
    embedded, logits = F.embedding(ids, E), F.linear(minillm.tensor(hidden), E)
    loss = (embedded * minillm.tensor(dembedded)).sum() + (logits * minillm.tensor(dlogits)).sum()
    loss.backward()
    return E.grad


def tied_step(parameters, gradients, tied, learning_rate):
    shared = nn.Parameter(parameters[tied[0]].copy())
    weights = {
        name: shared if name in tied else nn.Parameter(array.copy())
        for name, array in parameters.items()
    }
    loss = sum((weights[name] * minillm.tensor(g)).sum() for name, g in gradients.items())
    loss.backward()
    optim.SGD({id(p): p for p in weights.values()}.values(), lr=learning_rate).step()
    return {name: p.numpy() for name, p in weights.items()}
