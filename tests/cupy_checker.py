"""Reads minillm's source for what would fail on a GPU only: no GPU needed, and no CuPy.

`check(source)` walks the syntax tree and returns what it finds wrong:

name       a function or attribute that CuPy doesn't have
argument   a keyword that CuPy's function or method doesn't take, or too many arguments
dtype      a literal dtype that no array of CuPy can have
transfer   a NumPy function of a device array, an operation between NumPy and device arrays, one
           as index of the other, a NumPy array as argument of CuPy

What CuPy has stands in fixtures/cupy_names.txt.  The check follows names, not values, so it asks
too much rather than too little: every method call is checked as an array's if NumPy's arrays have
a method of that name and the object isn't seen to be something else.

An array counts as one of the device where it is the argument of `array_module`, of a
`@differentiable` or `@fuse` function or its `backward`, the `.data` or `.grad` of something, or
computed from such arrays or by a function of xp.
"""

import ast
import builtins
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

NAMES_FILE = Path(__file__).parent / "fixtures" / "cupy_names.txt"

# NumPy functions that take what an array tells without its values: shapes and dtypes.
METADATA = {"finfo", "iinfo", "dtype", "broadcast_shapes", "prod", "can_cast", "result_type"}
METADATA |= {"issubdtype", "errstate", "isscalar", "promote_types", "array2string"}
# Methods and functions whose result is on the host (the transfer that somebody wrote).
TO_HOST = {"item", "tolist", "numpy", "to_numpy", "asnumpy", "get"}
# What remains a device array: arithmetic, methods, and these attributes.
ARRAY_ATTRIBUTES = {"T", "mT", "real", "imag", "flat"}
ARRAY_METHODS = {
    name: None
    for name in dir(np.ndarray)
    if not name.startswith("_") and callable(getattr(np.ndarray, name))
}
# ufunc methods that work for these ufuncs alone (see fixtures/cupy_names.py).  `add.reduceat` does,
# too, but subtracts sums over everything before: nothing is exact behind many rows.
UFUNC_METHODS = {"reduce": ("add", "multiply"), "accumulate": ("add", "multiply"), "reduceat": ()}


def read_names(path: Path = NAMES_FILE) -> dict[str, list[str]]:
    """name -> [kind, parameter names ...], as fixtures/cupy_names.py wrote them."""
    return parse_names(path.read_text(encoding="utf-8").splitlines())


def parse_names(lines) -> dict[str, list[str]]:
    return {words[0]: words[1:] for words in map(str.split, lines) if words[0] != "#"}


@dataclass
class Finding:
    kind: str
    line: int
    message: str


@dataclass
class Report:
    """What was found wrong, and what was checked: {"name": {"exp", ...}, ...}, and how often."""

    findings: list[Finding] = field(default_factory=list)
    checked: dict[str, Counter] = field(
        default_factory=lambda: {k: Counter() for k in ("name", "method", "argument", "dtype")}
    )
    transfers: int = 0  # expressions looked at for an implicit transfer

    def complain(self, kind, node, message):
        self.findings.append(Finding(kind, node.lineno, f"line {node.lineno}: {message}"))


def check(source: str, names: dict[str, list[str]] | None = None) -> Report:
    """Check one file's source; `names` as `read_names()` returns them."""
    tree = ast.parse(source)
    report = Report()
    names = read_names() if names is None else names
    _Names(names, report).visit(tree)
    _Transfers(report).functions_in(tree, {})
    report.findings.sort(key=lambda finding: finding.line)
    return report


