"""Sentences end where a reader would say so, in English, in Chinese, and mixed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.text import sentence_spans, split_sentences


@pytest.mark.parametrize(
    "marked",  # "|" marks where the text is to be cut
    [
        "One. |Two! |Three? |Four",
        "Dr. Smith met Mr. and Mrs. Jones. |They talked.",
        "It cost $3.50 in version 2.0 of example.com. |Cheap.",
        "He lives in the U.S. Army base. |She moved to the U.S. |The rest stayed.",
        "J. R. R. Tolkien wrote it. |We read it.",
        "Fruit, e.g. apples, i.e. Granny Smith, etc. |But no nuts.",
        "At 5 p.m. we left. |See No. 5 and Fig. 3.",
        "Plan B. |We went home. |So do I. |The end.",
        "No. |That is wrong. |I love art. |Modern art.",
        "Wait... what? |Well... |Nobody knows.",
        "Really?! |Yes!!! |Wow ! ! |Spaced . . . stops.",
        '"Stop!" he said. |"Why?" |She left.',
        'He said "Stop." |Then he left (quickly.) |Gone.',
        "great movie! |i loved it, it was bad. i know.",
        "1. First item. |2. Second item.",
        "It’s the ’90s. |‘Tis good.” |Next.",
        "今天天气很好。|我们去公园吧！|你去吗？|去",
        "他说：“你好！”|然后走了。",
        "“你来吗？”，他问。|“不。”",
        "「真的！」|她喊。|（完。）",
        "我……|不知道……|算了。",
        "真的吗?|我不信!|好吧.|再见.",
        "彼は言った。|「はい。」|そして去った。",
        "中文 mixed text. |中文接着。|English again.",
        "价格是3.5元。|太贵了！！！|不买",
        "A title\n\n|A paragraph\nof two lines. |End",
        "One.\n|Two.\n \n\n|Three.",
        "。|",
        "...",
    ],
)
def test_cuts(marked):
    expected = [part.strip() for part in marked.split("|") if part.strip()]
    assert split_sentences(marked.replace("|", "")) == expected


@pytest.mark.parametrize("nothing", ["", "   ", "\n\n \n"])
def test_no_text_has_no_sentences(nothing):
    assert split_sentences(nothing) == []


@given(
    st.lists(st.sampled_from([*'ab. !?。！“”")(…\n I1,', "Mr", "U.S", "你", "The"]), max_size=40)
)
def test_nothing_is_lost_doubled_or_reordered(pieces):
    text = "".join(pieces)
    sentences = split_sentences(text)
    assert re.sub(r"\s", "", "".join(sentences)) == re.sub(r"\s", "", text)
    assert all(sentence and sentence == sentence.strip() for sentence in sentences)
    assert [text[start:end] for start, end in sentence_spans(text)] == sentences


@given(st.text(alphabet=st.characters(), max_size=60))
def test_any_text_can_be_split(text):
    assert re.sub(r"\s", "", "".join(split_sentences(text))) == re.sub(r"\s", "", text)


@pytest.mark.parametrize(
    "attack",
    [
        ".",
        ". ",
        "a.",
        "A. ",
        '"',
        '."',
        ". \n",
        "\n",
        "\n \n",
        " ",
        "。",
        "…",
        "Mr. ",
        "x",
        ".\n\n",
    ],
)
@pytest.mark.parametrize("start", ["", "a", "a."])
def test_repetition_is_no_attack(attack, start):
    """Linear work ends at once; work that grows with the square would take minutes."""
    assert isinstance(split_sentences(start + attack * 100_000 + "b"), list)


def test_only_texts_can_be_split():
    with pytest.raises(TypeError, match="expected a text"):
        split_sentences(["One. Two."])
