"""How well does a model predict the next token of texts that it never saw?

    L = - sum_t log p(x_t | what stands before x_t)        the total loss, in nats

A text is mostly longer than the model's context.  Cut into pieces that are scored by themselves,
each piece would begin without any context.  So windows overlap: they move on by `stride` tokens,
and only the tokens that no window has scored before count (see `scoring_windows`).  A small stride
comes near to what the model knows, at the price of length/stride times the work.
"""

from minillm.autograd import Tensor
from minillm.data import IGNORED, scoring_windows
from minillm.evaluation.language_model import bits_per_byte, perplexity
from minillm.grad_mode import no_grad


def evaluate_causal(
    model,
    ids,
    length: int | None = None,
    stride: int | None = None,
    batch_size: int = 32,
    total_bytes: int | None = None,
) -> dict[str, float]:
    """Score each of ids[1:], given the tokens before it, with windows of the context length.

    model: (input_ids, labels=...) -> output with the mean loss, as GPTForCausalLM.
    ids (N,): token ids of the held-out documents, or a `TokenRow`.
    length: of a window; None: the model's context.  stride: None: half of the length, so that each
    token (but for the first window's) sees half a context at least.
    total_bytes: the length of the text in UTF-8; then bits_per_byte is in the result.

    Returns {"total_nats": L, "tokens": N - 1, "loss": L / (N - 1), "perplexity": exp(loss), ...}.
    The model is put into evaluation mode for the time being.
    Raises ValueError for fewer than two ids, a stride outside 1 .. length - 1, and a length beyond
    the model's context.
    """
    longest = model.config.max_positions
    length = longest if length is None else length
    if length > longest:
        raise ValueError(
            f"length={length}: the model has only {longest} positions; take at most as many"
        )
    stride = max(1, length // 2) if stride is None else stride
    device = next(iter(model.parameters())).device
    was_training = model.training
    model.eval()
    total_nats, tokens = 0.0, 0
    with no_grad():
        for batch in scoring_windows(ids, length, stride, batch_size):
            asked = int((batch["labels"][:, 1:] != IGNORED).sum())
            inputs = {name: Tensor(array).to(device) for name, array in batch.items()}
            total_nats += model(**inputs).loss.item() * asked  # a mean over those asked for
            tokens += asked
    model.train(was_training)
    return causal_measures(total_nats, tokens, total_bytes)


def causal_measures(
    total_nats: float, tokens: int, total_bytes: int | None = None
) -> dict[str, float]:
    """The same loss in the usual units: for a model, or for n-grams on the same tokens.

    Perplexity counts by token, so it compares models with the same tokenizer only; bits per byte
    compare all.
    """
    total_nats = float(total_nats)  # n-grams bring NumPy's
    loss = total_nats / tokens
    result = {
        "total_nats": total_nats,
        "tokens": tokens,
        "loss": loss,
        "perplexity": perplexity(loss),
    }
    if total_bytes is not None:
        result["bits_per_byte"] = bits_per_byte(total_nats, total_bytes)
    return result