def library_name(node) -> str | None:
    """`exp` for xp.exp, device.xp.exp, array_module(x).exp, cupy.exp; `cupyx.rsqrt` for
    cupyx.rsqrt; None for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.insert(0, node.id)
    elif isinstance(node, ast.Call) and getattr(node.func, "id", None) == "array_module":
        parts.insert(0, "xp")
    if "xp" in parts[:-1]:
        return ".".join(parts[parts.index("xp") + 1 :])
    if isinstance(node, ast.Name) and len(parts) > 1 and parts[0] in ("cupy", "cupyx"):
        return ".".join(parts[1:] if parts[0] == "cupy" else parts)
    return None


def _is_numpy(node) -> bool:
    """Whether node is np.something(...)."""
    return isinstance(node, ast.Call) and _numpy_name(node.func) is not None


def _numpy_name(node) -> str | None:
    if isinstance(node, ast.Attribute):
        if isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy"):
            return node.attr
        inner = _numpy_name(node.value)
        return None if inner is None else f"{inner}.{node.attr}"
    return None


class _Names(ast.NodeVisitor):
    """Names, arguments and literal dtypes."""

    def __init__(self, names, report):
        self.names, self.report = names, report
        self.modules: set[str] = set()  # names of imported modules: json.dumps is no array's

    def visit_Import(self, node):
        self.modules |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}

    def visit_ImportFrom(self, node):
        if (node.module or "").split(".")[0] in ("cupy", "cupyx"):
            prefix = node.module.removeprefix("cupy").lstrip(".")
            prefix = node.module if node.module.startswith("cupyx") else prefix
            for alias in node.names:
                self.exists(f"{prefix}.{alias.name}".lstrip("."), node)

    def visit_Attribute(self, node):
        name = library_name(node)
        if name is None:
            self.generic_visit(node)
        else:
            self.exists(name, node)

    def exists(self, name, node) -> None:
        self.report.checked["name"][name] += 1
        head, _, method = name.rpartition(".")
        described = self.names.get(head)
        if described and described[0] == "ufunc":
            number = self.names.get(f"ufunc.{method}") is not None
            number &= method != "at" or "at" in described
            if not number or head not in UFUNC_METHODS.get(method, (head,)):
                self.report.complain("name", node, f"CuPy's {head} has no (exact) {method}")
        elif name not in self.names and not (described and described[0] in ("constant", "type")):
            self.report.complain("name", node, f"CuPy has no {name}")

    def visit_Call(self, node):
        self.generic_visit(node)
        name = library_name(node.func)
        if name is not None:
            self.check_arguments(name, self.parameters_of(name), node)
        elif isinstance(node.func, ast.Attribute) and node.func.attr in ARRAY_METHODS:
            of_module = isinstance(node.func.value, ast.Name) and node.func.value.id in self.modules
            of_list = any(keyword.arg == "key" for keyword in node.keywords)  # rows.sort(key=...)
            if not (of_module or of_list or _no_array(node.func.value)):
                self.check_method(node)

    def check_method(self, node):
        name = f"ndarray.{node.func.attr}"
        self.report.checked["method"][node.func.attr] += 1
        if name not in self.names:
            self.report.complain("name", node, f"CuPy's arrays have no method {node.func.attr}")
        else:
            self.check_arguments(name, self.names[name][1:], node)

    def parameters_of(self, name) -> list[str]:
        head, _, method = name.rpartition(".")
        if head in self.names and self.names[head][0] == "ufunc":
            return self.names.get(f"ufunc.{method}", ["", "?"])[1:]
        kind, *parameters = self.names.get(name, ["unknown"])
        if kind == "ufunc":
            return self.names["ufunc.__call__"][1:]
        return parameters if kind == "function" else ["?"]

    def check_arguments(self, name, parameters, node):
        given = [None if isinstance(a, ast.Starred) else a for a in node.args]
        for keyword in node.keywords:
            if keyword.arg is None or "?" in parameters:
                continue
            self.report.checked["argument"][f"{name}({keyword.arg}=)"] += 1
            if keyword.arg not in parameters and not any(p.startswith("**") for p in parameters):
                self.report.complain("argument", node, f"CuPy's {name} takes no {keyword.arg}=")
        kind, *numbers = self.names.get(name, ["unknown"])
        most = int(numbers[1]) if kind == "ufunc" else len(parameters)
        open_ended = kind != "ufunc" and any(p.startswith(("*", "?")) for p in parameters)
        if None not in given and not open_ended and len(given) > most:
            self.report.complain("argument", node, f"CuPy's {name} takes {most} arguments")
        for parameter, value in zip(parameters, node.args, strict=False):
            if parameter == "dtype" or name == "ndarray.view":
                self.check_dtype(value)
        for keyword in node.keywords:
            if keyword.arg == "dtype":
                self.check_dtype(keyword.value)

    def check_dtype(self, node) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            word = node.value
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id not in ("np", "numpy", "xp", "cupy", "minillm"):
                return
            word = node.attr
        elif isinstance(node, ast.Name) and node.id in ("bool", "int", "float", "complex"):
            word = node.id
        elif isinstance(node, ast.Name) and node.id in ("object", "str", "bytes"):
            word = node.id
        else:
            return  # such as x.dtype: what an array of the device has
        self.report.checked["dtype"][word] += 1
        try:
            wanted = np.dtype(getattr(builtins, word, None) or getattr(np, word, word)).name
        except TypeError:
            wanted = word
        if wanted not in self.names["dtypes"][1:]:
            self.report.complain("dtype", node, f"CuPy has no dtype {wanted}")


def _no_array(node) -> bool:
    """Whether the object of a method call can be seen to be no device array."""
    if isinstance(node, ast.Constant | ast.JoinedStr | ast.List | ast.Dict | ast.Set):
        return True
    if isinstance(node, ast.ListComp | ast.DictComp | ast.SetComp | ast.GeneratorExp | ast.Tuple):
        return True
    if isinstance(node, ast.Call):
        function = node.func
        if isinstance(function, ast.Name) and function.id in dir(builtins):
            return function.id not in ("abs", "sum", "max", "min", "next")
        if isinstance(function, ast.Attribute) and function.attr in TO_HOST:
            return True
    return _is_numpy(node) or _numpy_name(node) is not None


class _Transfers:
    """Follows device arrays (D) and NumPy arrays (H) through each function, name by name."""

    def __init__(self, report):
        self.report = report
        self.reported: set[int] = set()
        self.learning = False

    def functions_in(self, node, kinds):
        """Check every function below `node`; `kinds` of the names around it."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.Lambda):
                self.function(child, kinds)
            else:
                self.functions_in(child, kinds)

    def function(self, node, outer):
        kinds = {**outer, **dict.fromkeys(_parameters(node))}
        kinds["device arrays"] = _device_arrays(node)
        for name in kinds["device arrays"]:
            kinds[name] = "D"
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        for statement in body:
            self.statement(statement, kinds)
        for statement in body:
            self.functions_in(statement, kinds)
            if isinstance(statement, ast.FunctionDef):
                self.function(statement, kinds)

    # ------------------------------------------------------------------------------- statements

    def statement(self, node, kinds):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            return
        if isinstance(node, ast.expr):
            self.kind(node, kinds)
        elif isinstance(node, ast.Assign):
            kind = self.kind(node.value, kinds)
            for target in node.targets:
                self.assign(target, kind, kinds, node)
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            self.assign(node.target, self.kind(node.value, kinds), kinds, node)
        elif isinstance(node, ast.AugAssign):
            self.mixed(node, self.kind(node.target, kinds), self.kind(node.value, kinds))
        elif isinstance(node, ast.For | ast.While):
            was_learning, self.learning = self.learning, True
            self.loop(node, learned := dict(kinds))  # later lines feed the earlier ones
            self.learning = was_learning
            for name in {*learned} - {"device arrays"}:
                kinds[name] = _join(learned.get(name), kinds.get(name))
            self.loop(node, kinds)
        elif isinstance(node, ast.If):
            self.kind(node.test, kinds)
            told = _told_by(node.test)
            taken, other = kinds | told, dict(kinds)
            for branch, known in ((node.body, taken), (node.orelse, other)):
                for inner in branch:
                    self.statement(inner, known)
            for name in {*taken, *other} - {"device arrays", *told}:
                kinds[name] = _join(taken.get(name), other.get(name), kinds.get(name))
        elif isinstance(node, ast.Try):
            for inner in (*node.body, *node.orelse, *node.finalbody):
                self.statement(inner, kinds)
            for handler in node.handlers:  # device_of(x) refused x: it is no array
                known = {name: None for name in kinds} | {"device arrays": ()}
                for inner in handler.body:
                    self.statement(inner, known)
        else:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self.kind(child, kinds)
                elif isinstance(child, ast.withitem):
                    self.kind(child.context_expr, kinds)
                else:
                    self.statement(child, kinds)

    def loop(self, node, kinds):
        if isinstance(node, ast.While):
            self.kind(node.test, kinds)
        else:
            self.assign(node.target, self.kind(node.iter, kinds), kinds, node)
            for name in {n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)}:
                if name in kinds["device arrays"]:
                    kinds[name] = "D"
        for inner in (*node.body, *node.orelse):
            self.statement(inner, kinds)

    def assign(self, target, kind, kinds, node):
        if isinstance(target, ast.Name):
            if kind is not None:
                kinds[target.id] = kind
        elif isinstance(target, ast.Tuple | ast.List):
            for part in target.elts:
                self.assign(part, kind, kinds, node)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, kind, kinds, node)
        elif isinstance(target, ast.Subscript):
            self.mixed(node, self.kind(target, kinds), kind)

    # ------------------------------------------------------------------------------ expressions

    def kind(self, node, kinds):
        """ "D", "H" or None (a number, a string, anything else)."""
        self.report.transfers += not self.learning
        match node:
            case ast.Name():
                return kinds.get(node.id)
            case ast.Attribute():
                inner = self.kind(node.value, kinds)
                if node.attr in ("data", "grad") and inner is None:
                    return "D"
                return inner if node.attr in ARRAY_ATTRIBUTES else None
            case ast.Call():
                return self.call(node, kinds)
            case ast.BinOp():
                left, right = self.kind(node.left, kinds), self.kind(node.right, kinds)
                self.mixed(node, left, right)
                return _join(left, right)
            case ast.Compare():
                sides = [self.kind(part, kinds) for part in (node.left, *node.comparators)]
                if any(isinstance(o, ast.Is | ast.IsNot | ast.In | ast.NotIn) for o in node.ops):
                    return None
                self.mixed(node, *sides)
                return _join(*sides)
            case ast.Subscript():
                value, index = self.kind(node.value, kinds), self.kind(node.slice, kinds)
                self.mixed(node, value, index)
                return value
            case ast.Tuple() | ast.List() | ast.Set():
                return _join(*(self.kind(part, kinds) for part in node.elts))
            case ast.ListComp() | ast.GeneratorExp() | ast.SetComp():
                inside = dict(kinds)
                for generator in node.generators:
                    self.assign(
                        generator.target, self.kind(generator.iter, inside), inside, generator
                    )
                return self.kind(node.elt, inside)
            case ast.IfExp():
                self.kind(node.test, kinds)
                return _join(self.kind(node.body, kinds), self.kind(node.orelse, kinds))
            case ast.Lambda():
                return None
        return _join(*(self.kind(c, kinds) for c in ast.iter_child_nodes(node) if _is_expr(c)))

    def call(self, node, kinds):
        function = node.func
        values = [*node.args, *(keyword.value for keyword in node.keywords)]
        given = [self.kind(value, kinds) for value in values]
        numpy_name, library = _numpy_name(function), library_name(function)
        if numpy_name is not None:
            if "D" in given and numpy_name.split(".")[0] not in METADATA:
                self.complain(node, f"np.{numpy_name} of an array of the device")
            return None if numpy_name.split(".")[0] in METADATA else "H"
        if library is not None:
            if "H" in given and library not in ("asarray", "array"):
                self.complain(node, f"a NumPy array is an argument of CuPy's {library}")
            return "D"
        if isinstance(function, ast.Attribute):
            if function.attr in TO_HOST:
                self.kind(function.value, kinds)
                return None if function.attr in ("item", "get") else "H"
            inner = self.kind(function.value, kinds)
            if inner is not None and function.attr in ARRAY_METHODS:
                self.mixed(node, inner, *given)
                return inner
            return "D" if "D" in given and function.attr != "append" else None
        if isinstance(function, ast.Name) and function.id in dir(builtins):
            keeps = ("list", "tuple", "reversed", "zip", "map", "enumerate", "sum", "max", "min")
            return _join(*given) if function.id in (*keeps, "abs") else None
        return "D" if "D" in given else None

    def mixed(self, node, *sides):
        if "D" in sides and "H" in sides:
            self.complain(node, "a NumPy array meets one of the device: " + ast.unparse(node)[:60])

    def complain(self, node, message):
        if not self.learning and id(node) not in self.reported:
            self.reported.add(id(node))
            self.report.complain("transfer", node, message)


