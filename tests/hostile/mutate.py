"""Mutations that know the formats: a seed and a random generator -> a folder that no writer made.

A byte that is flipped anywhere seldom gets past the first check.  So most mutations keep a file's
form and change what it says: a value in a JSON tree, an offset in a safetensors header, an id in a
vocabulary.  Where a file is guarded by a digest, the digest is mostly made anew, as somebody with
bad intentions would.
"""

import gzip
import hashlib
import json
import struct
import zlib
from random import Random

from hostile.seeds import Seed

from minillm.training.checkpoint_folder import (
    digest_of_content,  # what an attacker can compute, too
)

# What is no bytes: ("link", where to), ("pipe",), ("folder",), ("zeros", how many), ("gone",)
Content = bytes | tuple

NUMBERS = [
    *(0, -1, 1, 2, 3, 7, 39, 40, 41, 255, 256, 65535, 65536, 10**5, 10**6, 10**9, 10**12, 10**15),
    *(
        2**31 - 1,
        2**31,
        2**32,
        2**53,
        2**63 - 1,
        2**63,
        2**64 - 1,
        2**64,
        10**30,
        -(2**63),
        -(10**18),
    ),
    *(0.0, -0.0, 0.5, 1.0, 1.5, -1.5, 1e-320, 1e308, 1e999, -1e999, float("nan")),
]
TEXTS = [
    *(
        "",
        " ",
        "a",
        "A",
        "é",
        "影",
        "\U0001f600",
        "\ud83d",
        "\udc80",
        "\0",
        "\n",
        "##",
        "Ġ",
        "[UNK]",
    ),
    *("../x", "/etc/passwd", "/dev/zero", "..", ".", "$A", "$B", "null", "true", "1", "-1", "1e9"),
    *("x" * 300, "[" * 200, "F32", "BF16", "F64", "I8", "U64", "BOOL", "O", "<i8", "<u2", "(2)i4"),
    *("gelu", "relu", "bert", "gpt2", "llama", "minillm-cnn", "minillm-ngram", "default", "yarn"),
    *(
        "BPE",
        "WordPiece",
        "Unigram",
        "WordLevel",
        "ByteLevel",
        "Sequence",
        "Split",
        "Fuse",
        "Lowercase",
    ),
    *("TemplateProcessing", "BertProcessing", "BertNormalizer", "BertPreTokenizer", "Whitespace"),
    *("LongestFirst", "OnlySecond", "BatchLongest", "Left", "Right", "head", "windows", "sideways"),
]
PATTERNS = [
    *(r"(a+)+$", r"(a|a)*$", r"(a|aa)+$", r"(.*)*!", r"(?:a*)*b", r"([a-zA-Z]+)*!", r"(\w+\s?)*$"),
    *(r"(x+x+)+y", r"a{1,1000000}b", r"(a{0,1000}){0,1000}b", r"((a{0,99}){0,99}){0,99}b", r"(?R)"),
    *(
        r"(?<=a*)b",
        r"(?<!a{0,9999})b",
        r"(",
        r"[",
        r"a**",
        r"\p{Nonsense}",
        r"(?i",
        r"(a)\1*$",
        r"",
    ),
    *(
        r"^",
        r"$",
        r"\b",
        r"(?=a)",
        r".",
        r"(?s:.)",
        r"\X",
        r"(?:(?:a?){50})(?:a){50}",
        r"(?e)(abc){e}",
    ),
    *(
        r"(?:abc){e<=9}",
        r"\L<words>",
        r"(?P<n>a)(?P<n>b)",
        r"(?(1)a|b)",
        r"(a)(?(1)b|c)",
        r"\N{DIGIT ONE}",
    ),
    *(
        "(" * 500 + "a" + ")" * 500,
        "a?" * 500 + "a" * 500,
        "[a-z]*" * 30 + "!",
        "(?:" * 90 + "a*" + ")*" * 90,
    ),
]


