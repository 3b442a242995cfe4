"""From texts to batches, with labels and without.

For pretraining: corpus sources, the held-out split, sentence pairs, masks, padding.

    corpus = open_corpus("my_texts/")                          # or embedded_reviews()
    training, held_out = split_documents(corpus, held_out=0.1)
    encoded = encode_corpus(training, tokenizer, "runs/cache")
    batches = PretrainingBatches(encoded, tokenizer, batch_size=64, max_length=128)
    batches.batch(0)["input_ids"]                              # [64, up to 128]

For a model that predicts the next token: whole documents, and windows of the row that they make.

    encoded = encode_corpus(training, tokenizer, "runs/cache", whole_documents=True)
    batches = CausalBatches(encoded, batch_size=32, length=128, end_of_text=0)

Of either kind the text may be gigabytes: several processes encode it, memory stays flat, and the
next start opens what is there.

For classifiers: labelled texts, stratified splits, padding.  `python -m minillm.data.download`
(or `from minillm.data.download import download`) fetches well-known sets.

    data = open_labelled("reviews.csv")                        # or embedded_labelled_reviews()
    training, test = train_test_split(data, test_size=0.2, seed=0)
    ids = [truncate(tokenizer.encode(text).ids, 128) for text in training.texts]
    batches = LabelledBatches(ids, training.labels, batch_size=32)

For word vectors: words, their counts, pairs of neighbours, negative samples.

    vocabulary = WordCounts.count(map(split_words, texts), min_count=5)
    ids, offsets = vocabulary.encode(map(split_words, texts))
    centers, contexts = skip_gram_pairs(ids, offsets, window=5, generator=generator)

Plain NumPy: nothing here knows of tensors or gradients.
"""

from minillm.data.batches import PretrainingBatches
from minillm.data.causal_batches import CausalBatches, TokenRow, scoring_windows
from minillm.data.cooccurrence import Cooccurrences, count_cooccurrences
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
from minillm.data.word_pairs import (
    NegativeSampler,
    WordCounts,
    keep_probability,
    skip_gram_pairs,
    split_words,
    subsample,
)

__all__ = [
    "IGNORED",
    "CausalBatches",
    "Cooccurrences",
    "Corpus",
    "Documents",
    "EncodedCorpus",
    "JsonLines",
    "LabelledBatches",
    "LabelledTexts",
    "Masking",
    "NegativeSampler",
    "PairPlan",
    "PretrainingBatches",
    "TextFile",
    "TextFolder",
    "TokenRow",
    "WordCounts",
    "count_cooccurrences",
    "document_key",
    "embedded_labelled_reviews",
    "embedded_reviews",
    "encode_corpus",
    "is_held_out",
    "keep_probability",
    "open_corpus",
    "open_labelled",
    "plan_pairs",
    "scoring_windows",
    "skip_gram_pairs",
    "split_documents",
    "split_words",
    "stratified_folds",
    "stratified_sample",
    "subsample",
    "train_test_split",
    "truncate",
    "windows",
]
