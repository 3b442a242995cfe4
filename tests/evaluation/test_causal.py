"""Loss over held-out text: right, the same for every stride where it must be, and in every unit."""

import math

import numpy as np
import pytest

import minillm
from minillm import optim
from minillm.evaluation import causal_measures, evaluate_causal
from minillm.models import GPTConfig, GPTForCausalLM

V, CONTEXT = 12, 96


def make_model(n_positions=CONTEXT, **changes):
    sizes = dict(vocab_size=V, n_positions=n_positions, n_embd=32, n_layer=2, n_head=2)
    no_dropout = dict(resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    return GPTForCausalLM(GPTConfig(**(sizes | no_dropout | changes)))


def make_text(rng, N):
    """Mostly in equal steps, of 1 or of 5: one has to look back to know of which."""
    step = rng.choice([1, 5])
    ids = rng.integers(0, V, N)
    follows = rng.random(N) < 0.8
    for i in range(1, N):
        if follows[i]:
            ids[i] = (ids[i - 1] + step) % V
    return ids


def log_probability(model, ids, device):
    """log p(ids[-1] | the others), by one forward pass for this token alone."""
    with minillm.no_grad():
        logits = model(minillm.tensor(ids[None, :-1], device=device)).logits.numpy()[0, -1]
    logits = logits.astype(np.float64)
    return logits[ids[-1]] - np.log(np.exp(logits - logits.max()).sum()) - logits.max()


@pytest.mark.parametrize(("length", "stride", "N"), [(8, 3, 30), (8, 7, 29), (8, 1, 12), (8, 4, 5)])
def test_the_total_is_the_sum_over_single_tokens(device, length, stride, N):
    """Token t, in the window that asks for it, sees what the window's rule says, no more."""
    model = make_model(initializer_range=0.5).to(device).eval()
    ids = np.random.default_rng(N).integers(0, V, N)
    result = evaluate_causal(model, ids, length, stride, batch_size=3)
    expected, a = 0.0, 0
    for t in range(1, N):
        while t >= a + length:  # the first window that holds t
            a = min(a + stride, N - length)
        expected -= log_probability(model, ids[a : t + 1], device)
    assert result["tokens"] == N - 1
    assert result["total_nats"] == pytest.approx(expected, rel=1e-4)
    assert result["loss"] == pytest.approx(expected / (N - 1), rel=1e-4)
    assert result["perplexity"] == pytest.approx(math.exp(expected / (N - 1)), rel=1e-3)
    assert "bits_per_byte" not in result


@pytest.fixture(scope="module")
def trained(request):
    """A model that has learned to use all of its context."""
    device = request.config.getoption("--device")
    minillm.manual_seed(0)
    rng = np.random.default_rng(0)
    model = make_model().to(device)
    optimizer = optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(300):
        texts = [make_text(rng, CONTEXT) for _ in range(8)]
        ids = minillm.tensor(np.stack(texts), device=device)
        model.zero_grad()
        model(ids, labels=ids).loss.backward()
        optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model.eval()


def test_windows_with_stride_equal_one_long_window_within_one_percent(trained):
    """Bits per byte of texts that fit into the context, in one piece or in overlapping ones."""
    texts = [make_text(np.random.default_rng(1 + i), CONTEXT) for i in range(10)]

    def bits(length, stride):
        results = [evaluate_causal(trained, text, length, stride, total_bytes=96) for text in texts]
        assert all(result["tokens"] == CONTEXT - 1 for result in results)
        return np.mean([result["bits_per_byte"] for result in results])

    whole = bits(CONTEXT, CONTEXT - 1)  # one window
    assert whole < 0.6 * math.log2(V)  # it has learned something
    for length, stride in ((48, 8), (64, 16), (80, 40)):
        assert bits(length, stride) == pytest.approx(whole, rel=0.01)
    # Windows of three tokens cut the context off, and that shows.
    assert bits(3, 2) > 1.3 * whole


def test_the_default_is_the_context_and_half_of_it(trained):
    text = make_text(np.random.default_rng(2), 700)
    assert evaluate_causal(trained, text) == evaluate_causal(trained, text, CONTEXT, CONTEXT // 2)


def test_an_untrained_model_needs_ln_v_and_is_left_as_it_was(device):
    model = make_model(n_positions=16, resid_pdrop=0.5).to(device).train()
    ids = np.random.default_rng(0).integers(0, V, 100)
    first, second = (evaluate_causal(model, ids, total_bytes=200) for _ in range(2))
    assert first == second and model.training  # no dropout while it is measured
    assert first["loss"] == pytest.approx(math.log(V), abs=0.1)
    assert first["bits_per_byte"] == pytest.approx(99 * first["loss"] / math.log(2) / 200)


def test_what_does_not_fit_is_refused(device):
    model = make_model(n_positions=16).to(device)
    with pytest.raises(ValueError, match="length=17: the model has only 16 positions"):
        evaluate_causal(model, np.zeros(40, int), length=17)
    with pytest.raises(ValueError, match="stride=16"):
        evaluate_causal(model, np.zeros(40, int), stride=16)
    with pytest.raises(ValueError, match="1 tokens"):
        evaluate_causal(model, np.zeros(1, int))


def test_measures_of_a_fair_coin():
    """100 throws of a coin are 100 bits: two sides, and in 50 bytes two bits each."""
    result = causal_measures(100 * math.log(2), 100, total_bytes=50)
    assert result["loss"] == pytest.approx(math.log(2)) and result["tokens"] == 100
    assert result["perplexity"] == pytest.approx(2)
    assert result["bits_per_byte"] == pytest.approx(2)
