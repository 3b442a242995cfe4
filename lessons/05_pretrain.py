# %% [markdown]
# # Lesson 05: pretraining BERT
#
# A network that has read a lot knows a lot: which words go together, what follows from what, how
# an argument turns. Nobody has to label anything for that: we hide words and ask for them back.
#
# (With `--model gpt` a network that writes is pretrained instead, on the same texts, by the same
# trainer. That way of the lesson has its own file, [05_pretrain_gpt.py](05_pretrain_gpt.py).)
#
# **You will learn** how raw text becomes training examples; what BERT is asked (masked words, next
# sentence) and why it is asked that way; how a training run is watched; and how to tell whether
# a number such as "28 % accuracy" is good.
#
# **Expectation card** (the default run; `--quick` stays near its beginning)
#
# | what | expected |
# |---|---|
# | loss at step 0 | near ln V + ln 2: no better than guessing among V tokens and two answers |
# | then | falls quickly to the unigram level (only frequent words), then in a long slope |
# | masked words at the end | above the best guess from the two neighbours |
# | next sentence at the end | above counting shared words |
# | broken: the loss stays at ln V | learning rate far too small, or the labels are shifted |
# | broken: the loss is 0.7 after 100 steps | the model sees the answers: nothing was masked |
# | broken: NSP is at 50 % for ever | its label is ignored (0 is a class here, not "no label") |

# %%
import argparse
import itertools
import json
import math
import runpy
import time
from pathlib import Path

import numpy as np

import minillm
from minillm.data import (
    PretrainingBatches,
    embedded_reviews,
    encode_corpus,
    open_corpus,
    split_documents,
)
from minillm.evaluation import (
    NeighbourGuess,
    WordOverlap,
    evaluate_baselines,
    evaluate_pretraining,
)
from minillm.evaluation.pictures import plot_attention, plot_pretraining
from minillm.lessons import arguments, pictures, positive, say, table
from minillm.models import BertConfig, BertForPreTraining
from minillm.models.bert_config import SIZES
from minillm.models.head_start import head_start
from minillm.text import WordPieceTokenizer, clean_text, split_sentences
from minillm.training import Trainer, at_the_same_time, checkpoints, read_metrics

way = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
way.add_argument("--model")
if way.parse_known_args()[0].model == "gpt":  # the other way has options of its own
    runpy.run_path(str(Path(__file__).with_name("05_pretrain_gpt.py")), run_name="__main__")
    raise SystemExit


def add_options(parser):
    parser.add_argument(
        "--model",
        choices=("bert", "gpt"),
        default="bert",
        help="gpt: a network that writes, into runs/05_pretrain_gpt (see --model gpt --help)",
    )
    parser.add_argument("--steps", type=positive, help="training steps")
    parser.add_argument("--batch-size", type=positive, help="pairs a step, a multiple of 8")
    parser.add_argument("--size", choices=SIZES, help="a published size instead of the lesson's")
    parser.add_argument(
        "--precision",
        choices=("float32", "float16"),
        default="float32",
        help="float16: mixed precision, a third less memory; faster on a GPU, slower on a CPU",
    )
    parser.add_argument("--resume", action="store_true", help="go on where a run was stopped")


options = arguments("05_pretrain", "Pretrain a small BERT from raw text.", add_options)
if options.model == "gpt":  # asked for in a notebook, which has no command line
    raise ValueError("this notebook is BERT's: open 05_pretrain_gpt.py as a notebook for GPT")

# %% [markdown]
# ## The recipe
#
# Twelve minutes on two cores are about 33 million tokens for a network of this size. How to spend
# them was found by experiment; the table at the end of this lesson says what each choice is worth.

# %%
recipe = {
    "documents": None,  # all of them
    "vocab_size": 4096,
    "max_length": 64,
    "batch_size": 32,
    "mask_probability": 0.2,
    "steps": 16_000,
    "learning_rate": 1e-3,
    "warmup_steps": 200,
    "validate_every": 500,
    "checkpoint_every": 1000,
    "size": {
        "num_hidden_layers": 2,
        "hidden_size": 128,
        "num_attention_heads": 4,
        "intermediate_size": 512,
    },
}
if options.quick:
    recipe |= {"documents": 1500, "vocab_size": 1000, "max_length": 48, "batch_size": 32}
    recipe |= {"steps": 120, "warmup_steps": 20, "validate_every": 40, "checkpoint_every": 60}
