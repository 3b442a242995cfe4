"""The tape as a picture: the computation graph of a Tensor as an SVG file.

Values enter at the top and the loss is at the bottom; the gradient takes the same lines upwards.
Only what is on the tape is drawn: a constant (an input, a target, a mask) has no gradient and so
no box.  An SVG file is text that every browser shows, so no other program is needed.

The layout is that of layered drawings (Sugiyama, Tagawa and Toda 1981): 1. a row for each box, one
above the highest of its users; 2. an order within the rows that avoids crossings, by moving each
box to the mean of its neighbours; 3. positions that keep this order and lines straight.
A line that passes rows keeps a place free in each of them: an invisible box without width.
"""

import os
import unicodedata
from collections.abc import Mapping
from html import escape

from minillm.autograd import Tensor
from minillm.files import atomic_write

BOX_HEIGHT, ROW_STEP, GAP, MARGIN = 30, 66, 22, 16
LETTER = 7.4  # the width of a letter at 12 points, on the safe side
STYLE = {"leaf": ("#e6f4e6", "#3a7d3a"), "operation": ("#eaf0fa", "#45629b")}


class _Box:
    """A leaf, an operation, or (without a label) a place where a long line passes."""

    def __init__(self, label: str = "", kind: str = "passing"):
        self.label, self.kind = label, kind
        self.inputs: list[_Box] = []
        self.row = 0
        self.x = 0.0
        self.width = 4.0
        if kind != "passing":
            wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in label)
            self.width = LETTER * (len(label) + wide) + 20


def graph_svg(tensor: Tensor, names: Mapping[str, Tensor] | None = None, limit: int = 200) -> str:
    """The graph that `tensor` was computed by, as the text of an SVG file.

    names: what to write on the boxes of some tensors, {"weight": w, "loss": loss}; their shapes
    are added.  Other leaves are called "leaf", other operations by their function.
    limit: the largest number of boxes; a picture of more can't be read.
    Raises ValueError if there is no graph (or more than `limit` boxes), RuntimeError if
    backward() has already taken it apart.
    """
    boxes = _collect(tensor, names or {}, limit)
    rows, lines = _rows(boxes)
    _order(rows, lines)
    _place(rows, lines)
    return _draw(boxes, rows, lines)


def save_graph(
    tensor: Tensor,
    path: str | os.PathLike,
    names: Mapping[str, Tensor] | None = None,
    limit: int = 200,
) -> None:
    """Write `graph_svg(tensor, names, limit)` into a file."""
    atomic_write(path, graph_svg(tensor, names, limit))


def _collect(tensor, names, limit) -> list[_Box]:
    """The boxes of all nodes and leaves that `tensor` was computed from, inputs first."""
    root = tensor._node
    if root is None:
        raise ValueError(
            "there is no graph to draw: this tensor wasn't computed from one with "
            "requires_grad=True (or it was computed under no_grad)"
        )
    # A node's tensor is known only if it was given a name: the tape itself keeps no values.
    known = {id(t._node or t): (name, t.shape) for name, t in names.items()}
    sources_of, nodes, leaves = {}, {id(root): root}, {}
    stack = [root]
    while stack:
        node = stack.pop()
        if node.backward is None:
            raise RuntimeError(
                f"the graph was taken apart by backward() (at {node.name}): draw it before that"
            )
        sources_of[id(node)] = sources = list(_flat(node.sources))
        for source in sources:
            if isinstance(source, Tensor):
                leaves[id(source)] = source
            elif id(source) not in nodes:
                nodes[id(source)] = source
                stack.append(source)
        if len(nodes) + len(leaves) > limit:
            raise ValueError(
                f"the graph has more than {limit} boxes: draw a smaller network or fewer steps "
                "of it, or raise `limit`"
            )

    def label(key, default, shape=None):
        name, shape = known.get(key, (None, shape))
        shown = default if name is None else name if default == "leaf" else f"{name} = {default}"
        return f"{shown} {shape}" if shape else shown  # a number has no shape to show

    boxes: dict[int, _Box] = {}
    for node in sorted(nodes.values(), key=lambda node: node.order):  # older than what uses it
        inputs = []
        for source in sources_of[id(node)]:
            if id(source) not in boxes:  # a leaf, at its first use
                boxes[id(source)] = _Box(label(id(source), "leaf", source.shape), "leaf")
            inputs.append(boxes[id(source)])
        boxes[id(node)] = _Box(label(id(node), node.name), "operation")
        boxes[id(node)].inputs = inputs
    return list(boxes.values())


