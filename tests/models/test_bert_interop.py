"""Folders travel between minillm and transformers both ways; outputs and gradients agree."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from minillm.models import BertConfig, BertForPreTraining, BertModel  # noqa: E402

pytestmark = pytest.mark.interop


def configuration(**changes):
    values = {
        "vocab_size": 40,
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "intermediate_size": 36,
        "max_position_embeddings": 20,
        "initializer_range": 0.2,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    return values | changes


def inputs(seed):
    rng = np.random.default_rng(seed)
    mask = np.ones((3, 12), np.int64)
    mask[2, 7:] = 0
    types = np.broadcast_to((np.arange(12) > 5).astype(np.int64), (3, 12)).copy()
    labels = np.where(rng.random((3, 12)) < 0.3, rng.integers(0, 40, (3, 12)), -100)
    return {
        "input_ids": rng.integers(0, 40, (3, 12)),
        "token_type_ids": types,
        "attention_mask": mask,
        "labels": labels,
        "next_sentence_label": np.array([0, 1, 0]),
    }


def as_torch(arrays):
    return {name: torch.tensor(array) for name, array in arrays.items()}


@pytest.mark.parametrize("hidden_act", ["gelu", "gelu_new", "relu"])
def test_transformers_opens_what_we_save(tmp_path, hidden_act):
    ours = BertForPreTraining(BertConfig(**configuration(hidden_act=hidden_act))).eval()
    ours.save_pretrained(tmp_path)
    theirs, loading = transformers.BertForPreTraining.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    arrays = inputs(0)
    del arrays["labels"], arrays["next_sentence_label"]
    with torch.no_grad():
        expected = theirs.eval()(**as_torch(arrays))
    mine = ours(**arrays)
    np.testing.assert_allclose(
        mine.prediction_logits.numpy(), expected.prediction_logits.numpy(), atol=1e-5
    )
    np.testing.assert_allclose(
        mine.seq_relationship_logits.numpy(), expected.seq_relationship_logits.numpy(), atol=1e-5
    )


def test_we_open_what_transformers_saves_with_equal_loss_and_gradients(tmp_path):
    torch.manual_seed(0)
    theirs = transformers.BertForPreTraining(transformers.BertConfig(**configuration()))
    theirs.save_pretrained(tmp_path)
    ours = BertForPreTraining.from_pretrained(tmp_path).to(np.float64)
    theirs = theirs.double().eval()
    expected = theirs(**as_torch(inputs(1)))
    expected.loss.backward()
    mine = ours(**inputs(1))
    mine.loss.backward()
    assert mine.loss.item() == pytest.approx(expected.loss.item(), rel=1e-10)
    theirs_by_name = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        names = ours.hugging_face_names(ours.config)[name]
        names = names if isinstance(names, tuple) else (names,)
        gradient = np.concatenate([theirs_by_name[n].grad.numpy() for n in names])
        np.testing.assert_allclose(parameter.grad, gradient, rtol=1e-7, atol=1e-10, err_msg=name)


def test_encoder_and_attentions(tmp_path):
    torch.manual_seed(1)
    theirs = transformers.BertModel(
        transformers.BertConfig(**configuration(), attn_implementation="eager")
    ).eval()
    theirs.save_pretrained(tmp_path)
    ours = BertModel.from_pretrained(tmp_path)
    arrays = {n: a for n, a in inputs(2).items() if "label" not in n}
    with torch.no_grad():
        expected = theirs(**as_torch(arrays), output_attentions=True)
    mine = ours(**arrays, output_attentions=True)
    np.testing.assert_allclose(
        mine.last_hidden_state.numpy(), expected.last_hidden_state.numpy(), atol=1e-5
    )
    np.testing.assert_allclose(
        mine.pooler_output.numpy(), expected.pooler_output.numpy(), atol=1e-5
    )
    for a, b in zip(mine.attentions, expected.attentions, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)


def test_published_sizes_have_the_published_parameter_counts():
    theirs = transformers.BertModel(
        transformers.BertConfig(
            num_hidden_layers=2, hidden_size=128, num_attention_heads=2, intermediate_size=512
        )
    )
    ours = BertModel(BertConfig.from_size("tiny"))
    assert ours.num_parameters() == sum(p.numel() for p in theirs.parameters())
