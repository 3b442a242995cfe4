"""The computation graph as SVG: what is on the tape is drawn, once, in order, without overlap."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minillm
from minillm import functional as F
from minillm.evaluation.graph_picture import graph_svg, save_graph

SVG = "{http://www.w3.org/2000/svg}"


def leaf(*shape):
    return minillm.tensor(np.ones(shape), requires_grad=True)


def read(svg):
    """{label: (left, top, right, bottom)} and the lines [(x, y) of both ends] of a picture."""
    root = ElementTree.fromstring(svg)
    boxes, rectangles = {}, [r for r in root.findall(f"{SVG}rect") if r.get("x")]
    for rectangle, text in zip(rectangles, root.findall(f"{SVG}text"), strict=True):
        x, y, w, h = (float(rectangle.get(k)) for k in ("x", "y", "width", "height"))
        assert text.text not in boxes, "the tests give every box its own label"
        boxes[text.text] = (x, y, x + w, y + h)
    lines = []
    for path in root.findall(f"{SVG}path"):
        numbers = path.get("d").replace("M", " ").replace("C", " ").split()
        numbers = [float(n) for n in numbers]
        lines.append((tuple(numbers[:2]), tuple(numbers[-2:])))
    return boxes, lines


def connections(svg):
    """The lines as pairs of labels, found from their coordinates alone."""
    boxes, lines = read(svg)

    def at(x, y):
        """The one box on whose upper or lower edge the point lies."""
        (name,) = (
            name
            for name, (left, top, right, bottom) in boxes.items()
            if left <= x <= right and min(abs(y - top), abs(y - bottom)) < 0.2
        )
        return name

    return sorted((at(*start), at(*end)) for start, end in lines)


def test_a_small_network_has_its_boxes_and_lines():
    w, b = leaf(3, 2), leaf(3)
    x = minillm.tensor(np.ones((4, 2)))  # a constant: not on the tape
    h = F.tanh(F.linear(x, w, b))
    loss = F.mean(h * h)
    svg = graph_svg(loss, {"w": w, "b": b, "h": h, "loss": loss})
    assert connections(svg) == [
        ("b (3,)", "linear"),
        ("h = tanh (4, 3)", "multiply"),
        ("h = tanh (4, 3)", "multiply"),  # used twice: two lines, two gradients that add up
        ("linear", "h = tanh (4, 3)"),
        ("multiply", "loss = mean"),
        ("w (3, 2)", "linear"),
    ]


def test_a_line_past_other_rows_ends_where_it_should():
    x = leaf(2)
    a = F.exp(x)
    b = F.tanh(a)
    c = F.sigmoid(b)
    loss = F.sum(c + a)
    assert ("a = exp (2,)", "add") in connections(graph_svg(loss, {"a": a}))


def random_graph(choices):
    """A loss and its named tensors: each operation reads two of the tensors before it."""
    tensors = [leaf(2) for _ in range(3)]
    for i, j in choices:
        tensors.append(F.add(tensors[i % len(tensors)], tensors[j % len(tensors)]))
    return F.sum(tensors[-1]), {f"t{i}": t for i, t in enumerate(tensors)}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=20))
def test_any_graph_flows_downwards_without_overlapping_boxes(choices):
    loss, names = random_graph(choices)
    svg = graph_svg(loss, names)
    boxes, lines = read(svg)
    root = ElementTree.fromstring(svg)
    width, height = float(root.get("width")), float(root.get("height"))
    rectangles = list(boxes.values())
    for i, (left, top, right, bottom) in enumerate(rectangles):
        assert left >= 0 and top >= 0 and right <= width + 1 and bottom <= height + 1
        for other in rectangles[i + 1 :]:
            assert right < other[0] or other[2] < left or bottom < other[1] or other[3] < top
    for (_, start), (_, end) in lines:
        assert start < end
    connections(svg)  # every end of a line lies on a box


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(categories=None, codec=None), max_size=12))
def test_any_name_gives_a_readable_file(name):
    x = leaf(2)
    svg = graph_svg(F.sum(x), {name: x})
    texts = [t.text for t in ElementTree.fromstring(svg.encode()).findall(f"{SVG}text")]
    assert len(texts) == 2
    if name.isprintable():
        assert f"{name} (2,)" in texts


def test_markup_in_a_name_is_text():
    x = leaf(1)
    svg = graph_svg(F.sum(x), {"</text><script>&": x})
    assert "<script>" not in svg and "&lt;script&gt;&amp;" in svg


def test_equal_graphs_give_equal_pictures_and_backward_is_undisturbed(tmp_path):
    pictures = []
    for _ in range(2):
        loss, names = random_graph([(0, 1), (3, 2), (3, 4), (1, 5)])
        pictures.append(graph_svg(loss, names))
        save_graph(loss, tmp_path / "graph.svg", names)
        loss.backward()
        assert names["t0"].grad is not None
    assert pictures[0] == pictures[1] == (tmp_path / "graph.svg").read_text()


def test_a_list_of_inputs_is_drawn_too():
    x, y = leaf(2), leaf(3)
    svg = graph_svg(F.sum(F.concatenate([x, y], 0)), {"x": x, "y": y})
    assert ("y (3,)", "concatenate") in connections(svg)


def test_a_long_chain_needs_no_recursion():
    x = leaf(1)
    y = x
    for _ in range(1500):
        y = y + 1.0
    assert graph_svg(y, limit=2000).count("<text") == 1501


def test_no_graph_a_used_graph_and_too_many_boxes_are_errors():
    x = leaf(2)
    with pytest.raises(ValueError, match="no graph"):
        graph_svg(x)
    with minillm.no_grad(), pytest.raises(ValueError, match="no graph"):
        graph_svg(F.sum(x))
    y = F.sum(F.exp(x))
    with pytest.raises(ValueError, match="more than 2 boxes"):
        graph_svg(y, limit=2)
    y.backward()
    with pytest.raises(RuntimeError, match="before that"):
        graph_svg(y)
