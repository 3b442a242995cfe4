"""From texts to batches, with labels and without.

For pretraining: corpus sources, the held-out split, sentence pairs, masks, padding.

    corpus = open_corpus("my_texts/")                          # or embedded_reviews()
    training, held_out = split_documents(corpus, held_out=0.1)
    encoded = encode_corpus(training, tokenizer, "runs/cache")
    batches = PretrainingBatches(encoded, tokenizer, batch_size=64, max_length=128)
    batches.batch(0)["input_ids"]                              # [64, up to 128]

For classifiers: labelled texts, stratified splits, padding.  `python -m minillm.data.download`
(or `from minillm.data.download import download`) fetches well-known sets.

    data = open_labelled("reviews.csv")                        # or embedded_labelled_reviews()
    training, test = train_test_split(data, test_size=0.2, seed=0)
    ids = [truncate(tokenizer.encode(text).ids, 128) for text in training.texts]
    batches = LabelledBatches(ids, training.labels, batch_size=32)

Plain NumPy: nothing here knows of tensors or gradients.
"""

from minillm.data.batches import PretrainingBatches
from minillm.data.corpus import Corpus, Documents, JsonLines, TextFile, TextFolder, open_corpus
from minillm.data.encoded import EncodedCorpus, encode_corpus
from minillm.data.labelled import LabelledTexts, open_labelled
from minillm.data.labelled_batches import LabelledBatches
from minillm.data.masking import IGNORED, Masking
from minillm.data.pairs import PairPlan, plan_pairs
from minillm.data.reviews import embedded_labelled_reviews, embedded_reviews
from minillm.data.split import document_key, is_held_out, split_documents
from minillm.data.stratified import stratified_folds, stratified_sample, train_test_split
from minillm.data.truncate import truncate, windows

__all__ = [
    "IGNORED",
    "Corpus",
    "Documents",
    "EncodedCorpus",
    "JsonLines",
    "LabelledBatches",
    "LabelledTexts",
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
    "open_labelled",
    "plan_pairs",
    "split_documents",
    "stratified_folds",
    "stratified_sample",
    "train_test_split",
    "truncate",
    "windows",
]
