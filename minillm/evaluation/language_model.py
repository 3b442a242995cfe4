"""How well does a pretrained model fill gaps and tell true successors from random ones?"""

import math

import numpy as np

from minillm import functional as F
from minillm.autograd import Tensor
from minillm.evaluation.baselines import NeighbourGuess, WordOverlap
from minillm.grad_mode import no_grad


def evaluate_pretraining(model, batches) -> dict[str, float]:
    """Average over held-out batches: mlm_loss (nats a masked token), mlm_accuracy, nsp_accuracy...

    `batches`: dicts of NumPy arrays as PretrainingBatches gives them.  The model is put into
    evaluation mode for the time being.
    """
    device = model.bert.embeddings.word.weight.device
    was_training = model.training
    model.eval()
    totals = {"mlm_loss": 0.0, "mlm_accuracy": 0.0, "nsp_loss": 0.0, "nsp_accuracy": 0.0}
    gaps = pairs = 0
    with no_grad():
        for batch in batches:
            on_device = {name: Tensor(a).to(device) for name, a in batch.items()}
            output = model(
                on_device["input_ids"],
                on_device["token_type_ids"],
                on_device["attention_mask"],
                labels=on_device["labels"],
            )
            targets = batch["labels"][batch["labels"] >= 0]  # the order of prediction_logits
            follows = batch["next_sentence_label"]
            logits, nsp_logits = output.prediction_logits, output.seq_relationship_logits
            nsp_loss = F.cross_entropy(nsp_logits, on_device["next_sentence_label"])
            totals["mlm_loss"] += output.loss.item() * len(targets)
            totals["mlm_accuracy"] += int((logits.numpy().argmax(-1) == targets).sum())
            totals["nsp_loss"] += nsp_loss.item() * len(follows)
            totals["nsp_accuracy"] += int((nsp_logits.numpy().argmax(-1) == follows).sum())
            gaps, pairs = gaps + len(targets), pairs + len(follows)
    model.train(was_training)
    if not gaps:
        raise ValueError("evaluate_pretraining: the batches hold no masked position")
    return {
        name: total / (gaps if name.startswith("mlm") else pairs) for name, total in totals.items()
    }


def evaluate_baselines(
    batches, neighbours: NeighbourGuess, overlap: WordOverlap, hidden_ids
) -> dict[str, float]:
    """The baselines' accuracies on the same gaps and pairs; hidden_ids: [MASK] and the specials.

    `neighbours` is asked twice: with what the model sees (a neighbour may be masked too), and,
    which is unfair to the model, with the true neighbours.
    """
    right = {"most_frequent": 0, "neighbours": 0, "true_neighbours": 0, "word_overlap": 0}
    gaps = pairs = 0
    for batch in batches:
        labels = batch["labels"]
        asked = labels >= 0
        targets = labels[asked]
        original = np.where(asked, labels, batch["input_ids"])
        for name, ids in (("neighbours", batch["input_ids"]), ("true_neighbours", original)):
            visible = np.where(np.isin(ids, hidden_ids), -1, ids)
            edge = np.full((len(ids), 1), -1)
            left = np.hstack([edge, visible[:, :-1]])[asked]
            right_ids = np.hstack([visible[:, 1:], edge])[asked]
            right[name] += int((neighbours.predict(left, right_ids) == targets).sum())
        right["most_frequent"] += int((targets == neighbours.most_frequent).sum())
        right["word_overlap"] += int((overlap.predict(batch) == batch["next_sentence_label"]).sum())
        gaps, pairs = gaps + len(targets), pairs + len(labels)
    return {name: n / (pairs if name == "word_overlap" else gaps) for name, n in right.items()}


def perplexity(mean_nats: float) -> float:
    """exp(loss): a model this uncertain might as well throw a die with so many sides.

    mean_nats: the mean of -log p over the tokens (a mean cross-entropy loss), at least 0; the
    untrained model's is ln V and its perplexity V.  Raises ValueError for nan, a negative number,
    and one of 700 and more, which is a sum, not a mean.
    Source: Jelinek et al. 1977, "Perplexity: a measure of the difficulty of speech recognition".
    """
    if not 0 <= mean_nats < 700:
        raise ValueError(
            f"mean_nats={mean_nats}: the mean of -log p over the tokens expected, a number from 0 "
            "on and far below 700"
        )
    return math.exp(mean_nats)


def bits_per_byte(total_nats: float, total_bytes: int) -> float:
    """total_nats / (ln 2 * total_bytes): comparable between tokenizers, as perplexity is not.

    total_nats: the sum of -log p over the tokens of a text (mean loss * number of tokens);
    total_bytes: the length of that text in UTF-8, len(text.encode()).  It is the size to which the
    model would compress a byte of the text: 8 without any knowledge.  Raises ValueError for nats
    that aren't a finite number from 0 on, and unless total_bytes is at least 1.
    Source: Shannon 1948 (bits a symbol); Gao et al. 2020, "The Pile", section 3.1.
    """
    if not 0 <= total_nats < math.inf:
        raise ValueError(
            f"total_nats={total_nats}: the sum of -log p expected, a finite number from 0 on"
        )
    if not total_bytes >= 1:
        raise ValueError(f"total_bytes={total_bytes}: the text's length in bytes expected, >= 1")
    return total_nats / (math.log(2) * total_bytes)