def _flat(sources):
    for source in sources:
        if isinstance(source, list):
            yield from (s for s in source if s is not None)
        elif source is not None:
            yield source


def _rows(boxes) -> tuple[list[list[_Box]], list[list[_Box]]]:
    """(rows of boxes from the top, lines): a line is a chain of boxes, one in each row it meets."""
    height: dict[int, int] = {}  # of each box over the result: the longest way down
    for box in reversed(boxes):  # users before what they use
        height.setdefault(id(box), 0)
        for source in box.inputs:
            height[id(source)] = max(height.get(id(source), 0), height[id(box)] + 1)
    for box in boxes:
        box.row = max(height.values()) - height[id(box)]
    rows: list[list[_Box]] = [[] for _ in range(max(box.row for box in boxes) + 1)]
    for box in boxes:
        rows[box.row].append(box)
    lines = []
    for box in boxes:
        for source in box.inputs:
            line = [source]
            for row in range(source.row + 1, box.row):
                line.append(_Box())
                line[-1].row = row
                rows[row].append(line[-1])
            lines.append([*line, box])
    return rows, lines


def _neighbours(lines) -> tuple[dict[int, list[_Box]], dict[int, list[_Box]]]:
    """Who stands above and who below each box, one row away."""
    above: dict[int, list[_Box]] = {}
    below: dict[int, list[_Box]] = {}
    for line in lines:
        for upper, lower in zip(line, line[1:], strict=False):
            above.setdefault(id(lower), []).append(upper)
            below.setdefault(id(upper), []).append(lower)
    return above, below


def _order(rows, lines, sweeps: int = 12) -> None:
    """Sort each row by the mean place of the neighbours, down and up again; keep the best."""
    above, below = _neighbours(lines)
    best, fewest = [list(row) for row in rows], _crossings(rows, below)
    for sweep in range(sweeps):
        downwards = sweep % 2 == 0
        neighbours = above if downwards else below
        for row in rows if downwards else reversed(rows):
            place = {id(box): i for other in rows for i, box in enumerate(other)}

            def mean_place(box, place=place, neighbours=neighbours):
                near = neighbours.get(id(box))
                return sum(place[id(n)] for n in near) / len(near) if near else place[id(box)]

            row.sort(key=mean_place)
        crossings = _crossings(rows, below)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    for row, order in zip(rows, best, strict=True):
        row[:] = order


def _crossings(rows, below) -> int:
    count = 0
    for upper, lower in zip(rows, rows[1:], strict=False):
        place = {id(box): i for i, box in enumerate(lower)}
        ends = [place[id(other)] for box in upper for other in _sorted(box, below, place)]
        count += sum(a > b for i, a in enumerate(ends) for b in ends[i + 1 :])
    return count


def _sorted(box, below, place):
    """The boxes below `box`, from left to right: lines that leave one box don't cross."""
    return sorted(below.get(id(box), ()), key=lambda other: place[id(other)])


