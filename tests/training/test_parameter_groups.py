"""Who decays, who learns more slowly, and who doesn't learn at all."""

import numpy as np
import pytest
from toy_run import make_model, make_trainer

from minillm.models import BertConfig, BertForPreTraining
from minillm.models.bert_classifier import BertForSequenceClassification
from minillm.training import layerwise_groups, parameter_groups


def weights(model) -> dict[str, np.ndarray]:
    return {name: p.numpy().copy() for name, p in model.named_parameters()}


def names_in(model, group) -> set[str]:
    names = {id(p): name for name, p in model.named_parameters()}
    return {names[id(p)] for p in group["params"]}


def small_bert(layers: int = 3) -> BertForSequenceClassification:
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=30,
            hidden_size=8,
            num_hidden_layers=layers,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=12,
            id2label={0: "negative", 1: "positive"},
        )
    )


DEPTH = {"embedding": 0, "hidden": 1, "norm": 1, "output": 2}


def depth_in_toy(name: str) -> int:
    return DEPTH[name.partition(".")[0]]


def test_only_matrices_decay(device):
    model = make_model().to(device)
    decayed, others = parameter_groups(model, 0.3)
    assert names_in(model, decayed) == {"embedding.weight", "hidden.weight", "output.weight"}
    assert names_in(model, others) == {"hidden.bias", "norm.weight", "norm.bias", "output.bias"}
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.3, 0.0)


def test_the_rates_of_a_bert(device):
    """Three layers: the head 1, then 0.5, 0.25, 0.125 downwards, the embeddings 0.5^4."""
    model = small_bert().to(device)
    scale = {}
    for group in layerwise_groups(model, 0.1, 0.5):
        for name in names_in(model, group):
            assert name not in scale
            scale[name] = group["lr_scale"]
            matrix = dict(model.named_parameters())[name].ndim >= 2
            assert group["weight_decay"] == (0.1 if matrix else 0.0)
    assert scale.keys() == dict(model.named_parameters()).keys()
    for name, value in scale.items():
        beginnings = {
            "bert.embeddings.": 0.5**4,
            "bert.layers.0.": 0.5**3,
            "bert.layers.1.": 0.5**2,
            "bert.layers.2.": 0.5,
            "bert.pooler.": 1.0,
            "classifier.": 1.0,
        }
        (expected,) = (s for beginning, s in beginnings.items() if name.startswith(beginning))
        assert value == expected, name


def test_frozen_parameters_are_in_no_group_and_change_no_rate(device):
    model = small_bert().to(device)
    rates = {n: g["lr_scale"] for g in layerwise_groups(model, 0, 0.9) for n in names_in(model, g)}
    model.classifier.requires_grad_(False)
    model.bert.pooler.requires_grad_(False)
    model.bert.embeddings.requires_grad_(False)
    groups = layerwise_groups(model, 0, 0.9)
    left = {n: g["lr_scale"] for g in groups for n in names_in(model, g)}
    assert left == {n: rate for n, rate in rates.items() if n.startswith("bert.layers.")}
    assert all(group["params"] for group in groups)
    in_plain_groups = [names_in(model, group) for group in parameter_groups(model, 0)]
    assert set.union(*in_plain_groups) == left.keys()


def test_a_step_of_a_layer_is_the_plain_step_times_its_scale(device):
    """With SGD and no decay: theta - before = -scale * rate * gradient."""

    def change(**settings):
        model = make_model(dropout=0)
        before = weights(model)
        trainer = make_trainer(
            model,
            optimizer="sgd",
            weight_decay=0.0,
            steps=1,
            warmup_steps=0,
            learning_rate=0.5,
            device=device,
            **settings,
        )
        trainer.run()
        return {name: value - before[name] for name, value in weights(model).items()}

    plain = change()
    layered = change(parameter_groups=lambda model: layerwise_groups(model, 0, 0.5, depth_in_toy))
    for name, value in layered.items():
        scale = 0.5 ** (2 - depth_in_toy(name))
        np.testing.assert_allclose(value, plain[name] * scale, rtol=1e-3, atol=1e-6, err_msg=name)
        assert np.abs(value).max() > 0


