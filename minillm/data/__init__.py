"""From documents to batches: corpus sources, the held-out split, sentence pairs, masks, padding.

    corpus = open_corpus("my_texts/")                          # or embedded_reviews()
    training, held_out = split_documents(corpus, held_out=0.1)
    encoded = encode_corpus(training, tokenizer, "runs/cache")
    batches = PretrainingBatches(encoded, tokenizer, batch_size=64, max_length=128)
    batches.batch(0)["input_ids"]                              # [64, up to 128]

Plain NumPy: nothing here knows of tensors or gradients.
"""

from minillm.data.batches import PretrainingBatches
from minillm.data.corpus import Corpus, Documents, JsonLines, TextFile, TextFolder, open_corpus
from minillm.data.encoded import EncodedCorpus, encode_corpus
from minillm.data.masking import IGNORED, Masking
from minillm.data.pairs import PairPlan, plan_pairs
from minillm.data.reviews import embedded_labelled_reviews, embedded_reviews
from minillm.data.split import document_key, is_held_out, split_documents

__all__ = [
    "IGNORED",
    "Corpus",
    "Documents",
    "EncodedCorpus",
    "JsonLines",
    "Masking",
    "PairPlan",
    "PretrainingBatches",
    "TextFile",
    "TextFolder",
    "document_key",
    "embedded_labelled_reviews",
    "embedded_reviews",
    "encode_corpus",
    "is_held_out",
    "open_corpus",
    "plan_pairs",
    "split_documents",
]