def _place(rows, lines, sweeps: int = 60) -> None:
    """Give every box its x: near the mean of its neighbours, in order, without overlap."""
    above, below = _neighbours(lines)
    for row in rows:
        _settle(row, [0.0] * len(row))
    for sweep in range(sweeps):
        for row in rows if sweep % 2 else reversed(rows):
            wanted = []
            for box in row:
                near = above.get(id(box), []) + below.get(id(box), [])
                # Long lines should be straight: their boxes pull harder.
                pull = [1 + 3 * (n.kind == "passing") * (box.kind == "passing") for n in near]
                wanted.append(sum(p * n.x for p, n in zip(pull, near, strict=True)) / sum(pull))
            _settle(row, wanted)
    left = min(box.x - box.width / 2 for row in rows for box in row)
    for row in rows:
        for box in row:
            box.x += MARGIN - left


def _settle(row, wanted) -> None:
    """The places nearest to `wanted` (least squares) at which boxes in this order don't overlap.

    With the room that the boxes to the left need taken off, the condition reads: no place before
    the one to its left.  Neighbours that break it are pooled at their mean (isotonic regression).
    """
    room = [0.0]
    for left, right in zip(row, row[1:], strict=False):
        room.append(room[-1] + (left.width + right.width) / 2 + GAP)
    pools: list[list[float]] = []  # [sum of the wanted places, how many boxes]
    for x, offset in zip(wanted, room, strict=True):
        pools.append([x - offset, 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            total, count = pools.pop()
            pools[-1][0] += total
            pools[-1][1] += count
    places = [total / count for total, count in pools for _ in range(int(count))]
    for box, x, offset in zip(row, places, room, strict=True):
        box.x = x + offset


def _draw(boxes, rows, lines) -> str:
    width = max(box.x + box.width / 2 for row in rows for box in row) + MARGIN
    height = (len(rows) - 1) * ROW_STEP + BOX_HEIGHT + 2 * MARGIN

    def middle(box):
        return MARGIN + BOX_HEIGHT / 2 + box.row * ROW_STEP

    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.1f} {height:.1f}" font-family="sans-serif" font-size="12">',
        "<title>A computation graph: values flow down, gradients flow up</title>",
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#666"/></marker></defs>',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    drawn: dict[tuple[int, int], int] = {}
    for line in lines:
        ends = (id(line[0]), id(line[-1]))
        shift = 9 * drawn.get(ends, 0)  # x * x: two lines side by side
        drawn[ends] = drawn.get(ends, 0) + 1
        x, y = line[0].x + shift, middle(line[0]) + BOX_HEIGHT / 2
        path = f"M{x:.1f} {y:.1f}"
        for box in line[1:]:  # one smooth curve from row to row
            to_x, to_y = box.x + shift, middle(box)
            to_y -= BOX_HEIGHT / 2 if box.kind != "passing" else 0
            half = (y + to_y) / 2
            path += f"C{x:.1f} {half:.1f} {to_x:.1f} {half:.1f} {to_x:.1f} {to_y:.1f}"
            x, y = to_x, to_y
        svg.append(f'<path d="{path}" fill="none" stroke="#666" marker-end="url(#arrow)"/>')
    for box in boxes:
        fill, stroke = STYLE[box.kind]
        corner = BOX_HEIGHT / 2 if box.kind == "leaf" else 4
        thick = 2.5 if box is boxes[-1] else 1.2  # the youngest box is the result
        svg.append(
            f'<rect x="{box.x - box.width / 2:.1f}" y="{middle(box) - BOX_HEIGHT / 2:.1f}" '
            f'width="{box.width:.1f}" height="{BOX_HEIGHT}" rx="{corner}" fill="{fill}" '
            f'stroke="{stroke}" stroke-width="{thick}"/>'
        )
        svg.append(
            f'<text x="{box.x:.1f}" y="{middle(box) + 4:.1f}" text-anchor="middle">'
            f"{escape(_printable(box.label))}</text>"
        )
    return "\n".join([*svg, "</svg>", ""])


def _printable(text: str) -> str:
    """XML has no place for control characters, halves of pairs and the last two code points."""
    return "".join(
        letter
        if letter >= " " and letter not in "\ufffe\uffff" and not "\ud800" <= letter <= "\udfff"
        else "\ufffd"
        for letter in text
    )
