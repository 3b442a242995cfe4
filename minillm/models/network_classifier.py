"""A network and its tokenizer as a text classifier: all that lies between a text and its label.

    text --clean--> text --tokenizer--> ids --truncate, special tokens--> ids, at most max_length
         --batches of similar length--> network --softmax--> probabilities

Training uses the same way in: `encode` gives the ids that the network is trained on.
"""

import contextlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import minillm
from minillm.data.labelled_batches import LabelledBatches
from minillm.data.truncate import WAYS, truncate, windows
from minillm.files import atomic_files
from minillm.foreign_files import folder_file
from minillm.models.average_classifier import AverageForSequenceClassification
from minillm.models.bert_classifier import BertForSequenceClassification
from minillm.models.classification import log_probabilities, probabilities
from minillm.models.cnn_classifier import CNNForSequenceClassification
from minillm.models.lstm_classifier import LSTMForSequenceClassification
from minillm.models.pretrained import PretrainedModel
from minillm.models.text_classifier import TextClassifier, check_texts, read_classifier_config
from minillm.text import WordPieceTokenizer, clean_text

NETWORK_CLASSES: dict[str, type[PretrainedModel]] = {
    "bert": BertForSequenceClassification,
    "minillm-average": AverageForSequenceClassification,
    "minillm-cnn": CNNForSequenceClassification,
    "minillm-lstm": LSTMForSequenceClassification,
}


