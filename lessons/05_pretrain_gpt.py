# %% [markdown]
# # Lesson 05, the other way: pretraining GPT
#
# BERT fills gaps. GPT is asked a simpler question, at every place of a text: what comes next? Who
# can answer that can write: answer, append the answer, ask again.
#
# This is the lesson that `python lessons/05_pretrain.py --model gpt` runs: the same texts and the
# same trainer as there, a tokenizer and a network of another kind. Its results go to
# `runs/05_pretrain_gpt`.
#
# **You will learn** how text becomes examples when every token is a question; how perplexity and
# bits per byte are measured, and why windows overlap; what n-grams can do without any network; and
# what a model of a million parameters writes after ten minutes.
#
# **Expectation card** (the default run; `--quick` stays near its beginning)
#
# | what | expected |
# |---|---|
# | loss at step 0 | near ln V: any token might come |
# | then | falls quickly to the unigram level (only frequent tokens), then in a long slope |
# | perplexity at the end | below the Kneser-Ney bigram's; the trigram is a hard rival |
# | the text that it writes | grammar over a few words, the tone of a review, no argument |
# | broken: the loss is below 1 after 100 steps | the model sees the answers: no causal mask |
# | broken: the loss stays at ln V | learning rate far too small, or the labels aren't shifted |
# | broken: better in training than held out by far | too little text, or too many epochs |

# %%
import json
import math
import time

import minillm
from minillm.data import (
    CausalBatches,
    TokenRow,
    embedded_reviews,
    encode_corpus,
    open_corpus,
    split_documents,
)
from minillm.evaluation import causal_measures, evaluate_causal
from minillm.evaluation.causal_pictures import plot_causal
from minillm.files import atomic_write
from minillm.generation import generate
from minillm.lessons import arguments, pictures, positive, say, table
from minillm.models import GPTConfig, GPTForCausalLM
from minillm.models.kneser_ney import KneserNey
from minillm.text import BPETokenizer, CharacterTokenizer, clean_text, open_tokenizer
from minillm.training import Trainer, at_the_same_time, checkpoints, read_metrics

END_OF_TEXT = "<|endoftext|>"


def add_options(parser):
    parser.add_argument("--model", choices=("gpt",), default="gpt", help="what this lesson trains")
    parser.add_argument(
        "--tokenizer", choices=("bpe", "characters"), default="bpe", help="pieces or letters"
    )
    parser.add_argument("--steps", type=positive, help="training steps")
    parser.add_argument("--batch-size", type=positive, help="windows a step, an even number")
    parser.add_argument(
        "--precision",
        choices=("float32", "float16"),
        default="float32",
        help="float16: mixed precision, a third less memory; faster on a GPU, slower on a CPU",
    )
    parser.add_argument("--resume", action="store_true", help="go on where a run was stopped")


options = arguments("05_pretrain_gpt", "Pretrain a small GPT from raw text.", add_options)

# %% [markdown]
# ## The recipe
#
# A loss at every position, not at every fifth: a step asks more than BERT's, and costs more, for
# the scores of 4,096 tokens are computed everywhere. Ten minutes on two cores are about ten million
# tokens. So the batches are small (more steps), and the rate is high for a network this narrow.

# %%
recipe = {
    "documents": None,  # all of them
    "vocab_size": 4096,
    "length": 128,  # the context
    "batch_size": 16,
    "steps": 5000,
    "learning_rate": 2e-3,
    "warmup_steps": 200,
    "validate_every": 250,
    "validation_tokens": 16_000,
    "test_tokens": 400_000,
    "counted_tokens": 20_000_000,  # at most so many for the n-grams
    "checkpoint_every": 1000,
    "size": {"n_layer": 4, "n_embd": 128, "n_head": 4},
}
if options.tokenizer == "characters":
    recipe |= {"length": 256, "batch_size": 8}  # a word has five letters: look further back
if options.quick:
    recipe |= {"documents": 1500, "vocab_size": 1000, "length": 64, "batch_size": 16}
    recipe |= {"steps": 120, "warmup_steps": 20, "validate_every": 40, "checkpoint_every": 60}
    recipe |= {"validation_tokens": 4000, "test_tokens": 20_000}
    recipe |= {"size": {"n_layer": 2, "n_embd": 64, "n_head": 4}}
