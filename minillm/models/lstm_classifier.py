"""An LSTM that reads a text word by word and then says what it was like.

    h_1 ... h_L = LSTM(E[w_1] ... E[w_L])      two layers, perhaps in both directions
    r = h_L   or   r_j = max_t h_t[j]          the state at the end, or each number's best moment
    logit = W r + b,   p = sigmoid(logit)

The classical recipe is the plain form: Embedding(128), LSTM(128), LSTM(128), Dense(1, sigmoid),
texts cut or padded to 128 words.  It pads on the left and reads the padding like words
(`use_mask=False`).  With the state at the end the opinion of page one has to survive to the last
word; max over time lets every word speak for itself, with its neighbours in mind.
Source: Hochreiter and Schmidhuber 1997, "Long short-term memory"; max over time: Collobert et al.
2011, "Natural language processing (almost) from scratch", section 3.2.
"""

from dataclasses import dataclass

from minillm import functional as F
from minillm import nn
from minillm.models.classification import SequenceClassifierOutput, classification_loss
from minillm.models.classifier_config import ClassifierConfig
from minillm.models.decoder_config import check_field, check_switches
from minillm.models.pretrained import NameTable, PretrainedModel
from minillm.models.word_vectors import drop_words, visible_ids, word_vectors


@dataclass
class LSTMConfig(ClassifierConfig):
    """The measures of the network; the defaults are those of the classical recipe.

    embedding_size : width D of the word vectors
    hidden_size    : width H of the state, of each layer and direction
    num_layers     : LSTM layers, one on top of the other
    bidirectional  : a second LSTM in each layer reads from the end
    pooling        : "last": the state at the end of reading; "max": over time
    head           : "sigmoid": one score, for two classes; "softmax": one score a class
    use_mask       : True: stop at the end of each text; False: read the padding, too
    word_dropout   : probability of leaving a word out, while training
    dropout        : the same for each number of the word vectors, between layers, before the head
    """

    model_type = "minillm-lstm"

    embedding_size: int = 128
    hidden_size: int = 128
    num_layers: int = 2
    bidirectional: bool = False
    pooling: str = "last"
    head: str = "sigmoid"
    use_mask: bool = True
    word_dropout: float = 0.0
    dropout: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        self._check_counts("embedding_size", "hidden_size", "num_layers")
        self._check_probabilities("word_dropout", "dropout")
        for name, choices in (("pooling", ("last", "max")), ("head", ("sigmoid", "softmax"))):
            check_field(self, name, choices)
        check_switches(self, "bidirectional", "use_mask")
        if self.head == "sigmoid" and len(self.id2label) != 2:
            raise ValueError(
                f"LSTMConfig: head='sigmoid' decides between 2 classes, id2label has "
                f"{len(self.id2label)}: take head='softmax'"
            )


class LSTMForSequenceClassification(PretrainedModel):
    """The recurrent network; see the head of this file."""

    config_class = LSTMConfig

    def __init__(self, config: LSTMConfig):
        super().__init__(config)
        D, H = config.embedding_size, config.hidden_size
        # Where the padding is read it has a vector of its own, that is learned.
        padding = config.pad_token_id if config.use_mask else None
        self.embedding = word_vectors(config.vocab_size, D, padding)
        self.lstm = nn.LSTM(
            *(D, H, config.num_layers),
            dropout=config.dropout,
            bidirectional=config.bidirectional,
        )
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(
            H * (1 + config.bidirectional), 1 if config.head == "sigmoid" else len(config.id2label)
        )

        self._initialise()

    def _initialise(self) -> None:
        """Initial values as the classical recipe has them (Glorot & Bengio 2010; Saxe et al. 2014).

        The bias of the forget gate starts at 1: f = sigmoid(1) = 0.73, so that from the first step
        on a state remembers (Jozefowicz, Zaremba & Sutskever 2015).
        """
        H = self.config.hidden_size
        for name, p in self.lstm.named_parameters():
            if name.startswith("weight_ih"):
                nn.init.xavier_uniform_(p)
            elif name.startswith("weight_hh"):
                nn.init.orthogonal_(p)
            else:
                nn.init.zeros_(p)
                if name.startswith("bias_ih"):
                    p.data[H : 2 * H] = 1  # gates i, f, g, o
        for name, p in self.classifier.named_parameters():
            (nn.init.xavier_uniform_ if name == "weight" else nn.init.zeros_)(p)

    @property
    def reads_padding(self) -> bool:
        """Whether padding is read like words, so that a text must always have the same."""
        return not self.config.use_mask

    def forward(
        self, input_ids, attention_mask=None, token_type_ids=None, labels=None
    ) -> SequenceClassifierOutput:
        """input_ids, attention_mask (B, L), labels (B,) -> loss, logits (B, C) or (B, 1).

        With use_mask the padding has to stand behind the text.  token_type_ids is there for the
        sake of one interface; it is not looked at.
        """
        config, pad = self.config, self.config.pad_token_id
        ids = visible_ids(input_ids, attention_mask, pad).T  # (L, B): time leads
        lengths, outside = None, None
        if config.use_mask:
            outside = (ids == pad)[:, :, None]  # (L, B, 1)
            lengths = (ids != pad).sum(axis=0)  # (B,)
        if self.training:
            ids = drop_words(ids, config.word_dropout, pad)
        x = self.dropout(self.embedding(ids))  # (L, B, D)
        states, (h_n, _) = self.lstm(x, lengths=lengths)  # (L, B, directions H)
        if config.pooling == "max":
            r = F.max(states if outside is None else F.masked_fill(states, outside, -2.0), 0)
        else:  # of both directions, each at its own end
            r = F.concatenate([h_n[-2], h_n[-1]], 1) if config.bidirectional else h_n[-1]
        logits = self.classifier(self.dropout(r))  # (B, C) or (B, 1)
        loss = None if labels is None else classification_loss(logits, labels)
        return SequenceClassifierOutput(loss, logits)

    @classmethod
    def hugging_face_names(cls, config: LSTMConfig) -> NameTable:
        """No other library knows this network: the names in the file are our own."""
        names = ["embedding.weight", "classifier.weight", "classifier.bias"]
        for i in range(config.num_layers):
            for suffix in (f"l{i}", f"l{i}_reverse")[: 1 + config.bidirectional]:
                kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                names += [f"lstm.{kind}_{suffix}" for kind in kinds]
        return {name: name for name in names}
