"""The folder that lesson 05 leaves with --model gpt opens in transformers."""

import numpy as np
import pytest
from run_lesson import run_lesson

from minillm.models import GPTForCausalLM
from minillm.text import open_tokenizer

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")
pytestmark = pytest.mark.interop


@pytest.mark.parametrize("kind", ["bpe", "characters"])
def test_transformers_opens_the_folder(tmp_path, kind):
    rng = np.random.default_rng(0)
    words = "The a young film story actor wasn't bad at all, scene plays café 电影 sings".split()
    path = tmp_path / "corpus.txt"
    documents = [" ".join(rng.choice(words, 60)) for _ in range(100)]
    path.write_text("\n\n".join(documents), encoding="utf-8")
    result = run_lesson(
        *("05_pretrain", "--model", "gpt", "--tokenizer", kind, "--quick", "--steps", 10),
        *("--batch-size", 2, "--data", path, "--out", tmp_path / "out"),
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "out" / "model"
    their_tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json")
    )
    ids = open_tokenizer(folder).encode_ids("The café wasn't bad, 电影 at all")
    assert their_tokenizer("The café wasn't bad, 电影 at all")["input_ids"] == ids
    if kind == "bpe":
        automatic = transformers.AutoTokenizer.from_pretrained(folder)
        assert automatic("The café wasn't bad, 电影 at all")["input_ids"] == ids
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    ours = GPTForCausalLM.from_pretrained(folder)(np.array([ids])).logits.numpy()
    with torch.no_grad():
        logits = theirs(torch.tensor([ids])).logits.numpy()
    np.testing.assert_allclose(logits, ours, rtol=1e-4, atol=1e-4)