if options.steps:
    recipe["steps"] = options.steps
    recipe["warmup_steps"] = min(recipe["warmup_steps"], options.steps // 10)
if options.batch_size:
    if options.batch_size % 2:  # two processes
        raise ValueError(f"--batch-size {options.batch_size}: it must be an even number")
    recipe["batch_size"] = options.batch_size

# %% [markdown]
# ## 1. Text, and a part of it that nobody looks at
#
# As in the BERT lesson: one document in ten is held out, chosen by a hash of its own text, and
# everything that is counted or learned comes from the others alone.

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
# ## 2. Bytes into pieces
#
# A model that writes must be able to write everything: capitals, spaces, line breaks, emoji.
# *Byte-level BPE* begins with the 256 bytes, of which every text consists, and again and again
# makes one piece of the two neighbours that occur most often. No text is unknown to it, and what
# it takes apart comes out again exactly. A space belongs to the word behind it (shown as `Ġ`).
#
# `--tokenizer characters` takes the letters as they are instead.

# %%
model_folder = options.out / "model"
model_folder.mkdir(parents=True, exist_ok=True)
tokenizer_file = model_folder / "tokenizer.json"
if options.resume and tokenizer_file.is_file():
    tokenizer = open_tokenizer(tokenizer_file)
else:
    cleaned = (clean_text(text) for text in training_texts)
    if options.tokenizer == "characters":
        tokenizer = CharacterTokenizer.train(
            cleaned, special_tokens=(END_OF_TEXT,), unk_token="<|unknown|>"
        )
    else:
        tokenizer = BPETokenizer.train(
            cleaned, vocab_size=recipe["vocab_size"], special_tokens=(END_OF_TEXT,)
        )
    tokenizer.save(tokenizer_file)
V, end = tokenizer.get_vocab_size(), tokenizer.token_to_id(END_OF_TEXT)

cache = options.out / "cache"
training_corpus = encode_corpus(training_texts, tokenizer, cache, whole_documents=True)
held_out_corpus = encode_corpus(held_out_texts, tokenizer, cache, whole_documents=True)
table(
    [
        (part, f"{c.document_count:,}", f"{c.token_count:,}")
        for part, c in (("training", training_corpus), ("held out", held_out_corpus))
    ],
    ("part", "documents", "tokens"),
)
sample = next(text for text in map(clean_text, held_out_texts) if text)[:70]
say(f"{V:,} pieces. The beginning of a held-out document:")
print("   ", " ".join(tokenizer.encode(sample).tokens))

# %% [markdown]
# ## 3. One question at every place
#
# All documents in a row, an end-of-text token between them; a training example is a window cut out
# anywhere. The answers are the window itself, moved by one. Nobody has to hide anything: the
# *causal mask* inside the network lets a position look at itself and to the left only.

# %%
batches = CausalBatches(
    training_corpus,
    batch_size=recipe["batch_size"] // 2,  # half a batch for each of two processes
    length=recipe["length"],
    seed=options.seed,
    end_of_text=end,
)
example = batches.batch(0)["input_ids"][0, :8]
say("The beginning of an example, and what is asked at each place:")
table(
    [
        (repr(tokenizer.decode(example[: i + 1], skip_special_tokens=False)), repr(answer))
        for i, answer in enumerate(
            tokenizer.decode([id], skip_special_tokens=False) for id in example[1:]
        )
    ],
    ("seen", "asked for"),
)

# %% [markdown]
# ## 4. What can be had without a network
#
# - *Unigram*: how frequent is the token?
# - *Bigram, trigram*: how often did it come after the one token, the two tokens before it? Most
#   triples of a new text were never seen, so their counts are smoothed: *interpolated Kneser-Ney*,
#   long the best of its kind (`minillm/models/kneser_ney.py`).
#
# Two measures. The *perplexity* exp(loss): the model is as unsure as one that throws a die with so
# many sides. It depends on what a token is. *Bits per byte* don't: the loss of the whole text in
# bits, over its bytes. It is the size to which the model, with an arithmetic coder, would compress
# it. Every document's end is predicted too, and counted.

# %%
test = TokenRow(held_out_corpus, end)[: recipe["test_tokens"]]
test_bytes = len(tokenizer.decode(test).encode())
validation = test[: recipe["validation_tokens"]]
baselines_file = options.out / "baselines.json"
if options.resume and baselines_file.is_file():
    baselines = json.loads(baselines_file.read_text())
else:
    counted = batches.row[: recipe["counted_tokens"]]
    say(
        f"Counting n-grams in {len(counted):,} tokens; measuring on {len(test):,} held-out ones "
        f"({test_bytes / len(test):.2f} bytes each)."
    )
    baselines = {}
    for order, name in ((1, "unigram"), (2, "Kneser-Ney bigram"), (3, "Kneser-Ney trigram")):
        log_p = KneserNey(counted, V, order).log_probabilities(test)[1:]
        baselines[name] = causal_measures(-log_p.sum(), len(log_p), test_bytes)
    atomic_write(baselines_file, json.dumps(baselines, indent=2) + "\n")
HEADER = ("held-out documents", "perplexity", "bits per byte")


def measured(results):
    """The rows of the table."""
    return [
        (name, f"{r['perplexity']:,.1f}", f"{r['bits_per_byte']:.3f}")
        for name, r in results.items()
    ]


table(measured(baselines), HEADER)

# %% [markdown]
# ## 5. The network
#
# Token and position vectors are added; each layer gathers from the left (self-attention), then
# thinks about each position by itself; a norm stands before each of the two, and the result is
# added to what was there. A last linear map, which is the table of token vectors again, scores
# every token of the vocabulary.

# %%
minillm.manual_seed(options.seed)
config = GPTConfig(
    vocab_size=V,
    n_positions=recipe["length"],
    resid_pdrop=0.0,  # hardly a text is seen twice in ten minutes: no dropout
    embd_pdrop=0.0,
    attn_pdrop=0.0,
    bos_token_id=end,
    eos_token_id=end,
    **recipe["size"],
)
model = GPTForCausalLM(config).to(options.device)
say(
    f"A GPT of {config.n_layer} layers, {config.n_embd} wide, with {config.n_head} heads: "
    f"{model.num_parameters():,} parameters, {config.n_positions} tokens of context."
)
if options.data:
    beginnings = [tokenizer.encode_ids(clean_text(t))[:6] for t in held_out_texts.first(3)]
    prompts = [tokenizer.decode(ids) for ids in beginnings if ids] or [""]
else:
    prompts = ["This film", "I have seen", "The worst"]


def write(sampled):
    """Continue the prompts: always the most probable token, or drawn from the probable ones."""
    ids = [[end, *tokenizer.encode_ids(prompt)] for prompt in prompts]  # a document begins
    room = min(60, config.n_positions - max(map(len, ids)))
    settings = {"do_sample": True, "temperature": 0.9, "top_p": 0.95} if sampled else {}
    written = generate(model, ids, max_new_tokens=room, seed=options.seed, **settings)
    for prompt, row in zip(prompts, written.sequences, strict=True):
        say(f"[{prompt}]{tokenizer.decode(row)[len(prompt) :]}")


say("Before training it writes:")
write(sampled=True)

# %% [markdown]
# ## 6. Training
#
# The trainer of the BERT lesson: AdamW with a warm-up, here with a decay along half a cosine. Every
# few hundred steps the loss on held-out text is measured. `--resume` goes on with a stopped run, to
# the bit as if nothing had happened.

# %%
tokens = recipe["steps"] * recipe["batch_size"] * recipe["length"]
say(
    f"Training: {recipe['steps']:,} steps of {recipe['batch_size']} windows, {tokens:,} tokens, "
    f"{tokens / len(batches.row):.1f} times the training text."
)


def objective(model, batch):
    """The loss of a batch: the next token, at every position."""
    return model(**batch).loss, {}


def validate(model):
    return {"loss": evaluate_causal(model, validation, stride=recipe["length"] - 1)["loss"]}


trainer = Trainer(
    model,
    objective,
    batches.batch,
    steps=recipe["steps"],
    learning_rate=recipe["learning_rate"],
    warmup_steps=recipe["warmup_steps"],
    schedule="cosine",
    weight_decay=0.1,
    betas=(0.9, 0.95),
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
# ## 7. What did it learn?
#
# The held-out text is longer than the context. Scored in pieces, each piece would begin without
# any context; so the windows overlap by half, and only the second half counts
# (`minillm/evaluation/causal.py`). The n-grams answered for the same tokens.

# %%
say("Evaluating on held-out documents ...")
result = evaluate_causal(model, test, total_bytes=test_bytes)
table(measured(baselines | {"this GPT": result}), HEADER)
for name in ("Kneser-Ney bigram", "Kneser-Ney trigram"):
    ratio = result["perplexity"] / baselines[name]["perplexity"]
    say(f"Its perplexity is {ratio:.2f} times that of the {name}.")
say(
    f"Loss {result['loss']:.3f} nats a token (guessing blindly: ln V = {math.log(V):.2f}). "
    f"Training took {minutes:.1f} minutes."
)
(options.out / "evaluation.json").write_text(
    json.dumps({"model": result, "baselines": baselines, "minutes": minutes}, indent=2) + "\n"
)

# %% [markdown]
# ## 8. Let it write
#
# Always the most probable token, which soon goes round in circles; then drawn at random from the
# probable ones. Lesson 08 is about what lies between.

# %%
say("Always the most probable token:")
write(sampled=False)
say("Drawn from the probable ones:")
write(sampled=True)

# %% [markdown]
# ## 9. A picture
#
# `training.png`: the loss, beside the levels of the n-grams. Look where it passes each of them. The
# shelf near the unigram level is where only frequencies are known.

# %%
plot_causal(
    metrics,
    options.out / "training.png",
    {name: baseline["loss"] for name, baseline in baselines.items()},
)
pictures(options.out / "training.png")
say(
    f"Saved: {model_folder} (the model, which transformers opens too), "
    f"{options.out / 'evaluation.json'}, {options.out / 'metrics.jsonl'}."
)

# %% [markdown]
# ## Questions
#
# 1. Why does the loss begin near ln V, and what would it be with `--tokenizer characters`? Which of
#    the two measures lets you compare the two runs?
# 2. The trigram sees two tokens, the model 128. Set the context (`length`) to 8: how much of its
#    lead is left? What does that say about where the lead comes from?
# 3. Evaluate with `stride=127` and with `stride=16` instead of 64. Which direction does the
#    perplexity go, and why?
# 4. The n-grams are counted in one pass of seconds, the network reads for ten minutes. Give both a
#    tenth of the text: who loses more?
# 5. Why is an end-of-text token put before a prompt? Leave it out and compare.
