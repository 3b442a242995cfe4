"""How many floating point operations a training step needs, by formula.

Only matrix products are counted; a multiplication and an addition are two operations.  So a weight
that is multiplied with a vector costs 2, and three times that in a step: forward, the gradient of
the vector, the gradient of the weight.  With W the width, L the length, B the batch, T = B L the
tokens, V the vocabulary:

    Transformer layer     attention's projections 4 W^2 weights, the two linear layers 8 W^2
    attention itself      scores and mixtures: 2 * 2 W K operations a token and forward pass, where
                          K is how many positions it looks at: L, or (L + 1) / 2 if it looks back
                          only.  (A program that computes the other half as well, only to mask it,
                          gets no credit for that.)
    head                  V W weights, at the predicted positions
    LSTM layer            4 H (D + H) weights a token, D its input and H its state

Of BERT's last layer only the positions that are looked at afterwards need the linear layers: the
gaps and [CLS] in pretraining, [CLS] in classification; both sides skip the others.  Embeddings,
norms, softmax, dropout and the update are not counted: they are small, or bound by memory.
"""

from shapes import STEPS, Recurrent, Transformer

STEP = 3  # forward, and twice that backward


def layers(shape: Transformer, keys: float, last: int) -> float:
    """All layers of a Transformer, forward, whose last layer's linear layers see `last` tokens."""
    T, W = shape.batch * shape.length, shape.width
    projections, feed_forward, attention = 4 * W * W, 8 * W * W, 2 * W * keys
    everywhere = shape.layers * (projections + attention) + (shape.layers - 1) * feed_forward
    return 2 * (T * everywhere + last * feed_forward)


def gpt(shape: Transformer) -> float:
    T = shape.batch * shape.length
    head = 2 * T * shape.vocab * shape.width
    return STEP * (layers(shape, (shape.length + 1) / 2, T) + head)


def bert(shape: Transformer) -> float:
    W, B = shape.width, shape.batch
    gaps = B * round(0.15 * shape.length)
    heads = 2 * (B * W * W + gaps * (W * W + shape.vocab * W))  # pooler, transform, decoder
    return STEP * (layers(shape, shape.length, B + gaps) + heads)


def classifier(shape: Transformer) -> float:
    pooler = 2 * shape.batch * shape.width**2
    return STEP * (layers(shape, shape.length, shape.batch) + pooler)


def lstm(shape: Recurrent) -> float:
    T = shape.batch * shape.length
    return STEP * 2 * T * shape.layers * 4 * shape.width * (2 * shape.width)


def of_step(case: str) -> float:
    """The operations of one step of a case in `shapes.STEPS`."""
    shape = STEPS[case]
    if isinstance(shape, Recurrent):
        return lstm(shape)
    return {"gpt": gpt, "bert": bert, "minilm": classifier}[case.partition("-")[0]](shape)
