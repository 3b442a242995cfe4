"""Nothing that minillm reads is executed: no pickle, no eval, nothing that runs a string."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "minillm").rglob("*.py"))
# Modules whose formats hold code, or that run it.
MODULES = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
MODULES |= {"code", "codeop", "runpy", "yaml", "torch", "xmlrpc"}
BUILTINS = {"eval", "exec", "compile", "__import__", "execfile"}
# numpy.load and .save open pickles; numpy's own formats aren't used here.
ATTRIBUTES = {"np.load", "np.save", "np.savez", "numpy.load", "os.system", "os.popen"}
ATTRIBUTES |= {"builtins.eval", "builtins.exec"}


def findings(source: str) -> list[str]:
    """What in this source would execute, or could read what does."""
    found = []
    tree = ast.parse(source)
    if not _only_names_an_error(tree):
        found.append("pickle")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name.partition(".")[0] for alias in node.names]
            found += [name for name in names if name in MODULES - {"pickle"}]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [node.module] if node.module.partition(".")[0] in MODULES else []
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            found += [name] if name in BUILTINS | ATTRIBUTES else []
            found += [k.arg for k in node.keywords if k.arg in ("allow_pickle", "shell")]
    return found


def _only_names_an_error(tree: ast.AST) -> bool:
    """Of pickle nothing but the error that multiprocessing raises between our own processes."""
    imported = any(
        isinstance(node, ast.Import)
        and any(a.name == "pickle" and not a.asname for a in node.names)
        for node in ast.walk(tree)
    )
    renamed = any(
        isinstance(node, ast.Import) and any(a.name == "pickle" and a.asname for a in node.names)
        for node in ast.walk(tree)
    )
    named = sum(isinstance(n, ast.Name) and n.id == "pickle" for n in ast.walk(tree))
    errors = sum(
        isinstance(n, ast.Attribute) and ast.unparse(n) == "pickle.PicklingError"
        for n in ast.walk(tree)
    )
    return not renamed and (not imported or (named == errors and errors > 0))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_executes(path):
    assert findings(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "planted",
    [
        "import pickle",
        "import pickle as p",
        "import pickle\ntry:\n    pickle.loads(x)\nexcept pickle.PicklingError:\n    f()",
        "from pickle import loads",
        "import torch.serialization",
        "def f(x):\n    return eval(x)",
        "exec(open('config.py').read())",
        "np.load(path)",
        "reader(path, allow_pickle=True)",
        "os.system(name)",
        "subprocess.run(name, shell=True)",
    ],
)
def test_what_would_execute_is_found(planted):
    assert len(findings(planted)) == 1


def test_what_only_sounds_like_it_is_not():
    assert findings("import re\nre.compile('a')\nmodel.eval()\nself.compile(x)\ncode = 3") == []