class NetworkClassifier(TextClassifier):
    """Classifies texts by a network that reads ids.

    network    : gives logits for input_ids and attention_mask; its config names the classes
    tokenizer  : the one whose ids the network was trained on
    max_length : how many ids of a text the network reads, special tokens included
    truncation : of longer texts, "head": the first, "tail": the last, "head_tail": some of both,
                 "windows": all, cut into pieces that overlap by a quarter; the pieces' log
                 probabilities are averaged

    A text without a word is read as one unknown word.

    Raises ValueError for settings that can't be, or a tokenizer and network that don't fit.
    """

    def __init__(
        self,
        network: PretrainedModel,
        tokenizer: WordPieceTokenizer,
        max_length: int,
        truncation: str = "head",
    ):
        config = network.config
        if truncation not in (*WAYS, "windows"):
            raise ValueError(
                f"truncation={truncation!r}: expected one of {', '.join((*WAYS, 'windows'))}"
            )
        added = tokenizer.num_special_tokens_to_add(False)
        if not isinstance(max_length, int) or max_length <= added:
            raise ValueError(
                f"max_length={max_length!r}: expected an integer above the {added} special tokens"
            )
        longest = getattr(config, "max_position_embeddings", max_length)
        if max_length > longest:
            raise ValueError(f"max_length={max_length}: the network reads at most {longest} tokens")
        if tokenizer.get_vocab_size() > config.vocab_size:
            raise ValueError(
                f"the tokenizer has {tokenizer.get_vocab_size()} tokens, the network knows only "
                f"{config.vocab_size}: they don't belong together"
            )
        self.network, self.tokenizer = network, tokenizer
        self.max_length, self.truncation = max_length, truncation
        self.threads = 1  # batches computed at the same time; on two cores 2 suit a Transformer
        self.label_names = list(config.id2label.values())
        self._room = max_length - added  # for the text's own ids
        self._unknown = tokenizer.token_to_id(tokenizer.model.unk_token)
        template, names = tokenizer.post_processor, [p for p, _ in tokenizer.post_processor.single]
        text_place = names.index("$A")
        self._before, self._behind = (
            [id for name in part for id, _ in template.special_tokens[name]]
            for part in (names[:text_place], names[text_place + 1 :])
        )

    @property
    def padding(self) -> dict:
        """How batches are padded, as arguments for `LabelledBatches`.

        Usually behind the text, to the longest of the batch.  A network that reads the padding
        must always find the same: before the text, to max_length.
        """
        padding = {"pad_id": self.network.config.pad_token_id}
        if getattr(self.network, "reads_padding", False):
            padding |= {"pad_to": self.max_length, "pad_left": True}
        return padding

    # ------------------------------------------------------------------------------ text -> ids

    def encode(self, texts: Sequence[str], show_progress: bool = False) -> list[np.ndarray]:
        """The ids of each text as the network reads them: int64 arrays of 1 to max_length.

        With truncation "windows" the first window of each; `encode_windows` gives all.
        """
        return [pieces[0] for pieces in self._pieces(texts, show_progress)]

    def encode_windows(
        self, texts: Sequence[str], show_progress: bool = False
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """The ids of all pieces of all texts, and for each piece the number of its text.

        To train on windows: `ids, owners = encode_windows(texts)`, with labels[owners].
        """
        pieces = list(self._pieces(texts, show_progress))
        owners = np.repeat(np.arange(len(pieces)), [len(p) for p in pieces])
        return [ids for of_text in pieces for ids in of_text], owners

    def _pieces(self, texts, show_progress):
        texts = check_texts(texts)
        for text in tqdm(texts, desc="tokenizing", unit=" texts", disable=not show_progress):
            yield [np.array(ids, np.int64) for ids in self._pieces_of(text)]

    def _pieces_of(self, text):
        # A text in which "[PAD]" is written must not pass for padding.
        pad, unknown = self.network.config.pad_token_id, self._unknown
        ids = self.tokenizer.encode_ids(clean_text(text)) or [unknown]
        if pad in ids:
            ids = [unknown if id == pad else id for id in ids]
        if self.truncation == "windows":
            pieces = windows(ids, self._room, stride=max(1, self._room * 3 // 4))
        else:
            pieces = [truncate(ids, self._room, self.truncation)]
        return [[*self._before, *piece, *self._behind] for piece in pieces]

    # --------------------------------------------------------------------- ids -> probabilities

    def predict_proba(
        self, texts: Sequence[str], batch_size: int = 32, show_progress: bool = False
    ) -> np.ndarray:
        """The probability of every class for every text: (N, C) float64, rows sum to 1."""
        ids, owners = self.encode_windows(texts, show_progress)
        if not ids:
            return np.zeros((0, len(self.label_names)))
        log_p = self._log_probabilities(ids, batch_size, show_progress)  # (pieces, C)
        total = np.zeros((owners[-1] + 1, len(self.label_names)))
        np.add.at(total, owners, log_p)
        return probabilities(total / np.bincount(owners)[:, None])

    def _log_probabilities(self, ids, batch_size, show_progress):
        device = next(iter(self.network.parameters())).device
        # Texts of similar length share a batch, so there is little padding.
        batches = LabelledBatches(ids, None, batch_size, shuffle=False, **self.padding)
        log_p = np.empty((len(ids), len(self.label_names)))
        was_training = self.network.training
        self.network.eval()

        def compute(i):
            batch = {n: minillm.tensor(a, device=device) for n, a in batches.batch(i).items()}
            with minillm.no_grad():  # each thread has its own switch
                logits = self.network(**batch).logits
            log_p[batches.rows(i)] = log_probabilities(logits.numpy())

        try:
            with contextlib.ExitStack() as stack:
                run_all = map
                if self.threads > 1:  # then BLAS's own threads would fight with ours
                    stack.enter_context(threadpool_limits(1, user_api="blas"))
                    run_all = stack.enter_context(ThreadPoolExecutor(self.threads)).map
                done = run_all(compute, range(len(batches)))
                for _ in tqdm(
                    done, desc="classifying", total=len(batches), disable=not show_progress
                ):
                    pass
        finally:
            self.network.train(was_training)
        return log_p

    def num_parameters(self) -> int:
        """How many numbers were learned."""
        return self.network.num_parameters()

    # ------------------------------------------------------------------------- saving, opening

    def save_pretrained(self, folder: str | os.PathLike) -> None:
        """Write config.json, model.safetensors and tokenizer.json into `folder`.

        For a BERT also what `AutoModelForSequenceClassification` and `AutoTokenizer` of
        transformers need.  All of them or none: an interrupted write, or a full disk, leaves the
        old ones.
        """
        with atomic_files(folder) as new:
            self._write_files(new)

    def _write_files(self, folder: Path) -> None:
        self.tokenizer.save(folder / "tokenizer.json")
        settings = {"max_length": self.max_length, "truncation": self.truncation}
        self.network.write_files(folder, {"minillm": settings})
        if isinstance(self.network, BertForSequenceClassification):
            text = _json(self._tokenizer_config())
            (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")

    def _tokenizer_config(self) -> dict:
        """What transformers wants to know of a tokenizer besides tokenizer.json."""
        names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
        tokens = ("[PAD]", self.tokenizer.model.unk_token, "[CLS]", "[SEP]", "[MASK]")
        there = {
            name: token
            for name, token in zip(names, tokens, strict=True)
            if self.tokenizer.token_to_id(token) is not None
        }
        return {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": self.tokenizer.normalizer.lowercase,
            "model_max_length": self.max_length,
        } | there

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike) -> "NetworkClassifier":
        """Open a folder that `save_pretrained` (or transformers, for a BERT) wrote."""
        folder = Path(folder)
        config = read_classifier_config(folder)
        network_class = NETWORK_CLASSES.get(config["model_type"])
        if network_class is None:
            raise ValueError(
                f"{folder / 'config.json'}: a {config['model_type']!r} model isn't a network; "
                "open it by TextClassifier.from_pretrained"
            )
        tokenizer_file = folder_file(folder, "tokenizer.json")
        network = network_class.from_pretrained(folder)
        tokenizer = WordPieceTokenizer.from_file(tokenizer_file)
        settings = config.get("minillm")
        if settings is None and config["model_type"] == "bert":  # saved by transformers
            settings = {"max_length": network.config.max_position_embeddings}
        try:
            if not isinstance(settings, dict):
                raise ValueError(f"{settings!r}, expected max_length and truncation")
            return cls(network, tokenizer, **settings)
        except (TypeError, ValueError) as error:
            raise ValueError(f'{folder / "config.json"}, section "minillm": {error}') from error


def _json(values: dict) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"
