"""minillm.profile(): what it counts, that it changes nothing, and that it is off afterwards."""

import threading

import numpy as np
import pytest

import minillm
from minillm import functional as F
from minillm import nn, optim, profiler


@pytest.fixture
def network(device):
    minillm.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).to(device)
    x = minillm.tensor(np.random.default_rng(0).normal(size=(4, 5)), device=device).to("float32")
    target = minillm.tensor(np.array([0, 2, 1, 0]), device=device)
    updater = optim.AdamW(model.parameters(), lr=0.1)
    return model, x, target, updater


def step(network):
    model, x, target, updater = network
    updater.zero_grad()
    loss = F.cross_entropy(model(x), target)
    loss.backward()
    gradients = [p.grad for p in model.parameters()]
    updater.step()
    return loss.item(), gradients


def test_every_function_is_counted_forward_and_backward(network):
    with minillm.profile() as profile:
        step(network)
        step(network)
    rows = {row.name: row for row in profile.rows}
    assert {name: row.calls for name, row in rows.items()} == {
        "linear": 4,
        "linear backward": 4,
        "tanh": 2,
        "tanh backward": 2,
        "cross_entropy": 2,
        "cross_entropy backward": 2,
        "AdamW.update": 8,
    }
    # 4 rows: (5 -> 7) and (7 -> 3), a multiplication and an addition each; twice as much backward.
    assert rows["linear"].flops == 2 * 2 * 4 * (5 * 7 + 7 * 3)
    assert rows["linear backward"].flops == 2 * rows["linear"].flops
    assert rows["tanh"].flops == 0
    assert rows["tanh"].bytes == 2 * 2 * 4 * (4 * 7)  # in and out, float32, two steps
    assert 0 < sum(row.seconds for row in profile.rows) <= profile.seconds
    seconds = [row.seconds for row in profile.rows]
    assert seconds == sorted(seconds, reverse=True)


def test_the_results_are_the_same(network):
    loss, gradients = step(network)
    minillm.manual_seed(0)
    model, x, target, _ = network
    again = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).to(model[0].weight.device)
    with minillm.profile():
        other = step((again, x, target, optim.AdamW(again.parameters(), lr=0.1)))
    assert other[0] == loss
    for a, b in zip(gradients, other[1], strict=True):
        assert (a == b).all()


def test_the_products_of_attention_and_the_lstm_are_counted(device):
    B, L, E, H = 2, 3, 8, 5
    normal = np.random.default_rng(0).normal
    qkv = minillm.tensor(normal(size=(B, L, 3 * E)), device=device, requires_grad=True)
    q, k, v = (minillm.tensor(normal(size=(B, 2, L, 4)), device=device) for _ in range(3))
    lstm = nn.LSTM(E, H).to(device)
    x = minillm.tensor(normal(size=(L, B, E)), device=device).to("float32")
    with minillm.profile() as profile:
        F.multi_head_attention(qkv, 2).sum().backward()
        F.scaled_dot_product_attention(q, k, v)
        lstm(x)
    flops = {row.name: row.flops for row in profile.rows}
    # Two products of L x L x 4 for each head of each sequence.
    assert flops["multi_head_attention"] == 2 * 2 * B * 2 * L * L * 4
    assert flops["multi_head_attention backward"] == 2 * flops["multi_head_attention"]
    assert flops["scaled_dot_product_attention"] == flops["multi_head_attention"]
    assert flops["lstm"] == 2 * L * B * (E + H) * 4 * H


def test_the_table_names_everything(network):
    with minillm.profile() as profile:
        step(network)
    table = str(profile).splitlines()
    assert table[0].split() == ["function", "calls", "ms", "share", "MB", "GB/s", "GFLOP/s"]
    assert {line.split("  ")[0] for line in table[1:-1]} == {
        *(row.name for row in profile.rows),
        "(the rest)",
    }
    assert table[-1].endswith("GFLOP/s")


def test_threads_belong_to_the_profile(network):
    with minillm.profile() as profile:
        threads = [threading.Thread(target=step, args=(network,)) for _ in range(1)]
        for thread in threads:
            thread.start()
            thread.join()
        step(network)
    assert {row.name: row.calls for row in profile.rows}["tanh"] == 2
    assert "on 2 threads" in str(profile)


def test_it_is_off_afterwards_and_not_nested(network):
    with pytest.raises(KeyError):
        with minillm.profile():
            raise KeyError
    assert profiler.active is None
    with minillm.profile() as profile:
        with pytest.raises(RuntimeError, match="one profile at a time"):
            with minillm.profile():
                raise AssertionError("not reached")
        step(network)
    assert profile.rows
    before = [(row.name, row.calls) for row in profile.rows]
    step(network)
    assert [(row.name, row.calls) for row in profile.rows] == before