def _is_expr(node) -> bool:
    return isinstance(node, ast.expr)


def _join(*kinds):
    return "D" if "D" in kinds else "H" if "H" in kinds else None


def _parameters(node) -> list[str]:
    arguments = node.args
    return [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def _told_by(test) -> dict:
    """What `isinstance(x, np.generic)` tells of x where it holds: H for NumPy's own, else None."""
    if isinstance(test, ast.Call) and getattr(test.func, "id", None) == "isinstance":
        if isinstance(test.args[0], ast.Name) and "Tensor" not in ast.unparse(test.args[1]):
            return {test.args[0].id: "H" if _numpy_name(test.args[1]) else None}
    return {}


def _device_arrays(node) -> list[str]:
    """The names of a function that stand for arrays of the device."""
    found = []
    decorators = {getattr(d, "id", None) for d in getattr(node, "decorator_list", [])}
    asked = [
        inner
        for inner in ast.walk(node)
        if isinstance(inner, ast.Call)
        and getattr(inner.func, "id", None) in ("array_module", "device_of")
    ]
    found += [a.id for call in asked for a in call.args if isinstance(a, ast.Name)]
    name, parameters = getattr(node, "name", ""), _parameters(node)
    if {"differentiable", "fuse"} & decorators or "backward" in name or "xp" in parameters:
        defaults = [None] * (len(node.args.args) - len(node.args.defaults)) + node.args.defaults
        for argument, default in zip(node.args.args, defaults, strict=True):
            plain = default is None or (isinstance(default, ast.Constant) and default.value is None)
            if plain and argument.arg not in ("self", "xp"):
                found.append(argument.arg)
    return found