def test_decay_1_is_the_plain_run(device):
    plain, layered = make_model(), make_model()
    make_trainer(plain, weight_decay=0.3, device=device).run()
    make_trainer(
        layered,
        parameter_groups=lambda model: layerwise_groups(model, 0.3, 1.0, depth_in_toy),
        device=device,
    ).run()
    for name, value in weights(plain).items():
        np.testing.assert_array_equal(value, weights(layered)[name])


# ------------------------------------------------------------------------------------ freezing


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("threads", [1, 2])
def test_frozen_parameters_stay_as_they_are(device, optimizer, threads):
    if device == "cuda" and threads > 1:
        pytest.skip("threads share micro batches on the CPU only")
    model = make_model()
    model.embedding.requires_grad_(False)
    model.norm.requires_grad_(False)
    before = weights(model)
    trainer = make_trainer(
        model,
        optimizer=optimizer,
        weight_decay=0.5,
        accumulate=2,
        threads=threads,
        device=device,
    )
    trainer.run()
    for name, value in weights(model).items():
        frozen = name.startswith(("embedding", "norm"))
        assert np.array_equal(value, before[name]) == frozen, name
    assert model.embedding.weight.grad is None


def test_a_frozen_layer_has_no_part_in_the_gradient_norm(device):
    """The norm of what is left: the gradients that a run without freezing finds there."""
    free = make_trainer(make_model(dropout=0), steps=1, warmup_steps=0, clip_norm=None)
    free.run()
    left = [p.grad for n, p in free.model.named_parameters() if not n.startswith("embedding")]
    model = make_model(dropout=0)
    model.embedding.requires_grad_(False)
    record = make_trainer(model, steps=1, warmup_steps=0, clip_norm=None, device=device).run()[0]
    expected = np.sqrt(sum(float((g**2).sum()) for g in left))
    np.testing.assert_allclose(record["gradient_norm"], expected, rtol=1e-4)


def test_what_is_thawed_learns_in_the_next_run(device):
    model = make_model()
    model.embedding.requires_grad_(False)
    before = weights(model)["embedding.weight"]
    make_trainer(model, device=device).run()
    model.requires_grad_()
    make_trainer(model, device=device).run()
    assert not np.array_equal(weights(model)["embedding.weight"], before)


# -------------------------------------------------------------------------------------- errors


def test_an_entirely_frozen_model_is_refused(device):
    model = make_model()
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="all parameters of the model are frozen"):
        make_trainer(model, device=device).run()


@pytest.mark.parametrize(
    "groups, message",
    [
        (lambda m: [{"params": m.output.parameters()}], "embedding.weight is in no group"),
        (lambda m: [{"params": m.parameters(), "lr": 0.1}], "lr=0.1.*lr_scale"),
        (lambda m: [{"params": m.parameters(), "lr_scale": -1}], "lr_scale=-1"),
        (lambda m: [{"params": m.parameters(), "lr_scale": float("nan")}], "lr_scale=nan"),
        (lambda m: [{"params": m.parameters(), "decay": 1}], "no option decay"),
        (lambda m: [{"params": m.parameters()}, {"params": m.output.parameters()}], "given before"),
    ],
)
def test_groups_that_can_not_be_right(device, groups, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(parameter_groups=groups, device=device).run()


@pytest.mark.parametrize("decay", [0.0, -0.5, 1.01, float("nan")])
def test_a_decay_outside_its_range(decay):
    with pytest.raises(ValueError, match="decay="):
        layerwise_groups(small_bert(), 0, decay)


def test_a_model_that_does_not_know_its_depth():
    model = BertForPreTraining(
        BertConfig.from_size("tiny", vocab_size=20, hidden_size=8, intermediate_size=16)
    )
    with pytest.raises(ValueError, match="BertForPreTraining has no method layer_of.*layer_of="):
        layerwise_groups(model, 0, 0.9)
