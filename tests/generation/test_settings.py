"""Bad prompts and settings are named before the model has done any work."""

import warnings

import numpy as np
import pytest
from fake_decoders import Bytes, Markov, Weighing, peaked

from minillm.generation import generate


@pytest.mark.parametrize(
    ("prompts", "settings", "error", "message"),
    [
        ([[1] * 17], {}, ValueError, "prompt 0 has 17 tokens.*context of 16 positions"),
        ([[]], {}, ValueError, "prompt 0 is empty .*: give at least one token"),
        ([[1], []], {}, ValueError, "prompt 1 is empty"),
        ([], {}, ValueError, "holds no prompt|one axis"),
        (np.zeros((0, 3), int), {}, ValueError, "holds no prompt"),
        ([1, 2], {}, ValueError, r"one axis.*\[ids\]"),
        (np.zeros((1, 2, 3), int), {}, ValueError, r"\(1, 2, 3\): expected \(batch, length\)"),
        ([[1, 11]], {}, IndexError, "prompt 0 has id 11 at token 1.*0 to 10"),
        ([[1], [2, -1]], {}, IndexError, "prompt 1 has id -1"),
        ([[1.0, 2.0]], {}, TypeError, "integer token ids, got float64"),
        ([["a"]], {}, TypeError, "integer token ids"),
        ([[1, 2]], {"attention_mask": [[1]]}, ValueError, r"attention_mask \(1, 1\).*\(1, 2\)"),
        ([[1, 2]], {"attention_mask": [[0, 0]]}, ValueError, "prompt 0 is empty .*padding only"),
        ([[3, 3]], {"pad_token_id": 3}, ValueError, "prompt 0 is empty .*padding only"),
        ([[1], [1, 2]], {"attention_mask": [[1, 1], [1, 1]]}, ValueError, "leave attention_mask"),
        ([[1]], {"max_new_tokens": 0}, ValueError, "max_new_tokens=0"),
        ([[1]], {"max_new_tokens": 2.5}, ValueError, "max_new_tokens=2.5"),
        ([[1]], {"num_beams": 0}, ValueError, "num_beams=0"),
        ([[1]], {"do_sample": True, "temperature": -0.5}, ValueError, "temperature=-0.5"),
        ([[1]], {"do_sample": True, "temperature": 0.0}, ValueError, "temperature=0.0.*do_sample"),
        ([[1]], {"do_sample": True, "temperature": np.inf}, ValueError, "temperature=inf"),
        ([[1]], {"num_beams": 2, "length_penalty": np.nan}, ValueError, "length_penalty=nan"),
        ([[1]], {"temperature": "hot"}, TypeError, "temperature='hot'"),
        ([[1]], {"repetition_penalty": None}, TypeError, "repetition_penalty=None"),
        ([[1]], {"do_sample": True, "top_p": 0}, ValueError, r"top_p=0.*\(0, 1\]"),
        ([[1]], {"do_sample": True, "top_p": 1.2}, ValueError, "top_p=1.2"),
        ([[1]], {"do_sample": True, "top_k": -1}, ValueError, "top_k=-1"),
        ([[1]], {"do_sample": True, "min_p": 2}, ValueError, "min_p=2"),
        ([[1]], {"repetition_penalty": 0}, ValueError, "repetition_penalty=0"),
        ([[1]], {"num_beams": 2, "early_stopping": "soon"}, ValueError, "early_stopping='soon'"),
        ([[1]], {"eos_token_id": 11}, IndexError, "eos_token_id=11.*0 to 10"),
        ([[1]], {"eos_token_id": "end"}, TypeError, "eos_token_id='end'"),
        ([[1]], {"pad_token_id": "pad"}, TypeError, "pad_token_id='pad'"),
        ([[1]], {"stop_strings": "."}, ValueError, "give tokenizer="),
        ([[1]], {"stop_strings": [""], "tokenizer": Bytes()}, ValueError, "non-empty"),
        ([[1]], {"seed": -1, "do_sample": True}, ValueError, "seed=-1"),
        ([[1]], {"seed": 1.5}, ValueError, "seed=1.5"),
    ],
)
def test_bad_input_is_named_before_any_work(prompts, settings, error, message):
    model = Weighing()
    with pytest.raises(error, match=message):
        generate(model, prompts, **settings)
    assert model.calls == []


def test_words_without_effect_are_said():
    model = Markov(peaked(1, 0))
    for name, value in {"temperature": 0.7, "top_k": 5, "top_p": 0.5, "min_p": 0.1}.items():
        with pytest.warns(UserWarning, match=f"{name}={value} has no effect without do_sample"):
            generate(model, [[0]], **{name: value})
    with pytest.warns(UserWarning, match="length_penalty=2.0 has no effect without num_beams"):
        generate(model, [[0]], length_penalty=2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        generate(model, [[0]], do_sample=True, temperature=0.7, top_k=0, top_p=1.0, num_beams=2)
