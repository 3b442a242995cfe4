"""Special tokens go where the template says, with its type ids."""

import pytest

from minillm.text import Encoding, TemplateProcessing
from minillm.text.template import NO_TEMPLATE, bert_template

BERT = bert_template({"[CLS]": 1, "[SEP]": 2})


def sequence(*ids: int, number: int = 0) -> Encoding:
    n = len(ids)
    return Encoding(
        ids=list(ids),
        type_ids=[number] * n,
        tokens=[str(id) for id in ids],
        offsets=[(i, i + 1) for i in range(n)],
        attention_mask=[1] * n,
        special_tokens_mask=[0] * n,
        word_ids=list(range(n)),
        sequence_ids=[number] * n,
    )


def test_one_text():
    encoding = BERT.apply(sequence(7, 8))
    assert encoding.ids == [1, 7, 8, 2]
    assert encoding.tokens == ["[CLS]", "7", "8", "[SEP]"]
    assert encoding.special_tokens_mask == [1, 0, 0, 1]
    assert encoding.attention_mask == [1, 1, 1, 1]
    assert encoding.offsets == [(0, 0), (0, 1), (1, 2), (0, 0)]
    assert encoding.word_ids == [None, 0, 1, None]


def test_a_pair():
    encoding = BERT.apply(sequence(7), sequence(8, 9, number=1))
    assert encoding.ids == [1, 7, 2, 8, 9, 2]
    assert encoding.type_ids == [0, 0, 0, 1, 1, 1]
    assert encoding.sequence_ids == [None, 0, None, 1, 1, None]


def test_special_tokens_can_be_left_out():
    encoding = BERT.apply(sequence(7), sequence(8, number=1), add_special_tokens=False)
    assert (encoding.ids, encoding.type_ids) == ([7, 8], [0, 1])


def test_without_cls_and_sep_there_is_no_template():
    assert bert_template({"[CLS]": 0}) is NO_TEMPLATE
    encoding = NO_TEMPLATE.apply(sequence(7), sequence(8, number=1))
    assert (encoding.ids, encoding.type_ids) == ([7, 8], [0, 1])


@pytest.mark.parametrize(
    "template, is_pair, n", [(BERT, False, 2), (BERT, True, 3), (NO_TEMPLATE, True, 0)]
)
def test_number_of_special_tokens(template, is_pair, n):
    assert template.n_special_tokens(is_pair) == n


@pytest.mark.parametrize(
    "single, pair, message",
    [
        ((("[CLS]", 0),), NO_TEMPLATE.pair, "single template must hold"),
        (NO_TEMPLATE.single, (("$A", 0),), "pair template must hold"),
        (NO_TEMPLATE.single, (("$A", 0), ("$A", 0), ("$B", 0)), "each once"),
        ((("$A", 0), ("[END]", 0)), NO_TEMPLATE.pair, r"'\[END\]', which isn't among"),
    ],
)
def test_templates_without_their_parts_are_refused(single, pair, message):
    with pytest.raises(ValueError, match=message):
        TemplateProcessing(single, pair, {"[CLS]": [(1, "[CLS]")]})