if options.steps:
    recipe["steps"] = options.steps
    recipe["warmup_steps"] = min(recipe["warmup_steps"], options.steps // 10)
if options.batch_size:
    if options.batch_size % 8:  # two processes, and pairs that come in fours
        raise ValueError(f"--batch-size {options.batch_size}: it must be a multiple of 8")
    recipe["batch_size"] = options.batch_size

# %% [markdown]
# ## 1. Text, and a part of it that nobody looks at
#
# The corpus is a row of documents. One in ten is held out, chosen by a hash of its own text, so
# that the same review can't stand on both sides. Everything that is counted or learned below,
# the vocabulary included, comes from the training part alone.

# %%
if checkpoints(options.out) and not options.resume:
    raise FileExistsError(
        f"{options.out} holds the checkpoints of a run: go on with it by --resume, or choose "
        "another folder with --out"
    )
if options.data:
    corpus = open_corpus(options.data, errors=options.errors)
else:
    corpus = embedded_reviews()
if recipe["documents"]:
    corpus = corpus.first(recipe["documents"])
training_texts, held_out_texts = split_documents(corpus, held_out=0.1)
say(f"Corpus: {corpus.name}. One document in ten is held out.")

# %% [markdown]
# ## 2. Words into pieces
#
# A list of words would never be complete. WordPiece keeps frequent words whole and spells rare
# ones in pieces (`##` continues a word), so that a few thousand pieces can write everything.

# %%
model_folder = options.out / "model"
model_folder.mkdir(parents=True, exist_ok=True)
tokenizer_file = model_folder / "tokenizer.json"
if options.resume and tokenizer_file.is_file():
    tokenizer = WordPieceTokenizer.from_file(tokenizer_file)
else:
    cleaned = (clean_text(text) for text in training_texts)
    tokenizer = WordPieceTokenizer.train(
        cleaned,
        vocab_size=recipe["vocab_size"],
        limit_alphabet=recipe["vocab_size"] // 2,  # Chinese needs thousands of characters
    )
    tokenizer.save(tokenizer_file)
V = tokenizer.get_vocab_size()

cache = options.out / "cache"
training_corpus = encode_corpus(training_texts, tokenizer, cache)
held_out_corpus = encode_corpus(held_out_texts, tokenizer, cache)
table(
    [
        (part, f"{c.document_count:,}", f"{c.sentence_count:,}", f"{c.token_count:,}")
        for part, c in (("training", training_corpus), ("held out", held_out_corpus))
    ],
    ("part", "documents", "sentences", "tokens"),
)
sample = next(s for text in held_out_texts for s in split_sentences(clean_text(text)))[:90]
say(f"{V:,} pieces. A held-out sentence in pieces:")
print("   ", " ".join(tokenizer.encode(sample, add_special_tokens=False).tokens))

# %% [markdown]
# ## 3. Two questions about every pair
#
# Each example is `[CLS] A [SEP] B [SEP]`. Half of the time B is what follows A, half of the time
# it comes from another document: *next sentence prediction* (NSP). In both, 15 % of the tokens
# are chosen, and the model is asked what stood there: *masked language modelling* (MLM). During
# training 80 % of the chosen tokens become `[MASK]`, 10 % a random token, 10 % stay: so the model
# can never be sure that a token is right just because it is visible. For measuring, all become
# `[MASK]`.

# %%
batches = PretrainingBatches(
    training_corpus,
    tokenizer,
    batch_size=recipe["batch_size"] // 2,  # half a batch for each of two processes
    max_length=recipe["max_length"],
    seed=options.seed,
    mask_probability=recipe["mask_probability"],
    replace=(1, 0, 0),
    short_seq_prob=0.0,
    contrast=True,
)
held_out_batches = PretrainingBatches(
    held_out_corpus,
    tokenizer,
    batch_size=min(32, recipe["batch_size"]),
    max_length=recipe["max_length"],
    seed=1,
    replace=(1, 0, 0),
    short_seq_prob=0.0,
    contrast=True,
)
validation = [held_out_batches.batch(i) for i in range(min(20, len(held_out_batches)))]


def show_pair(batch, row=0):
    """One example as the model sees it, and what it is asked."""
    length = int(batch["attention_mask"][row].sum())
    ids, labels = batch["input_ids"][row, :length], batch["labels"][row, :length]
    say("One example, as the model sees it:")
    say(" ".join(tokenizer.id_to_token(int(i)) for i in ids))
    asked = [tokenizer.id_to_token(int(i)) for i in labels if i >= 0]
    answer = "another text" if batch["next_sentence_label"][row] else "what follows A"
    say(f"It is asked for: {' '.join(asked)}. And B is: {answer}.")


show_pair(batches.batch(0))

# %% [markdown]
# ## 4. The network
#
# Token, position and segment vectors are added; each layer lets every position look at all others
# (self-attention) and then thinks about each by itself; a last linear map, which shares its weight
# with the token vectors, scores every piece of the vocabulary. The first layer gets a head start:
# two of its heads begin by looking at the neighbours, the others at the same word in B.

# %%
minillm.manual_seed(options.seed)
measures = {
    "vocab_size": V,
    "max_position_embeddings": max(recipe["max_length"], 64),
    "hidden_dropout_prob": 0.0,  # ten minutes are too short to overfit
    "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.05,
}
if options.size:
    config = BertConfig.from_size(options.size, **measures)
else:
    config = BertConfig(**recipe["size"], **measures)
model = BertForPreTraining(config)
if config.num_attention_heads >= 3:  # the published "tiny" has only two
    head_start(model, options.seed)
say(
    f"A BERT of {config.num_hidden_layers} layers, {config.hidden_size} wide, with "
    f"{config.num_attention_heads} heads: {model.num_parameters():,} parameters."
)

if options.data:
    held_out_sentences = (s for t in held_out_texts for s in split_sentences(clean_text(t)))
    cloze = []
    for sentence in itertools.islice(held_out_sentences, 200):
        pieces = tokenizer.encode(sentence, add_special_tokens=False)
        if 6 <= len(pieces.ids) <= 30 and len(cloze) < 4:
            begin, end = pieces.offsets[len(pieces.ids) // 2]
            cloze.append(f"{sentence[:begin]} [MASK] {sentence[end:]}")
else:
    cloze = [
        "this is one of the best [MASK] i have ever seen.",
        "the [MASK] was terrible and the story made no sense.",
        "i would not [MASK] this movie to anyone.",
        "she gives a wonderful [MASK] as the young mother.",
        "it is based on a [MASK] by stephen king.",
    ]


def fill(sentences):
    """The three most probable pieces for the gap of each sentence."""
    mask = tokenizer.token_to_id("[MASK]")
    rows = []
    model.eval()
    for sentence in sentences:
        ids = np.array([tokenizer.encode(sentence).ids[: config.max_position_embeddings]])
        with minillm.no_grad():
            logits = model(minillm.tensor(ids, device=options.device)).prediction_logits.numpy()
        gap = int(np.argmax(ids[0] == mask))
        p = np.exp(logits[0, gap] - logits[0, gap].max())
        p /= p.sum()
        best = np.argsort(-p)[:3]
        guesses = ", ".join(f"{tokenizer.id_to_token(int(i))} {p[i]:.0%}" for i in best)
        rows.append((sentence, guesses))
    table(rows, ("sentence", "guesses"))


model.to(options.device)
say("Before training it knows nothing:")
fill(cloze)

# %% [markdown]
# ## 5. Training
#
# AdamW with a warm-up and a linear decay. Every few hundred steps the model answers questions
# about held-out documents. A run that is stopped (Ctrl-C, or worse) goes on with `--resume`, to
# the bit as if nothing had happened.

# %%
say(f"Training: {recipe['steps']:,} steps of {recipe['batch_size']} pairs.")


def objective(model, batch):
    """The loss of a batch: masked words + next sentence."""
    output = model(**batch)
    return output.loss, {}


def validate(model):
    return evaluate_pretraining(model, validation)


trainer = Trainer(
    model,
    objective,
    batches.batch,
    steps=recipe["steps"],
    learning_rate=recipe["learning_rate"],
    warmup_steps=recipe["warmup_steps"],
    betas=(0.9, 0.98),
    eps=1e-6,
    seed=options.seed,
    data_fingerprint=batches.fingerprint,
    **at_the_same_time(2, options.device),  # two half batches, on two cores
    precision=options.precision,
    device=options.device,
    out=options.out,
    validate=validate,
    validate_every=recipe["validate_every"],
    checkpoint_every=recipe["checkpoint_every"],
)
begun = time.perf_counter()
trainer.run(resume=options.resume)
minutes = (time.perf_counter() - begun) / 60
model.save_pretrained(model_folder)
metrics = read_metrics(options.out / "metrics.jsonl")

# %% [markdown]
# ## 6. What did it learn?
#
# On documents that it never saw, beside three guesses that need no network. The neighbours' guess
# is the honest rival for masked words: the token seen most often between these two neighbours in
# the training text. For next sentences it is counting shared words, rare ones more.

# %%
say("Evaluating on held-out documents ...")
test_batches = list(itertools.islice(held_out_batches, 400 if not options.quick else 40))
result = evaluate_pretraining(model, test_batches)
hidden = [tokenizer.token_to_id(t) for t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")]
baselines = evaluate_baselines(
    test_batches,
    NeighbourGuess(training_corpus, V),
    WordOverlap(training_corpus, V, [batches.batch(i) for i in range(min(300, len(batches)))]),
    hidden,
)
rows = [
    ("most frequent token", f"{baselines['most_frequent']:.1%}", ""),
    ("best guess from the neighbours", f"{baselines['neighbours']:.1%}", ""),
    ("shared words, weighted", "", f"{baselines['word_overlap']:.1%}"),
    ("this BERT", f"{result['mlm_accuracy']:.1%}", f"{result['nsp_accuracy']:.1%}"),
]
table(rows, ("held-out documents", "masked words", "next sentence"))
say(
    f"Masked-word loss {result['mlm_loss']:.3f} nats (guessing blindly: ln V = {math.log(V):.2f}). "
    f"Training took {minutes:.1f} minutes."
)
(options.out / "evaluation.json").write_text(
    json.dumps({"model": result, "baselines": baselines, "minutes": minutes}, indent=2) + "\n"
)

# %%
say("The same gaps as before:")
fill(cloze)

# %% [markdown]
# ## 7. Pictures
#
# `training.png`: the loss, and the held-out accuracies beside the baselines. Look for the shelf
# near the beginning, where only word frequencies are known, and for the moment it is left.
#
# `attention.png`: who looks at whom, layer by layer and head by head. Rows look at columns. Look
# for heads that look one place to the left or right, and for heads that look for the same word in
# the other sentence.

# %%
plot_pretraining(
    metrics,
    options.out / "training.png",
    {
        "neighbours' guess": baselines["neighbours"],
        "most frequent token": baselines["most_frequent"],
        "shared words (NSP)": baselines["word_overlap"],
    },
)
encoded = tokenizer.encode(cloze[0].replace("[MASK]", "films"), cloze[1].replace("[MASK]", "films"))
with minillm.no_grad():
    output = model(
        *(
            minillm.tensor(np.array([ids[: config.max_position_embeddings]]), device=options.device)
            for ids in (encoded.ids, encoded.type_ids)
        ),
        output_attentions=True,
    )
plot_attention(
    [layer.numpy()[0] for layer in output.attentions],
    encoded.tokens[: config.max_position_embeddings],
    options.out / "attention.png",
)
pictures(options.out / "training.png", options.out / "attention.png")
say(
    f"Saved: {model_folder} (the model, which transformers opens too), "
    f"{options.out / 'evaluation.json'}, {options.out / 'metrics.jsonl'}."
)

# %% [markdown]
# ## How the recipe was found
#
# By short runs, each 1.6 to 3.1 million tokens, one seed each, vocabulary 4,096, two layers 128
# wide, batches of 32, measured on held-out reviews with `[MASK]` at every gap. (They were made with
# a PyTorch model of the same shape, to have a second opinion. One seed means: differences of a
# point are noise. Rows differ in length, and a few in more than the change they name.)
#
# | change | tokens | masked words | next sentence |
# |---|---|---|---|
# | initial weights N(0, 0.02^2), learning rate 2e-3 | 3.1 M | 5.5 % | 50.1 % |
# | N(0, 0.05^2), positions begin as sines and cosines | 3.1 M | 13.2 % | 49.9 % |
# | the same with batches of 16 | 2.1 M | 5.3 % | 50.1 % |
# | length 32 instead of 64, learning rate 1e-3 | 1.6 M | 15.5 % | 47.6 % |
# | heads begin at the neighbours (`head_start`) | 1.8 M | 15.9 % | 50.9 % |
# | ... and two heads at the same word in B | 2.9 M | 17.7 % | 51.7 % |
# | ... and every batch has as many true as random pairs | 1.8 M | 15.5 % | 58.1 % |
# | ... in fours: (A, B) (A', B') (A, B') (A', B) | 1.8 M | 15.7 % | 60.4 % |
# | ... with learning rate 2e-3 instead of 1e-3 | 1.8 M | 15.3 % | 51.6 % |
# | in fours, without these heads, warm-up of 200 steps instead of 100 | 1.8 M | 5.4 % | 51.0 % |
# | in fours, 8 heads: three places on each side, two for the same word | 1.8 M | 14.3 % | 50.0 % |
#
# And with this library, 20 % masked, in fours, with `head_start`, learning rate 1e-3 (on 1,920
# held-out pairs; the row of rate 1.5e-3 on 640):
#
# | change | tokens | masked words | next sentence |
# |---|---|---|---|
# | whole sentences, split near the middle, cut at random ends | 2.0 M | 15.2 % | 52.0 % |
# | A and B half a sequence each, on either side of a boundary | 3.1 M | 17.2 % | 58.3 % |
# | ... learning rate 1.5e-3, warm-up of 600 steps | 3.1 M | 17.1 % | 53.4 % |
# | ... the next-sentence loss counted three times | 3.1 M | 16.1 % | 53.4 % |
# | ... the next-sentence loss counted 0.3 times | 3.1 M | 17.8 % | 57.0 % |
#
# What it suggests: the shelf is left much sooner if the first layer knows where to look; and within
# these few minutes next sentences were learned only when a batch gave nothing away but the content,
# both sides had enough of it, and the rate was low. All rows were still rising, so the rest was
# spent on making a step faster, and on more steps. What the recipe above reaches in the end is in
# the README; the whole run was not repeated without the head start.

# %% [markdown]
# ## Questions
#
# 1. The loss begins near ln V + ln 2. Why that number? With a vocabulary of 30,522?
# 2. Why is the accuracy on held-out documents measured with `[MASK]` at every gap, and what would
#    change if a tenth of the tokens stayed visible?
# 3. Set `replace=(0.8, 0.1, 0.1)` for training, as BERT does. What does it cost here, and what is
#    it good for?
# 4. Comment out `head_start`. How long is the shelf in the loss curve now?
# 5. The neighbours' guess sees two tokens, the model sees 64. Find a gap that only the model fills.
#
# ## Exercise
#
# `lessons/exercises/ex05_pretrain.py` has functions to fill in: choosing and hiding tokens,
# sentence pairs, BERT's input, both losses, and a weight that is used twice. Grade yourself with
#
#     python -m pytest tests/exercises -k ex05
#
# An experiment besides: next sentence prediction was dropped by RoBERTa (Liu et al. 2019). Train
# once without it (return only the masked-word part in `objective`) and compare the masked-word
# accuracy at equal time.
