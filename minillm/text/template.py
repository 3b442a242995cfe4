"""Where special tokens go: BERT wraps a text as [CLS] A [SEP] and a pair as [CLS] A [SEP] B [SEP].

The type ids (BERT's segment ids) are part of the template: 0 up to the first [SEP], then 1.
Source: Devlin et al. 2018, "BERT", section 3, figure 2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from minillm.text.encoding import Encoding

# A template is a sequence of (piece, type id); a piece is "$A", "$B" or a special token's name.
Template = Sequence[tuple[str, int]]


@dataclass(frozen=True)
class TemplateProcessing:
    """Puts sequences and special tokens together.

    single, pair    : the two templates
    special_tokens  : {name in the template: [(id, token), ...]}, usually one token a name

    Raises ValueError for a template without its sequences ("$A" once; in a pair "$B" once too)
    or with a special token that `special_tokens` lacks.
    """

    single: Template
    pair: Template
    special_tokens: Mapping[str, Sequence[tuple[int, str]]]

    def __post_init__(self):
        for name, template, expected in (
            ("single", self.single, ["$A"]),
            ("pair", self.pair, ["$A", "$B"]),
        ):
            pieces = [piece for piece, _ in template]
            if sorted(piece for piece in pieces if piece in ("$A", "$B")) != expected:
                raise ValueError(
                    f"the {name} template must hold {' and '.join(expected)}, each once, "
                    f"but is {' '.join(pieces)}"
                )
            for piece in pieces:
                if piece not in ("$A", "$B") and piece not in self.special_tokens:
                    raise ValueError(
                        f"the {name} template holds {piece!r}, which isn't among its special "
                        f"tokens {sorted(self.special_tokens)}"
                    )

    @classmethod
    def bert(cls, cls_token: tuple[int, str], sep_token: tuple[int, str]) -> "TemplateProcessing":
        """[CLS] A [SEP] and [CLS] A [SEP] B [SEP], made of these two (id, token)."""
        first, stop = cls_token[1], sep_token[1]
        single: Template = ((first, 0), ("$A", 0), (stop, 0))
        return cls(single, (*single, ("$B", 1), (stop, 1)), {first: [cls_token], stop: [sep_token]})

    def n_special_tokens(self, is_pair: bool) -> int:
        """How many tokens `apply` adds to the text's own."""
        template = self.pair if is_pair else self.single
        return sum(len(self.special_tokens.get(piece, ())) for piece, _ in template)

    def apply(
        self, first: Encoding, second: Encoding | None = None, add_special_tokens: bool = True
    ) -> Encoding:
        """Fill the template for one sequence or for a pair."""
        sequences = {"$A": first} if second is None else {"$A": first, "$B": second}
        result = Encoding()
        for piece, type_id in self.single if second is None else self.pair:
            if piece in sequences:
                sequence = sequences[piece]
                sequence.type_ids = [type_id] * len(sequence)
                result.extend(sequence)
            elif add_special_tokens:
                ids = [id for id, _ in self.special_tokens[piece]]
                tokens = [token for _, token in self.special_tokens[piece]]
                result.extend(Encoding.of_special_tokens(ids, tokens, type_id))
        return result


# No special tokens; a pair is its two sequences, one behind the other.
NO_TEMPLATE = TemplateProcessing((("$A", 0),), (("$A", 0), ("$B", 1)), {})


def bert_template(vocab: Mapping[str, int]) -> TemplateProcessing:
    """BERT's template with the ids of this vocabulary, no template if it lacks [CLS] or [SEP]."""
    if "[CLS]" not in vocab or "[SEP]" not in vocab:
        return NO_TEMPLATE
    return TemplateProcessing.bert((vocab["[CLS]"], "[CLS]"), (vocab["[SEP]"], "[SEP]"))