def mutate(seed: Seed, rng: Random) -> dict[str, Content]:
    """The seed's files with one to three mutations."""
    files: dict[str, Content] = dict(seed.files)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if rng.random() < 0.03:
            _change_a_file_itself(files, rng.choice(sorted(files)), rng)
            continue
        name = rng.choice(seed.targets)
        content = files.get(name)
        if isinstance(content, bytes):
            try:
                files[name] = _mutated(name, content, rng)
            except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
                # What was mutated before has no longer the form that this mutation looks for.
                files[name] = of_bytes(content, rng)
    if rng.random() < 0.85:
        _make_digests(files)
    return files


def _mutated(name: str, content: bytes, rng: Random) -> bytes:
    if name.endswith(".gz"):
        return _packed_again(name, content, rng)
    if rng.random() < 0.2:
        return of_bytes(content, rng)
    for ending, mutation in _BY_ENDING.items():
        if name.endswith(ending):
            return mutation(content, rng)
    return of_lines(content, rng) if rng.random() < 0.8 else of_bytes(content, rng)


# ------------------------------------------------------------------------------- bytes and lines


def of_bytes(content: bytes, rng: Random) -> bytes:
    """Bits, bytes and pieces changed, whatever they mean."""
    data = bytearray(content)
    n = len(data)
    a, b = sorted((rng.randint(0, n), rng.randint(0, n)))
    if rng.random() < 0.7:  # mostly a short piece
        b = min(b, a + rng.randint(1, 16))
    piece = bytes(data[a:b])
    kind = rng.randrange(9)
    if kind == 0 and n:
        for _ in range(rng.choice((1, 1, 2, 8))):
            data[rng.randrange(n)] ^= 1 << rng.randrange(8)
    elif kind == 1 and n:
        data[rng.randrange(n)] = rng.choice(b'\x00\xff\x80"\\{}[]:, \n\t0-e')
    elif kind == 2:
        del data[a:]
    elif kind == 3:
        del data[a:b]
    elif kind == 4:
        data[a:a] = piece * rng.choice((1, 1, 2, 50))
    elif kind == 5:
        data[a:b] = bytes(len(piece)) if rng.random() < 0.5 else rng.randbytes(len(piece))
    elif kind == 6:
        data[a:a] = rng.choice(_INSERTS)
    elif kind == 7:
        c = rng.randint(0, n)
        data[c:c] = piece
    else:
        data += rng.choice((b"\0", b"\n", b" " * 9, piece, rng.randbytes(9)))
    return bytes(data)


_INSERTS = [
    *(
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xc0\x80",
        b"\x80",
    ),
    *(
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"9" * 5000,
        b"0x10",
        b"1_000",
        b"\\ud800",
        b'"',
        b"'",
        b'""',
    ),
    *(
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"," * 1000,
        b"\n" * 1000,
        b"\r",
        b" " * 10_000,
        b"/*",
        b"#",
    ),
    *(
        b"\x1f\x8b",
        "\u2028".encode(),
        "\u0300".encode() * 500,
        "\U0001f600".encode(),
        b"a" * 200_000,
    ),
]


def of_lines(content: bytes, rng: Random) -> bytes:
    """Rows changed, as in tables, vocabularies and vectors."""
    lines = content.split(b"\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    parts = [p for p in (b"\t", b",", b" ") if p in lines[i]]
    kind = rng.randrange(8)
    if kind == 0:
        lines[i] = of_bytes(lines[i], rng)
    elif kind == 1:
        lines.insert(j, lines[i])
    elif kind == 2:
        del lines[i]
    elif kind == 3:
        lines[i], lines[j] = lines[j], lines[i]
    elif kind == 4:
        lines[i] = rng.choice(_INSERTS)
    elif kind == 5 and parts:
        fields = lines[i].split(parts[0])
        fields[rng.randrange(len(fields))] = _field(rng)
        lines[i] = parts[0].join(fields)
    elif kind == 6:
        lines[i:i] = [lines[i]] * rng.choice((2, 100, 3000))
    else:
        return rng.choice((b"\r\n", b"\r", b"", b"\n\n")).join(lines)
    return b"\n".join(lines)


def _field(rng: Random) -> bytes:
    value = rng.choice((rng.choice(NUMBERS), rng.choice(TEXTS)))
    return str(value).encode("utf-8", "surrogatepass")


def _packed_again(name: str, content: bytes, rng: Random) -> bytes:
    """What is in a .gz changed, or the .gz itself; or a little that unpacks to a lot."""
    kind = rng.randrange(8)
    if kind < 3:
        return of_bytes(content, rng)
    try:
        inside = zlib.decompressobj(31).decompress(content, 1 << 22)
    except zlib.error:  # changed before
        return of_bytes(content, rng)
    if len(inside) > 1 << 20:  # what unpacks to a lot
        return of_bytes(content, rng)
    if kind == 3 and rng.random() < 0.05:
        return _BOMBS[rng.randrange(len(_BOMBS))]
    inside = _mutated(name.removesuffix(".gz"), inside, rng)
    return gzip.compress(inside, 1, mtime=0)


def _bomb(pattern: bytes, megabytes: int) -> bytes:
    """A .gz of a few hundred kilobytes of so many megabytes."""
    block = gzip.compress(pattern * (2_000_000 // len(pattern)), 9, mtime=0)
    return block * (megabytes // 2)


_BOMBS = [
    _bomb(b"a", 400),
    _bomb(b"a,b\n", 400),
    _bomb(b"\n", 400),
    _bomb(b"text,label,film\n", 100),
]


# ------------------------------------------------------------------------------------------ JSON


def of_json(content: bytes, rng: Random) -> bytes:
    """A value in the tree changed: its type, its size, its key."""
    try:
        tree = json.loads(content)
    except ValueError:  # changed before
        return of_bytes(content, rng)
    except RecursionError:
        return content[: len(content) // 2]
    for _ in range(rng.choice((1, 1, 2, 4))):
        tree = _change_tree(tree, rng)
    return _as_text(tree, rng)


def _as_text(tree, rng: Random) -> bytes:
    text = json.dumps(tree, ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.05 and '": ' in text:  # a key twice
        place = rng.choice([i for i in range(len(text)) if text.startswith('": ', i)][:500])
        start = text.rfind('"', 0, place)
        text = text[:start] + text[start : place + 3] + "0, " + text[start:]
    return text.encode("utf-8", "surrogatepass")


def _change_tree(tree, rng: Random):
    places = _places(tree)
    if not places or rng.random() < 0.03:
        return any_json(rng)
    # Each depth with the same probability: most places are tokens in a vocabulary.
    depth = rng.choice(sorted({len(path) for path in places}))
    path = rng.choice([p for p in places if len(p) == depth])
    parent = tree
    for key in path[:-1]:
        parent = parent[key]
    key, value = path[-1], parent[path[-1]]
    kind = rng.randrange(8)
    if kind == 0:
        parent[key] = any_json(rng)
    elif kind == 1:
        del parent[key]
    elif kind == 2:
        parent[key] = _near(value, rng)
    elif kind == 3 and isinstance(parent, dict):
        parent[rng.choice((_text(rng), str(key) + "x", str(rng.choice(NUMBERS))))] = parent.pop(key)
    elif kind == 3:
        parent[key:key] = [value] * rng.choice((1, 2, 200))
    elif kind == 4:
        other = rng.choice([p for p in places if len(p) == depth])[-1]
        if other in (parent if isinstance(parent, dict) else range(len(parent))):
            parent[key], parent[other] = parent[other], parent[key]
    elif kind == 5:
        for _ in range(rng.choice((1, 2, 70, 3000))):
            value = [value] if rng.random() < 0.5 else {"a": value}
        try:
            json.dumps(value)
            parent[key] = value
        except RecursionError:
            parent[key] = [[[value[:0] if isinstance(value, list) else None]]]
    elif kind == 6 and isinstance(parent, dict):
        parent[_text(rng)] = any_json(rng)
    else:
        parent[key] = rng.choice((value, [value], {"a": value}, str(value)[:200], None))
    return tree


def _near(value, rng: Random):
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice((value + 1, value - 1, -value, value * 10**9, *NUMBERS))
    if isinstance(value, float):
        return rng.choice(NUMBERS)
    if isinstance(value, str):
        return rng.choice(
            (value + value, value[:-1], value.upper(), _text(rng), rng.choice(PATTERNS))
        )
    if isinstance(value, list):
        return rng.choice((value[::-1], value + value, value[:-1], [], value[1:]))
    if isinstance(value, dict) and value:
        keys = list(value)
        first = keys[0]
        return rng.choice(({}, {k: value[first] for k in keys}, {first: value[first]}))
    return any_json(rng)


def _places(tree) -> list[tuple]:
    """The paths to (at most some thousand) values in the tree, the tree itself left out."""
    places: list[tuple] = []
    stack = [((), tree)]
    while stack and len(places) < 3000:
        path, value = stack.pop()
        items = (
            value.items()
            if isinstance(value, dict)
            else enumerate(value)
            if isinstance(value, list)
            else ()
        )
        for key, item in items:
            places.append((*path, key))
            stack.append(((*path, key), item))
    return places


def _text(rng: Random) -> str:
    return rng.choice(TEXTS)


def any_json(rng: Random, depth: int = 0):
    """Any JSON value, and some that only Python writes."""
    kind = rng.randrange(6 if depth < 3 else 4)
    if kind == 0:
        return rng.choice((None, True, False))
    if kind == 1:
        return rng.choice(NUMBERS)
    if kind == 2:
        return _text(rng)
    if kind == 3:
        return rng.choice(([], {}, rng.choice(PATTERNS)))
    if kind == 4:
        return [any_json(rng, depth + 1) for _ in range(rng.randint(1, 4))]
    return {_text(rng): any_json(rng, depth + 1) for _ in range(rng.randint(1, 4))}


def of_config(content: bytes, rng: Random) -> bytes:
    """Measures that would take terabytes, or that don't fit the weights."""
    try:
        config = json.loads(content)
    except (ValueError, RecursionError):
        return of_bytes(content, rng)
    if rng.random() < 0.4 or not isinstance(config, dict):
        return of_json(content, rng)
    for _ in range(rng.choice((1, 1, 2, 3))):
        sizes = [name for name, value in config.items() if type(value) in (int, float)]
        if sizes:
            config[rng.choice(sizes)] = rng.choice(NUMBERS)
        if rng.random() < 0.2:
            config[rng.choice(list(config))] = any_json(rng)
    return _as_text(config, rng)


def of_tokenizer(content: bytes, rng: Random) -> bytes:
    """Vocabularies with gaps and doubles, merges that contradict them, kinds that don't exist."""
    try:
        document = json.loads(content)
        model = document["model"]
        vocab, merges = model["vocab"], model.get("merges")
        tokens = list(vocab)
        added = document["added_tokens"]
        added[0]["content"]
        if rng.random() < 0.9:
            model.pop("sha256", None)  # the digest of what was there before
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return of_json(content, rng)
    kind = rng.randrange(12)
    if not tokens or not isinstance(vocab, dict):
        return of_json(content, rng)
    token = rng.choice(tokens)
    if kind == 0:
        vocab[token] = rng.choice((rng.choice(NUMBERS), len(tokens), vocab[rng.choice(tokens)]))
    elif kind == 1:
        del vocab[token]
    elif kind == 2:
        vocab[_text(rng)] = rng.choice((len(tokens), len(tokens) + 1, vocab[token]))
    elif kind == 3 and merges:
        i = rng.randrange(len(merges))
        choices = (
            ["q", "q"],
            [token, token],
            "a b c",
            "ab",
            ["a"],
            [],
            [1, 2],
            None,
            merges[-1],
            ["", "a"],
        )
        merges[i] = rng.choice(choices)
    elif kind == 4 and merges:
        rng.shuffle(merges)
    elif kind == 5:
        added.append(dict(rng.choice(added), **{"id": rng.choice((len(tokens), 0, -1, 10**9))}))
    elif kind == 6:
        rng.choice(added)[rng.choice(("content", "id", "lstrip", "normalized", "special"))] = (
            any_json(rng)
        )
    elif kind == 7:
        switches = ("lstrip", "rstrip", "single_word", "normalized")
        rng.choice(added)[rng.choice(switches)] = True
    elif kind == 8:
        pattern = {"Regex": rng.choice(PATTERNS)} if rng.random() < 0.8 else {"String": " "}
        split = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
        bytes_ = {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "use_regex": False,
            "trim_offsets": True,
        }
        document["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, bytes_]}
    elif kind == 9:
        length = rng.choice((0, 1, 10, 10**6, 10**9, 10**12, -1))
        document["padding"] = {
            **{"strategy": rng.choice(("BatchLongest", {"Fixed": length})), "direction": "Right"},
            **{
                "pad_to_multiple_of": rng.choice((None, length)),
                "pad_type_id": 0,
                "pad_token": "[PAD]",
            },
            "pad_id": rng.choice((0, 1, len(tokens), 10**9)),
        }
    elif kind == 10:
        sections = [name for name, value in document.items() if isinstance(value, dict)]
        document[rng.choice(sections)]["type"] = _text(rng)
    else:
        model[rng.choice(list(model))] = rng.choice(
            (any_json(rng), rng.choice(NUMBERS), _text(rng))
        )
    return of_json(_as_text(document, rng), rng) if rng.random() < 0.2 else _as_text(document, rng)


# ------------------------------------------------------------------------------------ safetensors


def of_safetensors(content: bytes, rng: Random) -> bytes:
    """The header's arithmetic changed, or its tree, or the numbers."""
    try:
        (n,) = struct.unpack("<Q", content[:8])
        header, numbers = json.loads(content[8 : 8 + n]), bytearray(content[8 + n :])
        names = [name for name in header if name != "__metadata__"]
        entry = header[rng.choice(names)]
        entry["dtype"], entry["shape"][:0], entry["data_offsets"][1]
    except (ValueError, RecursionError, LookupError, TypeError, struct.error):
        return of_bytes(content, rng)
    kind = rng.randrange(13)
    if kind == 0:
        entry["data_offsets"][rng.randrange(2)] = rng.choice(
            (*NUMBERS, len(numbers), len(numbers) + 1)
        )
    elif kind == 1:
        entry["shape"] = rng.choice(
            (
                *(
                    [],
                    [0],
                    [-1],
                    [10**15],
                    [10**9, 10**9],
                    [0, 2**62, 2**62],
                    [1] * 70,
                    [2**63 - 1] * 3,
                ),
                *(
                    entry["shape"][::-1],
                    [*entry["shape"], 1],
                    [1.5],
                    ["a"],
                    [True],
                    None,
                    entry["shape"][:-1],
                ),
            )
        )
    elif kind == 2:
        entry["dtype"] = rng.choice(
            ("F16", "F64", "I8", "BF16", "BOOL", "U64", "F8_E4M3", "X", None, 3, [])
        )
    elif kind == 3:  # a dtype of the same size
        entry["dtype"] = rng.choice(("I32", "U32"))
    elif kind == 4:  # claims 10^15 numbers, in consistent offsets
        entry["shape"], first = [10**15], entry["data_offsets"][0]
        entry["data_offsets"] = [first, first + 4 * 10**15]
    elif kind == 5:
        old = rng.choice(names)
        header[rng.choice((rng.choice(names), _text(rng), old + "x"))] = header.pop(old)
    elif kind == 6:
        header[_text(rng)] = dict(entry)  # overlaps
    elif kind == 7:
        header |= {
            f"extra.{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
            for i in range(2000)
        }
    elif kind == 8 and len(numbers) >= 4:  # a number that is none
        place = 4 * rng.randrange(len(numbers) // 4)
        numbers[place : place + 4] = struct.pack(
            "<f", rng.choice((float("nan"), float("inf"), 3e38, -3e38, 1e-45))
        )
    elif kind == 9 and numbers:
        numbers[rng.randrange(len(numbers))] ^= 1 << rng.randrange(8)
    elif kind == 10:
        header["__metadata__"] = any_json(rng)
    elif kind == 11:  # one array less, the others moved up
        old = header.pop(rng.choice(names))
        begin, end = old["data_offsets"]
        del numbers[begin:end]
        for other in header.values():
            if "data_offsets" in other and other["data_offsets"][0] >= end:
                other["data_offsets"] = [o - (end - begin) for o in other["data_offsets"]]
    else:
        header = _change_tree(header, rng)
    if isinstance(header, dict) and isinstance(header.get("__metadata__"), dict):
        if rng.random() < 0.9:  # the seal of what was there before
            header["__metadata__"] = {"format": "pt"}
    text = _as_text(header, rng)
    length = len(text)
    if rng.random() < 0.1:
        length = rng.choice(
            (0, 1, length - 1, length + 1, length + len(numbers), 2**63, 2**64 - 1, 10**9)
        )
    return struct.pack("<Q", max(0, length)) + text + bytes(numbers)


_BY_ENDING = {
    ".safetensors": of_safetensors,
    "tokenizer.json": of_tokenizer,
    "config.json": of_config,
    ".json": of_json,
    ".jsonl": lambda content, rng: (
        of_lines(content, rng) if rng.random() < 0.5 else _one_row(content, rng)
    ),
}


def _one_row(content: bytes, rng: Random) -> bytes:
    lines = content.split(b"\n")
    i = rng.randrange(len(lines))
    lines[i] = of_json(lines[i], rng)
    return b"\n".join(lines)


# ------------------------------------------------------------------- the files and their digests


def _change_a_file_itself(files: dict[str, Content], name: str, rng: Random) -> None:
    """No file any more, or one of another kind."""
    files[name] = rng.choice(
        (
            *(("gone",), ("folder",), ("pipe",), b"", ("zeros", 100 << 20), ("zeros", 1 << 40)),
            *(
                ("link", "/dev/zero"),
                ("link", "/etc/passwd"),
                ("link", "../secret"),
                ("link", name[-9:]),
            ),
            ("link", "."),
        )
    )


def _make_digests(files: dict[str, Content]) -> None:
    """Digests that fit what the files hold now."""
    for name, content in list(files.items()):
        if not name.endswith(("trainer.json", "encoded.json")) or not isinstance(content, bytes):
            continue
        folder = name.rpartition("/")[0]
        try:
            values = json.loads(content)
            if name.endswith("trainer.json"):
                for other in values["digests"]:
                    data = files.get(f"{folder}/{other}")
                    if isinstance(data, bytes):
                        values["digests"][other] = hashlib.sha256(data).hexdigest()
                values["digests"]["trainer.json"] = digest_of_content(values)
            else:
                for array, entry in values["arrays"].items():
                    data = files.get(f"{array}.bin")
                    if isinstance(data, bytes):
                        entry["digest"] = hashlib.blake2b(data, digest_size=16).hexdigest()
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            continue  # mutated so far that no digest helps
        files[name] = json.dumps(values).encode("utf-8", "surrogatepass")
